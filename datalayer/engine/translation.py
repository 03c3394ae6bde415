"""Translates the errors of the driver and of pydantic into the library's own."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from bson.errors import BSONError, InvalidBSON
from pydantic import ValidationError
from pymongo import AsyncMongoClient
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

from datalayer.engine.driver import earlier_error
from datalayer.engine.errors import (
    AlreadyExistsError,
    DatabaseClosedError,
    DataLayerError,
    InvalidDocumentError,
    InvalidInputError,
    OutcomeUnknownError,
    UnavailableError,
)
from datalayer.engine.permissions import refusal

TRANSLATED = (PyMongoError, BSONError, ValidationError, OverflowError)
"""Exceptions of other libraries, which are translated and never leave this one."""

_TRANSIENT = "TransientTransactionError"
_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
_RETRYABLE_WRITE = "RetryableWriteError"
_NO_WRITES = "NoWritesPerformed"
_NO_SESSIONS = "Sessions are not supported"
_CLOSED = "after close"

_DOCUMENT_VALIDATION_FAILURE = 121
_WRITE_CONFLICT = 112
_NO_SUCH_TRANSACTION = 251
_DUPLICATE_KEY = 11000
# These prove that the first attempt did not write: the server detects a repeated statement before it runs it.
_STATEMENT_REFUSED = {_DOCUMENT_VALIDATION_FAILURE, _DUPLICATE_KEY}
_TOO_LARGE = {10334, 17419, 17420}
_INDEX_NAME = re.compile(r"index: (\S+) dup key")

# How pydantic names the members of a union in the location of an error; they are not fields.
_ARM = re.compile(r"^(str|int|float|bool|none|.*[^\w].*|[A-Z].*)$")
_KEY = "[key]"

_POSITIONAL = "unexpected_positional_argument"

_COMPLAINTS = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "missing_keyword_only_argument": "is missing (keyword-only argument)",
    "extra_forbidden": "is unknown",
    "unexpected_keyword_argument": "is unknown",
    _POSITIONAL: "must be given by name, not by position",
    "string_unicode": "must not contain a lone surrogate",
}
_NOT_SENT = (ServerSelectionTimeoutError, WaitQueueTimeoutError)

# Texts from outside the library are truncated to this many characters in messages and paths.
_SHOWN = 200


def is_transient(error: BaseException | None) -> bool:
    """Return whether the transaction that raised the error may be retried as a whole."""
    # The driver puts the label on every error inside a transaction, even on the use of a closed client.
    return (
        isinstance(error, PyMongoError)
        and error.has_error_label(_TRANSIENT)
        and not isinstance(error, InvalidOperation)
    )


def is_conflict(error: BaseException | None) -> bool:
    """Return whether the server aborted the transaction because of a write conflict."""
    return is_transient(error) and isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT


def commit_is_unknown(error: PyMongoError) -> bool:
    """Return whether the outcome of the commit is unknown; committing again may tell."""
    return error.has_error_label(_UNKNOWN_COMMIT)


def is_not_committed(error: PyMongoError) -> bool:
    """Return whether the error of a commit proves that no earlier attempt to commit succeeded either."""
    return isinstance(error, OperationFailure) and error.code == _NO_SUCH_TRANSACTION


def may_have_happened(error: PyMongoError) -> bool:
    """Return whether a write outside of transactions may have been applied although it raised the error."""
    if _lacks_a_majority(error):
        return True
    earlier = earlier_error(error)
    if isinstance(earlier, PyMongoError) and not earlier.has_error_label(_NO_WRITES):
        # The driver's retry failed with another error, and the driver raises that one.
        return not (isinstance(error, OperationFailure) and error.code in _STATEMENT_REFUSED)
    if isinstance(error, _NOT_SENT) or error.has_error_label(_NO_WRITES):
        return False
    # The driver labels only operations that it retries, and it does not retry writes of many documents.
    return error.has_error_label(_RETRYABLE_WRITE) or isinstance(error, AutoReconnect)


def _lacks_a_majority(error: PyMongoError) -> bool:
    """Return whether the primary applied the write, but no majority confirmed it: a failover may lose it."""
    if isinstance(error, BulkWriteError):
        return bool(cast("Mapping[str, Any]", error.details).get("writeConcernErrors"))
    return isinstance(error, WriteConcernError)


def unconfirmed(error: PyMongoError) -> OutcomeUnknownError:
    """Return the error for a change that may have been applied; the caller raises it from the original."""
    return OutcomeUnknownError(f"The server did not confirm the change: {sentence(error)}")


def translate(error: Exception, client: AsyncMongoClient[Any] | None = None) -> DataLayerError:
    """Return the library's error for one of `TRANSLATED`; the caller raises it from the original.

    Args:
        error: An error of the driver or of pydantic.
        client: The client that raised it; adds details to authentication errors.
    """
    if isinstance(error, PyMongoError) and (commit_is_unknown(error) or _lacks_a_majority(error)):
        return unconfirmed(error)
    if is_transient(error):
        return UnavailableError("The transaction kept conflicting with others, took too long, or lost its connection.")
    if isinstance(error, OperationFailure) and (known := _by_code(error, client)) is not None:
        return known
    for kinds, translation in _TRANSLATIONS:
        if isinstance(error, kinds):
            return translation(error)
    return DataLayerError(f"The server rejected an operation: {sentence(error)}")


def _by_code(error: OperationFailure, client: AsyncMongoClient[Any] | None) -> DataLayerError | None:
    if error.code == _DOCUMENT_VALIDATION_FAILURE:
        return _refused(error.details or {})
    if error.code in _TOO_LARGE:
        return InvalidInputError("document", "is larger than MongoDB's limit of 16 MB")
    return refusal(error, client)


def invalid_input(error: ValidationError, parameters: tuple[str, ...] = ()) -> InvalidInputError:
    """Translate the first error that pydantic found; `parameters` are the names of a call's positional arguments."""
    errors = error.errors(include_url=False)
    # An argument that is given by position is also missing by name. Report the position, which says more.
    first = next((each for each in errors if each["type"] == _POSITIONAL), errors[0])
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
    """Return the text without the user names, passwords and options of the URIs in it."""
    return re.sub(r"(mongodb(?:\+srv)?://)(?:\S*@)?([^?&=\s]*)\S*", r"\1\2", text)


