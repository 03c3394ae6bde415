"""One task of a load: two users, what is theirs, and what it may do next."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from datalayer import Community, Stories
from datalayer.errors import DataLayerError
from tests.reliability.ledger import Ledger, flag, no_flag
from tests.reliability.world import World

T = TypeVar("T")

OWN = 12
"""How many of its own documents of a kind a task goes on writing to."""


@dataclass(frozen=True)
class Thing:
    """A document of the worker's own, whose creation was acknowledged."""

    marker: str
    id: Any


class Worker:
    """Two users and what they do. Nobody else writes to what is theirs; all write to the world.

    What a change of unknown outcome was about is not written to again: it may be there or not.
    """

    def __init__(self, name: str, world: World, community: Community, stories: Stories, ledger: Ledger) -> None:
        self.name, self.world, self.community, self.stories, self.ledger = name, world, community, stories, ledger
        self.random = Random(name)  # noqa: S311 - the same load again, no secret
        self.users: list[Thing] = []
        self.posts: deque[Thing] = deque(maxlen=OWN)
        self.comments: deque[tuple[Thing, Any]] = deque(maxlen=OWN)
        self.messages: deque[Thing] = deque(maxlen=OWN)
        self.notifications: deque[tuple[Thing, Any]] = deque(maxlen=OWN)
        self.scenes: deque[Thing] = deque()
        self.unread: list[str] = []
        self.conversation: Any = None
        self._count = 0

    def marker(self, kind: str = "") -> str:
        """A word that nothing else begins with."""
        self._count += 1
        return f"{kind}{self.name}-{self._count}"

    def number(self) -> str:
        """The next version of a text."""
        return str(self.random.randrange(1_000))

    def pick(self, things: Sequence[T]) -> T:
        """One of them."""
        return things[self.random.randrange(len(things))]

    def user(self) -> Any:
        """The id of one of the two users."""
        return self.pick(self.users).id

    async def remove_and_restore(self, repository: Any, thing: Thing) -> None:
        """Mark one of its own documents as deleted, and mostly take that back."""
        register = (repository.document.Settings.name, thing.marker)
        with self.ledger.changing({register: lambda value: flag("deleted")(no_flag("pinned")(value))}):
            await repository.delete(thing.id)
        if self.random.random() < 0.7:
            with self.ledger.changing({register: no_flag("deleted")}):
                await repository.restore(thing.id)


@dataclass(frozen=True)
class Operation:
    """Something that a worker does.

    Attributes:
        run: Does it.
        weight: How often in relation to the others.
        refusals: The errors that are an answer as good as any.
        writes: Whether it changes anything.
    """

    run: Callable[[Worker], Awaitable[object]]
    weight: int
    refusals: tuple[type[DataLayerError], ...] = ()
    writes: bool = True
