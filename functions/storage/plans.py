"""Prune plans, what people decide on them, and what wakes the workflow that waits, in the operations table.

| item | pk | sk | holds |
|---|---|---|---|
| plan | `plan#<repository>` | its full digest | canonical bytes of its summary, outcome, whether it needs approval |
| approval | `approval#<repository>` | the plan's full digest | canonical bytes of what was decided first |
| task token | `plan-token#<repository>` | the plan's full digest | what wakes the workflow |

Each has partitions of its own because IAM tells partitions apart: only `approve` may write approvals, and it may
write nothing else; plan-prune may write no verdict; nobody but `approve` reads a token (infra/access.py).

Security rules:
- Plans and approvals are written once. A token is replaced: a workflow that asks again waits with another one.
- What lies in a place that is not its own is not believed.
- A token is never logged, and in no error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError
from pydantic import SecretStr

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import NobodyWaits, NotWoken
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.values import Digest, RepositoryName, zulu
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

Item = Mapping[str, Any]
Stored = TypeVar("Stored", ShelvedPlan, Approval)

_NOBODY = ("TaskTimedOut", "TaskDoesNotExist")
_LONGEST_CAUSE = 32_768
"""Characters that Step Functions takes."""


class DynamoPlanShelf:
    """PlanShelf and PlanReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, shelved: ShelvedPlan) -> None:
        _put_once(
            self._client,
            self._table,
            {
                **_key(_plans(shelved.repository), shelved.plan),
                "document": {"B": shelved.canonical()},
                "outcome": {"S": shelved.outcome},
                "approval": {"S": shelved.approval},
                "valid_until": {"S": zulu(shelved.valid_until)},
            },
        )

    def find(self, repository: RepositoryName, plan: Digest) -> ShelvedPlan | None:
        found = _query(self._client, self._table, _plans(repository), plan)
        return next((_stored(item, ShelvedPlan, _plans) for item in found), None)

    def plans(self, repository: RepositoryName) -> tuple[ShelvedPlan, ...]:
        found = [_stored(item, ShelvedPlan, _plans) for item in _query(self._client, self._table, _plans(repository))]
        return tuple(sorted(found, key=lambda each: (each.drawn_at, each.plan), reverse=True))


class DynamoApprovals:
    """ApprovalLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def decided(self, repository: RepositoryName, plan: Digest) -> Approval | None:
        found = _query(self._client, self._table, _approvals(repository), plan)
        return next((_stored(item, Approval, _approvals) for item in found), None)

    def approvals(self, repository: RepositoryName) -> tuple[Approval, ...]:
        items = _query(self._client, self._table, _approvals(repository))
        found = [_stored(item, Approval, _approvals) for item in items]
        return tuple(sorted(found, key=lambda each: (each.at, each.plan), reverse=True))

    def decide(self, approval: Approval) -> Approval:
        written = _put_once(
            self._client,
            self._table,
            {
                **_key(_approvals(approval.repository), approval.plan),
                "document": {"B": approval.canonical()},
                "decision": {"S": approval.decision},
                "by": {"S": approval.by},
                "at": {"S": zulu(approval.at)},
            },
        )
        if written:
            return approval
        first = self.decided(approval.repository, approval.plan)
        if first is None:
            raise UnreadableDocument(
                f"what was decided on plan {approval.plan[:12]} was there and is gone: operations was changed by hand; "
                "nothing was decided"
            )
        return first


class DynamoTaskTokens:
    """TaskTokenLog and TaskTokenReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def keep(self, repository: RepositoryName, plan: Digest, token: SecretStr) -> None:
        item = {**_key(_tokens(repository), plan), "token": {"S": token.get_secret_value()}}
        self._client.put_item(TableName=self._table, Item=item)

    def token(self, repository: RepositoryName, plan: Digest) -> SecretStr | None:
        found = _query(self._client, self._table, _tokens(repository), plan)
        return next((SecretStr(item["token"]["S"]) for item in found), None)


class StepFunctionsTasks:
    """TaskTokens over boto3."""

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def succeed(self, token: SecretStr, output: Mapping[str, bool]) -> None:
        try:
            self._client.send_task_success(taskToken=token.get_secret_value(), output=json.dumps(dict(output)))
        except ClientError as error:
            raise _woke_nobody(error) from None

    def fail(self, token: SecretStr, error: str, cause: str) -> None:
        try:
            self._client.send_task_failure(
                taskToken=token.get_secret_value(), error=error, cause=cause[:_LONGEST_CAUSE]
            )
        except ClientError as refusal:
            raise _woke_nobody(refusal) from None


def _woke_nobody(error: ClientError) -> Exception:
    """What to raise instead: Step Functions quotes a token that it does not know."""
    code = error_code(error)
    if code in _NOBODY:
        return NobodyWaits(f"no workflow waits any more ({code}); nobody was woken")
    return NotWoken(f"Step Functions did not take the answer ({code}); nobody was woken; ask again")


def _plans(repository: RepositoryName) -> str:
    return f"plan#{repository}"


def _approvals(repository: RepositoryName) -> str:
    return f"approval#{repository}"


def _tokens(repository: RepositoryName) -> str:
    return f"plan-token#{repository}"


def _key(pk: str, plan: Digest) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": plan}}


def _stored(item: Item, kind: type[Stored], partition: Callable[[RepositoryName], str]) -> Stored:
    document = kind.parse(bytes(item["document"]["B"]))
    place = (item["pk"]["S"], item["sk"]["S"])
    if place != (partition(document.repository), document.plan):
        raise UnreadableDocument(
            f"operations holds a {document.KIND} of {document.repository} at {' '.join(place)}, where it does not "
            "belong; it was changed by hand; nothing was decided"
        )
    return document


def _query(client: "DynamoDBClient", table: str, pk: str, plan: Digest | None = None) -> Iterator[Item]:
    values: dict[str, Any] = {":pk": {"S": pk}}
    condition = "pk = :pk"
    if plan is not None:
        values[":sk"] = {"S": plan}
        condition += " AND sk = :sk"
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )
    for page in pages:
        yield from page["Items"]


def _put_once(client: "DynamoDBClient", table: str, item: Item) -> bool:
    """Put `item` unless its key is taken; says whether it was put."""
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
