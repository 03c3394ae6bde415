"""What a method's docstring says of its cost."""

import re
from collections.abc import Callable

_INDEX = re.compile(r"\bby_\w+")
_SENTENCE = re.compile(r"(?<=[.:])\s+(?=[A-Z\d`])")
_ONE = re.compile(r"\bone round trip\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d.,])\d{1,2}(?![\d,]*\d)\b")


def indexes(method: Callable[..., object]) -> set[str]:
    """The indexes that the docstring names."""
    return set(_INDEX.findall(method.__doc__ or ""))


def round_trips(method: Callable[..., object]) -> set[int]:
    """The numbers of round trips that the docstring states: those of the sentences that are about round trips."""
    found: set[int] = set()
    for sentence in _SENTENCE.split(" ".join((method.__doc__ or "").split())):
        if "round trip" in sentence:
            found |= {int(number) for number in _NUMBER.findall(sentence)} | ({1} if _ONE.search(sentence) else set())
    return found
