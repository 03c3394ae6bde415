"""Ids as JSON, and as what a web framework hands over."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

import datalayer
from datalayer.documents import SpaceVisit
from datalayer.engine.ids import _Ids
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


def test_new_ids_rise_strictly_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within one tick, and when the clock is set back by an hour."""
    ids, start = _Ids(), time.time_ns()
    ticks = iter([start, start, start + 1, start - 3_600 * 10**9, start + 10**6])
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks))
    made = [ids.make() for _ in range(5)]
    assert made == sorted(set(made))


def test_a_new_id_says_when_it_was_made() -> None:
    """To 60 ns; the driver reads the seconds as it does of its own."""
    before, id, after = time.time_ns(), _Ids().make(), time.time_ns()
    made = int.from_bytes(id.binary[:7], "big") * 10**9 >> 24
    assert before - 60 <= made <= after
    assert id.generation_time.timestamp() == made // 10**9


def test_a_forked_process_makes_other_ids() -> None:
    """Its random bytes are its own: at the same moment it makes another id."""
    program = (
        "import os, time\n"
        "from datalayer.engine.ids import _Ids, new_object_id\n"
        "time.time_ns = lambda: 10**18\n"
        "child = os.fork()\n"
        "os.write(1, f'{new_object_id()} '.encode())\n"
        "child and os.waitpid(child, 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert len(set(done.stdout.split())) == 2


def test_every_id_is_made_in_one_place() -> None:
    """Nothing else in the library asks the driver for a new one."""
    package = Path(datalayer.__file__).parent
    assert [
        path for path in package.rglob("*.py") if re.search(r"\bObjectId\(\)|factory=ObjectId\b", path.read_text())
    ] == []
