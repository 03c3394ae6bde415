"""The server's refusals of a user, in words that say what to grant.

Its own message is a dump of the whole command, with the ids of sessions and the cluster's signature.
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
"""For each command the action that it takes, and the built-in role with the least rights that has it."""


def refusal(error: OperationFailure, client: AsyncMongoClient[Any] | None = None) -> PermissionDeniedError | None:
    """The error for a refusal of the user, `None` where the server refused something else.

    Args:
        error: The driver's.
        client: Tells in which database the user was looked up.
    """
    if error.code == _AUTHENTICATION_FAILED or (error.code == _ATLAS_ERROR and "auth" in str(error)):
        return _not_let_in(client)
    if error.code != _UNAUTHORIZED:
        return None
    if _NO_USER.search(str(error)):
        return AuthenticationError(
            "The server asks for a user, and there is none in the URI.",
            hint="mongodb://<user>:<password>@..., both percent-encoded.",
        )
    denied = _NOT_AUTHORIZED.search(str(error))
    if denied is None:
        return PermissionDeniedError("The server does not allow the user this operation.")
    database, command, collection = denied.groups()
    return _not_allowed(database, command, collection)


def _not_allowed(database: str, command: str, collection: str | None) -> PermissionDeniedError:
    place = f"{database}.{collection}" if collection else database
    action, role = _ACTIONS.get(command, (command, None))
    takes = f" It takes the action {action}" + (f", which the role {role} on {database} has." if role else ".")
    return PermissionDeniedError(
        f"The user may not run {command} on {place}.{takes}", action=action, collection=collection, role=role
    )


def _not_let_in(client: AsyncMongoClient[Any] | None) -> AuthenticationError:
    # There is no public way to it; the URI does not always say it, and the answer of a DNS server may.
    credentials: Any = None if client is None else getattr(client.options.pool_options, "_credentials", None)
    place = "of the URI's authSource, or else of its path" if credentials is None else credentials.source
    return AuthenticationError(
        f"The server does not let the user in: it looked in the database {place}, and found no such user there, or "
        "another password.",
        hint="A user who was created in admin needs authSource=admin in the URI.",
    )
