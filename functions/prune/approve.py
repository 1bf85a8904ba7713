"""A person decides on a plan: approve, or reject. Approvers call it directly, and nobody else may.

gather: the plan on the shelf, what was decided before, S3's clock  ->  decide: whether it can still be decided on
->  apply: write the decision down, once, and wake the workflow that waits.

Permissions of `rwm-approve`, and why:
- dynamodb:Query on operations, partitions `plan#…`, `approval#…` and `plan-token#…`: the plan, what was decided, and
  what wakes the workflow.
- dynamodb:PutItem on operations, partitions `approval#…` only: the decision; never a plan, a verdict or a token.
- states:SendTaskSuccess, states:SendTaskFailure on the prune's workflow: to wake it.
- s3:GetBucketVersioning on the records bucket: S3's clock, by which plans expire.
Only the approver's role may call it.

Security rules:
- A decision names the full digest of one plan, and is written once: who comes second is told what was decided.
- A plan that expired, on S3's clock, is not decided on any more.
- The decision is written before anybody is woken, and whoever calls again wakes again, by what was decided.
- `by` is what the caller says of itself, for people to read. CloudTrail, where it logs calls of functions, has the
  proof of who called.
- The token is in no answer, no log and no error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Self

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from functions.configuration import read_bundled
from functions.domain.documents import Part, wrong_fields
from functions.domain.ports import ApprovalLog, BucketConfiguration, PlanReader, TaskTokenReader, TaskTokens
from functions.domain.prune.approval import Approval, Decision, ShelvedPlan
from functions.domain.prune.waking import wake
from functions.domain.repositories import Configuration
from functions.domain.values import Digest, RepositoryName, zulu
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf, DynamoTaskTokens, StepFunctionsTasks

_LONGEST_NAME = 2048
"""Of an ARN."""
_DECISIONS: dict[str, Decision] = {"approve": "approved", "reject": "rejected"}


class DecisionRefused(Exception):
    """Nothing was decided now; the message says why, and what stands."""


class Asked(Part):
    """What an approver asks for."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    decision: Literal["approve", "reject"]
    by: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=r"^[\x21-\x7e]+$")]

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises DecisionRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
            raise DecisionRefused(f"the request is malformed ({wrong}); nothing was decided") from error


@dataclass(frozen=True, slots=True)
class ApprovePorts:
    """All that a decision may touch."""

    plans: PlanReader
    approvals: ApprovalLog
    tokens: TaskTokenReader
    tasks: TaskTokens
    clock: BucketConfiguration
    """Of the records bucket: S3's clock."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What stands now."""

    approval: Approval
    before: bool
    """It stood before this call."""
    woken: bool
    """A workflow waited, and goes on."""


def approve(repository: RepositoryName, asked: Asked, ports: ApprovePorts) -> Decided:
    """Decide on a plan unless that was done, and wake the workflow by what stands.

    Raises DecisionRefused, also where the other thing was decided before; NotWoken, which calling again mends.
    """
    shelved = ports.plans.find(repository, asked.plan)
    if shelved is None:
        raise DecisionRefused(
            f"{repository} has no prune plan {asked.plan[:12]}; nothing was decided; `rwm plans` lists those there are"
        )
    first = ports.approvals.decided(repository, asked.plan)
    approval = first or _decide(shelved, asked, ports)
    token = ports.tokens.token(repository, asked.plan)
    woken = token is not None and wake(ports.tasks, token, approval)
    if approval.decision != _DECISIONS[asked.decision]:
        raise DecisionRefused(
            f"plan {asked.plan[:12]} was {approval.decision} by {approval.by} at {zulu(approval.at)}, and that stands; "
            "nothing was decided now"
        )
    return Decided(approval, first is not None or approval.by != asked.by, woken)


def _decide(shelved: ShelvedPlan, asked: Asked, ports: ApprovePorts) -> Approval:
    """What stands: this, or what somebody else decided in this very moment. Raises DecisionRefused."""
    undone = "nothing was decided"
    if shelved.does_nothing:
        raise DecisionRefused(f"plan {asked.plan[:12]} is a dry run, or deletes and drops nothing; {undone}")
    now = ports.clock.now()
    if not shelved.is_good_at(now):
        raise DecisionRefused(
            f"plan {asked.plan[:12]} was good from {zulu(shelved.drawn_at)} to {zulu(shelved.valid_until)}, and it is "
            f"{zulu(now)}; {undone}, and nothing will be deleted; `rwm prune {shelved.repository}` draws a new one"
        )
    return ports.approvals.decide(
        Approval(
            repository=shelved.repository,
            plan=shelved.plan,
            state=shelved.state,
            generation=shelved.generation,
            decision=_DECISIONS[asked.decision],
            by=asked.by,
            at=now,
        )
    )


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="approve")


@dataclass(frozen=True, slots=True)
class ApproveFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: ApprovePorts

    def on_request(self, event: object) -> dict[str, Any]:
        """Answer an approver: what stands now, or why nothing was decided."""
        try:
            asked = Asked.read(event)
            decided = approve(self._deployed(asked), asked, self.ports)
        except DecisionRefused as error:
            logger.warning("nothing was decided", extra={"why": str(error)})
            return {"outcome": "refused", "message": str(error)}
        answer = {
            "outcome": decided.approval.decision,
            "repository": asked.repository,
            "plan": asked.plan,
            "by": decided.approval.by,
            "at": zulu(decided.approval.at),
            "before": decided.before,
            "woken": decided.woken,
        }
        logger.info("decided", extra={**answer, "caller": asked.by})
        return answer

    def _deployed(self, asked: Asked) -> RepositoryName:
        return self.configuration.deployed(asked.repository, DecisionRefused, "nothing was decided").repository


@cache
def _function() -> ApproveFunction:
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = ApprovePorts(
        plans=DynamoPlanShelf(dynamodb, environment.operations),
        approvals=DynamoApprovals(dynamodb, environment.operations),
        tokens=DynamoTaskTokens(dynamodb, environment.operations),
        tasks=StepFunctionsTasks(boto3.client("stepfunctions", config=CLIENT)),
        clock=S3BucketConfiguration(boto3.client("s3", config=CLIENT), environment.records),
    )
    return ApproveFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: `{"repository", "plan": full digest, "decision": "approve" | "reject", "by": the caller's ARN}` ->
    `{"outcome": "approved" | "rejected" | "refused", …}`; refused: `message` says why, and what stands."""
    return _function().on_request(event)
