"""The errors shared by every product.

No exception of pymongo or pydantic leaves a repository. The original exception is chained as `__cause__`, except for a
pydantic error whose text is too long for a log.
"""

from collections.abc import Mapping
from typing import ClassVar


class DataLayerError(Exception):
    """The data layer could not complete the operation.

    Base class of all errors of the library.

    Attributes:
        code: A stable name for the kind of error, for programs and API responses.
        hint: What to do about it, or `None`.
    """

    code: ClassVar[str] = "data_layer_error"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(*(() if message is None else (message,)))
        self.hint = hint

    @property
    def message(self) -> str:
        """What happened, in one sentence. Defaults to the first line of the class's docstring."""
        if self.args:
            return str(self.args[0])
        return (type(self).__doc__ or type(self).__name__).partition("\n")[0]

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class NotFoundError(DataLayerError):
    """The document does not exist, or is deleted."""

    code = "not_found"


class AlreadyExistsError(DataLayerError):
    """A document with the same unique key already exists.

    Attributes:
        index: The name of the unique index that rejected the duplicate.
        fields: The fields of the duplicate key (by their names in MongoDB) and their values.
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
    """An argument was rejected before anything was written.

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

    def __init__(self, field: str = "after", reason: str = "is not a cursor of this query") -> None:
        super().__init__(field, reason)


class InvalidDefinitionError(DataLayerError, TypeError):
    """A document, an index, a repository or a product is declared in a way that cannot work; the message names it."""

    code = "invalid_definition"


class RuleViolationError(DataLayerError):
    """The change would violate a rule of the data."""

    code = "rule_violation"


class ConcurrentTransactionError(DataLayerError):
    """A transaction was used by a task other than the one that opened it.

    MongoDB runs the operations of a transaction one at a time. `gather`, `TaskGroup` and `create_task` inside
    `transaction` would run them concurrently: await them one by one, or open the transaction inside the task.
    """

    code = "concurrent_transaction"


class DatabaseClosedError(DataLayerError):
    """The database is closed."""

    code = "database_closed"


class DirectWriteError(DataLayerError):
    """A write that bypasses the document's repository was rejected.

    Beanie's `insert`, `save`, `set`, `delete` and similar methods do not maintain the counters, copies and rules that
    the repositories maintain. To bypass them on purpose, use the driver's collection: `community.database["posts"]`.

    Attributes:
        collection: The collection of the write.
        operation: The driver's method that was rejected.
        written_by: The repository to use instead, with its methods.
    """

    code = "direct_write"

    def __init__(self, collection: str, operation: str, written_by: str) -> None:
        hint = f'Use {written_by}. To bypass the rules on purpose, use the driver\'s `database["{collection}"]`.'
        super().__init__(hint=hint)
        self.args = (collection, operation, written_by)
        self.collection = collection
        self.operation = operation
        self.written_by = written_by

    @property
    def message(self) -> str:
        """What was rejected, and why."""
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
    """Another process is changing the schema."""

    code = "schema_locked"


class InvalidDocumentError(SchemaDriftError):
    """A document in the database does not match its class."""

    code = "invalid_document"


class ServerNotFoundError(DataLayerError):
    """No MongoDB server is configured, or no `mongod` program is installed."""

    code = "server_not_found"


class PermissionDeniedError(DataLayerError):
    """The user is not authorized for this operation.

    Attributes:
        action: The privilege action that the operation requires, by MongoDB's name: `insert`, `createIndex`, `collMod`,
            ...
        collection: The collection, if the operation concerns a single one.
        role: A built-in role that grants the action.
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
    """The server did not authenticate the user."""

    code = "authentication_failed"


class UnavailableError(DataLayerError):
    """The MongoDB server is not available."""

    code = "unavailable"


class OutcomeUnknownError(UnavailableError):
    """The server did not confirm the change: either all of it was applied, or none of it.

    To find out, read the data, or repeat the call if it is idempotent. Every other error except `IncompleteError`
    means that nothing was changed.
    """

    code = "outcome_unknown"


class IncompleteError(OutcomeUnknownError):
    """Only part of the change was applied; call the method again to complete it.

    A change to very many documents is made in batches. The first batch hides whatever readers must no longer see.
    """

    code = "incomplete"


class ServerStartError(UnavailableError):
    """The embedded `mongod` did not start."""

    code = "server_start"


class StandaloneServerError(UnavailableError):
    """The server is not a member of a replica set, which transactions require."""

    code = "standalone_server"


class MissingExtraError(DataLayerError):
    """An optional dependency is not installed; the hint names the extra that has it."""

    code = "missing_extra"


class NotSupportedInMemory(DataLayerError):  # noqa: N818 - it tells what a test asked for, not that something failed
    """The in-memory backend cannot do this the way MongoDB does; the embedded server can."""

    code = "not_supported_in_memory"
