"""What changed between two states, as the ledger keeps it, and when a state is kept that way.

A state is a base, all of its entries, or a delta: what is put in and what is removed on the state before it. The base
and the deltas on it are one strand; the state at its end is the base with each delta applied, the oldest first.

Security rules:
- An entry that differs in anything is put, not only in what the roots cover: what is read back is what was recorded.
- A delta that removes what is not there, or that is out of order, belongs to another state: nothing is made of it.
- A strand is short and its deltas are few, so that what a reader has to hold and fetch has a bound.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from operator import attrgetter, lt

from functions.domain.columns import RUN, Columns
from functions.domain.values import ObjectKey, ObjectVersion

MOST_LINKS = 64
"""Deltas on one base: each costs its readers a header and a chunk or more."""
LARGEST_SHARE = 5
"""All deltas on a base have at most one change for this many of its entries."""
_FEW = 16
"""Entries that are compared one by one where they are not all the same."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A key that the state before has and this one has not."""

    key: ObjectKey


Change = ObjectVersion | Removal
"""An entry that is put in, in the place of the one of its key if there is one; or a key that is removed."""


class DoesNotFit(Exception):
    """A delta is not one on these entries; nothing was made of it."""


def apply(entries: Sequence[ObjectVersion], changes: Iterable[Change]) -> list[ObjectVersion]:
    """The entries (in key order) with the changes (in key order) made. Raises DoesNotFit."""
    made: list[ObjectVersion] = []
    at = 0
    previous: ObjectKey | None = None
    for change in changes:
        key = change.key
        if previous is not None and key <= previous:
            raise DoesNotFit("its changes are not in key order")
        previous = key
        place = bisect_left(entries, key, at, key=attrgetter("key"))
        made += entries[at:place]
        there = place < len(entries) and entries[place].key == key
        at = place + there
        if isinstance(change, ObjectVersion):
            made.append(change)
        elif not there:
            raise DoesNotFit("it removes what is not there")
    made += entries[at:]
    return made


class Overlay:
    """The deltas of a strand as one, to be laid over the entries of its base."""

    def __init__(self) -> None:
        self._last: dict[ObjectKey, ObjectVersion | None] = {}
        """What became of each key that any of them changes: None where it was removed last."""
        self._needed: set[ObjectKey] = set()
        """Keys that are removed before they are put: the base has them, or a delta does not fit."""

    def __len__(self) -> int:
        """Keys that are changed."""
        return len(self._last)

    def add(self, changes: Iterable[Change]) -> None:
        """The next delta, its changes in key order. Raises DoesNotFit."""
        previous: ObjectKey | None = None
        for change in changes:
            key = change.key
            if previous is not None and key <= previous:
                raise DoesNotFit("its changes are not in key order")
            previous = key
            if isinstance(change, ObjectVersion):
                self._last[key] = change
                continue
            if key not in self._last:
                self._needed.add(key)
            elif self._last[key] is None:
                raise DoesNotFit("it removes what is not there")
            self._last[key] = None

    def over(self, base: Iterable[Columns]) -> Iterator[Columns]:
        """The entries of the base (in key order) with all changes made. Raises DoesNotFit, at the latest at the end:
        nothing may be decided before."""
        keys = sorted(self._last)
        done = 0
        for block in base:
            upto = bisect_right(keys, block.keys[-1], done) if len(block) else done
            changed = self._changed(block, keys[done:upto]) if upto > done else block
            done = upto
            if len(changed):
                yield changed
        for start in range(done, len(keys), RUN):
            after = self._changed(Columns(), keys[start : start + RUN])
            if len(after):
                yield after

    def _changed(self, block: Columns, keys: Sequence[ObjectKey]) -> Columns:
        """A run of the base with the changes of these keys made, which all lie in it or after it."""
        made = Columns()
        at = 0
        for key in keys:
            place = bisect_left(block.keys, key, at)
            made.extend(block.part(at, place))
            there = place < len(block) and block.keys[place] == key
            at = place + there
            if not there and key in self._needed:
                raise DoesNotFit("it removes what is not there")
            if (put := self._last[key]) is not None:
                made.append(put)
        made.extend(block.part(at, len(block)))
        return made


Pair = tuple[ObjectVersion | None, ObjectVersion | None]
"""A key's entry before and after; None where there is none."""


def unlike(old: Iterable[Columns], new: Iterable[Columns]) -> Iterator[Pair]:
    """The entries of each key on which two states do not agree in everything; both, and the answer, in key order.

    Both are gone through side by side, once and to the end. Memory holds one block of each.
    """
    before, after = _Cursor(old), _Cursor(new)
    window = RUN
    while before.left and after.left:
        length = min(before.left, after.left, window)
        if before.ahead(length) == after.ahead(length):
            before.skip(length)
            after.skip(length)
            window = min(2 * window, RUN)
        elif length > _FEW:
            window = length // 4
        else:
            yield from _unlike_ahead(before, after, length)
    while before.left:
        yield before.take(), None
    while after.left:
        yield None, after.take()


def changes_of(pairs: Iterable[Pair]) -> Iterator[Change]:
    """What makes the one state of the other, of all that they do not agree on."""
    for before, after in pairs:
        if after is not None:
            yield after
        elif before is not None:
            yield Removal(before.key)


def _unlike_ahead(before: "_Cursor", after: "_Cursor", most: int) -> Iterator[Pair]:
    """Of the next entries, one by one: up to `most` steps, or to the end of a block."""
    for _ in range(most):
        if before.key < after.key:
            yield before.take(), None
        elif after.key < before.key:
            yield None, after.take()
        elif before.fields() == after.fields():
            before.skip(1)
            after.skip(1)
        else:
            yield before.take(), after.take()
        if not (before.left and after.left):
            return


class _Cursor:
    """A place in a run of blocks."""

    __slots__ = ("_block", "_blocks", "_place", "left")

    def __init__(self, blocks: Iterable[Columns]) -> None:
        self._blocks = iter(blocks)
        self._block = Columns()
        self._place = 0
        self.left = 0
        """Entries left in the block at hand; 0: none are left at all."""
        self.skip(0)

    @property
    def key(self) -> ObjectKey:
        return self._block.keys[self._place]

    def fields(self) -> tuple[object, ...]:
        """All that the next entry has beside its key."""
        at, block = self._place, self._block
        return block.version_ids[at], block.sizes[at], block.times[at], block.etags[at], block.classes[at]

    def ahead(self, length: int) -> Columns:
        """As many of the next entries, of those left in the block."""
        return self._block.part(self._place, self._place + length)

    def take(self) -> ObjectVersion:
        """The next entry, which is gone past."""
        entry = self._block.version(self._place)
        self.skip(1)
        return entry

    def skip(self, length: int) -> None:
        self._place += length
        self.left -= length
        while not self.left and (block := next(self._blocks, None)) is not None:
            self._block, self._place, self.left = block, 0, len(block)


def ascend(keys: Iterable[ObjectKey]) -> bool:
    """Whether each key comes after the one before it: Python compares text as S3 orders it."""
    return all(starmap(lt, pairwise(keys)))


def fits_a_strand(base_entries: int, links: int, changes: int) -> bool:
    """Whether a base may carry that many deltas, with that many changes in all."""
    return links <= MOST_LINKS and changes * LARGEST_SHARE <= base_entries
