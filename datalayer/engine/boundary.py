"""What every public method of a repository passes: its arguments on the way in, its errors on the way out."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable
from enum import Enum
from itertools import islice
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar, cast, get_args

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError, validate_call
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from datalayer.engine.errors import InvalidDocumentError
from datalayer.engine.fields import Integer, Text
from datalayer.engine.transactions import AllOrNothing
from datalayer.engine.translation import TRANSLATED, invalid_input, translate

P = ParamSpec("P")
T = TypeVar("T")

MAX_LIMIT = 100

MAX_MANY = 500_000
"""How many values can be given at once: 500,000 ids are a filter of 10 MB, and a command may have 16 MB."""

Limit: TypeAlias = Annotated[int, Integer(1, MAX_LIMIT)]
"""How many items a page has at most."""

Cursor: TypeAlias = Annotated[str, Text(0, 4_000)]
"""The `next` of the page before."""


MAX_CAUSE = 2_000
"""How many characters pydantic's error has at most that becomes a `__cause__`."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
"""An argument that was left out: the field stays as it is. `None` would remove it."""


class _Many:
    """Any collection of values but a string: a list, a set, the keys of a dict."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        # Of many that are wrong the first one is enough.
        items = core_schema.list_schema(handler.generate_schema(get_args(source)[0]), fail_fast=True)
        return core_schema.no_info_before_validator_function(_listed, items)


def _listed(values: object) -> object:
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        return cast("object", values)
    try:
        listed = list(islice(cast("Iterable[object]", values), MAX_MANY + 1))
    except Exception as error:
        # Its message may be private, or very long.
        raise PydanticCustomError(
            "unreadable", "cannot be read: {kind} was raised", {"kind": type(error).__name__}
        ) from error
    if len(listed) > MAX_MANY:
        raise PydanticCustomError("too_many", "must be at most {limit} values", {"limit": MAX_MANY})
    return listed


Many = Annotated[Collection[T], _Many()]


def guarded(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The method behind the boundary.

    Its arguments are validated by their annotations, strictly: a string is no id, a dict is neither, `True` is no
    number. What fails is an `InvalidInputError` that names the argument, before anything is sent. No exception of the
    driver or of pydantic leaves it. In a transaction the method happens as a whole, or dooms the transaction.
    """
    # What was given may be private, or very long: it is not quoted.
    config = ConfigDict(strict=True, arbitrary_types_allowed=True, hide_input_in_errors=True)
    validated = validate_call(config=config)(method)
    parameters = tuple(inspect.signature(method).parameters)

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with AllOrNothing():
                return await validated(*args, **kwargs)
        except ValidationError as error:
            # Pydantic's own names each wrong place, keys of dicts at full length: that could fill a log.
            raise invalid_input(error, parameters) from (error if len(str(error)) <= MAX_CAUSE else None)
        except TRANSLATED as error:
            raise translate(error) from error
        except KeyError as error:
            # Parts of documents are read as they are stored, and a field may have been removed past the schema.
            if not isinstance(error.args[0], str):
                raise
            message = f"{method.__qualname__}: a document that it needs has no field {error}."
            raise InvalidDocumentError(message) from error

    return call


def guard_public_methods(repository: type) -> None:
    """Put every public coroutine method that the class itself defines behind the boundary."""
    for name, method in list(vars(repository).items()):
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(repository, name, guarded(method))
