"""Schedules of EventBridge Scheduler: what they say, held against a search minute by minute."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.domain.schedules import Cron, Rate, next_run, read_schedule

NOW = datetime(2026, 11, 22, 19, 30, 15, tzinfo=UTC)
"""A Sunday."""
MINUTE = timedelta(minutes=1)


def cron(fields: str) -> Cron:
    schedule = read_schedule(f"cron({fields})")
    assert isinstance(schedule, Cron)
    return schedule


def runs(fields: str, count: int = 3, after: datetime = NOW) -> list[str]:
    found: list[str] = []
    schedule, moment = cron(fields), after
    for _ in range(count):
        following = schedule.after(moment)
        if following is None:
            break
        moment = following
        found.append(f"{moment:%Y-%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("0 3 * * ? *", ["2026-11-23 03:00", "2026-11-24 03:00", "2026-11-25 03:00"]),
        ("30 19 * * ? *", ["2026-11-23 19:30", "2026-11-24 19:30", "2026-11-25 19:30"]),
        ("31 19 22 11 ? *", ["2026-11-22 19:31", "2027-11-22 19:31", "2028-11-22 19:31"]),
        ("0/15 19-20 * * ? *", ["2026-11-22 19:45", "2026-11-22 20:00", "2026-11-22 20:15"]),
        ("5,10 */12 * * ? *", ["2026-11-23 00:05", "2026-11-23 00:10", "2026-11-23 12:05"]),
        ("0 10 ? * MON-FRI *", ["2026-11-23 10:00", "2026-11-24 10:00", "2026-11-25 10:00"]),
        ("0 10 ? * 1 *", ["2026-11-29 10:00", "2026-12-06 10:00", "2026-12-13 10:00"]),
        ("0 10 ? * sat *", ["2026-11-28 10:00", "2026-12-05 10:00", "2026-12-12 10:00"]),
        ("0 10 ? * L *", ["2026-11-28 10:00", "2026-12-05 10:00", "2026-12-12 10:00"]),
        ("15 10 ? * 6L *", ["2026-11-27 10:15", "2026-12-25 10:15", "2027-01-29 10:15"]),
        ("0 9 ? * 2#1 *", ["2026-12-07 09:00", "2027-01-04 09:00", "2027-02-01 09:00"]),
        ("0 9 ? * TUE#5 *", ["2026-12-29 09:00", "2027-03-30 09:00", "2027-06-29 09:00"]),
        ("0 0 L * ? *", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-31 00:00"]),
        ("0 0 LW * ? *", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-29 00:00"]),
        ("0 0 15W * ? *", ["2026-12-15 00:00", "2027-01-15 00:00", "2027-02-15 00:00"]),
        ("0 0 1W * ? *", ["2026-12-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"]),
        ("0 0 31W JAN-MAR ? *", ["2027-01-29 00:00", "2027-03-31 00:00", "2028-01-31 00:00"]),
        ("0 8 1 JAN,JUL ? *", ["2027-01-01 08:00", "2027-07-01 08:00", "2028-01-01 08:00"]),
        ("0 3 29 2 ? *", ["2028-02-29 03:00", "2032-02-29 03:00", "2036-02-29 03:00"]),
        ("0 3 1 1 ? 2026-2028", ["2027-01-01 03:00", "2028-01-01 03:00"]),
        ("0 3 1 1 ? 2024/2", ["2028-01-01 03:00", "2030-01-01 03:00", "2032-01-01 03:00"]),
        ("0 3 * * ? 2025", []),
    ],
)
def test_a_cron_expression_comes_when_awss_documentation_says(fields: str, expected: list[str]) -> None:
    assert runs(fields) == expected


def test_the_nearest_weekday_stays_in_its_month() -> None:
    assert runs("0 0 1W 5 ? *", 1, datetime(2027, 1, 1, tzinfo=UTC)) == ["2027-05-03 00:00"], "the first is a Saturday"
    assert runs("0 0 31W 10 ? *", 1, datetime(2027, 1, 1, tzinfo=UTC)) == ["2027-10-29 00:00"], "the last is a Sunday"
    assert runs("0 0 14W 11 ? *", 1, datetime(2026, 1, 1, tzinfo=UTC)) == ["2026-11-13 00:00"]
    assert runs("0 0 15W 11 ? *", 1, datetime(2026, 1, 1, tzinfo=UTC)) == ["2026-11-16 00:00"]


def test_times_are_utc_whatever_zone_is_asked_in() -> None:
    elsewhere = NOW.astimezone(datetime.strptime("+0900", "%z").tzinfo)
    assert cron("0 20 * * ? *").after(elsewhere) == datetime(2026, 11, 22, 20, tzinfo=UTC)


def test_a_rate_goes_on_from_its_last_run_whatever_became_of_that() -> None:
    weekly = "rate(7 days)"
    assert read_schedule(weekly) == Rate(timedelta(days=7))
    assert next_run(weekly, NOW, None) is None
    last = NOW - timedelta(days=15)
    assert next_run(weekly, NOW, last) == last + timedelta(days=21)
    assert next_run(weekly, NOW, NOW - timedelta(days=1)) == NOW + timedelta(days=6)
    assert next_run("cron(0 20 * * ? *)", NOW, last) == next_run("cron(0 20 * * ? *)", NOW, None)


@pytest.mark.parametrize(
    ("expression", "pause"),
    [
        ("rate(6 hours)", timedelta(hours=6)),
        ("cron(0 3 * * ? *)", timedelta(days=1)),
        ("cron(0 3,15 * * ? *)", timedelta(hours=12)),
        ("cron(0 3,4 * * ? *)", timedelta(hours=23)),
        ("cron(0/20 * * * ? *)", timedelta(minutes=20)),
        ("cron(0 3 ? * MON-FRI *)", timedelta(days=3)),
        ("cron(0 3,21 ? * MON-FRI *)", timedelta(days=2, hours=6)),
        ("cron(0 3 1 * ? *)", timedelta(days=31)),
        ("cron(0 3 L * ? *)", timedelta(days=31)),
        ("cron(0 3 31 * ? *)", timedelta(days=61)),
        ("cron(0 3 29 2 ? *)", timedelta(days=4 * 365 + 1)),
        ("cron(0 3 ? 2 MON#5 *)", timedelta(days=28 * 365 + 7)),
    ],
)
def test_two_runs_are_at_most_so_far_apart(expression: str, pause: timedelta) -> None:
    assert read_schedule(expression).longest_pause == pause


@pytest.mark.parametrize("years", ["2020", "2026", "2026-2030"])
def test_a_schedule_that_ends_leaves_a_very_long_pause(years: str) -> None:
    assert cron(f"0 * * * ? {years}").longest_pause > timedelta(days=365 * 20)


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("rate(1 day)", 30),
        ("rate(6 hours)", 120),
        ("cron(0 3 * * ? *)", 30),
        ("cron(0 3,15 ? * MON-FRI *)", 2 * 30 * 5 / 7),
        ("cron(0 3 1 * ? *)", 12 * 30 / 365.25),
    ],
)
def test_a_schedule_comes_so_often_in_thirty_days(expression: str, times: float) -> None:
    assert read_schedule(expression).times_a_month == pytest.approx(times)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("hourly", 'rate(1 day)" or "cron('),
        ("rate(0 days)", 'rate(1 day)" or "cron('),
        ("rate(1 week)", 'rate(1 day)" or "cron('),
        ("cron(@daily)", 'rate(1 day)" or "cron('),
        ("cron(0 3 * * *)", "has 5 fields"),
        ("cron(0 3 * * ? * *)", "has 7 fields"),
        ("cron(0 3 * * * *)", 'exactly one of day of month and day of week is "?"'),
        ("cron(0 3 ? * ? *)", 'exactly one of day of month and day of week is "?"'),
        ("cron(60 3 * * ? *)", "'60' is no minutes: it is 0 to 59"),
        ("cron(0 24 * * ? *)", "'24' is no hours: it is 0 to 23"),
        ("cron(0 3 0 * ? *)", "'0' is no day of month: it is 1 to 31"),
        ("cron(0 3 32W * ? *)", "'32' is no day of month"),
        ("cron(0 3 * 13 ? *)", "'13' is no month"),
        ("cron(0 3 * MON ? *)", "'MON' is no month"),
        ("cron(0 3 ? * 0 *)", "'0' is no day of week: it is 1 to 7"),
        ("cron(0 3 ? * 8L *)", "'8' is no day of week"),
        ("cron(0 3 ? * 2#6 *)", "'2#6' is no day of week of a cron expression that RWM knows"),
        ("cron(0 3 ? * MON,2L *)", "'2L' is no day of week"),
        ("cron(0 3 ? * FRI-MON *)", "'FRI-MON' goes backwards"),
        ("cron(0 22-4 * * ? *)", "'22-4' goes backwards"),
        ("cron(0/0 3 * * ? *)", "a step of 0"),
        ("cron(0 3 * * ? 1969)", "'1969' is no year: it is 1970 to 2199"),
        ("cron(0 3 L-3 * ? *)", "'L-3' is no day of month"),
        ("cron(0 3 30 2 ? *)", "names a day that never comes"),
        ("cron(0 3 31W 2,4 ? *)", "names a day that never comes"),
        ("cron(0 3 29 2 ? 2027)", "names a day that never comes"),
        ("cron(0 3 1,,2 * ? *)", "'' is no day of month"),
    ],
)
def test_what_is_no_schedule_is_refused_and_says_why(expression: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read_schedule(expression)


def pieces(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    start = st.just("*") | number.map(str) | ranges
    steps = st.tuples(start, st.integers(1, last)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.just("*") | st.lists(number.map(str) | ranges | steps, min_size=1, max_size=3).map(",".join)


def meant(word: str, first: int, last: int) -> set[int]:
    """What a field of numbers names, by trying each."""

    def names(piece: str, number: int) -> bool:
        body, _, step = piece.partition("/")
        low, _, high = body.partition("-")
        start = first if body == "*" else int(low)
        end = int(high) if high else last if body == "*" or step else start
        return start <= number <= end and (number - start) % int(step or 1) == 0

    return {number for number in range(first, last + 1) if any(names(piece, number) for piece in word.split(","))}


@given(
    minutes=pieces(0, 59),
    hours=pieces(0, 23),
    days=pieces(1, 31),
    months=pieces(1, 12),
    weekdays=pieces(1, 7),
    by_week=st.booleans(),
    offset=st.integers(0, 60 * 24 * 365),
)
def test_the_next_run_is_the_first_minute_that_every_field_names(
    minutes: str, hours: str, days: str, months: str, weekdays: str, by_week: bool, offset: int
) -> None:
    def comes_on(day: date) -> bool:
        right = day.isoweekday() % 7 + 1 in meant(weekdays, 1, 7) if by_week else day.day in meant(days, 1, 31)
        return right and day.month in meant(months, 1, 12)

    assume(any(comes_on(date(2028, 1, 1) + timedelta(days=number)) for number in range(366)))
    moment = datetime(2027, 1, 1, tzinfo=UTC) + offset * MINUTE
    found = cron(f"{minutes} {hours} {'?' if by_week else days} {months} {weekdays if by_week else '?'} *").after(
        moment
    )
    assert found is not None
    times = sorted((hour, minute) for hour in meant(hours, 0, 23) for minute in meant(minutes, 0, 59))
    day = moment.date()
    while True:
        if comes_on(day):
            at = [datetime(day.year, day.month, day.day, *each, tzinfo=UTC) for each in times]
            if later := [each for each in at if each > moment]:
                break
        day += timedelta(days=1)
    assert found == later[0]


@given(
    hours=pieces(0, 23),
    days=pieces(1, 31),
    weekdays=pieces(1, 7),
    by_week=st.booleans(),
    offset=st.integers(0, 365 * 20),
)
def test_no_two_runs_are_farther_apart_than_the_longest_pause(
    hours: str, days: str, weekdays: str, by_week: bool, offset: int
) -> None:
    schedule = cron(f"17 {hours} {'?' if by_week else days} * {weekdays if by_week else '?'} *")
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=offset)
    earlier = schedule.after(moment)
    for _ in range(40):
        assert earlier is not None
        later = schedule.after(earlier)
        assert later is not None
        assert later - earlier <= schedule.longest_pause
        earlier = later
