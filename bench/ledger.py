"""A ledger in a folder: headers, and chunks as DynamoDB would hold them.

Bases and deltas are what `record` makes, packed by the same functions under the same rule. The roots are made up: they
would take longer than all the rest, and nothing that a prune decides rests on them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from functions.domain import chunks
from functions.domain.delta import Change, Removal, fits_a_strand
from functions.domain.keeping import DroppedState
from functions.domain.restic import FileType
from functions.domain.state import Cause, ChunkSet, DeltaOn, Head, StateHeader, Tally
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName, StateId

Spans = Iterable[tuple[ObjectVersion, int, int]]
"""Packs in key order, each with the first state that names it and the first one after that does not."""
_HEADERS = "headers.jsonl"
_AT_ONCE = 4_000
"""Changes of a state that are held before they are packed."""


class FolderLedger:
    """LedgerReader of the one repository in a folder, of which no state is dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        headers = (StateHeader.parse(line) for line in (folder / _HEADERS).read_bytes().splitlines())
        self._headers = {header.generation: header for header in headers}

    def head(self, repository: RepositoryName) -> Head | None:
        newest = self.header(repository, len(self._headers))
        return Head.of(newest) if newest else None

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:  # noqa: ARG002
        return self._headers.get(generation)

    def headers(
        self,
        repository: RepositoryName,  # noqa: ARG002
        *,
        oldest_first: bool = False,
        start: int | None = None,
    ) -> Iterator[StateHeader]:
        for generation in sorted(self._headers, reverse=not oldest_first):
            if start is None or (generation >= start if oldest_first else generation <= start):
                yield self._headers[generation]

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        path = self._folder / attempt / f"{number}"
        return path.read_bytes() if path.exists() else None

    def dropped(self, repository: RepositoryName) -> frozenset[StateId]:  # noqa: ARG002
        return frozenset()

    def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:  # noqa: ARG002
        return ()


def record_states(
    folder: Path, repository: RepositoryName, cut_times: Sequence[datetime], spans: Callable[[], Spans]
) -> None:
    """Write a state for each of `cut_times` into `folder`, which is empty. `spans` is read twice; each state changes
    something."""
    states = [_State(folder, number) for number in range(len(cut_times))]
    _count(states, spans())
    _lay_strands(states)
    bases = [state for state in states if not state.links]
    for version, first, end in spans():
        for state in bases:
            if first <= state.number < end:
                state.take(version)
        if 0 < first < end and states[first].links:
            states[first].take(version)
        if first < end < len(states) and states[end].links:
            states[end].take(Removal(version.key))
    parent: StateHeader | None = None
    with (folder / _HEADERS).open("wb") as file:
        for state, at in zip(states, cut_times, strict=True):
            parent = state.header(repository, at, parent)
            file.write(parent.canonical() + b"\n")


def _count(states: "Sequence[_State]", spans: Spans) -> None:
    for version, first, end in spans:
        states[first].gain(1, version.size)
        if end < len(states):
            states[end].gain(-1, -version.size)
    for before, state in pairwise(states):
        state.objects += before.objects
        state.bytes += before.bytes


def _lay_strands(states: "Sequence[_State]") -> None:
    """Decide which of the states are deltas, as `record` does."""
    base, changes = states[0], 0
    for state in states[1:]:
        links = states[state.number - 1].links + 1
        if fits_a_strand(base.objects, links, changes + state.changes):
            changes += state.changes
            state.links, state.changes = links, changes
        else:
            base, changes = state, 0


class _State:
    """A state in the making."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.objects = self.bytes = self.changes = self.links = 0
        self._attempt = AttemptId(f"attempt-{number}")
        self._folder = folder / self._attempt
        self._folder.mkdir(parents=True)
        self._hashes: list[bytes] = []
        self._held: list[Change] = []

    def gain(self, objects: int, size: int) -> None:
        """One entry more or less than the state before it has."""
        self.objects += objects
        self.bytes += size
        self.changes += 1

    def take(self, change: Change) -> None:
        """The next one, in key order."""
        self._held.append(change)
        if len(self._held) >= _AT_ONCE:
            self._pack()

    def header(self, repository: RepositoryName, at: datetime, parent: StateHeader | None) -> StateHeader:
        """Once all were taken."""
        self._pack()
        delta = None
        if parent is not None and self.links:
            delta = DeltaOn(
                state=parent.id,
                generation=parent.generation,
                base=parent.base,
                base_objects=parent.base_objects,
                links=self.links,
                changes=self.changes,
            )
        digest = chunks.digest_of_set(self._hashes)
        return StateHeader(
            repository=repository,
            generation=self.number + 1,
            parent=parent.id if parent else None,
            kind="delta" if delta else "base",
            cut_time=at,
            recorded_at=at,
            chunks=ChunkSet(attempt=self._attempt, count=len(self._hashes), digest=digest),
            delta=delta,
            manifest_root=_made_up("manifest", self.number),
            content_root=_made_up("content", self.number),
            attributes_root=_made_up("attributes", self.number),
            objects=self.objects,
            bytes=self.bytes,
            by_type={FileType.PACK: Tally(objects=self.objects, bytes=self.bytes)},
            edge=False,
            busy=False,
            locks=0,
            stale_locks=0,
            hidden=0,
            noncurrent=0,
            cause=Cause(reason="schedule"),
        )

    def _pack(self) -> None:
        held, self._held = self._held, []
        if self.links:
            packed = chunks.encode_delta(held)
        else:
            packed = chunks.encode(each for each in held if isinstance(each, ObjectVersion))
        for chunk in packed:
            (self._folder / f"{len(self._hashes)}").write_bytes(chunk)
            self._hashes.append(hashlib.sha256(chunk).digest())


def _made_up(what: str, number: int) -> Digest:
    return Digest(hashlib.sha256(f"{what} root of state {number}".encode()).hexdigest())
