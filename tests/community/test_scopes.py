"""Whatever is asked of one, nobody else's is given, and nobody else's is changed."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Self

from datalayer import Community, Page
from datalayer.documents import Comment, Conversation, Course, Event, Lesson, Module, Post, Space, User
from datalayer.engine.clock import DAY
from datalayer.repositories.follows import FollowCounts
from datalayer.repositories.lesson_progress import CourseProgress
from datalayer.repositories.rsvps import RsvpCounts
from datalayer.testing import Factories
from tests.community.world import people
from tests.seeding.invariants import violations

Rows = dict[tuple[str, Any], dict[str, Any]]
Filter = Mapping[str, Any]
"""Values of fields; of a set any will do."""


@dataclass
class World:
    """Three people, and two of everything that they share: two of them did the same with each of the two."""

    community: Community
    users: list[User]
    spaces: list[Space]
    posts: list[Post]
    tops: list[Comment]
    courses: list[Course]
    modules: list[Module]
    lessons: list[Lesson]
    events: list[Event]
    conversations: list[Conversation]

    @classmethod
    async def make(cls, community: Community) -> Self:
        """Make all of it."""
        make = Factories(community)
        await community.gamification_config.set("post", 10)
        users = await people(community, 3)
        spaces = [await make.space() for _ in range(2)]
        posts = [await make.post(space=space, author=user) for space, user in product(spaces, users[:2])]
        tops = [await make.comment(post=post, author=user) for post, user in product(posts[:2], users[:2])]
        courses = [await make.course() for _ in range(2)]
        modules = [await make.module(course=courses[number]) for number in (0, 0, 1)]
        lessons = [await make.lesson(module=modules[number]) for number in (0, 0, 1, 2, 2)]
        start = community.clock() + DAY
        events = [await make.event(start_time=start) for _ in range(2)]
        conversations = [await make.conversation(user=one, other=other) for one, other in combinations(users, 2)]
        world = cls(community, users, spaces, posts, tops, courses, modules, lessons, events, conversations)
        await asyncio.gather(world._meet(make), world._learn(make), world._react(make))
        return world

    async def _meet(self, make: Factories) -> None:
        for one, other in ((0, 1), (1, 2), (2, 0), (2, 1)):
            await make.follow(follower=self.users[one], following=self.users[other])
        for conversation in self.conversations:
            for sender in conversation.participant_ids:
                await make.message(conversation=conversation, sender=sender)
        for user in self.users:
            await self.community.points.award(user.id, "post")
            await make.membership(user=user)

    async def _learn(self, make: Factories) -> None:
        for user in self.users[:2]:
            for course in self.courses:
                await make.enrollment(user=user, course=course)
            for lesson in self.lessons:
                await make.lesson_progress(user=user, lesson=lesson)
        answers = (("going", "maybe"), ("going", "going"), ("maybe", "going"))
        for user, statuses in zip(self.users, answers, strict=True):
            for event, status in zip(self.events, statuses, strict=True):
                await self.community.rsvps.set(user.id, event.id, status)  # type: ignore[arg-type]

    async def _react(self, make: Factories) -> None:
        for top, user in product(self.tops[:2], self.users[:2]):
            await make.comment(post=top.post_id, author=user, parent=top)
        for user, target in product(self.users[:2], (*self.posts[:2], *self.tops[:2])):
            kind = "post" if isinstance(target, Post) else "comment"
            await self.community.likes.like(user.id, kind, target.id)
            await self.community.reports.file(user.id, kind, target.id, "spam")
        for user in self.users[:2]:
            for space in self.spaces:
                await make.space_visit(user=user, space=space)
            read, *_ = [await make.notification(user=user) for _ in range(3)]
            await self.community.notifications.mark_read(user.id, read.id)

    async def rows(self) -> Rows:
        """All documents, in one round trip."""
        parts: list[tuple[str, list[Any]]] = [
            (name, [{"$replaceWith": {"table": name, "row": "$$ROOT"}}])
            for name in (document.Settings.name for document in Community.documents)
        ]
        (first, pipeline), *others = parts
        unions = [{"$unionWith": {"coll": name, "pipeline": one}} for name, one in others]
        found = await (await self.community.database[first].aggregate([*pipeline, *unions])).to_list()
        return {(item["table"], item["row"]["_id"]): item["row"] for item in found}


def those(rows: Rows, table: str, filter: Filter) -> set[tuple[str, Any]]:
    """The documents of the table that the filter describes; there are some, and others."""
    of_table = {key: row for key, row in rows.items() if key[0] == table}
    found = {
        key
        for key, row in of_table.items()
        if all(row.get(name) in (value if isinstance(value, set) else {value}) for name, value in filter.items())
    }
    assert 0 < len(found) < len(of_table), (table, filter)
    return found


async def test_every_list_is_of_what_was_asked_for(community: Community) -> None:
    """Of one user, of one space, of one target: all of it, and nothing else; so is every count."""
    w, c = await World.make(community), community
    (a, b, _), (space, _), (post, *_), (top, *_) = w.users, w.spaces, w.posts, w.tops
    course, module, lesson, event, talk = w.courses[0], w.modules[0], w.lessons[0], w.events[0], w.conversations[0]
    lists: list[tuple[str, Filter, Awaitable[Any]]] = [
        ("posts", {"spaceId": space.id}, c.posts.feed(space.id)),
        ("posts", {"spaceId": space.id}, c.posts.in_space(space.id)),
        ("posts", {"spaceId": space.id}, c.posts.in_space(space.id, order="oldest")),
        ("posts", {"spaceId": space.id}, c.posts.recent(space_ids=[space.id])),
        ("posts", {"authorId": a.id}, c.posts.by_author(a.id)),
        ("posts", {"authorId": b.id}, c.posts.following(a.id)),
        ("comments", {"postId": post.id, "parentId": None}, c.comments.thread(post.id)),
        ("comments", {"parentId": top.id}, c.comments.replies(top.id)),
        ("comments", {"authorId": a.id}, c.comments.by_author(a.id)),
        ("likes", {"targetType": "post", "targetId": post.id}, c.likes.of_target("post", post.id)),
        ("likes", {"targetType": "comment", "targetId": top.id}, c.likes.of_target("comment", top.id)),
        ("likes", {"userId": a.id}, c.likes.by_user(a.id)),
        ("follows", {"followingId": b.id}, c.follows.followers(b.id)),
        ("follows", {"followerId": a.id}, c.follows.following(a.id)),
        ("modules", {"courseId": course.id}, c.modules.in_course(course.id)),
        ("lessons", {"moduleId": module.id}, c.lessons.in_module(module.id)),
        ("enrollments", {"userId": a.id}, c.enrollments.for_user(a.id)),
        ("enrollments", {"courseId": course.id}, c.enrollments.in_course(course.id)),
        ("lessonProgress", {"lessonId": lesson.id}, c.lesson_progress.by_lesson(lesson.id)),
        ("rsvps", {"eventId": event.id, "status": "going"}, c.rsvps.attendees(event.id)),
        ("rsvps", {"userId": a.id}, c.rsvps.for_user(a.id)),
        ("notifications", {"userId": a.id}, c.notifications.recent(a.id)),
        ("notifications", {"userId": a.id, "read": False}, c.notifications.unread(a.id)),
        ("conversations", {"_id": {item.id for item in w.conversations[:2]}}, c.conversations.inbox(a.id)),
        ("messages", {"conversationId": talk.id}, c.messages.history(talk.id, reader_id=a.id)),
        ("points", {"userId": a.id}, c.points.history(a.id)),
        ("reports", {"targetType": "post", "targetId": post.id}, c.reports.for_target("post", post.id)),
    ]
    rows = await w.rows()
    for table, filter, call in lists:
        found = await call
        items = found.items if isinstance(found, Page) else found
        ids = [getattr(item, table.removesuffix("s"), item).id for item in items]
        assert len(ids) == len(set(ids)), (table, filter)
        assert {(table, id) for id in ids} == those(rows, table, filter), (table, filter)
    assert await c.posts.count_since(space.id, 0) == 2
    assert await c.likes.liked_among(a.id, "post", [post.id, w.posts[3].id]) == {post.id}
    assert await c.follows.counts(b.id) == FollowCounts(followers=2, following=1)
    assert [await c.follows.is_following(*pair) for pair in ((a.id, b.id), (b.id, a.id))] == [True, False]
    assert await c.rsvps.counts(event.id) == RsvpCounts(2, 1, 0)
    assert await c.lesson_progress.of_course(a.id, course.id) == CourseProgress(
        3, 3, 100, {x.id for x in w.lessons[:3]}
    )
    assert await c.notifications.unread_count(a.id) == 2
    assert await c.conversations.unread_count(a.id) == 2
    assert [entry.unread for entry in (await c.conversations.inbox(a.id)).items] == [1, 1]
    assert await c.points.breakdown(a.id) == {"post": 10}
    assert await c.space_visits.unread(a.id) == {item.id: 0 for item in w.spaces}


async def test_every_change_is_of_what_was_asked_for(community: Community) -> None:
    """All that is to change does, and nothing else in the whole database; counters and copies follow."""
    w, c = await World.make(community), community
    (a, b, d), (post, other, *_), (top, *_), (event, _) = w.users, w.posts, w.tops, w.events
    course, module, (lesson, second, third, *_) = w.courses[0], w.modules[0], w.lessons
    (talk, left, _), notification = w.conversations, (await c.notifications.unread(b.id)).items[0]
    entry, reply = (await c.points.history(b.id)).items[0], (await c.comments.replies(top.id)).items[0]
    newest = (await c.messages.history(talk.id, reader_id=a.id)).items[0]
    lessons = {item.id for item in w.lessons[:3]}
    of_a, of_pair = {"userId": a.id}, {"userId": a.id, "courseId": course.id}
    liked, by_a, taken = {"targetType": "post", "targetId": post.id}, {"authorId": a.id}, {"_id": course.id}
    changes: list[tuple[Awaitable[object], dict[str, Filter]]] = [
        (c.likes.unlike(a.id, "post", post.id), {"likes": of_a | liked, "posts": {"_id": post.id}}),
        (c.follows.unfollow(d.id, b.id), {"follows": {"followerId": d.id, "followingId": b.id}}),
        (c.notifications.mark_read(b.id, notification.id), {"notifications": {"_id": notification.id}}),
        (c.notifications.mark_all_read(a.id), {"notifications": of_a | {"read": False}}),
        (c.messages.mark_read(talk.id, a.id), {"messages": {"conversationId": talk.id, "senderId": b.id}}),
        (
            c.messages.delete(newest.id),
            {"messages": {"_id": newest.id}, "conversations": {"_id": talk.id}},
        ),
        (c.reports.resolve("post", post.id, resolver_id=d.id), {"reports": liked}),
        (c.enrollments.open_lesson(b.id, lesson.id), {"enrollments": {"userId": b.id, "courseId": course.id}}),
        (
            c.lesson_progress.reopen(b.id, third.id),
            {
                "lessonProgress": {"userId": b.id, "lessonId": third.id},
                "enrollments": {"userId": b.id, "courseId": course.id},
            },
        ),
        (
            c.enrollments.withdraw(a.id, course.id),
            {"enrollments": of_pair, "lessonProgress": of_a | {"lessonId": lessons}, "courses": taken},
        ),
        (
            c.lessons.delete(lesson.id),
            {
                "lessons": {"moduleId": module.id},
                "lessonProgress": {"lessonId": lesson.id},
                "enrollments": {"courseId": course.id},
                "modules": {"_id": module.id},
                "courses": taken,
            },
        ),
        (
            c.modules.delete(module.id),
            {
                "modules": {"courseId": course.id},
                "lessons": {"moduleId": module.id},
                "lessonProgress": {"lessonId": second.id},
                "enrollments": {"courseId": course.id},
                "courses": taken,
            },
        ),
        (c.lessons.update(third.id, title="New"), {"lessons": {"_id": third.id}}),
        (c.rsvps.set(a.id, event.id, "maybe"), {"rsvps": of_a | {"eventId": event.id}, "events": {"_id": event.id}}),
        (c.rsvps.withdraw(d.id, event.id), {"rsvps": {"userId": d.id, "eventId": event.id}}),
        (c.points.delete(entry.id), {"points": {"_id": entry.id}, "users": {"_id": b.id}}),
        (c.comments.delete(reply.id), {"comments": {"_id": reply.id}, "posts": {"_id": reply.post_id}}),
        (c.posts.pin(other.id), {"posts": {"_id": other.id}, "spaces": {"_id": other.space_id}}),
        (
            c.users.update_profile(a.id, name="New", avatar_storage_id=None),
            {"users": {"_id": a.id}, "posts": by_a, "comments": by_a, "messages": {"senderId": a.id}},
        ),
        (c.conversations.delete(left.id), {"conversations": {"_id": left.id}, "messages": {"conversationId": left.id}}),
    ]
    before = await w.rows()
    for call, filters in changes:
        await call
        after = await w.rows()
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        expected = {key for table, filter in filters.items() for key in those(before, table, filter)}
        assert changed == expected, filters
        before = after
    assert await violations(community.database) == []
