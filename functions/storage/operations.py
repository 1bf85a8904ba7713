"""The operations table: findings and reports, appended and never changed."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.values import Finding, RepositoryName, zulu
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoFindingLog:
    """FindingLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, finding: Finding, generation: int) -> bool:
        return _append(
            self._client,
            self._table,
            {
                "pk": {"S": finding.repository},
                "sk": {"S": f"finding#{finding.id}#{generation:010d}"},
                "format": {"N": "1"},
                "finding": {"S": finding.id},
                "severity": {"S": finding.severity},
                "since": {"S": zulu(finding.since)},
                "what": {"S": finding.what},
                "remedy": {"S": finding.remedy},
            },
        )


class DynamoReportLog:
    """ReportLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        _append(
            self._client,
            self._table,
            {"pk": {"S": repository}, "sk": {"S": f"restore#{execution}"}, "report": {"B": report}},
        )


def _append(client: "DynamoDBClient", table: str, item: dict[str, dict[str, str]] | dict[str, object]) -> bool:
    """Put `item` unless its key is taken; says whether it was put."""
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")  # type: ignore[arg-type]
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
