"""Requests that share a commit share nothing else."""

import asyncio
import traceback
from collections.abc import Sequence

import pytest
from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer import Community
from datalayer.engine.group_commit import GroupCommit
from datalayer.errors import AlreadyExistsError, DataLayerError, InvalidInputError, RuleViolationError


class OddError(Exception):
    """An error that cannot be copied."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def _with_cause() -> DataLayerError:
    error = RuleViolationError("no", hint="Yes.")
    error.__cause__ = LookupError()
    return error


ERRORS = [
    InvalidInputError("title", "too long", hint="Shorten it."),
    AlreadyExistsError("there", index="by_x", fields={"x": 1}),
    _with_cause(),
    OperationFailure("no", 13, {"code": 13}),
    DuplicateKeyError("no", 11000, {"code": 11000}),
    KeyError("x"),
]


async def _failed(community: Community, error: Exception) -> list[BaseException]:
    """What each of three callers gets whose requests go into one commit that fails."""

    async def apply(_key: str, _requests: Sequence[int]) -> Sequence[int]:
        raise error

    async def submit(number: int) -> None:
        await groups.submit("key", number)

    groups = GroupCommit[str, int, int](community._connection, apply, lambda _: ())
    return [
        failed
        for failed in await asyncio.gather(*(submit(number) for number in range(3)), return_exceptions=True)
        if failed is not None
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_each_caller_raises_an_error_of_its_own(community: Community, error: Exception) -> None:
    """Alike in all but its traceback, which shows this caller only."""
    failed = await _failed(community, error)
    assert len({id(one) for one in failed}) == 3
    assert {(type(one), str(one), str(one.__dict__), one.__cause__) for one in failed} == {
        (type(error), str(error), str(error.__dict__), error.__cause__)
    }
    for one in failed:
        assert [frame.name for frame in traceback.extract_tb(one.__traceback__)].count("submit") == 2


async def test_an_error_that_cannot_be_copied_is_raised_all_the_same(community: Community) -> None:
    error = OddError("a", "b")
    assert await _failed(community, error) == [error] * 3
