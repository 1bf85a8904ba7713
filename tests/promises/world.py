"""Two repositories of one deployment in one bucket, everything of them in memory, and the real steps over it.

Each step runs as a principal of its own with the permissions of its role and no others. A trouble strikes at the n-th
moment of a step, before or after the effect of one of its calls.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Literal

import pytest

from functions.check.consistent import ConsistentPorts
from functions.domain.checking import VerdictPorts
from functions.domain.content.known import Memory
from functions.domain.keeping import DroppedState
from functions.domain.ports import NotTold, NotWoken
from functions.domain.prune import draft
from functions.domain.prune.deleting import DeleteOutcome, Doomed
from functions.domain.prune.lookup import Proofs
from functions.domain.recording import Outcome, Wish
from functions.domain.repositories import Repository
from functions.domain.state import Cause, Head, StateHeader
from functions.domain.values import AttemptId, RepositoryName
from functions.domain.verdict import Verdict
from functions.prune import apply
from functions.prune.apply import ApplyPorts
from functions.prune.approve import ApprovePorts
from functions.prune.ask_approval import AskPorts
from functions.prune.drop_states import DropPorts
from functions.prune.hold import HoldPorts
from functions.prune.lease import LeasePorts
from functions.prune.plan import PlanPorts
from functions.prune.verify import VerifyPorts
from functions.record import answering
from functions.record.record import RecordPorts, record
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeVerifiedSets
from tests.fakes.deleter import FakeKeyHistories, FakePendingUploads, FakePruneReports, FakeVersionDeleter
from tests.fakes.faults import Call, Crash, Moment
from tests.fakes.holds import FakeExecutions, FakeHolds, FakeLease
from tests.fakes.ledger import FakeFindingLog, FakeLedger, FakeReportLog, FakeStateDropper
from tests.fakes.operations import FakeAcknowledgements, FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals, FakePlanShelf, FakeTasks, FakeTokens
from tests.fakes.ports import (
    FakeBucketConfiguration,
    FakeHeadAnchor,
    FakeRecordReader,
    FakeRecordWriter,
    FakeVersionLister,
)
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import InternalError, S3Error, SlowDown
from tests.fakes.s3_model import DefaultRetention, Limits, LockMode

PROTECTED, RECORDS, TARGET = "protected", "records", "rwm-restore-here"
ALPHA, BETA = RepositoryName("alpha"), RepositoryName("beta")
HOST, MAINTENANCE = "host", "maintenance"
WRITES = ("PutObject", "CompleteMultipartUpload", "PutObjectRetention", "PutObjectLegalHold")
CHANGES = frozenset({*WRITES, "DeleteObject"})
SMALL_BATCH, SMALL_CALL = 8, 3
"""Of entries, so that a small plan has several batches, and a batch several calls."""

TroubleKind = Literal["none", "kill", "error", "meanwhile"]


class Throttled(Exception):
    """DynamoDB or Step Functions did not answer."""


class Trouble:
    """What goes wrong in one step: at its `at`-th moment, where each call has two."""

    def __init__(
        self,
        kind: TroubleKind = "none",
        at: int = 0,
        meanwhile: Callable[[], None] = lambda: None,
        during: Collection[str] = (),
    ) -> None:
        """`during`: only moments of these operations count; empty: all of them."""
        self.kind = kind
        self.at = at
        self.meanwhile = meanwhile
        self.during = during
        self.seen = 0
        self.struck = False

    def __call__(self, call: Call) -> None:
        dead = self.kind == "kill" and self.struck
        if self.during and call.operation not in self.during and not dead:
            return
        self.seen += 1
        if self.kind == "kill" and self.seen >= self.at:
            self.struck = True
            # A dead process does nothing more, not even tidying up.
            raise Crash(f"{call.moment} {call.operation}")
        if self.seen != self.at:
            return
        if self.kind == "error":
            self.struck = True
            raise _error_of(call)
        if self.kind == "meanwhile":
            self.struck = True
            self.meanwhile()


def _error_of(call: Call) -> Exception:
    if call.operation == "Publish":
        return NotTold("the topic did not answer")
    if call.operation.startswith("SendTask"):
        return NotWoken("Step Functions did not answer")
    if not call.principal:
        return Throttled(f"{call.moment} {call.operation}")
    if call.operation == "DeleteObjects" or call.moment is Moment.AFTER:
        return InternalError()
    return SlowDown()


TROUBLED = (Crash, Throttled, NotTold, NotWoken, S3Error)
"""What a step that was in trouble ends by, and is run again after."""


class RememberingLedger(FakeLedger):
    """It reads each header's bytes once, which is where the time would go."""

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[tuple[RepositoryName, int], tuple[object, StateHeader]] = {}

    def _header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        stored = self.stored_headers.get((repository, generation))
        known = self._read.get((repository, generation))
        if known is not None and known[0] is stored:
            return known[1]
        header = super()._header(repository, generation)
        if header is not None:
            self._read[repository, generation] = (stored, header)
        return header


