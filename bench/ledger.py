"""A ledger in a folder: headers, and chunks as DynamoDB would hold them.

Each state is whole, packed by what `record` packs it with. Its content root is made up: nothing that a prune decides
rests on it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from functions.domain import chunks
from functions.domain.keeping import DroppedState
from functions.domain.restic import FileType
from functions.domain.roots import manifest_root
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, Tally
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName, StateId

Spans = Iterable[tuple[ObjectVersion, int, int]]
"""Packs in key order, each with the first state that names it and the first one after that does not."""
_HEADERS = "headers.jsonl"
_AT_ONCE = 4_000
"""Entries that are packed together."""


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
    """Write a state for each of `cut_times` into `folder`, which is empty; `spans` is read once for each."""
    parent: StateHeader | None = None
    for number, at in enumerate(cut_times):
        state = _State(folder, number)
        root = manifest_root(state.pack(entry for entry, first, end in spans() if first <= number < end))
        parent = state.header(repository, at, root, parent)
        with (folder / _HEADERS).open("ab") as file:
            file.write(parent.canonical() + b"\n")


class _State:
    """A state in the making."""

    def __init__(self, folder: Path, number: int) -> None:
        self._number = number
        self._objects = self._bytes = 0
        self._attempt = AttemptId(f"attempt-{number}")
        self._folder = folder / self._attempt
        self._folder.mkdir(parents=True)
        self._hashes: list[bytes] = []

    def pack(self, entries: Iterable[ObjectVersion]) -> Iterator[ObjectVersion]:
        """The entries, which are packed as they pass."""
        remaining = iter(entries)
        while held := list(islice(remaining, _AT_ONCE)):
            for chunk in chunks.encode(held):
                (self._folder / f"{len(self._hashes)}").write_bytes(chunk)
                self._hashes.append(hashlib.sha256(chunk).digest())
            self._objects += len(held)
            self._bytes += sum(entry.size for entry in held)
            yield from held

    def header(self, repository: RepositoryName, at: datetime, root: Digest, parent: StateHeader | None) -> StateHeader:
        """Once all were taken; `root` is their manifest root."""
        digest = chunks.digest_of_set(self._hashes)
        return StateHeader(
            repository=repository,
            generation=self._number + 1,
            parent=parent.id if parent else None,
            kind="base",
            cut_time=at,
            recorded_at=at,
            chunks=ChunkSet(attempt=self._attempt, count=len(self._hashes), digest=digest),
            manifest_root=root,
            content_root=_made_up("content", self._number),
            objects=self._objects,
            bytes=self._bytes,
            by_type={FileType.PACK: Tally(objects=self._objects, bytes=self._bytes)},
            edge=False,
            busy=False,
            locks=0,
            stale_locks=0,
            hidden=0,
            noncurrent=0,
            cause=Cause(reason="schedule"),
        )


def _made_up(what: str, number: int) -> Digest:
    return Digest(hashlib.sha256(f"{what} root of state {number}".encode()).hexdigest())
