"""How an example call of a method is written down."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from datalayer.errors import DataLayerError
from tests.plans.world import World

FACTOR, SEEKS = 1.2, 5

Run = Callable[..., Awaitable[Any]]

Cost = dict[str, Any]
"""The arguments of a `Call` that say what it costs, for several."""


@dataclass(frozen=True)
class Call:
    """A call, and what its queries may cost: `factor` keys for each document that is returned or changed, and `seeks`.

    Attributes:
        method: The attribute of the database, and the method.
        run: Gets the world, and what `before` gave if there is one.
        case: What is particular about this call.
        before: What has to be there first. Its commands are not looked at.
        why: Why it costs more than `FACTOR` keys for each, or counts documents instead of returning them.
        raises: What it ends in.
    """

    method: str
    run: Run
    case: str = ""
    before: Callable[[World], Awaitable[Any]] | None = None
    factor: float = FACTOR
    seeks: int = SEEKS
    why: str = ""
    raises: type[DataLayerError] | None = None

    def __str__(self) -> str:
        return f"{self.method} ({self.case})" if self.case else self.method


BOTH: Any = {"reward": True, "notify": True}
"""The arguments for everything that follows from an act."""


ALL_LEVELS: Cost = {"seeks": 25, "why": "a key for each level; there are 20 at most"}


async def promising(world: World) -> Any:
    """A new user whose next points lead to the second level."""
    (_, second, *_) = await world.c.levels.list()
    user = await world.c.users.create(name="New")
    await world.c.gamification_config.set("welcome", second.threshold - 1)
    await world.c.points.award(user.id, "welcome")
    return user.id


def pages(method: str, run: Run, case: str = "", **cost: Any) -> list[Call]:
    """The calls for a first page and for the one that follows; `run` gets the world and a cursor."""

    async def cursor(world: World) -> str:
        page = await run(world, None)
        assert page.next is not None, f"{method} has one page only"
        return page.next

    first, later = (f"{case}, {which}".removeprefix(", ") for which in ("first page", "later page"))
    return [
        Call(method, lambda world: run(world, None), first, **cost),
        Call(method, run, later, before=cursor, **cost),
    ]