class RememberingVerdicts(FakeVerdicts):
    """It reads each verdict's bytes once."""

    def __init__(self) -> None:
        super().__init__()
        self._sorted: dict[RepositoryName, list[Verdict]] = {}
        self._known = 0

    def verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        with self._operation("QueryVerdicts", repository):
            found = self.of(repository)
        yield from found

    def of(self, repository: RepositoryName) -> list[Verdict]:
        """The newest first; no operation."""
        if len(self.stored) != self._known:
            fresh = [Verdict.parse(stored) for stored in list(self.stored.values())[self._known :]]
            self._known = len(self.stored)
            for verdict in fresh:
                of_it = self._sorted.setdefault(verdict.repository, [])
                self._sorted[verdict.repository] = sorted(
                    [*of_it, verdict], key=lambda each: (each.generation, each.judged_at), reverse=True
                )
        return list(self._sorted.get(repository, ()))


@dataclass(slots=True)
class WatchedDeleter:
    """VersionDeleter, with somebody who sees what it is asked before it does it, and what is gone after."""

    inner: FakeVersionDeleter
    before: Callable[[Sequence[Doomed], bool], None]
    after: Callable[[Sequence[Doomed]], None]

    def delete(self, doomed: Sequence[Doomed], *, bypass_governance: bool = False) -> DeleteOutcome:
        self.before(doomed, bypass_governance)
        try:
            return self.inner.delete(doomed, bypass_governance=bypass_governance)
        finally:
            self.after(doomed)


@dataclass(slots=True)
class WatchedDropper:
    """StateDropper, with somebody who sees what it marks."""

    inner: FakeStateDropper
    before: Callable[[Sequence[DroppedState]], None]

    def drop(self, head: Head, marks: Sequence[DroppedState]) -> None:
        self.before(marks)
        self.inner.drop(head, marks)


@dataclass(slots=True)
class Settings:
    """How a world is set up."""

    seed: int = 0
    approval: Literal["hold", "always", "never"] = "hold"
    bypass: bool = False
    adopt: bool = False
    """Whoever may write may also set retention and legal holds."""
    host_may_hide: bool = True
    retention: dict[str, Any] = field(default_factory=lambda: {"keep_within": "2d", "days": 1})
    strict: bool = False
    """Thresholds as they are by default, so that much is a HOLD."""


