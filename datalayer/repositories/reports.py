"""What people reported to the moderators."""

from datalayer.documents.reports import Report
from datalayer.ids import ReportId
from datalayer.repositories.base import Repository


class Reports(Repository[Report, ReportId]):
    """Reports by id."""

    document = Report
