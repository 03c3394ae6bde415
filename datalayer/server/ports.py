"""The ports of the embedded server, all on loopback."""

import errno
import socket

from datalayer.engine.errors import ServerStartError

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that is free now. Another program may still take it before the server does."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raise `ServerStartError` if a server could not listen on the port.

    Without this check, another server on the port would respond in place of ours until ours gives up.
    """
    with socket.socket() as probe:
        # Like mongod: lingering connections of an earlier server do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise port_taken(port) from error
            raise ServerStartError(f"Port {port} cannot be used: {error.strerror}.") from error


def port_taken(port: int) -> ServerStartError:
    """Return the error for a port that is taken."""
    return ServerStartError(
        f"Port {port} is taken by another program.", hint="Choose another port, or omit it to use a free one."
    )