class World:
    """The fakes, and what each step is given of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = FakeClock()
        self.s3 = FakeS3(self.clock, seed=settings.seed, limits=Limits(part_bytes=0))
        for bucket in (PROTECTED, RECORDS, TARGET):
            self.s3.create_bucket(bucket, object_lock=True)
        self.s3.put_lock_configuration(PROTECTED, DefaultRetention(LockMode.GOVERNANCE, 1))
        self.repositories = {name: _repository(name, settings) for name in (ALPHA, BETA)}
        self.ledger = RememberingLedger()
        self.verdicts = RememberingVerdicts()
        self.findings = FakeFindingLog()
        self.acknowledgements = FakeAcknowledgements()
        self.notifier = FakeNotifier()
        self.sets = FakeVerifiedSets()
        self.holds = FakeHolds(self.ledger)
        self.lease = FakeLease()
        self.executions = FakeExecutions()
        self.restore_executions = FakeExecutions()
        self.shelf = FakePlanShelf()
        self.approvals = FakeApprovals()
        self.tokens = FakeTokens()
        self.tasks = FakeTasks()
        self.prune_reports = FakePruneReports()
        self.restore_reports = FakeReportLog()
        self.dropper = FakeStateDropper(self.ledger, self.holds, self.lease)
        self.proofs: Proofs = {}
        self.attempts = count()
        self.trouble = Trouble()
        self.seen: Callable[[Call], None] = lambda _: None
        """Sees each call before a trouble does."""
        self._permit()
        for fake in (self.s3, *self._tables()):
            fake.hook = self._hook

    def _tables(self) -> Sequence[Any]:
        return (
            self.ledger,
            self.verdicts,
            self.findings,
            self.acknowledgements,
            self.notifier,
            self.sets,
            self.holds,
            self.lease,
            self.executions,
            self.restore_executions,
            self.shelf,
            self.approvals,
            self.tokens,
            self.tasks,
            self.prune_reports,
            self.restore_reports,
            self.dropper,
        )

    def _permit(self) -> None:
        allow = self.s3.access.allow
        look = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:ListBucketVersions"]
        write = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:AbortMultipartUpload"]
        pinned = ["s3:GetObject", "s3:GetObjectVersion"]
        hides = ["s3:DeleteObject"]
        for name, repository in self.repositories.items():
            host = f"{HOST}-{name}"
            allow(host, write, PROTECTED, repository.key_prefix)
            allow(host, hides, PROTECTED, repository.key_prefix + ("" if repository.host_may_hide else "locks/"))
            if self.settings.adopt:
                allow(host, ["s3:PutObjectRetention", "s3:PutObjectLegalHold"], PROTECTED, repository.key_prefix)
        allow(MAINTENANCE, [*write, *hides], PROTECTED)
        for role in ("record", "check", "plan-prune"):
            allow(role, look, PROTECTED)
        allow("record", ["s3:PutObject"], RECORDS, "heads/")
        allow("plan-prune", ["s3:PutObject"], RECORDS, "prunes/")
        allow("approve", ["s3:GetBucketVersioning"], RECORDS)
        allow("drop-states", ["s3:GetBucketVersioning"], RECORDS)
        allow("drop-states", pinned, RECORDS, "prunes/")
        allow("apply-prune", ["s3:DeleteObjectVersion", "s3:ListBucketMultipartUploads", *look], PROTECTED)
        if self.settings.bypass:
            allow("apply-prune", ["s3:BypassGovernanceRetention"], PROTECTED)
        allow("apply-prune", [*pinned, "s3:PutObject"], RECORDS, "prunes/")
        allow("verify-prune", ["s3:GetBucketVersioning", "s3:ListBucketVersions"], PROTECTED)
        allow("verify-prune", [*pinned, "s3:PutObject"], RECORDS, "prunes/")
        allow("verify-prune", ["s3:ListBucket"], RECORDS)
        allow("plan-restore", ["s3:ListBucket", "s3:GetObject"], TARGET)
        allow("plan-restore", ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)
        allow("plan-restore", ["s3:PutObject"], RECORDS, "restores/")
        allow("copy-batch", ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)
        allow("copy-batch", ["s3:ListBucket", "s3:GetObject", "s3:PutObject"], TARGET)
        allow("copy-batch", [*pinned, "s3:PutObject"], RECORDS, "restores/")
        allow("verify-restore", ["s3:ListBucket"], TARGET)
        allow("verify-restore", [*pinned, "s3:PutObject"], RECORDS, "restores/")
        allow("verify-restore", ["s3:ListBucket"], RECORDS)

    # --- trouble ---------------------------------------------------------------------------------------

    def _hook(self, call: Call) -> None:
        self.seen(call)
        self.trouble(call)

    @contextmanager
    def in_trouble(self, trouble: Trouble) -> Iterator[None]:
        before, self.trouble = self.trouble, trouble
        try:
            yield
        finally:
            self.trouble = before

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While the model looks, or somebody else acts: no trouble, and nobody watches."""
        trouble, self.trouble = self.trouble, Trouble()
        seen, self.seen = self.seen, lambda _: None
        try:
            yield
        finally:
            self.trouble, self.seen = trouble, seen

    def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # --- what each step is given -----------------------------------------------------------------------

    def _verdict_ports(self) -> VerdictPorts:
        return VerdictPorts(self.verdicts, self.acknowledgements, self.notifier, self.verdicts)

    def record(self, repository: Repository, wish: Wish) -> Outcome:
        me = "record"
        ports = RecordPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED, me),
            lister=FakeVersionLister(self.s3, PROTECTED, repository.key_prefix, me),
            ledger=self.ledger,
            anchor=FakeHeadAnchor(self.s3, RECORDS, me),
            findings=self.findings,
            memory=Memory(self.sets, self.ledger),
            approvals=self.approvals,
            verdict=self._verdict_ports(),
            pause=self.pause,
            new_attempt=lambda: AttemptId(f"attempt-{next(self.attempts)}"),
        )
        return record(repository, wish, ports)

    def scheduled(self, repository: Repository) -> Outcome:
        return self.record(repository, Wish(Cause(reason="schedule")))

    def consistent_ports(self, repository: Repository) -> ConsistentPorts:
        return ConsistentPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED, "check"),
            lister=FakeVersionLister(self.s3, PROTECTED, repository.key_prefix, "check"),
            ledger=self.ledger,
            memory=Memory(self.sets, self.ledger),
            approvals=self.approvals,
            verdict=self._verdict_ports(),
        )

    def plan_ports(self, repository: Repository) -> PlanPorts:
        me = "plan-prune"
        return PlanPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED, me),
            lister=FakeVersionLister(self.s3, PROTECTED, repository.key_prefix, me),
            ledger=self.ledger,
            verdicts=self.verdicts,
            holds=self.holds,
            approvals=self.approvals,
            records=FakeRecordWriter(self.s3, RECORDS, me),
            shelf=self.shelf,
        )

    def ask_ports(self) -> AskPorts:
        return AskPorts(self.shelf, self.approvals, self.tokens, self.tasks, self.notifier)

    def approve_ports(self) -> ApprovePorts:
        clock = FakeBucketConfiguration(self.s3, RECORDS, "approve")
        return ApprovePorts(self.shelf, self.approvals, self.tokens, self.tasks, clock)

    def hold_ports(self) -> HoldPorts:
        return HoldPorts(self.ledger, self.holds)

    def lease_ports(self) -> LeasePorts:
        return LeasePorts(self.lease, self.executions, self.holds, self.restore_executions)

    def drop_ports(self, before: Callable[[Sequence[DroppedState]], None]) -> DropPorts:
        me = "drop-states"
        return DropPorts(
            now=FakeBucketConfiguration(self.s3, RECORDS, me).now,
            ledger=self.ledger,
            dropper=WatchedDropper(self.dropper, before),
            verdicts=self.verdicts,
            shelf=self.shelf,
            approvals=self.approvals,
            lease=self.lease,
            holds=self.holds,
            stored=FakeRecordReader(self.s3, RECORDS, me),
        )

    def apply_ports(
        self,
        repository: Repository,
        refusals: dict[str, Callable[[], S3Error | None]],
        before: Callable[[Sequence[Doomed], bool], None],
        after: Callable[[Sequence[Doomed]], None],
    ) -> ApplyPorts:
        me, prefix = "apply-prune", repository.key_prefix
        return ApplyPorts(
            configuration=FakeBucketConfiguration(self.s3, PROTECTED, me),
            histories=FakeKeyHistories(self.s3, PROTECTED, prefix, me),
            uploads=FakePendingUploads(self.s3, PROTECTED, prefix, me),
            deleter=WatchedDeleter(FakeVersionDeleter(self.s3, PROTECTED, prefix, me, errors=refusals), before, after),
            ledger=self.ledger,
            proofs=self.proofs,
            verdicts=self.verdicts,
            shelf=self.shelf,
            approvals=self.approvals,
            lease=self.lease,
            holds=self.holds,
            stored=FakeRecordReader(self.s3, RECORDS, me),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            pause=self.pause,
            jitter=lambda longest: longest,
            threads=1,
        )

    def verify_ports(self, repository: Repository) -> VerifyPorts:
        me = "verify-prune"
        return VerifyPorts(
            configuration=FakeBucketConfiguration(self.s3, PROTECTED, me),
            lister=FakeVersionLister(self.s3, PROTECTED, repository.key_prefix, me),
            ledger=self.ledger,
            stored=FakeRecordReader(self.s3, RECORDS, me),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            notifier=self.notifier,
            reports=self.prune_reports,
        )


