"""Holds on states, restores that are under way, and the prune lease, in the operations table.

| item | pk | sk | holds |
|---|---|---|---|
| hold | `hold#<repository>` | `hold#<state id>` | who, when, why |
| release | `hold#<repository>` | `released#<state id>#<when>#<held since>` | who released what; appended |
| restore | `restoring#<repository>` | `<execution>` | which state, since when: functions/storage/restores.py |
| lease | `prune-lease#<repository>` | `lease` | token, execution, since when, whether it is released |

Each has partitions of its own because IAM tells partitions apart: `hold` writes holds and nothing else, lease-prune
the lease and nothing else (infra/access.py). In the repository's own partition, whoever may append a finding could
take the lease, and whoever may release a hold could delete a verdict.

Security rules:
- Every read is strongly consistent. Nothing is cached.
- A hold and a mark in the ledger exclude each other, in one transaction.
- The lease changes hands only as it was seen.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Held, Hold
from functions.domain.ports import ExecutionStatus, LeaseTaken, NotAnswered, StateDropped, UnknownExecution
from functions.domain.prune.lease import Lease
from functions.domain.restore.request import TO_DIRECTORY
from functions.domain.values import RepositoryName, StateId, from_zulu, zulu
from functions.storage import queries
from functions.storage.aws import error_code
from functions.storage.queries import Item
from functions.storage.transactions import Cancelled, dropped_key, hold_key, lease_key, transact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""Of the statuses of an execution: those in which it does nothing more. A failed one that waits for its redrive is
not among them."""


