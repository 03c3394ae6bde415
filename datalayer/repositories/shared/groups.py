"""What is the same wherever concurrent requests share a transaction."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def answered(answers: Sequence[T | Exception]) -> Sequence[T | Exception]:
    """The answers, in order. The refusal of a request that is alone is raised, so that nothing is committed for it."""
    if len(answers) == 1 and isinstance(answers[0], Exception):
        raise answers[0]
    return answers
