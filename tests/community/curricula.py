"""Small courses for the tests of the repositories."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from datalayer import Community
from datalayer.documents import Course, Lesson, Module


@dataclass(frozen=True)
class Curriculum:
    """A published course with its modules, and its lessons in order."""

    course: Course
    modules: list[Module]
    lessons: list[Lesson]


async def curriculum(community: Community, *sizes: int, title: str = "Sailing") -> Curriculum:
    """A published course, with a module of each size."""
    course = await community.courses.create(title=title)
    modules = [await community.modules.create(course.id, f"Part {number}") for number in range(len(sizes))]
    lessons = [
        await community.lessons.create(module.id, f"{module.title}, {number}")
        for module, size in zip(modules, sizes, strict=True)
        for number in range(size)
    ]
    return Curriculum(await community.courses.publish(course.id), modules, lessons)


async def module_titles(community: Community, course: Course) -> list[str]:
    """The course's modules in order; their places are 0 to n-1."""
    modules = await community.modules.in_course(course.id)
    assert [module.order for module in modules] == list(range(len(modules)))
    return [module.title for module in modules]


async def lesson_titles(community: Community, module: Module) -> list[str]:
    """The module's lessons in order; their places are 0 to n-1."""
    lessons = await community.lessons.in_module(module.id)
    assert [lesson.order for lesson in lessons] == list(range(len(lessons)))
    return [lesson.title for lesson in lessons]


async def overlap(
    community: Community, first: Callable[[], Awaitable[object]], second: Callable[[], Awaitable[object]]
) -> list[object]:
    """What both give, or raise, where the second begins after the first has done its work, but before its commit."""
    worked = asyncio.Event()

    async def work() -> object:
        result = await first()
        worked.set()
        await asyncio.sleep(0.03)
        return result

    async def later() -> object:
        await worked.wait()
        return await second()

    return await asyncio.gather(community.transaction(work), later(), return_exceptions=True)
