"""The ledger: a DynamoDB table that record appends to, drop-states marks in, and everybody else reads.

| item | pk | sk | holds |
|---|---|---|---|
| head | repository | `head` | the end of the chain: canonical bytes, generation, state |
| lease | repository | `recording` | the attempt that may record now, and until when |
| header | repository | `state#0000000007` | a state header's canonical bytes and its id |
| attempt | repository | `attempt#<id>` | open, committed, closed or collected; how many chunks it reserved |
| mark | `dropped#<repository>` | `dropped#0000000007` | that a prune dropped this state: by which plan, when |
| chunk | `chunk#<attempt>#000003` | `chunk` | packed entries; a partition each, so that a base is written fast |

Security rules:
- Every read is strongly consistent: what is decided on an old copy is decided on a lie.
- A header is written once, in the transaction that advances the head and commits the attempt.
- A chunk belongs to one attempt; an attempt that lost its lease is closed and can never commit.
- A mark is put once, and only while nobody holds the state; there is no way to take it away. Marks have a partition of
  their own because IAM tells partitions apart: drop-states writes there and nowhere else, and record never.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import DroppedState
from functions.domain.ports import (
    AttemptClosed,
    AttemptNotClosed,
    HeadMoved,
    LeaseLost,
    RecordingInFlight,
    StateDropped,
    StateHeld,
)
from functions.domain.state import Head, StateHeader
from functions.domain.values import AttemptId, Digest, RepositoryName, StateId, from_zulu, zulu
from functions.storage.aws import error_code
from functions.storage.transactions import Cancelled, dropped_key, head_key, hold_key, lease_key, transact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]

OPEN, COMMITTED, CLOSED, COLLECTED = "open", "committed", "closed", "collected"


class DynamoLedgerReader:
    """LedgerReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def head(self, repository: RepositoryName) -> Head | None:
        item = self._get(repository, "head")
        return Head.parse(item["document"]["B"]) if item else None

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        item = self._get(repository, _state(generation))
        return _header(item) if item else None

    def headers(
        self, repository: RepositoryName, *, oldest_first: bool = False, start: int | None = None
    ) -> Iterator[StateHeader]:
        place = None if start is None else _state(start)
        for item in self._query(repository, "state#", newest_first=not oldest_first, start=place):
            yield _header(item)

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        item = self._get(_chunk(attempt, number), "chunk")
        return bytes(item["content"]["B"]) if item else None

    def dropped(self, repository: RepositoryName) -> frozenset[StateId]:
        return frozenset(mark.state for mark in self.drops(repository))

    def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:
        return tuple(_mark(item) for item in self._query(f"dropped#{repository}", "dropped#", newest_first=True))

    def _get(self, pk: str, sk: str) -> Item | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        return answer.get("Item")

    def _query(
        self, pk: str, sk_prefix: str, *, newest_first: bool = False, start: str | None = None
    ) -> Iterator[Item]:
        first, last = sk_prefix, f"{sk_prefix}~"
        if start is not None:
            first, last = (first, start) if newest_first else (start, last)
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}},
            ConsistentRead=True,
            ScanIndexForward=not newest_first,
        )
        for page in pages:
            yield from page["Items"]


