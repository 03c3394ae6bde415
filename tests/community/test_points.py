"""Points, levels, and who has the most."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.engine import batches
from datalayer.engine.clock import DAY
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotFoundError, OutcomeUnknownError
from datalayer.ids import LevelId, PointsEntryId, UserId
from datalayer.repositories.gamification_config import DEFAULT_VALUES
from datalayer.repositories.levels import LevelFields
from datalayer.repositories.points import Award
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person
from tests.interleaving.changes import changed_after_snapshot

NOW = 1_700_000_000_000


async def test_an_unknown_action_is_refused(community: Community) -> None:
    """A misspelt action raises an error that names the default ones; one with a rule of 0 gives nothing."""
    user = await person(community)
    await community.gamification_config.install_defaults()
    await community.gamification_config.set("silent", 0)
    assert await community.points.award(user.id, "silent") is None
    cause = {"reference_type": "like", "reference_id": "1"}
    for arguments in ({}, cause):
        with pytest.raises(
            InvalidInputError, match=r"^action: must be post, comment, like_received, .*a rule"
        ) as error:
            await community.points.award(user.id, "like_recieved", **arguments)
        assert "gamification_config.set" in str(error.value.hint)
    assert (await community.points.history(user.id)).items == []


async def test_an_unknown_action_leaves_the_others_alone(community: Community) -> None:
    """It is refused alone: not the awards that share its transaction, nor the transaction that it is in."""
    user = await person(community)
    await community.gamification_config.install_defaults()
    answers = await asyncio.gather(
        *(community.points.award(user.id, action) for action in ("post", "pots", "comment")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Award, InvalidInputError, Award]

    async def work() -> None:
        await community.points.award(user.id, "post")
        with pytest.raises(InvalidInputError):
            await community.points.award(user.id, "pots")

    await community.transaction(work)
    assert (await community.users.get(user.id)).points == 25


@pytest.mark.quick("gamification_config")
async def test_an_action_gives_what_its_rule_says(community: Community) -> None:
    """Nothing where there is no rule, or one of 0."""
    user = await person(community)
    assert await community.points.award(user.id, "post") is None
    assert await community.gamification_config.install_defaults() == DEFAULT_VALUES
    assert await community.points.award(user.id, "post") == Award(amount=10, points=10, level=1, levelled_up=False)
    rule = await community.gamification_config.set("post", 0)
    assert await community.points.award(user.id, "post") is None
    await community.gamification_config.set("post", 7)
    assert await community.gamification_config.value_of("post") == 7
    assert (await community.gamification_config.install_defaults())["post"] == 7
    assert (await community.gamification_config.all())["enroll"] == 5
    await community.gamification_config.delete(rule.id)
    assert await community.gamification_config.value_of("post") == 0


@pytest.mark.quick("points")
async def test_a_cause_is_rewarded_once(community: Community) -> None:
    """Whoever asks at once; other causes, users and actions are their own; without a reference it is every time."""
    await community.gamification_config.install_defaults()
    user, other = await people(community, 2)
    cause = {"reference_type": "post", "reference_id": "1"}
    awards = await asyncio.gather(*(community.points.award(user.id, "post", **cause) for _ in range(8)))
    assert sum(award is not None for award in awards) == 1
    assert await community.points.award(other.id, "post", **cause)
    assert await community.points.award(user.id, "comment", **cause)
    assert await community.points.award(user.id, "post", reference_type="post", reference_id="2")
    assert [await community.points.award(user.id, "rsvp") is None for _ in range(2)] == [False, False]
    assert (await community.users.get(user.id)).points == 10 + 5 + 10 + 5 + 5
    assert await community.points.breakdown(user.id) == {"post": 20, "comment": 5, "rsvp": 10}


async def test_points_are_exact_by_many_at_once(community: Community) -> None:
    await community.gamification_config.install_defaults()
    user = await person(community)
    await asyncio.gather(*(community.points.award(user.id, "comment") for _ in range(12)))
    assert (await community.users.get(user.id)).points == 60
    assert len(await read_all(community.points.history, user.id, limit=5)) == 12


async def test_a_taken_back_entry_takes_its_points_along(community: Community) -> None:
    await community.levels.install_defaults()
    await community.gamification_config.set("post", 60)
    user = await person(community)
    assert await community.points.award(user.id, "post") == Award(60, 60, 2, levelled_up=True)
    (entry,) = (await community.points.history(user.id)).items
    await community.points.delete(entry.id)
    after = await community.users.get(user.id)
    assert (after.points, after.level) == (0, 1)
    with pytest.raises(NotFoundError):
        await community.points.delete(PointsEntryId(ObjectId()))


async def test_levels_follow(community: Community) -> None:
    """A new set of levels moves every user; deleting one closes the others up."""
    await community.gamification_config.set("post", 100)
    users = await people(community, 3)
    for number, user in enumerate(users):
        for _ in range(number):
            await community.points.award(user.id, "post")
    await community.levels.install_defaults()

    async def their_levels() -> list[int]:
        return [(await community.users.get(user.id)).level for user in users]

    assert await their_levels() == [1, 2, 3]
    new = await community.levels.replace(
        [
            {"name": "a", "threshold": 0},
            {"name": "b", "threshold": 100},
            {"name": "c", "threshold": 101, "color": "red"},
        ]
    )
    assert [(level.name, level.order, level.color) for level in new] == [
        ("a", 1, None),
        ("b", 2, None),
        ("c", 3, "red"),
    ]
    assert await their_levels() == [1, 2, 3]
    assert await community.levels.replace([*new, {"name": "d", "threshold": 200}]) == await community.levels.list()
    assert await their_levels() == [1, 2, 4]
    first, *_ = await community.levels.list()
    with pytest.raises(InvalidInputError):
        await community.levels.delete(first.id)
    with pytest.raises(NotFoundError):
        await community.levels.delete(LevelId(ObjectId()))
    await community.levels.delete((await community.levels.list())[1].id)
    assert [(level.name, level.order) for level in await community.levels.list()] == [("a", 1), ("c", 2), ("d", 3)]
    assert await their_levels() == [1, 1, 3]
    found = await community.levels.for_points(150)
    assert found is not None
    assert found.name == "c"


async def test_awards_while_the_levels_change(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction or in batches: at the end everybody has the level of the new ones."""
    await community.gamification_config.set("post", 30)
    await community.levels.install_defaults()
    users = await people(community, 4)
    monkeypatch.setattr(batches, "BATCH", 2)
    for attempts in (4, 0):
        monkeypatch.setattr(batches, "AT_ONCE_ATTEMPTS", attempts)
        steps = [0, 20 + attempts, 70, 110]
        fields: Any = [{"name": f"{step}", "threshold": step} for step in steps]
        await asyncio.gather(
            *(community.points.award(user.id, "post") for user in users for _ in range(2)),
            community.levels.replace(fields),
        )
        for user in users:
            now = await community.users.get(user.id)
            assert now.level == sum(step <= now.points for step in steps)


