"""`rwm plans`, `rwm plan`: what prunes would delete, and what became of their plans.

Security rules:
- A plan is shown in full only as its own file has it, which its digest proves. Where the shelf says anything else of
  it, nothing is shown: somebody is to be made to approve what is not there.
- An entry is shown only of a batch whose digest the plan has.
- Whether a plan can still be decided on is told by this machine's clock. The function `approve` goes by S3's.
"""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Self

from cli.deployment import Deployment
from cli.exits import Damaged, Refused
from cli.findings import ToldFinding
from functions.domain.documents import Instant, Part
from functions.domain.prune.approval import Approval, Need, ShelvedPlan, Status, status_of
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.plan import PlanMismatch, PrunePlan, Total, Waiting, read_batch, read_plan
from functions.domain.prune.rules import PruneRules, Reason
from functions.domain.repositories import Retention
from functions.domain.state import Tally
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId, VersionId
from functions.domain.verdict import Outcome

_PREFIX = re.compile(r"[0-9a-f]{8,64}")


class Plan(Part):
    """A plan's summary, and what became of it."""

    plan: Digest
    repository: RepositoryName
    status: Status
    """`applied`: there is a report on it. `expired`: nobody decided in time, and nothing is deleted."""
    by: str = ""
    """Who approved or rejected it, by what the caller said of itself."""
    decided_at: Instant | None = None
    execution: str
    """Name of the prune's execution."""
    state: StateId
    """The fresh state that it was drawn from."""
    generation: int
    drawn_at: Instant
    valid_until: Instant
    outcome: Outcome
    """`hold`: something about it, or about the repository, wants a person to look."""
    posture: Outcome
    approval: Need
    versions: int
    """That go; the markers are not among them."""
    markers: int
    bytes: int
    """That this frees."""
    drops: int
    """States that are dropped first."""
    kept: int
    totals: tuple[Total, ...]
    """What goes, by reason and type of file."""
    waiting: tuple[Waiting, ...]
    """What stays for now, by reason."""
    flooded: int
    """Keys of which nothing is planned, because they have too many versions."""
    findings: tuple[ToldFinding, ...]


class DroppedByPlan(Part):
    """A state that the plan drops: it is restored from no more."""

    state: StateId
    generation: int
    cut_time: Instant


class PlanFile(Part):
    bucket: str
    key: str
    version_id: VersionId


class PlanDetails(Plan):
    """A plan in full, as its file has it."""

    dropped: tuple[DroppedByPlan, ...]
    """The oldest first."""
    holds: tuple[StateId, ...]
    """What was held when it was drawn."""
    listed: Tally
    """All object versions that there were then."""
    listed_markers: int
    rules: PruneRules
    retention: Retention
    batches: int
    file: PlanFile


class PlanEntry(Part):
    """One version or delete marker that goes."""

    key: ObjectKey
    version_id: VersionId
    size: int | None
    """Bytes; None: a delete marker."""
    last_modified: Instant
    reason: Reason
    since: Instant
    """Since when it is noncurrent; of a current marker, its own date."""

    @classmethod
    def of(cls, entry: PlannedEntry) -> Self:
        return cls.model_validate(entry, from_attributes=True)


class PlanWithEntries(PlanDetails):
    """A plan in full, with all that it deletes."""

    entries: tuple[PlanEntry, ...]
    """Versions, then markers, each in key order."""


class Plans(Part):
    """Plans on the shelf, the newest first."""

    plans: tuple[Plan, ...]
    more: bool
    """There are older ones."""


def plans(deployment: Deployment, name: str | None, limit: int, now: datetime) -> Plans:
    """The plans of one repository, or of all that are deployed. Raises Refused, UnreadableDocument."""
    chosen = [deployment.repository(name)] if name is not None else deployment.repositories()
    found: list[Plan] = []
    for repository in chosen:
        decided = {each.plan: each for each in deployment.approvals.approvals(repository.repository)}
        applied = {each.plan for each in deployment.prunes.reports(repository.repository)}
        shelved = deployment.plans.plans(repository.repository)
        found += [_summary(each, decided.get(each.plan), applied, now) for each in shelved]
    found.sort(key=lambda plan: (plan.drawn_at, plan.plan), reverse=True)
    return Plans(plans=tuple(found[:limit]), more=len(found) > limit)


