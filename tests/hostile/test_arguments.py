"""Whatever a method is given: it is refused in words, or understood as a value; never as an operator."""

import itertools
import random
import traceback
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datalayer import DataLayerError
from datalayer.errors import InvalidInputError
from tests.hostile.arguments import ALL_METHODS, Method
from tests.hostile.place import Outcome, Place
from tests.hostile.sent import misplaced
from tests.hostile.values import MARK, ODD, POISON, RAISING, TEXTS
from tests.plans.registry import about

LONGEST_MESSAGE = 500
LONGEST_TRACEBACK = 20_000

# For each of 250 methods: a fiftieth of what a test does once. A seed has nothing to shrink.
_FEW = max(1, settings().max_examples // 50)
examples = settings(max_examples=_FEW, phases=[Phase.explicit, Phase.reuse, Phase.generate])

chances = st.integers(0, 2**32).map(random.Random)
poisons = st.sampled_from(list(POISON))
with_parameters = [method for method in ALL_METHODS.values() if method.types]
methods = pytest.mark.parametrize("method", [about(name, method) for name, method in ALL_METHODS.items()])
methods_with_parameters = pytest.mark.parametrize("method", [about(method.name, method) for method in with_parameters])


def refused(outcome: Outcome, *arguments: str) -> None:
    """The call was refused because of one of the arguments, briefly, before anything was sent."""
    assert isinstance(outcome.error, InvalidInputError), outcome
    assert outcome.commands == []
    assert outcome.error.field.partition(".")[0].partition("[")[0] in arguments
    assert_short(outcome.error)


def assert_short(error: DataLayerError) -> None:
    """Neither the message nor what is logged of it echoes what was given."""
    assert 0 < len(str(error)) <= LONGEST_MESSAGE
    assert len("".join(traceback.format_exception(error))) <= LONGEST_TRACEBACK


def understood(method: Method, outcome: Outcome) -> None:
    """The call did what it should, or said why not and did nothing."""
    assert outcome.misplaced == []
    if outcome.error is None:
        return
    assert type(outcome.error) is not DataLayerError, outcome.error
    assert outcome.written == set()
    assert_short(outcome.error)
    if isinstance(outcome.error, InvalidInputError) and outcome.commands:
        assert "InvalidInputError:" in method.doc, outcome.error


@methods_with_parameters
@examples
@given(data=st.data(), chance=chances)
@pytest.mark.share(3)
async def test_what_no_argument_may_be_is_refused(
    place: Place, method: Method, data: Any, chance: random.Random
) -> None:
    """Each argument by itself, and some of them together; the error names the one."""
    right = place.arguments.right(method, chance)
    for name in method.types:
        refused(await place.call(method, right | {name: POISON[data.draw(poisons)]()}), name)
    several = {name: POISON[data.draw(poisons)]() for name in method.types if chance.random() < 0.5}
    if several:
        refused(await place.call(method, right | several), *several)


@methods_with_parameters
@examples
@given(data=st.data(), chance=chances)
async def test_odd_values_are_values(place: Place, method: Method, data: Any, chance: random.Random) -> None:
    """What may be legal, or not, and ids of other tables, which are ids all the same when the program runs."""
    right = place.arguments.right(method, chance)
    understood(method, await place.call(method, right))
    others = {name: place.arguments.any_id(chance) for name, value in right.items() if isinstance(value, ObjectId)}
    if others:
        understood(method, await place.call(method, right | others))
    odd = {name: data.draw(ODD) for name in method.types if len(method.types) == 1 or chance.random() < 0.5}
    for name, value in odd.items():
        understood(method, await place.call(method, right | {name: value}))
    if len(odd) > 1:
        understood(method, await place.call(method, right | odd))


@methods
@pytest.mark.share(3)
async def test_a_call_with_other_parameters_is_bad_input(place: Place, method: Method) -> None:
    """Not a `TypeError`: what comes from a request may be passed on as `**fields`, and a service answers with it."""
    right = place.arguments.right(method, random.Random(2))  # noqa: S311 - repeatable
    for name in method.required:
        refused(await place.call(method, {other: value for other, value in right.items() if other != name}), name)
    for name in ("$where", "session", f"_{MARK}", f"{MARK}" * 10_000):
        outcome = await place.call(method, right | {name: 1})
        assert isinstance(outcome.error, InvalidInputError), name
        assert outcome.error.field[:50] == name[:50]
        assert outcome.commands == []
        assert_short(outcome.error)
    outcome = await place.call(method, {}, *[ObjectId() for _ in range(12)])
    assert isinstance(outcome.error, InvalidInputError)
    assert outcome.commands == []


@pytest.mark.parametrize("method", with_parameters, ids=lambda method: method.name)
@pytest.mark.share(3)
async def test_what_raises_while_it_is_read_is_refused(place: Place, method: Method) -> None:
    """The error of an iterator does not leave the library as it is, but as bad input that names the argument."""
    right = place.arguments.right(method, random.Random(4))  # noqa: S311 - repeatable
    for name in method.types:
        for make in RAISING:
            refused(await place.call(method, right | {name: make()}), name)


async def test_an_enormous_string_is_refused_in_a_few_words(place: Place) -> None:
    """Larger than what MongoDB stores: for each kind of argument, once."""
    enormous = f"${MARK}" * 4_500_000
    kinds: set[str] = set()
    for method in with_parameters:
        right = place.arguments.right(method, random.Random(3))  # noqa: S311 - repeatable
        for name, annotation in method.types.items():
            if str(annotation) not in kinds:
                kinds.add(str(annotation))
                for value in (enormous, [enormous], {enormous: 1}):
                    refused(await place.call(method, right | {name: value}), name)
    assert len(kinds) > 30


async def test_very_many_ids_are_answered(place: Place) -> None:
    users = [ObjectId(id) for id in place.world.pristine("users")]
    ids = [*users, *(ObjectId() for _ in range(200_000))]
    outcome = await place.call(ALL_METHODS["users.get_many"], {"ids": iter(ids)})
    assert isinstance(outcome.result, dict)
    assert set(outcome.result) == set(users)


@pytest.mark.parametrize("name", ["users.get_many", "posts.recent", "spaces.reorder", "notifications.notify_many"])
async def test_endless_ids_come_to_an_end(place: Place, name: str) -> None:
    method = ALL_METHODS[name]
    (ids,) = (parameter for parameter in method.types if parameter.endswith("ids"))
    right = place.arguments.right(method, random.Random(4))  # noqa: S311 - repeatable
    refused(await place.call(method, right | {ids: itertools.repeat(ObjectId())}), ids)


_MATCH: dict[str, Any] = {"$match": {"name": f"${MARK}", "a": {"$in": [f"$${MARK}"]}}}


@pytest.mark.parametrize(
    "command",
    [
        {"find": "users", "filter": {MARK: 1}},
        {"find": "users", "filter": {"$or": [{"$where": f"this.a == '{MARK}'"}]}},
        {"find": "users", "filter": {"a": {"$regex": MARK}}},
        {"find": "users", "filter": {"$expr": {"$eq": ["$a", f"${MARK}"]}}},
        {"find": "users", "filter": {}, "sort": {MARK: 1}},
        {"aggregate": "users", "pipeline": [_MATCH, {"$group": {"_id": f"${MARK}"}}]},
        {"aggregate": "users", "pipeline": [{"$set": {"a": {"$concat": [f"$${MARK}", "b"]}}}]},
        {"aggregate": "users", "pipeline": [{"$lookup": {"let": {"a": f"${MARK}"}, "pipeline": []}}]},
        {"aggregate": "users", "pipeline": [{"$lookup": {"pipeline": [{"$set": {"a": f"${MARK}"}}]}}]},
        {"update": "users", "updates": [{"q": {}, "u": {"$set": {MARK: 1}}}]},
        {"update": "users", "updates": [{"q": {}, "u": [{"$set": {"a": f"${MARK}"}}]}]},
        {"findAndModify": "users", "query": {}, "update": [{"$set": {"a": [f"${MARK}"]}}]},
        {"delete": "users", "deletes": [{"q": {f"a.{MARK}": 1}}]},
        {"insert": "users", "documents": [{"a": {MARK: 1}}]},
    ],
)
def test_a_string_that_is_more_than_a_value_is_seen(command: dict[str, Any]) -> None:
    assert len(misplaced(command)) == 1


@pytest.mark.parametrize(
    "command",
    [
        {"find": "users", "filter": {"a": f"${MARK}", "b": {"$in": [f"${MARK}"]}}, "min": {"a": f"${MARK}"}},
        {"aggregate": "users", "pipeline": [_MATCH, {"$set": {"a": {"$literal": f"${MARK}"}, "b": MARK}}]},
        {"update": "users", "updates": [{"q": {"a": f"${MARK}"}, "u": {"$set": {"a": f"${MARK}"}}}]},
        {"insert": "notifications", "documents": [{"a": f"${MARK}", "data": {MARK: 1}}]},
    ],
)
def test_a_value_is_not_taken_for_more(command: dict[str, Any]) -> None:
    assert misplaced(command) == []


async def test_a_text_comes_back_as_it_was_given(place: Place) -> None:
    """Also where an update is a pipeline, in which a string that begins with a dollar would be a field."""
    community, stories = place.world.c, place.world.s
    scene = ObjectId(next(iter(place.world.pristine("scenes"))))
    for text in TEXTS:

        async def work(text: str = text) -> None:
            user = await community.users.create(name=text, auth_user_id=text)
            assert (await community.users.by_auth_user_id(text)) == user
            applied = {"event_id": text, "created": 1, "status": "active", "customer_id": text, "tier": text}
            assert await community.memberships.apply_stripe_event(user_id=user.id, **applied)
            membership = await community.memberships.by_stripe_customer(text)
            assert membership is not None
            assert (membership.tier, membership.stripe_event_ids) == (text, [text])
            assert (await stories.scenes.request_generation(scene, outline=text)).scene.outline == text
            note = await community.notifications.notify(user.id, "x", data={"text": text, "key": {MARK: [text]}})
            assert note is not None
            assert (await community.notifications.recent(user.id)).items[0].data == note.data
            raise _UndoneError

        with pytest.raises(_UndoneError):
            await community.transaction(work)


class _UndoneError(Exception):
    """So that nothing is left."""


async def test_the_original_is_the_cause_without_what_was_given(place: Place) -> None:
    secret = str(ObjectId())
    with pytest.raises(InvalidInputError) as raised:
        await place.world.c.users.create(name={"$gt": secret})
    assert isinstance(raised.value.__cause__, ValidationError)
    assert secret not in "".join(traceback.format_exception(raised.value))
