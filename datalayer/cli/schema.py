"""`datalayer schema`: deploys the database schema without starting an application."""

import asyncio
import functools
import importlib
import json
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from datalayer.database import Community, Database, Stories, open_client
from datalayer.engine.translation import TRANSLATED, translate
from datalayer.errors import DataLayerError
from datalayer.schema.application import Outcome, apply, plan_for, problems_of, rehearse
from datalayer.schema.live import Database as Handle
from datalayer.schema.lock import Holder
from datalayer.schema.manifest import outdated, write
from datalayer.schema.plan import Action, Step
from datalayer.schema.sharding import is_sharded_cluster, shard_commands

PRODUCTS: dict[str, type[Database]] = {"community": Community, "stories": Stories}


def _collections(products: Iterable[type[Database]]) -> frozenset[str]:
    return frozenset(document.Settings.name for product in products for document in product.documents)


_ALL_COLLECTIONS = _collections(PRODUCTS.values())

Products = Mapping[str, type[Database]]
"""The products that a command is about, by the names that it prints."""

Command = Callable[..., Any]
Found = dict[str, Any]


class ExitCode(IntEnum):
    """The exit codes of the commands."""

    AS_DECLARED = 0
    DRIFT = 1
    BLOCKED = 2
    COULD_NOT_LOOK = 3


_INTERRUPTED = 128 + signal.SIGINT
"""The exit code that a shell reports for Ctrl-C: neither drift nor an error."""


class SchemaGroup(click.Group):
    """A group of commands that exits with 3 on a usage error: click's default of 2 would mean "blocked"."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - as click has it
        """See the base class."""
        with _usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """See the base class."""
        with _usage_errors():
            return super().invoke(ctx)


class _Misused(click.UsageError):
    exit_code = ExitCode.COULD_NOT_LOOK


@contextmanager
def _usage_errors() -> Generator[None]:
    try:
        yield
    except click.UsageError as error:
        raise _Misused(error.format_message(), ctx=error.ctx) from error


@dataclass(frozen=True, slots=True)
class Target:
    """The database of a product, and the other collections that may be in it.

    If two products share a database, only the first one checks for unknown collections.
    """

    name: str
    product: type[Database]
    database: Handle
    known: frozenset[str] | None

    def lacks_everything(self, steps: Sequence[Step]) -> bool:
        """Return whether none of the product's collections exists."""
        missing = [step for step in steps if step.action is Action.CREATE_COLLECTION]
        return len(missing) == len(self.product.documents)


