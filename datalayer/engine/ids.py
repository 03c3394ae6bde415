"""Ids: how new ones are made, and how they validate.

An id is a `bson.ObjectId` whose first bytes are the time of its creation: four bytes of Unix seconds, three of their
fraction (a step is 60 ns), and five random ones. The driver's own ids know the time to the second and go on with bytes
of the process, so what several processes create within a second would be sorted by process. Lists that page by `_id`
rely on the finer time. Within one process ids rise strictly. Between machines their order is as good as their clocks.
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
    """Makes the ids of a process."""

    def __init__(self) -> None:
        self._last = 0
        self.begin()

    def begin(self) -> None:
        """Begin anew, as in a process that was forked: with random bytes of its own, and a lock that nobody holds."""
        self._lock, self._random = threading.Lock(), Random()  # noqa: S311 - they tell processes apart, no more

    def make(self) -> ObjectId:
        ticks = (time.time_ns() << _FRACTION_BITS) // _NANOSECONDS
        with self._lock:
            # Not the same tick twice, and not back when the clock is set back.
            self._last = ticks = max(ticks, self._last + 1)
        value = ticks << _RANDOM_BITS | self._random.getrandbits(_RANDOM_BITS)
        return ObjectId(value.to_bytes(12, "big"))


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.begin)

new_object_id = _ids.make
"""A new id, greater than every other that this process has made."""


def _core_schema(*_: object) -> CoreSchema:
    digits = core_schema.no_info_after_validator_function(ObjectId, core_schema.str_schema(pattern="^[0-9a-f]{24}$"))
    # An is-instance schema runs inside pydantic's core: no Python call for each id of each document.
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
"""The id of a document of any table."""


def register_id_types(types: Iterable[object]) -> None:
    """Let pydantic validate id types, which are `NewType`s of `ObjectId`; everything else is skipped.

    At run time a `NewType` is an object, and pydantic asks any type for this hook before it looks at the supertype.
    """
    for type_ in types:
        if isinstance(type_, NewType):
            setattr(type_, "__get_pydantic_core_schema__", _core_schema)  # noqa: B010 - it has no such attribute
