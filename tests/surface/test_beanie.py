"""What of Beanie the documents do not use: it would cost reads, or lose writes.

The linters refuse the names (`pyproject.toml`). That the repositories send no query of Beanie's is a part of
`tests/plans`; that `connect` lets it make no index, of `tests/server/test_startup.py`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import beanie
import pytest
from beanie.odm.operators.update.general import Inc, Set
from pydantic import BaseModel

from datalayer import Community, Stories
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS, Document, Post
from datalayer.errors import DirectWriteError
from datalayer.testing import Factories, count_commands


@pytest.mark.parametrize("document", [*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS])
def test_settings_say_nothing_else(document: type[Document]) -> None:
    """No state management, no cache, no revisions, no lazy parsing, no other class in the collection."""
    said = {name for name in dir(document.Settings) if not name.startswith("__")}
    assert said == {"name", "indexes", "shard_key", "written_by", "check", "keep_nulls"}


async def _in_bulk(post: Post) -> None:
    async with Post.bulk_writer() as bulk:
        await Post.find_one(Post.id == post.id).update(Set({"likeCount": 99}), bulk_writer=bulk)


WRITES: dict[str, Callable[[Post], Awaitable[Any]]] = {
    "insert": lambda post: post.insert(),
    "create": lambda post: post.create(),
    "save": lambda post: post.save(),
    "replace": lambda post: post.replace(),
    "update": lambda post: post.update(Set({"likeCount": 99})),
    "set": lambda post: post.set({"likeCount": 99}),
    "inc": lambda post: post.inc({"likeCount": 1}),
    "current_date": lambda post: post.current_date({"editedAt": True}),
    "delete": lambda post: post.delete(),
    "insert_one": Post.insert_one,
    "insert_many": lambda post: Post.insert_many([post]),
    "replace_many": lambda post: Post.replace_many([post]),
    "update_all": lambda _: Post.update_all(Inc({"likeCount": 1})),
    "delete_all": lambda _: Post.delete_all(),
    "bulk_writer": _in_bulk,
}
"""Every method of Beanie's documents that writes."""

QUERIES: dict[str, Callable[[Post], Awaitable[Any]]] = {
    "find.update": lambda post: Post.find(Post.id == post.id).update(Set({"likeCount": 99})),
    "find.set": lambda post: Post.find(Post.id == post.id).set({"likeCount": 99}),
    "find.inc": lambda post: Post.find(Post.id == post.id).inc({"likeCount": 1}),
    "find.delete": lambda post: Post.find(Post.id == post.id).delete(),
    "find.upsert": lambda post: Post.find(Post.title == "none").upsert(Set({"likeCount": 9}), on_insert=post),
    "find_one.update": lambda post: Post.find_one(Post.id == post.id).update(Set({"likeCount": 99})),
    "find_one.replace_one": lambda post: Post.find_one(Post.id == post.id).replace_one(post),
    "find_one.delete": lambda post: Post.find_one(Post.id == post.id).delete(),
    "find_one.upsert": lambda post: Post.find_one(Post.title == "none").upsert(Set({"likeCount": 9}), on_insert=post),
    "collection": lambda post: Post.get_pymongo_collection().delete_one({"_id": post.id}),
    "drop": lambda _: Post.get_pymongo_collection().drop(),
}

READS = {
    *("aggregate", "all", "avg", "count", "distinct", "find", "find_all", "find_many", "find_one"),
    *("get", "max", "min", "sum", "sync", "fetch_all_links", "fetch_link", "inspect_collection", "validate_self"),
}
"""Every method of Beanie's documents that reads the database, or may."""

LOCAL = {
    *(
        "add_child",
        "fill_back_refs",
        "get_bson_encoders",
        "get_changes",
        "get_collection_name",
        "get_link_fields",
    ),
    *(
        "get_model_type",
        "get_previous_changes",
        "get_previous_saved_state",
        "get_pymongo_collection",
        "get_saved_state",
    ),
    *("get_settings", "lazy_parse", "link_from_id", "parse_store", "rollback"),
    *("set_collection", "set_collection_name", "set_database", "state_management_replace_objects"),
    *("state_management_save_previous", "to_ref", "use_state_management"),
}
"""What sends nothing."""


@pytest.mark.parametrize("write", [*WRITES.values(), *QUERIES.values()], ids=[*WRITES, *QUERIES])
async def test_no_method_of_beanie_writes_past_a_repository(
    community: Community, write: Callable[[Post], Awaitable[Any]]
) -> None:
    """Each is refused with the names of the repository's methods, and nothing is written."""
    post = await Factories(community).post()
    with count_commands(community) as sent, pytest.raises(DirectWriteError, match=r"community\.posts: create, edit"):
        await write(post)
    assert {command.name for command in sent} <= {"find", "aggregate"}
    assert await community.posts.get(post.id) == post


async def test_state_management_is_off(community: Community) -> None:
    """So `save_changes` has nothing to compare with, and refuses too."""
    post = await Factories(community).post()
    with pytest.raises(beanie.exceptions.StateManagementIsTurnedOff):
        await post.save_changes()


def test_every_method_of_beanie_is_known() -> None:
    """A new version that brings one has to be looked at."""
    methods = {name for name in dir(beanie.Document) if not name.startswith("_") and callable(getattr(Post, name))}
    plain = {name for name in dir(BaseModel) if callable(getattr(Post, name))}
    assert methods - plain == {*WRITES, *READS, *LOCAL, "save_changes"}


@pytest.mark.parametrize("document", [*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS])
async def test_the_methods_that_an_error_names_exist(
    community: Community, stories: Stories, document: type[Document]
) -> None:
    place, _, methods = document.Settings.written_by.partition(": ")
    database, _, name = place.partition(".")
    repository = getattr({"community": community, "stories": stories}[database], name)
    assert repository.document is document
    assert all(callable(getattr(repository, method)) for method in methods.split(", "))


async def test_who_means_it_writes_by_the_driver(community: Community) -> None:
    """The way round that the error names."""
    post = await Factories(community).post()
    await community.database["posts"].update_one({"_id": post.id}, {"$set": {"likeCount": 99}})
    assert (await community.posts.get(post.id)).like_count == 99
