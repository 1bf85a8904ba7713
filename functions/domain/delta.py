"""What changed between two states, as the ledger keeps it, and when a state is kept that way.

A state is a base, all of its entries, or a delta: what is put in and what is removed on the state before it. The base
and the deltas on it are one strand; the state at its end is the base with each delta applied, the oldest first.

Security rules:
- An entry that differs in anything is put, not only in what the roots cover: what is read back is what was recorded.
- A delta that removes what is not there, or that is out of order, belongs to another state: nothing is made of it.
- A strand is short and its deltas are few, so that what a reader has to hold and fetch has a bound.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from functions.domain.values import ObjectKey, ObjectVersion

MOST_LINKS = 64
"""Deltas on one base: each costs its readers a header and a chunk or more."""
LARGEST_SHARE = 5
"""All deltas on a base have at most one change for this many of its entries."""
_BLOCK = 512
"""Entries that are compared at once. Most of a repository does not change from one backup to the next."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A key that the state before has and this one has not."""

    key: ObjectKey


Change = ObjectVersion | Removal
"""An entry that is put in, in the place of the one of its key if there is one; or a key that is removed."""


class DoesNotFit(Exception):
    """A delta is not one on these entries; nothing was made of it."""


def changes_between(old: Sequence[ObjectVersion], new: Sequence[ObjectVersion]) -> Iterator[Change]:
    """What makes `new` of `old`, both in key order, in key order."""
    at_old = at_new = 0
    while at_old < len(old) and at_new < len(new):
        # Compared by identity first: a listing shows the same entry for both.
        if old[at_old : at_old + _BLOCK] == new[at_new : at_new + _BLOCK]:
            at_old += _BLOCK
            at_new += _BLOCK
            continue
        stop = at_new + _BLOCK
        while at_new < stop and at_old < len(old) and at_new < len(new):
            before, after = old[at_old], new[at_new]
            if before is after:
                at_old += 1
                at_new += 1
            elif before.key < after.key:
                yield Removal(before.key)
                at_old += 1
            else:
                if before.key == after.key:
                    at_old += 1
                if before != after:
                    yield after
                at_new += 1
    for left in old[at_old:]:
        yield Removal(left.key)
    yield from new[at_new:]


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


def ascend(keys: Iterable[ObjectKey]) -> bool:
    """Whether each key comes after the one before it: Python compares text as S3 orders it."""
    return all(earlier < later for earlier, later in pairwise(keys))


def fits_a_strand(base_entries: int, links: int, changes: int) -> bool:
    """Whether a base may carry that many deltas, with that many changes in all."""
    return links <= MOST_LINKS and changes * LARGEST_SHARE <= base_entries
