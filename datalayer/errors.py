"""The errors of the library.

```
DataLayerError
├── NotFoundError
├── AlreadyExistsError
├── InvalidInputError
│   └── InvalidCursorError
├── InvalidDefinitionError
├── RuleViolationError
│   ├── LastAdminError              users
│   ├── PinLimitError               posts
│   ├── SelfFollowError             follows
│   ├── CourseNotOpenError          enrollments
│   ├── NotEnrolledError            enrollments, lesson_progress
│   ├── EventFullError              rsvps
│   ├── EventOverError              rsvps
│   ├── SelfConversationError       conversations
│   ├── NotAParticipantError        messages
│   ├── AlreadyGeneratingError      scenes
│   └── StaleGenerationError        scenes
├── ConcurrentTransactionError
├── DatabaseClosedError
├── DirectWriteError
├── SchemaDriftError
│   └── InvalidDocumentError
├── SchemaLockedError
├── ServerNotFoundError
├── PermissionDeniedError
│   └── AuthenticationError
├── UnavailableError
│   ├── OutcomeUnknownError
│   │   └── IncompleteError
│   ├── ServerStartError
│   └── StandaloneServerError
├── MissingExtraError
└── NotSupportedInMemory            datalayer.testing
```

No exception of pymongo or pydantic leaves a repository. The original exception is chained as `__cause__`, except for a
pydantic error whose text is too long for a log.
"""

from datalayer.engine.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ConcurrentTransactionError,
    DatabaseClosedError,
    DataLayerError,
    DirectWriteError,
    IncompleteError,
    InvalidCursorError,
    InvalidDefinitionError,
    InvalidDocumentError,
    InvalidInputError,
    MissingExtraError,
    NotFoundError,
    NotSupportedInMemory,
    OutcomeUnknownError,
    PermissionDeniedError,
    RuleViolationError,
    SchemaDriftError,
    SchemaLockedError,
    ServerNotFoundError,
    ServerStartError,
    StandaloneServerError,
    UnavailableError,
)

__all__ = [
    "AlreadyExistsError",
    "AlreadyGeneratingError",
    "AuthenticationError",
    "ConcurrentTransactionError",
    "CourseNotOpenError",
    "DataLayerError",
    "DatabaseClosedError",
    "DirectWriteError",
    "EventFullError",
    "EventOverError",
    "IncompleteError",
    "InvalidCursorError",
    "InvalidDefinitionError",
    "InvalidDocumentError",
    "InvalidInputError",
    "LastAdminError",
    "MissingExtraError",
    "NotAParticipantError",
    "NotEnrolledError",
    "NotFoundError",
    "NotSupportedInMemory",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "PinLimitError",
    "RuleViolationError",
    "SchemaDriftError",
    "SchemaLockedError",
    "SelfConversationError",
    "SelfFollowError",
    "ServerNotFoundError",
    "ServerStartError",
    "StaleGenerationError",
    "StandaloneServerError",
    "UnavailableError",
]


class LastAdminError(RuleViolationError):
    """The last admin cannot be given another role."""

    code = "last_admin"


class PinLimitError(RuleViolationError):
    """The space already has three pinned posts."""

    code = "pin_limit"


class SelfFollowError(RuleViolationError):
    """Users cannot follow themselves."""

    code = "self_follow"


class CourseNotOpenError(RuleViolationError):
    """The course is not published."""

    code = "course_not_open"


class NotEnrolledError(RuleViolationError):
    """The user is not enrolled in the course."""

    code = "not_enrolled"


class EventFullError(RuleViolationError):
    """The event has no seat left."""

    code = "event_full"


class EventOverError(RuleViolationError):
    """The event is over."""

    code = "event_over"


class SelfConversationError(RuleViolationError):
    """A conversation needs two different people."""

    code = "self_conversation"


class NotAParticipantError(RuleViolationError):
    """Only the two participants can read and write a conversation."""

    code = "not_a_participant"


class AlreadyGeneratingError(RuleViolationError):
    """The scene is already being generated."""

    code = "already_generating"


class StaleGenerationError(RuleViolationError):
    """This generation run is no longer current: it was released or replaced, or the scene was deleted."""

    code = "stale_generation"
