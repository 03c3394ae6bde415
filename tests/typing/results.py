"""What the type checkers know of the results. This module is checked (`make check`), and never run."""

from collections.abc import Sequence
from typing import Any, assert_type

from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community, Page, Stories, embedded_server, errors
from datalayer import documents as d
from datalayer import ids as i
from datalayer.repositories.comments import CommentThread
from datalayer.repositories.conversations import InboxEntry
from datalayer.repositories.courses import CourseOutline, ModuleOutline
from datalayer.repositories.enrollments import EnrollResult
from datalayer.repositories.events import Occurrence
from datalayer.repositories.follows import FollowResult
from datalayer.repositories.lesson_progress import CourseProgress
from datalayer.repositories.likes import LikeResult
from datalayer.repositories.points import Award, LeaderboardEntry
from datalayer.repositories.reports import ModerationCase
from datalayer.repositories.rsvps import RsvpResult
from datalayer.repositories.scenes import GenerationTicket
from datalayer.repositories.stories import ChapterNode, SceneSummary, StoryTree
from datalayer.repositories.users import Ensured


async def databases(database: AsyncDatabase[dict[str, Any]]) -> None:
    async with embedded_server() as uri, Community.connect(uri) as community, Stories.connect(uri) as stories:
        assert_type(uri, str)
        assert_type(community, Community)
        assert_type(stories, Stories)
    async with Community.over(database, schema="verify", clock=lambda: 0) as over:
        assert_type(over, Community)
        assert_type(over.database, AsyncDatabase[dict[str, Any]])


async def transactions(community: Community, post: i.PostId) -> None:
    async def read() -> d.Post:
        return await community.posts.get(post)

    async def look() -> dict[i.PostId, d.Post] | None:
        return await community.posts.get_many([post])

    assert_type(await community.transaction(read), d.Post)
    assert_type(await community.transaction(look), dict[i.PostId, d.Post] | None)


async def common_methods(community: Community, post: i.PostId) -> None:
    posts = community.posts
    assert_type(await posts.find(post), d.Post | None)
    assert_type(await posts.get_many({post}), dict[i.PostId, d.Post])
    assert_type(await posts.restore(post), d.Post)


async def lists(community: Community, user: i.UserId, post: i.PostId) -> None:
    page = await community.posts.recent(limit=10, after=None)
    assert_type(page, Page[d.Post])
    assert_type(page.items, list[d.Post])
    assert_type(page.next, str | None)
    threads = await community.comments.thread(post)
    assert_type(threads, Page[CommentThread])
    assert_type(threads.items[0].comment, d.Comment)
    assert_type(threads.items[0].replies, list[d.Comment])
    assert_type(await community.conversations.inbox(user), Page[InboxEntry])
    assert_type(await community.reports.queue(), Page[ModerationCase])
    assert_type(await community.points.leaderboard("week"), list[LeaderboardEntry])
    assert_type(await community.events.between(0, 1), list[Occurrence])


async def likes(community: Community, user: i.UserId, posts: Sequence[i.PostId], comments: set[i.CommentId]) -> None:
    """The ids that come back are of the kind that was asked for."""
    assert_type(await community.likes.liked_among(user, "post", posts), set[i.PostId])
    assert_type(await community.likes.liked_among(user, "comment", comments), set[i.CommentId])
    result = await community.likes.toggle(user, "post", posts[0])
    assert_type(result, LikeResult)
    assert_type(result.liked, bool)
    assert_type(result.like_count, int)
    assert_type(result.newly, bool)


async def changes(community: Community, user: i.UserId, event: i.EventId, course: i.CourseId) -> None:
    """What says whether it changed anything has the document, too."""
    assert_type(await community.follows.follow(user, user), FollowResult)
    assert_type(await community.enrollments.enroll(user, course), EnrollResult)
    assert_type(await community.rsvps.set(user, event, "going"), RsvpResult)
    assert_type(await community.users.ensure("account"), Ensured)


async def learning(community: Community, user: i.UserId, course: i.CourseId) -> None:
    outline = await community.courses.outline(course)
    assert_type(outline, CourseOutline)
    assert_type(outline.modules, list[ModuleOutline])
    assert_type(outline.modules[0].lessons, list[d.Lesson])
    assert_type(await community.enrollments.resume(user, course), i.LessonId | None)
    progress = await community.lesson_progress.of_courses(user, [course])
    assert_type(progress, dict[i.CourseId, CourseProgress])
    assert_type(progress[course].lesson_ids, set[i.LessonId])
    assert_type(await community.points.award(user, "post"), Award | None)
    assert_type(await community.space_visits.unread(user), dict[i.SpaceId, int])


async def telling(stories: Stories, story: i.StoryId, scene: i.SceneId) -> None:
    tree = await stories.stories.tree(story)
    assert_type(tree, StoryTree)
    assert_type(tree.chapters, list[ChapterNode])
    assert_type(tree.chapters[0].scenes, list[SceneSummary])
    ticket = await stories.scenes.request_generation(scene)
    assert_type(ticket, GenerationTicket)
    assert_type(ticket.token, i.GenerationToken)


async def updates(community: Community, user: i.UserId, space: i.SpaceId) -> None:
    """`None` removes what may be absent."""
    await community.users.update_profile(user, name=None, bio=None)
    await community.spaces.update(space, description=None)
    await community.users.update_notification_prefs(user, email_replies=False)


def problems(
    error: errors.DataLayerError,
    exists: errors.AlreadyExistsError,
    invalid: errors.InvalidInputError,
    drift: errors.SchemaDriftError,
) -> None:
    assert_type(error.code, str)
    assert_type(error.message, str)
    assert_type(error.hint, str | None)
    assert_type(exists.index, str | None)
    assert_type(exists.fields, dict[str, object])
    assert_type(invalid.field, str)
    assert_type(invalid.reason, str)
    assert_type(drift.differences, tuple[str, ...])


async def documents_as_in_beanie(space: i.SpaceId) -> None:
    found = await d.Post.find_one(d.Post.space_id == space)
    assert_type(found, d.Post | None)
