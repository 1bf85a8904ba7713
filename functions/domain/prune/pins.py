"""What the kept states name: clause (a) of a prune, and promise P2.

Security rules:
- Every state that is handed in is read, to its end: one that is not read would be one whose versions go.
- A version is pinned where a kept state lies in its life, from the place of the strand that puts it up to the one that
  changes its key. A dropped state in between pins nothing, and takes nothing from those around it.
- The streams have to prove themselves against their headers (`named`), at the latest at their end. So a plan or a
  confirmation counts only after `finish`.
- Keys are asked for in ascending order. Anything else raises instead of answering "nothing".
"""

import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from functions.domain.prune.named import Life, NamesReader, Piece, Run, by_base
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, VersionId

ALWAYS = sys.maxsize
"""The end of a life that has none."""


class PinsUnproven(Exception):
    """It cannot be told what kept states name; nothing may be deleted."""


class PinnedVersions:
    """All that the states of `headers` name, streamed in key order; asked once, from the first key to the last."""

    def __init__(self, headers: Iterable[StateHeader], reader: NamesReader) -> None:
        """Raises StateDamaged."""
        found = [reader.find(states) for states in by_base(headers)]
        self.states = frozenset(header.id for each in found for header in each.headers)
        """The states whose versions are pinned."""
        self._cursors = [(Cursor(reader.read(each)), sorted(set(each.places))) for each in found]
        self._asked: ObjectKey | None = None

    def named(self, key: ObjectKey) -> frozenset[VersionId]:
        """The versions of `key` that kept states name. Raises PinsUnproven, and whatever reading raises."""
        if self._asked is not None and key < self._asked:
            raise PinsUnproven(f"{key!r} was looked up after {self._asked!r}; nothing was decided")
        self._asked = key
        return frozenset(
            version_id for cursor, places in self._cursors for version_id in pinned(cursor.lives(key), places)
        )

    def finish(self) -> None:
        """Read every state to its end, so that each is proven. Raises whatever reading raises."""
        for cursor, _ in self._cursors:
            cursor.finish()


def pinned(lives: Iterable[Life], places: Sequence[int]) -> Iterator[VersionId]:
    """The versions in whose lives one of the places (ascending) lies."""
    for life in lives:
        first = bisect_left(places, life.first)
        if first < len(places) and places[first] < life.end:
            yield life.version_id


class Cursor:
    """A place in what one strand names: the first piece that does not end before the key that was asked for."""

    __slots__ = ("_at", "_last", "_piece", "_pieces")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = iter(pieces)
        self._piece: Piece | None = None
        self._last: ObjectKey | None = None
        """Of the piece."""
        self._at = 0
        self._advance()

    def lives(self, key: ObjectKey) -> Iterable[Life]:
        """What the strand names of `key`, from place to place. Keys have to ascend. Raises whatever reading raises."""
        while self._last is not None and self._last < key:
            self._advance()
        piece = self._piece
        if piece is None:
            return ()
        if isinstance(piece, Run):
            self._at = at = bisect_left(piece.keys, key, self._at)
            return (Life(piece.version_ids[at], 0, ALWAYS),) if piece.keys[at] == key else ()
        return piece.lives if piece.key == key else ()

    def finish(self) -> None:
        """To the end, where all of it is proven. Raises whatever reading raises."""
        while self._piece is not None:
            self._advance()

    def _advance(self) -> None:
        self._piece = piece = next(self._pieces, None)
        self._at = 0
        if piece is None:
            self._last = None
        else:
            self._last = piece.keys[-1] if isinstance(piece, Run) else piece.key
