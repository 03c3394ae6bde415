"""What the people of the world say: templates from `phrases.toml`, with their words filled in."""

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
    """The templates under this path, as the file has them."""
    found = _PHRASES
    for part in path:
        found = found[part]
    return found


class Writer(dict[str, str]):
    """Fills templates; a name that was filled once keeps its word until `fresh()`.

    Args:
        random: Where the choices come from.
        words: The choices for names that `phrases.toml` has none for, or that should be others.
    """

    def __init__(self, random: Random, words: dict[str, list[str]] | None = None) -> None:
        super().__init__()
        self._random = random
        self._words = WORDS | (words or {})

    def __missing__(self, name: str) -> str:
        word = self[name] = self._random.choice(self._words[name])
        return word

    def fresh(self) -> "Writer":
        """Forget the words, for the next text."""
        self.clear()
        return self

    def write(self, *path: str) -> str:
        """One of the templates under this path, filled."""
        return self.fill(self._random.choice(phrases(*path)))

    def several(self, number: int, *path: str) -> list[str]:
        """Different ones of the templates under this path, filled."""
        templates = phrases(*path)
        return [self.fill(template) for template in self._random.sample(templates, min(number, len(templates)))]

    def fill(self, template: str) -> str:
        """The template with its words; sentences begin with a capital letter, whatever word came there."""
        return _BEGINNING.sub(lambda found: found[0].upper(), template.format_map(self))


def paragraphs(texts: list[str]) -> str:
    """The paragraphs as plain text."""
    return "\n\n".join(texts)


def markup(texts: list[str]) -> str:
    """The paragraphs as HTML."""
    return "".join(f"<p>{html.escape(text, quote=False)}</p>" for text in texts)
