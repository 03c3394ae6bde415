"""The description of a world: the amount of each kind of data."""

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, model_validator

from datalayer.engine.clock import DAY

Number = Annotated[int, Ge(0)]
Some = Annotated[int, Ge(1)]
Mean = Annotated[float, Ge(0), Le(50)]

# Less than `PRIME`, whose steps choose distinct users for the likes of a target.
People = Annotated[int, Ge(1), Le(1_000_000)]

# An id begins with four bytes of seconds since 1970.
Moment = Annotated[int, Ge(0), Le(4_294_967_295_999)]

BEFORE_START = 7 * DAY
"""How long before the opening of the community its founders join and create the spaces."""


class World(BaseModel):
    """The amount of each kind of data in a seeded database. Equal worlds give identical data, byte for byte.

    Attributes:
        seed: The random seed.
        now: The present time of the world in Unix milliseconds; the system clock is not used.
        days: The age of the community at that time.
        founders: The number of users from the first day, who are the most active. Nothing has more likes than this.
        rewarded_posts: The number of newest posts that earned points and notifications, as did their comments and
            likes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seed: int
    now: Moment
    days: Some
    users: People
    founders: Some
    admins: Some
    moderators: Number
    posts: Some
    likes_per_post: Mean
    comments_per_post: Mean
    likes_per_comment: Mean
    rewarded_posts: Number
    follows_per_user: Number
    courses: Some
    enrollments_per_course: Number
    events: Some
    rsvps_per_event: Number
    conversations: Number
    messages_per_conversation: Some
    reports: Number
    stories: Some

    @model_validator(mode="after")
    def _refuse_impossible(self) -> "World":
        if self.start < BEFORE_START:
            raise ValueError("days must not reach back to 1970")
        if not self.admins + self.moderators + 10 <= self.founders <= self.users:
            raise ValueError("founders must be at least admins + moderators + 10, and at most users")
        if max(self.rewarded_posts, self.reports) > self.posts:
            raise ValueError("rewarded_posts and reports must be at most posts")
        if max(self.likes_per_post, self.comments_per_post, self.likes_per_comment) * 2 > self.founders:
            raise ValueError("likes_per_post, comments_per_post and likes_per_comment must be at most half of founders")
        if self.follows_per_user * 2 > self.founders:
            raise ValueError("follows_per_user must be at most half of founders")
        if max(self.enrollments_per_course, self.rsvps_per_event) > self.founders:
            raise ValueError("enrollments_per_course and rsvps_per_event must be at most founders")
        if self.conversations > self.users * (self.users - 1) // 4:
            raise ValueError("conversations must be at most half of the pairs of users")
        return self

    @property
    def start(self) -> int:
        """The time at which the community opened, in Unix milliseconds."""
        return self.now - self.days * DAY

    def at(self, part: float) -> int:
        """Return the time by which this share (0 to 1) of everything had happened. Activity increases over time."""
        return self.start + int((self.now - self.start) * part**0.7)

    def between(self, moment: int, days: float) -> int:
        """Return the number of milliseconds between `moment` and `days` later, but no later than `now`."""
        return min(self.now - moment, int(days * DAY))
