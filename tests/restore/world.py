"""A protected repository with states, a target and the records bucket, all in memory, and the three steps over them.

Each step runs as a principal of its own with the permissions of its role and no others.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.domain import chunks
from functions.domain.cut import QUIET
from functions.domain.locks.rules import lock_until
from functions.domain.ports import VersionCopier
from functions.domain.repositories import Configuration
from functions.domain.restore.forecast import Forecast
from functions.domain.restore.plan import RestorePlan, Wishes, read_batch, read_plan
from functions.domain.restore.proof import BatchResult
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName
from functions.restore.announce import announce
from functions.restore.copy import CopyRequest, copy_batch, locked_until, read_announced, try_target
from functions.restore.end import EndRequest, end_restore
from functions.restore.plan import AS_IT_IS, WrittenPlan, draw, foresee_restore, plan_restore
from functions.restore.settling import Locking, ObjectCopier, Rounds
from functions.restore.verify import verify_restore
from tests.cuts import take_cut
from tests.fakes.faults import Call, Crash, Hook, Moment
from tests.fakes.holds import FakeHolds
from tests.fakes.ledger import FakeLedger, FakeReportLog
from tests.fakes.locks import FakeRetentions
from tests.fakes.ports import (
    FakePinnedReader,
    FakeRecordReader,
    FakeRecordWriter,
    FakeTargetFacts,
    FakeTargetLister,
    FakeTargetReader,
    FakeThawedReader,
    FakeThawer,
    FakeVersionCopier,
    FakeVersionLister,
)
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import S3Error
from tests.strands import packed

REPOSITORY = RepositoryName("beta")
PROTECTED = "protected"
TARGET = "rwm-restore-here"
RECORDS = "records"
PREFIX = "restic/beta"
EXECUTION = "tuesday"

CONFIGURATION = Configuration.model_validate(
    {
        "repositories": [
            {"name": "beta", "bucket": PROTECTED, "prefix": PREFIX},
            {"name": "gamma", "bucket": "elsewhere"},
        ]
    }
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def a_pack(content: bytes) -> str:
    """The key of a pack with these bytes."""
    return f"data/{sha256(content)[:2]}/{sha256(content)}"


def a_backup(packs: int = 3) -> dict[str, bytes]:
    """What a small restic repository holds, by key."""
    contents = [f"pack {number}".encode() for number in range(packs)]
    flat = {
        f"{folder}/{sha256(content)}": content
        for folder, content in (("keys", b"a key"), ("index", b"an index"), ("snapshots", b"a snapshot"))
    }
    return {"config": b"the config", **{a_pack(content): content for content in contents}, **flat}


@dataclass(slots=True)
class DieAt:
    """A hook: at the `at`-th call, on one side of its effect, the process dies and makes no further call."""

    at: int
    moment: Moment
    dead: bool = False
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call) -> None:
        with self._lock:
            if call.moment is self.moment:
                self.calls += 1
            self.dead = self.dead or (call.moment is self.moment and self.calls == self.at)
        if self.dead:
            raise Crash(f"{call.moment} {call.operation} of {call.resource}")


@dataclass(slots=True)
class Copies:
    """A hook that remembers the keys that were copied."""

    keys: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        if call.operation == "CopyObject" and call.moment is Moment.AFTER:
            self.keys.append(call.resource)


class World:
    """One repository of one deployment, and a target."""

    def __init__(self, *, prefix: str = PREFIX, target_prefix: str = "") -> None:
        self.s3 = FakeS3()
        for bucket in (PROTECTED, TARGET, RECORDS):
            self.s3.create_bucket(bucket, object_lock=True)
        self.ledger = FakeLedger()
        self.holds = FakeHolds(self.ledger)
        self.reports = FakeReportLog()
        self.restore_pauses: list[float] = []
        """Seconds that copies waited before they tried again."""
        self.source = Location(bucket=PROTECTED, prefix=prefix)
        self.target = Location(bucket=TARGET, prefix=target_prefix)
        self._permit()

    def _permit(self) -> None:
        allow = self.s3.access.allow
        look = ["s3:ListBucket", "s3:GetObject"]
        pinned = ["s3:GetObject", "s3:GetObjectVersion"]
        allow("plan-restore", look, TARGET)
        allow("plan-restore", ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)
        allow("plan-restore", ["s3:PutObject"], RECORDS, "restores/")
        allow("copy-batch", ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)
        allow("copy-batch", ["s3:RestoreObject"], PROTECTED)
        allow("copy-batch", [*look, "s3:PutObject", "s3:PutObjectRetention", "s3:GetObjectRetention"], TARGET)
        allow("copy-batch", ["s3:GetBucketObjectLockConfiguration"], TARGET)
        allow("copy-batch", pinned, RECORDS, "restores/")
        allow("copy-batch", ["s3:PutObject"], RECORDS, "restores/")
        allow("verify-restore", ["s3:ListBucket"], TARGET)
        allow("verify-restore", [*pinned, "s3:PutObject"], RECORDS, "restores/")
        # For S3 to say "not there" of a missing result, and not "denied"; the fake compares no prefix here.
        allow("verify-restore", ["s3:ListBucket"], RECORDS)

    # --- the repository --------------------------------------------------------------------------------

    def back_up(self, objects: Mapping[str, bytes]) -> None:
        for key, content in objects.items():
            self.s3.put(PROTECTED, self.source.key_prefix + key, content)

    def record(self) -> StateHeader:
        """Record the repository as it is now, and let time pass."""
        at = self.s3.clock.second()
        self.s3.clock.advance(QUIET * 2)
        cut = take_cut(FakeVersionLister(self.s3, PROTECTED, self.source.key_prefix).versions(), at)
        head = self.ledger.head(REPOSITORY)
        parent = self.ledger.header(REPOSITORY, head.generation) if head else None
        attempt = AttemptId(f"attempt-{head.generation + 1 if head else 1}")
        encoded, delta = packed(self.ledger, parent, cut.versions)
        header = describe(
            cut,
            repository=REPOSITORY,
            parent=parent,
            own_chunks=ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded)),
            recorded_at=self.s3.clock.second(),
            cause=Cause(reason="operator"),
            delta=delta,
        )
        now = self.s3.clock.second()
        self.ledger.begin(REPOSITORY, attempt, now, now + QUIET)
        self.ledger.reserve(REPOSITORY, attempt, len(encoded))
        for number, chunk in enumerate(encoded):
            self.ledger.put_chunk(attempt, number, chunk)
        self.ledger.commit(header, attempt, Head.of(parent) if parent else None)
        self.s3.clock.advance(60)
        return header

    # --- the steps -------------------------------------------------------------------------------------

    def plan(
        self,
        state: str,
        *,
        repository: RepositoryName = REPOSITORY,
        execution: str = EXECUTION,
        wishes: Wishes = AS_IT_IS,
    ) -> WrittenPlan:
        me = "plan-restore"
        header = announce(repository, state, execution, self.s3.clock.now(), ledger=self.ledger, announcer=self.holds)
        return plan_restore(
            repository,
            header.id,
            source=self.source,
            target=self.target,
            ledger=self.ledger,
            lister=FakeTargetLister(self.s3, self.target.bucket, self.target.key_prefix, me),
            reader=FakeTargetReader(self.s3, self.target.bucket, self.target.key_prefix, me),
            pinned=FakeThawedReader(FakePinnedReader(self.s3, PROTECTED, self.source.key_prefix, me)),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            wishes=wishes,
        )

    def foresee(self, state: str, wishes: Wishes = AS_IT_IS) -> Forecast:
        """What the dry run says."""
        me = "plan-restore"
        drawn = draw(
            REPOSITORY,
            state,
            source=self.source,
            target=self.target,
            ledger=self.ledger,
            lister=FakeTargetLister(self.s3, self.target.bucket, self.target.key_prefix, me),
            reader=FakeTargetReader(self.s3, self.target.bucket, self.target.key_prefix, me),
            pinned=FakeThawedReader(FakePinnedReader(self.s3, PROTECTED, self.source.key_prefix, me)),
            wishes=wishes,
        )
        return foresee_restore(drawn)

    def copier(self, plan: RestorePlan | None = None) -> FakeVersionCopier:
        facts = FakeTargetFacts(self.s3, TARGET, "copy-batch")
        until = locked_until(plan, facts, self.s3.clock.now()) if plan else None
        return FakeVersionCopier(
            self.s3, PROTECTED, TARGET, self.source.key_prefix, self.target.key_prefix, "copy-batch", until
        )

    def try_target(self, written: WrittenPlan) -> None:
        plan = self.stored_plan(written)
        versions = read_batch(FakeRecordReader(self.s3, RECORDS, "copy-batch"), plan, 0)
        try_target(versions, self.copier(plan))

    def requests(self, written: WrittenPlan, execution: str = EXECUTION) -> list[CopyRequest]:
        """What the Distributed Map would give to its children."""
        items = json.loads(
            FakeRecordReader(self.s3, RECORDS).get(f"restores/{written.plan}/manifest.json", written.manifest_version)
        )
        given: dict[str, Any] = {
            "plan": written.plan,
            "plan_version": written.plan_version,
            "execution": execution,
        }
        return [CopyRequest.model_validate({**given, "batch": item}) for item in items]

    def copy(self, request: CopyRequest, copier: VersionCopier | None = None) -> BatchResult:
        me, now = "copy-batch", self.s3.clock.now()
        plan, versions = read_announced(request, FakeRecordReader(self.s3, RECORDS, me))
        reader = FakeTargetReader(self.s3, TARGET, self.target.key_prefix, me)
        retentions = FakeRetentions(self.s3, TARGET, self.target.key_prefix, me, most_days=3650)
        days, tier = plan.lock_days, plan.thaw
        return copy_batch(
            plan,
            request.batch.number,
            versions,
            request.execution,
            lister=FakeTargetLister(self.s3, TARGET, self.target.key_prefix, me),
            copier=ObjectCopier(
                pinned=FakeThawedReader(FakePinnedReader(self.s3, PROTECTED, self.source.key_prefix, me)),
                reader=reader,
                copier=copier or self.copier(plan),
                thawer=FakeThawer(self.s3, PROTECTED, self.source.key_prefix, tier, me) if tier else None,
                locking=Locking(now, lock_until(now, days), reader, retentions, retentions) if days else None,
                passes=lambda error: isinstance(error, S3Error) and error.status >= 500,
            ),
            records=FakeRecordWriter(self.s3, RECORDS, me),
            rounds=Rounds(pause=self.restore_pauses.append, chance=lambda: 0.5),
        )

    def verify(self, written: WrittenPlan, execution: str = EXECUTION) -> RestoreReport:
        me = "verify-restore"
        stored = FakeRecordReader(self.s3, RECORDS, me)
        return verify_restore(
            read_plan(stored, written.plan, written.plan_version),
            execution,
            self.s3.clock.now(),
            lister=FakeTargetLister(self.s3, TARGET, self.target.key_prefix, me),
            stored=stored,
            records=FakeRecordWriter(self.s3, RECORDS, me),
            reports=self.reports,
        )

    def restore(
        self,
        state: str,
        *,
        execution: str = EXECUTION,
        copier: VersionCopier | None = None,
        wishes: Wishes = AS_IT_IS,
    ) -> RestoreReport:
        """All steps, as the workflow runs them."""
        written = self.plan(state, execution=execution, wishes=wishes)
        self.try_target(written)
        for request in self.requests(written, execution):
            self.copy(request, copier)
        report = self.verify(written, execution)
        self.end(execution)
        return report

    def end(self, execution: str = EXECUTION) -> None:
        end_restore(EndRequest(repository=REPOSITORY, execution=execution), self.holds)

    # --- looking ---------------------------------------------------------------------------------------

    def watch(self, hook: Hook) -> None:
        """Let `hook` see every call to S3, to the ledger, to what is announced and to the report log."""
        self.s3.hook = self.ledger.hook = self.holds.hook = self.reports.hook = hook

    def restored(self) -> dict[str, bytes]:
        """The target's current objects, by key."""
        return dict(self._current(TARGET, self.target.key_prefix))

    def _current(self, bucket: str, key_prefix: str) -> Iterator[tuple[str, bytes]]:
        for entry in self.s3.everything(bucket):
            version = entry.version
            if entry.is_latest and not version.is_delete_marker and version.key.startswith(key_prefix):
                yield version.key[len(key_prefix) :], version.body

    def writes_in(self, bucket: str) -> int:
        """How many versions and markers the bucket holds: as many as were ever written, nothing being deleted."""
        return len(self.s3.everything(bucket))

    def stored_plan(self, written: WrittenPlan) -> RestorePlan:
        return read_plan(FakeRecordReader(self.s3, RECORDS), written.plan, written.plan_version)


@dataclass(frozen=True, slots=True)
class BadCopier:
    """A VersionCopier that writes other bytes of the same size under one key."""

    world: World
    key: str
    hashes: bool
    """Whether S3 gives a checksum of what it wrote."""

    def copy(self, version: ObjectVersion) -> Digest | None:
        if version.key != self.key:
            return self.world.copier().copy(version)
        garbage = b"?" * version.size
        self.world.s3.put(TARGET, self.world.target.key_prefix + version.key, garbage)
        return Digest(sha256(garbage)) if self.hashes else None


@dataclass(frozen=True, slots=True)
class UnhashedCopier:
    """A VersionCopier on an S3 that computes no checksums."""

    world: World

    def copy(self, version: ObjectVersion) -> Digest | None:
        source = self.world.s3.get(PROTECTED, self.world.source.key_prefix + version.key, version.version_id)
        self.world.s3.put(TARGET, self.world.target.key_prefix + version.key, source.body)
        return None
