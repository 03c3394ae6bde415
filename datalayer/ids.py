"""An id type for each table.

For the type checker a `PostId` is no `UserId`. At run time every id is a plain `bson.ObjectId`. In JSON it is a string
of 24 hexadecimal digits, and pydantic takes that string for an id where it converts: in the models and the path
parameters of a web framework. The documents and the repositories are strict: there, a string is not an id.
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
"""Tells a change of all levels, which the users follow in batches, from a later one."""

StoryId = NewType("StoryId", ObjectId)
ChapterId = NewType("ChapterId", ObjectId)
SceneId = NewType("SceneId", ObjectId)
CharacterId = NewType("CharacterId", ObjectId)
GenerationToken = NewType("GenerationToken", ObjectId)
"""Proves that a run of a scene's generation is the one that the scene waits for."""


register_id_types([*globals().values()])
