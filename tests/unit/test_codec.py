"""The fast way from the wire against pydantic's own validation."""

import copy
import pickle
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalayer.documents import Document, Notification, Post, User
from datalayer.errors import InvalidDocumentError
from tests.examples import ALL_DOCUMENTS, documents, full_wire

pytestmark = pytest.mark.quick


@given(data=st.data(), model=st.sampled_from(ALL_DOCUMENTS))
def test_what_is_read_is_what_was_written(data: st.DataObject, model: type[Document]) -> None:
    """A random document comes back through BSON equal in every way that pydantic offers."""
    written: Any = data.draw(documents(model))
    wire = bson.decode(bson.encode(written.to_wire()))
    read = model.from_wire(wire)
    validated = model.model_validate(wire)
    for other in (written, validated):
        assert read == other
        assert read.model_dump() == other.model_dump()
        assert read.model_dump(by_alias=True, exclude_none=True) == other.model_dump(by_alias=True, exclude_none=True)
        assert read.model_dump_json() == other.model_dump_json()
        assert repr(read) == repr(other)
    assert read.model_fields_set == validated.model_fields_set
    assert read.to_wire() == wire
    assert pickle.loads(pickle.dumps(read)) == read == copy.deepcopy(read) == read.model_copy(deep=True)  # noqa: S301
    if model is not Notification:  # its `data` may hold ids, which are strings in JSON
        assert model.model_validate_json(read.model_dump_json(by_alias=True, exclude_none=True)) == read


@given(data=st.data(), model=st.sampled_from(ALL_DOCUMENTS))
def test_no_null_is_written(data: st.DataObject, model: type[Document]) -> None:
    """An optional field without a value is absent."""
    wire = data.draw(documents(model)).to_wire()
    assert all(value is not None for name, value in wire.items() if name != "data")


@pytest.mark.parametrize("model", ALL_DOCUMENTS)
def test_a_missing_field_is_named(model: type[Document]) -> None:
    """A document that an older version wrote gives an error with collection, id and field, not a half-built object."""
    valid = full_wire(model)
    for field in model.model_fields.values():
        if field.is_required():
            wire = {name: value for name, value in valid.items() if name != field.alias}
            with pytest.raises(InvalidDocumentError) as error:
                model.from_wire(wire)
            assert f"{model.Settings.name} {valid['_id']}: the field {field.alias} " in str(error.value)


def test_a_wrong_type_is_named() -> None:
    """What the schema of an older version allowed does not come through either."""
    with pytest.raises(InvalidDocumentError, match=r"posts .* the field likeCount "):
        Post.from_wire(full_wire(Post) | {"likeCount": None})
    with pytest.raises(InvalidDocumentError, match=r"users .* the field notificationPrefs.emailDMs "):
        User.from_wire(
            full_wire(User)
            | {
                "notificationPrefs": {
                    "emailComments": True,
                    "emailReplies": True,
                    "emailFollowers": True,
                    "emailEvents": True,
                    "emailCourses": True,
                    "digestFrequency": "off",
                }
            }
        )


def test_unknown_fields_are_left_out() -> None:
    """A newer version may have added one while this one still runs."""
    assert Post.from_wire(full_wire(Post) | {"surprise": 1}).title == "some text"
