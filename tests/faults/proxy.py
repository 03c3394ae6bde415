"""A connection that breaks at the worst moment: when the server has done it, and before the client hears of it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_BODY = 4 + 1 + 4 + 1
"""Flags, the kind of the section, the document's length and its first field's type: then comes that field's name."""


async def at_once(_command: str) -> None:
    """Hold nothing back."""


class Held:
    """A command that waits at the proxy.

    Attributes:
        arrived: Set when the command has arrived.
        may_pass: The command is passed on when this is set, also if its sender is gone by then.
    """

    def __init__(self) -> None:
        self.arrived, self.may_pass = asyncio.Event(), asyncio.Event()


class Proxy:
    """Stands between a client and a server.

    Attributes:
        lose: The command whose next reply is lost, together with its connection.
        passed: Called with the command that has been passed on.
        before: Awaited with each command before it is passed on.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._links: set[_Link] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._held: dict[str, Held] = {}
        self.lose: str | None = None
        self.passed: Callable[[str], None] = lambda _: None
        self.before: Callable[[str], Awaitable[None]] = at_once

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port to connect to."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            if self._connections:
                await asyncio.wait(self._connections, timeout=5)

    def hold(self, command: str) -> Held:
        """Let the next command of this name wait."""
        self._held[command] = held = Held()
        return held

    async def rest(self) -> None:
        """Wait until the server has done all that it was asked for, also by clients that are gone."""
        for link in list(self._links):
            await link.answered.wait()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if (connection := asyncio.current_task()) is not None:
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        link = _Link()
        self._links.add(link)
        replies = asyncio.ensure_future(self._replies(server, to_client, link))
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._requests(client, to_server, link)
            await link.answered.wait()
        finally:
            self._links.remove(link)
            replies.cancel()
            for writer in (to_client, to_server):
                writer.close()

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "_Link") -> None:
        while True:
            message, id, _ = await _read(source)
            command = _command(message)
            await self.before(command)
            if self.lose is not None and command == self.lose:
                self.lose = None
                link.lost.add(id)
            link.asked(id)
            if held := self._held.pop(command, None):
                held.arrived.set()
                await held.may_pass.wait()
            sink.write(message)
            await sink.drain()
            self.passed(command)

    async def _replies(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "_Link") -> None:
        try:
            while True:
                message, _, reply_to = await _read(source)
                link.got(reply_to)
                if reply_to in link.lost:
                    return
                with suppress(ConnectionError):
                    sink.write(message)
                    await sink.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            link.over()
            sink.close()


class _Link:
    """The requests of one connection.

    Attributes:
        lost: Those whose replies are to be lost.
        answered: Whether none waits for its reply.
    """

    def __init__(self) -> None:
        self.lost: set[int] = set()
        self.answered = asyncio.Event()
        self.answered.set()
        self._waiting: set[int] = set()

    def asked(self, id: int) -> None:
        """One more waits."""
        self._waiting.add(id)
        self.answered.clear()

    def got(self, id: int) -> None:
        """Its reply is there."""
        self._waiting.discard(id)
        if not self._waiting:
            self.answered.set()

    def over(self) -> None:
        """There will be no more replies."""
        self._waiting.clear()
        self.answered.set()


async def _read(source: asyncio.StreamReader) -> tuple[bytes, int, int]:
    """A message of the wire protocol, its id, and the id of what it answers."""
    header = await source.readexactly(_HEADER.size)
    length, id, reply_to, _ = _HEADER.unpack(header)
    return header + await source.readexactly(length - _HEADER.size), id, reply_to


def _command(message: bytes) -> str:
    if _HEADER.unpack_from(message)[3] != _OP_MSG:
        return ""
    start = _HEADER.size + _BODY
    return message[start : message.index(0, start)].decode()
