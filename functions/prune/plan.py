"""First step of a prune: draw a plan of what may go, from this execution's fresh state, and put it on the shelf.

gather: the chain of states and which are dropped, held or approved, the verdicts, S3's clock  ->  decide: whether a
prune may be planned at all, what becomes of each state, what becomes of each version, what is odd  ->  apply: write
the batches as they fill, the plan, the manifests that the Distributed Maps read, and last the plan's place on the
shelf.

Permissions of `rwm-plan-prune`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: every kept state is read to its end.
- dynamodb:Query on operations: the verdicts, what people hold, and what they approved.
- s3:GetBucketVersioning, s3:GetBucketObjectLockConfiguration on the repositories' buckets: S3's clock, and whether
  versioning is on and stays on; s3:ListBucketVersions there: what there is.
- s3:PutObject on `plan.json`, `versions.json`, `markers.json` and `batches/*` beneath `prunes/*`: the plan; never a
  result or a report.
- dynamodb:PutItem on operations, partitions `plan#…` only: the plan's place on the shelf; never a verdict, never an
  approval.

Security rules:
- Nothing is planned on a state that this same execution did not judge, that is older than `max_state_age`, or that
  has a FAIL, as any newer state's FAIL stops it, too. A HOLD of the posture or of any level makes the plan one that
  a person has to approve.
- What is dropped, and the head, are read before the headers: what happens meanwhile only adds to what is kept.
- What is read of the ledger and of S3 proves itself, or there is no plan; batches that were written before that
  showed are named by nothing.

Killed at any point and run again, it plans again: each plan is whole, and named by its own digest.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem, encode_manifest
from functions.domain.consistent.baseline import Approved, baseline
from functions.domain.cut import NotInOrder
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.ports import (
    ApprovalReader,
    BucketConfiguration,
    Holds,
    LedgerReader,
    PlanShelf,
    RecordWriter,
    VerdictReader,
    VersionLister,
)
from functions.domain.prune.amounts import odd, unanswered
from functions.domain.prune.approval import ShelvedPlan, approval_need, from_generation, last_approved
from functions.domain.prune.draft import Basis, Batch, Draft, PlanUnsound
from functions.domain.prune.histories import Histories
from functions.domain.prune.kept_states import read_kept
from functions.domain.prune.named import StoredNames
from functions.domain.prune.pins import PinnedVersions, PinsUnproven
from functions.domain.prune.plan import Phase, batch_file, manifest_file, plan_file
from functions.domain.prune.request import PruneRequest
from functions.domain.prune.rules import PruneRules
from functions.domain.prune.validity import PruneRefused, check_passed
from functions.domain.repositories import Configuration, Repository
from functions.domain.retention import JudgedState, decide_fates
from functions.domain.state import StateHeader
from functions.domain.values import Severity, StateId, VersionId, Versioning
from functions.domain.verdict import CheckLevel, Outcome, SeenFinding, Verdict, newest_outcomes, seen
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.holds import DynamoHolds
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.listing import S3VersionLister
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.records import S3RecordWriter
from functions.storage.verdicts import DynamoVerdictReader

THREADS = 16
"""Chunks that are read and batches that are written at once; most of the time is waiting for them."""
AT_HAND = 64
"""Batches that are held in memory at once."""


class PlanRequest(PruneRequest):
    """What a prune is to be planned of."""

    dry_run: bool
    posture: Outcome
    """What this same execution's posture came to."""


@dataclass(frozen=True, slots=True)
class PlanPorts:
    """All that planning a prune of one repository may touch."""

    bucket: BucketConfiguration
    lister: VersionLister
    ledger: LedgerReader
    verdicts: VerdictReader
    holds: Holds
    approvals: ApprovalReader
    records: RecordWriter
    shelf: PlanShelf


