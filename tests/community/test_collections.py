"""Arguments that take many values take them from any collection but a string or a dict."""

from typing import Any

import pytest

from datalayer import Community
from datalayer.errors import InvalidInputError
from tests.community.curricula import curriculum
from tests.community.world import post, space

COLLECTIONS = [list, tuple, dict.fromkeys, lambda values: (value for value in values)]


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_any_collection_is_taken(community: Community, collection: Any) -> None:
    """Files as ids: a list, a tuple, the keys of a dict, what a generator gives; in their order."""
    files = ["a", "c", "b"]

    def given() -> Any:
        made = collection(files)
        return made.keys() if isinstance(made, dict) else made

    made = await post(community)
    assert (await community.posts.edit(made.id, media_ids=given())).media_ids == files
    place = made.space_id, made.author_id
    assert (await community.posts.create(*place, content="c", content_html="c", media_ids=given())).media_ids == files
    (module,) = (await curriculum(community, 0)).modules
    lesson = await community.lessons.create(module.id, "Lesson", attachment_ids=given())
    assert lesson.attachment_ids == files
    assert (await community.lessons.update(lesson.id, attachment_ids=given())).attachment_ids == files
    spaces = [made.space_id, (await space(community)).id]
    ids = collection(spaces)
    await community.spaces.reorder(ids.keys() if isinstance(ids, dict) else ids)


@pytest.mark.parametrize("wrong", ["file", b"file", {"a": 1}, 5, [5], ("a", None), ["x"] * 101, [["a"]]])
async def test_others_are_refused(community: Community, wrong: Any) -> None:
    made = await post(community)
    (module,) = (await curriculum(community, 0)).modules
    for call in (
        community.posts.edit(made.id, media_ids=wrong),
        community.lessons.create(module.id, "Lesson", attachment_ids=wrong),
    ):
        with pytest.raises(InvalidInputError, match=r"^(media|attachment)_ids"):
            await call
