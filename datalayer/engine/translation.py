"""The driver's and pydantic's errors in the library's own words."""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from bson.errors import BSONError
from pydantic import ValidationError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from datalayer.engine.errors import (
    AlreadyExistsError,
    DataLayerError,
    InvalidInputError,
    OutcomeUnknownError,
    UnavailableError,
)

TRANSLATED = (PyMongoError, BSONError, ValidationError, OverflowError)
"""The foreign exceptions that do not leave the library."""

_TRANSIENT = "TransientTransactionError"
_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
_RETRYABLE_WRITE = "RetryableWriteError"
_NO_WRITES = "NoWritesPerformed"
_NO_SESSIONS = "Sessions are not supported"

_DOCUMENT_VALIDATION_FAILURE = 121
_DUPLICATE_KEY = 11000
_TOO_LARGE = {10334, 17419, 17420}
_INDEX_NAME = re.compile(r"index: (\S+) dup key")

# How pydantic names the arms of unions in an error's location; they are no fields.
_ARM = re.compile(r"^(str|int|float|bool|none|.*[^\w].*|[A-Z].*)$")
_KEY = "[key]"

_COMPLAINTS = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "missing_keyword_only_argument": "is missing",
    "extra_forbidden": "is unknown",
    "unexpected_keyword_argument": "is unknown",
    "unexpected_positional_argument": "must be given by name, or not at all",
    "string_unicode": "must not contain a lone surrogate",
}
# Of what others wrote, a message and a path show the beginning.
_SHOWN = 200


def is_transient(error: BaseException | None) -> bool:
    """Whether the transaction that met the error may be tried again as a whole."""
    # The driver puts the label on whatever happens in a transaction, also on the use of a client that is closed.
    return (
        isinstance(error, PyMongoError)
        and error.has_error_label(_TRANSIENT)
        and not isinstance(error, InvalidOperation)
    )


def commit_is_unknown(error: PyMongoError) -> bool:
    """Whether the error of a commit leaves open what came of it; asking once more may tell."""
    return error.has_error_label(_UNKNOWN_COMMIT)


def outcome_is_unknown(error: BaseException | None) -> bool:
    """Whether what was asked for may have happened although it was not confirmed."""
    if isinstance(error, WriteConcernError):
        # The primary has written it; without a majority, its successor may not have it.
        return True
    if not isinstance(error, PyMongoError):
        return False
    if commit_is_unknown(error):
        return True
    if isinstance(error, ConfigurationError) and _NO_SESSIONS in str(error):
        # What the driver makes of a server that is starting, and no member of its set yet; maybe for a second attempt.
        return True
    # The driver has repeated a write outside of transactions that met such an error, and raises what came first. So no
    # server was selected at all where that is what it says.
    return (
        error.has_error_label(_RETRYABLE_WRITE)
        and not error.has_error_label(_NO_WRITES)
        and not isinstance(error, ServerSelectionTimeoutError)
    )


def translate(error: Exception) -> DataLayerError:
    """The library's error for one of `TRANSLATED`; the caller raises it from the original."""
    if outcome_is_unknown(error):
        return OutcomeUnknownError(f"The server did not confirm the change: {_sentence(error)}")
    if is_transient(error):
        return UnavailableError("The transaction kept conflicting with others, or lost its server.")
    if isinstance(error, OperationFailure) and error.code == _DOCUMENT_VALIDATION_FAILURE:
        return _refused(error.details or {})
    if isinstance(error, OperationFailure) and error.code in _TOO_LARGE:
        return InvalidInputError("document", "it is larger than the 16 MB that MongoDB allows")
    for kinds, translation in _TRANSLATIONS:
        if isinstance(error, kinds):
            return translation(error)
    return DataLayerError(f"The server refused an operation: {_sentence(error)}")


def invalid_input(error: ValidationError, parameters: tuple[str, ...] = ()) -> InvalidInputError:
    """The first of pydantic's complaints; `parameters` are the names of a call's positional arguments."""
    first = error.errors(include_url=False)[0]
    head, *rest = first["loc"] or ("value",)
    if rest and rest[-1] == _KEY:
        del rest[-2:]
    path = parameters[head] if isinstance(head, int) and head < len(parameters) else str(head)
    for part in rest:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _ARM.match(part[:_SHOWN]):
            path += f".{part[:_SHOWN]}"
    if first["type"] == "string_pattern_mismatch":
        text = str(first["input"])
        return InvalidInputError(path, "must not contain NUL" if "\0" in text else "must not be blank")
    return InvalidInputError(path[:_SHOWN], _COMPLAINTS.get(first["type"]) or _complaint(first["msg"][:_SHOWN]))


def _complaint(message: str) -> str:
    return re.sub("^(Input|String|List|Value) should", "must", message).replace("must be a valid", "must be a")


def without_credentials(text: str) -> str:
    """The text with the user names, passwords and options of any URI in it left out."""
    return re.sub(r"(mongodb(?:\+srv)?://)(?:\S*@)?([^?&=\s]*)\S*", r"\1\2", text)


def _already_exists(details: Mapping[str, Any], message: str) -> AlreadyExistsError:
    match = _INDEX_NAME.search(message)
    fields = dict(details.get("keyValue") or {})
    equal = ", ".join(f"{name} {value}" for name, value in fields.items())
    return AlreadyExistsError(
        f"There is one already with {equal or 'this key'}.", index=match[1] if match else None, fields=fields
    )


def _bulk_write_error(error: BulkWriteError) -> DataLayerError:
    details = cast("Mapping[str, Any]", error.details)
    first = cast("list[Mapping[str, Any]]", details.get("writeErrors") or [{}])[0]
    if first.get("code") == _DUPLICATE_KEY:
        return _already_exists(first, str(first.get("errmsg", "")))
    if first.get("code") == _DOCUMENT_VALIDATION_FAILURE:
        return _refused(first)
    return DataLayerError(f"The server refused some of the writes: {first.get('errmsg', error)}")


def _refused(details: Mapping[str, Any]) -> InvalidInputError:
    """What a validator refused, by the first field that the server's explanation names."""
    explained = cast("Mapping[str, Any]", details.get("errInfo", {}).get("details", {}))
    names: list[str] = []
    for rule in cast("list[Mapping[str, Any]]", explained.get("schemaRulesNotSatisfied", [])):
        names += [refused["propertyName"] for refused in rule.get("propertiesNotSatisfied", [])]
        names += [*rule.get("missingProperties", []), *rule.get("additionalProperties", [])]
    return InvalidInputError(names[0] if names else "document", "the database's schema refuses it")


def _sentence(error: Exception) -> str:
    """The driver's message without the dumps that it appends, and without credentials."""
    return re.split(r", (?:Timeout|full error)| \(configured timeouts", without_credentials(str(error)))[0]


_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], DataLayerError]], ...] = (
    ((ValidationError,), invalid_input),
    ((BulkWriteError,), _bulk_write_error),
    ((DuplicateKeyError,), lambda error: _already_exists(error.details or {}, str(error))),
    ((InvalidURI, ConfigurationError), lambda error: InvalidInputError("uri", _sentence(error))),
    (
        (DocumentTooLarge, BSONError, OverflowError),
        lambda error: InvalidInputError("document", f"it cannot be stored: {error}"),
    ),
    (
        (AutoReconnect, ServerSelectionTimeoutError, WaitQueueTimeoutError),
        lambda error: UnavailableError(f"The server does not answer: {_sentence(error)}"),
    ),
    ((ExecutionTimeout,), lambda _: UnavailableError("The server did not answer in time.")),
)
