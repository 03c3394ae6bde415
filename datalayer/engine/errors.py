"""The errors that are the same for every product.

No exception of pymongo or pydantic leaves a repository. Where one is the reason, it is the error's `__cause__`; but
not pydantic's where it would name hundreds of wrong places, or a long one.
"""

from collections.abc import Mapping
from typing import ClassVar


class DataLayerError(Exception):
    """Something the data layer was asked for did not happen.

    Attributes:
        code: A stable name of the kind of error, for programs and API responses.
        hint: What to do about it, where there is something.
    """

    code: ClassVar[str] = "data_layer_error"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(*(() if message is None else (message,)))
        self.hint = hint

    @property
    def message(self) -> str:
        """What happened, in one sentence; the class's own description where nothing more is known."""
        if self.args:
            return str(self.args[0])
        return (type(self).__doc__ or type(self).__name__).partition("\n")[0]

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class NotFoundError(DataLayerError):
    """The document does not exist, or is deleted."""

    code = "not_found"


class AlreadyExistsError(DataLayerError):
    """There is one already, and there may be only one.

    Attributes:
        index: The name of the unique index that refused the second one.
        fields: The fields that would have been equal (the names in MongoDB) with their values.
    """

    code = "already_exists"

    def __init__(
        self,
        message: str | None = None,
        *,
        index: str | None = None,
        fields: Mapping[str, object] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.index = index
        self.fields: dict[str, object] = dict(fields or {})


class InvalidInputError(DataLayerError):
    """An argument was refused before anything was written.

    Attributes:
        field: The argument, or the path inside it (`recurrence.interval`).
        reason: What is wrong with it.
    """

    code = "invalid_input"

    def __init__(self, field: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(hint=hint)
        self.args = (field, reason)
        self.field = field
        self.reason = reason

    @property
    def message(self) -> str:
        """The field and what is wrong with it."""
        return f"{self.field}: {self.reason}"


class InvalidCursorError(InvalidInputError):
    """The cursor is damaged, or belongs to another query."""

    code = "invalid_cursor"

    def __init__(self, field: str = "after", reason: str = "this is no cursor of this query") -> None:
        super().__init__(field, reason)


class InvalidDefinitionError(DataLayerError, TypeError):
    """A document, an index, a repository or a product is declared in a way that cannot work; the message names it."""

    code = "invalid_definition"


class RuleViolationError(DataLayerError):
    """The change would break a rule of the data."""

    code = "rule_violation"


class ConcurrentTransactionError(DataLayerError):
    """A transaction was used by a task other than the one that opened it.

    MongoDB runs the operations of one transaction one after the other. `gather`, `TaskGroup` and `create_task` inside
    `transaction` would run them at once: await them in turn, or open the transaction inside the task.
    """

    code = "concurrent_transaction"


class DatabaseClosedError(DataLayerError):
    """The database was closed before this was asked for."""

    code = "database_closed"


class DirectWriteError(DataLayerError):
    """A document was to be written past its repository.

    Beanie's `insert`, `save`, `set`, `delete` and the like know nothing of the counters, copies and rules that the
    repositories keep. To write past them on purpose, use the driver's collection: `community.database["posts"]`.

    Attributes:
        collection: Where it was to be written.
        operation: The driver's method that was refused.
        written_by: The repository that writes there, with its methods.
    """

    code = "direct_write"

    def __init__(self, collection: str, operation: str, written_by: str) -> None:
        hint = f'Use {written_by}. To write past the rules on purpose, use the driver\'s `database["{collection}"]`.'
        super().__init__(hint=hint)
        self.args = (collection, operation, written_by)
        self.collection = collection
        self.operation = operation
        self.written_by = written_by

    @property
    def message(self) -> str:
        """What was refused, and why."""
        return f"{self.operation} on {self.collection} would bypass the counters, copies and rules of its repository."


class SchemaDriftError(DataLayerError):
    """The database differs from the schema that the documents declare.

    Attributes:
        differences: One sentence for each difference.
    """

    code = "schema_drift"

    def __init__(
        self, message: str | None = None, *, differences: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = differences


class SchemaLockedError(DataLayerError):
    """Another process changes the schema."""

    code = "schema_locked"


class InvalidDocumentError(SchemaDriftError):
    """A document in the database is not what its class says."""

    code = "invalid_document"


class ServerNotFoundError(DataLayerError):
    """No MongoDB server is configured, or no `mongod` program is installed."""

    code = "server_not_found"


class PermissionDeniedError(DataLayerError):
    """The server does not allow the user this operation.

    Attributes:
        action: What it takes, as MongoDB calls it: `insert`, `createIndex`, `collMod`, ...
        collection: Where, if it is about one collection.
        role: A built-in role that allows it.
    """

    code = "permission_denied"

    def __init__(
        self,
        message: str | None = None,
        *,
        action: str | None = None,
        collection: str | None = None,
        role: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.action = action
        self.collection = collection
        self.role = role


class AuthenticationError(PermissionDeniedError):
    """The server does not let the user in."""

    code = "authentication_failed"


class UnavailableError(DataLayerError):
    """The MongoDB server does not answer."""

    code = "unavailable"


class OutcomeUnknownError(UnavailableError):
    """The server did not confirm the change: it happened as a whole, or it did not happen.

    Whoever needs to know looks, or asks for the change again where that is safe to repeat. Every other error but
    `IncompleteError` means that nothing has happened.
    """

    code = "outcome_unknown"


class IncompleteError(OutcomeUnknownError):
    """A part of the change is made; calling the method again completes it.

    A change of very many documents is made in batches. What readers must not see any more is hidden by the first one.
    """

    code = "incomplete"


class ServerStartError(UnavailableError):
    """The embedded `mongod` did not start."""

    code = "server_start"


class StandaloneServerError(UnavailableError):
    """The server is no member of a replica set, and transactions need one."""

    code = "standalone_server"


class NotSupportedInMemory(DataLayerError):  # noqa: N818 - it tells what a test asked for, not that something failed
    """The in-memory backend cannot do this as MongoDB does it; the embedded server can."""

    code = "not_supported_in_memory"
