"""Applies one batch of a prune plan: the only step that destroys anything. A child of the Distributed Map.

gather: the plan by version id and digest, what was decided on it, lease and holds, S3's clock, the chain of states and
their verdicts, what every state that is kept now names of the batch's keys, and their full histories  ->  decide: is
the plan still valid, and which entries do the rules still let go  ->  apply: delete exactly those, list the keys again,
and write down what is gone and what stays.

Permissions of `rwm-apply-prune`, and why:
- s3:DeleteObjectVersion in the repositories: this is the one role that has it. s3:BypassGovernanceRetention only in
  those with `bypass_governance`.
- s3:ListBucketVersions, s3:ListBucketMultipartUploads there: full histories of the batch's keys, pending uploads.
- s3:GetBucketVersioning, s3:GetBucketObjectLockConfiguration there: S3's clock, and the rules as they are now.
- s3:GetObject, s3:GetObjectVersion on `prunes/*` of the records bucket: the plan and the batch, pinned.
- s3:PutObject on `prunes/*/results/*`: what became of the batch.
- dynamodb:GetItem, dynamodb:Query on the ledger: the chain, which states are dropped, and the chunks of the others.
- dynamodb:GetItem, dynamodb:Query on operations: shelf, approval, lease, holds, restores under way, verdicts. It may
  write to neither table: it can neither plan, nor approve, nor drop a state, nor take the lease.

Security rules:
- Nothing is believed for being in the request: the plan has to have the digest that was approved, and the batch the
  one that the plan names.
- Whatever cannot be read stops the batch before its first call. Nothing is deleted on a guess.
- Token and holds are read again directly before each call, and a call takes few entries: a restore that begins, a
  state that is held, or a lease that was lost stops the next one.
- What S3 answers is a hint; a listing after the calls decides what is gone.
- Governance is bypassed only where the repository says so, only for what S3 refused without, and S3 lets it pass
  for governance alone.

Killed at any point and run again, it deletes what is left, and says the same.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem
from functions.domain.key_history import KeyHistory
from functions.domain.ports import (
    ApprovalReader,
    BucketConfiguration,
    Holds,
    KeyHistories,
    LeaseReader,
    LedgerReader,
    PendingUploads,
    PlanReader,
    RecordReader,
    RecordWriter,
    VerdictReader,
    VersionDeleter,
)
from functions.domain.prune.approval import NotApproved
from functions.domain.prune.approved import PlanRequest, read_approved
from functions.domain.prune.confirm import Confirmed, confirm, confirm_markers
from functions.domain.prune.deleting import Answer, DeleteOutcome, Doomed, Refusal
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.histories import is_flooded
from functions.domain.prune.kept_states import read_kept
from functions.domain.prune.lookup import Proofs, StateLookup
from functions.domain.prune.plan import (
    Phase,
    PlanMismatch,
    PruneBatch,
    PrunePlan,
    read_batch,
    result_file,
)
from functions.domain.prune.results import LONGEST_WORDS, Applied, BatchResult, BatchStopped, result_of, stopped_file
from functions.domain.prune.rules import PruneRules
from functions.domain.prune.validity import Present, why_invalid
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, Versioning
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.deleter import S3PendingUploads, S3VersionDeleter
from functions.storage.holds import DynamoHolds, DynamoLeaseReader
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.listing import S3KeyHistories
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.verdicts import DynamoVerdictReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 8
CALL_ENTRIES = 125
"""Of one call. S3 works through the entries of a call one after the other, and a stop counts from the next call on."""
LISTED_TOGETHER = 250
"""Keys that one listing looks for, at least. A page has a thousand entries: cut finer, several listings would read the
same pages, at S3's expense and ours."""
ATTEMPTS = 5
"""Of an entry that S3 is too busy for."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds; full jitter below them."""


class PruneStopped(Exception):
    """A batch must not be deleted, or not any further; the message says why. What was deleted before, no kept state
    names.

    The workflow knows it by this name.
    """


