"""What a fresh state is compared with, so that a loss shows however slowly it comes.

Amounts. An honest repository is a saw-tooth: snapshots pile up until `restic forget`, packs until `restic
prune`. Its peak says nothing, so each full week counts with the least it had, and the highest of these over
the last `baseline_days` is the level. A week is as long as most people wait between two prunes. Until there
is a full week, the highest amount is the level. The price: a fall back to what there was a week ago cannot be
told from a weekly forget. States that a prune dropped count as well: what retention leaves of a week may be its
peaks, and their headers, with the amounts, are never deleted. Because levels reach back over weeks, a threshold
is compared with all that was lost since then, in however many states: 5% a day shows on the fifth day, 1% every
minute at once.

Approval. A state that a person approved caps what came before it: what was lost until then is accepted, and
nothing after. It stays a level for itself however old it gets, so that erosion slower than `baseline_days`
shows, too.

Entries. Key files and `config` are compared with the oldest kept state since the approved one, which is that
one itself unless a prune dropped it. Old data is compared with the oldest of these that is younger than
`baseline_days`: over longer times an honest repository replaces most of its data.

Security rules:
- Only S3's clock counts; times inside snapshots can be forged. What a person has accepted ends with the cut of the
  state that was approved, not with the hour of the approval: what came in between was in no plan.
- Once there is a full week, later states never lower a level within `baseline_days`, however many there are.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from functions.domain.consistent.shown import NOTHING_SHOWN, Shown
from functions.domain.restic import FileType
from functions.domain.state import StateHeader, Tally

WEEK = timedelta(days=7)
"""How far apart two visits of an honest `restic forget --prune` are, at most, for its saw-tooth to be known."""
_NONE = Tally(objects=0, bytes=0)


@dataclass(frozen=True, slots=True)
class Point:
    """The amounts of one recorded state."""

    cut_time: datetime
    busy: bool
    snapshots: int
    data_bytes: int

    @classmethod
    def of(cls, header: StateHeader) -> "Point":
        return cls(
            cut_time=header.cut_time,
            busy=header.busy,
            snapshots=header.by_type.get(FileType.SNAPSHOT, _NONE).objects,
            data_bytes=header.by_type.get(FileType.PACK, _NONE).bytes,
        )


@dataclass(frozen=True, slots=True)
class Approved:
    """The last state that a person approved, kept or not: its header says what there was."""

    header: StateHeader
    week: tuple[StateHeader, ...] = ()
    """Those cut in the week before it, kept or not: whoever approves at a peak has not promised the peak."""

    @classmethod
    def of(cls, header: StateHeader, before: Iterable[StateHeader]) -> "Approved":
        """`before`: the chain below it, newest first, of which no more is taken than needed."""
        begin = header.cut_time - WEEK
        return cls(header, tuple(takewhile(lambda each: each.cut_time >= begin, before)))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is known of the past. Empty: there is nothing to compare with, and nothing is found missing."""

    points: tuple[Point, ...] = ()
    """Of states, dropped ones as well, oldest first."""
    approved: Point | None = None
    """The last state that a person approved."""
    approved_week: tuple[Point, ...] = ()
    """Of the week before it."""
    reference: Shown = NOTHING_SHOWN
    """The state that key files and config are compared with."""
    old: Shown = NOTHING_SHOWN
    """The state that old data is compared with."""

    @property
    def approved_until(self) -> datetime | None:
        """What happened until then, a person has seen and accepted."""
        return self.approved.cut_time if self.approved else None

    def level(self, amount: Callable[[Point], int], now: datetime, days: int) -> int:
        """The amount below which a drop shows; 0 where nothing is known."""
        points = [each for each in self._capped() if each.cut_time < now]
        recent = [each for each in points if each.cut_time >= now - timedelta(days=days)]
        levels = _weeks(points, recent, amount) or [amount(each) for each in recent]
        if self.approved is not None:
            levels.append(min(amount(each) for each in (self.approved, *self.approved_week)))
        return max(levels, default=0)

    def _capped(self) -> list[Point]:
        approved = self.approved
        if approved is None:
            return list(self.points)
        return [
            replace(
                each,
                snapshots=min(each.snapshots, approved.snapshots),
                data_bytes=min(each.data_bytes, approved.data_bytes),
            )
            if each.cut_time <= approved.cut_time
            else each
            for each in self.points
        ]


@dataclass(frozen=True, slots=True)
class Comparands:
    """The headers whose entries a baseline needs; None: there is none."""

    reference: StateHeader | None
    old: StateHeader | None


def comparands(kept: Iterable[StateHeader], approved: Approved | None, now: datetime, days: int) -> Comparands:
    """Which of the `kept` states (in any order) the entries are to be read of; the approved one need not be kept."""
    since = [each for each in kept if approved is None or each.cut_time >= approved.header.cut_time]
    by_age = sorted((each for each in since if each.cut_time < now), key=lambda header: header.cut_time)
    begin = now - timedelta(days=days)
    # A state that was recorded before `restic init`, or before the first backup, would excuse whatever came after.
    with_keys = (each for each in by_age if FileType.KEY in each.by_type)
    with_data = (each for each in by_age if each.cut_time >= begin and FileType.PACK in each.by_type)
    return Comparands(reference=next(with_keys, None), old=next(with_data, None))


def baseline(
    headers: Iterable[StateHeader],
    approved: Approved | None,
    *,
    reference: Shown = NOTHING_SHOWN,
    old: Shown = NOTHING_SHOWN,
) -> Baseline:
    """The baseline of `headers`, kept or not, with what the two states show that `comparands` named."""
    points = sorted(map(Point.of, headers), key=lambda point: point.cut_time)
    return Baseline(
        points=tuple(points),
        approved=Point.of(approved.header) if approved else None,
        approved_week=tuple(map(Point.of, approved.week)) if approved else (),
        reference=reference,
        old=old,
    )


def _weeks(points: Sequence[Point], recent: Sequence[Point], amount: Callable[[Point], int]) -> list[int]:
    """The least of each full week that ends with one of the `recent` points; all oldest first."""
    times = [each.cut_time for each in points]
    found: list[int] = []
    for last in recent:
        begin = last.cut_time - WEEK
        if begin < times[0]:
            continue
        # From the last point at or before the week begins: what it shows lasted into the week.
        week = [amount(each) for each in points[bisect_right(times, begin) - 1 : bisect_right(times, last.cut_time)]]
        found.append(min(week))
    return found
