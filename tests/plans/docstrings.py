"""What a method's docstring says about its cost, in its last paragraph: "Cost: 1 round trip; index by_userId."."""

import inspect
import re
from collections.abc import Callable

_INDEX = re.compile(r"\bby_\w+")
_SENTENCE = re.compile(r"(?<=[.:])\s+(?=[A-Z\d`])")
_NUMBER = re.compile(r"(?<![\d.,])\d{1,2}(?![\d,]*\d)\b")


def split(method: Callable[..., object]) -> tuple[str, str]:
    """The docstring's last paragraph, and what stands before it."""
    before, _, last = inspect.cleandoc(method.__doc__ or "").rpartition("\n\n")
    return before, last


def cost(method: Callable[..., object]) -> str:
    """What follows "Cost:" in the last paragraph, on one line; empty where that is another paragraph."""
    _, last = split(method)
    return " ".join(last.removeprefix("Cost: ").split()) if last.startswith("Cost: ") else ""


def indexes(method: Callable[..., object]) -> set[str]:
    """The indexes that the cost names."""
    return set(_INDEX.findall(cost(method)))


def round_trips(method: Callable[..., object]) -> set[int]:
    """The numbers of round trips that the cost states: those in its sentences about round trips."""
    sentences = [sentence for sentence in _SENTENCE.split(cost(method)) if "round trip" in sentence]
    return {int(number) for sentence in sentences for number in _NUMBER.findall(sentence)}
