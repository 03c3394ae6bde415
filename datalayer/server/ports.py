"""The ports that the embedded server listens on; all on loopback."""

import errno
import socket

from datalayer.engine.errors import ServerStartError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago: another program may still be faster than the server."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raise `ServerStartError` where a server could not listen on the port.

    Without it, a server that somebody else runs on this port would answer in place of ours until ours gives up.
    """
    with socket.socket() as probe:
        # As mongod does: connections of an earlier server that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise port_taken(port) from error
            raise ServerStartError(f"Port {port} cannot be used: {error.strerror}.") from error


def port_taken(port: int) -> ServerStartError:
    """The error that says so."""
    return ServerStartError(
        f"Port {port} is taken by another program.", hint="Choose another one, or none: then a free one is found."
    )
