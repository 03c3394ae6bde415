"""What follows from what people do: points, and notifications."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from datalayer.documents.notifications import Notification
from datalayer.documents.users import User
from datalayer.engine.connection import Connection
from datalayer.engine.repository import not_found
from datalayer.ids import UserId
from datalayer.repositories.shared.authors import authors_of
from datalayer.repositories.shared.awards import Cause, change_points
from datalayer.repositories.shared.telling import Actor, Notice, tell

MAX_MENTIONS = 100
"""How many people a post or a comment mentions at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which consequences a caller asks for.

    Attributes:
        reward: Points, by the rules of `gamificationConfig`; each cause counts once.
        notify: Notifications, also of a level that somebody reaches by the points.
    """

    reward: bool = False
    notify: bool = False

    def __bool__(self) -> bool:
        return self.reward or self.notify


NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody has done, and what may follow from it.

    Attributes:
        wanted: What does follow.
        causes: Whom it gives points, and what for; all of them one person.
        notices: Whom it tells what, those that matter most first; each person gets one of them.
    """

    wanted: Wanted
    causes: Sequence[Cause] = ()
    notices: Sequence[Notice] = ()


async def actor_of(connection: Connection, id: UserId) -> Actor:
    """The user as notifications show them. One round trip.

    Raises:
        NotFoundError: There is no such user.
    """
    authors = await authors_of(connection.collection(User), {id})
    if id not in authors:
        raise not_found(User, id)
    return Actor(id, authors[id])


async def bring_about(
    connection: Connection, acts: Sequence[Act], *, known: Collection[UserId] = ()
) -> Sequence[dict[UserId, Notification]]:
    """Give the points, and tell the people. In the transaction of the acts.

    At most 9 round trips, however many acts there are: 5 for the points, as `change_points`, and 4 for the
    notifications, as `tell`; none where nothing is wanted. Somebody who was removed gets nothing. A level that somebody
    reaches is told in a notification of its own.

    Args:
        connection: Where.
        acts: What has happened, in order.
        known: People that are known to exist.

    Returns:
        For each act, who was told of it, in which notification.
    """
    causes = [(number, cause) for number, act in enumerate(acts) if act.wanted.reward for cause in act.causes]
    levels: list[Sequence[Notice]] = [() for _ in acts]
    if causes:
        users = {cause.user_id for _, cause in causes}
        await connection.take_turns([(User.Settings.name, id) for id in sorted(users)])
        awards = await change_points(connection, [("award", cause) for _, cause in causes], connection.now())
        for (number, cause), award in zip(causes, awards, strict=True):
            if isinstance(award, Exception):
                users.discard(cause.user_id)
            elif acts[number].wanted.notify and award is not None and award.levelled_up:
                # Of several levels that an act leads to, the last.
                levels[number] = [Notice(cause.user_id, "level_up", data={"level": award.level})]
        known = {*known, *users}
    notices = [act.notices if act.wanted.notify else () for act in acts]
    if not any(levels) and not any(notices):
        return [{} for _ in acts]
    told = await tell(connection, list(chain.from_iterable(zip(notices, levels, strict=True))), known=known)
    return told[::2]