class ApplyRequest(PlanRequest):
    """What a child of the Distributed Map is given."""

    phase: Phase
    token: str = Field(min_length=1)
    """Of the lease that this execution took."""
    batch: ManifestItem


@dataclass(frozen=True, slots=True)
class ApplyPorts:
    """All that applying a batch may touch."""

    configuration: BucketConfiguration
    histories: KeyHistories
    uploads: PendingUploads
    deleter: VersionDeleter
    ledger: LedgerReader
    proofs: Proofs
    verdicts: VerdictReader
    shelf: PlanReader
    approvals: ApprovalReader
    lease: LeaseReader
    holds: Holds
    stored: RecordReader
    records: RecordWriter
    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = lambda longest: random.uniform(0, longest)  # noqa: S311 - spreads retries
    threads: int = THREADS


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """What became of a batch, and how much of it this run did."""

    result: BatchResult
    deleted: int
    """Entries that were there, and that S3 was asked to delete, and that are not listed any more."""
    bytes: int


def apply_batch(request: ApplyRequest, repository: Repository, ports: ApplyPorts) -> AppliedBatch:
    """Delete of one batch what may still go. Raises PruneStopped, NotApproved, PlanMismatch, which are written down for
    the report, and whatever cannot be read; nothing is deleted after."""
    try:
        return _apply_batch(request, repository, ports)
    except (PruneStopped, NotApproved, PlanMismatch) as stop:
        name, number = repository.repository, request.batch.number
        told = BatchStopped(
            repository=name,
            execution=request.execution,
            plan=request.plan,
            number=number,
            why=str(stop)[:LONGEST_WORDS],
        )
        ports.records.put(stopped_file(name, request.execution, number), told.canonical())
        raise


def _apply_batch(request: ApplyRequest, repository: Repository, ports: ApplyPorts) -> AppliedBatch:
    plan = read_approved(request, repository, ports.stored, ports.shelf, ports.approvals)
    batch, entries = _read_batch(request, plan, ports.stored)
    guard = _Guard(plan, request.token, ports.lease, ports.holds)
    guard.check()
    seen = ports.configuration.versioning()
    if seen.status is not Versioning.ENABLED:
        raise PruneStopped(f"versioning of {repository.bucket} is {seen.status}; nothing was deleted")
    rules = PruneRules.of(repository, object_lock=ports.configuration.object_lock())
    states = _Chain.read(ports.ledger, repository)
    keys = _keys_of(entries)
    if request.phase is Phase.VERSIONS:
        lookup = StateLookup(ports.ledger, ports.proofs, ports.threads)
        newer = lookup.named(states.newer_than(plan), keys)
        named_again = [entry for entry in entries if entry.version_id in newer.named(entry.key)]
        _check_valid(plan, repository, rules, states, named_again, ports, seen.at)
        confirmed = confirm(entries, _list(ports, keys), lookup.named(states.kept, keys), rules, seen.at)
    else:
        _check_valid(plan, repository, rules, states, (), ports, seen.at)
        # Before the versions: what is completed in between is then listed, and what begins later lands on top.
        pending = ports.uploads.keys()
        confirmed = confirm_markers(entries, _list(ports, keys), pending, rules, seen.at)
    bypass = repository.bypass_governance and rules.object_lock
    refusals = _Deleting(ports, guard).delete([_doomed(entry) for entry in confirmed.go], bypass=bypass)
    applied = _look_again(confirmed, refusals, ports)
    result = result_of(plan, batch, applied, seen.at)
    ports.records.put(result_file(plan.repository, plan.execution, batch.number), result.canonical())
    done = [entry for entry in applied.asked if _doomed(entry) not in applied.listed]
    return AppliedBatch(result, len(done), sum(entry.size or 0 for entry in done))


def _read_batch(
    request: ApplyRequest, plan: PrunePlan, stored: RecordReader
) -> tuple[PruneBatch, tuple[PlannedEntry, ...]]:
    """The batch that the request names, proven to be the plan's."""
    entries = read_batch(stored, plan, request.batch.number, request.batch.version_id)
    batch = plan.batches[request.batch.number]
    if (batch.phase, batch.digest) != (request.phase, request.batch.digest):
        raise PlanMismatch(f"batch {batch.number} of the {request.phase} is not the plan's; nothing was deleted of it")
    return batch, entries


