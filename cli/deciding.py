"""`rwm approve`, `rwm reject`: an approver decides on one prune plan.

Security rules:
- What is shown is the plan's own file, proven by its digest, and the function is told the full digest: nothing else is
  decided on, not the next plan of the same repository either.
- Only the function writes, and only an approver's role may call it. Who it was is what the caller says; CloudTrail
  has the proof.
"""

from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from cli import plans
from cli.deployment import Deployment
from cli.exits import Failed, Refused
from cli.explain import APPROVER, explain
from cli.invocation import invoke, unreadable
from cli.plans import PlanDetails
from functions.domain.documents import Instant, Part
from functions.domain.prune.approval import Decision
from functions.domain.values import Digest, RepositoryName

UNDONE = "nothing was decided"
STEP = "approve"
_ASKED: dict[Decision, str] = {"approved": "approve", "rejected": "reject"}


class Decided(Part):
    """What stands, as `--json` prints it."""

    repository: RepositoryName
    plan: Digest
    outcome: Decision
    by: str
    at: Instant
    before: bool
    """It stood before: nothing was changed."""
    woken: bool
    """The workflow waited for it, and goes on or ends now."""


class _Answer(BaseModel):
    """The answer of the function `approve`."""

    model_config = ConfigDict(frozen=True)

    outcome: Literal["approved", "rejected", "refused"]
    message: str = ""
    plan: str = ""
    by: str = ""
    at: datetime | None = None
    before: bool = False
    woken: bool = False


def propose(deployment: Deployment, wanted: str, now: datetime) -> PlanDetails:
    """The plan to decide on. Raises Refused where there is nothing to decide, Damaged."""
    shelved = plans.find(deployment, wanted)
    found = plans.details(deployment, shelved, now)
    why = {
        "dry-run": "is of a dry run, and is never applied",
        "nothing-to-do": "deletes nothing",
        "applied": f"was applied; `rwm prunes {found.repository}` shows what became of it",
    }.get(found.status)
    if why is not None:
        raise Refused(f"plan {found.plan[:12]} of {found.repository} {why}; {UNDONE}")
    return found


def decide(deployment: Deployment, plan: PlanDetails, decision: Decision) -> Decided:
    """Have exactly that plan approved or rejected. Raises Refused, Failed."""
    caller = deployment.aws.sts.get_caller_identity()["Arn"]
    undone = f"nothing is known to have been decided; `rwm plan {plan.plan[:12]}` shows what stands"
    try:
        said = invoke(deployment, STEP, plan.repository, undone, plan=plan.plan, decision=_ASKED[decision], by=caller)
        answer = _Answer.model_validate(said)
    except ClientError as error:
        raise explain(error, deployment, UNDONE, who=APPROVER) from error
    except ValidationError as error:
        raise unreadable(deployment, STEP, undone) from error
    if answer.outcome == "refused":
        raise Refused(answer.message)
    if (answer.plan, answer.outcome) != (plan.plan, decision) or answer.at is None:
        raise Failed(
            f"plan {answer.plan[:12]} was {answer.outcome}, as the function says, and {plan.plan[:12]} was to be "
            f"{decision}; `rwm plan {plan.plan[:12]}` shows what stands"
        )
    return Decided(
        repository=plan.repository,
        plan=plan.plan,
        outcome=answer.outcome,
        by=answer.by,
        at=answer.at,
        before=answer.before,
        woken=answer.woken,
    )
