"""The ledger and the operations table in memory: strict about every condition, with the fakes' fault hook.

An item is what DynamoDB would hold (bytes, numbers, statuses), so a header or a head that does not survive
its own encoding fails here too. A transaction happens whole or not at all.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import DroppedState
from functions.domain.ports import (
    MOST_AT_ONCE,
    AttemptClosed,
    AttemptNotClosed,
    HeadMoved,
    LeaseLost,
    RecordingInFlight,
    StateDropped,
    StateHeld,
)
from functions.domain.state import Head, StateHeader
from functions.domain.values import AttemptId, Digest, Finding, RepositoryName, StateId, whole_second
from tests.fakes.faults import Call, Hook, Moment, nothing

if TYPE_CHECKING:
    from tests.fakes.holds import FakeHolds, FakeLease

ITEM_BYTES = 400 * 1024
"""DynamoDB's limit on an item, names included."""


class Status(StrEnum):
    """What became of an attempt."""

    OPEN = "open"
    COMMITTED = "committed"
    CLOSED = "closed"
    COLLECTED = "collected"


@dataclass(slots=True)
class Attempt:
    """One try at recording a state."""

    status: Status = Status.OPEN
    chunks: int = 0
    """How many it said it would write."""


@dataclass(slots=True)
class Lease:
    """Who may record a repository, until when."""

    attempt: AttemptId
    until: datetime


class FakeTable:
    """A hook around each call, and a lock, as DynamoDB serializes what touches the same items."""

    def __init__(self) -> None:
        self.hook: Hook = nothing
        self._lock = threading.RLock()
        self._calls = 0

    @contextmanager
    def _operation(self, name: str, resource: str) -> Iterator[None]:
        with self._lock:
            self._calls += 1
            number = self._calls
        self.hook(Call(number, Moment.BEFORE, name, resource, ""))
        with self._lock:
            yield
        self.hook(Call(number, Moment.AFTER, name, resource, ""))


