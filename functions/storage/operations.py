"""The operations table: findings, verdicts and reports, appended and never changed."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.posture.news import LastPosture
from functions.domain.values import Digest, Finding, RepositoryName, zulu
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


POSTURE = "posture#"
"""What a posture's sort key begins with; S3's clock and a number follow, so that they sort by time."""


class DynamoFindingLog:
    """OnceFindingLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, finding: Finding, generation: int) -> bool:
        return _append(self._client, self._table, _item(finding, f"{generation:010d}"))

    def has(self, finding: Finding, generation: int) -> bool:
        item = _item(finding, f"{generation:010d}")
        # A query of one item, so that no permission to get items is needed beside the one for verdicts.
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues={":pk": item["pk"], ":sk": item["sk"]},
            Select="COUNT",
            ConsistentRead=True,
        )
        return answer["Count"] > 0


class DynamoCheckFindingLog:
    """FindingLog over boto3 for a check, which can find several things under one id: two hosts, two lifecycle rules.

    What a finding says tells them apart, so one that is made again while no new state was recorded is kept once.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, finding: Finding, generation: int) -> bool:
        said = hashlib.sha256(finding.what.encode()).hexdigest()[:16]
        return _append(self._client, self._table, _item(finding, f"{generation:010d}#{said}"))


class DynamoPostureHistory:
    """PostureHistory over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def last(self, repository: RepositoryName) -> LastPosture | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :repository AND begins_with(sk, :posture)",
            ExpressionAttributeValues={":repository": {"S": repository}, ":posture": {"S": POSTURE}},
            ScanIndexForward=False,
            Limit=1,
            ConsistentRead=True,
        )
        for item in answer["Items"]:
            if item.get("format") != {"N": "1"}:
                raise UnreadableDocument(
                    f"the last posture of {repository} has format {item.get('format')} and this version of RWM reads "
                    "1; nothing was judged; use a newer version"
                )
            return LastPosture(
                digests={name: Digest(digest["S"]) for name, digest in item["facts"]["M"].items()},
                findings=frozenset(each["S"] for each in item["findings"]["L"]),
            )
        return None


class DynamoPostureLog:
    """PostureLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(
        self,
        repository: RepositoryName,
        read_at: datetime,
        outcome: str,
        digests: Mapping[str, Digest],
        findings: Sequence[str],
    ) -> None:
        verdict = {
            "pk": {"S": repository},
            "format": {"N": "1"},
            "outcome": {"S": outcome},
            "facts": {"M": {name: {"S": digest} for name, digest in digests.items()}},
            "findings": {"L": [{"S": each} for each in findings]},
        }
        # S3's clock has whole seconds, and the newest posture is what drift is told against.
        for number in count():
            key = {"sk": {"S": f"{POSTURE}{zulu(read_at)}#{number:04d}"}}
            if _append(self._client, self._table, verdict | key):
                return


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


def _item(finding: Finding, distinction: str) -> dict[str, dict[str, str]]:
    return {
        "pk": {"S": finding.repository},
        "sk": {"S": f"finding#{finding.id}#{distinction}"},
        "format": {"N": "1"},
        "finding": {"S": finding.id},
        "severity": {"S": finding.severity},
        "since": {"S": zulu(finding.since)},
        "what": {"S": finding.what},
        "remedy": {"S": finding.remedy},
    }


def _append(client: "DynamoDBClient", table: str, item: Mapping[str, object]) -> bool:
    """Put `item` unless its key is taken; says whether it was put."""
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")  # type: ignore[arg-type]
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