class DynamoHolds:
    """Holds over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def of(self, repository: RepositoryName) -> Held:
        return Held(
            states=frozenset(StateId(each) for each in self._names(f"hold#{repository}", "hold#")),
            restores=frozenset(self._names(f"restoring#{repository}", "")),
        )

    def held(self, repository: RepositoryName) -> tuple[Hold, ...]:
        items = queries.items(self._client, self._table, f"hold#{repository}", "hold#")
        return tuple(sorted(map(_hold, items), key=lambda hold: (hold.at, hold.state)))

    def _names(self, pk: str, kind: str) -> Iterator[str]:
        # What an item says does not matter: that it is there is what stops a prune.
        for item in queries.items(self._client, self._table, pk, kind):
            yield item["sk"]["S"].removeprefix(kind)


class DynamoHoldLog(DynamoHolds):
    """HoldLog over boto3."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        ledger: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(client, table)
        self._ledger = ledger
        self._pause = pause

    def hold(self, repository: RepositoryName, generation: int, hold: Hold) -> Hold:
        put = {
            "TableName": self._table,
            "Item": {**hold_key(repository, hold.state), "format": {"N": "1"}, **_words(hold)},
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
                raise StateDropped(f"state {hold.state} was dropped by a prune; nothing was held") from cancelled
            if not cancelled.refused(1):
                raise
            # Who released it between the two calls meant another hold than this one.
            return self._find(repository, hold.state) or self.hold(repository, generation, hold)
        return hold

    def release(self, repository: RepositoryName, state: StateId, by: str, at: datetime) -> Hold | None:
        held = self._find(repository, state)
        if held is None:
            return None
        key = hold_key(repository, state)
        take_away = {
            "TableName": self._table,
            "Key": key,
            "ConditionExpression": "#at = :at AND #by = :by",
            "ExpressionAttributeNames": {"#at": "at", "#by": "by"},
            "ExpressionAttributeValues": {":at": {"S": zulu(held.at)}, ":by": {"S": held.by}},
        }
        keep = {
            "TableName": self._table,
            "Item": {
                "pk": key["pk"],
                "sk": {"S": f"released#{state}#{zulu(at)}#{zulu(held.at)}"},
                "format": {"N": "1"},
                **_words(held),
                "released_by": {"S": by},
            },
        }
        try:
            transact(self._client, [{"Delete": take_away}, {"Put": keep}], self._pause)
        except Cancelled as cancelled:
            if cancelled.refused(0):
                # Somebody else released it first.
                return None
            raise
        return held

    def _find(self, repository: RepositoryName, state: StateId) -> Hold | None:
        return next((hold for hold in self.held(repository) if hold.state == state), None)


class DynamoLeaseReader:
    """LeaseReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def current(self, repository: RepositoryName) -> Lease | None:
        lease = self.last(repository)
        return lease if lease is not None and not lease.released else None

    def last(self, repository: RepositoryName) -> Lease | None:
        key = lease_key(repository)
        # A query of one item, so that readers need no permission to get items beside the one for verdicts.
        for item in queries.items(self._client, self._table, key["pk"]["S"], key["sk"]["S"]):
            return _lease(item)
        return None


class DynamoPruneLease(DynamoLeaseReader):
    """PruneLease over boto3."""

    def take(self, repository: RepositoryName, lease: Lease, over: Lease | None) -> None:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if over is not None:
            condition = {
                "ConditionExpression": "#token = :token AND released = :released",
                "ExpressionAttributeNames": {"#token": "token"},
                "ExpressionAttributeValues": {":token": {"S": over.token}, ":released": {"BOOL": over.released}},
            }
        item = {
            **lease_key(repository),
            "format": {"N": "1"},
            "token": {"S": lease.token},
            "execution": {"S": lease.execution},
            "taken_at": {"S": zulu(lease.taken_at)},
            "released": {"BOOL": lease.released},
        }
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise LeaseTaken(f"the prune lease of {repository} changed hands; nothing was written") from error
            raise

    def release(self, repository: RepositoryName, execution: str) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=lease_key(repository),
                UpdateExpression="SET released = :yes",
                ConditionExpression="execution = :execution",
                ExpressionAttributeValues={":yes": {"BOOL": True}, ":execution": {"S": execution}},
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True


class StepFunctionsStatus:
    """ExecutionStatus over boto3."""

    def __init__(self, client: "SFNClient", workflow: str) -> None:
        """`workflow`: the ARN of the state machine."""
        self._client = client
        self._executions = workflow.replace(":stateMachine:", ":execution:")

    def ended(self, execution: str) -> datetime | None:
        try:
            answer = self._client.describe_execution(executionArn=f"{self._executions}:{execution}")
        except ClientError as error:
            # InvalidArn: no execution can have this name.
            if error_code(error) in ("ExecutionDoesNotExist", "InvalidArn"):
                raise UnknownExecution(f"Step Functions knows no execution {execution}") from error
            raise NotAnswered(
                f"Step Functions did not say whether execution {execution} has ended ({error_code(error)}); nothing "
                "was decided"
            ) from error
        return answer.get("stopDate") if answer["status"] in ENDED else None


class RestoresStatus:
    """ExecutionStatus of restores: each is asked of its own workflow, which its name tells."""

    def __init__(self, others: ExecutionStatus, to_directory: ExecutionStatus) -> None:
        self._others = others
        self._to_directory = to_directory

    def ended(self, execution: str) -> datetime | None:
        """Raises UnknownExecution also for the name of one that the other workflow has."""
        return (self._to_directory if execution.startswith(TO_DIRECTORY) else self._others).ended(execution)


def _words(hold: Hold) -> dict[str, Any]:
    return {"by": {"S": hold.by}, "at": {"S": zulu(hold.at)}, "why": {"S": hold.why}}


def _hold(item: Item) -> Hold:
    _check_format(item, "a hold")
    state = StateId(item["sk"]["S"].removeprefix("hold#"))
    return Hold(state, item["by"]["S"], from_zulu(item["at"]["S"]), item["why"]["S"])


def _lease(item: Item) -> Lease:
    _check_format(item, "the prune lease")
    return Lease(
        token=item["token"]["S"],
        execution=item["execution"]["S"],
        taken_at=from_zulu(item["taken_at"]["S"]),
        released=item["released"]["BOOL"],
    )


def _check_format(item: Item, what: str) -> None:
    if item.get("format") != {"N": "1"}:
        raise UnreadableDocument(
            f"{what} has format {item.get('format')} and this version of RWM reads 1; nothing was decided; use a "
            "newer version"
        )
