"""One id type for each collection.

Passing a `UserId` where a `PostId` is expected is a type error. At run time every id is a plain `bson.ObjectId`. In
JSON an id is a string of 24 hexadecimal digits. Pydantic converts such a string to an id in the models and path
parameters of a web framework. The documents and the repositories are strict: they reject strings.
"""

from typing import NewType

from bson import ObjectId

from datalayer.engine.ids import AnyId, register_id_types

__all__ = [
    "AnyId",
    "ChangeMark",
    "ChapterId",
    "CharacterId",
    "CommentId",
    "CommunitySettingsId",
    "ConversationId",
    "CourseId",
    "EnrollmentId",
    "EventId",
    "FollowId",
    "GamificationRuleId",
    "GenerationToken",
    "LessonId",
    "LessonProgressId",
    "LevelId",
    "LikeId",
    "MembershipId",
    "MessageId",
    "ModuleId",
    "NotificationId",
    "PointsEntryId",
    "PostId",
    "ReportId",
    "RsvpId",
    "SceneId",
    "SpaceId",
    "SpaceVisitId",
    "StoryId",
    "UserId",
]

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
ChangeMark = NewType("ChangeMark", ObjectId)
"""Identifies one change of all levels, which is applied to the users in batches."""

StoryId = NewType("StoryId", ObjectId)
ChapterId = NewType("ChapterId", ObjectId)
SceneId = NewType("SceneId", ObjectId)
CharacterId = NewType("CharacterId", ObjectId)
GenerationToken = NewType("GenerationToken", ObjectId)
"""Identifies a generation run of a scene. Only the result of the current run is accepted."""


register_id_types([*globals().values()])
