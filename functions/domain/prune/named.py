"""What states on one base name, read as one stream: the base once, and each delta once, however many states there are.

A strand is a base and the deltas on it, the oldest first. Its places are 0 for the base and n for the nth delta; a
version of a key is named from the place that puts it up to the next one that changes the key. Most keys never change:
they come in runs, and cost a few list operations a chunk.

Security rules:
- States of one base are one strand: a state whose chunks are not among those that lead to the newest of them raises.
- The base's chunks and each delta's are proven by the digest in a header, which is proven by its id, which the one
  above names. What names stand in them follows from the bytes alone, so that no manifest root is computed here: it
  would read every state whole. `read_state` and `rwm ledger verify` compute them, and record did before it committed.
- They stream out before that, and before every state has proved to have as many entries as its header says: nothing
  may be decided on them before the end of the stream.
- Keys strictly ascend, over all chunks, or the stream raises: a pin that is looked for in the wrong place is not
  found.
- A delta that removes what is not there is another strand's: the stream raises.
- What is wrong with a delta is raised at the end, with the place from which on nothing is proven: the states beneath it
  do not need it. What is wrong with the base is raised at once.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Protocol, TypeVar

from functions.domain import chunks
from functions.domain.delta import ascend
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, Strand, read_chunks, read_strand
from functions.domain.ports import LedgerReader
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import ObjectKey, StateId, VersionId


@dataclass(frozen=True, slots=True)
class Run:
    """Keys in order, each with the one version that every place of the strand names."""

    keys: Sequence[ObjectKey]
    version_ids: Sequence[VersionId]


@dataclass(frozen=True, slots=True)
class Life:
    """From which place on a version is named, and the first that does not name it."""

    version_id: VersionId
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Turns:
    """A key that some delta changes, and what it named in turn."""

    key: ObjectKey
    lives: tuple[Life, ...]


Decoded = TypeVar("Decoded")
Piece = Run | Turns
Pieces = Iterable[Piece]
"""In key order."""


@dataclass(frozen=True, slots=True)
class States:
    """States that are asked for, all on one base."""

    headers: tuple[StateHeader, ...]
    strand: Strand
    """It ends with the newest of them."""
    places: tuple[int, ...]
    """Of each of the headers."""

    @property
    def placed(self) -> Iterator[tuple[StateHeader, int]]:
        """Each of the headers with its place."""
        return zip(self.headers, self.places, strict=True)


class NamesReader(Protocol):
    """How what states name is read; a ledger, in the end."""

    def find(self, headers: Sequence[StateHeader]) -> States:
        """States of one base, with their strand. Raises StateDamaged."""
        ...

    def read(self, states: States) -> Pieces:
        """All that the places of their strand name. Raises StateDamaged, at the latest at the end."""
        ...


@dataclass(frozen=True, slots=True)
class StoredNames:
    """NamesReader over a ledger; with `threads`, which several may share, chunks are fetched ahead."""

    ledger: LedgerReader
    threads: Executor | None = None

    def find(self, headers: Sequence[StateHeader]) -> States:
        return find_states(self.ledger, headers)

    def read(self, states: States) -> Pieces:
        return read_pieces(self.ledger, states, self.threads)


def find_states(ledger: LedgerReader, headers: Sequence[StateHeader]) -> States:
    """States of one base, with their strand. Raises StateDamaged."""
    strand = read_strand(ledger, max(headers, key=lambda header: header.generation))
    by_chunks = {where: place for place, where in enumerate([strand.base, *(link.chunks for link in strand.deltas)])}
    for header in headers:
        if header.chunks not in by_chunks:
            raise StateDamaged(f"state {header.id[:12]} is not on the strand of its base: the ledger was changed")
    return States(tuple(headers), strand, tuple(by_chunks[header.chunks] for header in headers))


class StrandDamaged(StateDamaged):
    """A delta is not what it was; the states in the places before it are proven all the same."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(why)
        self.place = place


def by_base(headers: Iterable[StateHeader]) -> list[list[StateHeader]]:
    """The headers of each base; of a state that is given twice, one."""
    found: dict[ChunkSet, dict[StateId, StateHeader]] = {}
    for header in headers:
        found.setdefault(header.base, {})[header.id] = header
    return [list(states.values()) for states in found.values()]


def lives_of(at_base: VersionId | None, changes: Iterable[tuple[int, VersionId | None]], end: int) -> tuple[Life, ...]:
    """What a key named in turn on a strand of `end` places. `changes`: (place, what it puts; None: it removes the key),
    in order. Raises StrandDamaged for a removal of what is not there."""
    lives: list[Life] = []
    current, since = at_base, 0
    for place, version_id in changes:
        if current is not None:
            lives.append(Life(current, since, place))
        elif version_id is None:
            raise StrandDamaged("a delta removes what is not there", place)
        current, since = version_id, place
    if current is not None:
        lives.append(Life(current, since, end))
    return tuple(lives)


