"""What prunes came to, in the operations table: written once for each, and never changed.

| item | pk | sk | holds |
|---|---|---|---|
| report | repository | `prune#<execution>` | canonical bytes of the summary |
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.prune.report import PruneReport
from functions.domain.values import RepositoryName
from functions.storage import queries
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoPruneReports:
    """PruneReportLog over boto3, and reading what it wrote."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        item: dict[str, Any] = {"pk": {"S": repository}, "sk": {"S": f"prune#{execution}"}, "document": {"B": report}}
        try:
            self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def reports(self, repository: RepositoryName) -> tuple[PruneReport, ...]:
        """The newest first. Needs dynamodb:Query; the read is strongly consistent. Raises UnreadableDocument."""
        found = []
        for item in queries.items(self._client, self._table, repository, "prune#"):
            report = PruneReport.parse(bytes(item["document"]["B"]))
            if (item["pk"]["S"], item["sk"]["S"]) != (report.repository, f"prune#{report.execution}"):
                raise UnreadableDocument(f"operations holds a report of {report.execution} where it does not belong")
            found.append(report)
        return tuple(sorted(found, key=lambda each: (each.verified_at, each.execution), reverse=True))
