"""What restore drills came to, in the operations table: written once for each, and never changed.

| item | pk | sk | holds |
|---|---|---|---|
| drill report | `drill#<repository>` | `<ended at>#<execution>` | canonical bytes of the report |

Partitions of their own, because IAM tells partitions apart: only conclude-drill may write them, and nothing else, so
that nobody who appends findings can say that a drill succeeded (infra/access.py).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.restore.drill import DrillReport
from functions.domain.values import RepositoryName, zulu
from functions.storage import queries
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDrillReports:
    """DrillReportLog and DrillReportReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, report: DrillReport) -> None:
        if self.find(report.repository, report.execution) is not None:
            # Asked again after it was killed: only when it ended would differ.
            return
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": _partition(report.repository)},
                    "sk": {"S": _place(report)},
                    "document": {"B": report.canonical()},
                },
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def reports(self, repository: RepositoryName) -> Iterator[DrillReport]:
        """The newest first, read as they are taken; strongly consistent. Raises UnreadableDocument."""
        for item in queries.items(self._client, self._table, _partition(repository), newest_first=True):
            report = DrillReport.parse(bytes(item["document"]["B"]))
            if (item["pk"]["S"], item["sk"]["S"]) != (_partition(report.repository), _place(report)):
                raise UnreadableDocument(
                    f"operations holds a drill report of {report.execution} where it does not belong"
                )
            yield report

    def find(self, repository: RepositoryName, execution: str) -> DrillReport | None:
        return next((each for each in self.reports(repository) if each.execution == execution), None)

    def newest(self, repository: RepositoryName) -> DrillReport | None:
        return next(self.reports(repository), None)

    def last_restored(self, repository: RepositoryName) -> DrillReport | None:
        return next((each for each in self.reports(repository) if each.outcome == "restored"), None)


def _partition(repository: RepositoryName) -> str:
    return f"drill#{repository}"


def _place(report: DrillReport) -> str:
    return f"{zulu(report.ended_at)}#{report.execution}"
