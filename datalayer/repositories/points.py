"""Points, what they are given for, and the levels they lead to."""

from datalayer.documents.points import GamificationRule, Level, PointsEntry
from datalayer.ids import GamificationRuleId, LevelId, PointsEntryId
from datalayer.repositories.base import Repository


class Points(Repository[PointsEntry, PointsEntryId]):
    """Points entries by id."""

    document = PointsEntry


class GamificationConfig(Repository[GamificationRule, GamificationRuleId]):
    """Rules by id."""

    document = GamificationRule


class Levels(Repository[Level, LevelId]):
    """Levels by id."""

    document = Level
