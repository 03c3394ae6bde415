"""The base class of all documents.

A document is a Beanie document that is as cheap to construct as a plain pydantic model. Beanie's own base class adds a
Python constructor that looks up the collection, a Python validator for each id, and a hook on every attribute read.
Only links and lazy parsing need them, and neither is used here.
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


# Strict, without extra fields, and in camelCase in MongoDB, as in the original schema.
_CONFIG = ConfigDict(
    strict=True,
    extra="forbid",
    alias_generator=_wire_name,
    validate_by_name=True,
    validate_by_alias=True,
    validate_default=False,
)


class Record(BaseModel):
    """An object embedded in a document."""

    model_config = _CONFIG


class Document(beanie.Document):
    """A document of a collection. The field names in Python are those of the original schema, in snake_case.

    An optional field without a value is `None` in Python and absent in MongoDB. A document that is created without an
    `id` gets a new one.
    """

    model_config = _CONFIG

    # Subclasses narrow it to their own id type.
    id: Any = Field(default_factory=new_object_id)

    # Disables Beanie's optimistic locking, which would add a field to every document.
    revision_id: ClassVar[None] = None  # pyright: ignore[reportIncompatibleVariableOverride]

    _codec: ClassVar[Codec[Any]]

    if TYPE_CHECKING:
        Settings: ClassVar[type[TableSettings]]

        # These raise `DirectWriteError`. Editors strike them out, and type checkers report code after a call.
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

        # mypy sees the `__getattribute__` of lazy_model's parser for pydantic 1, which answers to every name, so a
        # misspelt attribute would be `Any`. Type checkers do not call one that is no function.
        __getattribute__: ClassVar[None]  # pyright: ignore[reportIncompatibleMethodOverride]
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
        """Check what the class declares, and compile its codec.

        Raises:
            InvalidDefinitionError: A field or an index cannot work; the message names it.
        """
        super().__pydantic_init_subclass__(**kwargs)
        for name in [name for name, value in vars(cls).items() if value is PydanticUndefined]:
            delattr(cls, name)
        # Beanie looks up the class of the ids here, and a NewType is not a class.
        cls.model_fields["id"].annotation = cast("type", AnyId)
        check_definition(cls, _TAKEN)
        cls._codec = Codec(cls)

    @classmethod
    def from_wire(cls, wire: Wire) -> Self:
        """Return a document from what MongoDB returned, without validating it again: the database has validated it.

        Raises:
            InvalidDocumentError: The document does not match the schema: it was written bypassing the validator, or
                under an older schema. The error names the collection, the id and the field.
        """
        return cls._codec.load([wire])[0]

    @classmethod
    def from_wires(cls, wires: Sequence[Wire]) -> list[Self]:
        """Return documents from what MongoDB returned, in the same order; see `from_wire`."""
        return cls._codec.load(wires)

    def to_wire(self) -> dict[str, object]:
        """Return the document as MongoDB stores it."""
        return self._codec.dump(self)

    @classmethod
    def get_pymongo_collection(cls) -> AsyncCollection[dict[str, Any]]:
        """Return the read-only collection for Beanie's own queries, in the most recently opened database."""
        collection = cast("object", super().get_pymongo_collection())  # pyright: ignore[reportUnknownMemberType]
        return cast("AsyncCollection[dict[str, Any]]", ReadOnlyCollection(collection, cls.Settings.written_by))

    @classmethod
    def lazy_parse(cls, *_args: object, **_kwargs: object) -> Self:
        """Raise an error: lazy parsing is not supported."""
        message = "lazy parsing is not supported by these documents"
        raise NotImplementedError(message)


# Private attributes serve state management and lazy parsing. Without them, instances need no dict for them.
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
    """Return a new id, the default of a document's `id`."""
    return Field(default_factory=new_object_id)
