"""What a class may not declare is refused when it is defined, with the name of the field or the index."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest

from datalayer import Community, Stories
from datalayer.documents import Document, Index, Post, Record, Story, User
from datalayer.engine.document import new_id
from datalayer.engine.fields import Count, Integer, Json, Name, Text, Timestamp
from datalayer.engine.indexes import TableSettings
from datalayer.errors import DataLayerError, InvalidDefinitionError
from datalayer.ids import PostId, UserId
from datalayer.schema.validators import validator

Short = Annotated[str, Text(1, 10)]


class Address(Record):
    """A part of a document."""

    street: Short
    number: Count | None = None


def extend(
    base: type[Document],
    annotations: Mapping[str, Any],
    indexes: Sequence[object] = (),
    *,
    defaults: Mapping[str, Any] | None = None,
    **settings: object,
) -> type[Any]:
    """A class that extends another one; each field is `None` by default."""
    namespace: dict[str, Any] = {"__module__": __name__, "__qualname__": "Own", "__annotations__": dict(annotations)}
    namespace |= dict.fromkeys(annotations) if defaults is None else dict(defaults)
    inner = {"__qualname__": "Own.Settings", "indexes": (*base.Settings.indexes, *indexes), **settings}
    namespace["Settings"] = type("Settings", (base.Settings,), inner)
    return type(base)("Own", (base,), namespace)


BAD_FIELDS: dict[str, tuple[Callable[[], object], str]] = {
    "a plain str": (lambda: extend(User, {"x_a": str | None}), r"`x_a` needs `Text\(shortest, longest\)`"),
    "a plain int": (lambda: extend(User, {"x_a": int | None}), r"`x_a` needs `Integer\(minimum, maximum\)`"),
    "a float": (lambda: extend(User, {"x_a": float | None}), "`x_a` has no validator: float"),
    "a datetime": (lambda: extend(User, {"x_a": datetime | None}), "`x_a` has no validator: datetime"),
    "a plain dict": (lambda: extend(User, {"x_a": dict[str, Short] | None}), "`x_a` has no validator"),
    "numbers as literals": (lambda: extend(User, {"x_a": Literal[1, 2] | None}), "`x_a` has no validator"),
    "two types": (lambda: extend(User, {"x_a": Short | Count | None}), "`x_a` has no validator: the arms"),
    "required": (lambda: extend(User, {"x_a": Short}, defaults={}), "`x_a` must be optional"),
    "a default": (lambda: extend(User, {"x_a": Short}, defaults={"x_a": "free"}), "`x_a` must be optional"),
    "optional with a default": (lambda: extend(User, {"x_a": Short | None}, defaults={"x_a": "free"}), "`x_a` must be"),
    "a field of ours": (lambda: extend(User, {"points": Count | None}), "`points` is one of User"),
    "a name on the wire": (
        lambda: extend(User, {"authUserId": Short | None}),
        "`authUserId` clashes with `auth_user_id`",
    ),
    "an attribute": (lambda: extend(User, {"to_wire": Short | None}), "`to_wire` has the name of an attribute"),
    "private": (lambda: extend(User, {"_note": Short | None}), "`_note` is private"),
    "a field of the engine's": (lambda: extend(User, {"deleted_at": Timestamp | None}), "`deleted_at` would change"),
}


@pytest.mark.parametrize(("define", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS)
@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_fields_that_are_refused(define: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=message):
        define()


AGES = Index("x_by_age", "xAge", why="a test")
AGE = {"x_age": Count | None}

BAD_INDEXES: dict[str, tuple[Callable[[], object], str]] = {
    "a name of ours": (lambda: extend(User, AGE, [Index("by_role", "xAge")]), "another index with the name `by_role`"),
    "keys of ours": (lambda: extend(User, AGE, [Index("x_mine", "role")]), "`x_mine` is the same as `by_role`"),
    "no such field": (lambda: extend(User, AGE, [Index("x_mine", "age")]), "`x_mine` has a field .* lacks: age"),
    "not an index": (lambda: extend(User, AGE, ["xAge"]), "'xAge' must be an `Index"),
    "unique for all": (lambda: extend(User, AGE, [Index("x_mine", "xAge", unique=True)]), "`x_mine` must leave out"),
    "another shard key": (lambda: extend(User, AGE, shard_key=("name",)), "cannot change `shard_key`"),
}


@pytest.mark.parametrize(("define", "message"), BAD_INDEXES.values(), ids=BAD_INDEXES)
def test_indexes_and_settings_that_are_refused(define: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=message):
        define()


def test_settings_keep_the_indexes_of_the_base() -> None:
    """And inherit from them."""
    with pytest.raises(InvalidDefinitionError, match=r"must begin with .*User\.Settings\.indexes"):

        class Forgetful(User):
            x_age: Count | None = None

            class Settings(User.Settings):
                indexes = (AGES,)

    with pytest.raises(InvalidDefinitionError, match=r"must inherit: `class Settings\(User\.Settings\)`"):

        class Stranger(User):
            class Settings(TableSettings):
                name = "users"

    with pytest.raises(InvalidDefinitionError, match=r"must inherit: `class Settings\(User\.Settings\)`"):

        class Nameless(User):
            class Settings(TableSettings):
                indexes = (AGES,)


def test_the_fields_of_a_class_may_be_those_of_another_collection() -> None:
    """Then it extends nothing: its fields may be required, and its indexes are its own."""
    own = extend(User, {"age": Count}, defaults={}, name="guests")
    assert Community.extended(own) == (*Community.documents, own)


def test_a_document_of_its_own_is_checked_too() -> None:
    """Its fields may be required, but each needs a validator; also inside of objects."""

    class Parcel(Document):
        id: UserId = new_id()
        address: Address
        weight: Annotated[int, Integer(1, 100)]

        class Settings(TableSettings):
            name = "parcels"

    assert Parcel(address=Address(street="Here"), weight=3).to_wire()["address"] == {"street": "Here"}

    class Untyped(Record):
        street: str

    with pytest.raises(InvalidDefinitionError, match=r"Untyped: the field `street` needs `Text"):

        class Letter(Document):
            address: Untyped


GOOD: dict[str, Any] = {
    "text": Short | None,
    "number": Count | None,
    "flag": bool | None,
    "literals": Literal["a", "b"] | None,
    "id": PostId | None,
    "record": Address | None,
    "records": list[Address] | None,
    "list": list[Short] | None,
    "json": Json | None,
}


@pytest.mark.parametrize("kind", GOOD.values(), ids=GOOD)
def test_types_that_are_accepted_have_a_validator(kind: Any) -> None:
    """The field is in the schema, under its name in MongoDB, and is not required."""
    schema: Any = validator(extend(User, {"x_own_field": kind}))["$jsonSchema"]
    assert "xOwnField" in schema["properties"]
    assert "xOwnField" not in schema["required"]


def test_any_name_that_python_takes_can_be_read() -> None:
    """Also the names of functions that reading uses."""
    own = extend(User, {"round": Count | None, "wire": Short | None, "values": Short | None, "load": Count | None})
    wire = {
        "_id": None,
        "visibility": "public",
        "role": "member",
        "points": 1,
        "level": 1,
        "createdAt": 1,
        "updatedAt": 1,
    }
    read = own.from_wire({**wire, "round": 2.0, "values": "a", "load": 3})
    assert (read.round, read.wire, read.values, read.load, read.points) == (2, None, "a", 3, 1)
    assert {**read.to_wire(), "_id": None} == {**wire, "round": 2, "values": "a", "load": 3}


def test_documents_of_a_product() -> None:
    """A class takes the place of the one that it extends, or is added."""
    own = extend(User, AGE)
    documents = Community.extended(own)
    assert own in documents
    assert User not in documents
    assert len(documents) == len(Community.documents)

    class Parcel(Document):
        name: Name

        class Settings(TableSettings):
            name = "parcels"

    assert Community.extended(Parcel) == (*Community.documents, Parcel)

    class Usurper(Document):
        name: Name

        class Settings(TableSettings):
            name = "posts"

    bad = {
        "another class for 'users'": (own, extend(User, AGE)),
        "'posts' belongs to Post": (Usurper,),
        "extends Story, which is not a document of Community": (extend(Story, AGE),),
        "another class for 'parcels'": (Parcel, Parcel),
    }
    for message, classes in bad.items():
        with pytest.raises(InvalidDefinitionError, match=message):
            Community.extended(*classes)


def test_a_collection_has_one_class() -> None:
    with pytest.raises(InvalidDefinitionError, match="User and Own have the same collection, 'users'"):

        class Twice(Community):
            documents = (*Community.documents, extend(User, AGE))


def test_products_may_be_extended_twice() -> None:
    """By a package, and by the application on top of it."""
    first = extend(User, AGE)

    class Package(Community):
        documents = Community.extended(first)

    second = extend(first, {"x_shoe_size": Count | None})
    assert second in Package.extended(second)
    assert second in Community.extended(second)


@pytest.mark.parametrize("document", [*Community.documents, *Stories.documents])
def test_no_name_of_ours_is_one_that_is_promised(document: type[Document]) -> None:
    """Nothing begins with `x_`, and no stored name with an `x` and a capital letter: those are for applications."""
    stored = [document.Settings.name, *(field.alias or name for name, field in document.model_fields.items())]
    assert [name for name in stored if name[0] == "x" and (name[1:2].isupper() or name[1:2] == "_")] == []
    declared = [*document.model_fields, *(index.name for index in document.Settings.indexes)]
    assert [name for name in declared if name.startswith("x_")] == []


def test_the_error_is_a_type_error_of_the_library() -> None:
    assert issubclass(InvalidDefinitionError, DataLayerError)
    assert issubclass(InvalidDefinitionError, TypeError)
    assert Post.model_fields["like_count"].is_required()
