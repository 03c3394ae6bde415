"""What is true of every world that is written."""

from pathlib import Path

import pytest
from pydantic import ValidationError

import datalayer.seeding
from datalayer import Community, Stories
from datalayer.documents import CommunitySettings, Post, Space, User
from datalayer.seeding import World, plan
from datalayer.seeding.draws import Deck, Every, source
from datalayer.seeding.readback import read_back_feed, read_back_story
from datalayer.seeding.tables.comments import Comments
from datalayer.seeding.tables.likes import Likes
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.spaces import Spaces
from datalayer.seeding.tables.users import People
from seed.worlds import world
from tests.seeding.invariants import violations
from tests.seeding.places import Place

DOCUMENTS = (*Community.documents, *Stories.documents)

# The very large world in its proportions, at a size for tests: most of its posts are from before the rewards.
LOAD = world("load", 1).model_copy(
    update={
        "users": 100,
        "founders": 60,
        "posts": 500,
        "rewarded_posts": 70,
        "courses": 4,
        "events": 10,
        "enrollments_per_course": 20,
        "rsvps_per_event": 20,
        "conversations": 30,
        "reports": 30,
        "stories": 2,
    }
)


async def test_no_rule_is_violated_in_the_small_world(small: Place) -> None:
    assert await violations(small.database, needs_admin=True) == []


async def test_no_rule_is_violated_in_the_proportions_of_the_large_world(place: Place) -> None:
    await place.fill(LOAD)
    assert await violations(place.database, needs_admin=True) == []


async def test_the_rules_notice_a_wrong_counter(place: Place) -> None:
    """The check would be worth nothing if it found nothing."""
    await place.fill(world("small", 1).model_copy(update={"posts": 40, "rewarded_posts": 10, "reports": 5}))
    for collection in ("likes", "comments", "points", "chapters"):
        await place.database[collection].delete_one({})
    await place.database.spaces.delete_one({"order": 0})
    await place.database.users.update_one({"name": {"$exists": True}}, {"$set": {"name": "Somebody Else"}})
    broken = {sentence.partition(":")[0] for sentence in await violations(place.database)}
    assert broken >= {
        "like_counts_are_the_likes",
        "points_are_the_sum_of_the_entries",
        "author_copies_are_the_profile",
        "stories_have_all_chapters",
        "orders_have_no_gaps",
    }


def test_what_happened_is_rewarded_once() -> None:
    """Around the newest posts, in courses and at events; but not who likes their own words, which some do."""
    chosen = world("small", 1).model_copy(update={"rewarded_posts": 100})
    data = {table.name: list(table.rows()) for table in plan(chosen)}
    newest = data["posts"][-100:]
    words = {("post", row["_id"]): row["authorId"] for row in newest}
    words |= {("comment", row["_id"]): row["authorId"] for row in data["comments"] if ("post", row["postId"]) in words}
    likes = [row for row in data["likes"] if (row["targetType"], row["targetId"]) in words]
    expected = [(author, kind, kind, str(id)) for (kind, id), author in words.items()]
    for row in likes:
        author = words[row["targetType"], row["targetId"]]
        if author != row["userId"]:
            expected.append((author, "like_received", "like", f"{row['targetType']}:{row['targetId']}:{row['userId']}"))
    for action, cause, rows in (
        ("enroll", "course", data["enrollments"]),
        ("course_complete", "course", [row for row in data["enrollments"] if "completedAt" in row]),
        ("lesson_complete", "lesson", data["lessonProgress"]),
        ("rsvp", "event", [row for row in data["rsvps"] if row["status"] == "going"]),
    ):
        expected += [(row["userId"], action, cause, str(row[f"{cause}Id"])) for row in rows]
    fields = ("userId", "action", "referenceType", "referenceId")
    assert sorted(tuple(row[field] for field in fields) for row in data["points"]) == sorted(expected)
    assert any(words[row["targetType"], row["targetId"]] == row["userId"] for row in likes)


async def test_every_collection_holds_documents_that_its_class_accepts(small: Place) -> None:
    for document in DOCUMENTS:
        rows = await small.database[document.Settings.name].find().to_list()
        assert rows, document.Settings.name
        for row in rows:
            assert document.model_validate(row).to_wire() == row


async def test_the_ids_rise_with_the_time_of_creation(small: Place) -> None:
    for document in (Post, User, Space):
        rows = await small.database[document.Settings.name].find().sort("_id").to_list()
        assert [row["createdAt"] for row in rows] == sorted(row["createdAt"] for row in rows)


