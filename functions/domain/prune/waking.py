"""Waking the workflow that waits for a person, with what was decided.

The answer only ends the waiting. What apply believes is the approval that is written down; somebody who stole a task
token could make the workflow run into that, and no further.
"""

from pydantic import SecretStr

from functions.domain.ports import NobodyWaits, TaskTokens
from functions.domain.prune.approval import Approval
from functions.domain.values import zulu

REJECTED = "PruneRejected"
"""The workflow knows a rejection by this error's name, and ends by it."""


def wake(tasks: TaskTokens, token: SecretStr, approval: Approval) -> bool:
    """Let the workflow go on, or end, as `approval` says; False: nobody waits any more. Raises NotWoken."""
    try:
        if approval.decision == "approved":
            tasks.succeed(token, {"approved": True})
        else:
            tasks.fail(token, REJECTED, f"rejected by {approval.by} at {zulu(approval.at)}; nothing was deleted")
    except NobodyWaits:
        return False
    return True
