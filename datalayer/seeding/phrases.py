"""Generates texts from the templates in `phrases.toml`."""

import html
import re
import tomllib
from importlib.resources import files
from random import Random
from typing import Any

_PHRASES: dict[str, Any] = tomllib.loads(files("datalayer.seeding").joinpath("phrases.toml").read_text("utf-8"))
_BEGINNING = re.compile(r"(?:^|[.!?] )[a-zà-ž]")

WORDS: dict[str, list[str]] = _PHRASES["words"]


def phrases(*path: str) -> Any:  # noqa: ANN401
    """Return the templates under this path of the file."""
    found = _PHRASES
    for part in path:
        found = found[part]
    return found


class Writer(dict[str, str]):
    """Fills templates. A placeholder keeps its word until `fresh()`.

    Args:
        random: The random source.
        words: Words for placeholders, in addition to those in `phrases.toml` or instead of them.
    """

    def __init__(self, random: Random, words: dict[str, list[str]] | None = None) -> None:
        super().__init__()
        self._random = random
        self._words = WORDS | (words or {})

    def __missing__(self, name: str) -> str:
        word = self[name] = self._random.choice(self._words[name])
        return word

    def fresh(self) -> "Writer":
        """Forget the chosen words, for the next text."""
        self.clear()
        return self

    def write(self, *path: str) -> str:
        """Return one of the templates under this path, filled."""
        return self.fill(self._random.choice(phrases(*path)))

    def several(self, number: int, *path: str) -> list[str]:
        """Return several different templates under this path, filled."""
        templates = phrases(*path)
        return [self.fill(template) for template in self._random.sample(templates, min(number, len(templates)))]

    def fill(self, template: str) -> str:
        """Fill the template. Every sentence begins with a capital letter."""
        return _BEGINNING.sub(lambda found: found[0].upper(), template.format_map(self))


def paragraphs(texts: list[str]) -> str:
    """Return the paragraphs as plain text."""
    return "\n\n".join(texts)


def markup(texts: list[str]) -> str:
    """Return the paragraphs as HTML."""
    return "".join(f"<p>{html.escape(text, quote=False)}</p>" for text in texts)