def _repository(name: RepositoryName, settings: Settings) -> Repository:
    lenient = {"snapshots_lost": 1.0, "data_lost": 1.0, "old_data_surviving": 0.0, "growth": 1000.0, "prune_frees": 1.0}
    return Repository.model_validate(
        {
            "name": name,
            "bucket": PROTECTED,
            "prefix": f"restic/{name}",
            "adopt": settings.adopt,
            "maintenance": "create",
            "host_may_hide": settings.host_may_hide,
            "grace_days": "2d",
            "lock_days": 1,
            "retention": settings.retention,
            "bypass_governance": settings.bypass,
            "min_interval": "1m",
            "approval": settings.approval,
            "minimum_snapshot_age": "1h",
            "thresholds": {} if settings.strict else lenient,
        }
    )


GRACE = timedelta(days=2)
LOCKS_GRACE = timedelta(days=1)


@contextmanager
def to_scale() -> Iterator[None]:
    """Small plans have several batches, of several calls each; and what runs in threads, runs one after the other, so
    that the same choices always lead to the same end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft, "BATCH_ENTRIES", SMALL_BATCH)
        patch.setattr(apply, "CALL_ENTRIES", SMALL_CALL)
        patch.setattr(ThreadPoolExecutor, "submit", _at_once)
        # What it logs and counts; of ten thousand steps, nobody reads it.
        patch.setattr(answering, "tell", _unsaid)
        patch.setattr(answering.logger, "warning", _unsaid)
        yield


def _unsaid(*_: Any, **__: Any) -> None:
    pass


def _at_once(_: ThreadPoolExecutor, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
    done: Future[Any] = Future()
    try:
        done.set_result(call(*arguments, **named))
    except BaseException as error:  # noqa: BLE001 - a thread hands on whatever its work ended by
        done.set_exception(error)
    return done
