"""Reports and the moderators' queue."""

import asyncio
import itertools
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from datalayer.ids import PostId, UserId
from datalayer.testing import FrozenClock, count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person, post


@pytest.mark.quick("reports")
async def test_one_pending_report_for_each_reporter_and_target(community: Community) -> None:
    """Also when several are filed at once; after it is settled there may be another."""
    reporter, target = await person(community), await post(community)
    results = await asyncio.gather(
        *(community.reports.file(reporter.id, "post", target.id, "spam") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, AlreadyExistsError) for result in results) == 4
    assert await community.reports.pending_count() == 1
    assert await community.reports.resolve("post", target.id, resolver_id=reporter.id, status="dismissed") == 1
    assert await community.reports.resolve("post", target.id, resolver_id=reporter.id) == 0
    await community.reports.file(reporter.id, "post", target.id, "spam again")
    new, old = (await community.reports.for_target("post", target.id)).items
    assert (new.status, old.status, old.resolved_by) == ("pending", "dismissed", reporter.id)
    assert old.resolved_at is not None


async def test_the_queue_has_the_most_reported_first(community: Community, datalayer_clock: FrozenClock) -> None:
    """Then those that wait longest; one query a page, grouped from the pending reports alone."""
    users = await people(community, 4)
    posts = [await post(community, author=users[0]) for _ in range(4)]
    comment = await community.comments.create(posts[0].id, users[0].id, "rude")
    targets: list[tuple[Any, Any, int]] = [
        ("post", posts[0].id, 1),
        ("post", posts[1].id, 3),
        ("comment", comment.id, 2),
        ("user", users[0].id, 2),
        ("post", posts[2].id, 1),
    ]
    for kind, id, count in targets:
        for number in range(count):
            await community.reports.file(users[number].id, kind, id, f"reason {number}")
            datalayer_clock.advance(1)
    await community.reports.file(users[0].id, "post", posts[3].id, "settled")
    await community.reports.resolve("post", posts[3].id, resolver_id=users[1].id)
    cases = await read_all(community.reports.queue, limit=2)
    assert [(case.target_type, case.target_id, case.reports) for case in cases] == [
        targets[number] for number in (1, 2, 3, 0, 4)
    ]
    assert cases[0].reasons == ["reason 0", "reason 1", "reason 2"]
    with count_commands(community) as commands:
        await community.reports.queue()
    assert len(commands) == 1
    keys, stages = await keys_and_stages(community.database, commands[0])
    assert keys == 9
    assert not {"SORT", "COLLSCAN"} & stages


@pytest.mark.parametrize("limit", [1, 3])
async def test_the_queue_is_in_one_order(community: Community, limit: int) -> None:
    """By how many reports, since when, and which target: each case is on one page, and on no other."""
    cases = [
        (reports, since, kind, ObjectId())
        for kind, reports, since, _ in itertools.product(("user", "post", "comment"), (1, 2), (4, 5), range(2))
    ]
    rows = [
        {"targetType": kind, "targetId": id, "reporterId": ObjectId(), "createdAt": since + 2 * number}
        for reports, since, kind, id in cases[::-1]
        for number in range(reports)[::-1]
    ]
    await community.database.reports.insert_many([row | {"reason": "spam", "status": "pending"} for row in rows])
    queue = await read_all(community.reports.queue, limit=limit)
    found = [(case.reports, case.first_reported_at, case.target_type, case.target_id) for case in queue]
    assert found == sorted(cases, key=lambda case: (-case[0], *case[1:]))


async def test_what_is_reported_must_exist(community: Community) -> None:
    reporter, gone = await person(community), await post(community)
    await community.posts.delete(gone.id)
    wrong: list[tuple[Any, Any, Any]] = [
        (reporter.id, "post", gone.id),
        (reporter.id, "post", PostId(ObjectId())),
        (reporter.id, "comment", gone.id),
        (reporter.id, "user", gone.id),
        (UserId(ObjectId()), "user", reporter.id),
    ]
    for arguments in wrong:
        with pytest.raises(NotFoundError):
            await community.reports.file(*arguments, "spam")
    with pytest.raises(NotFoundError):
        await community.reports.resolve("user", reporter.id, resolver_id=UserId(ObjectId()))
    assert await community.database.reports.count_documents({}) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("x", "post", ObjectId(), "r"), "reporter_id"),
        ((ObjectId(), "space", ObjectId(), "r"), "target_type"),
        ((ObjectId(), "post", {"$gt": ""}, "r"), "target_id"),
        ((ObjectId(), "post", ObjectId(), ""), "reason"),
        ((ObjectId(), "post", ObjectId(), "x" * 2_001), "reason"),
    ],
)
async def test_bad_input(community: Community, arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        await community.reports.file(*arguments)
    assert error.value.field == field


async def test_nothing_is_settled_before_it_was_filed(community: Community) -> None:
    """The resolver's clock is behind, or waited for a server while the report was filed."""
    target, moderator = await post(community), await person(community)
    report = await community.reports.file(moderator.id, "post", target.id, "spam")
    async with Community.over(community.database, schema="skip", clock=lambda: report.created_at - 1_000) as late:
        await late.reports.resolve("post", target.id, resolver_id=moderator.id)
    assert (await community.reports.get(report.id)).resolved_at == report.created_at


async def test_one_target_cannot_burst_the_queue(community: Community) -> None:
    """Thousands of long reports of one post: the first twenty reasons are told, and all are counted."""
    target = await post(community)
    report = {"targetType": "post", "targetId": target.id, "reason": "\N{FAMILY}" * 2_000, "status": "pending"}
    rows = [{"_id": new_object_id(), "reporterId": ObjectId(), "createdAt": 1, **report} for _ in range(2_500)]
    await community.database.reports.insert_many(rows)
    (case,) = (await community.reports.queue()).items
    assert (case.reports, len(case.reasons)) == (2_500, 20)
