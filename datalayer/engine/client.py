"""The driver's client for a URI, without a word of the URI's secrets in any error."""

import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from datalayer.engine.driver import deliver_cancellations
from datalayer.engine.errors import InvalidInputError, ServerNotFoundError
from datalayer.engine.settings import Settings

SERVER_SELECTION_MS = 5_000
"""How long a server may take to answer at all, where the URI says nothing of it."""

_SRV = "mongodb+srv://"

_LONGEST_NAME = 63
"""How many bytes the name of a database may have, for MongoDB."""

deliver_cancellations()


def open_client(uri: str | None = None) -> AsyncMongoClient[dict[str, Any]]:
    """A client of the server at the URI, or at the environment's.

    Raises:
        ServerNotFoundError: There is neither.
        InvalidInputError: It is no URI.
    """
    uri = _uri(uri)
    options: dict[str, Any] = {}
    if "serverselectiontimeoutms" not in uri.lower():
        options["serverSelectionTimeoutMS"] = SERVER_SELECTION_MS
    client = None if _has_stray_credentials(uri) else _client(uri, options)
    if client is None:
        # Outside of the driver's error, of which this one would keep a reference.
        reason = (
            "is no URI that the driver takes; what it says of it is not told, since that may be a part of a password. "
            "A user name, a password and the values of options must be percent-encoded; files that it names must exist"
        )
        raise InvalidInputError("uri", reason)
    return client


def _uri(uri: str | None) -> str:
    if uri is not None and not isinstance(uri, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError("uri", "must be a string")
    found = uri or Settings().mongodb_uri
    if not found:
        raise ServerNotFoundError(
            "No MongoDB server is configured.",
            hint="Set MONGODB_URI, give connect() a URI, or start one with datalayer.embedded_server().",
        )
    if not found.startswith(("mongodb://", _SRV)):
        raise InvalidInputError("uri", "must begin with mongodb:// or mongodb+srv://")
    return found


def _has_stray_credentials(uri: str) -> bool:
    """Whether the path holds what belongs elsewhere: a password with a slash, or options without a question mark.

    The driver would take it for the name of the database, and what is in front of it for the host. It also takes for a
    socket's path whatever ends as one.
    """
    hosts, _, path = uri.partition("://")[2].partition("?")[0].partition("/")
    names = [unquote(host) for host in hosts.rpartition("@")[2].split(",")]
    if any(name.endswith(".sock") and not name.startswith("/") for name in names):
        return True
    return any(mark in path for mark in "@:=&,") or ("@" in uri and "@" not in hosts)


def _client(uri: str, options: Mapping[str, Any]) -> AsyncMongoClient[dict[str, Any]] | None:
    """The client, if the driver understands the URI. What it says in errors and warnings may quote any part of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            client = AsyncMongoClient[dict[str, Any]](uri, **options)
            name = client.get_default_database("default").name
            if uri.startswith(_SRV):
                # The driver reads them when it looks for the hosts: too late to see what it says.
                split_options(uri.partition("?")[2] or "w=1", warn=True)
        except (PyMongoError, ValueError, TypeError, OSError):
            return None
    # What is collected as garbage meanwhile may cause warnings of other kinds.
    ignored = [warning for warning in caught if issubclass(warning.category, UserWarning)]
    outdated = [warning for warning in caught if issubclass(warning.category, DeprecationWarning)]
    if len(name.encode()) > _LONGEST_NAME or (ignored and uri.startswith(_SRV)):
        return None
    if ignored or outdated:
        warnings.warn("The driver ignores an option of the URI, or takes it for outdated.", stacklevel=2)
    return client
