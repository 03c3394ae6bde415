"""Valid documents of every class, made from the annotations of their fields."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin

from annotated_types import MaxLen, MinLen
from bson import ObjectId
from hypothesis import strategies as st
from pydantic import BaseModel

from datalayer.documents import (
    COMMUNITY_DOCUMENTS,
    STORIES_DOCUMENTS,
    CommunitySettings,
    Conversation,
    Document,
    Follow,
)
from datalayer.documents.community_settings import SETTINGS_ID
from datalayer.engine.fields import Integer, Json, Text, unwrap

ALL_DOCUMENTS: tuple[type[Document], ...] = COMMUNITY_DOCUMENTS + STORIES_DOCUMENTS

_ids = st.binary(min_size=12, max_size=12).map(ObjectId)
# What the types of the fields do not say.
_FITTING: dict[type[BaseModel], dict[str, st.SearchStrategy[Any]]] = {
    CommunitySettings: {"id": st.just(SETTINGS_ID)},
    Conversation: {"participant_ids": st.sets(_ids, min_size=2, max_size=2).map(sorted)},
    Follow: {"follower_id": st.just(ObjectId("0" * 24)), "following_id": st.just(ObjectId("1" * 24))},
}
_letters = st.characters(codec="utf-8", exclude_characters="\0")


def documents(model: type[Document]) -> st.SearchStrategy[Any]:
    """Random valid instances of the class, made by pydantic's own validation."""
    return _model(model, _FITTING.get(model, {}))


def full_wire(model: type[Document]) -> dict[str, Any]:
    """A valid document with every field, as it is on the wire."""
    fields = {field.alias: field for field in model.model_fields.values()}
    wire = {name: _example(field.annotation, tuple(field.metadata)) for name, field in fields.items()}
    # There is a table of one document, which has an id of its own.
    return wire | {"_id": fields["_id"].get_default(call_default_factory=True)}


def _model(
    model: type[BaseModel], fitting: Mapping[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[Any]:
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        _, is_optional = unwrap(field.annotation)
        (optional if is_optional else required)[name] = _values(field.annotation, tuple(field.metadata))
    required |= fitting or {}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: model(**values))


def _values(annotation: Any, limits: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    if hasattr(annotation, "__metadata__"):
        return _values(get_args(annotation)[0], (*limits, *annotation.__metadata__))
    if annotation is Json:
        return _json
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _values(next(arm for arm in get_args(annotation) if arm is not type(None)), limits)
    if origin is Literal:
        return st.sampled_from(get_args(annotation))
    if origin is list:
        shortest = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), 0)
        longest = next((limit.max_length for limit in limits if isinstance(limit, MaxLen)), 5)
        return st.lists(_values(get_args(annotation)[0]), min_size=shortest, max_size=min(longest, 5))
    if isinstance(annotation, NewType):
        return _values(annotation.__supertype__, limits)
    if issubclass(annotation, BaseModel):
        return _model(annotation)
    return _scalars(annotation, limits)


def _scalars(kind: type, limits: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if kind is str:
        text = next(limit for limit in limits if isinstance(limit, Text))
        longest = min(text.longest, 30)
        words = st.text(_letters, min_size=text.shortest, max_size=longest)
        return words.filter(str.strip) if text.shortest else words
    if kind is int:
        bounds = next(limit for limit in limits if isinstance(limit, Integer))
        return st.integers(bounds.minimum, bounds.maximum)
    return {bool: st.booleans(), ObjectId: _ids}[kind]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False) | _ids,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(_letters, min_size=1, max_size=5).filter(lambda key: key[0] != "$" and "." not in key), inner
        )
    ),
    max_leaves=5,
)


def _example(annotation: Any, limits: tuple[Any, ...] = ()) -> Any:  # noqa: PLR0911
    if hasattr(annotation, "__metadata__"):
        return _example(get_args(annotation)[0], (*limits, *annotation.__metadata__))
    if annotation is Json:
        return {"word": "yes", "numbers": [1, 2.5]}
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _example(next(arm for arm in get_args(annotation) if arm is not type(None)), limits)
    if origin is Literal:
        return get_args(annotation)[0]
    if origin is list:
        return [_example(get_args(annotation)[0]) for _ in range(2)]
    if isinstance(annotation, NewType):
        return _example(annotation.__supertype__, limits)
    if issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        return {field.alias: _example(field.annotation, tuple(field.metadata)) for field in fields}
    return {str: "some text", int: 3, bool: True, ObjectId: ObjectId()}[annotation]
