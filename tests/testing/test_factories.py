"""Every document has a factory, whose documents keep every rule."""

import re
from collections.abc import Awaitable, Callable

import pytest

from datalayer import Community, Stories
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS, Document
from datalayer.engine.clock import DAY
from datalayer.errors import InvalidInputError
from datalayer.testing import Factories, FrozenClock, StoriesFactories
from tests.seeding.invariants import violations

ALL = (*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS)


def _factory(document: type[Document], community: Community, stories: Stories) -> Callable[..., Awaitable[Document]]:
    make = StoriesFactories(stories) if document in STORIES_DOCUMENTS else Factories(community)
    return getattr(make, re.sub(r"(?<!^)(?=[A-Z])", "_", document.__name__).lower())


@pytest.mark.parametrize("document", ALL, ids=lambda document: document.__name__)
async def test_a_document_is_made_with_all_that_it_needs(
    document: type[Document], community: Community, stories: Stories
) -> None:
    """Twice: what is made is in the database, and no rule is broken."""
    make = _factory(document, community, stories)
    for _ in range(2):
        made = await make()
        assert type(made) is document
        assert await community.database[document.Settings.name].find_one({"_id": made.id}) == made.to_wire()
    assert await violations(community.database) == []


async def test_the_clock_governs_every_timestamp(
    community: Community, stories: Stories, datalayer_clock: FrozenClock
) -> None:
    """Of all that the factories make, but for what is to happen later."""
    datalayer_clock.set(1_000)
    for document in ALL:
        datalayer_clock.advance(10)
        await _factory(document, community, stories)()
    planned = {"startTime", "endTime", "seriesEndTime"}
    times = [
        value
        for document in ALL
        async for row in community.database[document.Settings.name].find({})
        for name, value in row.items()
        if name.endswith(("At", "Time")) and name not in planned
    ]
    assert set(times) <= {1_000 + 10 * number for number in range(1, len(ALL) + 1)}
    assert len(times) > 50


async def test_names_are_numbered_and_what_is_given_is_taken(community: Community) -> None:
    make = Factories(community)
    users = [await make.user(), await make.user(name="Ada"), await make.user(), await make.user(name=None)]
    assert [user.name for user in users] == ["User 1", "Ada", "User 2", None]
    event = await make.event(start_time=3 * DAY, capacity=0)
    assert (event.end_time > event.start_time, event.capacity) == (True, 0)
    with pytest.raises(InvalidInputError):
        await make.post(content="")


async def test_references_are_documents_or_ids(community: Community, stories: Stories) -> None:
    """Of those who are given nothing else is made."""
    make, tell = Factories(community), StoriesFactories(stories)
    ada, space = await make.user(), await make.space()
    posts = [await make.post(author=ada, space=space), await make.post(author=ada.id, space=space.id)]
    assert {(post.author_id, post.space_id) for post in posts} == {(ada.id, space.id)}
    comment = await make.comment(post=posts[0], author=ada)
    reply = await make.comment(parent=comment.id, author=ada)
    assert (reply.post_id, reply.parent_id) == (posts[0].id, comment.id)
    like = await make.like(user=ada, comment=comment)
    assert (like.target_type, like.target_id) == ("comment", comment.id)
    lesson = await make.lesson()
    progress = await make.lesson_progress(user=ada, lesson=lesson.id)
    assert progress.lesson_id == lesson.id
    assert (await make.rsvp(user=ada, status="maybe")).status == "maybe"
    assert (await make.points_entry(user=ada, amount=7)).amount == 7
    assert [user.id for user in (await community.users.directory()).items] == [ada.id]
    message = await make.message(sender=ada)
    assert message.sender_id == ada.id
    report = await make.report(reporter=ada, user=message.sender_id)
    assert (report.target_type, report.target_id) == ("user", ada.id)
    story = await tell.story()
    scene = await tell.scene(chapter=await tell.chapter(story=story.id, number=3), prose="Once.")
    assert (scene.story_id, scene.status, scene.prose) == (story.id, "complete", "Once.")
    assert await violations(community.database) == []


async def test_a_membership_is_free_or_paid(community: Community) -> None:
    make = Factories(community)
    ada = await make.user()
    assert (await make.membership(user=ada)).tier == "free"
    assert (await make.membership(user=ada, tier="pro", status="trialing")).tier == "pro"
    assert await community.memberships.has_access(ada.id, "pro")


def test_every_method_of_the_factories_is_of_a_document() -> None:
    names = {name for kind in (Factories, StoriesFactories) for name in vars(kind) if not name.startswith("_")}
    assert len(names) == len(ALL) == 27
