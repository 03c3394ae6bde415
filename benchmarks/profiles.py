"""Profiles the client while 32 tasks read feed pages, and while they like posts."""

import asyncio
import cProfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePath
from types import CodeType

from bson import ObjectId

from benchmarks.pairs import seconds
from benchmarks.work import PAGE, Row, post
from datalayer import Community, embedded_server

TASKS, TIMES, TOP = 32, 40, 10
POSTS = 1_000

_PACKAGES = ("pymongo", "bson", "datalayer", "benchmarks", "pydantic", "asyncio")

_OF_C = {"_cbson": "bson", "_cmessage": "pymongo", "_socket": "the socket", "epoll": "waiting for the server"}
"""C functions have no file: the package, by a part of their names."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The shares of the client's time, the largest first."""

    packages: list[tuple[str, float]]
    functions: list[tuple[str, float]]


Results = dict[str, Profile]
"""By the work."""


def _shares(profile: cProfile.Profile) -> Profile:
    own: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for entry in profile.getstats():
        file, function = ("~", entry.code) if isinstance(entry.code, str) else _place(entry.code)
        own[_name(file, function)] += entry.inlinetime  # pyright: ignore[reportArgumentType]
        packages[_package(file, function)] += entry.inlinetime  # pyright: ignore[reportArgumentType]
    total = own.total()
    return Profile(
        [(name, spent / total) for name, spent in packages.most_common()],
        [(name, spent / total) for name, spent in own.most_common(TOP)],
    )


def _place(code: CodeType) -> tuple[str, str]:
    return code.co_filename, code.co_name


def _package(file: str, function: str) -> str:
    if file == "~":
        return next((package for part, package in _OF_C.items() if part in function), "built-in functions")
    if file.startswith("<load"):
        return "datalayer"
    return next((package for package in _PACKAGES if package in PurePath(file).parts), "the rest of Python")


def _name(file: str, function: str) -> str:
    if file == "~":
        return function.strip("<>")
    parts = PurePath(file).parts
    # Show the path from the package on.
    start = next((place for place, part in enumerate(parts) if part in _PACKAGES), -1)
    return f"{'/'.join(parts[start:])}: {function.strip('<>')}"


async def _profiled(call: Callable[[], Awaitable[object]]) -> Profile:
    await seconds(call, tasks=TASKS, times=2)
    profile = cProfile.Profile()
    profile.enable()
    await seconds(call, tasks=TASKS, times=TIMES)
    profile.disable()
    return _shares(profile)


async def measure() -> Results:
    """Both."""
    async with embedded_server() as uri, Community.connect(uri) as community:
        space = await community.spaces.create(name="General")
        rows: list[Row] = [{"_id": ObjectId(), **post(space.id, number)} for number in range(POSTS)]
        await community.database.posts.insert_many(rows)
        users = [(await community.users.create(name=f"User {number}")).id for number in range(TASKS)]
        target = await community.posts.create(space.id, users[0], content="c", content_html="c")
        turn = iter(range(TASKS * (TIMES + 2)))

        async def toggle() -> object:
            return await community.likes.toggle(users[next(turn) % TASKS], "post", target.id)

        return {
            f"a feed page of {PAGE}": await _profiled(lambda: community.posts.feed(space.id, limit=PAGE)),
            "a like of one post, toggled": await _profiled(toggle),
        }


if __name__ == "__main__":
    for work, profile in asyncio.run(measure()).items():
        print(work)
        for name, share in [*profile.packages, *profile.functions]:
            print(f"  {share:5.1%}  {name}")
