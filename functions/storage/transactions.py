"""Writes that happen together or not at all, across both tables, and the keys that such writes name.

| item | table | pk | sk |
|---|---|---|---|
| head | ledger | repository | `head` |
| mark of a dropped state | ledger | `dropped#<repository>` | `dropped#0000000007` |
| hold on a state | operations | `hold#<repository>` | `hold#<state id>` |
| the prune lease | operations | `prune-lease#<repository>` | `lease` |
| restore that is under way | operations | `restoring#<repository>` | `<execution>` |

What a hold and a drop race for is decided by DynamoDB: each is conditional on the other not being there. A restore is
announced on the same condition; whoever drops or deletes reads what is announced before each call.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from functions.domain.values import RepositoryName, StateId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PAUSES = (0.05, 0.2, 0.8, None)


class Cancelled(Exception):
    """DynamoDB cancelled a transaction; a reason for each of its actions, in order."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons

    def refused(self, number: int) -> bool:
        """Whether the condition of that action did not hold."""
        return self.reasons[number] == "ConditionalCheckFailed"


def transact(client: "DynamoDBClient", actions: Sequence[Any], pause: Callable[[float], None] = time.sleep) -> None:
    """Raises Cancelled; one that only another transaction was in the way of is tried again."""
    for waited in _PAUSES:
        try:
            client.transact_write_items(TransactItems=actions)
        except client.exceptions.TransactionCanceledException as error:
            reasons = [str(reason.get("Code")) for reason in error.response["CancellationReasons"]]
            if "ConditionalCheckFailed" in reasons or waited is None:
                raise Cancelled(reasons) from error
            pause(waited)
        else:
            return


def head_key(repository: RepositoryName) -> dict[str, Any]:
    return _key(repository, "head")


def dropped_key(repository: RepositoryName, generation: int) -> dict[str, Any]:
    return _key(f"dropped#{repository}", f"dropped#{generation:010d}")


def hold_key(repository: RepositoryName, state: StateId) -> dict[str, Any]:
    return _key(f"hold#{repository}", f"hold#{state}")


def lease_key(repository: RepositoryName) -> dict[str, Any]:
    return _key(f"prune-lease#{repository}", "lease")


def restoring_key(repository: RepositoryName, execution: str) -> dict[str, Any]:
    return _key(f"restoring#{repository}", execution)


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
