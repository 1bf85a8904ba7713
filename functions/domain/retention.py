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

How long a state is certain to be kept follows from the states there are: only older states than `keep_within` push one
another out of rule 2, so what comes from now on pushes nothing out before `keep_within` has passed. Beyond that the
worst is assumed: a state now, one at the start of each period, and witnesses as fast as they count.

Security rules:
- Only cut times count, which are S3's clock: no time that a host can write.
- Silence: with no new clean states there are no new witnesses: what has fewer than three stays, however old it gets.
- Dirt: a state that is not clean, or not quiet, is no witness, and never takes a clean one's place in a period.
- Flood: states younger than `keep_within` displace nothing in rule 2, and those of one day are one witness in rule 4.
  Within `grace_days` after a state they are none for it.
- The three newest witnesses of the whole repository are themselves never droppable, so whatever is dropped leaves
  three good states behind.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from functions.domain.repositories import Retention
from functions.domain.state import StateHeader
from functions.domain.values import StateId
from functions.domain.verdict import Verdict, is_good

WITNESSES = 3
"""So many newer good states a state must have before it may go."""
WITNESSES_APART = timedelta(days=1)
"""And so far apart they are from one another, so that an hour's flood counts once."""
SILENCE = 3
"""When for so many times `WITNESSES_APART` no good state came, nobody can say when the next one does."""


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
    """Kept at least until then, whatever is recorded, unless verdicts, holds or the configuration change. None: for as
    long as a reason lasts, which no clock alone ends: it is held, or needed while no good states come, or nothing but
    the newest."""

    @property
    def kept(self) -> bool:
        return bool(self.why)


Period = Callable[[datetime], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rule 2 for one length of periods."""

    field: str
    """Of Retention: how many of them."""
    period: Period
    following: Callable[[datetime], datetime]
    """The first instant of the next one."""
    last_clean: Why
    last: Why


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


_RULES = (
    _Rule(
        "days",
        lambda cut: (cut.year, cut.month, cut.day),
        lambda at: _midnight(at) + timedelta(days=1),
        Why.LAST_CLEAN_OF_DAY,
        Why.LAST_OF_DAY,
    ),
    _Rule(
        "weeks",
        lambda cut: cut.isocalendar()[:2],
        lambda at: _midnight(at) + timedelta(days=7 - at.weekday()),
        Why.LAST_CLEAN_OF_WEEK,
        Why.LAST_OF_WEEK,
    ),
    _Rule(
        "months",
        lambda cut: (cut.year, cut.month),
        # From its first day 32 lead into the next month, and into no later one.
        lambda at: (_midnight(at.replace(day=1)) + timedelta(days=32)).replace(day=1),
        Why.LAST_CLEAN_OF_MONTH,
        Why.LAST_OF_MONTH,
    ),
    _Rule(
        "years",
        lambda cut: (cut.year,),
        lambda at: _midnight(at.replace(year=at.year + 1, month=1, day=1)),
        Why.LAST_CLEAN_OF_YEAR,
        Why.LAST_OF_YEAR,
    ),
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
    apart = min(WITNESSES_APART, grace)
    witness = _oldest_of_three(newest_first, apart)
    for state in newest_first:
        if witness is None or state.cut_time > witness - grace:
            why[state.id].add(Why.NEEDED)
    for rule in _RULES:
        count: int = getattr(retention, rule.field)
        for state in _last_of_each([state for state in older if state.clean], rule.period, count):
            why[state.id].add(rule.last_clean)
        for state in _last_of_each(older, rule.period, count):
            why[state.id].add(rule.last)
    ends = _ends(newest_first, retention, grace, now)
    silent = not any(state.clean and state.quiet and now - state.cut_time <= SILENCE * apart for state in newest_first)
    return tuple(_fate(state, why[state.id], ends[state.id], silent=silent) for state in newest_first)


def _ends(
    states: Sequence[JudgedState], retention: Retention, grace: timedelta, now: datetime
) -> Mapping[StateId, datetime]:
    """Until when each state is kept at the least, by its age, its periods, or the want of witnesses."""
    within = max(retention.keep_within, grace)
    ends = {state.id: state.cut_time + within for state in states}
    for rule in _RULES:
        count: int = getattr(retention, rule.field)
        for among in ([state for state in states if state.clean], states):
            for state, pushed_by in _pushed_out(among, rule, count, now):
                ends[state.id] = max(ends[state.id], pushed_by + within)
    good = sorted(state.cut_time for state in states if state.clean and state.quiet)
    for state in states:
        third = _third_witness(good, state.cut_time + grace, min(WITNESSES_APART, grace), now)
        ends[state.id] = max(ends[state.id], third)
    return ends


def _fate(state: JudgedState, why: set[Why], end: datetime, *, silent: bool) -> Fate:
    reasons = tuple(each for each in Why if each in why)
    lasting = reasons == (Why.NEWEST,) or Why.HELD in why or (silent and Why.NEEDED in why)
    return Fate(state, reasons, end if reasons and not lasting else None)


def _pushed_out(
    states: Sequence[JudgedState], rule: _Rule, count: int, now: datetime
) -> Iterator[tuple[JudgedState, datetime]]:
    """For each of `states` the cut time of the one that pushes it out of its place, once that is older than
    `keep_within`: the next of its period, or the first of the `count`th newer period. The earliest that can be, as long
    as what is recorded from now on has no older cut than now."""
    if not count:
        return
    periods: dict[tuple[int, ...], list[JudgedState]] = {}
    for state in sorted(states, key=lambda state: (state.cut_time, state.generation)):
        periods.setdefault(rule.period(state.cut_time), []).append(state)
    current = rule.period(now)
    firsts = {period: its[0].cut_time for period, its in periods.items()}
    start, to_come = now, 0
    while to_come < count:
        if rule.period(start) not in firsts:
            firsts[rule.period(start)] = start
            to_come += 1
        start = rule.following(start)
    order = sorted(firsts)
    places = {period: place for place, period in enumerate(order)}
    for period, its in periods.items():
        newer = firsts[order[min(places[period] + count, len(order) - 1)]]
        for state, following in pairwise(its):
            yield state, min(following.cut_time, newer)
        yield its[-1], min(now, newer) if period == current else newer


def _third_witness(good: Iterable[datetime], earliest: datetime, apart: timedelta, now: datetime) -> datetime:
    """When there can be three witnesses at `earliest` or later: of `good` (cut times, ascending) and of what may come.

    Taking the first that is far enough from the one before leaves the most room for the next.
    """
    following, at, found = earliest, earliest, 0
    for cut in good:
        if cut >= following and found < WITNESSES:
            following, at, found = cut + apart, cut, found + 1
    while found < WITNESSES:
        at = max(now, following)
        following, found = at + apart, found + 1
    return at


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
