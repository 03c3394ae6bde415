"""Memberships: one for each user, and what Stripe says of them, applied once and in its order."""

import asyncio
import itertools
from functools import partial
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import Membership, StripeSubscription, User
from datalayer.documents.memberships import MAX_EVENTS_AT_ONCE
from datalayer.engine.clock import DAY
from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from datalayer.ids import MembershipId, UserId
from datalayer.repositories.memberships import _after
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.world import people, person
from tests.interleaving.changes import changed_before
from tests.seeding.invariants import violations

NOW = 1_000 * DAY


@pytest.fixture(autouse=True)
def _now(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(community._connection, "now", lambda: NOW)


async def of(community: Community, user: User) -> Membership:
    """The user's membership, which there is."""
    membership = await community.memberships.for_user(user.id)
    assert membership is not None
    return membership


@pytest.mark.quick("memberships")
async def test_there_is_one_for_each_user(community: Community) -> None:
    """Free when it is new, and the same however many ask at once."""
    user = await person(community)
    assert await community.memberships.for_user(user.id) is None
    made = await asyncio.gather(*(community.memberships.ensure(user.id) for _ in range(10)))
    assert all(membership == made[0] for membership in made)
    assert (made[0].tier, made[0].status, made[0].created_at, made[0].updated_at) == ("free", "none", NOW, NOW)
    assert await of(community, user) == await community.memberships.get(made[0].id) == made[0]
    await community.memberships.delete(made[0].id)
    assert await community.memberships.find(made[0].id) is None
    for id in (made[0].id, MembershipId(ObjectId())):
        with pytest.raises(NotFoundError):
            await community.memberships.delete(id)
    with pytest.raises(NotFoundError, match="User"):
        await community.memberships.ensure(UserId(ObjectId()))
    assert await violations(community.database) == []


async def test_a_membership_that_is_made_meanwhile_stays_as_it_is(community: Community, datalayer_uri: str) -> None:
    """By an event of Stripe, between two round trips of somebody who found none."""
    user = await person(community)
    paid = Membership(user_id=user.id, tier="pro", status="active", created_at=5, updated_at=5)
    async with changed_before(
        datalayer_uri, "users", lambda database: database.memberships.insert_one(paid.to_wire())
    ) as late:
        assert await late.memberships.ensure(user.id) == paid


async def test_an_event_says_it_all(community: Community) -> None:
    """The membership is made with the first; each field follows; a text with a dollar is a text."""
    user = await person(community)
    apply = community.memberships.apply_stripe_event
    assert await apply(
        event_id="$evt",
        created=5,
        user_id=user.id,
        customer_id="$customer",
        subscription_id="sub",
        status="active",
        tier="$tier",
        current_period_end=NOW + 1,
    )
    membership = await of(community, user)
    assert (membership.tier, membership.status, membership.current_period_end) == ("$tier", "active", NOW + 1)
    assert (membership.stripe_customer_id, membership.stripe_subscription_id) == ("$customer", "sub")
    assert (membership.stripe_event_at, membership.stripe_event_ids, membership.updated_at) == (5, ["$evt"], NOW)
    assert await community.memberships.by_stripe_customer("$customer") == membership
    assert await community.memberships.by_stripe_subscription("sub") == membership
    assert await community.memberships.by_stripe_customer("other") is None
    assert await apply(event_id="e2", created=6, customer_id="$customer", status="canceled")
    changed = await of(community, user)
    assert (changed.tier, changed.status, changed.current_period_end) == ("$tier", "canceled", NOW + 1)
    assert (changed.stripe_customer_id, changed.stripe_subscription_id) == ("$customer", "sub")
    assert changed.stripe_event_ids == ["e2"]
    assert await apply(event_id="e3", created=7, subscription_id="sub", status="trialing", tier="pro")
    assert (await of(community, user)).tier == "pro"


async def test_twice_and_out_of_order(community: Community) -> None:
    """Whatever the order of delivery, each event twice: in the end it is what the newest says."""
    events = [("e1", 10, "trialing"), ("e2", 20, "active"), ("e3", 30, "past_due"), ("e4", 40, "canceled")]
    for order in itertools.permutations(events):
        user = await person(community)
        applied: list[str] = []
        newest = 0
        for id, created, status in (*order, *order[::-1]):
            took = await community.memberships.apply_stripe_event(
                event_id=id,
                created=created,
                user_id=user.id,
                status=status,  # type: ignore[arg-type]
            )
            assert took == (created > newest)
            newest = max(newest, created)
            applied += [id] * took
        assert applied[-1] == "e4"
        assert len(applied) == len(set(applied))
        membership = await of(community, user)
        assert (membership.status, membership.stripe_event_at) == ("canceled", 40)


async def test_events_of_the_same_moment(community: Community) -> None:
    """Stripe's clock has seconds: each is applied once, in the order in which they come, also when repeated later.

    The newest 100 are remembered.
    """
    user = await person(community)

    async def apply(id: str, created: int = 10) -> bool:
        return await community.memberships.apply_stripe_event(
            event_id=id, created=created, user_id=user.id, status="active", tier=id
        )

    assert [await apply(id) for id in ("a", "b", "a", "c", "b", "c")] == [True, True, False, True, False, False]
    membership = await of(community, user)
    assert (membership.tier, membership.stripe_event_ids) == ("c", ["a", "b", "c"])
    assert await apply("old", 9) is False
    assert await apply("c", 11) is False
    assert await apply("d", 11) is True
    assert (await of(community, user)).stripe_event_ids == ["d"]
    assert (await of(community, user)).stripe_event_at == 11


async def test_no_event_of_a_full_moment_is_applied_twice(community: Community) -> None:
    """A moment with 100 events takes no other one: it could not be told from them when it comes again."""
    user = await person(community)
    ids = [f"evt {number}" for number in range(MAX_EVENTS_AT_ONCE)]
    apply = partial(community.memberships.apply_stripe_event, created=12, user_id=user.id, status="active")
    assert await apply(event_id=ids[0], tier="old")
    await community.database.memberships.update_one(
        {"userId": user.id}, {"$set": {"stripeEventIds": ids, "stripeSubscriptions.0.eventIds": ids}}
    )
    for repeated in (ids[0], ids[-1]):
        assert await apply(event_id=repeated, tier="new") is False
    with pytest.raises(InvalidInputError, match=r"^created: "):
        await apply(event_id="one more", tier="new")
    assert (await of(community, user)).tier == "old"


Said = tuple[str, int, str]
"""A subscription, the time of an event, and the status that it reports."""

FLOWS: dict[str, tuple[list[Said], tuple[str, str]]] = {
    "the end": ([("a", 1, "active"), ("a", 5, "canceled")], ("a", "canceled")),
    "an upgrade": (
        [("a", 1, "active"), ("b", 10, "active"), ("a", 11, "active"), ("a", 12, "canceled")],
        ("b", "active"),
    ),
    "an upgrade that is paid a moment later": (
        [("a", 1, "active"), ("b", 10, "none"), ("b", 11, "active"), ("a", 12, "canceled")],
        ("b", "active"),
    ),
    "an upgrade, and its end": (
        [("a", 1, "active"), ("b", 10, "active"), ("a", 12, "canceled"), ("b", 20, "canceled")],
        ("b", "canceled"),
    ),
    "somebody comes back": ([("a", 1, "active"), ("a", 5, "canceled"), ("b", 10, "active")], ("b", "active")),
    "a payment that fails, and a new subscription": (
        [("a", 1, "active"), ("a", 5, "past_due"), ("b", 10, "active"), ("a", 12, "canceled")],
        ("b", "active"),
    ),
    "an upgrade that is never paid": (
        [("a", 1, "active"), ("b", 10, "none"), ("b", 11, "canceled")],
        ("a", "active"),
    ),
    "an upgrade that is taken back": (
        [("a", 1, "active"), ("b", 10, "active"), ("b", 12, "canceled"), ("a", 30, "active")],
        ("a", "active"),
    ),
}
"""What Stripe reports of a customer with several subscriptions, and which one the membership follows in the end."""


@pytest.mark.parametrize("flow", FLOWS)
def test_a_replaced_subscription_does_not_end_its_successor(flow: str) -> None:
    """Whatever the order in which the events arrive, each of them twice, the membership is the same in the end."""
    said, end = FLOWS[flow]
    free = Membership(user_id=UserId(ObjectId()), tier="free", status="none", created_at=0, updated_at=0)
    for order in itertools.permutations(said):
        membership = free
        for name, at, status in (*order, *order[::-1]):
            event: Any = {"subscription_id": name, "began_at": at, "event_at": at, "event_ids": [f"{name} {at}"]}
            membership = _after(membership, StripeSubscription(**event, status=status, tier=name), None)  # type: ignore[arg-type]
        assert (membership.stripe_subscription_id, membership.status) == end, order
        assert membership.tier == end[0]


async def test_an_upgrade(community: Community) -> None:
    """The old subscription's end comes last, and changes nothing: found by the user, the customer or its own id."""
    user = await person(community)
    apply = partial(community.memberships.apply_stripe_event, customer_id="cus")
    old: Any = {"subscription_id": "old", "tier": "pro"}
    assert await apply(event_id="e1", created=1, user_id=user.id, status="active", current_period_end=NOW + 1, **old)
    assert await apply(event_id="e2", created=10, subscription_id="new", status="active", tier="patron")
    upgraded = await of(community, user)
    assert (upgraded.tier, upgraded.stripe_subscription_id, upgraded.current_period_end) == ("patron", "new", None)
    for number, whose in enumerate(({"user_id": user.id}, {}, {"customer_id": None})):
        ended: Any = {**old, **whose}
        assert await apply(event_id=f"e3 {number}", created=12 + number, status="canceled", **ended) is False
    after = await of(community, user)
    assert (after.tier, after.status, after.stripe_event_at, after.stripe_event_ids) == ("patron", "active", 10, ["e2"])
    assert await community.memberships.has_access(user.id, "patron")
    assert await apply(event_id="e4", created=20, subscription_id="new", status="canceled", current_period_end=NOW)
    assert await community.memberships.has_access(user.id, "patron") is False
    assert await violations(community.database) == []


async def test_an_imported_membership_goes_on(community: Community) -> None:
    """One that has only the original's fields: its subscription is the one that is followed."""
    user = await person(community)
    row = Membership(user_id=user.id, tier="pro", status="active", created_at=0, updated_at=0).to_wire()
    await community.database.memberships.insert_one(row | {"stripeSubscriptionId": "old", "stripeCustomerId": "cus"})
    apply = partial(community.memberships.apply_stripe_event, customer_id="cus", tier="patron")
    assert await apply(event_id="e1", created=10, subscription_id="new", status="active")
    assert await apply(event_id="e2", created=12, subscription_id="old", status="canceled") is False
    assert (await of(community, user)).tier == "patron"


async def test_the_last_change_never_moves_backwards(community: Community) -> None:
    """Whatever the clock of the process that gets the event says."""
    user = await person(community)
    await community.memberships.ensure(user.id)
    async with Community.over(community.database, schema="skip", clock=lambda: NOW - 5) as behind:
        await behind.memberships.apply_stripe_event(event_id="e", created=1, user_id=user.id, status="active")
    assert (await of(community, user)).updated_at == NOW


async def test_many_at_once(community: Community) -> None:
    """Every event delivered three times, all at once, to a user without a membership: once each, the newest wins."""
    user = await person(community)
    # In steps of 7, so that old ones come after new ones.
    deliveries = [(f"evt_{number * 7 % 12}", 100 + number * 7 % 12 // 2) for number in range(36)]
    results = await asyncio.gather(
        *(
            community.memberships.apply_stripe_event(
                event_id=id, created=created, user_id=user.id, customer_id="cus", status="active", tier=str(created)
            )
            for id, created in deliveries
        )
    )
    applied = [id for (id, _), took in zip(deliveries, results, strict=True) if took]
    assert len(applied) == len(set(applied))
    assert {"evt_10", "evt_11"} <= set(applied)
    membership = await of(community, user)
    assert (membership.tier, membership.stripe_event_at) == ("105", 105)
    assert sorted(membership.stripe_event_ids or []) == ["evt_10", "evt_11"]
    assert await community.database.memberships.count_documents({}) == 1
    assert await violations(community.database) == []


async def test_whose_membership_it_is(community: Community) -> None:
    """The user comes first, then the customer, then the subscription; unknown ones are not found."""
    one, two = await people(community, 2)
    apply = community.memberships.apply_stripe_event
    with pytest.raises(InvalidInputError, match=r"^user_id: "):
        await apply(event_id="e", created=1, status="active")
    for unknown in ({"customer_id": "c"}, {"subscription_id": "s"}, {"user_id": UserId(ObjectId())}):
        with pytest.raises(NotFoundError):
            await apply(event_id="e", created=1, status="active", **unknown)  # type: ignore[arg-type]
    assert await community.database.memberships.count_documents({}) == 0
    await apply(event_id="e1", created=1, user_id=one.id, customer_id="c1", subscription_id="s1", status="active")
    await apply(event_id="e2", created=1, user_id=two.id, customer_id="c2", subscription_id="s2", status="active")
    before = await of(community, two)
    for other in ({"customer_id": "c1"}, {"subscription_id": "s1"}):
        with pytest.raises(AlreadyExistsError):
            await apply(event_id="e3", created=9, user_id=two.id, status="canceled", **other)  # type: ignore[arg-type]
    assert await of(community, two) == before
    assert await violations(community.database) == []


BAD_EVENTS: list[dict[str, Any]] = [
    {"event_id": ""},
    {"event_id": {"$ne": ""}},
    {"created": -1},
    {"created": "1"},
    {"created": 1.5},
    {"status": "paid"},
    {"tier": ""},
    {"customer_id": "x" * 256},
    {"subscription_id": {"$gt": ""}},
    {"current_period_end": -1},
    {"user_id": "0" * 24},
]


@pytest.mark.parametrize("bad", BAD_EVENTS)
async def test_a_bad_event_is_bad_input(community: Community, bad: dict[str, Any]) -> None:
    good = {"event_id": "e", "created": 1, "customer_id": "c", "status": "active"}
    with pytest.raises(InvalidInputError) as error:
        await community.memberships.apply_stripe_event(**{**good, **bad})
    assert [error.value.field] == list(bad)


ACCESS: list[tuple[str, str, int | None, bool]] = [
    ("pro", "active", None, True),
    ("pro", "active", -1, True),
    ("pro", "trialing", None, True),
    ("pro", "canceled", 1, True),
    ("pro", "canceled", 0, False),
    ("pro", "canceled", None, False),
    ("pro", "past_due", 1, True),
    ("pro", "past_due", -1, False),
    ("pro", "none", 1, False),
    ("patron", "active", 1, False),
]


@pytest.mark.parametrize(("tier", "status", "ends", "allowed"), ACCESS)
async def test_access(community: Community, tier: str, status: Any, ends: int | None, *, allowed: bool) -> None:
    """The tier is the required one, exactly, and paid for until now at least."""
    user = await person(community)
    end = None if ends is None else NOW + ends
    await community.memberships.apply_stripe_event(
        event_id="e", created=1, user_id=user.id, status=status, tier=tier, current_period_end=end
    )
    assert await community.memberships.has_access(user.id, "pro") is allowed
    assert await community.memberships.has_access(user.id, None) is True


async def test_access_without_a_membership(community: Community) -> None:
    """None to what needs a tier, free to what needs none, which costs nothing."""
    with count_commands(community) as commands:
        assert await community.memberships.has_access(UserId(ObjectId()), "pro") is False
        assert await community.memberships.has_access(UserId(ObjectId()), None) is True
    assert len(commands) == 1


async def test_every_look_is_one_seek(community: Community) -> None:
    """One round trip each by an index; an event that is applied is a transaction of three."""
    users = await people(community, 20)
    for number, user in enumerate(users):
        await community.memberships.apply_stripe_event(
            event_id="e",
            created=1,
            user_id=user.id,
            customer_id=f"c{number}",
            subscription_id=f"s{number}",
            status="none",
        )
    with count_commands(community) as commands:
        await community.memberships.for_user(users[3].id)
        await community.memberships.by_stripe_customer("c3")
        await community.memberships.by_stripe_subscription("s3")
        await community.memberships.has_access(users[3].id, "pro")
        await community.memberships.ensure(users[3].id)
        for owner in ({"user_id": users[3].id}, {"customer_id": "c3"}, {"subscription_id": "s3"}):
            new = str(owner)
            await community.memberships.apply_stripe_event(event_id=new, created=2, status="active", **owner)  # type: ignore[arg-type]
    assert [command.name for command in commands] == ["find"] * 5 + ["find", "update", "commitTransaction"] * 3
    for command in commands:
        if command.name != "commitTransaction":
            keys, stages = await keys_and_stages(community.database, command)
            assert keys in (1, 2)
            assert "COLLSCAN" not in stages


async def test_a_removed_user_frees_the_customer(community: Community) -> None:
    """And an event that is refused leaves nothing behind."""
    one, other = await person(community), await person(community)
    event: Any = {"created": 1, "customer_id": "cus_1", "status": "active"}
    await community.memberships.apply_stripe_event(event_id="e1", user_id=one.id, **event)
    with pytest.raises(AlreadyExistsError):
        await community.memberships.apply_stripe_event(event_id="e2", user_id=other.id, **event)
    assert await community.memberships.for_user(other.id) is None
    await community.users.delete(one.id)
    assert await community.memberships.apply_stripe_event(event_id="e2", user_id=other.id, **event)
