"""Retention of object versions, and what the lock upkeep came to.

| item | pk | sk | holds |
|---|---|---|---|
| lock report | `locks#<repository>` | `newest` | canonical bytes of the report; the next run's takes its place |

Security rules:
- Each request names a version id. One without would lock what is current, whatever that is.
- No request asks to bypass governance, so S3 itself refuses to shorten or to soften a lock.
- Governance is the only mode that is ever asked for.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.locks.report import LockReport
from functions.domain.locks.rules import GOVERNANCE, Lock
from functions.domain.ports import LockRefused
from functions.domain.values import ObjectKey, RepositoryName, VersionGone, VersionId, whole_second
from functions.storage.aws import NO_VERSION, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

NO_LOCK = ("NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError")
"""The second is Ceph's; AWS says it of a bucket only."""


class S3Retentions:
    """RetentionReader and RetentionSetter over boto3, whose own retries wait out throttling, with jitter."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def retention(self, key: ObjectKey, version_id: VersionId) -> Lock | None:
        try:
            answer = self._client.get_object_retention(
                Bucket=self._bucket, Key=self._key_prefix + key, VersionId=version_id
            )
        except ClientError as error:
            if error_code(error) in NO_LOCK:
                return None
            raise refused(error) from error
        except BotoCoreError as error:
            raise LockRefused(type(error).__name__) from error
        found = answer.get("Retention", {})
        if "Mode" not in found or "RetainUntilDate" not in found:
            return None
        return Lock(found["Mode"], whole_second(found["RetainUntilDate"]))

    def lock(self, key: ObjectKey, version_id: VersionId, until: datetime) -> None:
        try:
            self._client.put_object_retention(
                Bucket=self._bucket,
                Key=self._key_prefix + key,
                VersionId=version_id,
                Retention={"Mode": GOVERNANCE, "RetainUntilDate": until},
            )
        except ClientError as error:
            raise refused(error) from error
        except BotoCoreError as error:
            raise LockRefused(type(error).__name__) from error


def refused(error: ClientError) -> Exception:
    """VersionGone, or LockRefused."""
    code = error_code(error)
    if code in NO_VERSION:
        return VersionGone("a version is no longer there")
    return LockRefused(code or "no error code")


class DynamoLockReports:
    """LockReports over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def newest(self, repository: RepositoryName) -> LockReport | None:
        # A query of one item, so that no permission to get items is needed.
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues={":pk": {"S": f"locks#{repository}"}, ":sk": {"S": "newest"}},
            ConsistentRead=True,
        )
        for item in answer["Items"]:
            report = LockReport.parse(bytes(item["document"]["B"]))
            if report.repository != repository:
                raise UnreadableDocument(
                    f"operations holds a lock report of {report.repository} as that of {repository}"
                )
            return report
        return None

    def append(self, report: LockReport) -> None:
        self._client.put_item(
            TableName=self._table,
            Item={
                "pk": {"S": f"locks#{report.repository}"},
                "sk": {"S": "newest"},
                "document": {"B": report.canonical()},
            },
        )
