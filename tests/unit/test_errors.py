"""The error tree as its users see it."""

import pickle

import pytest
from pymongo.errors import ConfigurationError

from datalayer.engine.translation import translate
from datalayer.errors import (
    DataLayerError,
    InvalidCursorError,
    InvalidInputError,
    OutcomeUnknownError,
    PinLimitError,
)

pytestmark = pytest.mark.quick


def _kinds(error: type[DataLayerError]) -> list[type[DataLayerError]]:
    return [error, *(kind for child in error.__subclasses__() for kind in _kinds(child))]


def test_every_kind_has_a_code_of_its_own() -> None:
    """Programs tell errors apart by `code`."""
    codes = [kind.code for kind in _kinds(DataLayerError)]
    assert len(codes) == len(set(codes)) > 20


def test_an_error_without_a_message_says_what_its_class_is() -> None:
    assert str(PinLimitError()) == "The space has its three pinned posts already."
    assert str(PinLimitError(hint="Unpin one.")) == "The space has its three pinned posts already. Unpin one."


def test_a_server_that_is_starting_is_no_matter_of_the_uri() -> None:
    error = translate(ConfigurationError("Sessions are not supported by this MongoDB deployment"))
    assert isinstance(error, OutcomeUnknownError)


def test_errors_survive_pickling() -> None:
    """Errors cross process boundaries: pytest-xdist and task queues pickle them."""
    for error in (
        InvalidInputError("title", "too long", hint="Shorten it."),
        InvalidCursorError(),
        PinLimitError("no"),
    ):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)
