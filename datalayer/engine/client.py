"""Opens the driver's client for a URI. No error message contains the URI's credentials."""

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
"""The server selection timeout, unless the URI sets one."""

_SRV = "mongodb+srv://"

_LONGEST_NAME = 63
"""MongoDB's limit for the name of a database, in bytes."""

deliver_cancellations()


def open_client(uri: str | None = None) -> AsyncMongoClient[dict[str, Any]]:
    """Return a client for the URI, or for `MONGODB_URI` in the environment.

    Raises:
        ServerNotFoundError: No URI was given, and `MONGODB_URI` is not set.
        InvalidInputError: The URI is not valid.
    """
    uri = _uri(uri)
    options: dict[str, Any] = {}
    if "serverselectiontimeoutms" not in uri.lower():
        options["serverSelectionTimeoutMS"] = SERVER_SELECTION_MS
    client = None if _has_stray_credentials(uri) else _client(uri, options)
    if client is None:
        # Raised outside of the `except` block: otherwise this error would keep a reference to the driver's error.
        reason = (
            "is not a valid MongoDB URI (details hidden: they may contain the password). "
            "Percent-encode the user name, the password and option values; files that it names must exist"
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
            hint="Set MONGODB_URI, pass a URI to connect(), or start a server with datalayer.embedded_server().",
        )
    if not found.startswith(("mongodb://", _SRV)):
        raise InvalidInputError("uri", "must begin with mongodb:// or mongodb+srv://")
    return found


def _has_stray_credentials(uri: str) -> bool:
    """Return whether the path contains part of a password with a slash, or options without a question mark.

    The driver would parse it as the database name, and the part before it as the host. The driver also takes any host
    that ends in `.sock` for the path of a socket.
    """
    hosts, _, path = uri.partition("://")[2].partition("?")[0].partition("/")
    names = [unquote(host) for host in hosts.rpartition("@")[2].split(",")]
    if any(name.endswith(".sock") and not name.startswith("/") for name in names):
        return True
    return any(mark in path for mark in "@:=&,") or ("@" in uri and "@" not in hosts)


def _client(uri: str, options: Mapping[str, Any]) -> AsyncMongoClient[dict[str, Any]] | None:
    """Return the client, or `None` if the driver rejects the URI.

    The driver's errors and warnings may quote any part of the URI, so they are not passed on.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            client = AsyncMongoClient[dict[str, Any]](uri, **options)
            name = client.get_default_database("default").name
            if uri.startswith(_SRV):
                # The driver parses the options only when it resolves the hosts: too late to catch its warnings here.
                split_options(uri.partition("?")[2] or "w=1", warn=True)
        except (PyMongoError, ValueError, TypeError, OSError):
            return None
    # Garbage collection in the meantime may cause warnings of other categories.
    ignored = [warning for warning in caught if issubclass(warning.category, UserWarning)]
    outdated = [warning for warning in caught if issubclass(warning.category, DeprecationWarning)]
    if len(name.encode()) > _LONGEST_NAME or (ignored and uri.startswith(_SRV)):
        return None
    if ignored or outdated:
        warnings.warn("The driver ignores an option of the URI, or considers it deprecated.", stacklevel=2)
    return client