@dataclass(frozen=True, slots=True)
class _Guard:
    """What is read again directly before each call."""

    plan: PrunePlan
    token: str
    lease: LeaseReader
    holds: Holds

    def check(self) -> None:
        """Raises PruneStopped unless the lease is this execution's, no restore is under way and the holds are those
        that the plan was drawn with."""
        repository = self.plan.repository
        lease = self.lease.current(repository)
        if lease is None or lease.released or (lease.token, lease.execution) != (self.token, self.plan.execution):
            raise PruneStopped(f"{self.plan.execution} does not have the lease of {repository}; it stopped")
        held = self.holds.of(repository)
        if held.restores:
            raise PruneStopped(f"a restore of {repository} is under way; the prune stopped")
        if held.states != frozenset(self.plan.holds):
            raise PruneStopped(f"a state of {repository} was held or released since the plan was drawn; it stopped")


@dataclass(frozen=True, slots=True)
class _Chain:
    """The states of the repository, the newest first."""

    headers: Sequence[StateHeader]
    kept: Sequence[StateHeader]
    """Those that are not marked dropped now."""

    @classmethod
    def read(cls, ledger: LedgerReader, repository: Repository) -> "_Chain":
        headers, dropped = read_kept(ledger, repository.repository)
        return cls(headers, [header for header in headers if header.id not in dropped])

    def newer_than(self, plan: PrunePlan) -> Sequence[StateHeader]:
        return [header for header in self.kept if header.generation > plan.generation]


def _check_valid(
    plan: PrunePlan,
    repository: Repository,
    rules: PruneRules,
    states: _Chain,
    named_again: Sequence[PlannedEntry],
    ports: ApplyPorts,
    now: datetime,
) -> None:
    """Raises PruneStopped where anything of today speaks against the plan."""
    since = plan.generation
    present = Present(
        headers=[header for header in states.headers if header.generation >= since],
        kept={header.id: header.generation for header in states.kept},
        holds=ports.holds.of(repository.repository).states,
        rules=rules,
        retention=repository.retention,
        verdicts=tuple(
            takewhile(lambda verdict: verdict.generation >= since, ports.verdicts.verdicts(repository.repository))
        ),
        named_again=named_again,
        now=now,
    )
    if reasons := why_invalid(plan, present):
        raise PruneStopped(f"plan {plan.digest[:12]} is not valid any more: {'; '.join(reasons)}; nothing was deleted")


