"""Translates authorization errors of the server into messages that say what to grant.

The server's own message dumps the whole command, with session ids and the signature of the cluster.
"""

import re
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from datalayer.engine.errors import AuthenticationError, PermissionDeniedError

_UNAUTHORIZED, _AUTHENTICATION_FAILED, _ATLAS_ERROR = 13, 18, 8000

_NOT_AUTHORIZED = re.compile(r'not authorized on (\S+) to execute command \{ (\w+): (?:"([^"]*)")?')
_NO_USER = re.compile(r"command \w+ requires authentication")

_ACTIONS = {
    **dict.fromkeys(("find", "aggregate", "count", "distinct", "getMore", "explain"), ("find", "read")),
    "listCollections": ("listCollections", "read"),
    "listIndexes": ("listIndexes", "read"),
    "insert": ("insert", "readWrite"),
    **dict.fromkeys(("update", "findAndModify"), ("update", "readWrite")),
    "delete": ("remove", "readWrite"),
    "create": ("createCollection", "dbAdmin"),
    "createIndexes": ("createIndex", "dbAdmin"),
    "dropIndexes": ("dropIndex", "dbAdmin"),
    "collMod": ("collMod", "dbAdmin"),
    "drop": ("dropCollection", "dbAdmin"),
}
"""For each command: the privilege action that it requires, and the least privileged built-in role that grants it."""


def refusal(error: OperationFailure, client: AsyncMongoClient[Any] | None = None) -> PermissionDeniedError | None:
    """Return the error for a failed authentication or authorization, or `None` for any other error.

    Args:
        error: The driver's error.
        client: The client, which knows the authentication database.
    """
    if error.code == _AUTHENTICATION_FAILED or (error.code == _ATLAS_ERROR and "auth" in str(error)):
        return _not_let_in(client)
    if error.code != _UNAUTHORIZED:
        return None
    if _NO_USER.search(str(error)):
        return AuthenticationError(
            "The server requires authentication, and the URI has no user name.",
            hint="Use mongodb://<user>:<password>@..., both percent-encoded.",
        )
    denied = _NOT_AUTHORIZED.search(str(error))
    if denied is None:
        return PermissionDeniedError("The user is not authorized for this operation.")
    database, command, collection = denied.groups()
    return _not_allowed(database, command, collection)


def _not_allowed(database: str, command: str, collection: str | None) -> PermissionDeniedError:
    place = f"{database}.{collection}" if collection else database
    action, role = _ACTIONS.get(command, (command, None))
    takes = f" It requires the action {action}" + (f", which the role {role} on {database} grants." if role else ".")
    return PermissionDeniedError(
        f"The user may not run {command} on {place}.{takes}", action=action, collection=collection, role=role
    )


def _not_let_in(client: AsyncMongoClient[Any] | None) -> AuthenticationError:
    # There is no public API for this. The URI does not always name the database: a DNS record may.
    credentials: Any = None if client is None else getattr(client.options.pool_options, "_credentials", None)
    place = "that the URI names (authSource, or else its path)" if credentials is None else credentials.source
    return AuthenticationError(
        f"Authentication failed: the database {place} has no such user, or the password is wrong.",
        hint="A user who was created in admin needs authSource=admin in the URI.",
    )
