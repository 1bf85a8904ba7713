"""Take or release the lease that lets one prune at a time drop states and delete versions.

gather: who has the lease, which restores announced themselves, and what became of those executions  ->  decide: is it
free, or over, and does no restore run  ->  apply: take it as it was seen.

Permissions of `rwm-lease-prune`, and why:
- dynamodb:Query on operations: who has it, and which restores are under way.
- dynamodb:PutItem, dynamodb:UpdateItem there, partitions `prune-lease#*`: to take and to release it.
- dynamodb:DeleteItem there, partitions `restoring#*`: to take away what a restore announced that ended without its last
  step.
- states:DescribeExecution on executions of the prune's and of both workflows of restores: whether they have ended.

It touches no repository and no ledger. The clocks that it compares are both AWS's: Step Functions' and Lambda's.

Security rules: functions/domain/prune/lease.py. And:
- A restore that announced itself stops the prune, unless Step Functions says that its execution has ended. One that
  it does not know, or cannot be asked about, may run. Which workflow is asked, its name says: each refuses the other's.
- Taking the lease again in the same execution gives the same token, so that a retried step does not stop the batches of
  the first try.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.keeping import RestoreUnderWay, Restoring
from functions.domain.ports import (
    AnnouncedRestores,
    ExecutionStatus,
    LeaseTaken,
    NotAnswered,
    PruneLease,
    UnknownExecution,
)
from functions.domain.prune.lease import Lease, LeaseHeld, over_at
from functions.domain.prune.request import PruneRequest
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Configuration
from functions.domain.values import RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.holds import DynamoPruneLease, RestoresStatus, StepFunctionsStatus
from functions.storage.restores import DynamoAnnouncedRestores

_WORKFLOW = r"^arn:[^:]+:states:[^:]*:[^:]*:stateMachine:.+$"


class LeaseRequest(PruneRequest):
    """What the workflow asks for."""

    action: Literal["take", "release"]


class LeaseEnvironment(Environment):
    """What this function is told beside the others."""

    prune_workflow: str = Field(alias="RWM_PRUNE_WORKFLOW", pattern=_WORKFLOW)
    """ARN of the workflow whose executions have the lease."""
    restore_workflow: str = Field(alias="RWM_RESTORE_WORKFLOW", pattern=_WORKFLOW)
    """And of the one whose executions announce themselves."""
    directory_workflow: str = Field(alias="RWM_DIRECTORY_WORKFLOW", pattern=_WORKFLOW)
    """And of the other one, for restores to a directory."""


@dataclass(frozen=True, slots=True)
class LeasePorts:
    """All that taking a lease may touch."""

    lease: PruneLease
    prunes: ExecutionStatus
    announced: AnnouncedRestores
    restores: ExecutionStatus


def take_lease(repository: RepositoryName, execution: str, token: str, ports: LeasePorts, now: datetime) -> Lease:
    """The lease as `execution` has it, with `token` unless it has one already. Raises LeaseHeld, RestoreUnderWay."""
    last = ports.lease.last(repository)
    if last is not None and not last.released:
        if last.execution == execution:
            return last
        _refuse_unless_over(repository, last, ports.prunes, now)
    for restoring in ports.announced.under_way(repository):
        _forget_if_ended(repository, restoring, ports)
    taken = Lease(token=token, execution=execution, taken_at=now)
    try:
        ports.lease.take(repository, taken, last)
    except LeaseTaken as error:
        current = ports.lease.current(repository)
        if current is None or current.execution != execution:
            raise LeaseHeld(
                f"another prune took the lease of {repository} just now; nothing was deleted; run `rwm prune` again "
                "when it has ended"
            ) from error
        # The same step, tried twice at once.
        return current
    return taken


def _refuse_unless_over(repository: RepositoryName, lease: Lease, executions: ExecutionStatus, now: datetime) -> None:
    """Raises LeaseHeld."""
    held = f"prune {lease.execution} has the lease of {repository} since {lease.taken_at:%Y-%m-%dT%H:%M:%SZ}"
    try:
        ended_at = executions.ended(lease.execution)
        if ended_at is None:
            raise LeaseHeld(f"{held} and is not over; nothing was deleted; wait for it, or stop it")
    except UnknownExecution:
        ended_at = None
    if now < (over := over_at(lease, ended_at)):
        raise LeaseHeld(
            f"{held}, and functions that it called may run until {over:%Y-%m-%dT%H:%M:%SZ}; nothing was deleted; run "
            "`rwm prune` again then"
        )


def _forget_if_ended(repository: RepositoryName, restoring: Restoring, ports: LeasePorts) -> None:
    """Raises RestoreUnderWay."""
    restore = f"restore {restoring.execution} of {repository}, under way since {restoring.since:%Y-%m-%dT%H:%M:%SZ},"
    try:
        ended_at = ports.restores.ended(restoring.execution)
    except UnknownExecution as error:
        raise RestoreUnderWay(
            f"{restore} is none that Step Functions knows, so it may run; nothing was deleted; if it is certain that "
            f"it does not, let an administrator delete the item restoring#{repository}, {restoring.execution} of the "
            "operations table, and run `rwm prune` again"
        ) from error
    except NotAnswered as error:
        raise RestoreUnderWay(f"{restore} may run: {error}; nothing was deleted; run `rwm prune` again") from error
    if ended_at is None:
        raise RestoreUnderWay(
            f"{restore} is not over; nothing was deleted; run `rwm prune` again when it has ended: `rwm restores "
            f"{repository}`"
        )
    ports.announced.forget(repository, restoring)


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="lease-prune")


@dataclass(frozen=True, slots=True)
class LeaseFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: LeasePorts
    now: Callable[[], datetime]
    new_token: Callable[[], str]

    def on_request(self, event: object) -> dict[str, Any]:
        """Raises PruneRefused, LeaseHeld, RestoreUnderWay."""
        request = LeaseRequest.read(event)
        repository = self.configuration.deployed(request.repository, PruneRefused, "nothing was deleted")
        name, execution = repository.repository, request.execution
        extra = {"repository": name, "execution": execution}
        if request.action == "release":
            released = self.ports.lease.release(name, execution)
            logger.info("lease released" if released else "the lease is another's", extra=extra)
            return {"released": released}
        lease = take_lease(name, execution, self.new_token(), self.ports, self.now())
        logger.info("lease taken", extra=extra)
        return {"token": lease.token}


@cache
def _function() -> LeaseFunction:
    environment = LeaseEnvironment.read()
    dynamodb, workflows = boto3.client("dynamodb", config=CLIENT), boto3.client("stepfunctions", config=CLIENT)
    ports = LeasePorts(
        lease=DynamoPruneLease(dynamodb, environment.operations),
        prunes=StepFunctionsStatus(workflows, environment.prune_workflow),
        announced=DynamoAnnouncedRestores(dynamodb, environment.operations),
        restores=RestoresStatus(
            StepFunctionsStatus(workflows, environment.restore_workflow),
            StepFunctionsStatus(workflows, environment.directory_workflow),
        ),
    )
    return LeaseFunction(read_bundled(), ports, lambda: datetime.now(UTC), lambda: uuid4().hex)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """`{"repository", "execution", "action": "take" | "release"}` -> `{"token"}`, or `{"released": whether it was this
    execution's}`. Raises PruneRefused, LeaseHeld, RestoreUnderWay."""
    return _function().on_request(event)
