"""Each table has a document and an id type of its own, and no other id is taken for it.

This module is checked (`make check`), and never run. Where a `type: ignore` stands, pyright and mypy refuse the line;
both complain of one that they do not need.
"""

from typing import assert_type

from bson import ObjectId

from datalayer import Community, Stories
from datalayer import documents as d
from datalayer import ids as i

ID = ObjectId()


async def documents_of_the_community(community: Community) -> None:
    user = await community.users.get(i.UserId(ID))
    assert_type((user, user.id), tuple[d.User, i.UserId])
    space = await community.spaces.get(i.SpaceId(ID))
    assert_type((space, space.id), tuple[d.Space, i.SpaceId])
    space_visit = await community.space_visits.get(i.SpaceVisitId(ID))
    assert_type((space_visit, space_visit.id), tuple[d.SpaceVisit, i.SpaceVisitId])
    post = await community.posts.get(i.PostId(ID))
    assert_type((post, post.id), tuple[d.Post, i.PostId])
    comment = await community.comments.get(i.CommentId(ID))
    assert_type((comment, comment.id), tuple[d.Comment, i.CommentId])
    like = await community.likes.get(i.LikeId(ID))
    assert_type((like, like.id), tuple[d.Like, i.LikeId])
    follow = await community.follows.get(i.FollowId(ID))
    assert_type((follow, follow.id), tuple[d.Follow, i.FollowId])
    course = await community.courses.get(i.CourseId(ID))
    assert_type((course, course.id), tuple[d.Course, i.CourseId])
    module = await community.modules.get(i.ModuleId(ID))
    assert_type((module, module.id), tuple[d.Module, i.ModuleId])
    lesson = await community.lessons.get(i.LessonId(ID))
    assert_type((lesson, lesson.id), tuple[d.Lesson, i.LessonId])
    enrollment = await community.enrollments.get(i.EnrollmentId(ID))
    assert_type((enrollment, enrollment.id), tuple[d.Enrollment, i.EnrollmentId])
    lesson_progress = await community.lesson_progress.get(i.LessonProgressId(ID))
    assert_type((lesson_progress, lesson_progress.id), tuple[d.LessonProgress, i.LessonProgressId])
    event = await community.events.get(i.EventId(ID))
    assert_type((event, event.id), tuple[d.Event, i.EventId])
    rsvp = await community.rsvps.get(i.RsvpId(ID))
    assert_type((rsvp, rsvp.id), tuple[d.Rsvp, i.RsvpId])
    membership = await community.memberships.get(i.MembershipId(ID))
    assert_type((membership, membership.id), tuple[d.Membership, i.MembershipId])
    notification = await community.notifications.get(i.NotificationId(ID))
    assert_type((notification, notification.id), tuple[d.Notification, i.NotificationId])
    conversation = await community.conversations.get(i.ConversationId(ID))
    assert_type((conversation, conversation.id), tuple[d.Conversation, i.ConversationId])
    message = await community.messages.get(i.MessageId(ID))
    assert_type((message, message.id), tuple[d.Message, i.MessageId])
    points_entry = await community.points.get(i.PointsEntryId(ID))
    assert_type((points_entry, points_entry.id), tuple[d.PointsEntry, i.PointsEntryId])
    gamification_rule = await community.gamification_config.get(i.GamificationRuleId(ID))
    assert_type((gamification_rule, gamification_rule.id), tuple[d.GamificationRule, i.GamificationRuleId])
    level = await community.levels.get(i.LevelId(ID))
    assert_type((level, level.id), tuple[d.Level, i.LevelId])
    report = await community.reports.get(i.ReportId(ID))
    assert_type((report, report.id), tuple[d.Report, i.ReportId])
    community_settings = await community.community_settings.get(i.CommunitySettingsId(ID))
    assert_type((community_settings, community_settings.id), tuple[d.CommunitySettings, i.CommunitySettingsId])


async def documents_of_the_stories(stories: Stories) -> None:
    story = await stories.stories.get(i.StoryId(ID))
    assert_type((story, story.id), tuple[d.Story, i.StoryId])
    chapter = await stories.chapters.get(i.ChapterId(ID))
    assert_type((chapter, chapter.id), tuple[d.Chapter, i.ChapterId])
    scene = await stories.scenes.get(i.SceneId(ID))
    assert_type((scene, scene.id), tuple[d.Scene, i.SceneId])
    character = await stories.characters.get(i.CharacterId(ID))
    assert_type((character, character.id), tuple[d.Character, i.CharacterId])


async def other_ids_in_the_community(community: Community) -> None:
    await community.users.get(i.CommunitySettingsId(ID))  # type: ignore[arg-type]
    await community.spaces.get(i.UserId(ID))  # type: ignore[arg-type]
    await community.space_visits.get(i.SpaceId(ID))  # type: ignore[arg-type]
    await community.posts.get(i.SpaceVisitId(ID))  # type: ignore[arg-type]
    await community.comments.get(i.PostId(ID))  # type: ignore[arg-type]
    await community.likes.get(i.CommentId(ID))  # type: ignore[arg-type]
    await community.follows.get(i.LikeId(ID))  # type: ignore[arg-type]
    await community.courses.get(i.FollowId(ID))  # type: ignore[arg-type]
    await community.modules.get(i.CourseId(ID))  # type: ignore[arg-type]
    await community.lessons.get(i.ModuleId(ID))  # type: ignore[arg-type]
    await community.enrollments.get(i.LessonId(ID))  # type: ignore[arg-type]
    await community.lesson_progress.get(i.EnrollmentId(ID))  # type: ignore[arg-type]
    await community.events.get(i.LessonProgressId(ID))  # type: ignore[arg-type]
    await community.rsvps.get(i.EventId(ID))  # type: ignore[arg-type]
    await community.memberships.get(i.RsvpId(ID))  # type: ignore[arg-type]
    await community.notifications.get(i.MembershipId(ID))  # type: ignore[arg-type]
    await community.conversations.get(i.NotificationId(ID))  # type: ignore[arg-type]
    await community.messages.get(i.ConversationId(ID))  # type: ignore[arg-type]
    await community.points.get(i.MessageId(ID))  # type: ignore[arg-type]
    await community.gamification_config.get(i.PointsEntryId(ID))  # type: ignore[arg-type]
    await community.levels.get(i.GamificationRuleId(ID))  # type: ignore[arg-type]
    await community.reports.get(i.LevelId(ID))  # type: ignore[arg-type]
    await community.community_settings.get(i.ReportId(ID))  # type: ignore[arg-type]


async def other_ids_in_the_stories(stories: Stories) -> None:
    await stories.stories.get(i.CharacterId(ID))  # type: ignore[arg-type]
    await stories.chapters.get(i.StoryId(ID))  # type: ignore[arg-type]
    await stories.scenes.get(i.ChapterId(ID))  # type: ignore[arg-type]
    await stories.characters.get(i.SceneId(ID))  # type: ignore[arg-type]
