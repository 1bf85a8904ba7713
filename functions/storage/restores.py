"""Restores that are under way, and what those that ended came to, in the operations table.

| item | pk | sk | holds |
|---|---|---|---|
| restore that is under way | `restoring#<repository>` | `<execution>` | which state, since when |
| report | repository | `restore#<execution>` | canonical bytes, with the first troubles only |

announce-restore puts the first and end-restore takes it away. Where no last step ran, lease-prune does once Step
Functions says that the execution has ended. A report is appended by verify-restore (functions/storage/operations.py).

Security rules:
- A restore is announced in one transaction with its state not being dropped.
- An announcement that stands is never written anew: a second one of the same execution changes nothing.
- Every read is strongly consistent. Nothing is cached.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Restoring
from functions.domain.ports import StateDropped
from functions.domain.restore.report import RestoreReport
from functions.domain.values import RepositoryName, StateId, from_zulu, zulu
from functions.storage import queries
from functions.storage.aws import error_code
from functions.storage.queries import Item
from functions.storage.transactions import Cancelled, dropped_key, restoring_key, transact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoRestoreAnnouncer:
    """RestoreAnnouncer over boto3."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        ledger: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._ledger = ledger
        self._pause = pause

    def announce(self, repository: RepositoryName, generation: int, restoring: Restoring) -> None:
        put = {
            "TableName": self._table,
            "Item": {
                **restoring_key(repository, restoring.execution),
                "format": {"N": "1"},
                "state": {"S": restoring.state},
                "at": {"S": zulu(restoring.since)},
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        not_dropped = {
            "TableName": self._ledger,
            "Key": dropped_key(repository, generation),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        try:
            transact(self._client, [{"ConditionCheck": not_dropped}, {"Put": put}], self._pause)
        except Cancelled as cancelled:
            if cancelled.refused(0):
                raise StateDropped(
                    f"state {restoring.state} was dropped by a prune; no restore was announced"
                ) from cancelled
            if not cancelled.refused(1):
                raise


class DynamoRestoreEnder:
    """RestoreEnder over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def end(self, repository: RepositoryName, execution: str) -> None:
        self._client.delete_item(TableName=self._table, Key=restoring_key(repository, execution))


class DynamoAnnouncedRestores:
    """AnnouncedRestores over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def under_way(self, repository: RepositoryName) -> tuple[Restoring, ...]:
        items = queries.items(self._client, self._table, f"restoring#{repository}")
        return tuple(sorted(map(_restoring, items), key=lambda each: (each.since, each.execution)))

    def forget(self, repository: RepositoryName, restoring: Restoring) -> None:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=restoring_key(repository, restoring.execution),
                ConditionExpression="#state = :state AND #at = :at",
                ExpressionAttributeNames={"#state": "state", "#at": "at"},
                ExpressionAttributeValues={":state": {"S": restoring.state}, ":at": {"S": zulu(restoring.since)}},
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise


class DynamoRestoreReports:
    """RestoreReports over boto3, and all of them. Needs dynamodb:Query."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def reports(self, repository: RepositoryName) -> tuple[RestoreReport, ...]:
        """The newest first, those of the first format, which have no time, last. Raises UnreadableDocument."""
        found = map(_report, queries.items(self._client, self._table, repository, "restore#"))
        return tuple(sorted(found, key=lambda each: (each.verified_at or _LONG_AGO, each.execution), reverse=True))

    def of(self, repository: RepositoryName, execution: str) -> RestoreReport | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues={":pk": {"S": repository}, ":sk": {"S": f"restore#{execution}"}},
            ConsistentRead=True,
        )
        return next(map(_report, answer["Items"]), None)


def _report(item: Item) -> RestoreReport:
    report = RestoreReport.parse(bytes(item["report"]["B"]))
    if (item["pk"]["S"], item["sk"]["S"]) != (report.repository, f"restore#{report.execution}"):
        raise UnreadableDocument(f"operations holds a report of {report.execution} where it does not belong")
    return report


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _restoring(item: Item) -> Restoring:
    execution = item["sk"]["S"]
    if item.get("format") != {"N": "1"}:
        raise UnreadableDocument(
            f"what restore {execution} announced has format {item.get('format')} and this version of RWM reads 1; "
            "nothing was decided; use a newer version"
        )
    return Restoring(execution, StateId(item["state"]["S"]), from_zulu(item["at"]["S"]))
