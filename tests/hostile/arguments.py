"""Arguments that are right: of the types of the parameters, and of documents that belong together."""

import inspect
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin

from bson import ObjectId

from datalayer import ids
from datalayer.documents import Document
from datalayer.documents.events import Recurrence
from datalayer.documents.points import Level
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.fields import Integer, Json, Text
from datalayer.engine.repository import Repository
from datalayer.repositories.levels import DEFAULT_LEVELS, LevelFields
from datalayer.repositories.users import PrefChanges
from tests.examples import ALL_DOCUMENTS
from tests.hostile.values import MARK, TEXTS
from tests.plans.registry import METHODS, REPOSITORIES
from tests.plans.world import World

Named = dict[str, Any]

ID_TYPES = {kind for kind in vars(ids).values() if isinstance(kind, NewType)}

_JSON = (None, 1, 2.5, True, MARK, f"${MARK}", [MARK, {MARK: f"${MARK}"}], {"a": {"b": [ObjectId()]}})
_KNOWN_WORDS = ("post", "comment", "pro", "account", "spam", "#ff0000")


def _kinds(annotation: Any) -> set[Any]:
    """The types of ids in an annotation, at any depth."""
    if annotation in ID_TYPES:
        return {annotation}
    if isinstance(annotation, TypeVar):
        return set(annotation.__constraints__)
    return set().union(*map(_kinds, get_args(annotation)))


def _id_fields(document: type[Document]) -> dict[str, set[Any]]:
    """The fields that hold ids, by the names that they have in MongoDB."""
    annotations = inspect.get_annotations(document)
    kinds = {name: _kinds(annotations[name]) for name in annotations if not name.startswith("_")}
    return {str(document.model_fields[name].alias): of for name, of in kinds.items() if of}


_TABLES = {document.Settings.name: _id_fields(document) for document in ALL_DOCUMENTS}


class Method:
    """A method's parameters, without `self`; those of a `**` parameter one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attribute, _, self.short = name.partition(".")
        self._repository = REPOSITORIES[self.attribute]
        self.doc = METHODS[name].__doc__ or ""
        self.types: Named = {}
        self.required: set[str] = set()
        for parameter in list(inspect.signature(METHODS[name]).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                self.types |= inspect.get_annotations(PrefChanges)
                continue
            self.types[parameter.name] = self._of_this_table(parameter.annotation)
            if parameter.default is parameter.empty:
                self.required.add(parameter.name)

    def of(self, world: World) -> Callable[..., Any]:
        """The method itself."""
        repository: Repository[Any, Any] = getattr(world.c, self.attribute, None) or getattr(world.s, self.attribute)
        return getattr(repository, self.short)

    def _of_this_table(self, annotation: Any) -> Any:
        """With the repository's own id type in place of the type variable of all repositories."""
        (own,) = _kinds(inspect.get_annotations(self._repository.document)["id"])
        if isinstance(annotation, TypeVar) and not annotation.__constraints__:
            return own
        if hasattr(annotation, "__metadata__") and any(
            isinstance(arm, TypeVar) for arm in get_args(annotation.__origin__)
        ):
            (variable,) = get_args(annotation.__origin__)
            return list[own] if not variable.__constraints__ else list[variable]  # type: ignore[valid-type]
        return annotation


class Arguments:
    """Draws arguments from a world."""

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self._rows = rows
        self._ids: dict[Any, list[ObjectId]] = {kind: [] for kind in ID_TYPES}
        for table, fields in _TABLES.items():
            for name, kinds in fields.items():
                for kind in kinds:
                    self._ids[kind] += [row[name] for row in rows[table] if isinstance(row.get(name), ObjectId)]

    def any_id(self, chance: random.Random) -> ObjectId:
        """An id of whatever table."""
        return chance.choice(chance.choice([ids for ids in self._ids.values() if ids]))

    def right(self, method: Method, chance: random.Random) -> Named:
        """Arguments for all parameters that are required, and for some of the others."""
        row = self._row(method, chance)
        given = {name for name in method.types if name in method.required or chance.random() < 0.5}
        return {name: self._value(name, method.types[name], row, chance) for name in method.types if name in given}

    def _row(self, method: Method, chance: random.Random) -> Mapping[Any, list[ObjectId]]:
        """Ids by their kinds, from one document that has as many of the method's kinds as one can have."""
        wanted = _kinds_of_all(method.types.values())
        covered = {table: len(wanted & _kinds_of_all(fields.values())) for table, fields in _TABLES.items()}
        tables = [table for table, many in covered.items() if self._rows[table] and many == max(covered.values())]
        table = chance.choice(tables)
        row = chance.choice(self._rows[table])
        found: dict[Any, list[ObjectId]] = {}
        for name, kinds in _TABLES[table].items():
            for kind in kinds:
                found.setdefault(kind, []).extend([row[name]] if isinstance(row.get(name), ObjectId) else [])
        return found

    def _value(  # noqa: C901, PLR0911 - one case for each kind of annotation
        self,
        name: str,
        annotation: Any,
        row: Mapping[Any, list[ObjectId]],
        chance: random.Random,
        limits: tuple[Any, ...] = (),
    ) -> Any:
        if name == "after":
            return None
        if annotation is Json:
            return chance.choice(_JSON)
        if hasattr(annotation, "__metadata__"):
            return self._value(name, annotation.__origin__, row, chance, (*limits, *annotation.__metadata__))
        origin = get_origin(annotation)
        if origin in (Union, UnionType):
            return self._value(name, chance.choice(get_args(annotation)), row, chance, limits)
        if origin is Literal:
            return chance.choice(get_args(annotation))
        if origin in (list, Collection):
            inner = get_args(annotation)[0]
            if inner == Level | LevelFields:
                return self._levels(chance)
            return [self._value(name, inner, row, chance, limits) for _ in range(chance.randint(0, 3))]
        if annotation is Recurrence or origin is Mapping:
            fields = {"frequency": chance.choice(["daily", "weekly", "monthly"]), "interval": chance.randint(1, 3)}
            return Recurrence(**fields) if annotation is Recurrence else fields
        kinds = _kinds(annotation)
        if kinds:
            kind = chance.choice(sorted(kinds, key=str))
            return chance.choice(row.get(kind) or self._ids[kind] or [ObjectId()])
        if isinstance(annotation, NewType):
            return self._value(name, annotation.__supertype__, row, chance, limits)
        if annotation is str:
            longest = next(limit.longest for limit in limits if isinstance(limit, Text))
            return chance.choice([text for text in (*TEXTS, *_KNOWN_WORDS) if len(text) <= longest])
        if annotation is int:
            bounds = next(limit for limit in limits if isinstance(limit, Integer))
            return chance.choice([bounds.minimum, bounds.minimum + 1, bounds.minimum + 3, bounds.maximum])
        return {bool: chance.random() < 0.5, Unset: UNSET, NoneType: None}[annotation]

    def _levels(self, chance: random.Random) -> list[LevelFields]:
        return [{**level, "name": chance.choice(TEXTS)} for level in DEFAULT_LEVELS[: chance.randint(2, 5)]]


def _kinds_of_all(annotations: Collection[Any]) -> set[Any]:
    """The kinds of ids in several annotations, or in several sets of them."""
    return set().union(*(one if isinstance(one, set) else _kinds(one) for one in annotations))


ALL_METHODS = {name: Method(name) for name in METHODS}
"""The methods of all repositories."""
