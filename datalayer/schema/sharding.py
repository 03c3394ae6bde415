"""Sharding of the collections that grow."""

from collections.abc import Iterator, Sequence

from datalayer.engine.document import Document
from datalayer.schema.live import Database


async def is_sharded_cluster(database: Database) -> bool:
    """Return whether the client is connected to a `mongos`. One round trip."""
    return (await database.command("hello")).get("msg") == "isdbgrid"


def forbidden_indexes(documents: Sequence[type[Document]]) -> Iterator[str]:
    """Return one sentence for each unique index that the shard key of its collection does not allow.

    A shard knows only its own documents, so it can enforce uniqueness only for keys that begin with the shard key.
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
    """Return the mongosh commands that shard the collections; run them on a `mongos`."""
    commands: list[str] = []
    for settings in (document.Settings for document in documents):
        if settings.shard_key is not None:
            key = ", ".join(f"{name}: 1" for name in settings.shard_key)
            commands.append(f'sh.shardCollection("{database}.{settings.name}", {{{key}}})')
    return commands
