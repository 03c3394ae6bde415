"""The rules of references, structure and states, each looked up again in the rows."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.seeding.rows import AT_ONCE, Data

CHAPTERS = 24
PINS = 3


# References

_REFERENCES = (
    *(("spaceVisits", "userId", "users"), ("spaceVisits", "spaceId", "spaces")),
    *(("posts", "spaceId", "spaces"), ("posts", "authorId", "users")),
    *(("comments", "postId", "posts"), ("comments", "authorId", "users"), ("comments", "parentId", "comments")),
    *(("likes", "userId", "users"), ("follows", "followerId", "users"), ("follows", "followingId", "users")),
    *(("modules", "courseId", "courses"), ("lessons", "moduleId", "modules")),
    *(("enrollments", "userId", "users"), ("enrollments", "courseId", "courses")),
    *(("lessonProgress", "userId", "users"), ("lessonProgress", "lessonId", "lessons")),
    *(("rsvps", "userId", "users"), ("rsvps", "eventId", "events"), ("memberships", "userId", "users")),
    *(("notifications", "userId", "users"), ("notifications", "actorId", "users")),
    *(("messages", "conversationId", "conversations"), ("messages", "senderId", "users")),
    *(("points", "userId", "users"), ("reports", "reporterId", "users"), ("reports", "resolvedBy", "users")),
    *(("chapters", "storyId", "stories"), ("scenes", "storyId", "stories"), ("scenes", "chapterId", "chapters")),
    ("characters", "storyId", "stories"),
)
_TARGETS = {"post": "posts", "comment": "comments", "user": "users"}


def references_exist(data: Data) -> Iterator[str]:
    ids = {table: {row["_id"] for row in rows} for table, rows in data.items()}
    for table, field, target in _REFERENCES:
        for row in data[table]:
            if field in row and row[field] not in ids[target]:
                yield f"{table} {row['_id']}: {field} {row[field]} is not in {target}"
    for table in ("likes", "reports"):
        for row in data[table]:
            if row["targetId"] not in ids[_TARGETS[row["targetType"]]]:
                yield f"{table} {row['_id']}: the {row['targetType']} {row['targetId']} does not exist"


def last_lessons_are_of_the_course(data: Data) -> Iterator[str]:
    lessons = {course: {row["_id"] for row in rows} for course, rows in data.lessons_of_courses().items()}
    for row in data["enrollments"]:
        if "lastLessonId" in row and row["lastLessonId"] not in lessons.get(row["courseId"], set()):
            yield f"enrollments {row['_id']}: lastLessonId is no lesson of the course"


def progress_needs_an_enrollment(data: Data) -> Iterator[str]:
    courses = {lesson["_id"]: course for course, lessons in data.lessons_of_courses().items() for lesson in lessons}
    enrolled = {(row["userId"], row["courseId"]) for row in data["enrollments"]}
    for row in data["lessonProgress"]:
        if (row["userId"], courses.get(row["lessonId"])) not in enrolled:
            yield f"lessonProgress {row['_id']}: the user is not enrolled"


# Structure and states


def replies_are_two_levels_deep(data: Data) -> Iterator[str]:
    comments = data.by_id("comments")
    for row in data["comments"]:
        parent = comments.get(row.get("parentId"))
        if parent is not None and "parentId" in parent:
            yield f"comments {row['_id']}: the parent is a reply itself"
        if parent is not None and parent["postId"] != row["postId"]:
            yield f"comments {row['_id']}: the parent is of another post"


def at_most_three_pins_in_a_space(data: Data) -> Iterator[str]:
    pins = Counter(post["spaceId"] for post in data["posts"] if "pinnedAt" in post and "deletedAt" not in post)
    for space, number in pins.items():
        if number > PINS:
            yield f"the space {space} has {number}"


def nobody_follows_themselves(data: Data) -> Iterator[str]:
    for row in data["follows"]:
        if row["followerId"] == row["followingId"]:
            yield f"follows {row['_id']}"


def going_never_exceeds_the_capacity(data: Data) -> Iterator[str]:
    going = Counter(rsvp["eventId"] for rsvp in data["rsvps"] if rsvp["status"] == "going")
    for event in data["events"]:
        if going[event["_id"]] > event.get("capacity", going[event["_id"]]):
            yield f"events {event['_id']}: {going[event['_id']]} go, {event['capacity']} may"


def rsvps_end_with_the_event(data: Data) -> Iterator[str]:
    """Of an event that does not repeat: the last occurrence of another is a matter of the calendar."""
    events = data.by_id("events")
    for rsvp in data["rsvps"]:
        event = events.get(rsvp["eventId"])
        if event is not None and "recurrence" not in event and rsvp["updatedAt"] > event["endTime"]:
            yield f"rsvps {rsvp['_id']}: changed after the event"


def events_end_after_they_start(data: Data) -> Iterator[str]:
    for event in data["events"]:
        if event["startTime"] >= event["endTime"]:
            yield f"events {event['_id']}"


def recurrences_make_sense(data: Data) -> Iterator[str]:
    for event in data["events"]:
        recurrence = event.get("recurrence", {"interval": 1})
        if recurrence["interval"] < 1:
            yield f"events {event['_id']}: the interval is {recurrence['interval']}"
        if {"endDate", "endAfter"} <= recurrence.keys():
            yield f"events {event['_id']}: both endDate and endAfter"


def orders_have_no_gaps(data: Data) -> Iterator[str]:
    """Deleted spaces have no place among the others."""
    living = [space for space in data["spaces"] if "deletedAt" not in space]
    groups = [("spaces", "all", "order", 0, living)]
    for table, parent, field, first in (
        ("modules", "courseId", "order", 0),
        ("lessons", "moduleId", "order", 0),
        ("scenes", "chapterId", "sceneNumber", 1),
        ("levels", None, "order", 1),
    ):
        found = {"all": data[table]} if parent is None else data.grouped(table, parent)
        groups += [(table, str(key), field, first, rows) for key, rows in found.items()]
    for table, key, field, first, rows in groups:
        numbers = sorted(row[field] for row in rows)
        if numbers != list(range(first, first + len(rows))):
            yield f"{table} of {key}: {field} is {numbers}"


def stories_have_all_chapters(data: Data) -> Iterator[str]:
    chapters = data.grouped("chapters", "storyId")
    for story in data["stories"]:
        numbers = sorted(chapter["chapterNumber"] for chapter in chapters[story["_id"]])
        if numbers != list(range(1, CHAPTERS + 1)):
            yield f"stories {story['_id']}: the chapters are {numbers}"


def participants_are_two_in_order(data: Data) -> Iterator[str]:
    for row in data["conversations"]:
        one, other = row["participantIds"]
        if not one < other:
            yield f"conversations {row['_id']}: {one}, {other}"


def only_participants_write(data: Data) -> Iterator[str]:
    conversations = data.by_id("conversations")
    for row in data["messages"]:
        conversation = conversations.get(row["conversationId"])
        if conversation is not None and row["senderId"] not in conversation["participantIds"]:
            yield f"messages {row['_id']}"


def levels_rise_from_nothing(data: Data) -> Iterator[str]:
    thresholds = [level["threshold"] for level in sorted(data["levels"], key=lambda level: level["order"])]
    if thresholds and (thresholds[0] != 0 or any(low >= high for low, high in pairwise(thresholds))):
        yield f"the thresholds are {thresholds}"


def like_causes_name_target_and_user(data: Data) -> Iterator[str]:
    form = re.compile(r"(post|comment):[0-9a-f]{24}:[0-9a-f]{24}")
    for row in data["points"]:
        if row.get("referenceType") == "like" and not form.fullmatch(row["referenceId"]):
            yield f"points {row['_id']}: {row['referenceId']}"


def reports_are_open_or_closed(data: Data) -> Iterator[str]:
    for row in data["reports"]:
        closed = {"resolvedAt", "resolvedBy"} & row.keys()
        if len(closed) != (0 if row["status"] == "pending" else 2):
            yield f"reports {row['_id']}: {row['status']} with {sorted(closed)}"


def scenes_are_in_one_state(data: Data) -> Iterator[str]:
    for row in data["scenes"]:
        status = row["status"]
        run = len({"generationToken", "generationStartedAt"} & row.keys())
        if run != (2 if status == "generating" else 0):
            yield f"scenes {row['_id']}: {status} with {run} of the fields of a run"
        if status == "complete" and ("prose" not in row or "errorMessage" in row):
            yield f"scenes {row['_id']}: complete without prose or with an error"
        if (status == "error") != ("errorMessage" in row):
            yield f"scenes {row['_id']}: {status} and errorMessage {row.get('errorMessage')!r}"


def scenes_are_of_their_chapters_story(data: Data) -> Iterator[str]:
    chapters = data.by_id("chapters")
    for row in data["scenes"]:
        chapter = chapters.get(row["chapterId"])
        if chapter is not None and chapter["storyId"] != row["storyId"]:
            yield f"scenes {row['_id']}"


_LATER = ("updatedAt", "editedAt", "deletedAt", "pinnedAt", "readAt", "resolvedAt")


def nothing_happens_before_the_creation(data: Data) -> Iterator[str]:
    for table, rows in data.items():
        for row in rows:
            for field in _LATER:
                if field in row and row[field] < row.get("createdAt", 0):
                    yield f"{table} {row['_id']}: {field} is before createdAt"


_IN_WHAT_MAY_BE_DELETED = (
    *(("posts", "spaceId", "createdAt"), ("comments", "postId", "createdAt"), ("comments", "parentId", "createdAt")),
    *(("likes", "targetId", "createdAt"), ("reports", "targetId", "createdAt"), ("rsvps", "eventId", "updatedAt")),
    *(("modules", "courseId", "createdAt"), ("enrollments", "courseId", "enrolledAt")),
    ("enrollments", "courseId", "completedAt"),
)


def nothing_happens_in_what_was_deleted_before(data: Data) -> Iterator[str]:
    """Nobody writes to, likes, reports, answers or takes what is deleted."""
    deleted = {row["_id"]: row["deletedAt"] for rows in data.values() for row in rows if "deletedAt" in row}
    for table, reference, field in _IN_WHAT_MAY_BE_DELETED:
        for row in data[table]:
            if row.get(reference) in deleted and row.get(field, 0) > deleted[row[reference]] + AT_ONCE:
                yield f"{table} {row['_id']}: {field} is after the deletion of {row[reference]}"
    courses = {lesson["_id"]: course for course, lessons in data.lessons_of_courses().items() for lesson in lessons}
    for row in data["lessonProgress"]:
        course = courses.get(row["lessonId"])
        if course in deleted and row["completedAt"] > deleted[course] + AT_ONCE:
            yield f"lessonProgress {row['_id']}: completedAt is after the deletion of {course}"


def optional_fields_are_absent_and_never_null(data: Data) -> Iterator[str]:
    """But for what the application keeps in a notification."""
    for table, rows in data.items():
        for row in rows:
            for field, value in row.items():
                inner = value.values() if isinstance(value, dict) and field != "data" else ()
                if (value is None and field != "data") or any(part is None for part in inner):
                    yield f"{table} {row['_id']}: {field}"


RULES: tuple[Callable[[Data], Iterator[str]], ...] = (
    references_exist,
    last_lessons_are_of_the_course,
    progress_needs_an_enrollment,
    replies_are_two_levels_deep,
    at_most_three_pins_in_a_space,
    nobody_follows_themselves,
    going_never_exceeds_the_capacity,
    rsvps_end_with_the_event,
    events_end_after_they_start,
    recurrences_make_sense,
    orders_have_no_gaps,
    stories_have_all_chapters,
    participants_are_two_in_order,
    only_participants_write,
    levels_rise_from_nothing,
    like_causes_name_target_and_user,
    reports_are_open_or_closed,
    scenes_are_in_one_state,
    scenes_are_of_their_chapters_story,
    nothing_happens_before_the_creation,
    nothing_happens_in_what_was_deleted_before,
    optional_fields_are_absent_and_never_null,
)