def _own_product(value: str) -> tuple[str, type[Database]]:
    """A product's class, named as `module:Class`; modules are looked for in the working directory, too."""
    module, _, name = value.partition(":")
    # As `python -m` has it.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, DataLayerError) as error:
        raise click.BadParameter(f"{value}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Database) and hasattr(found, "documents")):
        raise click.BadParameter(f"{value} is not a subclass of Community, Stories or Database")
    return name, found


_PRODUCT = click.option(
    "--product",
    "own",
    type=_own_product,
    multiple=True,
    metavar="MODULE:CLASS",
    help="Your own product, such as app:App, instead of both; may be repeated.",
)


def _products(only: str | None, own: Sequence[tuple[str, type[Database]]]) -> Products:
    if own and only is not None:
        raise click.UsageError("--only names one of the library's products: leave it out where --product is given")
    return dict(own) if own else {name: kind for name, kind in PRODUCTS.items() if only in (None, name)}


def _options(command: Command) -> Command:
    @functools.wraps(command)
    def with_products(
        *arguments: Any,  # noqa: ANN401
        only: str | None,
        own: Sequence[tuple[str, type[Database]]],
        **options: Any,  # noqa: ANN401
    ) -> object:
        return command(*arguments, products=_products(only, own), **options)

    only = click.option("--only", type=click.Choice(list(PRODUCTS)), help="Only this product.  [default: both]")
    uri = click.option("--uri", help="The URI of the database.  [default: MONGODB_URI]")
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, also for errors.")
    return uri(only(_PRODUCT(as_json(with_products))))


@click.group(cls=SchemaGroup)
def schema() -> None:
    """Compare, deploy and check collections, validators and indexes."""


@schema.command("plan")
@_options
def plan_command(uri: str | None, products: Products, *, as_json: bool) -> None:
    """Show the steps of `apply --drop` in order, and what blocks them. Changes nothing.

    Exit codes: 0 nothing is blocked, 2 a step is blocked, 3 the check could not be completed.
    """
    _run(lambda found: _plan(found, uri, products, quiet=as_json), as_json=as_json)


@schema.command("apply")
@click.option("--drop", is_flag=True, help="Replace different indexes, hide unknown ones, and drop hidden ones.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait while another process changes the schema.  [default: until it is done]",
)
@_options
def apply_command(
    uri: str | None, products: Products, *, as_json: bool, drop: bool, dry_run: bool, lock_timeout: float | None
) -> None:
    """Bring the database to the declared schema.

    Exit codes: 0 an application of this release can start now, 1 it cannot start because required steps are left, 2 a
    step could not be done, 3 the command could not connect or finish.
    """
    _run(
        lambda found: _apply(
            found, uri, products, quiet=as_json, drop=drop, dry_run=dry_run, lock_timeout=lock_timeout
        ),
        as_json=as_json,
    )


@schema.command("check")
@_options
def check_command(uri: str | None, products: Products, *, as_json: bool) -> None:
    """Compare the database with the declared schema. Changes nothing.

    Exit codes: 0 the database is as declared, 1 something is missing, different or unknown, 3 the check could not be
    completed.
    """
    _run(lambda found: _check(found, uri, products, quiet=as_json), as_json=as_json)


@schema.command("manifests")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing, and exit with 1 where a file is not up to date.")
@_PRODUCT
def manifests_command(folder: Path, own: Sequence[tuple[str, type[Database]]], *, check: bool) -> None:
    """Write the physical schema into FOLDER: a JSON file for each collection, to review and to keep with the code.

    A file says the validator, the indexes and the methods that each of them serves. No database is needed.
    """
    products = _products(None, own).values()
    found = outdated(folder, products)
    for path in found:
        click.echo(f"{path}: {'not up to date' if check else 'changed'}")
    if check:
        sys.exit(ExitCode.DRIFT if found else ExitCode.AS_DECLARED)
    write(folder, products)
    if not found:
        click.echo("All files are up to date.")


def _run(work: Callable[[Found], Coroutine[Any, Any, ExitCode]], *, as_json: bool) -> NoReturn:
    """Run the work, which records its findings, and exit."""
    found: Found = {}
    try:
        code = asyncio.run(work(found))
    except DataLayerError as error:
        found["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
        code = ExitCode.COULD_NOT_LOOK
        if not as_json:
            click.echo(f"error: {error}", err=True)
    except KeyboardInterrupt:
        click.echo("interrupted: run the command again to continue", err=True)
        sys.exit(_INTERRUPTED)
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
    sys.exit(code)


@asynccontextmanager
async def _targets(uri: str | None, products: Products) -> AsyncGenerator[list[Target]]:
    async with open_client(uri) as client:
        found: list[Target] = []
        known = _ALL_COLLECTIONS | _collections(products.values())
        for name, product in products.items():
            database = client.get_default_database(product.default_name)
            seen = any(target.database.name == database.name for target in found)
            found.append(Target(name, product, database, None if seen else known))
        try:
            yield found
        except TRANSLATED as error:
            raise translate(error, client) from error


async def _steps(targets: Sequence[Target]) -> dict[Target, list[Step]]:
    return {target: await plan_for(target.database, target.product.documents, target.known) for target in targets}


async def _plan(found: Found, uri: str | None, products: Products, *, quiet: bool) -> ExitCode:
    blocked = False
    async with _targets(uri, products) as targets:
        planned = await _steps(targets)
        for target, steps in planned.items():
            problems = await problems_of(target.database, steps)
            blocked = blocked or bool(problems)
            sharding: list[str] = []
            if await is_sharded_cluster(target.database):
                sharding = shard_commands(target.product.documents, target.database.name)
            found[target.name] = {
                "database": target.database.name,
                "steps": [_as_data(step, problems.get(step)) for step in steps],
                "sharding": sharding,
            }
            if not quiet:
                _show(target, steps, problems)
                if sharding:
                    click.echo("Run once in mongosh:\n  " + "\n  ".join(sharding))
    if not quiet:
        _show_unused(planned)
    return ExitCode.BLOCKED if blocked else ExitCode.AS_DECLARED


async def _apply(
    found: Found,
    uri: str | None,
    products: Products,
    *,
    quiet: bool,
    drop: bool,
    dry_run: bool,
    lock_timeout: float | None,
) -> ExitCode:
    codes = [ExitCode.AS_DECLARED]
    async with _targets(uri, products) as targets:
        for target in targets:
            place, documents = target.database, target.product.documents
            if dry_run:
                outcome = await rehearse(place, documents, known=target.known, drop=drop)
            else:
                with _Reporter(place.name, quiet=quiet) as reporter:
                    outcome = await apply(
                        place, documents, reporter, known=target.known, drop=drop, lock_timeout=lock_timeout
                    )
            found[target.name] = _outcome_as_data(outcome, dry_run=dry_run)
            codes.append(_exit_code(outcome))
            if not quiet:
                _show_outcome(place.name, outcome, dry_run=dry_run)
    return max(codes)


def _exit_code(outcome: Outcome) -> ExitCode:
    if outcome.blocked:
        return ExitCode.BLOCKED
    return ExitCode.AS_DECLARED if outcome.ready else ExitCode.DRIFT


async def _check(found: Found, uri: str | None, products: Products, *, quiet: bool) -> ExitCode:
    async with _targets(uri, products) as targets:
        drift = await _steps(targets)
    found.update({target.name: [_as_data(step) for step in steps] for target, steps in drift.items()})
    clean = not any(drift.values())
    if not quiet:
        for target, steps in drift.items():
            for step in steps:
                click.echo(f"{target.name}: {step}: {step.why}")
        _show_unused(drift)
        if clean:
            click.echo("The schema is as declared.")
    return ExitCode.AS_DECLARED if clean else ExitCode.DRIFT


def _show_unused(drift: Mapping[Target, Sequence[Step]]) -> None:
    """Suggest `--only` for a product that seems to be unused."""
    used = [target.name for target, steps in drift.items() if not target.lacks_everything(steps)]
    for target in drift:
        if used and target.name not in used and target.name in PRODUCTS:
            click.echo(f"{target.name}: none of its collections exists; to leave it out, use --only {used[0]}")


def _show(target: Target, steps: Sequence[Step], problems: Mapping[Step, str]) -> None:
    click.echo(f"{target.database.name}: {len(steps)} steps" if steps else f"{target.database.name}: as declared")
    for step in steps:
        asked = "  [only with --drop]" if step.needs_drop else ""
        waits = "" if step.required else "  [can wait]"
        click.echo(f"  {step}: {step.why}{asked}{waits}")
        if step in problems:
            click.echo(f"    blocked: {problems[step]}")


def _show_outcome(name: str, outcome: Outcome, *, dry_run: bool) -> None:
    if dry_run:
        for step in outcome.done:
            click.echo(f"{name}: would {step}: {step.why}")
    for step, why in outcome.blocked.items():
        click.echo(f"  blocked: {step}: {why}")
    for step in outcome.left:
        how = "only with --drop" if step.needs_drop else "check manually" if not step.automatic else "blocked"
        click.echo(f"  left: {step}: {step.why} ({how})")
    if not outcome.ready:
        click.echo(f"{name}: an application of this release cannot start with this schema.")
    elif not (outcome.done or outcome.left):
        click.echo(f"{name}: as declared, nothing to do")


def _as_data(step: Step, problem: str | None = None) -> dict[str, Any]:
    return {
        "action": step.action.value,
        "collection": step.collection,
        "index": step.name,
        "keys": None if step.shape is None else [list(key) for key in step.shape.keys],
        "options": None if step.shape is None else dict(step.shape.options),
        "why": step.why,
        "needsDrop": step.needs_drop,
        "required": step.required,
        "problem": problem,
    }


def _outcome_as_data(outcome: Outcome, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "done": [_as_data(step) for step in outcome.done],
        "left": [_as_data(step) for step in outcome.left],
        "blocked": [_as_data(step, why) for step, why in outcome.blocked.items()],
        "ready": outcome.ready,
    }


class _Reporter:
    """Prints a line for each step, and on a terminal a progress bar for long index builds."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._quiet = name, quiet
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._remove_bar()

    def waiting(self, holder: Holder) -> None:
        """Report that another process is changing the schema."""
        click.echo(f"{self._name}: waiting for another process that is changing the schema: {holder}", err=True)

    def started(self, step: Step) -> None:
        """Show a bar for the step."""
        # The previous step may have been refused.
        self._remove_bar()
        self._bar = self._bars.add_task(str(step), total=None)
        if not self._quiet and self._bars.console.is_terminal:
            self._bars.start()

    def progress(self, done: int, total: int) -> None:
        """Update the bar."""
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total)

    def finished(self, step: Step, seconds: float) -> None:
        """Print the step and its duration."""
        self._remove_bar()
        if not self._quiet:
            click.echo(f"{self._name}: {step}  ({seconds:.1f} s)")

    def _remove_bar(self) -> None:
        # Stop the bars first, and only if they were started: rich leaves a blank line where it stops without a bar.
        if self._bars.live.is_started:
            self._bars.stop()
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
