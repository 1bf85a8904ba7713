"""Mark the states that an approved plan drops: from then on they are kept no longer, and their versions may go.

gather: the plan by version id and digest, what was decided on it, S3's clock, the chain of states, what is dropped and
held, every verdict, what newer states name of what is planned  ->  decide: is the plan still valid  ->  apply: put the
marks, up to 40 states a transaction.

Permissions of `rwm-drop-states`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: the chain, which states are dropped, and what newer ones name.
- dynamodb:PutItem, dynamodb:ConditionCheckItem on the ledger, partitions of repositories: the marks, and the head.
- dynamodb:Query on operations: shelf, approval, lease, holds, restores under way, verdicts.
- dynamodb:ConditionCheckItem on operations, partitions `hold#*` and `prune-lease#*`: nobody holds what is dropped, and
  nobody else prunes. It may write nothing there: it can neither plan nor approve, nor take the lease.
- s3:GetObject, s3:GetObjectVersion on `prunes/*` of the records bucket: the plan and its batches.
- s3:GetBucketVersioning on the records bucket: S3's clock. Of the repositories it may touch nothing.

Security rules:
- Nothing is believed for being in the request: the plan has to have the digest that was approved.
- Only states that the plan names are dropped, and only while retention, read again, keeps none of them.
- Each transaction holds only while the head is the one that was judged, the lease is this execution's, and no state of
  it is held. So a state that is recorded meanwhile is judged first, and a hold that comes in between stops all of it.
- A restore that is under way stops it.

Killed at any point and run again, it marks what is left. What was marked stays marked: a later prune finishes it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import DroppedState
from functions.domain.ledger import StateDamaged, with_verdicts
from functions.domain.ports import (
    MOST_AT_ONCE,
    ApprovalReader,
    HeadMoved,
    Holds,
    LeaseLost,
    LeaseReader,
    LedgerReader,
    PlanReader,
    RecordReader,
    StateDropped,
    StateDropper,
    StateHeld,
    VerdictReader,
)
from functions.domain.prune.approval import NotApproved
from functions.domain.prune.approved import PlanRequest, read_approved
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.kept_states import read_kept
from functions.domain.prune.named import StoredNames
from functions.domain.prune.pins import PinnedVersions, PinsUnproven
from functions.domain.prune.plan import Phase, PlanMismatch, PruneBatch, PrunePlan, read_batch
from functions.domain.prune.rules import PruneRules
from functions.domain.prune.validity import Present, PruneRefused, still_named, why_invalid
from functions.domain.repositories import Configuration, Repository
from functions.domain.retention import JudgedState, decide_fates
from functions.domain.state import Head, StateHeader
from functions.domain.values import StateId, VersionGone
from functions.domain.verdict import Verdict
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.holds import DynamoHolds, DynamoLeaseReader
from functions.storage.ledger import DynamoLedgerReader, DynamoStateDropper
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.records import S3RecordReader
from functions.storage.verdicts import DynamoVerdictReader

ATTEMPTS = 5
"""As often, at most, is everything judged anew because a state was recorded in between."""
THREADS = 16
"""Batches that are read, and held in memory, at once."""


class DropStopped(Exception):
    """No state may be dropped, or no further one. What was dropped before, the plan drops, and retention does not keep.

    The workflow knows it by this name.
    """


@dataclass(frozen=True, slots=True)
class DropPorts:
    """All that dropping states may touch."""

    now: Callable[[], datetime]
    """S3's clock."""
    ledger: LedgerReader
    dropper: StateDropper
    verdicts: VerdictReader
    shelf: PlanReader
    approvals: ApprovalReader
    lease: LeaseReader
    holds: Holds
    stored: RecordReader


@dataclass(frozen=True, slots=True)
class Marked:
    """What became of the states that a plan drops."""

    dropped: int
    """Marked by this run."""
    already: int
    """Marked before."""


def drop_states(repository: Repository, request: PlanRequest, ports: DropPorts) -> Marked:
    """Mark every state that the plan drops. Raises DropStopped, NotApproved, PlanMismatch."""
    try:
        plan = read_approved(request, repository, ports.stored, ports.shelf, ports.approvals)
    except (UnreadableDocument, VersionGone) as error:
        raise DropStopped(f"{error}; nothing was dropped") from error
    before = len(ports.ledger.dropped(repository.repository).intersection(plan.dropped))
    for _ in range(ATTEMPTS):
        try:
            _drop_the_rest(plan, repository, ports)
        except (HeadMoved, StateDropped):
            # Something was written since everything was judged: judge it anew.
            continue
        except (LeaseLost, StateHeld, StateDamaged, UnreadableDocument, PinsUnproven, VersionGone) as error:
            raise DropStopped(f"{error}; the prune stopped, and nothing was deleted") from error
        return Marked(dropped=len(plan.dropped) - before, already=before)
    raise DropStopped(
        f"states of {repository.name} are recorded faster than they can be judged; the prune stopped, and nothing was "
        "deleted; run `rwm prune` again"
    )


def _drop_the_rest(plan: PrunePlan, repository: Repository, ports: DropPorts) -> None:
    """Judge everything as it is now, and mark what is not marked yet.

    Raises DropStopped, HeadMoved, StateDropped, LeaseLost, StateHeld, and whatever cannot be read.
    """
    lease = ports.lease.current(repository.repository)
    if lease is None or lease.execution != plan.execution:
        raise LeaseLost(f"{plan.execution} does not have the lease of {repository.name}")
    headers, dropped = read_kept(ports.ledger, repository.repository)
    wanted = _wanted(plan, headers, dropped)
    now = ports.now()
    if reasons := why_invalid(plan, _present(plan, repository, headers, dropped, ports, now)):
        raise DropStopped(
            f"plan {plan.digest[:12]} is not valid any more: {'; '.join(reasons)}; the prune stopped, and nothing was "
            "deleted; run `rwm prune` again"
        )
    head = Head.of(headers[0])
    for first in range(0, len(wanted), MOST_AT_ONCE):
        if ports.holds.of(repository.repository).restores:
            raise DropStopped(
                f"a restore of {repository.name} is under way; the prune stopped, and nothing was deleted; run `rwm "
                "prune` again when it has ended"
            )
        marks = [
            DroppedState(each.id, each.generation, plan.digest, plan.execution, now)
            for each in wanted[first : first + MOST_AT_ONCE]
        ]
        ports.dropper.drop(head, marks)


