"""What mypy and pyright tell a project that uses the library, with the settings of the README and no others."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from datalayer import Community
from datalayer.documents import Post
from datalayer.ids import PostId, UserId


async def read(community: Community, post_id: PostId, user_id: UserId) -> int:
    post = await community.posts.get(post_id)
    print(post.title, post.like_count + 1)
    print(post.like_cuont)  # wrong: misspelt
    post.like_cuont = 1  # wrong: misspelt
    post.like_count = "one"  # wrong: no number
    await community.posts.get(user_id)  # wrong: the id of a user
    print((await community.users.find(user_id)).name)  # wrong: may be None
    for found in await Post.find(Post.like_count > 1).to_list():
        print(found.titel)  # wrong: misspelt, in a query of Beanie's
    return (await community.posts.feed(post.space_id)).items[0].like_count
"""
WRONG = [number for number, line in enumerate(PROGRAM.splitlines(), start=1) if "# wrong" in line]


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A project with the program and the README's settings."""
    (settings,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(settings)
    (tmp_path / "consumer.py").write_text(PROGRAM)
    return tmp_path


def output(folder: Path, *command: str) -> str:
    """What a checker prints about the project."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-m", *command, "consumer.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.thorough  # tests/typing, which `make check` checks, refuses the same with the settings of the repository
def test_mypy(consumer: Path) -> None:
    """Every mistake is an error, and nothing else is."""
    printed = output(consumer, "mypy", "--strict")
    assert [int(number) for number in re.findall(r"^consumer\.py:(\d+): error", printed, re.MULTILINE)] == WRONG, (
        printed
    )


@pytest.mark.thorough  # as above
def test_pyright(consumer: Path) -> None:
    """As mypy."""
    printed = output(consumer, "pyright", "--pythonpath", sys.executable, "--outputjson")
    errors = [found for found in json.loads(printed)["generalDiagnostics"] if found["severity"] == "error"]
    assert [found["range"]["start"]["line"] + 1 for found in errors] == WRONG, printed