@dataclass(frozen=True, slots=True)
class PlannedPrune:
    """What the rest of the workflow is given."""

    shelved: ShelvedPlan
    manifests: Mapping[Phase, VersionId]
    """A version of the manifest of each phase that has batches."""


def plan_prune(
    repository: Repository, execution: str, posture: Outcome, ports: PlanPorts, *, dry_run: bool = False
) -> PlannedPrune:
    """Draw a plan, write it, and shelve it. Raises PruneRefused: then there is no plan."""
    try:
        return _plan_prune(repository, execution, posture, ports, dry_run=dry_run)
    except (StateDamaged, UnreadableDocument, PinsUnproven, NotInOrder, PlanUnsound) as error:
        raise PruneRefused(f"{error}; nothing was planned") from error


def _plan_prune(
    repository: Repository, execution: str, posture: Outcome, ports: PlanPorts, *, dry_run: bool
) -> PlannedPrune:
    situation = _gather(repository, execution, ports)
    passed = _passed(situation, repository, execution, posture)
    dropped = _to_drop(situation, repository)
    basis = Basis(
        fresh=situation.fresh,
        execution=execution,
        drawn_at=situation.now,
        rules=PruneRules.of(repository, object_lock=ports.bucket.object_lock()),
        retention=repository.retention,
        dropped=dropped,
        holds=situation.holds,
        check="hold" if "hold" in (passed, posture) else "pass",
    )
    with ThreadPoolExecutor(THREADS) as threads:
        pinned = PinnedVersions(
            [header for header in situation.kept if header.id not in dropped], StoredNames(ports.ledger, threads)
        )
        draft = Draft(basis, Histories(ports.lister.versions()), pinned)
        items = _write_batches(repository, execution, draft.batches(), ports.records, threads)
    plan = draft.plan(_oddities(draft, situation, repository, dropped))
    version_id = ports.records.put(plan_file(plan.repository, execution), plan.canonical())
    shelved = ShelvedPlan.of(
        plan,
        version_id,
        approval_need(plan, repository.approval),
        posture=posture,
        check=situation.holds_of_checks,
        dry_run=dry_run,
    )
    manifests = {
        phase: ports.records.put(manifest_file(plan.repository, execution, phase), encode_manifest(items[phase]))
        for phase in Phase
        if items[phase]
    }
    # Last: what is on the shelf is whole.
    ports.shelf.put(shelved)
    return PlannedPrune(shelved, manifests)


@dataclass(frozen=True, slots=True)
class _Situation:
    """What is so before a plan is drawn."""

    now: datetime
    """S3's clock, before anything was listed."""
    headers: Sequence[StateHeader]
    """The whole chain, newest first."""
    kept: Sequence[StateHeader]
    """Those not marked dropped, newest first."""
    fresh: StateHeader
    approved: Approved | None
    holds: frozenset[StateId]
    verdicts: Mapping[StateId, Sequence[Verdict]]

    @property
    def dirty(self) -> int:
        """Kept states between the one that a person approved last and the fresh one, whose verdicts have a FAIL or a
        HOLD. Of the fresh one the check says so itself."""
        since = self.approved.header.generation if self.approved else 0
        return sum(
            bool({"hold", "fail"} & set(newest_outcomes(each, self.verdicts.get(each.id, ())).values()))
            for each in self.kept
            if since < each.generation < self.fresh.generation
        )

    @property
    def holds_of_checks(self) -> tuple[SeenFinding, ...]:
        """HOLDs in the newest verdict of each level on the fresh state."""
        newest: dict[CheckLevel, Verdict] = {}
        for verdict in self.verdicts.get(self.fresh.id, ()):
            if verdict.target is None:
                known = newest.get(verdict.level, verdict)
                newest[verdict.level] = max(known, verdict, key=lambda each: (each.judged_at, each.outcome == "hold"))
        found = [each for level in CheckLevel if level in newest for each in newest[level].findings]
        return tuple({each.fingerprint: each for each in found if each.severity is Severity.HOLD}.values())


