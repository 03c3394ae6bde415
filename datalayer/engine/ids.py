"""Generates and validates ids.

An id is a `bson.ObjectId` that begins with its creation time: four bytes of Unix seconds, three bytes of the fraction
(in steps of 60 ns), then five random bytes. The driver's own ids have a resolution of one second, followed by bytes of
the process, so ids that several processes create within a second would sort by process. Lists paged by `_id` rely on
the finer resolution. Within a process, ids increase strictly. Between machines, their order depends on the clocks.
"""

import os
import threading
import time
from collections.abc import Iterable
from random import Random
from typing import Annotated, NewType, TypeAlias

from bson import ObjectId
from pydantic import GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

_FRACTION_BITS, _RANDOM_BITS = 24, 40
_NANOSECONDS = 1_000_000_000


class _Ids:
    """Generates the ids of a process."""

    def __init__(self) -> None:
        self._last = 0
        self.begin()

    def begin(self) -> None:
        """Start over after a fork, with a new random generator and a released lock."""
        self._lock, self._random = threading.Lock(), Random()  # noqa: S311 - they tell processes apart, no more

    def make(self) -> ObjectId:
        ticks = (time.time_ns() << _FRACTION_BITS) // _NANOSECONDS
        with self._lock:
            # Never use a tick twice, and never go back when the clock is set back.
            self._last = ticks = max(ticks, self._last + 1)
        value = ticks << _RANDOM_BITS | self._random.getrandbits(_RANDOM_BITS)
        return ObjectId(value.to_bytes(12, "big"))


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.begin)

new_object_id = _ids.make
"""Return a new id, greater than every other id that this process has generated."""


def _core_schema(*_: object) -> CoreSchema:
    digits = core_schema.no_info_after_validator_function(ObjectId, core_schema.str_schema(pattern="^[0-9a-f]{24}$"))
    # An is-instance schema runs inside pydantic's core, without a Python call for each id.
    instance = core_schema.is_instance_schema(ObjectId)
    either = core_schema.union_schema(
        [instance, digits],
        mode="left_to_right",
        custom_error_type="id",
        custom_error_message="must be an id: 24 hexadecimal digits",
    )
    return core_schema.json_or_python_schema(
        json_schema=digits,
        python_schema=core_schema.lax_or_strict_schema(either, instance),
        serialization=core_schema.to_string_ser_schema(when_used="json"),
    )


AnyId: TypeAlias = Annotated[ObjectId, GetPydanticSchema(_core_schema)]
"""The id of a document of any collection."""


def register_id_types(types: Iterable[object]) -> None:
    """Let pydantic validate id types, which are `NewType`s of `ObjectId`. Other objects are skipped.

    At run time a `NewType` is an object, and pydantic looks for this hook on it before it looks at the supertype.
    """
    for type_ in types:
        if isinstance(type_, NewType):
            setattr(type_, "__get_pydantic_core_schema__", _core_schema)  # noqa: B010 - it has no such attribute
