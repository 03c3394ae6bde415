"""Orders that were imported with gaps, or with the same place twice: they are taken as they are, and closed."""

from typing import Any

import pytest

from datalayer import Community
from tests.community.curricula import curriculum
from tests.community.world import space
from tests.seeding.invariants import violations

GAPS = [[0, 2, 5, 6], [1, 2, 3, 4], [0, 1, 3, 3], [7, 7, 7, 7]]
"""Places of four documents."""


async def _put(community: Community, table: str, ids: list[Any], places: list[int]) -> None:
    for id, place in zip(ids, places, strict=True):
        await community.database[table].update_one({"_id": id}, {"$set": {"order": place}})


async def _lessons(community: Community, module: Any) -> list[Any]:
    return [lesson.id for lesson in await community.lessons.in_module(module)]


@pytest.mark.parametrize("places", GAPS[:2])
async def test_spaces(community: Community, places: list[int]) -> None:
    """Each change of the order heals it; a new space goes last."""
    ids = [(await space(community)).id for _ in range(4)]
    await _put(community, "spaces", ids[::-1], places[::-1])
    await community.spaces.reorder([*ids[2:], *ids[:2]])
    assert [item.id for item in await community.spaces.list()] == [*ids[2:], *ids[:2]]
    assert await violations(community.database) == []
    await _put(community, "spaces", [*ids[2:], *ids[:2]][::-1], places[::-1])
    await community.spaces.delete(ids[3])
    assert [item.id for item in await community.spaces.list()] == [ids[2], *ids[:2]]
    assert await violations(community.database) == []
    await _put(community, "spaces", [ids[2], *ids[:2]][::-1], places[::-1][:3])
    new = await space(community)
    assert [item.id for item in await community.spaces.list()] == [ids[2], *ids[:2], new.id]


@pytest.mark.parametrize("places", GAPS)
async def test_modules(community: Community, places: list[int]) -> None:
    course = (await curriculum(community, 0, 0, 0, 0)).course
    ids = [module.id for module in await community.modules.in_course(course.id)]
    await _put(community, "modules", ids, places)
    await community.modules.delete(ids[1])
    left = [ids[0], *ids[2:]]
    assert [module.id for module in await community.modules.in_course(course.id)] == left
    assert await violations(community.database) == []
    await _put(community, "modules", left, places[:3])
    await community.modules.reorder(course.id, left[::-1])
    assert [module.id for module in await community.modules.in_course(course.id)] == left[::-1]
    assert await violations(community.database) == []


@pytest.mark.parametrize("places", GAPS)
async def test_lessons(community: Community, places: list[int]) -> None:
    """They keep their order when one is moved, within the module and into another one, and when one is removed."""
    made = await curriculum(community, 4, 4)
    one, other = (module.id for module in made.modules)

    async def scrambled(module: Any) -> list[Any]:
        """The lessons in order, with places like these."""
        ids = await _lessons(community, module)
        await _put(community, "lessons", ids, [*places, 9][: len(ids)])
        return await _lessons(community, module)

    a, b, c, d = await scrambled(one)
    await community.lessons.move(b, one)
    assert await _lessons(community, one) == [a, c, d, b]
    first, *rest = await scrambled(one)
    before = await scrambled(other)
    await community.lessons.move(first, other)
    assert await _lessons(community, one) == rest
    assert await _lessons(community, other) == [*before, first]
    assert await violations(community.database) == []
    first, second, third = await scrambled(one)
    await community.lessons.delete(second)
    assert await _lessons(community, one) == [first, third]
    ids = (await scrambled(other))[::-1]
    await community.lessons.reorder(other, ids)
    assert await _lessons(community, other) == ids
    assert await violations(community.database) == []
