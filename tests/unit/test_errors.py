"""The error tree as its users see it."""

import pickle

import pytest
from pymongo.errors import BulkWriteError, ConfigurationError, OperationFailure

from datalayer.engine.translation import translate
from datalayer.errors import (
    AuthenticationError,
    DataLayerError,
    InvalidCursorError,
    InvalidInputError,
    PermissionDeniedError,
    PinLimitError,
    UnavailableError,
)

_DUMP = (
    'not authorized on db to execute command { insert: "users", lsid: { id: UUID("f036a983") }, '
    "$clusterTime: { clusterTime: Timestamp(1, 8), signature: { hash: BinData(0, CAE5) } } }"
)

pytestmark = pytest.mark.quick


def _kinds(error: type[DataLayerError]) -> list[type[DataLayerError]]:
    return [error, *(kind for child in error.__subclasses__() for kind in _kinds(child))]


def test_every_kind_has_a_code_of_its_own() -> None:
    """Programs tell errors apart by `code`."""
    codes = [kind.code for kind in _kinds(DataLayerError)]
    assert len(codes) == len(set(codes)) > 20


def test_an_error_without_a_message_says_what_its_class_is() -> None:
    assert str(PinLimitError()) == "The space already has three pinned posts."
    assert str(PinLimitError(hint="Unpin one.")) == "The space already has three pinned posts. Unpin one."


def test_a_server_that_is_starting_is_no_matter_of_the_uri() -> None:
    error = translate(ConfigurationError("Sessions are not supported by this MongoDB deployment"))
    assert type(error) is UnavailableError


def test_errors_survive_pickling() -> None:
    """Errors cross process boundaries: pytest-xdist and task queues pickle them."""
    for error in (
        InvalidInputError("title", "too long", hint="Shorten it."),
        InvalidCursorError(),
        PinLimitError("no"),
        PermissionDeniedError("no", action="find", collection="users", role="read"),
    ):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure(_DUMP, 13, {"errmsg": _DUMP, "$clusterTime": {"signature": "hash"}}),
        OperationFailure(f"not all of it: {_DUMP}", 59, {"$clusterTime": {"signature": "hash"}}),
        OperationFailure("not authorized on db to execute something else", 13, {"signature": "hash"}),
        OperationFailure("bad auth : authentication failed", 8000, {"signature": "hash"}),
        OperationFailure("Authentication failed.", 18, {"signature": "hash"}),
        BulkWriteError({"writeErrors": [], "$clusterTime": {"signature": "hash"}}),
        BulkWriteError({"writeErrors": [{"code": 59, "errmsg": _DUMP}]}),
    ],
)
def test_no_error_is_a_dump(error: Exception) -> None:
    """Neither of the command nor of the reply, whatever the server refuses."""
    text = str(translate(error))
    assert not any(word in text for word in ("lsid", "signature", "clusterTime", "hash")), text


def test_what_a_server_in_the_cloud_says_of_a_wrong_password() -> None:
    """It has a code of its own, for other errors too."""
    assert isinstance(translate(OperationFailure("bad auth : authentication failed", 8000)), AuthenticationError)
    assert not isinstance(translate(OperationFailure("too many connections", 8000)), AuthenticationError)
