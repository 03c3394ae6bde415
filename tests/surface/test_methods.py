"""Every repository has the methods of `api.toml`, with those arguments, defaults and results, and no others."""

import inspect
import re
import tomllib
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import pytest

from datalayer.engine.repository import Repository
from tests.plans.registry import METHODS, REPOSITORIES

API: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "api.toml").read_text())
COMMON, SOFT_DELETING = API.pop("common"), API.pop("soft_deleting")

PEOPLE = {"actor", "author", "follower", "following", "other", "reader", "reporter", "resolver", "sender", "user"}
TABLES = {"chapter", "conversation", "course", "event", "lesson", "module", "post", "space", "story"}
ID_TYPES = dict.fromkeys(PEOPLE, "UserId") | {name: f"{name.title()}Id" for name in TABLES} | {"parent": "CommentId"}


def test_there_is_a_repository_for_each_table() -> None:
    assert API.keys() == REPOSITORIES.keys()


@pytest.mark.parametrize("attribute", API)
def test_methods(attribute: str) -> None:
    repository = REPOSITORIES[attribute]
    common = SOFT_DELETING if "deleted_at" in repository.document.model_fields else COMMON
    words = {"Document": repository.document.__name__, "Id": _id_name(repository), "...": "limit=20, after=None"}
    declared = {
        name: re.sub(r"\bDocument\b|\bId\b|\.\.\.", lambda match: words[match[0]], text)
        for name, text in (common | API[attribute]).items()
    }
    found = {
        name.removeprefix(f"{attribute}."): _signature(method, repository)
        for name, method in METHODS.items()
        if name.startswith(f"{attribute}.")
    }
    assert found == declared


def test_ids_are_of_the_type_that_their_name_says() -> None:
    """`author_id` is a `UserId`, `course_ids` are `CourseId`s. An event of Stripe's is none of ours."""
    others = [
        f"{method}: {name}"
        for method, function in METHODS.items()
        for name, parameter in inspect.signature(function).parameters.items()
        if (match := re.fullmatch("(.+)_ids?", name)) and (kind := ID_TYPES.get(match[1]))
        if kind not in re.findall(r"\w+", str(parameter.annotation))
    ]
    assert others == ["memberships.apply_stripe_event: event_id"]


def _signature(method: Any, repository: Repository) -> str:
    signature = inspect.signature(method)
    words: list[str] = []
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(str(parameter.replace(annotation=parameter.empty)))
    return f"{', '.join(words)} -> {_name(signature.return_annotation, repository)}".lstrip()


def _name(annotation: Any, repository: Repository) -> str:
    """A type as it is written, without modules; what is generic in the base is the repository's own."""
    arguments = [_name(argument, repository) for argument in get_args(annotation) if not isinstance(argument, str)]
    origin = get_origin(annotation)
    if isinstance(annotation, TypeVar):
        own = {"DocumentT": repository.document.__name__, "IdT": _id_name(repository)}
        return own.get(annotation.__name__) or " | ".join(kind.__name__ for kind in annotation.__constraints__)
    if origin in (Union, UnionType):
        return " | ".join(arguments)
    if origin is Literal:
        return "str"
    if annotation in (None, NoneType):
        return "None"
    return f"{(origin or annotation).__name__}[{', '.join(arguments)}]" if arguments else annotation.__name__


def _id_name(repository: Repository) -> str:
    id_type = repository.document.__annotations__["id"]
    assert isinstance(id_type, NewType)
    return id_type.__name__
