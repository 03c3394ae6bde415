"""How a live schema differs from the declared one. Pure: nothing here asks a database."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from datalayer.schema.tables import Table


class Kind(Enum):
    """What is different."""

    MISSING_COLLECTION = "missing collection"
    MISSING_VALIDATOR = "missing validator"
    CHANGED_VALIDATOR = "changed validator"
    MISSING_INDEX = "missing index"
    CHANGED_INDEX = "changed index"
    UNKNOWN_INDEX = "unknown index"


MISSING = frozenset({Kind.MISSING_COLLECTION, Kind.MISSING_VALIDATOR, Kind.MISSING_INDEX})
"""The kinds that are mended by adding what is not there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        index: The index that it is about, where it is about one.
        detail: The declared and the live form, where both exist.
        mend: The command for mongosh that makes room for the declared form, which the next start-up then creates.
    """

    kind: Kind
    collection: str
    index: str | None = None
    detail: str = ""
    mend: str = ""

    def __str__(self) -> str:
        place = self.collection if self.index is None else f"{self.collection}.{self.index}"
        return f"{self.kind.value} {place}" + (f" ({self.detail})" if self.detail else "")


def differences(declared: Iterable[Table], live: Mapping[str, Table]) -> list[Difference]:
    """All differences, in the order of the declared tables."""
    return [difference for table in declared for difference in _of_table(table, live.get(table.name))]


def _of_table(declared: Table, live: Table | None) -> Iterator[Difference]:
    name = declared.name
    if live is None:
        yield Difference(Kind.MISSING_COLLECTION, name)
        yield from (Difference(Kind.MISSING_INDEX, name, index) for index in declared.indexes)
        return
    if live.validator is None:
        yield Difference(Kind.MISSING_VALIDATOR, name)
    elif live.validator != declared.validator:
        mend = f"db.runCommand({{collMod: '{name}', validator: {{}}}})"
        yield Difference(Kind.CHANGED_VALIDATOR, name, mend=mend)
    yield from _of_indexes(declared, live)


def _of_indexes(declared: Table, live: Table) -> Iterator[Difference]:
    name = declared.name
    for index, shape in declared.indexes.items():
        found = live.indexes.get(index)
        twin = next((other for other, form in live.indexes.items() if form == shape and other != index), None)
        if found is not None and found != shape:
            detail = f"declared {shape}, live {found}"
            yield Difference(Kind.CHANGED_INDEX, name, index, detail, f"db.{name}.dropIndex('{index}')")
        elif found is None and twin is not None:
            # The server refuses the same index under a second name.
            detail = f"it is there under the name {twin}"
            yield Difference(Kind.CHANGED_INDEX, name, index, detail, f"db.{name}.dropIndex('{twin}')")
        elif found is None:
            yield Difference(Kind.MISSING_INDEX, name, index)
    for index, shape in live.indexes.items():
        if index not in declared.indexes:
            yield Difference(Kind.UNKNOWN_INDEX, name, index, f"live {shape}", f"db.{name}.dropIndex('{index}')")
