"""The Markdown files of the repository, and the blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]

FILES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / "indexes").glob("*.md"),
    ]
)

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        line: Where its text begins, from 1.
        title: The file that it is an excerpt of, where it says so.
        output: The block of text that follows directly: what the code prints.
    """

    path: Path
    line: int
    language: str
    title: str | None
    text: str
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path) -> list[Block]:
    """The file's blocks, in order; one of text that directly follows another one is that one's output."""
    text, end = _with_snippets(path), 0
    made: list[Block] = []
    for fence in _FENCE.finditer(text):
        directly = made and made[-1].output is None and not text[end : fence.start()].strip()
        end = fence.end()
        if fence["language"] == "text" and directly:
            made[-1] = replace(made[-1], output=_dedented(fence))
            continue
        title = re.search(r'title="([^"]+)"', fence["info"])
        line = text.count("\n", 0, fence.start("text")) + 1
        made.append(Block(path, line, fence["language"], title[1] if title else None, _dedented(fence)))
    return made


def _with_snippets(path: Path) -> str:
    """The file with the files that the site includes in it."""
    return re.sub(
        r'^--8<-- "(.+)"\n',
        lambda line: (ROOT / line[1]).read_text("utf-8"),
        path.read_text("utf-8"),
        flags=re.MULTILINE,
    )


def _dedented(fence: re.Match[str]) -> str:
    return re.sub(f"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all files in these languages."""
    return [block for path in FILES for block in blocks(path) if block.language in languages]


def prose(path: Path) -> str:
    """The file without its blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", path.read_text("utf-8")))


def slugs(path: Path) -> Iterator[str]:
    """The anchors of the file's headings, as they are on the site and in the repository's own view."""
    for heading in re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text("utf-8")), flags=re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        yield re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
