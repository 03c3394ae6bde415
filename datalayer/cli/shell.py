"""`datalayer shell`: Python with the databases open, and `await` without an `async def`."""

import ast
import asyncio
import code
import inspect
import sys
import threading
import traceback
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any, Self, TypeVar

import click
from bson import ObjectId

from datalayer import documents, errors, ids
from datalayer.cli.opening import location_options, opened
from datalayer.cli.schema import PRODUCTS
from datalayer.database import Database

T = TypeVar("T")

_INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended, as shells have it."""


@click.command()
@click.option("--only", type=click.Choice(list(PRODUCTS)), help="One product.  [default: those that are there]")
@click.option("-c", "--command", help="Run this code instead of reading it from the terminal.")
@location_options
def shell(only: str | None, command: str | None, uri: str | None, *, embedded: bool) -> None:
    """Run Python with the databases open: `await community.users.directory()`.

    `community` and `stories` are there, as are `documents`, `errors`, `ids`, `asyncio` and `ObjectId`. Code can also be
    piped in. The schema is verified; with --embedded it is created.
    """
    products = [product for name, product in PRODUCTS.items() if only in (None, name)]
    with LoopThread() as loop:
        stack = AsyncExitStack()
        try:
            databases = loop.run(stack.enter_async_context(opened(products, uri, embedded=embedded)))
            names = _names(databases)
            if command is None and sys.stdin.isatty():
                _interact(names, loop)
            else:
                _run(sys.stdin.read() if command is None else command, names, loop)
        finally:
            loop.run(stack.aclose())


def _names(databases: Sequence[Database]) -> dict[str, Any]:
    of_products = {name: found for name, kind in PRODUCTS.items() for found in databases if type(found) is kind}
    modules = {"asyncio": asyncio, "documents": documents, "errors": errors, "ids": ids}
    return {"__name__": "__console__", "__doc__": None, "ObjectId": ObjectId, **modules, **of_products}


def _run(source: str, names: dict[str, Any], loop: "LoopThread") -> None:
    """Run the whole code, as `python -` does."""
    try:
        compiled: CodeType = compile(source, "<stdin>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        loop.run(_execute(compiled, names))
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BaseException as error:  # noqa: BLE001 - whatever the code raises
        click.echo(_described(error, "<stdin>"), err=True, nl=False)
        sys.exit(1)


def _interact(names: dict[str, Any], loop: "LoopThread") -> None:
    with suppress(ModuleNotFoundError):
        # It edits lines and keeps their history. Not every Python has it.
        readline = import_module("readline")
        readline.set_completer(import_module("rlcompleter").Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    version = ".".join(map(str, sys.version_info[:3]))
    places = ", ".join(f"{name} ({names[name].database.name})" for name in PRODUCTS if name in names)
    Console(names, loop).interact(f"Python {version}, with {places}. Use await directly; Ctrl-D ends it.", "")


class Console(code.InteractiveConsole):
    """The standard library's console, whose statements run in the loop."""

    def __init__(self, names: dict[str, Any], loop: "LoopThread") -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop

    def runcode(self, code: CodeType) -> None:
        """Run a statement, and show what it raises. An interruption goes to the console, which asks for the next."""
        try:
            self._loop.run(_execute(code, self.locals))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the statement raises
            self.write(_described(error, self.filename))


async def _execute(compiled: CodeType, names: dict[str, Any]) -> None:
    result = FunctionType(compiled, names)()
    if inspect.iscoroutine(result):
        await result


def _described(error: BaseException, filename: str) -> str:
    """The traceback, from the code on that was typed."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != filename:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


class LoopThread:
    """An event loop in a thread of its own: the databases live there while the main thread waits for input."""

    def __init__(self) -> None:
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        self._started.set_result(asyncio.get_running_loop())
        await self._end.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine in the loop, and return its result.

        Raises:
            KeyboardInterrupt: It was interrupted: it is cancelled, and has ended. A second one does not wait for that.
        """
        tasks: list[asyncio.Task[T | _Raised]] = []
        done: Future[None] = Future()

        def start() -> None:
            tasks.append(self._loop.create_task(_outcome(coroutine)))
            tasks[0].add_done_callback(lambda _: done.set_result(None))

        def cancel() -> None:
            if tasks:
                tasks[0].cancel()
            else:
                # The interruption came before the start.
                coroutine.close()
                done.set_result(None)

        try:
            # The code may be running, and be interrupted, before this call returns.
            self._loop.call_soon_threadsafe(start)
            done.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(cancel)
            done.result()
            raise
        outcome = tasks[0].result()
        if isinstance(outcome, _Raised):
            raise outcome.error
        return outcome


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


async def _outcome(coroutine: Coroutine[Any, Any, T]) -> T | _Raised:
    """Await the coroutine. No error leaves the task: asyncio would end the loop for a `SystemExit`."""
    try:
        return await coroutine
    except BaseException as error:  # noqa: BLE001 - the main thread raises it
        return _Raised(error)