def _wanted(plan: PrunePlan, newest_first: Sequence[StateHeader], dropped: frozenset[StateId]) -> Sequence[StateHeader]:
    """Those that the plan drops and that are not marked yet, the oldest first. Raises DropStopped."""
    known = {header.id: header for header in newest_first}
    if missing := [state for state in plan.dropped if state not in known]:
        raise DropStopped(f"state {missing[0][:12]}, which the plan drops, is not in the ledger; nothing was dropped")
    left = (known[state] for state in plan.dropped if state not in dropped)
    return sorted(left, key=lambda header: header.generation)


def _present(
    plan: PrunePlan,
    repository: Repository,
    headers: Sequence[StateHeader],
    dropped: frozenset[StateId],
    ports: DropPorts,
    now: datetime,
) -> Present:
    holds = ports.holds.of(repository.repository).states
    kept = [header for header in headers if header.id not in dropped]
    judged = list(with_verdicts(kept, ports.verdicts.verdicts(repository.repository)))
    fates = decide_fates(
        [JudgedState.of(header, verdicts) for header, verdicts in judged],
        holds,
        repository.retention,
        repository.grace_days,
        now,
    )
    newer = [header for header in kept if header.generation > plan.generation]
    return Present(
        headers=[header for header in headers if header.generation >= plan.generation],
        kept={fate.state.id: fate.state.generation for fate in fates if fate.kept},
        holds=holds,
        # Nobody can turn Object Lock off. Whether somebody turned it on, apply looks up before it deletes.
        rules=PruneRules.of(repository, object_lock=plan.rules.object_lock),
        retention=repository.retention,
        verdicts=_since(plan, judged),
        named_again=list(_named_again(plan, headers, newer, ports)),
        now=now,
    )


def _since(plan: PrunePlan, judged: Iterable[tuple[StateHeader, Sequence[Verdict]]]) -> tuple[Verdict, ...]:
    return tuple(each for header, verdicts in judged if header.generation >= plan.generation for each in verdicts)


def _named_again(
    plan: PrunePlan, headers: Sequence[StateHeader], newer: Sequence[StateHeader], ports: DropPorts
) -> Iterator[PlannedEntry]:
    """What newer states name of what is planned; the batches are read only where one could."""
    own = {header.manifest_root for header in headers if header.id == plan.state}
    # Nothing is planned that the plan's own state names.
    changed = [header for header in newer if header.manifest_root not in own]
    if not changed:
        return iter(())
    pinned = PinnedVersions(changed, StoredNames(ports.ledger))
    return still_named(_planned_versions(plan, ports.stored), pinned)


def _planned_versions(plan: PrunePlan, stored: RecordReader) -> Iterator[PlannedEntry]:
    """Every version that is planned, in key order. Of markers, no state names any."""

    def read(batch: PruneBatch) -> tuple[PlannedEntry, ...]:
        return read_batch(stored, plan, batch.number)

    batches = plan.of_phase(Phase.VERSIONS)
    with ThreadPoolExecutor(THREADS) as threads:
        for first in range(0, len(batches), THREADS):
            for entries in threads.map(read, batches[first : first + THREADS]):
                yield from entries


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="drop-states")
metrics = Metrics(namespace="RWM", service="drop-states")


@dataclass(frozen=True, slots=True)
class DropFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: DropPorts

    def on_request(self, event: object) -> dict[str, Any]:
        """Drop for the workflow. Raises PruneRefused, DropStopped, NotApproved, PlanMismatch."""
        request = PlanRequest.read(event)
        repository = self.configuration.deployed(request.repository, PruneRefused, "nothing was dropped")
        marked = drop_states(repository, request, self.ports)
        logger.info(
            "states dropped",
            extra={
                "repository": repository.name,
                "execution": request.execution,
                "plan": request.plan,
                "dropped": marked.dropped,
                "already": marked.already,
            },
        )
        metrics.add_dimension(name="repository", value=repository.name)
        metrics.add_metric(name="StatesDropped", unit=MetricUnit.Count, value=marked.dropped)
        metrics.flush_metrics()
        return {"dropped": marked.dropped, "already": marked.already}


@cache
def _function() -> DropFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = DropPorts(
        now=S3BucketConfiguration(s3, environment.records).now,
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        dropper=DynamoStateDropper(dynamodb, environment.ledger, environment.operations),
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
        shelf=DynamoPlanShelf(dynamodb, environment.operations),
        approvals=DynamoApprovals(dynamodb, environment.operations),
        lease=DynamoLeaseReader(dynamodb, environment.operations),
        holds=DynamoHolds(dynamodb, environment.operations),
        stored=S3RecordReader(s3, environment.records),
    )
    return DropFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """`{"repository", "execution", "plan": its digest, "plan_version"}` -> `{"dropped", "already"}`, states. Raises
    PruneRefused, DropStopped, NotApproved, PlanMismatch."""
    try:
        return _function().on_request(event)
    except (DropStopped, NotApproved, PlanMismatch, PruneRefused) as error:
        logger.error("no state was dropped", extra={"why": str(error)})  # noqa: TRY400 - the workflow shows the error
        raise