STEPS: list[LevelFields] = [{"name": f"{step}", "threshold": step} for step in (0, 40, 100)]


async def _levels(community: Community) -> list[tuple[int, int]]:
    """The points and the level of each user, in the order of their creation."""
    users = (await community.users.directory("newest")).items
    return [(user.points, user.level) for user in sorted(users, key=lambda user: user.id)]


async def test_an_award_that_read_the_old_levels_conflicts(community: Community) -> None:
    """With the change of the levels, also where that leaves the user's level as it is."""
    await community.gamification_config.set("post", 60)
    user = await person(community)
    await community.points.award(user.id, "post")
    await community.levels.install_defaults()
    award = await changed_after_snapshot(
        community, lambda: community.points.award(user.id, "post"), lambda: community.levels.replace(STEPS)
    )
    assert award == Award(amount=60, points=120, level=3, levelled_up=True)
    assert await _levels(community) == [(120, 3)]


async def test_users_follow_new_levels_in_batches(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one transaction does not succeed: all of them, also those who are awarded between two batches."""
    monkeypatch.setattr(batches, "AT_ONCE_ATTEMPTS", 0)
    monkeypatch.setattr(batches, "BATCH", 2)
    await community.gamification_config.set("post", 60)
    await community.levels.install_defaults()
    users = [await person(community) for _ in range(8)]
    for user in users:
        await community.points.award(user.id, "post")

    async def work() -> None:
        # Nobody else can write to this user meanwhile: the third batch has to wait.
        await community.points.award(users[4].id, "post")
        locked.set()
        await awarded.wait()

    locked, awarded = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(community.transaction(work))
        await locked.wait()
        tasks.create_task(community.levels.replace([*STEPS[:2], {"name": "c", "threshold": 41}]))
        while (await community.users.get(users[3].id)).level == 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        assert await community.points.award(users[0].id, "post") == Award(60, 120, 3, levelled_up=False)
        assert await community.points.award(users[7].id, "post") == Award(60, 120, 3, levelled_up=True)
        awarded.set()
    assert await _levels(community) == [(120, 3), *[(60, 3)] * 3, (120, 3), *[(60, 3)] * 2, (120, 3)]


async def test_users_that_did_not_follow_do_so_when_it_is_called_again(
    community: Community, client: AsyncMongoClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome of a change whose batches fail is unknown."""
    monkeypatch.setattr(batches, "AT_ONCE_ATTEMPTS", 0)
    await community.gamification_config.set("post", 60)
    await community.levels.install_defaults()
    await community.points.award((await person(community)).id, "post")
    refused = {"failCommands": ["update"], "namespace": f"{community.database.name}.users", "errorCode": 2}
    await client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": refused})
    steps: list[LevelFields] = [*STEPS[:2], {"name": "c", "threshold": 41}]
    with pytest.raises(OutcomeUnknownError):
        await community.levels.replace(steps)
    assert await _levels(community) == [(60, 2)]
    assert await community.levels.replace(steps) == await community.levels.list()
    assert await _levels(community) == [(60, 3)]


async def _seeded(community: Community, rows: list[tuple[UserId, int, int]]) -> None:
    """Entries of (user, amount, days ago), and the users' sums."""
    entries = [
        {"_id": new_object_id(), "userId": id, "action": "a", "amount": amount, "createdAt": NOW - days * DAY}
        for id, amount, days in rows
    ]
    await community.database.points.insert_many(entries)
    for id in {id for id, _, _ in rows}:
        total = sum(amount for other, amount, _ in rows if other == id)
        await community.database.users.update_one({"_id": id}, {"$set": {"points": total}})


async def test_leaderboards_have_ranks_and_ties(community: Community) -> None:
    """Of all time, a month and a week, rolling; equals share a rank and are listed by id."""
    async with Community.over(community.database, schema="skip", clock=lambda: NOW) as then:
        a, b, c, d, e = [user.id for user in await people(community, 5)]
        await _seeded(
            community, [(a, 5, 1), (a, 50, 20), (b, 7, 2), (c, 7, 3), (c, 0, 1), (d, 100, 40), (d, 1, 6), (b, 3, 8)]
        )

        async def board(period: Any) -> list[tuple[int, UserId, int]]:
            return [(entry.rank, entry.user.id, entry.points) for entry in await then.points.leaderboard(period)]

        assert await board("all") == [(1, d, 101), (2, a, 55), (3, b, 10), (4, c, 7)]
        assert await board("month") == [(1, a, 55), (2, b, 10), (3, c, 7), (4, d, 1)]
        assert await board("week") == [(1, b, 7), (1, c, 7), (3, a, 5), (4, d, 1)]
        for period in ("all", "month", "week"):
            ranks = {user: await then.points.rank(user, period) for user in (a, b, c, d)}  # type: ignore[arg-type]
            expected = {user: (rank, points) for rank, user, points in await board(period)}
            assert {user: (rank.rank, rank.points) for user, rank in ranks.items() if rank} == expected
        assert await then.points.rank(e) is None
        assert await then.points.rank(d, "week") is not None
        assert [entry.rank for entry in await then.points.leaderboard("week", limit=2)] == [1, 1]
        await community.users.delete(b)
        assert [id for _, id, _ in await board("week")] == [c, a, d]
    with pytest.raises(NotFoundError):
        await community.points.rank(UserId(ObjectId()))


@pytest.mark.parametrize(("period", "days"), [("week", 7), ("month", 30)])
async def test_a_window_begins_a_millisecond_after_its_edge(community: Community, period: Any, days: int) -> None:
    """What was given exactly so many days ago is out; a millisecond later is in. Who was given nothing has no rank."""
    a, b, c = [user.id for user in await people(community, 3)]
    edge = NOW - days * DAY
    entries = [(a, 100, edge), (a, 1, edge + 1), (b, 2, NOW), (c, 0, NOW)]
    await community.database.points.insert_many(
        {"_id": ObjectId(), "userId": id, "action": "a", "amount": amount, "createdAt": at}
        for id, amount, at in entries
    )
    async with Community.over(community.database, schema="skip", clock=lambda: NOW) as then:
        board = await then.points.leaderboard(period)
        assert [(entry.rank, entry.user.id, entry.points) for entry in board] == [(1, b, 2), (2, a, 1)]
        assert [await then.points.rank(id, period) for id in (b, a, c)] == [*board, None]


async def test_equals_are_cut_by_id(community: Community) -> None:
    """Among many with as many points, a short leaderboard has the lowest ids."""
    users = sorted(user.id for user in await people(community, 9))
    await _seeded(community, [(id, 5, 1) for id in users])
    async with Community.over(community.database, schema="skip", clock=lambda: NOW) as then:
        for period in ("all", "week"):
            board = await then.points.leaderboard(period, limit=4)  # type: ignore[arg-type]
            assert [(entry.rank, entry.user.id) for entry in board] == [(1, id) for id in users[:4]]


async def test_what_the_leaderboards_read(community: Community) -> None:
    """All time: the page. A window: its keys, and not a document of it."""
    users = [user.id for user in await people(community, 30)]
    await _seeded(community, [(id, number, day) for number, id in enumerate(users, 1) for day in (1, 3, 50)])
    async with Community.over(community.database, schema="skip", clock=lambda: NOW) as then:
        with count_commands(community) as commands:
            await then.points.leaderboard(limit=10)
            await then.points.leaderboard("week", limit=10)
            await then.points.rank(users[0])
            await then.points.rank(users[0], "month")
    found = [await keys_and_stages(community.database, command) for command in commands]
    assert found[0] == (10, found[0][1])
    assert found[1][0] <= 61
    assert not found[1][1] & {"FETCH", "COLLSCAN"}
    assert all("COLLSCAN" not in stages for _, stages in found)
    assert not {"SORT"} & found[0][1]
    assert len(commands) == 1 + 2 + 2 + 3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ([(0,), (1,)], "levels"),
        ([(number,) for number in range(21)], "levels"),
        ([(1,), (2,), (3,)], "levels[0].threshold"),
        ([(0,), (2,), (2,)], "levels[2].threshold"),
        ([(0,), (3,), (2,)], "levels[2].threshold"),
        ([(0,), (1,), (-2,)], "levels[2].threshold"),
        ([(0,), (1,), ("2",)], "levels[2].threshold"),
    ],
)
async def test_bad_levels(community: Community, fields: list[tuple[Any]], field: str) -> None:
    """Names what is wrong, and the levels that there are stay."""
    before = await community.levels.install_defaults()
    with pytest.raises(InvalidInputError) as error:
        await community.levels.replace([{"name": "x", "threshold": threshold} for (threshold,) in fields])
    assert error.value.field == field
    assert await community.levels.list() == before


