"""What all tasks of a load write to."""

import json
from dataclasses import dataclass
from typing import Any, Self

from bson import ObjectId

from datalayer import Community, Stories
from datalayer.engine.clock import DAY

SEATS = 5


@dataclass(frozen=True)
class World:
    """A few documents, by their ids, that everybody writes to at once; and one post that nobody does."""

    rooms: list[Any]
    spaces: list[Any]
    posts: list[Any]
    stars: list[Any]
    courses: list[Any]
    modules: list[Any]
    lessons: list[Any]
    events: list[Any]
    chapters: list[Any]
    still: list[Any]

    @classmethod
    async def create(cls, community: Community, stories: Stories) -> Self:
        """Rooms that stay and spaces that come and go, posts that are liked, an event of few seats, a course."""
        await community.gamification_config.install_defaults()
        await community.levels.install_defaults()
        stars = [(await community.users.create(name=f"star-{n} 0", role="admin")).id for n in range(3)]
        rooms = [(await community.spaces.create(name=f"Room {n}")).id for n in range(4)]
        spaces = [(await community.spaces.create(name=f"Space {n}")).id for n in range(4)]

        async def post(n: int) -> Any:
            return (await community.posts.create(rooms[0], stars[0], content=f"hot-{n} 0", content_html="p")).id

        course = await community.courses.create(title="Course")
        modules = [(await community.modules.create(course.id, f"Module {n}")).id for n in range(2)]
        lessons = [(await community.lessons.create(modules[n % 2], f"Lesson {n}")).id for n in range(6)]
        await community.courses.publish(course.id)
        start = community._connection.now() + DAY
        event = await community.events.create(title="Event", start_time=start, end_time=start + DAY, capacity=SEATS)
        chapters = await stories.chapters.in_story((await stories.stories.create("Story")).id)
        return cls(
            rooms=rooms,
            spaces=spaces,
            posts=[await post(n) for n in range(3)],
            stars=stars,
            courses=[course.id],
            modules=modules,
            lessons=lessons,
            events=[event.id],
            chapters=[chapter.id for chapter in chapters[:2]],
            still=[await post(3)],
        )

    def dumped(self) -> str:
        """The ids as text, for another process."""
        return json.dumps({kind: [str(id) for id in ids] for kind, ids in vars(self).items()})

    @classmethod
    def loaded(cls, text: str) -> Self:
        """The world of another process."""
        return cls(**{kind: [ObjectId(id) for id in ids] for kind, ids in json.loads(text).items()})
