"""An id type for each table.

For the type checker a `PostId` is no `UserId`. At run time every id is a plain `bson.ObjectId`. In JSON it is a string
of 24 hexadecimal digits, and pydantic takes that string for an id where it converts: in the models and the path
parameters of a web framework. The documents and the repositories are strict: there, a string is not an id.
"""

from typing import Annotated, NewType, TypeAlias

from bson import ObjectId
from pydantic import GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

UserId = NewType("UserId", ObjectId)
SpaceId = NewType("SpaceId", ObjectId)
PostId = NewType("PostId", ObjectId)
CommentId = NewType("CommentId", ObjectId)
LikeId = NewType("LikeId", ObjectId)
CourseId = NewType("CourseId", ObjectId)
ModuleId = NewType("ModuleId", ObjectId)
LessonId = NewType("LessonId", ObjectId)
EnrollmentId = NewType("EnrollmentId", ObjectId)
LessonProgressId = NewType("LessonProgressId", ObjectId)
EventId = NewType("EventId", ObjectId)
RsvpId = NewType("RsvpId", ObjectId)
MembershipId = NewType("MembershipId", ObjectId)
NotificationId = NewType("NotificationId", ObjectId)
ConversationId = NewType("ConversationId", ObjectId)
MessageId = NewType("MessageId", ObjectId)
PointsEntryId = NewType("PointsEntryId", ObjectId)
GamificationRuleId = NewType("GamificationRuleId", ObjectId)
LevelId = NewType("LevelId", ObjectId)
FollowId = NewType("FollowId", ObjectId)
ReportId = NewType("ReportId", ObjectId)
SpaceVisitId = NewType("SpaceVisitId", ObjectId)
CommunitySettingsId = NewType("CommunitySettingsId", ObjectId)

StoryId = NewType("StoryId", ObjectId)
ChapterId = NewType("ChapterId", ObjectId)
SceneId = NewType("SceneId", ObjectId)
CharacterId = NewType("CharacterId", ObjectId)
GenerationToken = NewType("GenerationToken", ObjectId)
"""Proves that a run of a scene's generation is the one that the scene waits for."""


def _core_schema(*_: object) -> CoreSchema:
    digits = core_schema.no_info_after_validator_function(ObjectId, core_schema.str_schema(pattern="^[0-9a-f]{24}$"))
    # An is-instance schema runs inside pydantic's core: no Python call for each id of each document.
    instance = core_schema.is_instance_schema(ObjectId)
    either = core_schema.union_schema(
        [instance, digits],
        mode="left_to_right",
        custom_error_type="id",
        custom_error_message="must be an id: 24 hexadecimal digits",
    )
    return core_schema.json_or_python_schema(
        json_schema=digits,
        python_schema=core_schema.lax_or_strict_schema(either, instance),
        serialization=core_schema.to_string_ser_schema(when_used="json"),
    )


for _type in [value for value in globals().values() if isinstance(value, NewType)]:
    # A NewType is an object at run time, and pydantic asks any type for this hook before it looks at the supertype.
    setattr(_type, "__get_pydantic_core_schema__", _core_schema)  # noqa: B010

AnyId: TypeAlias = Annotated[ObjectId, GetPydanticSchema(_core_schema)]
"""The id of a document of whatever table."""
