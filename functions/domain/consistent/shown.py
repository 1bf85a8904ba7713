"""What the rules look at of an older state: the few files that are compared one by one, and packs by the hour."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from operator import floordiv, sub

from functions.domain.columns import Columns
from functions.domain.cut import Cut
from functions.domain.delta import Change, unlike
from functions.domain.restic import FileType, digests_of_packs, file_type
from functions.domain.values import Digest, ObjectVersion

HOUR = timedelta(hours=1)
FEW = frozenset({FileType.CONFIG, FileType.KEY, FileType.ALIEN})
"""Compared one by one. All others are counted."""


@dataclass(frozen=True, slots=True)
class PacksOfAnHour:
    """Of an older state, the packs that were written in one hour."""

    age: int
    """Whole hours from then until the cut that is judged."""
    bytes: int
    left: int
    """Bytes of those whose names are in the cut that is judged."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an older state shows, beside the cut that is judged."""

    few: tuple[ObjectVersion, ...] = ()
    """Its entries of the types in FEW, in key order."""
    kinds: frozenset[FileType] = frozenset()
    """The types of all of its entries."""
    packs: tuple[PacksOfAnHour, ...] = ()
    """The youngest first; hours without bytes are left out."""

    @classmethod
    def of(cls, state: Iterable[Columns], cut: Cut) -> "Shown":
        """What the entries of a state (in key order) show, read beside those of the cut that is judged."""
        gathered = Gathered(cut.time)
        for before, after in unlike(gathered.through(state), cut.versions.blocks()):
            if before is not None and after is None:
                gathered.lose(before)
        return gathered.shown()


NOTHING_SHOWN = Shown()
"""Where there is no state to compare with."""


@dataclass(frozen=True, slots=True)
class PastCut:
    """What a listing shows as current at an earlier instant."""

    objects: int
    manifest: Digest
    attributes: Digest
    shown: Shown
    changes: tuple[Change, ...] | None
    """What makes the cut that is judged of it, in key order, and was proven to; None: more than were to be kept."""


class Gathered:
    """A `Shown` in the making, for a cut that is taken `at` an instant."""

    def __init__(self, at: datetime) -> None:
        self.kinds: set[FileType] = set()
        self._at = at
        self._few: list[ObjectVersion] = []
        self._bytes: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()

    def through(self, state: Iterable[Columns]) -> Iterator[Columns]:
        """The same blocks, whose entries are added as they pass."""
        for block in state:
            if digests_of_packs(block.keys) is None:
                for version in block.versions():
                    self.add(version)
            else:
                self.kinds.add(FileType.PACK)
                for age, size in zip(hours_until(self._at, block.times), block.sizes, strict=True):
                    self.weigh(age, size)
            yield block

    def add(self, version: ObjectVersion) -> None:
        """The next entry in key order."""
        kind = file_type(version.key)
        self.kinds.add(kind)
        if kind in FEW:
            self._few.append(version)
        elif kind is FileType.PACK:
            self.weigh(self._age(version), version.size)

    def weigh(self, age: int, size: int) -> None:
        """So many bytes of packs that were written so many hours before the cut."""
        self._bytes[age] += size

    def lose(self, version: ObjectVersion) -> None:
        """The cut has nothing of the name of an entry that was added."""
        if file_type(version.key) is FileType.PACK:
            self._lost[self._age(version)] += version.size

    def shown(self) -> Shown:
        hours = sorted(self._bytes.items())
        packs = (PacksOfAnHour(age, size, size - self._lost[age]) for age, size in hours if size)
        return Shown(tuple(self._few), frozenset(self.kinds), tuple(packs))

    def _age(self, version: ObjectVersion) -> int:
        return (self._at - version.last_modified) // HOUR


def hours_until(at: datetime, times: Iterable[int]) -> Iterable[int]:
    """Whole hours until then from each of `times`, in seconds since 1970."""
    return map(floordiv, map(sub, repeat(int(at.timestamp())), times), repeat(int(HOUR.total_seconds())))
