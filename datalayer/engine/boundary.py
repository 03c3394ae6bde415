"""The boundary of every public repository method: validates arguments and translates errors."""

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
"""The maximum number of values per call: 500,000 ids are a filter of 10 MB, and a command may have 16 MB."""

Limit: TypeAlias = Annotated[int, Integer(1, MAX_LIMIT)]
"""The maximum number of items on a page."""

Cursor: TypeAlias = Annotated[str, Text(0, 4_000)]
"""The `next` of the previous page."""


MAX_CAUSE = 2_000
"""The maximum length of a pydantic error that is chained as `__cause__`, in characters."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
"""The default for an omitted argument: the field stays unchanged. `None` would remove the field."""


class _AnyCollection:
    """Any collection of values except a string: a list, a set, the keys of a dict."""

    def __repr__(self) -> str:
        # What `help` shows in signatures.
        return "AnyCollection"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        # Report only the first invalid item.
        items = core_schema.list_schema(handler.generate_schema(get_args(source)[0]), fail_fast=True)
        return core_schema.no_info_before_validator_function(_listed, items)


def _listed(values: object) -> object:
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        return cast("object", values)
    try:
        listed = list(islice(cast("Iterable[object]", values), MAX_MANY + 1))
    except Exception as error:
        # The message of the error may be private, or very long.
        raise PydanticCustomError(
            "unreadable", "could not be iterated: it raised {kind}", {"kind": type(error).__name__}
        ) from error
    if len(listed) > MAX_MANY:
        raise PydanticCustomError("too_many", "must have at most {limit} values", {"limit": MAX_MANY})
    return listed


AnyCollection = Annotated[Collection[T], _AnyCollection()]


def guarded(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Wrap a repository method in the boundary.

    Arguments are validated strictly against their annotations: a string or a dict is not accepted as an id, nor `True`
    as a number. An invalid argument raises an `InvalidInputError` that names it, before anything is sent. No exception
    of the driver or of pydantic leaves the method. If the method fails halfway inside a transaction, it dooms the
    transaction.
    """
    # Input may be private, or very long: errors do not quote it.
    config = ConfigDict(strict=True, arbitrary_types_allowed=True, hide_input_in_errors=True)
    validated = validate_call(config=config)(method)
    parameters = tuple(inspect.signature(method).parameters)

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with AllOrNothing():
                return await validated(*args, **kwargs)
        except ValidationError as error:
            # Pydantic lists every invalid location, with dict keys in full: that could fill a log.
            raise invalid_input(error, parameters) from (error if len(str(error)) <= MAX_CAUSE else None)
        except TRANSLATED as error:
            raise translate(error) from error
        except KeyError as error:
            # Some methods read raw documents, and a write that bypassed the schema may have removed a field.
            if not isinstance(error.args[0], str):
                raise
            message = f"{method.__qualname__}: a document that it reads lacks the field {error}."
            raise InvalidDocumentError(message) from error

    return call


def guard_public_methods(repository: type) -> None:
    """Wrap every public coroutine method that the class itself defines."""
    for name, method in list(vars(repository).items()):
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(repository, name, guarded(method))