class FakeLedger(FakeTable):
    """LedgerReader, RecordingLedger and ChunkCollector over the same items."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: dict[RepositoryName, bytes] = {}
        self.stored_headers: dict[tuple[RepositoryName, int], tuple[StateId, bytes]] = {}
        self.leases: dict[RepositoryName, Lease] = {}
        self.attempts: dict[tuple[RepositoryName, AttemptId], Attempt] = {}
        self.chunks: dict[tuple[AttemptId, int], bytes] = {}
        self.marks: dict[tuple[RepositoryName, int], DroppedState] = {}
        """Of dropped states, by generation."""

    # --- LedgerReader ----------------------------------------------------------------------------------

    def head(self, repository: RepositoryName) -> Head | None:
        with self._operation("GetHead", repository):
            return self._head(repository)

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        with self._operation("GetHeader", f"{repository}/{generation}"):
            return self._header(repository, generation)

    def headers(
        self, repository: RepositoryName, *, oldest_first: bool = False, start: int | None = None
    ) -> Iterator[StateHeader]:
        with self._operation("QueryHeaders", repository):
            generations = sorted(
                (generation for name, generation in self.stored_headers if name == repository),
                reverse=not oldest_first,
            )
        if start is not None:
            generations = [each for each in generations if (each >= start if oldest_first else each <= start)]
        for generation in generations:
            if (header := self._header(repository, generation)) is not None:
                yield header

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        with self._operation("GetChunk", f"{attempt}/{number}"):
            return self.chunks.get((attempt, number))

    def dropped(self, repository: RepositoryName) -> frozenset[StateId]:
        return frozenset(mark.state for mark in self.drops(repository))

    def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:
        with self._operation("QueryDrops", repository):
            generations = sorted((each[1] for each in self.marks if each[0] == repository), reverse=True)
            return tuple(self.marks[repository, generation] for generation in generations)

    def mark_dropped(self, header: StateHeader, at: datetime, execution: str = "a-prune") -> None:
        """What a prune leaves in the end, past its step."""
        mark = DroppedState(header.id, header.generation, Digest("d" * 64), execution, whole_second(at))
        self.marks[header.repository, header.generation] = mark

    def keep(self, header: StateHeader) -> None:
        """What a recording leaves in the end, past its steps."""
        self.heads[header.repository] = Head.of(header).canonical()
        self.stored_headers[header.repository, header.generation] = (header.id, header.canonical())

    # --- RecordingLedger -------------------------------------------------------------------------------

    def begin(self, repository: RepositoryName, attempt: AttemptId, now: datetime, until: datetime) -> None:
        with self._operation("Begin", f"{repository}/{attempt}"):
            lease = self.leases.get(repository)
            if (repository, attempt) in self.attempts or (lease and lease.until > whole_second(now)):
                raise RecordingInFlight(lease.until if lease else until)
            if lease is not None:
                lost = self.attempts[repository, lease.attempt]
                if lost.status is Status.OPEN:
                    lost.status = Status.CLOSED
            self.attempts[repository, attempt] = Attempt()
            self.leases[repository] = Lease(attempt, whole_second(until))

    def reserve(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        with self._operation("Reserve", f"{repository}/{attempt}"):
            self._open(repository, attempt).chunks = chunks

    def put_chunk(self, attempt: AttemptId, number: int, content: bytes) -> None:
        with self._operation("PutChunk", f"{attempt}/{number}"):
            name = f"pkchunk#{attempt}#{number:06d}skchunkcontent"
            if len(content) + len(name.encode()) > ITEM_BYTES:
                raise ValueError(f"an item of {len(content)} bytes passes DynamoDB's 400 KB; nothing was written")
            self.chunks[attempt, number] = bytes(content)

    def commit(self, header: StateHeader, attempt: AttemptId, parent: Head | None) -> None:
        repository = header.repository
        with self._operation("Commit", f"{repository}/{header.generation}"):
            ours = self._open(repository, attempt)
            lease = self.leases.get(repository)
            if lease is None or lease.attempt != attempt:
                raise AttemptClosed(f"attempt {attempt} lost its lease; nothing was recorded")
            at = (repository, header.generation)
            if _place(self._head(repository)) != _place(parent) or at in self.stored_headers:
                raise HeadMoved(f"another recorder advanced {repository}; nothing was recorded")
            self.stored_headers[at] = (header.id, header.canonical())
            self.heads[repository] = Head.of(header).canonical()
            ours.status = Status.COMMITTED
            lease.until = whole_second(header.recorded_at)

    def abandon(self, repository: RepositoryName, attempt: AttemptId, now: datetime) -> None:
        with self._operation("Abandon", f"{repository}/{attempt}"):
            ours, lease = self.attempts.get((repository, attempt)), self.leases.get(repository)
            if ours is None or ours.status is not Status.OPEN or lease is None or lease.attempt != attempt:
                return
            ours.status = Status.CLOSED
            lease.until = whole_second(now)

    # --- ChunkCollector --------------------------------------------------------------------------------

    def closed_attempts(self, repository: RepositoryName) -> Iterator[tuple[AttemptId, int]]:
        with self._operation("QueryAttempts", repository):
            closed = [
                (attempt, item.chunks)
                for (name, attempt), item in sorted(self.attempts.items())
                if name == repository and item.status is Status.CLOSED
            ]
        yield from closed

    def collect(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        for number in range(chunks):
            with self._operation("DeleteChunk", f"{attempt}/{number}"):
                self._closed(repository, attempt)
                self.chunks.pop((attempt, number), None)
        with self._operation("MarkCollected", f"{repository}/{attempt}"):
            self._closed(repository, attempt).status = Status.COLLECTED

    # --- conditions ------------------------------------------------------------------------------------

    def _head(self, repository: RepositoryName) -> Head | None:
        stored = self.heads.get(repository)
        return Head.parse(stored) if stored is not None else None

    def _header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        stored = self.stored_headers.get((repository, generation))
        if stored is None:
            return None
        header = StateHeader.parse(stored[1])
        if header.id != stored[0]:
            raise UnreadableDocument(f"header {generation} of {repository} has another id; nothing was decided")
        return header

    def _open(self, repository: RepositoryName, attempt: AttemptId) -> Attempt:
        item = self.attempts.get((repository, attempt))
        if item is None or item.status is not Status.OPEN:
            raise AttemptClosed(f"attempt {attempt} was closed; nothing was recorded")
        return item

    def _closed(self, repository: RepositoryName, attempt: AttemptId) -> Attempt:
        item = self.attempts.get((repository, attempt))
        if item is None or item.status is not Status.CLOSED:
            raise AttemptNotClosed(f"attempt {attempt} is not closed; its chunks stay")
        return item


def _place(head: Head | None) -> tuple[int, StateId] | None:
    """What the condition on the head compares."""
    return (head.generation, head.state) if head else None


class FakeStateDropper(FakeTable):
    """StateDropper over a ledger, and the holds and the lease of an operations table."""

    def __init__(self, ledger: FakeLedger, holds: "FakeHolds", lease: "FakeLease") -> None:
        super().__init__()
        self._ledger = ledger
        self._holds = holds
        self._lease = lease

    def drop(self, head: Head, marks: Sequence[DroppedState]) -> None:
        assert 0 < len(marks) <= MOST_AT_ONCE
        repository, execution = head.repository, marks[0].execution
        with self._operation("Drop", f"{repository}/{len(marks)}"):
            stored = self._ledger.heads.get(repository)
            if stored is None or _place(Head.parse(stored)) != _place(head):
                raise HeadMoved("a state was recorded since the head was read; no state was dropped with this call")
            lease = self._lease.leases.get(repository)
            if lease is None or lease.released or lease.execution != execution:
                raise LeaseLost(f"prune {execution} does not have the lease; no state was dropped with this call")
            for mark in marks:
                if (repository, mark.state) in self._holds.holds:
                    raise StateHeld(f"state {mark.state} is held; no state was dropped with this call")
                if (repository, mark.generation) in self._ledger.marks:
                    raise StateDropped(f"state {mark.state} is dropped already; no state was dropped with this call")
            for mark in marks:
                self._ledger.marks[repository, mark.generation] = replace(mark, at=whole_second(mark.at))


class FakeFindingLog(FakeTable):
    """OnceFindingLog."""

    def __init__(self) -> None:
        super().__init__()
        self.findings: dict[tuple[RepositoryName, str, int], Finding] = {}
        """By repository, finding id and generation."""

    def append(self, finding: Finding, generation: int) -> bool:
        with self._operation("AppendFinding", f"{finding.repository}/{finding.id}/{generation}"):
            place = (finding.repository, finding.id, generation)
            if place in self.findings:
                return False
            self.findings[place] = finding
            return True

    def has(self, finding: Finding, generation: int) -> bool:
        with self._operation("QueryFinding", f"{finding.repository}/{finding.id}/{generation}"):
            return (finding.repository, finding.id, generation) in self.findings


class FakeReportLog(FakeTable):
    """ReportLog."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: dict[tuple[RepositoryName, str], bytes] = {}
        """By repository and execution."""

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        with self._operation("AppendReport", f"{repository}/{execution}"):
            self.reports.setdefault((repository, execution), report)
