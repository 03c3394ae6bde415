"""What the documentation shows besides Python: commands exist with their options, data parses, links lead somewhere."""

import asyncio
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from datalayer.cli import cli
from datalayer.server.program import find_mongod
from examples import generate_scenes, import_convex
from indexes.__main__ import commands
from seed.__main__ import command as seed
from tests.documentation.markdown import FILES, ROOT, Block, all_blocks, blocks, prose, slugs

OURS: dict[tuple[str, ...], click.Command] = {
    ("datalayer",): cli,
    ("python", "-m", "indexes"): commands,
    ("python", "-m", "seed"): seed,
    ("python", "examples/generate_scenes.py"): generate_scenes.main,
    ("python", "examples/import_convex.py"): import_convex.main,
}

OTHERS = {"export", "mongodump", "mongorestore", "mongos", "mongosh", "npx", "openssl", "pytest"}
"""What is not the library's, and cannot be looked at here."""

LANGUAGES = {"python", "sh", "json", "toml", "text", "mermaid", "typescript"}


def lines(block: Block) -> Iterator[list[str]]:
    """The commands of a block of shell, as words; a string may go over several lines."""
    pending = ""
    for line in block.text.splitlines(keepends=True):
        pending = pending.removesuffix("\\\n") + line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:
            continue
        if pending.endswith("\\\n"):
            continue
        pending = ""
        if words:
            yield words
    assert not pending, f"{block}: not a command: {pending}"


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command."""
    words = [word.removeprefix(".venv/bin/") for word in words]
    for start, program in OURS.items():
        if tuple(words[: len(start)]) == start:
            result = CliRunner().invoke(program, [*words[len(start) :], "--help"])
            return None if result.exit_code == 0 else result.output
    checks = {"make": _make, "mongod": _mongod, "pip": _pip, "uvicorn": _uvicorn}
    name, *arguments = words
    if name in checks:
        return checks[name](arguments)
    return None if name in OTHERS else "unknown"


def _make(arguments: list[str]) -> str | None:
    targets = re.findall(r"^([\w./]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    missing = [word for word in arguments if "=" not in word and word not in targets]
    return f"no targets: {missing}" if missing else None


def _mongod(arguments: list[str]) -> str | None:
    known = subprocess.run(  # noqa: S603 - our own program
        [find_mongod(), "--help"], capture_output=True, text=True, check=True
    ).stdout
    missing = [word for word in arguments if word.startswith("--") and word not in known]
    return f"no options: {missing}" if missing else None


def _pip(arguments: list[str]) -> str | None:
    extras = metadata("opentribe-datalayer").get_all("Provides-Extra", [])
    asked = [
        extra for word in arguments for extra in ",".join(re.findall(r"^opentribe-datalayer\[(.+)]", word)).split(",")
    ]
    missing = [extra for extra in asked if extra and extra not in extras]
    return f"no extras: {missing}" if missing else None


def _uvicorn(arguments: list[str]) -> str | None:
    module, _, name = arguments[0].partition(":")
    return None if hasattr(importlib.import_module(module), name) else f"no {arguments[0]}"


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_commands_exist_with_their_options(block: Block) -> None:
    wrong = {" ".join(words): reason for words in lines(block) if (reason := complaint(words))}
    assert not wrong


@pytest.mark.parametrize("block", [block for block in all_blocks("sh") if block.output], ids=str)
async def test_commands_print_what_is_shown(block: Block, server_uri: str, client: AsyncMongoClient[Any]) -> None:
    """With the environment's `MONGODB_URI` at a database that has the schema."""
    database = client["documentation"]
    async with Community.over(database), Stories.over(database):
        pass
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", block.text],
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MONGODB_URI": server_uri.replace("/?", f"/{database.name}?"),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == block.output, done.stderr


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("datalayer schema apply --drop", False),
        ("datalayer schema apply --dorp", True),
        ("datalayer schema deploy", True),
        ("python -m seed demo --seed 7", False),
        ("python -m seed demo --sede 7", True),
        ("make docs", False),
        ("make dcos", True),
        ("mongod --replSet rs0", False),
        ("mongod --replicaset rs0", True),
        ("pip install opentribe-datalayer[embedded,cli]", False),
        ("pip install opentribe-datalayer[embeded]", True),
        ("mongo", True),
    ],
)
def test_wrong_commands_are_noticed(words: str, wrong: bool) -> None:
    assert (complaint(words.split()) is not None) == wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_has_a_language_that_is_looked_at(path: Path) -> None:
    for block in blocks(path):
        assert block.language in LANGUAGES, f"{block} is {block.language!r}"
        assert block.language != "text", f"{block} follows no code that could print it"


@pytest.mark.parametrize("block", all_blocks("json", "toml"), ids=str)
def test_data_parses(block: Block) -> None:
    (json if block.language == "json" else tomllib).loads(block.text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path: Path) -> None:
    """Of the repository itself; the site's own are checked when it is built."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name}: there is no {target}"
        # The reference to a class is made when the site is built.
        if anchor and not anchor.startswith("datalayer."):
            assert anchor in set(slugs(file)), f"{path.name}: {target} has no such heading"