def _already_exists(details: Mapping[str, Any], message: str) -> AlreadyExistsError:
    match = _INDEX_NAME.search(message)
    fields = dict(details.get("keyValue") or {})
    equal = ", ".join(f"{name} {value}" for name, value in fields.items())
    return AlreadyExistsError(
        f"A document with {equal or 'this key'} already exists.", index=match[1] if match else None, fields=fields
    )


def _bulk_write_error(error: BulkWriteError) -> DataLayerError:
    details = cast("Mapping[str, Any]", error.details)
    first = cast("list[Mapping[str, Any]]", details.get("writeErrors") or [{}])[0]
    if first.get("code") == _DUPLICATE_KEY:
        return _already_exists(first, str(first.get("errmsg", "")))
    if first.get("code") == _DOCUMENT_VALIDATION_FAILURE:
        return _refused(first)
    return DataLayerError(f"The server rejected some of the writes: {sentence(first.get('errmsg', error))}")


def _refused(details: Mapping[str, Any]) -> InvalidInputError:
    """Return the error for a document that the validator rejected. It names the first field that the server names."""
    name = next(_names_in(details.get("errInfo", {}).get("details", {})), "document")
    return InvalidInputError(name, "is rejected by the validator of the collection")


def _names_in(explained: Mapping[str, Any]) -> Iterator[str]:
    for clause in cast("list[Mapping[str, Any]]", explained.get("clausesNotSatisfied", [])):
        yield from _names_in(clause.get("details", {}))
    for rule in cast("list[Mapping[str, Any]]", explained.get("schemaRulesNotSatisfied", [])):
        yield from (refused["propertyName"] for refused in rule.get("propertiesNotSatisfied", []))
        yield from [*rule.get("missingProperties", []), *rule.get("additionalProperties", [])]
    # A condition besides the schema of the fields: name the first field that it mentions.
    if "clausesNotSatisfied" not in explained and "schemaRulesNotSatisfied" not in explained:
        for name, value in explained.get("specifiedAs", {}).items():
            yield from _paths_in(value) if name == "$expr" else [name]


def _paths_in(expression: object) -> Iterator[str]:
    if isinstance(expression, str):
        yield from re.findall(r"^\$(\w.*)", expression)
    elif isinstance(expression, Mapping):
        for inner in cast("Mapping[str, object]", expression).values():
            yield from _paths_in(inner)
    elif isinstance(expression, list):
        for inner in cast("list[object]", expression):
            yield from _paths_in(inner)


def sentence(error: object) -> str:
    """Return the driver's message without credentials, and without dumps of commands and replies."""
    said = re.split(r", (?:Timeout|full error)| \(configured timeouts", without_credentials(str(error)))[0]
    return re.split(r" \{.*(?:lsid|signature)", said, maxsplit=1, flags=re.DOTALL)[0]


def _configuration_error(error: ConfigurationError) -> DataLayerError:
    if _NO_SESSIONS in str(error):
        # The driver raises this for a server that is starting and has not joined its replica set yet.
        return UnavailableError("The server is not ready yet.")
    return InvalidInputError("uri", sentence(error))


def _invalid_operation(error: InvalidOperation) -> DataLayerError:
    if _CLOSED in str(error):
        return DatabaseClosedError("The client of this database was closed.")
    return DataLayerError(f"The driver rejected an operation: {sentence(error)}")


_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], DataLayerError]], ...] = (
    ((ValidationError,), invalid_input),
    ((BulkWriteError,), _bulk_write_error),
    ((DuplicateKeyError,), lambda error: _already_exists(error.details or {}, str(error))),
    ((InvalidURI, ConfigurationError), _configuration_error),
    ((InvalidOperation,), _invalid_operation),
    ((InvalidBSON,), lambda error: InvalidDocumentError(f"A document in the database cannot be read: {error}.")),
    (
        (DocumentTooLarge, BSONError, OverflowError),
        lambda error: InvalidInputError("document", f"cannot be stored: {error}"),
    ),
    (
        (AutoReconnect, ServerSelectionTimeoutError, WaitQueueTimeoutError),
        lambda error: UnavailableError(f"The server is not available: {sentence(error)}"),
    ),
    ((ExecutionTimeout,), lambda _: UnavailableError("The server did not respond in time.")),
)
