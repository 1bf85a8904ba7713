"""Which kept states name which versions, asked in key order.

Security rules:
- States of one base are one strand, and are read as one stream, however many there are.
- What cannot be read, or does not prove itself, costs no more than the states that lie on it: to lock a version too
  many harms nobody, and to lock none because of one damaged state would leave all of them open. It is told as unproven.
- What was counted of a state counts only after `finish`: its names prove themselves at their end.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from functions.domain.cut import NotInOrder
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.prune.named import Life, NamesReader, Piece, Run, StrandDamaged, by_base
from functions.domain.state import StateHeader
from functions.domain.values import ListedVersion, ObjectKey, ObjectVersion, StateId, VersionId

_BROKEN = (StateDamaged, UnreadableDocument)


@dataclass(frozen=True, eq=False, slots=True)
class Namers:
    """States of one base that name a version. One object for all versions that the same ones name: compared by
    identity."""

    states: tuple[StateId, ...]


class KeptNames:
    """What the states of `headers` name; asked once, from one key to the last."""

    def __init__(self, headers: Iterable[StateHeader], names: NamesReader) -> None:
        self._strands = [_Strand(states, names) for states in by_base(headers)]

    def of(self, key: ObjectKey) -> Mapping[VersionId, tuple[Namers, ...]]:
        """Versions of `key`, and the states that name each. Keys have to ascend."""
        found: dict[VersionId, tuple[Namers, ...]] = {}
        for strand in self._strands:
            for version_id, namers in strand.named(key):
                found[version_id] = (*found.get(version_id, ()), namers)
        return found

    def finish(self) -> None:
        """Read every state to its end, so that each is proven or told as unproven."""
        for strand in self._strands:
            strand.finish()

    @property
    def unproven(self) -> frozenset[StateId]:
        """States that did not prove themselves, as far as they were read."""
        return frozenset(state for strand in self._strands for state in strand.unproven)


class _Strand:
    """A place in what states of one base name: the first piece that does not end before the key that was asked for."""

    def __init__(self, headers: Sequence[StateHeader], names: NamesReader) -> None:
        self.unproven: list[StateId] = []
        self._placed: list[tuple[StateHeader, int]] = []
        self._pieces: Iterator[Piece] = iter(())
        self._piece: Piece | None = None
        self._at = 0
        """Within a run."""
        self._namers: dict[tuple[StateId, ...], Namers] = {}
        try:
            states = names.find(headers)
        except _BROKEN:
            self.unproven = [header.id for header in headers]
            self._all = self._of(())
            return
        self._placed = list(states.placed)
        self._all = self._of([header.id for header, _ in self._placed])
        self._pieces = iter(names.read(states))
        self._advance()

    def named(self, key: ObjectKey) -> Iterator[tuple[VersionId, Namers]]:
        while (piece := self._piece) is not None and _last(piece) < key:
            self._advance()
        if isinstance(piece, Run):
            self._at = at = bisect_left(piece.keys, key, self._at)
            if piece.keys[at] == key:
                yield piece.version_ids[at], self._all
        elif piece is not None and piece.key == key:
            for life in piece.lives:
                if (namers := self._in(life)).states:
                    yield life.version_id, namers

    def finish(self) -> None:
        while self._piece is not None:
            self._advance()

    def _in(self, life: Life) -> Namers:
        return self._of([header.id for header, place in self._placed if life.first <= place < life.end])

    def _of(self, states: Sequence[StateId]) -> Namers:
        return self._namers.setdefault(tuple(states), Namers(tuple(states)))

    def _advance(self) -> None:
        self._at = 0
        try:
            self._piece = next(self._pieces, None)
        except _BROKEN as error:
            proven = error.place if isinstance(error, StrandDamaged) else 0
            self.unproven = [header.id for header, place in self._placed if place >= proven]
            self._piece = None


def _last(piece: Piece) -> ObjectKey:
    return piece.keys[-1] if isinstance(piece, Run) else piece.key


NamedVersion = tuple[ObjectVersion, tuple[Namers, ...]]
"""A listed version, and the kept states that name it."""


def named_by_key(listing: Iterable[ListedVersion], names: KeptNames) -> Iterator[tuple[ObjectKey, list[NamedVersion]]]:
    """Each key of `listing` (S3's order) with those of its versions that kept states name.

    Raises NotInOrder: in a listing that is not in key order, a version is looked for where it is not.
    """
    last: ObjectKey | None = None
    for key, entries in groupby(listing, key=attrgetter("key")):
        if last is not None and key <= last:
            raise NotInOrder(f"{key!r} was listed after {last!r}; nothing is said of the locks")
        last = key
        named = names.of(key)
        yield (
            key,
            [
                (entry, named[entry.version_id])
                for entry in entries
                if isinstance(entry, ObjectVersion) and entry.version_id in named
            ],
        )
