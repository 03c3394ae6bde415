"""The driver's and pydantic's errors in the library's own words."""

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
"""The foreign exceptions that do not leave the library."""

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
# These say that the first attempt has not written: the server looks for that before it carries a statement out.
_STATEMENT_REFUSED = {_DOCUMENT_VALIDATION_FAILURE, _DUPLICATE_KEY}
_TOO_LARGE = {10334, 17419, 17420}
_INDEX_NAME = re.compile(r"index: (\S+) dup key")

# How pydantic names the arms of unions in an error's location; they are no fields.
_ARM = re.compile(r"^(str|int|float|bool|none|.*[^\w].*|[A-Z].*)$")
_KEY = "[key]"

_POSITIONAL = "unexpected_positional_argument"

_COMPLAINTS = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "missing_keyword_only_argument": "is missing",
    "extra_forbidden": "is unknown",
    "unexpected_keyword_argument": "is unknown",
    _POSITIONAL: "must be given by name, not by position",
    "string_unicode": "must not contain a lone surrogate",
}
_NOT_SENT = (ServerSelectionTimeoutError, WaitQueueTimeoutError)

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


def is_conflict(error: BaseException | None) -> bool:
    """Whether the server has aborted the transaction because of a document that another one has written."""
    return is_transient(error) and isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT


def commit_is_unknown(error: PyMongoError) -> bool:
    """Whether the error of a commit leaves open what came of it; asking once more may tell."""
    return error.has_error_label(_UNKNOWN_COMMIT)


def is_not_committed(error: PyMongoError) -> bool:
    """Whether the error of a commit says that no earlier attempt at the commit was successful either."""
    return isinstance(error, OperationFailure) and error.code == _NO_SUCH_TRANSACTION


def may_have_happened(error: PyMongoError) -> bool:
    """Whether a write outside of transactions that ended in the error may have happened all the same."""
    if _lacks_a_majority(error):
        return True
    earlier = earlier_error(error)
    if isinstance(earlier, PyMongoError) and not earlier.has_error_label(_NO_WRITES):
        # The driver's second attempt met another error, and raises that one.
        return not (isinstance(error, OperationFailure) and error.code in _STATEMENT_REFUSED)
    if isinstance(error, _NOT_SENT) or error.has_error_label(_NO_WRITES):
        return False
    # The driver labels only what it repeats, and it repeats no write of many documents.
    return error.has_error_label(_RETRYABLE_WRITE) or isinstance(error, AutoReconnect)


def _lacks_a_majority(error: PyMongoError) -> bool:
    """Whether the primary has written it, and did not hear of a majority; its successor may not have it."""
    if isinstance(error, BulkWriteError):
        return bool(cast("Mapping[str, Any]", error.details).get("writeConcernErrors"))
    return isinstance(error, WriteConcernError)


def unconfirmed(error: PyMongoError) -> OutcomeUnknownError:
    """The library's error for a change that may have happened; the caller raises it from the original."""
    return OutcomeUnknownError(f"The server did not confirm the change: {sentence(error)}")


def translate(error: Exception, client: AsyncMongoClient[Any] | None = None) -> DataLayerError:
    """The library's error for one of `TRANSLATED`; the caller raises it from the original.

    Args:
        error: The driver's, or pydantic's.
        client: Where it came from: with it, an error of the authentication says more.
    """
    if isinstance(error, PyMongoError) and (commit_is_unknown(error) or _lacks_a_majority(error)):
        return unconfirmed(error)
    if is_transient(error):
        return UnavailableError("The transaction kept conflicting with others, took too long, or lost its server.")
    if isinstance(error, OperationFailure) and (known := _by_code(error, client)) is not None:
        return known
    for kinds, translation in _TRANSLATIONS:
        if isinstance(error, kinds):
            return translation(error)
    return DataLayerError(f"The server refused an operation: {sentence(error)}")


def _by_code(error: OperationFailure, client: AsyncMongoClient[Any] | None) -> DataLayerError | None:
    if error.code == _DOCUMENT_VALIDATION_FAILURE:
        return _refused(error.details or {})
    if error.code in _TOO_LARGE:
        return InvalidInputError("document", "it is larger than the 16 MB that MongoDB allows")
    return refusal(error, client)


def invalid_input(error: ValidationError, parameters: tuple[str, ...] = ()) -> InvalidInputError:
    """The first of pydantic's complaints; `parameters` are the names of a call's positional arguments."""
    errors = error.errors(include_url=False)
    # An argument that is given by position is also missing by name. That it has to be named says more.
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
    return DataLayerError(f"The server refused some of the writes: {sentence(first.get('errmsg', error))}")


def _refused(details: Mapping[str, Any]) -> InvalidInputError:
    """What a validator refused, by the first field that the server's explanation names."""
    name = next(_names_in(details.get("errInfo", {}).get("details", {})), "document")
    return InvalidInputError(name, "the database's schema refuses it")


def _names_in(explained: Mapping[str, Any]) -> Iterator[str]:
    for clause in cast("list[Mapping[str, Any]]", explained.get("clausesNotSatisfied", [])):
        yield from _names_in(clause.get("details", {}))
    for rule in cast("list[Mapping[str, Any]]", explained.get("schemaRulesNotSatisfied", [])):
        yield from (refused["propertyName"] for refused in rule.get("propertiesNotSatisfied", []))
        yield from [*rule.get("missingProperties", []), *rule.get("additionalProperties", [])]
    # A condition beside the fields: the first field that it mentions.
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
    """The driver's error or message without credentials, and without the dumps of commands and replies in it."""
    said = re.split(r", (?:Timeout|full error)| \(configured timeouts", without_credentials(str(error)))[0]
    return re.split(r" \{.*(?:lsid|signature)", said, maxsplit=1, flags=re.DOTALL)[0]


def _configuration_error(error: ConfigurationError) -> DataLayerError:
    if _NO_SESSIONS in str(error):
        # What the driver makes of a server that is starting, and not yet a member of its set.
        return UnavailableError("The server is not ready yet.")
    return InvalidInputError("uri", sentence(error))


def _invalid_operation(error: InvalidOperation) -> DataLayerError:
    if _CLOSED in str(error):
        return DatabaseClosedError("The client of this database was closed.")
    return DataLayerError(f"The driver refused an operation: {sentence(error)}")


_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], Callable[[Any], DataLayerError]], ...] = (
    ((ValidationError,), invalid_input),
    ((BulkWriteError,), _bulk_write_error),
    ((DuplicateKeyError,), lambda error: _already_exists(error.details or {}, str(error))),
    ((InvalidURI, ConfigurationError), _configuration_error),
    ((InvalidOperation,), _invalid_operation),
    ((InvalidBSON,), lambda error: InvalidDocumentError(f"A document in the database cannot be read: {error}.")),
    (
        (DocumentTooLarge, BSONError, OverflowError),
        lambda error: InvalidInputError("document", f"it cannot be stored: {error}"),
    ),
    (
        (AutoReconnect, ServerSelectionTimeoutError, WaitQueueTimeoutError),
        lambda error: UnavailableError(f"The server does not answer: {sentence(error)}"),
    ),
    ((ExecutionTimeout,), lambda _: UnavailableError("The server did not answer in time.")),
)
