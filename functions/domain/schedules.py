"""When a schedule comes: `rate(…)` and `cron(…)` as EventBridge Scheduler reads them, in UTC.

Of cron's six fields what AWS documents is read: numbers, names, lists, ranges, steps, and L, W and # for days. What it
does not, as a range that goes backwards, is refused: nobody should learn on the day that matters how AWS takes it.
Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise

MONTH = timedelta(days=30)
_YEARS = range(1970, 2200)
_TWO_CYCLES = range(2024, 2080)
"""After 28 years each date falls on its weekday again, until 2099. Two of these have every pause that comes in one."""
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_WEEKDAYS = {name: number for number, name in enumerate(_WEEKDAY_NAMES, 1)}
_SATURDAY = _WEEKDAYS["SAT"]
_NO_NAMES: Mapping[str, int] = {}


@dataclass(frozen=True)
class Rate:
    """Every so often, from whenever it was deployed."""

    every: timedelta

    @property
    def longest_pause(self) -> timedelta:
        """Two runs are so far apart."""
        return self.every

    @property
    def times_a_month(self) -> float:
        """Runs in 30 days."""
        return MONTH / self.every


@dataclass(frozen=True)
class Cron:
    """At these times of these days."""

    times: tuple[time, ...]
    """In order, at least one."""
    months: frozenset[int]
    years: frozenset[int]
    comes_on: Callable[[date], bool]
    """Of days in these months and years."""

    def after(self, moment: datetime) -> datetime | None:
        """The first run after an aware moment; None if there is none any more."""
        today = moment.astimezone(UTC).date()
        for day in self.days(range(today.year, _YEARS.stop)):
            if day >= today:
                for each in self.times:
                    if (run := datetime.combine(day, each, UTC)) > moment:
                        return run
        return None

    @cached_property
    def longest_pause(self) -> timedelta:
        """Two runs are at most so far apart; very long where there is a last one."""
        days = [*self.days(_TWO_CYCLES)]
        if not days:
            return timedelta.max
        # To the end: a schedule whose years are over does not come any more.
        far = [later - earlier for earlier, later in pairwise([*days, date(_TWO_CYCLES.stop, 1, 1)])]
        times = [_since_midnight(each) for each in self.times]
        within_a_day = (later - earlier for earlier, later in pairwise(times))
        return max([max(far) - times[-1] + times[0], *within_a_day])

    @property
    def times_a_month(self) -> float:
        """Runs in 30 days, on average."""
        whole = date(_TWO_CYCLES.stop, 1, 1) - date(_TWO_CYCLES.start, 1, 1)
        return len([*self.days(_TWO_CYCLES)]) * len(self.times) * (MONTH / whole)

    def days(self, years: range) -> Iterator[date]:
        """In order."""
        for year in years:
            for month in sorted(self.months) if year in self.years else ():
                days = (date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1))
                yield from filter(self.comes_on, days)


@lru_cache(maxsize=512)
def read_schedule(expression: str) -> Rate | Cron:
    """What `rate(…)` or `cron(…)` says.

    Raises ValueError with what is wrong, and an example.
    """
    if match := re.fullmatch(r"rate\(([1-9]\d{0,5}) (minute|hour|day)s?\)", expression):
        return Rate(timedelta(**{f"{match[2]}s": int(match[1])}))
    if match := re.fullmatch(r"cron\(([^()]{9,100})\)", expression):
        return _cron(match[1])
    raise ValueError('"rate(1 day)" or "cron(0 3 * * ? *)", as EventBridge Scheduler writes them')


def next_run(expression: str, now: datetime, last: datetime | None) -> datetime | None:
    """About when a schedule comes next, if it came at `last`; None: never, or before the first run of a rate."""
    match read_schedule(expression):
        case Cron() as cron:
            return cron.after(now)
        case Rate(every):
            return last + every * max(1, -((last - now) // every)) if last else None


def _cron(fields: str) -> Cron:
    words = fields.upper().split()
    if len(words) != 6:
        raise ValueError(
            f"{fields!r} has {len(words)} fields; EventBridge Scheduler's six are minutes, hours, day of month, month, "
            'day of week and year: "cron(0 3 * * ? *)"'
        )
    minutes, hours, of_month, months, of_week, years = words
    if (of_month == "?") is (of_week == "?"):
        raise ValueError(f'{fields!r}: exactly one of day of month and day of week is "?", as in "cron(0 3 * * ? *)"')
    schedule = Cron(
        times=tuple(
            time(hour, minute)
            for hour in sorted(_numbers("hours", hours, range(24)))
            for minute in sorted(_numbers("minutes", minutes, range(60)))
        ),
        months=_numbers("month", months, range(1, 13), _MONTHS),
        years=_numbers("year", years, _YEARS),
        comes_on=_on_days_of_week(of_week) if of_month == "?" else _on_days_of_month(of_month),
    )
    if next(schedule.days(_YEARS), None) is None:
        raise ValueError(f"{fields!r} names a day that never comes")
    return schedule


def _on_days_of_month(word: str) -> Callable[[date], bool]:
    if word == "L":
        return lambda day: day.day == _length(day)
    if word == "LW":
        return lambda day: day.day == _nearest_weekday(day, _length(day))
    if match := re.fullmatch(r"(\d{1,2})W", word):
        (wanted,) = _numbers("day of month", match[1], range(1, 32))
        return lambda day: wanted <= _length(day) and day.day == _nearest_weekday(day, wanted)
    numbers = _numbers("day of month", word, range(1, 32))
    return lambda day: day.day in numbers


def _on_days_of_week(word: str) -> Callable[[date], bool]:
    if word == "L":
        return lambda day: _weekday(day) == _SATURDAY
    if match := re.fullmatch(r"(\w+)L", word):
        (last,) = _numbers("day of week", match[1], range(1, 8), _WEEKDAYS)
        return lambda day: _weekday(day) == last and day.day + 7 > _length(day)
    if match := re.fullmatch(r"(\w+)#([1-5])", word):
        (wanted,) = _numbers("day of week", match[1], range(1, 8), _WEEKDAYS)
        which = int(match[2])
        return lambda day: _weekday(day) == wanted and (day.day + 6) // 7 == which
    numbers = _numbers("day of week", word, range(1, 8), _WEEKDAYS)
    return lambda day: _weekday(day) in numbers


def _numbers(field: str, word: str, possible: range, names: Mapping[str, int] = _NO_NAMES) -> frozenset[int]:
    """What a field names: `*`, `5`, `MON-FRI`, `0/15`, `1-10/3`, and lists of these."""
    found: set[int] = set()
    for piece in word.split(","):
        match = re.fullmatch(r"(?:(\*)|([A-Z]{3}|\d{1,4})(?:-([A-Z]{3}|\d{1,4}))?)(?:/(\d{1,4}))?", piece)
        if match is None:
            raise ValueError(f"{piece!r} is no {field} of a cron expression that RWM knows")
        everything, first, last, step = match.groups()
        start = possible.start if everything else _number(field, first, possible, names)
        to_the_end = possible[-1] if everything or step else start
        end = _number(field, last, possible, names) if last else to_the_end
        if end < start:
            raise ValueError(f"{piece!r} goes backwards: write a {field} that does as two, with a comma")
        if step and int(step) == 0:
            raise ValueError(f"{piece!r}: a step of 0 gets nowhere")
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(field: str, word: str, possible: range, names: Mapping[str, int]) -> int:
    number = names.get(word, int(word) if word.isdigit() else None)
    if number is None or number not in possible:
        raise ValueError(f"{word!r} is no {field}: it is {possible[0]} to {possible[-1]}")
    return number


def _weekday(day: date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int:
    """The day from Monday to Friday that is nearest to the `wanted` one of that month, in the same month."""
    match date(day.year, day.month, wanted).isoweekday():
        case 6:
            return wanted - 1 if wanted > 1 else wanted + 2
        case 7:
            return wanted + 1 if wanted < _length(day) else wanted - 2
        case _:
            return wanted


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute)
