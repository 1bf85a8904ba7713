"""What the kept states name, folded as they are read: memory grows with the versions, not with the states."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from functions.domain.values import ObjectKey, ObjectVersion, VersionId


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

    def first_cut_from(self, instant: datetime) -> datetime | None:
        """The first cut at or after `instant`."""
        place = bisect_left(self._cuts, instant)
        return self._cuts[place] if place < len(self._cuts) else None
