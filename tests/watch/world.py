"""A deployment that is watched, in memory: what the steps wrote, and what people were told."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, Digest, RepositoryName
from functions.domain.verdict import NEWEST_SNAPSHOT, CheckLevel, Judged
from functions.watch.watch import Watched, WatchPorts, watch
from tests.builders import NOON, listing, named, pack, version
from tests.cuts import take_cut
from tests.domain.judging import ALPHA, judge
from tests.fakes.drills import FakeDrills
from tests.fakes.faults import Hook
from tests.fakes.ledger import FakeLedger
from tests.fakes.locks import FakeLockReports
from tests.fakes.operations import FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals, FakePlanShelf
from tests.fakes.watch import (
    FakeAwsClock,
    FakeDeadLetters,
    FakeNewestPosture,
    FakePruneExecutions,
    FakeWatchLog,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def a_repository(name: str = "alpha", **settings: Any) -> Repository:
    return Repository(name=name, bucket=f"backups-of-{name}", **settings)


@dataclass(slots=True)
class World:
    """Time stands still until it is moved."""

    repositories: tuple[Repository, ...] = (a_repository(),)
    clock: FakeAwsClock = field(default_factory=lambda: FakeAwsClock(NOON))
    ledger: FakeLedger = field(default_factory=FakeLedger)
    verdicts: FakeVerdicts = field(default_factory=FakeVerdicts)
    posture: FakeNewestPosture = field(default_factory=FakeNewestPosture)
    plans: FakePlanShelf = field(default_factory=FakePlanShelf)
    approvals: FakeApprovals = field(default_factory=FakeApprovals)
    prunes: FakePruneExecutions = field(default_factory=FakePruneExecutions)
    drills: FakeDrills = field(default_factory=FakeDrills)
    locks: FakeLockReports = field(default_factory=FakeLockReports)
    dead_letters: FakeDeadLetters = field(default_factory=FakeDeadLetters)
    log: FakeWatchLog = field(default_factory=FakeWatchLog)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    looks: list[Watched] = field(default_factory=list)

    @property
    def ports(self) -> WatchPorts:
        return WatchPorts(
            clock=self.clock,
            ledger=self.ledger,
            verdicts=self.verdicts,
            posture=self.posture,
            plans=self.plans,
            approvals=self.approvals,
            prunes=self.prunes,
            drills=self.drills,
            locks=self.locks,
            dead_letters=self.dead_letters,
            log=self.log,
            notifier=self.notifier,
        )

    def hook(self, hook: Hook) -> None:
        """Around every call of the watch."""
        for port in (
            *(self.clock, self.ledger, self.verdicts, self.posture, self.plans, self.approvals, self.prunes),
            *(self.drills, self.locks, self.dead_letters, self.log, self.notifier),
        ):
            port.hook = hook

    def look(self) -> list[str]:
        """One run of the watch: the subjects that were told."""
        before = len(self.notifier.notices)
        watch(self.repositories, self.ports, self.looks.append)
        return self.notifier.subjects[before:]

    def record(
        self,
        name: RepositoryName = ALPHA,
        *,
        cut: datetime | None = None,
        snapshot: datetime | None = None,
        has_snapshot: bool = True,
        known: bool = True,
        **cause: Any,
    ) -> StateHeader:
        """A state of now, or of `cut`, with a verdict that says when the newest snapshot was written: at `snapshot`, or
        just before the cut. `known`: it says so, as of a state that was recorded by a version which tells it."""
        when = cut or self.clock.at
        head = self.ledger.head(name)
        parent = self.ledger.header(name, head.generation) if head else None
        entries = [version("config"), version(pack("a pack"))]
        if has_snapshot:
            entries.append(version(named("snapshots", "a snapshot")))
        header = describe(
            take_cut(listing(*entries), when),
            repository=name,
            parent=parent,
            own_chunks=ChunkSet(attempt=AttemptId(f"attempt-{when:%s}"), count=1, digest=Digest("0" * 64)),
            recorded_at=when + timedelta(seconds=3),
            cause=Cause.model_validate({"reason": "schedule", **cause}),
        )
        assert (FileType.SNAPSHOT in header.by_type) is has_snapshot
        self.ledger.keep(header)
        figures = {NEWEST_SNAPSHOT: int((snapshot or when).timestamp())} if has_snapshot and known else {}
        self.verdict(header, figures=figures)
        return header

    def verdict(
        self,
        header: StateHeader,
        *found: Any,
        level: CheckLevel = CheckLevel.CONSISTENT,
        told: bool = True,
        figures: dict[str, int] | None = None,
    ) -> Judged:
        """What a check, or record, said of a state at this time."""
        judged = judge(header, *found, level=level)
        verdict = judged.verdict.model_copy(
            update={"judged_at": max(self.clock.at, header.recorded_at), "figures": figures or {}}
        )
        judged = replace(judged, verdict=verdict)
        if not told:
            judged = judged.untold(verdict.findings)
        self.verdicts.append(judged)
        return judged
