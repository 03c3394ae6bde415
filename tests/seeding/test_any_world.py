"""Every world that is accepted can be made, and is true."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.clock import DAY
from datalayer.seeding import World, plan
from seed.worlds import world
from tests.seeding.invariants import violated
from tests.seeding.rows import Data

SMALL = world("small", 1)
DOCUMENTS = (*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS)


@st.composite
def worlds(draw: Callable[[st.SearchStrategy[Any]], Any]) -> World:
    """Small worlds, up to every limit."""
    admins, moderators = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    founders = admins + moderators + 10 + draw(st.integers(0, 10))
    users = founders + draw(st.integers(0, 20))
    posts = draw(st.integers(1, 15))
    means = st.sampled_from([0.0, 0.001, 0.5, 3.0, founders / 2])
    return World(
        name="drawn",
        seed=draw(st.integers(0, 9)),
        now=SMALL.now,
        days=draw(st.sampled_from([1, 2, 3, 30, 400, SMALL.now // DAY - 7])),
        users=users,
        founders=founders,
        admins=admins,
        moderators=moderators,
        posts=posts,
        likes_per_post=draw(means),
        comments_per_post=draw(means),
        likes_per_comment=draw(means),
        rewarded_posts=draw(st.integers(0, posts)),
        follows_per_user=draw(st.integers(0, founders // 2)),
        courses=draw(st.integers(1, 12)),
        enrollments_per_course=draw(st.integers(0, founders)),
        events=draw(st.integers(1, 30)),
        rsvps_per_event=draw(st.integers(0, founders)),
        conversations=draw(st.integers(0, users * (users - 1) // 4)),
        messages_per_conversation=draw(st.integers(1, 4)),
        reports=draw(st.integers(0, posts)),
        stories=draw(st.integers(1, 2)),
    )


@settings(max_examples=settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_every_world_that_is_accepted_is_true(chosen: World) -> None:
    """All numbers are as planned, every document is valid, no rule is violated, nothing is from the future."""
    tables = plan(chosen)
    data = Data({table.name: list(table.rows()) for table in tables})
    assert {table.name: table.count for table in tables} == {name: len(rows) for name, rows in data.items()}
    for document in DOCUMENTS:
        for row in data[document.Settings.name]:
            assert document.model_validate(row).to_wire() == row
    assert violated(data, needs_admin=True) == []
    assert list(_from_the_future(data, chosen.now)) == []


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"likes_per_post": SMALL.founders / 2 + 0.5}, "half of founders"),
    ({"comments_per_post": SMALL.founders / 2 + 0.5}, "half of founders"),
    ({"likes_per_comment": SMALL.founders / 2 + 0.5}, "half of founders"),
    ({"likes_per_comment": float("nan")}, "likes_per_comment"),
    ({"days": 30_000}, "days"),
    ({"days": SMALL.now // DAY - 6}, "days"),
    ({"now": 5_000_000_000_000}, "now"),
    ({"users": 1_000_003}, "users"),
]


@pytest.mark.parametrize(("wrong", "named"), IMPOSSIBLE)
def test_what_cannot_be_made_is_refused(wrong: dict[str, Any], named: str) -> None:
    """More of something than there are people for it, and times that no id can hold."""
    with pytest.raises(ValidationError, match=named):
        World.model_validate(SMALL.model_dump() | wrong)


def _from_the_future(data: Data, now: int) -> Iterator[tuple[str, Any, str]]:
    for document in DOCUMENTS:
        times = [str(field.alias) for name, field in document.model_fields.items() if name.endswith("_at")]
        for row in data[document.Settings.name]:
            yield from ((document.__name__, row["_id"], time) for time in times if row.get(time, 0) > now)
