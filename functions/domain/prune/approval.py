"""A plan on the shelf, and what a person decided on it: what approvers are shown, and what apply asks before anything.

Security rules:
- An approval names the full digest of one plan. It says nothing of any other plan, not of the next one of the same
  repository either.
- What was decided first counts; nobody decides twice.
- A rejection stops a plan that would need no approval, too.
- Who approves a plan accepts its fresh state as it was cut, and nothing that came after that cut, however late the
  approval is.
- The task token that wakes the workflow is in none of these, and decides nothing: apply reads the approval.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field

from functions.domain.consistent.baseline import Approved
from functions.domain.documents import Document, Instant
from functions.domain.prune.plan import Phase, PrunePlan, Total, Waiting, plan_file
from functions.domain.state import StateHeader, Tally
from functions.domain.values import Digest, RepositoryName, StateId, VersionId
from functions.domain.verdict import Outcome, SeenFinding

ApprovalMode = Literal["hold", "always", "never"]
"""When a repository's plans wait for a person; `approval` in repositories.toml."""
Need = Literal["needed", "not-needed", "nothing-to-do"]
Decision = Literal["approved", "rejected"]
Status = Literal["waiting", "approved", "rejected", "expired", "not-needed", "nothing-to-do", "dry-run", "applied"]
"""What became of a plan. `applied`: there is a report on it. `expired`: nobody decided in time."""


class NotApproved(Exception):
    """The plan may not be applied for want of an approval; nothing was deleted."""


class ShelvedPlan(Document):
    """A plan's summary, which is what is told of it: who wants its entries reads its file, by version id and digest."""

    KIND: ClassVar[str] = "shelved prune plan"
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {1: frozenset({"listed"}), 2: frozenset()}

    repository: RepositoryName
    plan: Digest
    file: str
    """The plan's file in the records bucket."""
    version_id: VersionId
    execution: str
    state: StateId
    """The fresh state that it was drawn from."""
    generation: int = Field(ge=1)
    """Of that state."""
    drawn_at: Instant
    """S3's clock."""
    valid_until: Instant
    outcome: Outcome
    """`pass` or `hold`."""
    posture: Outcome
    """What this execution's posture came to; its findings are told by the check."""
    approval: Need
    dry_run: bool
    entries: int = Field(ge=0)
    """Versions and markers that go."""
    bytes: int = Field(ge=0)
    markers: int = Field(ge=0)
    """Of the entries, the delete markers."""
    drops: int = Field(ge=0)
    """States that are marked dropped first."""
    kept: int = Field(ge=1)
    totals: tuple[Total, ...]
    waiting: tuple[Waiting, ...]
    flooded: int = Field(ge=0)
    findings: tuple[SeenFinding, ...]
    """The HOLDs of this execution's checks, then what is odd about the plan itself."""
    listed: Tally | None = None
    """All object versions of the repository when it was drawn. None: it was shelved before this was told."""

    @classmethod
    def of(
        cls,
        plan: PrunePlan,
        version_id: VersionId,
        need: Need,
        *,
        posture: Outcome = "pass",
        check: tuple[SeenFinding, ...] = (),
        dry_run: bool = False,
    ) -> Self:
        """`version_id` of its file; `posture` and `check`: what made `plan.check` what it is."""
        return cls(
            repository=plan.repository,
            plan=plan.digest,
            file=plan_file(plan.repository, plan.execution),
            version_id=version_id,
            execution=plan.execution,
            state=plan.state,
            generation=plan.generation,
            drawn_at=plan.drawn_at,
            valid_until=plan.valid_until,
            outcome=plan.outcome,
            posture=posture,
            approval=need,
            dry_run=dry_run,
            entries=sum(batch.objects for batch in plan.batches),
            bytes=plan.freed.bytes,
            markers=sum(batch.objects for batch in plan.of_phase(Phase.MARKERS)),
            drops=len(plan.dropped),
            kept=len(plan.kept),
            totals=plan.totals,
            waiting=plan.waiting,
            flooded=plan.flooded,
            findings=(*check, *plan.findings),
            listed=plan.listed,
        )

    @property
    def does_nothing(self) -> bool:
        """Neither deletes a version nor drops a state, or only shows what a prune would do."""
        return self.dry_run or not (self.entries or self.drops)

    def is_good_at(self, now: datetime) -> bool:
        """Whether it can still be decided on; `now` is S3's clock."""
        return self.drawn_at <= now < self.valid_until


class Approval(Document):
    """What was decided on a plan, by whom, when."""

    KIND: ClassVar[str] = "approval"

    repository: RepositoryName
    plan: Digest
    state: StateId
    """The fresh state that the plan was drawn from: who approves the plan has seen what was found in it."""
    generation: int = Field(ge=1)
    """Of that state."""
    decision: Decision
    by: str
    """What the caller says of itself, CloudTrail has the proof, where it logs calls of functions."""
    at: Instant
    """S3's clock."""


def status_of(shelved: ShelvedPlan, approval: Approval | None, applied: bool, now: datetime) -> Status:
    """What became of a plan. What was done to it counts for more than what was decided, and that more than its age."""
    if shelved.dry_run:
        return "dry-run"
    if not shelved.entries and not shelved.drops:
        return "nothing-to-do"
    if applied:
        return "applied"
    if approval is not None:
        return approval.decision
    if shelved.approval != "needed":
        return "not-needed"
    return "waiting" if now < shelved.valid_until else "expired"


def last_approved(
    approvals: Iterable[Approval], chain: Callable[[int], Iterable[StateHeader]], at: datetime
) -> Approved | None:
    """The newest state, cut at `at` or before, that a person approved with a plan drawn from it.

    `chain`: the repository's headers from a generation on, newest first, of which no more are taken than needed. What
    is no longer in the chain excuses nothing.
    """
    approved = (each for each in approvals if each.decision == "approved")
    for each in sorted(approved, key=lambda approval: approval.generation, reverse=True):
        headers = iter(chain(each.generation))
        header = next(headers, None)
        if header is not None and header.id == each.state and header.cut_time <= at:
            return Approved.of(header, headers)
    return None


def from_generation(newest_first: Sequence[StateHeader]) -> Callable[[int], Iterable[StateHeader]]:
    """For `last_approved`, where the chain is at hand."""
    return lambda generation: (each for each in newest_first if each.generation <= generation)


def approval_need(plan: PrunePlan, mode: ApprovalMode) -> Need:
    """Whether a person has to approve `plan`, where the repository's `approval` is `mode`."""
    # What a dropped state names may go with the next prune, so dropping alone is a matter for a person, too.
    if not plan.batches and not plan.dropped:
        return "nothing-to-do"
    if mode == "always" or (mode == "hold" and plan.outcome != "pass"):
        return "needed"
    return "not-needed"


def check_approved(plan: PrunePlan, mode: ApprovalMode, approval: Approval | None) -> None:
    """Raises NotApproved unless `plan` needs no approval or has one, and in any case where it was rejected.

    `mode` as it is configured now; `approval` what is written down for the plan's digest, read consistently.
    """
    undone = "nothing was deleted"
    if approval is not None:
        if (approval.repository, approval.plan) != (plan.repository, plan.digest):
            raise NotApproved(f"the approval is of plan {approval.plan[:12]}, not of {plan.digest[:12]}; {undone}")
        if approval.decision == "rejected":
            raise NotApproved(f"plan {plan.digest[:12]} was rejected by {approval.by}; {undone}")
        return
    if approval_need(plan, mode) == "needed":
        raise NotApproved(f"plan {plan.digest[:12]} waits for an approver; {undone}")
