"""Creates documents of a community for tests, through its repositories, so that every rule holds."""

import html

from datalayer.database import Community
from datalayer.documents import (
    Comment,
    CommunitySettings,
    Conversation,
    Course,
    Enrollment,
    Event,
    Follow,
    GamificationRule,
    Lesson,
    LessonProgress,
    Level,
    Like,
    Membership,
    Message,
    Module,
    Notification,
    PointsEntry,
    Post,
    Recurrence,
    Report,
    Rsvp,
    Space,
    SpaceVisit,
    User,
)
from datalayer.documents.courses import CourseStatus
from datalayer.documents.events import RsvpStatus
from datalayer.documents.memberships import MembershipStatus
from datalayer.documents.spaces import PostPermission, Visibility
from datalayer.documents.users import ProfileVisibility, Role
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.clock import DAY, HOUR
from datalayer.engine.fields import Json, StorageId
from datalayer.errors import InvalidInputError
from datalayer.ids import CommentId, ConversationId, CourseId, EventId, LessonId, ModuleId, PostId, SpaceId, UserId
from datalayer.repositories.levels import DEFAULT_LEVELS, LevelFields
from datalayer.testing.references import Numbers, document_of, id_of, stored


class Factories:
    """Creates documents of a community: `make = Factories(community)`, then `post = await make.post(author=ada)`.

    There is one method for each collection. Required documents that you omit are created: a post gets its own space and
    author. Optional fields that you omit stay absent. Pass other documents either as documents or as ids. Names are
    numbered, and nothing is random.
    """

    def __init__(self, community: Community) -> None:
        self._community = community
        self._named = Numbers().name

    # People

    async def user(
        self,
        *,
        name: str | Unset | None = UNSET,
        auth_user_id: str | None = None,
        bio: str | None = None,
        visibility: ProfileVisibility = "public",
        role: Role = "member",
        avatar_storage_id: StorageId | None = None,
    ) -> User:
        """Create a user."""
        return await self._community.users.create(
            name=self._named("User") if isinstance(name, Unset) else name,
            auth_user_id=auth_user_id,
            bio=bio,
            visibility=visibility,
            role=role,
            avatar_storage_id=avatar_storage_id,
        )

    async def follow(self, *, follower: User | UserId | None = None, following: User | UserId | None = None) -> Follow:
        """Create a follow."""
        follower_id, following_id = await id_of(follower, self.user), await id_of(following, self.user)
        return (await self._community.follows.follow(follower_id, following_id)).follow

    async def membership(
        self,
        *,
        user: User | UserId | None = None,
        tier: str | None = None,
        status: MembershipStatus = "active",
        current_period_end: int | None = None,
        customer_id: str | None = None,
        subscription_id: str | None = None,
    ) -> Membership:
        """Create a user's membership: free, or, with a tier, as a Stripe event reports it."""
        user_id, memberships = await id_of(user, self.user), self._community.memberships
        if tier is not None:
            await memberships.apply_stripe_event(
                event_id=self._named("event"),
                created=self._community.clock(),
                user_id=user_id,
                customer_id=customer_id,
                subscription_id=subscription_id,
                status=status,
                tier=tier,
                current_period_end=current_period_end,
            )
        return await memberships.ensure(user_id)

    async def notification(
        self,
        *,
        user: User | UserId | None = None,
        type: str = "mention",
        actor: User | UserId | None = None,
        data: Json = None,
    ) -> Notification:
        """Create a notification for a user, optionally with an actor."""
        user_id = await id_of(user, self.user)
        actor_id = None if actor is None else await id_of(actor, self.user)
        notification = await self._community.notifications.notify(user_id, type, actor_id=actor_id, data=data)
        if notification is None:
            raise InvalidInputError("actor", "is the recipient: users get no notifications about their own acts")
        return notification

    async def conversation(
        self, *, user: User | UserId | None = None, other: User | UserId | None = None
    ) -> Conversation:
        """Create the conversation of two users, or return the existing one."""
        return await self._community.conversations.open(await id_of(user, self.user), await id_of(other, self.user))

    async def message(
        self,
        *,
        conversation: Conversation | ConversationId | None = None,
        sender: User | UserId | None = None,
        content: str | None = None,
    ) -> Message:
        """Create a message. The sender defaults to the first participant."""
        conversation = conversation or await self.conversation(user=sender)
        between = await document_of(conversation, self._community.conversations)
        sender_id = await id_of(sender or between.participant_ids[0], self.user)
        return await self._community.messages.send(between.id, sender_id, self._named("Message", content))

    # Spaces, and what is written there

    async def space(
        self,
        *,
        name: str | None = None,
        visibility: Visibility = "public",
        post_permission: PostPermission = "all",
        description: str | None = None,
        icon: str | None = None,
        required_tier: str | None = None,
    ) -> Space:
        """Create a space, the last in order."""
        return await self._community.spaces.create(
            name=self._named("Space", name),
            visibility=visibility,
            post_permission=post_permission,
            description=description,
            icon=icon,
            required_tier=required_tier,
        )

    async def space_visit(
        self, *, user: User | UserId | None = None, space: Space | SpaceId | None = None
    ) -> SpaceVisit:
        """Record a user's visit to a space."""
        return await self._community.space_visits.record(await id_of(user, self.user), await id_of(space, self.space))

    async def post(
        self,
        *,
        space: Space | SpaceId | None = None,
        author: User | UserId | None = None,
        content: str | None = None,
        content_html: str | None = None,
        title: str | None = None,
        media_ids: list[StorageId] | None = None,
    ) -> Post:
        """Create a post. Its HTML defaults to a paragraph with the content."""
        content = self._named("Post", content)
        return await self._community.posts.create(
            await id_of(space, self.space),
            await id_of(author, self.user),
            content=content,
            content_html=f"<p>{html.escape(content)}</p>" if content_html is None else content_html,
            title=title,
            media_ids=media_ids,
        )

    async def comment(
        self,
        *,
        post: Post | PostId | None = None,
        author: User | UserId | None = None,
        content: str | None = None,
        parent: Comment | CommentId | None = None,
    ) -> Comment:
        """Create a comment; with a parent, a reply on the parent's post."""
        above = None if parent is None else await document_of(parent, self._community.comments)
        if post is None and above is not None:
            post = above.post_id
        return await self._community.comments.create(
            await id_of(post, self.post),
            await id_of(author, self.user),
            self._named("Comment", content),
            parent_id=None if above is None else above.id,
        )

    async def like(
        self,
        *,
        user: User | UserId | None = None,
        post: Post | PostId | None = None,
        comment: Comment | CommentId | None = None,
    ) -> Like:
        """Create a like of a comment or of a post."""
        user_id = await id_of(user, self.user)
        if comment is None:
            type, id = "post", await id_of(post, self.post)
        else:
            type, id = "comment", await id_of(comment, self.comment)
        await self._community.likes.like(user_id, type, id)
        return await stored(self._community, Like, userId=user_id, targetType=type, targetId=id)

    async def report(
        self,
        *,
        reporter: User | UserId | None = None,
        post: Post | PostId | None = None,
        comment: Comment | CommentId | None = None,
        user: User | UserId | None = None,
        reason: str | None = None,
    ) -> Report:
        """Create a pending report of a user, comment or post."""
        reporter_id, reason = await id_of(reporter, self.user), self._named("Reason", reason)
        if user is not None:
            return await self._community.reports.file(reporter_id, "user", await id_of(user, self.user), reason)
        if comment is not None:
            return await self._community.reports.file(
                reporter_id, "comment", await id_of(comment, self.comment), reason
            )
        return await self._community.reports.file(reporter_id, "post", await id_of(post, self.post), reason)

    # Courses

    async def course(
        self,
        *,
        title: str | None = None,
        status: CourseStatus = "published",
        visibility: Visibility = "public",
        description: str | None = None,
        description_html: str | None = None,
        thumbnail_storage_id: StorageId | None = None,
        required_tier: str | None = None,
    ) -> Course:
        """Create a course without lessons. Published by default, so that users can enroll."""
        course = await self._community.courses.create(
            title=self._named("Course", title),
            visibility=visibility,
            description=description,
            description_html=description_html,
            thumbnail_storage_id=thumbnail_storage_id,
            required_tier=required_tier,
        )
        return await self._community.courses.publish(course.id) if status == "published" else course

    async def module(self, *, course: Course | CourseId | None = None, title: str | None = None) -> Module:
        """Create a module, the last of its course."""
        return await self._community.modules.create(await id_of(course, self.course), self._named("Module", title))

    async def lesson(
        self,
        *,
        module: Module | ModuleId | None = None,
        title: str | None = None,
        content: str | None = None,
        content_html: str | None = None,
        video_url: str | None = None,
        attachment_ids: list[StorageId] | None = None,
    ) -> Lesson:
        """Create a lesson, the last of its module."""
        return await self._community.lessons.create(
            await id_of(module, self.module),
            self._named("Lesson", title),
            content=content,
            content_html=content_html,
            video_url=video_url,
            attachment_ids=attachment_ids,
        )

    async def enrollment(
        self, *, user: User | UserId | None = None, course: Course | CourseId | None = None
    ) -> Enrollment:
        """Enroll a user in a course."""
        user_id, course_id = await id_of(user, self.user), await id_of(course, self.course)
        return (await self._community.enrollments.enroll(user_id, course_id)).enrollment

    async def lesson_progress(
        self, *, user: User | UserId | None = None, lesson: Lesson | LessonId | None = None
    ) -> LessonProgress:
        """Complete a lesson for a user, after enrolling the user in its course if needed."""
        user_id, lesson_id = await id_of(user, self.user), await id_of(lesson, self.lesson)
        module = await self._community.modules.get((await self._community.lessons.get(lesson_id)).module_id)
        await self._community.enrollments.enroll(user_id, module.course_id)
        await self._community.lesson_progress.complete(user_id, lesson_id)
        return await stored(self._community, LessonProgress, userId=user_id, lessonId=lesson_id)

    # Events

    async def event(
        self,
        *,
        title: str | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        description: str | None = None,
        description_html: str | None = None,
        location: str | None = None,
        capacity: int | None = None,
        cover_storage_id: StorageId | None = None,
        recurrence: Recurrence | None = None,
    ) -> Event:
        """Create an event. Defaults to a one-hour event that starts in a day."""
        start_time = self._community.clock() + DAY if start_time is None else start_time
        return await self._community.events.create(
            title=self._named("Event", title),
            start_time=start_time,
            end_time=start_time + HOUR if end_time is None else end_time,
            description=description,
            description_html=description_html,
            location=location,
            capacity=capacity,
            cover_storage_id=cover_storage_id,
            recurrence=recurrence,
        )

    async def rsvp(
        self, *, user: User | UserId | None = None, event: Event | EventId | None = None, status: RsvpStatus = "going"
    ) -> Rsvp:
        """Create a user's RSVP to an event."""
        user_id, event_id = await id_of(user, self.user), await id_of(event, self.event)
        return (await self._community.rsvps.set(user_id, event_id, status)).rsvp

    # Points, and the settings

    async def gamification_rule(self, *, action: str | None = None, point_value: int = 10) -> GamificationRule:
        """Set the points for an action."""
        return await self._community.gamification_config.set(self._named("action", action), point_value)

    async def points_entry(
        self, *, user: User | UserId | None = None, action: str = "post", amount: int | None = None
    ) -> PointsEntry:
        """Award points to a user, each time for a new cause.

        The amount is that of the action's rule. If an amount is given, the rule is set to it first. If the action
        awards no points yet, its rule is set to 10.
        """
        user_id, reference_id = await id_of(user, self.user), self._named("cause")
        if amount is not None or await self._community.gamification_config.value_of(action) == 0:
            await self._community.gamification_config.set(action, 10 if amount is None else amount)
        await self._community.points.award(user_id, action, reference_type="factory", reference_id=reference_id)
        return await stored(self._community, PointsEntry, userId=user_id, action=action, referenceId=reference_id)

    async def level(self, *, name: str | None = None, threshold: int | None = None, color: str | None = None) -> Level:
        """Create a level above the existing ones. The first call creates the third level: there are at least two."""
        levels = await self._community.levels.list()
        top = levels[-1].threshold if levels else DEFAULT_LEVELS[1]["threshold"]
        new: LevelFields = {
            "name": self._named("Level", name),
            "threshold": top + 100 if threshold is None else threshold,
            "color": color,
        }
        return (await self._community.levels.replace([*(levels or DEFAULT_LEVELS[:2]), new]))[-1]

    async def community_settings(
        self,
        *,
        name: str | None = None,
        logo_storage_id: StorageId | Unset | None = UNSET,
        favicon_storage_id: StorageId | Unset | None = UNSET,
        primary_color: str | Unset | None = UNSET,
        custom_domain: str | Unset | None = UNSET,
        stripe_connected_account_id: str | Unset | None = UNSET,
    ) -> CommunitySettings:
        """Set the community settings, a single document."""
        return await self._community.community_settings.update(
            name=self._named("Community", name),
            logo_storage_id=logo_storage_id,
            favicon_storage_id=favicon_storage_id,
            primary_color=primary_color,
            custom_domain=custom_domain,
            stripe_connected_account_id=stripe_connected_account_id,
        )
