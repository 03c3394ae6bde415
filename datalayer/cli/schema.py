"""`datalayer schema`: what a deployment does to the database's schema, without starting an application."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from datalayer.database import Community, Database, Stories, open_client
from datalayer.engine.translation import TRANSLATED, translate
from datalayer.schema.application import Outcome, apply, plan_for, problems_of
from datalayer.schema.live import Database as Handle
from datalayer.schema.plan import Step
from datalayer.schema.sharding import shard_commands

PRODUCTS: dict[str, type[Database]] = {"community": Community, "stories": Stories}

_ALL_COLLECTIONS = frozenset(document.Settings.name for product in PRODUCTS.values() for document in product.documents)

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A product's database, and what else may be in it; of two products in one database the first looks."""

    product: type[Database]
    database: Handle
    known: frozenset[str] | None


def _options(command: Command) -> Command:
    only = click.option("--only", type=click.Choice(list(PRODUCTS)), help="One product.  [default: both]")
    uri = click.option("--uri", help="Where the database is.  [default: MONGODB_URI]")
    as_json = click.option("--json", "as_json", is_flag=True, help="For machines.")
    return uri(only(as_json(command)))


@click.group()
def schema() -> None:
    """Compare, deploy and check collections, validators and indexes."""


@schema.command("plan")
@_options
def plan_command(uri: str | None, only: str | None, *, as_json: bool) -> None:
    """Show what `apply` would do, in its order, and what stands in its way. Changes nothing."""
    _run(_plan(uri, only, as_json=as_json))


@schema.command("apply")
@click.option("--drop", is_flag=True, help="Replace different indexes; hide unknown ones, and drop hidden ones.")
@_options
def apply_command(uri: str | None, only: str | None, *, as_json: bool, drop: bool) -> None:
    """Give the database the declared schema. Exits with 1 where something could not be done."""
    if not _run(_apply(uri, only, as_json=as_json, drop=drop)):
        sys.exit(1)


@schema.command("check")
@_options
def check_command(uri: str | None, only: str | None, *, as_json: bool) -> None:
    """Exit with 1 where the database is not what is declared: missing, changed or unknown."""
    if not _run(_check(uri, only, as_json=as_json)):
        sys.exit(1)


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    try:
        return asyncio.run(work)
    except TRANSLATED as error:
        raise translate(error) from error


@asynccontextmanager
async def _targets(uri: str | None, only: str | None) -> AsyncGenerator[list[Target]]:
    async with open_client(uri) as client:
        found: dict[str, Target] = {}
        for name, product in PRODUCTS.items():
            if only in (None, name):
                database = client.get_default_database(product.default_name)
                seen = any(target.database.name == database.name for target in found.values())
                found[name] = Target(product, database, None if seen else _ALL_COLLECTIONS)
        yield list(found.values())


async def _steps(target: Target) -> list[Step]:
    return await plan_for(target.database, target.product.documents, target.known)


async def _plan(uri: str | None, only: str | None, *, as_json: bool) -> None:
    found: dict[str, Any] = {}
    async with _targets(uri, only) as targets:
        for target in targets:
            steps = await _steps(target)
            problems = await problems_of(target.database, steps)
            sharding = shard_commands(target.product.documents, target.database.name)
            found[target.product.__name__.lower()] = {
                "database": target.database.name,
                "steps": [_as_data(step, problems.get(step)) for step in steps],
                "sharding": sharding,
            }
            if not as_json:
                _show(target, steps, problems)
                click.echo("On a sharded cluster, once:\n  " + "\n  ".join(sharding) if sharding else "")
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))


async def _apply(uri: str | None, only: str | None, *, as_json: bool, drop: bool) -> bool:
    outcomes: dict[str, Outcome] = {}
    async with _targets(uri, only) as targets:
        for target in targets:
            with _Reporter(target.database.name, quiet=as_json) as reporter:
                outcome = await apply(
                    target.database, target.product.documents, reporter, known=target.known, drop=drop
                )
            outcomes[target.product.__name__.lower()] = outcome
            if not as_json:
                _show_rest(outcome)
    if as_json:
        click.echo(json.dumps({name: _outcome_as_data(outcome) for name, outcome in outcomes.items()}, indent=2))
    return not any(outcome.blocked for outcome in outcomes.values())


async def _check(uri: str | None, only: str | None, *, as_json: bool) -> bool:
    async with _targets(uri, only) as targets:
        drift = {target.product.__name__.lower(): await _steps(target) for target in targets}
    if as_json:
        data = {name: [_as_data(step) for step in steps] for name, steps in drift.items()}
        click.echo(json.dumps(data, indent=2, default=str))
    else:
        for name, steps in drift.items():
            for step in steps:
                click.echo(f"{name}: {step}: {step.why}")
    clean = not any(drift.values())
    if clean and not as_json:
        click.echo("The schema is as declared.")
    return clean


def _show(target: Target, steps: Sequence[Step], problems: dict[Step, str]) -> None:
    click.echo(f"{target.database.name}: {len(steps)} steps" if steps else f"{target.database.name}: as declared")
    for step in steps:
        asked = "  [only with --drop]" if step.needs_drop else ""
        click.echo(f"  {step}: {step.why}{asked}")
        if step in problems:
            click.echo(f"    blocked: {problems[step]}")


def _show_rest(outcome: Outcome) -> None:
    for step, why in outcome.blocked.items():
        click.echo(f"  blocked: {step}: {why}")
    for step in outcome.left:
        how = "only with --drop" if step.needs_drop else "for you to look into"
        click.echo(f"  left: {step}: {step.why} ({how})")


def _as_data(step: Step, problem: str | None = None) -> dict[str, Any]:
    return {
        "action": step.action.value,
        "collection": step.collection,
        "index": step.name,
        "keys": None if step.shape is None else [list(key) for key in step.shape.keys],
        "options": None if step.shape is None else dict(step.shape.options),
        "why": step.why,
        "needsDrop": step.needs_drop,
        "problem": problem,
    }


def _outcome_as_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "done": [_as_data(step) for step in outcome.done],
        "left": [_as_data(step) for step in outcome.left],
        "blocked": [_as_data(step, why) for step, why in outcome.blocked.items()],
    }


class _Reporter:
    """A bar for an index that takes long on a terminal, and a line for each step."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._quiet = name, quiet
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._bars.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, step: Step) -> None:
        """The step comes next."""
        self._bar = self._bars.add_task(str(step), total=None)

    def progress(self, done: int, total: int) -> None:
        """So many of the documents are in the index that is being built."""
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total)

    def finished(self, step: Step, seconds: float) -> None:
        """The step is done."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        if not self._quiet:
            click.echo(f"{self._name}: {step}  ({seconds:.1f} s)")
