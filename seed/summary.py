"""The summary at the end."""

from collections import Counter
from collections.abc import Iterator

from datalayer.database import Community, Stories
from datalayer.documents import Post
from datalayer.repositories.stories import ChapterNode
from datalayer.seeding import Filled
from datalayer.seeding.readback import read_back_feed, read_back_story

_WIDTH = 60


async def summary(filled: Filled, community: Community, stories: Stories) -> Iterator[str]:
    """Return the lines of the summary: totals, a page of a feed, and a story."""
    space, posts = await read_back_feed(community)
    tree = await read_back_story(stories)
    return iter(
        [
            _total(filled, community, stories),
            "",
            f"The feed of “{space.name}”",
            *map(_post, posts),
            "",
            f"The story “{tree.story.title}”",
            *_chapters(tree.chapters),
        ]
    )


def _total(filled: Filled, community: Community, stories: Stories) -> str:
    names = " and ".join(dict.fromkeys((community.database.name, stories.database.name)))
    total = f"{sum(table.count for table in filled.tables):,} documents in {len(filled.tables)} collections of {names}"
    if filled.found:
        return f"This world is there already: {total}. Nothing was written."
    return f"Wrote {total} in {filled.seconds:.1f} s."


def counted(number: int, noun: str) -> str:
    """Return the number with the noun, in the plural if needed."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _post(post: Post) -> str:
    words = _short(post.title or post.content.partition("\n")[0])
    pin = "pinned  " if post.pinned_at else "        "
    likes, comments = counted(post.like_count, "like"), counted(post.comment_count, "comment")
    return f"  {pin}{words:<{_WIDTH}}  {post.author_name:<20} {likes:>11} {comments:>14}"


def _chapters(chapters: list[ChapterNode]) -> Iterator[str]:
    empty = 0
    for node in chapters:
        if not node.scenes:
            empty += 1
            continue
        yield f"  {node.chapter.chapter_number:>2}  {node.chapter.title}"
        for scene in node.scenes:
            words = f", {counted(scene.word_count, 'word')}" if scene.word_count else ""
            yield f"      {scene.scene_number}  {scene.status}{words}: {_short(scene.outline)}"
    counts = Counter(scene.status for node in chapters for scene in node.scenes)
    states = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    yield f"  and {counted(empty, 'chapter')} without scenes; scenes: {states or 'none'}"


def _short(words: str) -> str:
    return words if len(words) <= _WIDTH else words[: _WIDTH - 1] + "…"
