"""What the kept states name, folded as they are read: memory grows with the versions, not with the states."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from functions.domain.columns import Columns
from functions.domain.consistent.fresh import Pin
from functions.domain.values import ObjectKey, ObjectVersion, VersionId

_NEVER = float("-inf")


class Kept:
    """Which versions kept states name, and since which of them."""

    def __init__(self) -> None:
        self._first: dict[tuple[ObjectKey, VersionId], datetime] = {}
        self._cuts: list[datetime] = []

    def add(self, cut_time: datetime, entries: Iterable[ObjectVersion]) -> None:
        """A state with its entries; states in any order."""
        self.add_same(cut_time)
        for version in entries:
            named = (version.key, version.version_id)
            self._first[named] = min(self._first.get(named, cut_time), cut_time)

    def add_same(self, cut_time: datetime) -> None:
        """A state with the entries of one that is older, and that was added."""
        insort(self._cuts, cut_time)

    def by_key(self) -> Iterator[tuple[ObjectKey, Mapping[VersionId, datetime]]]:
        """In key order: the versions that are named, and the cut time of the first state that names each."""
        for key, named in groupby(sorted(self._first), key=itemgetter(0)):
            yield key, {each[1]: self._first[each] for each in named}

    def cut_before(self, cut_time: datetime | None = None) -> datetime | None:
        """The last cut before `cut_time`, or of all."""
        place = len(self._cuts) if cut_time is None else bisect_left(self._cuts, cut_time)
        return self._cuts[place - 1] if place else None

    def first_cut_from(self, instant: datetime) -> datetime | None:
        """The first cut at or after `instant`."""
        place = bisect_left(self._cuts, instant)
        return self._cuts[place] if place < len(self._cuts) else None


class Sought:
    """What kept states name, while a listing passes in key order."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._pins = kept.by_key()
        self._pin = next(self._pins, None)
        self._due: dict[ObjectKey, Mapping[VersionId, datetime]] = {}
        """What is named of the block at hand, until its key is taken."""
        self._gone: list[Pin] = []
        self._last_cut = _second(kept.cut_before())
        self._since: dict[datetime, float] = {}
        """The second of the cut before that of each state that was the first to name something."""

    def reach(self, key: ObjectKey) -> None:
        """A block is at hand that ends with `key`."""
        while self._pin is not None and self._pin[0] <= key:
            self._due.update([self._pin])
            self._pin = next(self._pins, None)

    def take(self, key: ObjectKey) -> Mapping[VersionId, datetime]:
        """What is named of a key that is listed: each version, and the cut of the first state that names it."""
        return self._due.pop(key, {})

    def miss(self, key: ObjectKey, version_ids: Iterable[VersionId]) -> None:
        """These are named, and were not listed."""
        if missing := frozenset(version_ids):
            self._gone.append(Pin(key, missing))

    def leave(self) -> None:
        """All keys up to the end of the block were taken that are listed at all."""
        for key in list(self._due):
            self.miss(key, self._due.pop(key))

    def gone(self) -> tuple[Pin, ...]:
        """All that was not listed, in key order, once the whole listing has passed."""
        while self._pin is not None:
            self.miss(*self._pin)
            self._pin = next(self._pins, None)
        return tuple(sorted(self._gone, key=lambda pin: pin.key))

    def unvouched(self, run: Columns) -> Iterator[int]:
        """The places of entries, but for those of which exactly this version is named, and by the first state that was
        cut after it; or that came after all states. Their keys have only this one entry."""
        if self._last_cut == _NEVER:
            return
        for row, (key, version_id, time) in enumerate(zip(run.keys, run.version_ids, run.times, strict=True)):
            named = self._due.get(key)
            if named is None:
                vouched = time > self._last_cut
            else:
                first = named.get(version_id) if len(named) == 1 else None
                vouched = first is not None and time > self._second_before(first)
            if not vouched:
                yield row

    def _second_before(self, cut_time: datetime) -> float:
        if cut_time not in self._since:
            self._since[cut_time] = _second(self._kept.cut_before(cut_time))
        return self._since[cut_time]


def _second(instant: datetime | None) -> float:
    return _NEVER if instant is None else instant.timestamp()
