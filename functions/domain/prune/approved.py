"""The plan that a request names, proven: what every step after planning asks before it does anything.

Security rules:
- Nothing is believed for being in the request: the plan is the one of that digest, of this repository and execution.
- Whoever drops or deletes also asks the shelf, which only the planner fills, and the approvals: a plan that nobody was
  shown, a dry run, and a plan that waits for a person, or was rejected, are never carried out.
"""

from typing import Annotated

from pydantic import Field

from functions.domain.ports import ApprovalReader, PlanReader, RecordReader
from functions.domain.prune.approval import check_approved
from functions.domain.prune.plan import PlanMismatch, PrunePlan, plan_file, read_plan
from functions.domain.prune.request import PruneRequest
from functions.domain.repositories import Repository
from functions.domain.values import Digest, VersionId


class PlanRequest(PruneRequest):
    """Which plan, in which version of its file."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: Annotated[VersionId, Field(min_length=1)]


def read_named(request: PlanRequest, repository: Repository, stored: RecordReader) -> PrunePlan:
    """The plan, and nothing about whether it may be carried out.

    Raises PlanMismatch, UnreadableDocument, VersionGone.
    """
    file = plan_file(repository.repository, request.execution)
    plan = read_plan(stored, file, request.plan_version, request.plan)
    if (plan.repository, plan.execution) != (repository.repository, request.execution):
        raise PlanMismatch(f"plan {plan.digest[:12]} is of another repository or execution; nothing was done")
    return plan


def read_approved(
    request: PlanRequest,
    repository: Repository,
    stored: RecordReader,
    shelf: PlanReader,
    approvals: ApprovalReader,
) -> PrunePlan:
    """The plan, which may be carried out. Raises NotApproved, PlanMismatch, UnreadableDocument, VersionGone."""
    plan = read_named(request, repository, stored)
    shelved = shelf.find(plan.repository, plan.digest)
    put = (plan_file(plan.repository, plan.execution), request.plan_version)
    if shelved is None or (shelved.file, shelved.version_id) != put or shelved.dry_run:
        raise PlanMismatch(
            f"plan {plan.digest[:12]} is not one that was put on the shelf to be applied; nothing was done"
        )
    check_approved(plan, repository.approval, approvals.decided(plan.repository, plan.digest))
    return plan