def _gather(repository: Repository, execution: str, ports: PlanPorts) -> _Situation:
    name = repository.repository
    seen_now = ports.bucket.versioning()
    if seen_now.status is not Versioning.ENABLED:
        raise PruneRefused(f"versioning of {repository.bucket} is {seen_now.status}; nothing was planned; enable it")
    headers, dropped = read_kept(ports.ledger, name)
    verdicts: dict[StateId, list[Verdict]] = defaultdict(list)
    for verdict in ports.verdicts.verdicts(name):
        verdicts[verdict.state].append(verdict)
    kept = [header for header in headers if header.id not in dropped]
    if not kept:
        raise PruneRefused(f"every state of {name} is dropped; nothing was planned; run `rwm record`")
    return _Situation(
        now=seen_now.at,
        headers=headers,
        kept=kept,
        fresh=_judged_by(execution, kept, verdicts),
        approved=last_approved(ports.approvals.approvals(name), from_generation(headers), seen_now.at),
        holds=ports.holds.of(name).states,
        verdicts=verdicts,
    )


def _judged_by(
    execution: str, newest_first: Sequence[StateHeader], verdicts: Mapping[StateId, Iterable[Verdict]]
) -> StateHeader:
    """The newest state that this execution judged; where it judged none, the newest, which `check_passed` refuses."""
    judged = (header for header in newest_first if any(each.by == execution for each in verdicts.get(header.id, ())))
    return next(judged, newest_first[0])


def _passed(situation: _Situation, repository: Repository, execution: str, posture: Outcome) -> Outcome:
    """What the checks say. Raises PruneRefused."""
    fresh = situation.fresh
    if posture == "fail":
        raise PruneRefused(f"the posture of {repository.name} is a FAIL; nothing was planned; `rwm check` shows why")
    level = CheckLevel(repository.check_level)
    outcome = check_passed(fresh, situation.verdicts.get(fresh.id, ()), execution, level)
    if situation.now - fresh.cut_time > repository.max_state_age:
        raise PruneRefused(
            f"the newest state that was checked, {fresh.id[:12]}, is of {fresh.cut_time:%Y-%m-%dT%H:%M:%SZ}, which is "
            "longer ago than max_state_age; nothing was planned; `rwm record` says why there is no newer one"
        )
    for newer in situation.kept:
        outcomes = newest_outcomes(newer, situation.verdicts.get(newer.id, ()))
        if newer.generation > fresh.generation and "fail" in outcomes.values():
            raise PruneRefused(f"state {newer.id[:12]}, recorded since, has a FAIL; nothing was planned; `rwm check`")
    return outcome


def _to_drop(situation: _Situation, repository: Repository) -> frozenset[StateId]:
    judged = [JudgedState.of(header, situation.verdicts.get(header.id, ())) for header in situation.kept]
    fates = decide_fates(judged, situation.holds, repository.retention, repository.grace_days, situation.now)
    return frozenset(fate.state.id for fate in fates if not fate.kept)


def _oddities(
    draft: Draft, situation: _Situation, repository: Repository, dropped: frozenset[StateId]
) -> list[SeenFinding]:
    thresholds = repository.thresholds
    level = baseline(situation.headers, situation.approved).level(
        lambda point: point.data_bytes, situation.now, thresholds.baseline_days
    )
    found = [*odd(draft.totals, level, thresholds, repository.repository, situation.now)]
    if dropped:
        found += unanswered(situation.dirty, repository.repository, situation.now)
    return [seen(finding) for finding in found]


