"""Ids as JSON, and as what a web framework hands over."""

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from datalayer.documents import SpaceVisit
from datalayer.ids import PostId, SpaceId

pytestmark = pytest.mark.quick

IDS = TypeAdapter(PostId)


class Form(BaseModel):
    """What somebody sends."""

    post_id: PostId


@given(st.binary(min_size=12, max_size=12).map(ObjectId))
def test_the_digits_of_an_id_are_that_id_in_json_and_where_pydantic_converts(id: ObjectId) -> None:
    assert IDS.validate_python(str(id)) == IDS.validate_python(id) == IDS.validate_json(IDS.dump_json(id)) == id
    assert Form.model_validate({"post_id": str(id)}).model_dump(mode="json") == {"post_id": str(id)}


@given(st.one_of(st.text(max_size=30), st.integers(), st.binary(max_size=24), st.none()))
def test_nothing_else_is_an_id(value: object) -> None:
    with pytest.raises(ValidationError, match="24 hexadecimal digits"):
        IDS.validate_python(value)


def test_strictly_the_digits_are_no_id() -> None:
    """As the documents and the repositories are."""
    digits = str(ObjectId())
    with pytest.raises(ValidationError, match="instance of ObjectId"):
        IDS.validate_python(digits, strict=True)
    with pytest.raises(ValidationError, match="instance of ObjectId"):
        SpaceVisit(user_id=ObjectId(), space_id=SpaceId(digits), last_visited_at=1)  # type: ignore[arg-type]


def test_the_openapi_schema_says_the_form() -> None:
    assert IDS.json_schema() == {"type": "string", "pattern": "^[0-9a-f]{24}$"}
