"""The consequences of what users do: points and notifications."""

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
"""The maximum number of users that a post or a comment mentions."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The consequences that a caller asks for.

    Attributes:
        reward: Award points by the rules of `gamificationConfig`; each cause counts once.
        notify: Send notifications, including one for a level that a user reaches by the points.
    """

    reward: bool = False
    notify: bool = False

    def __bool__(self) -> bool:
        return self.reward or self.notify


NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a user has done, and its possible consequences.

    Attributes:
        wanted: The consequences that the caller asks for.
        causes: The awards, all to the same user.
        notices: The notifications, most important first. Each user gets one of them at most.
    """

    wanted: Wanted
    causes: Sequence[Cause] = ()
    notices: Sequence[Notice] = ()


async def actor_of(connection: Connection, id: UserId) -> Actor:
    """Return the user as notifications show them. 1 round trip.

    Raises:
        NotFoundError: The user does not exist.
    """
    authors = await authors_of(connection.collection(User), {id})
    if id not in authors:
        raise not_found(User, id)
    return Actor(id, authors[id])


async def bring_about(
    connection: Connection, acts: Sequence[Act], *, known: Collection[UserId] = ()
) -> Sequence[dict[UserId, Notification]]:
    """Award the points and send the notifications, in the transaction of the acts.

    At most 9 round trips for any number of acts: 5 for the points (see `change_points`) and 4 for the notifications
    (see `tell`); none if nothing is wanted. A deleted user gets nothing. A new level has its own notification.

    Args:
        connection: The connection.
        acts: The acts, in order.
        known: Users that are known to exist.

    Returns:
        For each act, the notified users with their notifications.
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
                # If an act leads to several levels, notify about the last one.
                levels[number] = [Notice(cause.user_id, "level_up", data={"level": award.level})]
        known = {*known, *users}
    notices = [act.notices if act.wanted.notify else () for act in acts]
    if not any(levels) and not any(notices):
        return [{} for _ in acts]
    told = await tell(connection, list(chain.from_iterable(zip(notices, levels, strict=True))), known=known)
    return told[::2]
