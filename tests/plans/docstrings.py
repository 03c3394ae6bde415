"""What a method's docstring says about its cost, in its last paragraph: "Cost: 1 round trip; index by_userId."."""

import re
from collections.abc import Callable

from indexes.serves import cost, indexes_in

__all__ = ["cost", "indexes", "round_trips"]

_SENTENCE = re.compile(r"(?<=[.:])\s+(?=[A-Z\d`])")
_NUMBER = re.compile(r"(?<![\d.,])\d{1,2}(?![\d,]*\d)\b")


def indexes(method: Callable[..., object]) -> set[str]:
    """The indexes that the cost names."""
    return indexes_in(cost(method))


def round_trips(method: Callable[..., object]) -> set[int]:
    """The numbers of round trips that the cost states: those in its sentences about round trips."""
    sentences = _SENTENCE.split(" ".join(cost(method).split()))
    return {int(number) for sentence in sentences if "round trip" in sentence for number in _NUMBER.findall(sentence)}
