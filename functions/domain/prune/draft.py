"""Drawing a plan while listing and kept states stream by.

Each batch leaves as soon as it is full, so that memory does not grow with what is planned, and ten million versions
need none to speak of.

Security rules:
- There is a plan only once every kept state was read to its end and proved itself, and the listing was, too.
- All entries of a key are in one batch of each phase, in the order of the listing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from functions.domain.key_history import KeyHistory
from functions.domain.prune.entries import PlannedEntry, batch_digest, encode_batch
from functions.domain.prune.histories import Histories, is_flooded
from functions.domain.prune.pins import PinnedVersions
from functions.domain.prune.plan import Phase, PruneBatch, PrunePlan, Total, Waiting
from functions.domain.prune.rules import Decision, PruneRules, Reason, Waits, decide_key
from functions.domain.repositories import Retention
from functions.domain.restic import FileType, file_type, is_under_locks
from functions.domain.state import Head, StateHeader
from functions.domain.values import DeleteMarker, ObjectVersion, StateId
from functions.domain.verdict import Outcome, SeenFinding

BATCH_ENTRIES = 1_000
"""What one DeleteObjects takes."""


class PlanUnsound(Exception):
    """No plan can be made of what was gathered; nothing was planned."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A full batch, ready to be written: its place in the plan, and the bytes of its file."""

    planned: PruneBatch
    content: bytes


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan is drawn from."""

    fresh: StateHeader
    execution: str
    drawn_at: datetime
    """S3's clock."""
    rules: PruneRules
    retention: Retention
    dropped: frozenset[StateId]
    holds: frozenset[StateId]
    check: Outcome


@dataclass(slots=True)
class _Sum:
    entries: int = 0
    bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None


class Draft:
    """A plan in the making. `batches` once, to the end; then `plan`."""

    def __init__(self, basis: Basis, histories: Histories, pinned: PinnedVersions) -> None:
        self._basis = basis
        self._histories = histories
        self._pinned = pinned
        self._done: list[PruneBatch] = []
        self._open: dict[Phase, list[PlannedEntry]] = {phase: [] for phase in Phase}
        self._going: dict[tuple[Reason, FileType], _Sum] = {}
        self._waiting: dict[Waits, _Sum] = {}
        self._flooded = 0
        self._complete = False

    def batches(self) -> Iterator[Batch]:
        """Each batch as soon as it is full. Raises NotInOrder, PinsUnproven: then there is no plan."""
        for history in self._histories:
            named = self._pinned.named(history.key) if len(history.entries) > 1 else frozenset()
            decisions = decide_key(history, named, self._basis.rules, self._basis.drawn_at)
            yield from self._take(history, decisions)
        for phase in Phase:
            yield from self._close(phase)
        # Only now has each kept state proved to be what its header says.
        self._pinned.finish()
        self._complete = True

    @property
    def totals(self) -> tuple[Total, ...]:
        """What goes, by reason and type of file."""
        return tuple(
            Total(
                reason=reason,
                type=kind,
                entries=self._going[reason, kind].entries,
                bytes=self._going[reason, kind].bytes,
            )
            for reason, kind in sorted(self._going)
        )

    def plan(self, findings: Sequence[SeenFinding]) -> PrunePlan:
        """The plan, with what is odd about it. Raises PlanUnsound before all batches were taken."""
        if not self._complete:
            raise PlanUnsound("listing and kept states were not read to their end; nothing was planned")
        basis = self._basis
        try:
            return PrunePlan(
                repository=basis.fresh.repository,
                execution=basis.execution,
                state=basis.fresh.id,
                generation=basis.fresh.generation,
                head=Head.of(basis.fresh).digest,
                drawn_at=basis.drawn_at,
                rules=basis.rules,
                retention=basis.retention,
                kept=tuple(sorted(self._pinned.states)),
                dropped=tuple(sorted(basis.dropped)),
                holds=tuple(sorted(basis.holds)),
                check=basis.check,
                findings=tuple(findings),
                listed=self._histories.versions,
                markers=self._histories.markers,
                totals=self.totals,
                waiting=tuple(_waiting(why, self._waiting[why]) for why in Waits if why in self._waiting),
                flooded=self._flooded,
                batches=tuple(self._done),
            )
        except ValidationError as error:
            raise PlanUnsound(f"the plan contradicts itself, and nothing was planned: {error}") from error

    def _take(self, history: KeyHistory, decisions: Sequence[Decision]) -> Iterator[Batch]:
        going: dict[Phase, list[PlannedEntry]] = {}
        for decision in decisions:
            if decision.goes:
                phase = Phase.MARKERS if isinstance(decision.entry, DeleteMarker) else Phase.VERSIONS
                going.setdefault(phase, []).append(PlannedEntry.of(decision))
            else:
                self._wait(decision)
        if is_flooded(history):
            self._flooded += 1
            self._waiting[Waits.FLOODED].entries += history.count - len(decisions)
        if not going:
            return
        kind = FileType.LOCK if is_under_locks(history.key) else file_type(history.key)
        for phase, entries in going.items():
            if len(self._open[phase]) + len(entries) > BATCH_ENTRIES:
                yield from self._close(phase)
            self._open[phase].extend(entries)
            for entry in entries:
                total = self._going.setdefault((entry.reason, kind), _Sum())
                total.entries += 1
                total.bytes += entry.size or 0

    def _wait(self, decision: Decision) -> None:
        if not isinstance(decision.verdict, Waits):
            return
        wait = self._waiting.get(decision.verdict)
        if wait is None:
            wait = self._waiting[decision.verdict] = _Sum()
        wait.entries += 1
        if isinstance(decision.entry, ObjectVersion):
            wait.bytes += decision.entry.size
        until = decision.until
        if until is not None:
            if wait.first is None or until < wait.first:
                wait.first = until
            if wait.last is None or until > wait.last:
                wait.last = until

    def _close(self, phase: Phase) -> Iterator[Batch]:
        entries = self._open[phase]
        if not entries:
            return
        self._open[phase] = []
        content = encode_batch(entries)
        planned = PruneBatch(
            number=len(self._done),
            phase=phase,
            digest=batch_digest(content),
            objects=len(entries),
            bytes=sum(entry.size or 0 for entry in entries),
        )
        self._done.append(planned)
        yield Batch(planned, content)


def _waiting(why: Waits, wait: _Sum) -> Waiting:
    return Waiting(why=why, entries=wait.entries, bytes=wait.bytes, first=wait.first, last=wait.last)
