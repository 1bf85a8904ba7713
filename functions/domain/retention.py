"""Which bucket states are kept, why, and until when. What no kept state names may be pruned, so this is where an
attacker with patience would begin.

The rules, over the states that are not dropped yet:

1. Everything within `keep_within` of now, and never less than `grace_days`.
2. Then, of what is older, per day, week, month and year (of UTC): the last clean state and the last of any verdict,
   in as many of the newest such periods as are configured. Only periods that have a state count, as in restic's
   `--keep-daily`. The periods are counted from where `keep_within` ends, not from now: nothing that is younger can
   push an older one out, however much of it there is.
3. Held states, until they are released.
4. No state is dropped unless three *witnesses* exist: newer states, clean and quiet, at least `grace_days` apart from
   it. It is each witness that lies `grace_days` after the state; between two witnesses there may be less. Were it
   `grace_days` there, too, everything would be kept for three times as long as asked, and space never reclaimed
   in time. But a flood must not stand for three witnesses: they are at least WITNESSES_APART from one another (or
   `grace_days`, where that is shorter), so that all that is recorded within a day counts once.
5. The newest state, whatever it is.

Security rules:
- Only cut times count, which are S3's clock: no time that a host can write.
- Silence: with no new clean states there are no new witnesses: what has fewer than three stays, however old it gets.
- Dirt: a state that is not clean, or not quiet, is no witness, and never takes a clean one's place in a period.
- Flood: states younger than `keep_within` displace nothing in rule 2, and those of one day are one witness in rule 4.
  Within `grace_days` after a state they are none for it.
- The three newest witnesses of the whole repository are themselves never droppable, so whatever is dropped leaves
  three good states behind.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from functions.domain.repositories import Retention
from functions.domain.state import StateHeader
from functions.domain.values import StateId
from functions.domain.verdict import Verdict, is_good

WITNESSES = 3
"""So many newer good states a state must have before it may go."""
WITNESSES_APART = timedelta(days=1)
"""And so far apart they are from one another, so that an hour's flood counts once."""


class Why(StrEnum):
    """What keeps a state."""

    NEWEST = "newest"
    HELD = "held"
    NEEDED = "needed"
    """Fewer than three witnesses lie `grace_days` after it."""
    WITHIN = "within"
    """Not older than `keep_within`."""
    LAST_CLEAN_OF_DAY = "last-clean-of-day"
    LAST_OF_DAY = "last-of-day"
    LAST_CLEAN_OF_WEEK = "last-clean-of-week"
    LAST_OF_WEEK = "last-of-week"
    LAST_CLEAN_OF_MONTH = "last-clean-of-month"
    LAST_OF_MONTH = "last-of-month"
    LAST_CLEAN_OF_YEAR = "last-clean-of-year"
    LAST_OF_YEAR = "last-of-year"


@dataclass(frozen=True, slots=True)
class JudgedState:
    """All that retention looks at."""

    id: StateId
    generation: int
    cut_time: datetime
    clean: bool
    """`is_good`: judged, without FAIL or HOLD."""
    quiet: bool
    """No restic was at work at the cut."""

    @classmethod
    def of(cls, header: StateHeader, verdicts: Iterable[Verdict]) -> "JudgedState":
        return cls(header.id, header.generation, header.cut_time, is_good(header, verdicts), not header.busy)


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to become of a state: kept for all of these reasons, or droppable for want of any."""

    state: JudgedState
    why: tuple[Why, ...]
    """In the order of `Why`."""
    until: datetime | None
    """Kept at least until then; None: for as long as a reason lasts, which no clock alone ends."""

    @property
    def kept(self) -> bool:
        return bool(self.why)


Period = Callable[[datetime], tuple[int, ...]]

_PERIODS: tuple[tuple[str, Period, Why, Why], ...] = (
    ("days", lambda cut: (cut.year, cut.month, cut.day), Why.LAST_CLEAN_OF_DAY, Why.LAST_OF_DAY),
    ("weeks", lambda cut: cut.isocalendar()[:2], Why.LAST_CLEAN_OF_WEEK, Why.LAST_OF_WEEK),
    ("months", lambda cut: (cut.year, cut.month), Why.LAST_CLEAN_OF_MONTH, Why.LAST_OF_MONTH),
    ("years", lambda cut: (cut.year,), Why.LAST_CLEAN_OF_YEAR, Why.LAST_OF_YEAR),
)


def decide_fates(
    states: Iterable[JudgedState],
    holds: Collection[StateId],
    retention: Retention,
    grace: timedelta,
    now: datetime,
) -> tuple[Fate, ...]:
    """The fate of each of `states` (those not dropped yet, in any order), the newest first. `now` is S3's clock."""
    newest_first = sorted(states, key=lambda state: (state.generation, state.cut_time), reverse=True)
    within = max(retention.keep_within, grace)
    older = [state for state in newest_first if now - state.cut_time > within]
    why: dict[StateId, set[Why]] = {state.id: set() for state in newest_first}
    for state in newest_first[:1]:
        why[state.id].add(Why.NEWEST)
    for state in newest_first:
        if now - state.cut_time <= within:
            why[state.id].add(Why.WITHIN)
        if state.id in holds:
            why[state.id].add(Why.HELD)
    witness = _oldest_of_three(newest_first, min(WITNESSES_APART, grace))
    for state in newest_first:
        if witness is None or state.cut_time > witness - grace:
            why[state.id].add(Why.NEEDED)
    for field, period, last_clean, last in _PERIODS:
        count: int = getattr(retention, field)
        for state in _last_of_each([state for state in older if state.clean], period, count):
            why[state.id].add(last_clean)
        for state in _last_of_each(older, period, count):
            why[state.id].add(last)
    return tuple(_fate(state, why[state.id], within) for state in newest_first)


def _fate(state: JudgedState, why: set[Why], within: timedelta) -> Fate:
    reasons = tuple(each for each in Why if each in why)
    return Fate(state, reasons, state.cut_time + within if reasons == (Why.WITHIN,) else None)


def _oldest_of_three(newest_first: Sequence[JudgedState], apart: timedelta) -> datetime | None:
    """The cut time of the oldest of the three newest witnesses; None: there are not as many.

    Taking the newest that is far enough from the one before leaves the most room for the next.
    """
    by_time = sorted((state.cut_time for state in newest_first if state.clean and state.quiet), reverse=True)
    found: list[datetime] = []
    for cut in by_time:
        if not found or found[-1] - cut >= apart:
            found.append(cut)
        if len(found) == WITNESSES:
            return cut
    return None


def _last_of_each(states: Sequence[JudgedState], period: Period, count: int) -> list[JudgedState]:
    """Of `states`, the newest of each of the `count` newest periods that have any."""
    last: dict[tuple[int, ...], JudgedState] = {}
    for state in sorted(states, key=lambda state: (state.cut_time, state.generation), reverse=True):
        last.setdefault(period(state.cut_time), state)
    return list(last.values())[:count]