def read_pieces(ledger: LedgerReader, states: States, threads: Executor | None = None) -> Iterator[Piece]:
    """All that the places of the strand name, in key order.

    With `threads`, which several may share, chunks are fetched ahead. Raises StateDamaged, at the latest at the end.
    """
    return _Reading(ledger, states, threads).pieces()


Changes = tuple[ObjectKey, list[tuple[int, VersionId | None]]]
"""A key, and in order (place, what it puts; None: it removes the key)."""


class _Reading:
    """One pass over a strand."""

    def __init__(self, ledger: LedgerReader, states: States, threads: Executor | None) -> None:
        self._ledger = ledger
        self._states = states
        self._threads = threads
        self._end = len(states.strand.deltas) + 1
        self._more = [0] * self._end
        """By how many entries each place has more than the one before it."""
        self._wrong: list[StrandDamaged] = []
        self._changes = self._merged()
        self._change: Changes | None = None

    def pieces(self) -> Iterator[Piece]:
        newest = self._states.headers[0]
        previous: ObjectKey | None = None
        self._change = next(self._changes, None)
        for names in self._decoded(newest, self._states.strand.base, chunks.decode_names):
            keys = names.keys
            if not keys or not ascend(keys) or (previous is not None and keys[0] <= previous):
                raise StateDamaged(f"the entries of state {newest.id[:12]} are not in key order")
            previous = keys[-1]
            self._more[0] += len(keys)
            yield from self._through(keys, names.version_ids)
        while self._change is not None:
            yield self._turns(*self._change, None)
        self._count()
        if self._wrong:
            raise min(self._wrong, key=lambda error: error.place)

    def _through(self, keys: Sequence[ObjectKey], version_ids: Sequence[VersionId]) -> Iterator[Piece]:
        """Entries of the base, and the changes up to the last of them."""
        at = 0
        while self._change is not None and self._change[0] <= keys[-1]:
            place = bisect_left(keys, self._change[0], at)
            if place > at:
                yield Run(keys[at:place], version_ids[at:place])
            there = keys[place] == self._change[0]
            yield self._turns(*self._change, version_ids[place] if there else None)
            at = place + there
        if at < len(keys):
            yield Run(keys[at:], version_ids[at:]) if at else Run(keys, version_ids)

    def _turns(
        self, key: ObjectKey, changes: Sequence[tuple[int, VersionId | None]], at_base: VersionId | None
    ) -> Turns:
        try:
            lives = lives_of(at_base, changes, self._end)
        except StrandDamaged as error:
            self._wrong.append(error)
            lives = lives_of(at_base, [change for change in changes if change[0] < error.place], self._end)
        for life in lives:
            if life.first:
                self._more[life.first] += 1
            if life.end < self._end:
                self._more[life.end] -= 1
        self._change = next(self._changes, None)
        return Turns(key, lives)

    def _count(self) -> None:
        counts = list(accumulate(self._more))
        links = zip(self._states.strand.deltas, range(1, self._end), strict=True)
        for header, place in (*self._states.placed, *links):
            if counts[place] != header.objects:
                why = f"state {header.id[:12]} has {counts[place]} entries, expected {header.objects}"
                self._wrong.append(StrandDamaged(why, place))

    def _merged(self) -> Iterator[Changes]:
        """Every key that a delta changes, in key order."""
        # No two have key and place in common, so that no versions are compared.
        merged = heapq.merge(*(self._of(place, link) for place, link in enumerate(self._states.strand.deltas, 1)))
        for key, its in groupby(merged, key=itemgetter(0)):
            yield key, [(place, version_id) for _, place, version_id in its]

    def _of(self, place: int, link: StateHeader) -> Iterator[tuple[ObjectKey, int, VersionId | None]]:
        """One delta. Where it cannot be read it ends, and that is put down as wrong."""
        try:
            for key, version_id in self._in_order(link):
                yield key, place, version_id
        except StateDamaged as error:
            self._wrong.append(StrandDamaged(str(error), place))

    def _in_order(self, link: StateHeader) -> Iterator[tuple[ObjectKey, VersionId | None]]:
        previous: ObjectKey | None = None
        for names in self._decoded(link, link.chunks, chunks.decode_delta_names):
            for key, version_id in names:
                if previous is not None and key <= previous:
                    raise StateDamaged(f"the changes of state {link.id[:12]} are not in key order")
                previous = key
                yield key, version_id

    def _decoded(self, header: StateHeader, where: ChunkSet, decode: Callable[[bytes], Decoded]) -> Iterator[Decoded]:
        for chunk in read_chunks(self._ledger, header, where, self._threads):
            try:
                yield decode(chunk)
            except UnreadableDocument as error:
                raise StateDamaged(f"state {header.id[:12]}: {error}") from error
