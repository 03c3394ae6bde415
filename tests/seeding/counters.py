"""The rules of copies, counters and uniqueness, each counted again from the rows."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.seeding.rows import AT_ONCE, Data, Row

PREVIEW = 140


def _differs(table: str, row: Row, field: str, expected: object) -> Iterator[str]:
    actual = row.get(field)
    if actual != expected:
        yield f"{table} {row['_id']}: {field} is {actual!r}, should be {expected!r}"


# Copies and counters


def author_copies_are_the_profile(data: Data) -> Iterator[str]:
    users = data.by_id("users")
    for table in ("posts", "comments"):
        for row in data[table]:
            if author := users.get(row["authorId"]):
                yield from _differs(table, row, "authorName", author.get("name", "Member"))
                yield from _differs(table, row, "authorAvatar", author.get("avatarStorageId"))


def sender_copies_are_the_profile(data: Data) -> Iterator[str]:
    users = data.by_id("users")
    for row in data["messages"]:
        if sender := users.get(row["senderId"]):
            yield from _differs("messages", row, "senderName", sender.get("name", "Member"))


def like_counts_are_the_likes(data: Data) -> Iterator[str]:
    counts = Counter((like["targetType"], like["targetId"]) for like in data["likes"])
    for kind, table in (("post", "posts"), ("comment", "comments")):
        for row in data[table]:
            yield from _differs(table, row, "likeCount", counts[kind, row["_id"]])


def comment_counts_are_the_living_comments(data: Data) -> Iterator[str]:
    counts = Counter(comment["postId"] for comment in data["comments"] if "deletedAt" not in comment)
    for post in data["posts"]:
        yield from _differs("posts", post, "commentCount", counts[post["_id"]])


def gathered_notifications_count_the_likes(data: Data) -> Iterator[str]:
    """As long as they are unread; those that nothing refers to count something else."""
    counts = Counter(like["notificationId"] for like in data["likes"] if "notificationId" in like)
    for row in data["notifications"]:
        if ("gatherKey" in row) != ("gatherCount" in row):
            yield f"notifications {row['_id']}: gatherKey or gatherCount is missing"
        if row["_id"] in counts and not row["read"]:
            yield from _differs("notifications", row, "gatherCount", counts[row["_id"]])


def enrollment_counts_are_the_enrollments(data: Data) -> Iterator[str]:
    counts = Counter(enrollment["courseId"] for enrollment in data["enrollments"])
    for course in data["courses"]:
        yield from _differs("courses", course, "enrollmentCount", counts[course["_id"]])


def rsvp_counts_are_those_going(data: Data) -> Iterator[str]:
    counts = Counter(rsvp["eventId"] for rsvp in data["rsvps"] if rsvp["status"] == "going")
    for event in data["events"]:
        yield from _differs("events", event, "rsvpCount", counts[event["_id"]])


def points_are_the_sum_of_the_entries(data: Data) -> Iterator[str]:
    sums: Counter[Any] = Counter()
    for entry in data["points"]:
        sums[entry["userId"]] += entry["amount"]
    for user in data["users"]:
        yield from _differs("users", user, "points", sums[user["_id"]])


def levels_follow_the_points(data: Data) -> Iterator[str]:
    levels = sorted(data["levels"], key=lambda level: level["threshold"])
    for user in data["users"]:
        reached = [level["order"] for level in levels if level["threshold"] <= user["points"]]
        yield from _differs("users", user, "level", reached[-1] if reached else 1)


def conversations_follow_their_newest_message(data: Data) -> Iterator[str]:
    messages = data.grouped("messages", "conversationId")
    for row in data["conversations"]:
        living = [message for message in messages[row["_id"]] if "deletedAt" not in message]
        if not living:
            yield from _differs("conversations", row, "lastMessagePreview", None)
            continue
        newest = max(living, key=lambda message: (message["createdAt"], message["_id"]))
        yield from _differs("conversations", row, "lastMessageAt", newest["createdAt"])
        yield from _differs("conversations", row, "lastMessagePreview", newest["content"][:PREVIEW])


def completion_follows_the_lessons(data: Data) -> Iterator[str]:
    """A lesson that was added after the completion, or at the same moment, reopens nothing."""
    lessons = data.lessons_of_courses()
    done = {(progress["userId"], progress["lessonId"]) for progress in data["lessonProgress"]}
    for row in data["enrollments"]:
        course = lessons[row["courseId"]]
        missing = [lesson for lesson in course if (row["userId"], lesson["_id"]) not in done]
        completed = row.get("completedAt")
        if completed is None and course and not missing:
            yield f"enrollments {row['_id']}: every lesson is done, but completedAt is absent"
        if completed is not None and any(lesson["createdAt"] <= completed - AT_ONCE for lesson in missing):
            yield f"enrollments {row['_id']}: completedAt is set, but {len(missing)} lessons are not done"


# One of a kind

_ONE_OF_A_KIND: tuple[tuple[str, tuple[str, ...], Callable[[Row], bool]], ...] = (
    ("likes", ("userId", "targetType", "targetId"), lambda _: True),
    ("enrollments", ("userId", "courseId"), lambda _: True),
    ("lessonProgress", ("userId", "lessonId"), lambda _: True),
    ("rsvps", ("eventId", "userId"), lambda _: True),
    ("follows", ("followerId", "followingId"), lambda _: True),
    ("spaceVisits", ("userId", "spaceId"), lambda _: True),
    ("memberships", ("userId",), lambda _: True),
    ("memberships", ("stripeCustomerId",), lambda row: "stripeCustomerId" in row),
    ("memberships", ("stripeSubscriptionId",), lambda row: "stripeSubscriptionId" in row),
    ("gamificationConfig", ("action",), lambda _: True),
    ("levels", ("order",), lambda _: True),
    ("levels", ("threshold",), lambda _: True),
    ("reports", ("reporterId", "targetType", "targetId"), lambda row: row["status"] == "pending"),
    ("points", ("userId", "action", "referenceType", "referenceId"), lambda row: "referenceId" in row),
    ("chapters", ("storyId", "chapterNumber"), lambda _: True),
    ("scenes", ("chapterId", "sceneNumber"), lambda _: True),
    ("scenes", ("generationToken",), lambda row: "generationToken" in row),
    ("users", ("authUserId",), lambda row: "authUserId" in row),
    ("notifications", ("userId", "type", "gatherKey"), lambda row: "gatherKey" in row and not row["read"]),
    ("notifications", ("userId", "once"), lambda row: "once" in row),
)


def one_of_a_kind(data: Data) -> Iterator[str]:
    for table, fields, counts in _ONE_OF_A_KIND:
        keys = Counter(tuple(row.get(field) for field in fields) for row in data[table] if counts(row))
        for key, number in keys.items():
            if number > 1:
                yield f"{table} has {number} rows with {' and '.join(fields)} {key}"


def one_conversation_for_each_pair(data: Data) -> Iterator[str]:
    for pair, number in Counter(frozenset(row["participantIds"]) for row in data["conversations"]).items():
        if number > 1:
            yield f"{number} conversations of {sorted(pair)}"


def one_settings_document(data: Data) -> Iterator[str]:
    if len(data["communitySettings"]) > 1:
        yield f"there are {len(data['communitySettings'])}"


RULES: tuple[Callable[[Data], Iterator[str]], ...] = (
    author_copies_are_the_profile,
    sender_copies_are_the_profile,
    like_counts_are_the_likes,
    comment_counts_are_the_living_comments,
    gathered_notifications_count_the_likes,
    enrollment_counts_are_the_enrollments,
    rsvp_counts_are_those_going,
    points_are_the_sum_of_the_entries,
    levels_follow_the_points,
    conversations_follow_their_newest_message,
    completion_follows_the_lessons,
    one_of_a_kind,
    one_conversation_for_each_pair,
    one_settings_document,
)