class DynamoRecordingLedger(DynamoLedgerReader):
    """RecordingLedger over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str, pause: Callable[[float], None] = time.sleep) -> None:
        super().__init__(client, table)
        self._pause = pause

    def begin(self, repository: RepositoryName, attempt: AttemptId, now: datetime, until: datetime) -> None:
        lease = self._get(repository, "recording")
        if lease and from_zulu(lease["until"]["S"]) > now:
            raise RecordingInFlight(from_zulu(lease["until"]["S"]))
        actions: list[Any] = [
            self._put(
                repository,
                f"attempt#{attempt}",
                {"status": {"S": OPEN}, "chunks": {"N": "0"}, "begun": {"S": zulu(now)}},
                "attribute_not_exists(pk)",
            ),
            self._put(
                repository,
                "recording",
                {"attempt": {"S": attempt}, "until": {"S": zulu(until)}},
                "attempt = :seen AND #until <= :now" if lease else "attribute_not_exists(pk)",
                {":seen": lease["attempt"], ":now": {"S": zulu(now)}} if lease else {},
                {"#until": "until"} if lease else {},
            ),
        ]
        if lease and self._status(repository, AttemptId(lease["attempt"]["S"])) == OPEN:
            actions.append(self._close(repository, AttemptId(lease["attempt"]["S"])))
        try:
            self._transact(actions)
        except Cancelled as cancelled:
            holder = self._get(repository, "recording")
            raise RecordingInFlight(from_zulu(holder["until"]["S"]) if holder else until) from cancelled

    def reserve(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(repository, f"attempt#{attempt}"),
                UpdateExpression="SET chunks = :chunks",
                ConditionExpression="#status = :open",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":chunks": {"N": str(chunks)}, ":open": {"S": OPEN}},
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise AttemptClosed(f"attempt {attempt} was closed; nothing was recorded") from error
            raise

    def put_chunk(self, attempt: AttemptId, number: int, content: bytes) -> None:
        self._client.put_item(
            TableName=self._table, Item={**_key(_chunk(attempt, number), "chunk"), "content": {"B": content}}
        )

    def commit(self, header: StateHeader, attempt: AttemptId, parent: Head | None) -> None:
        head = Head.of(header)
        repository = header.repository
        try:
            self._transact(
                [
                    self._put(
                        repository,
                        "head",
                        {
                            "document": {"B": head.canonical()},
                            "generation": {"N": str(head.generation)},
                            "state": {"S": head.state},
                        },
                        "generation = :generation AND #state = :state" if parent else "attribute_not_exists(pk)",
                        {":generation": {"N": str(parent.generation)}, ":state": {"S": parent.state}} if parent else {},
                        {"#state": "state"} if parent else {},
                    ),
                    self._put(
                        repository,
                        _state(header.generation),
                        {"document": {"B": header.canonical()}, "id": {"S": header.id}},
                        "attribute_not_exists(pk)",
                    ),
                    self._mark(repository, attempt, COMMITTED),
                    self._release(repository, attempt, header.recorded_at),
                ]
            )
        except Cancelled as cancelled:
            # Reasons come in the order of the actions; a transaction conflict is retried by _transact.
            if "ConditionalCheckFailed" in cancelled.reasons[2:]:
                raise AttemptClosed(f"attempt {attempt} lost its lease; nothing was recorded") from cancelled
            raise HeadMoved(f"another recorder advanced {repository}; nothing was recorded") from cancelled

    def abandon(self, repository: RepositoryName, attempt: AttemptId, now: datetime) -> None:
        try:
            self._transact([self._close(repository, attempt), self._release(repository, attempt, now)])
        except Cancelled:
            # Closed or committed by somebody else meanwhile: there is nothing of ours left to release.
            return

    def _status(self, repository: RepositoryName, attempt: AttemptId) -> str | None:
        item = self._get(repository, f"attempt#{attempt}")
        return str(item["status"]["S"]) if item else None

    def _put(
        self,
        pk: str,
        sk: str,
        attributes: Item,
        condition: str,
        values: Item | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Any:
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": {**_key(pk, sk), **attributes},
            "ConditionExpression": condition,
        }
        if values:
            put["ExpressionAttributeValues"] = values
        if names:
            put["ExpressionAttributeNames"] = names
        return {"Put": put}

    def _mark(self, repository: RepositoryName, attempt: AttemptId, status: str) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(repository, f"attempt#{attempt}"),
                "UpdateExpression": "SET #status = :status",
                "ConditionExpression": "#status = :open",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":status": {"S": status}, ":open": {"S": OPEN}},
            }
        }

    def _close(self, repository: RepositoryName, attempt: AttemptId) -> Any:
        return self._mark(repository, attempt, CLOSED)

    def _release(self, repository: RepositoryName, attempt: AttemptId, now: datetime) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(repository, "recording"),
                "UpdateExpression": "SET #until = :now",
                "ConditionExpression": "attempt = :attempt",
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": {":now": {"S": zulu(now)}, ":attempt": {"S": attempt}},
            }
        }

    def _transact(self, actions: list[Any]) -> None:
        transact(self._client, actions, self._pause)


class DynamoChunkCollector(DynamoLedgerReader):
    """ChunkCollector over boto3."""

    def closed_attempts(self, repository: RepositoryName) -> Iterator[tuple[AttemptId, int]]:
        for item in self._query(repository, "attempt#"):
            if item["status"]["S"] == CLOSED:
                yield AttemptId(item["sk"]["S"].removeprefix("attempt#")), int(item["chunks"]["N"])

    def collect(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        key = _key(repository, f"attempt#{attempt}")
        still_closed: dict[str, Any] = {
            "TableName": self._table,
            "Key": key,
            "ConditionExpression": "#status = :closed",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":closed": {"S": CLOSED}},
        }
        try:
            for number in range(chunks):
                chunk = _key(_chunk(attempt, number), "chunk")
                actions: list[Any] = [
                    {"ConditionCheck": still_closed},
                    {"Delete": {"TableName": self._table, "Key": chunk}},
                ]
                self._client.transact_write_items(TransactItems=actions)
            self._client.update_item(
                **{
                    **still_closed,
                    "UpdateExpression": "SET #status = :collected",
                    "ExpressionAttributeValues": {":closed": {"S": CLOSED}, ":collected": {"S": COLLECTED}},
                }
            )
        except ClientError as error:
            if error_code(error) in ("TransactionCanceledException", "ConditionalCheckFailedException"):
                raise AttemptNotClosed(f"attempt {attempt} is not closed; its chunks stay") from error
            raise


class DynamoStateDropper:
    """StateDropper over boto3."""

    def __init__(
        self,
        client: "DynamoDBClient",
        ledger: str,
        operations: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._operations = operations
        self._pause = pause

    def drop(self, head: Head, marks: Sequence[DroppedState]) -> None:
        execution = marks[0].execution
        actions = [self._head_is(head), self._lease_is(head.repository, execution)]
        for mark in marks:
            actions.append(self._nobody_holds(head.repository, mark.state))
            actions.append(self._mark(head.repository, mark))
        try:
            transact(self._client, actions, self._pause)
        except Cancelled as cancelled:
            raise _why_not_dropped(cancelled, head, execution, marks) from cancelled

    def _head_is(self, head: Head) -> Any:
        return _only_if(
            self._ledger,
            head_key(head.repository),
            "generation = :generation AND #state = :state",
            {":generation": {"N": str(head.generation)}, ":state": {"S": head.state}},
            {"#state": "state"},
        )

    def _lease_is(self, repository: RepositoryName, execution: str) -> Any:
        return _only_if(
            self._operations,
            lease_key(repository),
            "execution = :execution AND released = :no",
            {":execution": {"S": execution}, ":no": {"BOOL": False}},
        )

    def _nobody_holds(self, repository: RepositoryName, state: StateId) -> Any:
        return _only_if(self._operations, hold_key(repository, state), "attribute_not_exists(pk)")

    def _mark(self, repository: RepositoryName, mark: DroppedState) -> Any:
        return {
            "Put": {
                "TableName": self._ledger,
                "Item": {
                    **dropped_key(repository, mark.generation),
                    "format": {"N": "1"},
                    "state": {"S": mark.state},
                    "plan": {"S": mark.plan},
                    "execution": {"S": mark.execution},
                    "at": {"S": zulu(mark.at)},
                },
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }


def _only_if(
    table: str,
    key: Mapping[str, Any],
    condition: str,
    values: Item | None = None,
    names: Mapping[str, str] | None = None,
) -> Any:
    check: dict[str, Any] = {"TableName": table, "Key": key, "ConditionExpression": condition}
    if values:
        check["ExpressionAttributeValues"] = values
    if names:
        check["ExpressionAttributeNames"] = names
    return {"ConditionCheck": check}


def _why_not_dropped(cancelled: Cancelled, head: Head, execution: str, marks: Sequence[DroppedState]) -> Exception:
    """Reasons come in the order of the actions: head, lease, then hold and mark of each state."""
    undone = "no state was dropped with this call"
    if cancelled.refused(0):
        return HeadMoved(f"a state of {head.repository} was recorded since the head was read; {undone}")
    if cancelled.refused(1):
        return LeaseLost(f"prune {execution} does not have the lease of {head.repository}; {undone}")
    for number, mark in enumerate(marks):
        if cancelled.refused(2 + 2 * number):
            return StateHeld(f"state {mark.state} is held; {undone}")
        if cancelled.refused(3 + 2 * number):
            return StateDropped(f"state {mark.state} is dropped already; {undone}")
    return cancelled


def _mark(item: Item) -> DroppedState:
    if item.get("format") != {"N": "1"}:
        raise UnreadableDocument(
            f"the mark of a dropped state has format {item.get('format')} and this version of RWM reads 1; nothing was "
            "decided; use a newer version"
        )
    return DroppedState(
        state=StateId(item["state"]["S"]),
        generation=int(item["sk"]["S"].removeprefix("dropped#")),
        plan=Digest(item["plan"]["S"]),
        execution=item["execution"]["S"],
        at=from_zulu(item["at"]["S"]),
    )


def _header(item: Item) -> StateHeader:
    header = StateHeader.parse(bytes(item["document"]["B"]))
    place = (item["pk"]["S"], item["sk"]["S"], item["id"]["S"])
    if place != (header.repository, _state(header.generation), header.id):
        raise UnreadableDocument(
            f"the ledger holds state {header.id[:12]} of {header.repository} at {' '.join(place)}, where it does not "
            "belong; it was changed by hand; nothing was decided"
        )
    return header


def _state(generation: int) -> str:
    return f"state#{generation:010d}"


def _chunk(attempt: AttemptId, number: int) -> str:
    return f"chunk#{attempt}#{number:06d}"


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