def _write_batches(
    repository: Repository, execution: str, batches: Iterable[Batch], records: RecordWriter, threads: Executor
) -> dict[Phase, list[ManifestItem]]:
    """Write each batch as it fills, several at a time, and no more in memory than that."""

    def put(batch: Batch) -> ManifestItem:
        name = batch_file(repository.repository, execution, batch.planned.number)
        return ManifestItem(
            batch=name,
            version_id=records.put(name, batch.content),
            digest=batch.planned.digest,
            number=batch.planned.number,
        )

    items: dict[Phase, list[ManifestItem]] = {phase: [] for phase in Phase}
    remaining = iter(batches)
    while full := list(islice(remaining, AT_HAND)):
        for batch, item in zip(full, threads.map(put, full), strict=True):
            items[batch.planned.phase].append(item)
    return items


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="plan-prune")
metrics = Metrics(namespace="RWM", service="plan-prune")


@dataclass(frozen=True, slots=True)
class PlanFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    records: str
    """Name of the records bucket."""
    ports: Callable[[Repository], PlanPorts]

    def on_request(self, event: object) -> dict[str, Any]:
        """Plan for the workflow. Raises PruneRefused."""
        request = PlanRequest.read(event)
        repository = self.configuration.deployed(request.repository, PruneRefused, "nothing was planned")
        ports = self.ports(repository)
        planned = plan_prune(repository, request.execution, request.posture, ports, dry_run=request.dry_run)
        _tell(planned.shelved)
        return self._answer(planned)

    def _answer(self, planned: PlannedPrune) -> dict[str, Any]:
        shelved = planned.shelved

        def manifest(phase: Phase) -> dict[str, str] | None:
            if phase not in planned.manifests:
                return None
            return {
                "bucket": self.records,
                "key": manifest_file(shelved.repository, shelved.execution, phase),
                "version_id": planned.manifests[phase],
            }

        return {
            "plan": shelved.plan,
            "plan_version": shelved.version_id,
            "entries": shelved.entries,
            "bytes": shelved.bytes,
            "markers": shelved.markers,
            "drops": shelved.drops,
            "approval": shelved.approval,
            "outcome": shelved.outcome,
            "versions_manifest": manifest(Phase.VERSIONS),
            "markers_manifest": manifest(Phase.MARKERS),
        }


def _tell(shelved: ShelvedPlan) -> None:
    """Log and count."""
    counts = {
        "PlannedEntries": shelved.entries,
        "PlannedStates": shelved.drops,
        "WaitingEntries": sum(each.entries for each in shelved.waiting),
    }
    logger.info(
        "prune planned",
        extra={
            "repository": shelved.repository,
            "plan": shelved.plan,
            "outcome": shelved.outcome,
            "approval": shelved.approval,
            "findings": [f"{each.severity} {each.id}" for each in shelved.findings],
            "bytes": shelved.bytes,
            **counts,
        },
    )
    metrics.add_dimension(name="repository", value=shelved.repository)
    metrics.add_metric(name="PlannedBytes", unit=MetricUnit.Bytes, value=shelved.bytes)
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    metrics.flush_metrics()


@cache
def _function() -> PlanFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)

    def ports(repository: Repository) -> PlanPorts:
        return PlanPorts(
            bucket=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            verdicts=DynamoVerdictReader(dynamodb, environment.operations),
            holds=DynamoHolds(dynamodb, environment.operations),
            approvals=DynamoApprovals(dynamodb, environment.operations),
            records=S3RecordWriter(s3, environment.records),
            shelf=DynamoPlanShelf(dynamodb, environment.operations),
        )

    return PlanFunction(read_bundled(), environment.records, ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """`{"repository", "execution", "posture": "pass" | "hold", "dry_run"}` -> `{"plan", "plan_version", "entries",
    "bytes", "markers", "drops", "approval": "needed" | "not-needed" | "nothing-to-do", "outcome",
    "versions_manifest": {"bucket", "key", "version_id"} | null, "markers_manifest": the same}`. Raises PruneRefused."""
    try:
        return _function().on_request(event)
    except PruneRefused as refusal:
        metrics.add_metric(name="PrunesRefused", unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()
        logger.warning("prune refused", extra={"why": str(refusal)})
        raise