def _list(ports: ApplyPorts, keys: Sequence[ObjectKey]) -> list[KeyHistory]:
    """Every entry of each of `keys` as listed now, in key order; several listings side by side."""
    size = max(LISTED_TOGETHER, -(-len(keys) // ports.threads))
    runs = [keys[start : start + size] for start in range(0, len(keys), size)]
    with ThreadPoolExecutor(ports.threads) as threads:
        return list(chain.from_iterable(threads.map(lambda run: list(ports.histories.of(run)), runs)))


@dataclass(frozen=True, slots=True)
class _Deleting:
    """The calls for one batch, and nothing but the calls."""

    ports: ApplyPorts
    guard: _Guard

    def delete(self, doomed: Sequence[Doomed], *, bypass: bool) -> dict[Doomed, Refusal]:
        """Ask S3 to delete exactly these, and return its last word on each that it refused."""
        refused = self._insist(doomed, bypass=False)
        protected = [entry for entry in doomed if entry in refused and refused[entry].answer is Answer.WAITS]
        if bypass and protected:
            for entry in protected:
                del refused[entry]
            refused |= self._insist(protected, bypass=True)
        return refused

    def _insist(self, doomed: Sequence[Doomed], *, bypass: bool) -> dict[Doomed, Refusal]:
        refused: dict[Doomed, Refusal] = {}
        left = doomed
        for attempt in range(ATTEMPTS):
            if attempt:
                self.ports.pause(self.ports.jitter(min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))
            said = {each.entry: each for outcome in self._call_all(left, bypass) for each in outcome.refused}
            refused = {entry: said for entry, said in refused.items() if entry not in set(left)} | said
            left = [entry for entry in left if entry in said and said[entry].answer is Answer.AGAIN]
            if not left:
                break
        return refused

    def _call_all(self, doomed: Sequence[Doomed], bypass: bool) -> list[DeleteOutcome]:
        runs = [doomed[start : start + CALL_ENTRIES] for start in range(0, len(doomed), CALL_ENTRIES)]
        with ThreadPoolExecutor(self.ports.threads) as threads:
            return list(threads.map(lambda run: self._call(run, bypass), runs))

    def _call(self, run: Sequence[Doomed], bypass: bool) -> DeleteOutcome:
        self.guard.check()
        return self.ports.deleter.delete(run, bypass_governance=bypass)


def _look_again(confirmed: Confirmed, refusals: Mapping[Doomed, Refusal], ports: ApplyPorts) -> Applied:
    """What the batch came to, by a listing after the calls."""
    asked = {_doomed(entry) for entry in confirmed.go}
    listed: set[Doomed] = set()
    for history in _list(ports, _keys_of(confirmed.go)):
        if is_flooded(history):
            # Nobody can see whether they are among the entries that were not kept.
            listed.update(entry for entry in asked if entry.key == history.key)
        listed.update(Doomed(history.key, entry.version_id) for entry in history.entries)
    return Applied(confirmed.go, confirmed.gone, confirmed.left, refusals.values(), asked & listed)


def _keys_of(entries: Sequence[PlannedEntry]) -> list[ObjectKey]:
    return list(dict.fromkeys(entry.key for entry in entries))


def _doomed(entry: PlannedEntry) -> Doomed:
    return Doomed(entry.key, entry.version_id)


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="apply-prune")
metrics = Metrics(namespace="RWM", service="apply-prune")


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was deleted."""


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, Configuration, Proofs]":
    # Once per container; not at import, so that the step can be imported where there is no AWS. What is proven of a
    # state's chunks holds for as long as the state does.
    return boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT), read_bundled(), {}


def _apply(request: ApplyRequest) -> AppliedBatch:
    """Wire the batch that `request` names to its repository, and apply it."""
    s3, dynamodb, configuration, proofs = _clients()
    environment = Environment.read()
    repository = configuration.deployed(request.repository, UnknownRepository, "nothing was deleted")
    bucket, prefix = repository.bucket, repository.key_prefix
    return apply_batch(
        request,
        repository,
        ApplyPorts(
            configuration=S3BucketConfiguration(s3, bucket),
            histories=S3KeyHistories(s3, bucket, prefix),
            uploads=S3PendingUploads(s3, bucket, prefix),
            deleter=S3VersionDeleter(s3, bucket, prefix),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            proofs=proofs,
            verdicts=DynamoVerdictReader(dynamodb, environment.operations),
            shelf=DynamoPlanShelf(dynamodb, environment.operations),
            approvals=DynamoApprovals(dynamodb, environment.operations),
            lease=DynamoLeaseReader(dynamodb, environment.operations),
            holds=DynamoHolds(dynamodb, environment.operations),
            stored=S3RecordReader(s3, environment.records),
            records=S3RecordWriter(s3, environment.records),
        ),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"repository", "execution", "plan", "plan_version", "phase", "token", "batch": one of the phase's manifest}` ->
    counts of the batch."""
    request = ApplyRequest.read(event)
    applied = _apply(request)
    result = applied.result
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="DeletedEntries", unit=MetricUnit.Count, value=applied.deleted)
    metrics.add_metric(name="DeletedBytes", unit=MetricUnit.Bytes, value=applied.bytes)
    counts = {
        "number": result.number,
        "deleted": applied.deleted,
        "bytes": applied.bytes,
        "gone": result.gone.objects,
        "waiting": result.waiting,
        "failed": result.failed,
    }
    logger.info("batch applied", extra={"execution": request.execution, "phase": request.phase, **counts})
    return counts
