"""What all documents have in common.

A document is a Beanie document whose construction costs what pydantic's core costs. Beanie's own base adds, for every
instance, a Python constructor that looks the collection up, a Python validator for each id, and a hook on every read of
an attribute; none of them is needed without links and lazy parsing, which are not used here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, cast

import beanie
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticUndefined
from pymongo.asynchronous.collection import AsyncCollection
from typing_extensions import deprecated

from datalayer.engine.codec import Codec, Wire
from datalayer.engine.definition import check_definition, extended_class
from datalayer.engine.ids import AnyId, new_object_id
from datalayer.engine.indexes import TableSettings
from datalayer.engine.read_only import ReadOnlyCollection

_WRITE_THROUGH_REPOSITORY = "Use a method of the repository: this one would bypass its rules."


def _wire_name(name: str) -> str:
    return "_id" if name == "id" else to_camel(name)


# Strict, closed, and in camelCase on the wire, as the original's schema is.
_CONFIG = ConfigDict(
    strict=True,
    extra="forbid",
    alias_generator=_wire_name,
    validate_by_name=True,
    validate_by_alias=True,
    validate_default=False,
)


class Record(BaseModel):
    """An object inside a document."""

    model_config = _CONFIG


class Document(beanie.Document):
    """A record of one collection; the fields in Python are the original's in snake_case.

    `None` is how Python says that an optional field has no value; in MongoDB the field is absent then. A document that
    is made without an `id` gets a new one.
    """

    model_config = _CONFIG

    # The tables narrow it to the id type of their own.
    id: Any = Field(default_factory=new_object_id)

    # Beanie's optimistic locking, which is not used: it would be a field of every document.
    revision_id: ClassVar[None] = None  # pyright: ignore[reportIncompatibleVariableOverride]

    _codec: ClassVar[Codec[Any]]

    if TYPE_CHECKING:
        Settings: ClassVar[type[TableSettings]]

        # They raise `DirectWriteError`. Editors strike them out, and type checkers report code that follows a call.
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def insert(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def create(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def save(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def replace(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def update(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
        @deprecated(_WRITE_THROUGH_REPOSITORY)
        async def delete(self, *args: Any, **kwargs: Any) -> NoReturn: ...  # noqa: ANN401, D102
    else:
        __init__ = BaseModel.__init__
        __getattribute__ = object.__getattribute__

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Hide what Beanie has set on the bases.

        A base that a database was opened with has attributes for queries, `User.name`. Pydantic would take them for the
        defaults of the fields that a class inherits. And a class that no database was opened with has no collection.
        """
        super().__init_subclass__(**kwargs)
        cls._document_settings = None
        for base in cls.__mro__[1:]:
            for name in getattr(base, "__pydantic_fields__", ()):
                if name not in vars(cls):
                    setattr(cls, name, PydanticUndefined)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Check what the class declares, and compile its way from and to the wire.

        Raises:
            InvalidDefinitionError: A field or an index cannot work; the message names it.
        """
        super().__pydantic_init_subclass__(**kwargs)
        for name in [name for name, value in vars(cls).items() if value is PydanticUndefined]:
            delattr(cls, name)
        # Beanie looks for the class of the ids here, and a NewType is none.
        cls.model_fields["id"].annotation = cast("type", AnyId)
        check_definition(cls, _TAKEN)
        cls._codec = Codec(cls)

    @classmethod
    def from_wire(cls, wire: Wire) -> Self:
        """The document that MongoDB returned; not validated again, since the database has done it.

        Raises:
            InvalidDocumentError: It was written past the schema, or by an older one; names collection, id and field.
        """
        return cls._codec.load([wire])[0]

    @classmethod
    def from_wires(cls, wires: Sequence[Wire]) -> list[Self]:
        """The documents that MongoDB returned, in their order; as `from_wire`."""
        return cls._codec.load(wires)

    def to_wire(self) -> dict[str, object]:
        """The document as MongoDB stores it."""
        return self._codec.dump(self)

    @classmethod
    def get_pymongo_collection(cls) -> AsyncCollection[dict[str, Any]]:
        """The collection of Beanie's own queries, on the database that was opened last; it refuses to write."""
        collection = cast("object", super().get_pymongo_collection())  # pyright: ignore[reportUnknownMemberType]
        return cast("AsyncCollection[dict[str, Any]]", ReadOnlyCollection(collection, cls.Settings.written_by))

    @classmethod
    def lazy_parse(cls, *_args: object, **_kwargs: object) -> Self:
        """Refused: a document here is never half parsed."""
        message = "lazy parsing is not supported by these documents"
        raise NotImplementedError(message)


# They are for state management and lazy parsing: without them no instance has to carry a dict of its own for them.
Document.__private_attributes__ = {}
Document.model_post_init = BaseModel.model_post_init

_TAKEN = frozenset(dir(Document))


def collection_classes(document: type[Document]) -> list[type[Document]]:
    """Return the class, and those that it extends: all of them are documents of one collection."""
    classes, extended = [document], extended_class(document)
    while extended is not None:
        classes.append(cast("type[Document]", extended))
        extended = extended_class(extended)
    return classes


def new_id() -> Any:  # noqa: ANN401
    """The default of a document's `id`."""
    return Field(default_factory=new_object_id)