def find(deployment: Deployment, wanted: str) -> ShelvedPlan:
    """The plan of any deployed repository that `wanted` means: its digest, or a unique start of it.

    Raises Refused, UnreadableDocument.
    """
    prefix = wanted.lower()
    if not _PREFIX.fullmatch(prefix):
        raise Refused(
            f"{wanted!r} is no digest of a prune plan, nor its first 8 digits or more; nothing was done; `rwm plans` "
            "lists those there are"
        )
    found = [
        shelved
        for repository in deployment.repositories()
        for shelved in deployment.plans.plans(repository.repository)
        if shelved.plan.startswith(prefix)
    ]
    if not found:
        raise Refused(f"{deployment} has no prune plan {prefix}; nothing was done; `rwm plans` lists those there are")
    if len(found) > 1:
        named = ", ".join(f"{each.plan[:16]} of {each.repository}" for each in found[:5])
        raise Refused(f"{prefix} is the start of {len(found)} plans ({named}); nothing was done; give more digits")
    return found[0]


def details(deployment: Deployment, shelved: ShelvedPlan, now: datetime) -> PlanDetails:
    """The plan in full. Raises Damaged where its file is not what the shelf promises; VersionGone,
    UnreadableDocument."""
    plan = _read(deployment, shelved.file, shelved.version_id, shelved.plan)
    _check_same(plan, shelved)
    repository = shelved.repository
    approval = deployment.approvals.decided(repository, shelved.plan)
    applied = {each.plan for each in deployment.prunes.reports(repository)}
    summary = _summary(shelved, approval, applied, now)
    return PlanDetails(
        **dict(summary),
        dropped=_dropped(deployment, plan),
        holds=plan.holds,
        listed=plan.listed,
        listed_markers=plan.markers,
        rules=plan.rules,
        retention=plan.retention,
        batches=len(plan.batches),
        file=PlanFile(bucket=deployment.records_bucket, key=shelved.file, version_id=shelved.version_id),
    )


def entries(deployment: Deployment, details: PlanDetails) -> Iterator[tuple[PlannedEntry, ...]]:
    """Every version, then every marker that the plan deletes: batch by batch, in key order.

    Raises Damaged, VersionGone, UnreadableDocument, before anything of the batch in question is given.
    """
    plan = _read(deployment, details.file.key, details.file.version_id, details.plan)
    for batch in plan.batches:
        try:
            yield read_batch(deployment.records, plan, batch.number)
        except PlanMismatch as error:
            raise Damaged(f"{error}; reject the plan, and find out who changed the records bucket") from error


def _summary(shelved: ShelvedPlan, approval: Approval | None, applied: Collection[Digest], now: datetime) -> Plan:
    same = set(Plan.model_fields) - {"findings", "totals", "waiting"}
    return Plan(
        **shelved.model_dump(include=same),
        status=status_of(shelved, approval, shelved.plan in applied, now),
        by=approval.by if approval else "",
        decided_at=approval.at if approval else None,
        versions=shelved.entries - shelved.markers,
        totals=shelved.totals,
        waiting=shelved.waiting,
        findings=tuple(map(ToldFinding.of, shelved.findings)),
    )


def _read(deployment: Deployment, file: str, version_id: VersionId, digest: Digest) -> PrunePlan:
    try:
        return read_plan(deployment.records, file, version_id, digest)
    except PlanMismatch as error:
        raise Damaged(
            f"what is stored of plan {digest[:12]} is another plan ({error}); approve nothing, and find out who "
            "changed the operations table or the records bucket"
        ) from error


def _check_same(plan: PrunePlan, shelved: ShelvedPlan) -> None:
    """Raises Damaged unless the shelf says of `plan` what the plan says of itself."""
    of_checks = shelved.findings[: max(0, len(shelved.findings) - len(plan.findings))]
    said = ShelvedPlan.of(
        plan,
        shelved.version_id,
        shelved.approval,
        posture=shelved.posture,
        check=of_checks,
        dry_run=shelved.dry_run,
    )
    if shelved.listed is None:
        # It was shelved by a version that did not tell it. Nobody decides by it.
        said = said.model_copy(update={"listed": None})
    if said != shelved:
        raise Damaged(
            f"the shelf says something else of plan {shelved.plan[:12]} than the plan itself; it is not shown; approve "
            "nothing, and find out who changed the operations table"
        )


def _dropped(deployment: Deployment, plan: PrunePlan) -> tuple[DroppedByPlan, ...]:
    wanted = set(plan.dropped)
    if not wanted:
        return ()
    found = []
    for header in deployment.ledger.headers(plan.repository, oldest_first=True):
        if header.id in wanted:
            wanted.discard(header.id)
            found.append(DroppedByPlan(state=header.id, generation=header.generation, cut_time=header.cut_time))
            if not wanted:
                return tuple(found)
    raise Damaged(
        f"state {min(wanted)[:12]}, which plan {plan.digest[:12]} drops, is not in the ledger; approve nothing, and "
        "find out who changed the ledger"
    )
