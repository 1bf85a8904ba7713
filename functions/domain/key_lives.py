"""What each recorded state names of a few keys, with all that the ledger keeps of the versions: an object's story.

The chunks of a base, and of each delta on it, are read once, however many states there are; only what fits is held.

Security rules:
- Chunks are proven by the digests in headers, which are proven by their ids: a state that cannot be proven raises, and
  nothing is told of it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from functions.domain import chunks
from functions.domain.delta import Change
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, read_chunks
from functions.domain.ports import LedgerReader
from functions.domain.prune.named import States, by_base, find_states
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, StateId

_FOLDERS = ("keys/", "snapshots/", "index/")

NamedBy = Mapping[StateId, ObjectVersion]
"""The states that name a key, and which version each names."""
Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True)
class Sought:
    """The keys that are looked for: one, or all of restic's whose name begins with certain hex digits."""

    key: ObjectKey | None = None
    name: str | None = None
    """At least two hex digits."""
    starts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        of_name = self.name and (f"data/{self.name[:2]}/{self.name}", *(folder + self.name for folder in _FOLDERS))
        object.__setattr__(self, "starts", (*([self.key] if self.key is not None else ()), *(of_name or ())))

    def fits(self, key: ObjectKey) -> bool:
        return key == self.key or (self.name is not None and key.startswith(self.starts))

    def places(self, keys: Sequence[ObjectKey]) -> Iterator[int]:
        """Where in `keys` (ascending) are those that are looked for; each once."""
        found: set[int] = set()
        for start in self.starts:
            place = bisect_left(keys, start)
            while place < len(keys) and keys[place].startswith(start):
                if self.fits(keys[place]):
                    found.add(place)
                place += 1
        yield from sorted(found)


def key_lives(
    ledger: LedgerReader, headers: Iterable[StateHeader], sought: Sought
) -> dict[ObjectKey, dict[StateId, ObjectVersion]]:
    """Each key that fits and that one of the states names, and which version each state names. Raises StateDamaged."""
    found: dict[ObjectKey, dict[StateId, ObjectVersion]] = {}
    for on_one_base in by_base(headers):
        states = find_states(ledger, on_one_base)
        for key, at_places in _on(ledger, states, sought):
            for header, place in states.placed:
                if (version := at_places(place)) is not None:
                    found.setdefault(key, {})[header.id] = version
    return found


def _on(
    ledger: LedgerReader, states: States, sought: Sought
) -> Iterator[tuple[ObjectKey, Callable[[int], ObjectVersion | None]]]:
    """Each key that fits on one strand, and what it is at a place of it."""
    turns: dict[ObjectKey, list[tuple[int, ObjectVersion | None]]] = {}
    strand = states.strand
    for columns in _decoded(ledger, states.headers[0], strand.base, chunks.decode_columns):
        for at in sought.places(columns.keys):
            turns[columns.keys[at]] = [(0, columns.version(at))]
    for place, link in enumerate(strand.deltas, 1):
        for changes in _decoded(ledger, link, link.chunks, chunks.decode_delta):
            for change in changes:
                if sought.fits(change.key):
                    turns.setdefault(change.key, []).append((place, _put(change)))
    for key in sorted(turns):
        yield key, _At(turns[key])


@dataclass(frozen=True, slots=True)
class _At:
    """What a key is at a place, from its changes in order."""

    turns: Sequence[tuple[int, ObjectVersion | None]]

    def __call__(self, place: int) -> ObjectVersion | None:
        return next((version for since, version in reversed(self.turns) if since <= place), None)


def _put(change: Change) -> ObjectVersion | None:
    return change if isinstance(change, ObjectVersion) else None


def _decoded(
    ledger: LedgerReader, header: StateHeader, where: ChunkSet, decode: Callable[[bytes], Decoded]
) -> Iterator[Decoded]:
    for chunk in read_chunks(ledger, header, where):
        try:
            yield decode(chunk)
        except UnreadableDocument as error:
            raise StateDamaged(f"state {header.id[:12]}: {error}") from error
