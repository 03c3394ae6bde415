"""Every block of Python in the documentation works as it stands, and prints what is shown.

A page's blocks run one after the other in one namespace, with `await`, and with an empty `community` and `stories`,
whose URI is in the environment. A block that is a program of its own (`asyncio.run`) runs by itself; one that is a test
runs under pytest; one with a title is an excerpt of that file, which other tests run.
"""

import ast
import asyncio
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import datalayer
from datalayer import Community, Stories
from datalayer.database import Database
from tests.documentation.markdown import FILES, ROOT, Block, all_blocks, blocks

PAGES = [path for path in FILES if any(block.language == "python" for block in blocks(path))]


def is_program(block: Block) -> bool:
    return "asyncio.run(" in block.text


def is_test(block: Block) -> bool:
    return re.search(r"^(async )?def test_", block.text, flags=re.MULTILINE) is not None


@pytest.fixture
async def namespace(
    community: Community, stories: Stories, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Any]]:
    """What a page's code begins with."""
    uri = server_uri.replace("/?", f"/{community.database.name}?")

    @asynccontextmanager
    async def running() -> AsyncIterator[str]:
        yield uri

    # A server for each program would take a second or more.
    monkeypatch.setattr(datalayer, "embedded_server", running)
    monkeypatch.setenv("MONGODB_URI", uri)
    yield {"__name__": "__main__", "community": community, "stories": stories}
    await empty(community, stories)


async def empty(*databases: Database) -> None:
    """Remove what code with a client of its own has left, too."""
    for database in databases:
        for document in database.documents:
            await database.database[document.Settings.name].delete_many({})


async def run(block: Block, namespace: dict[str, Any]) -> None:
    """Run the block; a traceback names its line in the page."""
    source = "\n" * (block.line - 1) + block.text
    code = compile(source, block.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as printed:
        if is_program(block):
            await empty(namespace["community"], namespace["stories"])
            # It has an event loop of its own.
            await asyncio.to_thread(eval, code, {"__name__": "__main__"})
        elif inspect.isawaitable(result := eval(code, namespace)):  # noqa: S307 - our own documentation
            await result
    if block.output is not None:
        assert printed.getvalue() == block.output, f"{block} prints something else"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
async def test_the_blocks_of_a_page_run_one_after_the_other(path: Path, namespace: dict[str, Any]) -> None:
    for block in blocks(path):
        if block.language == "python" and not block.title and not is_test(block):
            await run(block, namespace)


def test_the_first_program_of_the_readme_runs_as_it_is_copied() -> None:
    """In a process of its own, with a server of its own."""
    block = next(block for block in blocks(ROOT / "README.md") if is_program(block))
    done = subprocess.run(  # noqa: S603 - our own documentation
        [sys.executable, "-W", "error", "-c", block.text], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, block.output), done.stderr


async def test_the_blocks_that_are_tests_pass(tmp_path: Path, server_uri: str) -> None:
    """In a project of its own, where nothing but the library's plugin gives fixtures; each block is a file."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    for block in (block for block in all_blocks("python") if is_test(block)):
        (tmp_path / f"test_{block.path.stem.replace('-', '_')}_{block.line}.py").write_text(block.text)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pytest", "-q", "--datalayer-uri", server_uri],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [block for block in all_blocks("python") if block.title], ids=str)
def test_an_excerpt_is_in_its_file(block: Block) -> None:
    """Word for word; `# ...` stands for what is left out."""
    assert block.title
    rest = (ROOT / block.title).read_text("utf-8")
    for part in re.split(r"^ *# \.\.\.\n", block.text, flags=re.MULTILINE):
        assert part.strip("\n") in rest, f"{block}: {part}"
        rest = rest.partition(part.strip("\n"))[2]


async def test_wrong_output_and_errors_are_noticed(namespace: dict[str, Any]) -> None:
    block = Block(ROOT / "README.md", 7, "python", None, "print(1 + 1)\n", "3\n")
    with pytest.raises(AssertionError, match=r"README.md:7 prints something else"):
        await run(block, namespace)
    with pytest.raises(ZeroDivisionError):
        await run(Block(ROOT / "README.md", 7, "python", None, "1 / 0"), namespace)
