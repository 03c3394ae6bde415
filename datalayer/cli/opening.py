"""Where the commands that work with data find their databases, and how they open them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import click

from datalayer.database import Database, open_client
from datalayer.engine.translation import TRANSLATED, translate
from datalayer.errors import SchemaDriftError
from datalayer.schema.live import Database as Handle
from datalayer.server import embedded_server

DATA_DIR = Path(".data")
"""Where the server of the commands keeps its data."""

Command = Callable[..., Any]


def location_options(command: Command) -> Command:
    """Add the options that say where the databases are."""
    uri = click.option("--uri", help="Where the database is.  [default: MONGODB_URI]")
    embedded = click.option("--embedded", is_flag=True, help=f"Start a server on the data in {DATA_DIR}/.")
    return uri(embedded(command))


@asynccontextmanager
async def opened(
    products: Sequence[type[Database]], uri: str | None, *, embedded: bool
) -> AsyncGenerator[list[Database]]:
    """Open the products' databases.

    Their schema is created on a server that is started here, and verified elsewhere: a command that looks at a
    production database must not change its schema. Of several products, those without a collection are left out there.

    Raises:
        ServerNotFoundError: No server is configured, and none is asked for.
        SchemaDriftError: A given server has no schema, or another one than this release needs.
    """
    if embedded and uri is not None:
        raise click.UsageError("--embedded starts a server: it takes no --uri.")
    async with AsyncExitStack() as stack:
        if embedded:
            uri = await stack.enter_async_context(embedded_server(DATA_DIR))
        else:
            products = await _present(products, uri)
        yield [
            await stack.enter_async_context(product.connect(uri, schema="create" if embedded else "verify"))
            for product in products
        ]


async def _present(products: Sequence[type[Database]], uri: str | None) -> Sequence[type[Database]]:
    """Return the products that have a collection there.

    Raises:
        SchemaDriftError: None has.
    """
    async with open_client(uri) as client:
        try:
            found = [
                product
                for product in products
                if await _has_collections(product, client.get_default_database(product.default_name))
            ]
        except TRANSLATED as error:
            raise translate(error, client) from error
    if not found:
        wanted = " or ".join(product.__name__ for product in products)
        raise SchemaDriftError(
            f"The database has no collection of {wanted}.", hint="Create them with `datalayer schema apply`."
        )
    return found


async def _has_collections(product: type[Database], handle: Handle) -> bool:
    names = await handle.list_collection_names()
    return any(document.Settings.name in names for document in product.documents)