async def test_some_of_everything_is_there(small: Place) -> None:
    """The cases that somebody who develops with the data should meet."""
    database = small.database
    for collection, query in (
        *((name, {"deletedAt": {"$exists": True}}) for name in ("posts", "comments", "messages", "spaces", "events")),
        *(("scenes", {"status": status}) for status in ("draft", "generating", "complete", "error")),
        *(("rsvps", {"status": status}) for status in ("going", "maybe", "notGoing")),
        *(("reports", {"status": status, "targetType": "post"}) for status in ("pending", "resolved", "dismissed")),
        *(("users", {"role": role}) for role in ("admin", "moderator", "member")),
        *(("posts", {field: {"$exists": True}}) for field in ("pinnedAt", "editedAt", "mediaIds", "title")),
        *(("events", {field: {"$exists": True}}) for field in ("recurrence", "capacity")),
        *(("notifications", {"read": read}) for read in (True, False)),
        *(("courses", {"status": status}) for status in ("draft", "published")),
        ("comments", {"parentId": {"$exists": True}}),
        ("enrollments", {"completedAt": {"$exists": True}}),
        ("memberships", {"stripeCustomerId": {"$exists": True}}),
        ("messages", {"readAt": {"$exists": False}}),
        ("users", {"name": {"$exists": False}}),
        ("posts", {"authorName": "Member"}),
    ):
        assert await database[collection].find_one(query), (collection, query)


async def test_nothing_is_from_the_future_but_events(small: Place) -> None:
    now = world("small", 1).now
    for document in DOCUMENTS:
        fields = [field.alias for name, field in document.model_fields.items() if name.endswith("_at")]
        for field in fields:
            assert not await small.database[document.Settings.name].find_one({field: {"$gt": now}}), field


async def test_a_feed_and_a_story_read_back(small: Place) -> None:
    space, posts = await read_back_feed(small.community)
    assert len(posts) == 5
    assert {post.space_id for post in posts} == {space.id}
    assert posts[0].pinned_at is not None
    tree = await read_back_story(small.stories)
    assert tree.story.title
    assert [node.chapter.chapter_number for node in tree.chapters] == list(range(1, 25))
    assert any(node.scenes for node in tree.chapters)


@pytest.mark.parametrize("chosen", [world("small", 1), LOAD], ids=lambda chosen: chosen.name)
def test_each_table_says_how_many_documents_it_has(chosen: World) -> None:
    for table in plan(chosen):
        assert sum(1 for _ in table.rows()) == table.count, table.name


def test_the_large_world_has_a_million_posts_and_five_million_likes() -> None:
    large = world("load", 1)
    people = People(large)
    posts = Posts(large, people, Spaces(large))
    likes = Likes(large, people, posts, Comments(large, people, posts))
    assert (posts.count, likes.count) == (1_000_000, 5_000_000)


def test_a_world_that_cannot_be_is_refused() -> None:
    numbers = world("small", 1).model_dump()
    for wrong in ({"founders": 51}, {"reports": 301}, {"conversations": 10_000}, {"posts": 0}, {"cats": 1}):
        with pytest.raises(ValidationError):
            World.model_validate(numbers | wrong)


def test_a_deck_deals_exactly_its_sum() -> None:
    deck = Deck(source(world("small", 1), "test"), 4.6, 100)
    assert deck.before(10 * Deck.SIZE) == 46_000
    assert deck.before(1_234) == sum(deck[index] for index in range(1_234))
    assert max(deck.numbers) <= 100


def test_every_counts_what_it_contains() -> None:
    every = Every(61, 7)
    assert [every.before(stop) for stop in range(200)] == [
        sum(number in every for number in range(stop)) for stop in range(200)
    ]


def test_the_package_takes_nothing_from_the_script() -> None:
    """`seed` is not in the wheel."""
    folder = Path(datalayer.seeding.__file__).parent
    assert not [
        path for path in folder.rglob("*.py") if "from seed" in path.read_text() or "import seed" in path.read_text()
    ]


def test_all_tables_are_planned() -> None:
    tables = plan(world("small", 1))
    assert sorted(table.name for table in tables) == sorted(document.Settings.name for document in DOCUMENTS)
    # They say that the rest is complete.
    assert tables[-1].document is CommunitySettings
