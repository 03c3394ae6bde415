"""Example calls: points, levels, and the settings of the community."""

from typing import Any

from datalayer.repositories.gamification_config import DEFAULT_VALUES
from datalayer.repositories.levels import DEFAULT_LEVELS
from tests.plans.calls import ALL_LEVELS, Call, pages
from tests.plans.world import World

LIMIT = 5
WINDOW = "sums the window: a key for each entry in it; then a seek for each user"


async def _newcomer(w: World) -> Any:
    return (await w.c.users.create(name="New")).id


async def _no_rules(w: World) -> None:
    for rule in await w.ids("gamificationConfig"):
        await w.c.gamification_config.delete(rule)


async def _no_levels(w: World) -> None:
    await w.c.database.levels.delete_many({})


async def _about_to_rise(w: World) -> Any:
    level = await w.one("levels", order=2)
    user = await _newcomer(w)
    await w.c.database.users.update_one({"_id": user}, {"$set": {"points": level["threshold"] - 1}})
    return user


async def _rewarded(w: World) -> Any:
    await w.c.points.award(w.earner, "post", reference_type="post", reference_id="1")


async def _revoke(w: World) -> Any:
    return await w.c.points.revoke(w.earner, "post", reference_type="post", reference_id="1")


async def _entry_of_a_level(w: World) -> Any:
    user = await _about_to_rise(w)
    await w.c.points.award(user, "post")
    return await w.one("points", userId=user)


POINTS = [
    Call("points.award", lambda w, user: w.c.points.award(user, "post"), "no cause", before=_newcomer, **ALL_LEVELS),
    Call(
        "points.award",
        lambda w, user: w.c.points.award(user, "post", reference_type="post", reference_id="1"),
        "a cause",
        before=_newcomer,
        **ALL_LEVELS,
    ),
    Call(
        "points.award",
        lambda w, _: w.c.points.award(w.earner, "post", reference_type="post", reference_id="1"),
        "a cause that was rewarded",
        before=_rewarded,
        **ALL_LEVELS,
    ),
    Call(
        "points.award",
        lambda w, user: w.c.points.award(user, "post"),
        "to the next level",
        before=_about_to_rise,
        **ALL_LEVELS,
    ),
    Call(
        "points.award",
        lambda w, user: w.c.points.award(user, "post", reference_type="post", reference_id="1"),
        "a cause, to the next level",
        before=_about_to_rise,
        **ALL_LEVELS,
    ),
    Call(
        "points.award",
        lambda w, _: w.c.points.award(w.earner, "nothing"),
        "worth nothing",
        before=lambda w: w.c.gamification_config.set("nothing", 0),
        **ALL_LEVELS,
    ),
    Call("points.revoke", lambda w, _: _revoke(w), before=_rewarded, **ALL_LEVELS),
    Call("points.revoke", _revoke, "nothing given", **ALL_LEVELS),
    Call("points.delete", lambda w, entry: w.c.points.delete(entry["_id"]), before=lambda w: w.one("points")),
    Call("points.delete", lambda w, entry: w.c.points.delete(entry["_id"]), "of a level", before=_entry_of_a_level),
    *pages("points.history", lambda w, after: w.c.points.history(w.earner, limit=LIMIT, after=after)),
    Call("points.breakdown", lambda w: w.c.points.breakdown(w.earner), why="a key for each of the user's entries"),
    Call("points.leaderboard", lambda w: w.c.points.leaderboard(limit=10), "all"),
    Call("points.leaderboard", lambda w: w.c.points.leaderboard("month", limit=10), "month", factor=2, why=WINDOW),
    Call("points.leaderboard", lambda w: w.c.points.leaderboard("week", limit=10), "week", factor=2, why=WINDOW),
    Call("points.rank", lambda w: w.c.points.rank(w.earner), "all", why="a key for each user above"),
    Call("points.rank", lambda w: w.c.points.rank(w.earner, "month"), "month", why=WINDOW),
    Call("points.rank", lambda w: w.c.points.rank(w.earner, "week"), "week", why=WINDOW),
    Call("points.rank", lambda w, user: w.c.points.rank(user), "no points", before=_newcomer),
    Call(
        "points.rank",
        lambda w, user: w.c.points.rank(user, "week"),
        "no points this week",
        before=_newcomer,
        why=WINDOW,
    ),
]

LEVELS = [
    Call("gamification_config.value_of", lambda w: w.c.gamification_config.value_of("post")),
    Call("gamification_config.install_defaults", lambda w: w.c.gamification_config.install_defaults(), "there"),
    Call(
        "gamification_config.install_defaults",
        lambda w, _: w.c.gamification_config.install_defaults(),
        "none",
        before=_no_rules,
    ),
    Call("gamification_config.all", lambda w: w.c.gamification_config.all()),
    Call("gamification_config.set", lambda w: w.c.gamification_config.set(next(iter(DEFAULT_VALUES)), 3), "there"),
    Call("gamification_config.set", lambda w: w.c.gamification_config.set("new", 3), "new"),
    Call("levels.for_points", lambda w: w.c.levels.for_points(100)),
    Call("levels.replace", lambda w: w.c.levels.replace(DEFAULT_LEVELS[:4])),
    Call("levels.install_defaults", lambda w: w.c.levels.install_defaults(), "there"),
    Call("levels.install_defaults", lambda w, _: w.c.levels.install_defaults(), "none", before=_no_levels),
    Call("levels.delete", lambda w, level: w.c.levels.delete(level["_id"]), before=lambda w: w.one("levels", order=3)),
    Call("levels.list", lambda w: w.c.levels.list()),
]

SETTINGS = [
    Call("community_settings.get", lambda w: w.c.community_settings.get()),
    Call("community_settings.update", lambda w: w.c.community_settings.update(name="New")),
]

CALLS = [*POINTS, *LEVELS, *SETTINGS]
