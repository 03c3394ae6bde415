"""How the collections that grow are spread over a sharded cluster."""

from collections.abc import Iterator, Sequence

from datalayer.engine.document import Document
from datalayer.schema.live import Database


async def is_sharded_cluster(database: Database) -> bool:
    """Returns whether the client talks to a router. One round trip."""
    return (await database.command("hello")).get("msg") == "isdbgrid"


def forbidden_indexes(documents: Sequence[type[Document]]) -> Iterator[str]:
    """One sentence for each unique index that the shard key of its collection does not allow.

    A shard knows only its own documents: it can promise uniqueness only of keys that begin with the shard key.
    """
    for document in documents:
        settings = document.Settings
        if settings.shard_key is None:
            continue
        for index in settings.indexes:
            if index.unique and index.fields[: len(settings.shard_key)] != settings.shard_key:
                key = ", ".join(settings.shard_key)
                yield f"{settings.name}.{index.name} is unique, but does not begin with the shard key ({key})"


def shard_commands(documents: Sequence[type[Document]], database: str) -> list[str]:
    """The commands for mongosh, connected to a `mongos`, that spread the collections."""
    commands: list[str] = []
    for settings in (document.Settings for document in documents):
        if settings.shard_key is not None:
            key = ", ".join(f"{name}: 1" for name in settings.shard_key)
            commands.append(f'sh.shardCollection("{database}.{settings.name}", {{{key}}})')
    return commands