async def test_bad_input(community: Community) -> None:
    user = await person(community)
    await community.gamification_config.install_defaults()
    wrong: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
        (community.points.award, (user.id, ""), {}, "action"),
        (community.points.award, ("5" * 24, "post"), {}, "user_id"),
        (community.points.award, (user.id, "post"), {"reference_type": "post"}, "reference_id"),
        (community.points.award, (user.id, "post"), {"reference_id": "1"}, "reference_type"),
        (
            community.points.award,
            (user.id, "post"),
            {"reference_type": "a", "reference_id": {"$gt": ""}},
            "reference_id",
        ),
        (community.points.leaderboard, ("year",), {}, "period"),
        (community.points.leaderboard, (), {"limit": 0}, "limit"),
        (community.gamification_config.set, ("post", -1), {}, "point_value"),
        (community.gamification_config.set, ("post", True), {}, "point_value"),
        (community.gamification_config.set, ("", 1), {}, "action"),
        (community.levels.for_points, (-1,), {}, "points"),
    ]
    for method, arguments, named, field in wrong:
        with pytest.raises(InvalidInputError) as error:
            await method(*arguments, **named)
        assert error.value.field == field
    with pytest.raises(NotFoundError):
        await community.points.award(UserId(ObjectId()), "post")
    assert await community.database.points.count_documents({}) == 0


async def test_default_levels_never_replace_others(community: Community) -> None:
    """Also where somebody puts others in place at the same moment."""
    own: Any = [{"name": f"{step}", "threshold": step} for step in (0, 5, 9)]
    await asyncio.gather(community.levels.replace(own), community.levels.install_defaults())
    assert [level.threshold for level in await community.levels.list()] == [0, 5, 9]


@pytest.mark.quick("levels")
async def test_deleting_levels_keeps_the_others(community: Community) -> None:
    """Two at once are both gone, and the rest are the same documents."""
    before = await community.levels.install_defaults()
    await asyncio.gather(*(community.levels.delete(before[number].id) for number in (3, 6)))
    left = [level.id for number, level in enumerate(before) if number not in (3, 6)]
    assert [level.id for level in await community.levels.list()] == left
    assert [level.order for level in await community.levels.list()] == list(range(1, 9))
