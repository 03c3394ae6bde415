"""`python -m seed.measure`: measures what generating the documents costs on top of inserting them.

Blocks of the `load` world are inserted alternately by a plain `insert_many` of documents that were generated
beforehand, and by the loader, which generates the same documents while it inserts. Each has its own collection with the
same validator, indexes and write concern, on one server. Each block gives a ratio of the two times; the result is the
median.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import click
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection

from datalayer import Community, DataLayerError, embedded_server
from datalayer.seeding import Table, plan
from datalayer.seeding.loading import BATCH, insert
from seed.worlds import world

MEASURED = ("posts", "likes")

Row = dict[str, Any]
Collection = AsyncCollection[Row]


class Silence:
    """An observer that does nothing."""

    def started(self, table: Table) -> None:
        """Nothing."""

    def inserted(self, number: int) -> None:
        """Nothing."""

    def finished(self, seconds: float) -> None:
        """Nothing."""


async def plain(collection: Collection, rows: list[Row]) -> float:
    """Return the seconds that `insert_many` takes, batch by batch, with existing documents."""
    start = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        await collection.insert_many(rows[first : first + BATCH], ordered=False)
    return time.perf_counter() - start


async def loader(collection: Collection, rows: Iterator[Row]) -> float:
    """Return the seconds that the loader takes, including the generation of the documents."""
    start = time.perf_counter()
    await insert(collection, rows, Silence())
    return time.perf_counter() - start


async def compare(
    one: Collection, other: Collection, table: Table, blocks: int, block: int
) -> list[tuple[float, float]]:
    """Return the two times for each block of the collection, measured alternately."""
    ready, made = table.rows(), table.rows()
    times: list[tuple[float, float]] = []
    for number in range(blocks):
        rows = list(islice(ready, block))
        if number % 2:
            times.append((await plain(one, rows), await loader(other, islice(made, block))))
        else:
            seconds = await loader(other, islice(made, block))
            times.append((await plain(one, rows), seconds))
    return times


@asynccontextmanager
async def _two_databases(majority: bool) -> AsyncGenerator[tuple[Any, Any]]:
    concern = WriteConcern("majority" if majority else 1)
    async with embedded_server() as uri, AsyncMongoClient[Row](uri) as client:
        one, other = (client.get_database(name, write_concern=concern) for name in ("plain", "loader"))
        async with Community.over(one), Community.over(other):
            yield one, other


async def _run(blocks: int, block: int, *, majority: bool) -> None:
    tables = {table.name: table for table in plan(world("load", 1))}
    async with _two_databases(majority) as (one, other):
        for name in MEASURED:
            times = await compare(one[name], other[name], tables[name], blocks, block)
            rates = [blocks * block / sum(side) for side in zip(*times, strict=True)]
            ratios = [made / ready for ready, made in times]
            click.echo(
                f"{name:<6} insert_many {rates[0]:>9,.0f}/s  loader {rates[1]:>9,.0f}/s  time of the loader: "
                f"{statistics.median(ratios):.2f} of insert_many ({min(ratios):.2f} to {max(ratios):.2f})"
            )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--blocks", default=12, show_default=True, help="The number of blocks.")
@click.option("--block", default=10_000, show_default=True, help="The number of documents per block.")
@click.option(
    "--majority", is_flag=True, help="Wait for a majority on every write; a real run does so only at its end."
)
def command(blocks: int, block: int, *, majority: bool) -> None:
    """Compare the loader with a plain insert_many of the same documents, on a temporary server."""
    try:
        asyncio.run(_run(blocks, block, majority=majority))
    except DataLayerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    command()
