"""Where a prune waits for a person: keep what wakes it, and tell approvers. The workflow waits for the task token.

gather: the plan on the shelf, what was decided on it  ->  decide: whether anybody has to be asked  ->  apply: wake the
workflow at once, or tell people.

Permissions of `rwm-ask-approval`, and why:
- dynamodb:Query on operations, partitions `plan#…` and `approval#…`: what is asked, and whether it was decided.
- dynamodb:PutItem on operations, partitions `plan-token#…` only: what wakes the workflow; never an approval.
- sns:Publish on the alerts: to tell approvers.
- states:SendTaskSuccess, states:SendTaskFailure on the prune's workflow: to go on where it was decided before.

Security rules:
- The token is kept before anything is told, and what was decided is read after it was kept; `approve` writes first
  and reads the token then. So at least one of them wakes the workflow, whoever is killed where.
- The token is in no message, no log and no error. It only wakes: what was decided is what apply reads.

Killed at any point and run again, it keeps the new token and tells people once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, SecretStr

from functions.domain.notices import approval_notice
from functions.domain.ports import ApprovalReader, Notifier, PlanReader, TaskTokenLog, TaskTokens
from functions.domain.prune.request import PruneRequest
from functions.domain.prune.validity import PruneRefused
from functions.domain.prune.waking import wake
from functions.domain.values import Digest, RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.notices import SnsNotifier
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf, DynamoTaskTokens, StepFunctionsTasks


class AskRequest(PruneRequest):
    """Which plan waits, and what wakes it."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    token: Annotated[SecretStr, Field(min_length=1, max_length=2048)]


@dataclass(frozen=True, slots=True)
class AskPorts:
    """All that asking for an approval may touch."""

    plans: PlanReader
    approvals: ApprovalReader
    tokens: TaskTokenLog
    tasks: TaskTokens
    notifier: Notifier


def ask_approval(request: AskRequest, ports: AskPorts) -> bool:
    """Let the workflow wait for a decision; whether people were asked. False: it was decided before, and goes on.

    Raises PruneRefused, nothing kept and nobody told; NotTold and NotWoken, which running it again mends.
    """
    repository = RepositoryName(request.repository)
    shelved = ports.plans.find(repository, request.plan)
    if shelved is None or shelved.execution != request.execution:
        raise PruneRefused(f"execution {request.execution} shelved no plan {request.plan[:12]}; nobody was asked")
    if shelved.does_nothing:
        raise PruneRefused(f"plan {request.plan[:12]} is a dry run, or deletes and drops nothing; nobody was asked")
    ports.tokens.keep(repository, request.plan, request.token)
    # Read only now: whoever decides from here on finds the token.
    decided = ports.approvals.decided(repository, request.plan)
    if decided is not None:
        wake(ports.tasks, request.token, decided)
        return False
    ports.notifier.notify(approval_notice(shelved))
    return True


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="ask-approval")


@dataclass(frozen=True, slots=True)
class AskFunction:
    """The function with everything it is wired to."""

    ports: AskPorts

    def on_request(self, event: object) -> dict[str, Any]:
        """Ask for the workflow, which does not read the answer: it waits for the token. Raises PruneRefused."""
        request = AskRequest.read(event)
        asked = ask_approval(request, self.ports)
        said = {"repository": request.repository, "plan": request.plan, "asked": asked}
        logger.info("approvers were asked" if asked else "it was decided before", extra=said)
        return said


@cache
def _function() -> AskFunction:
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = AskPorts(
        plans=DynamoPlanShelf(dynamodb, environment.operations),
        approvals=DynamoApprovals(dynamodb, environment.operations),
        tokens=DynamoTaskTokens(dynamodb, environment.operations),
        tasks=StepFunctionsTasks(boto3.client("stepfunctions", config=CLIENT)),
        notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
    )
    return AskFunction(ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """Called with waitForTaskToken: `{"repository", "execution", "plan": full digest, "token"}`. Raises PruneRefused,
    NotTold, NotWoken."""
    return _function().on_request(event)
