"""Which states are kept and why; and that neither silence nor dirt nor a flood expires a good one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.repositories import Retention
from functions.domain.retention import WITNESSES_APART, Fate, JudgedState, Why, decide_fates
from functions.domain.values import StateId
from functions.domain.verdict import CheckLevel
from tests.builders import NOON
from tests.domain import judging

DAY = timedelta(days=1)
GRACE = 10 * DAY
NOTHING = Retention(keep_within=GRACE, days=0, weeks=0, months=0, years=0)


def state(days: float, *, clean: bool = True, quiet: bool = True, generation: int | None = None) -> JudgedState:
    """A state of `days` before noon."""
    cut = NOON - timedelta(days=days)
    # Newer states come later in the chain.
    place = generation if generation is not None else int((cut - datetime.fromisoformat("2000-01-01T00Z")) / DAY * 1e5)
    return JudgedState(StateId(f"state of {days} days"), place, cut, clean and quiet, quiet)


def fates(
    states: Sequence[JudgedState],
    *,
    holds: Sequence[StateId] = (),
    retention: Retention = NOTHING,
    now: datetime = NOON,
    grace: timedelta = GRACE,
) -> dict[StateId, Fate]:
    return {fate.state.id: fate for fate in decide_fates(states, frozenset(holds), retention, grace, now)}


def why(days: float, states: Sequence[JudgedState], **rest: object) -> tuple[Why, ...]:
    return fates(states, **rest)[state(days).id].why  # type: ignore[arg-type]


WITNESSED = [state(3), state(2), state(1)]
"""Good enough for whatever is older than 13 days."""


def test_a_state_that_nothing_keeps_is_droppable() -> None:
    fate = fates([state(20), *WITNESSED])[state(20).id]
    assert not fate.kept
    assert fate.until is None


def test_everything_within_keep_within_is_kept_until_it_is_older() -> None:
    long = Retention(keep_within=15 * DAY, days=0, weeks=0, months=0, years=0)
    states = [state(15), state(15.001), *WITNESSED]
    assert why(15, states, retention=long) == (Why.WITHIN,)
    assert fates(states, retention=long)[state(15).id].until == NOON
    assert why(15.001, states, retention=long) == ()


def test_a_state_within_keep_within_is_kept_for_as_long_as_the_periods_will_keep_it() -> None:
    kept = Retention(keep_within=20 * DAY, days=2, weeks=0, months=0, years=0)
    states = [state(19), state(18), state(17), *WITNESSED]
    fate = fates(states, retention=kept)[state(19).id]
    assert (fate.why, fate.until) == ((Why.WITHIN,), NOON + 3 * DAY), "then 17 days ago is the second newer day"
    assert fates(states, retention=kept, now=NOON + 3 * DAY)[state(19).id].kept
    assert not fates(states, retention=kept, now=NOON + 3 * DAY + timedelta(seconds=1))[state(19).id].kept


THREE_DAYS_AGO = NOON - 3 * DAY


@pytest.mark.parametrize(
    ("counts", "days", "pushed_out_by"),
    [
        # NOON is a Saturday in November; 27 days before is a Sunday in October.
        ({"days": 1}, 27, THREE_DAYS_AGO),
        ({"days": 4}, 27, NOON),
        ({"days": 5}, 27, datetime.fromisoformat("2026-11-22T00Z")),
        ({"days": 6}, 27, datetime.fromisoformat("2026-11-23T00Z")),
        ({"weeks": 1}, 27, THREE_DAYS_AGO),
        ({"weeks": 2}, 27, datetime.fromisoformat("2026-11-23T00Z")),
        ({"weeks": 3}, 27, datetime.fromisoformat("2026-11-30T00Z")),
        ({"months": 1}, 27, THREE_DAYS_AGO),
        ({"months": 2}, 27, datetime.fromisoformat("2026-12-01T00Z")),
        ({"months": 3}, 27, datetime.fromisoformat("2027-01-01T00Z")),
        ({"years": 9}, 27, THREE_DAYS_AGO),
        ({"years": 1}, 400, THREE_DAYS_AGO),
        ({"years": 2}, 400, datetime.fromisoformat("2027-01-01T00Z")),
        ({"days": 6, "months": 2, "years": 9}, 27, datetime.fromisoformat("2026-12-01T00Z")),
    ],
)
def test_a_state_is_kept_until_what_may_push_it_out_is_older_than_keep_within(
    counts: dict[str, int], days: float, pushed_out_by: datetime
) -> None:
    """Of what is to come the worst is assumed: a state now, and one at the start of each period."""
    assert fates([state(days), *WITNESSED], retention=periods(**counts))[state(days).id].until == pushed_out_by + GRACE


def test_a_state_that_is_needed_is_so_until_three_witnesses_can_be() -> None:
    states = [state(11.5), state(1)]
    fate = fates(states)[state(11.5).id]
    assert (fate.why, fate.until) == ((Why.NEEDED,), NOON + DAY)
    assert fates([state(5), state(1)])[state(5).id].until == state(5).cut_time + GRACE + 2 * DAY


@pytest.mark.parametrize(("days", "said"), [(3, True), (3.001, False)])
def test_in_a_silence_nobody_can_say_for_how_long_a_state_is_needed(days: float, said: bool) -> None:
    states = [state(8), state(days), state(days - 1, clean=False)]
    assert (fates(states)[state(8).id].until is not None) is said
    assert (fates(states)[state(days).id].until is not None) is said


def test_of_the_newest_state_alone_no_clock_says_when_it_goes() -> None:
    states = [state(40), state(39), state(38), state(15, clean=False)]
    fate = fates(states)[state(15).id]
    assert (fate.why, fate.until) == ((Why.NEWEST, Why.NEEDED), None)


def test_within_is_never_less_than_grace() -> None:
    short = Retention(keep_within=DAY, days=0, weeks=0, months=0, years=0)
    assert Why.WITHIN in why(9, [state(9), *WITNESSED], retention=short)


def test_a_state_of_the_future_is_kept() -> None:
    assert Why.WITHIN in why(-1, [state(-1), state(-2), state(-3), state(-4), *WITNESSED])


def test_the_newest_state_is_kept_whatever_it_is() -> None:
    late = NOON + 1000 * DAY
    dirty = [state(5), state(4), state(3), state(2, clean=False)]
    assert Why.NEWEST in why(2, dirty, now=late)


def test_a_held_state_is_kept_for_ever() -> None:
    fate = fates([state(500), *WITNESSED], holds=[state(500).id])[state(500).id]
    assert fate.why == (Why.HELD,)
    assert fate.until is None


# --- three witnesses -------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_state_is_needed_while_there_are_fewer_than_three_witnesses(missing: int) -> None:
    witnesses = [each for index, each in enumerate(WITNESSED) if index != missing]
    assert why(20, [state(20), *witnesses]) == (Why.NEEDED,)


@pytest.mark.parametrize("spoilt", [{"clean": False}, {"quiet": False}])
def test_a_state_that_is_not_clean_or_not_quiet_is_no_witness(spoilt: dict[str, bool]) -> None:
    assert why(20, [state(20), state(3), state(2, **spoilt), state(1)]) == (Why.NEEDED,)


def test_a_busy_state_is_no_witness_even_if_it_were_called_clean() -> None:
    busy = replace(state(2), clean=True, quiet=False)
    assert why(20, [state(20), state(3), busy, state(1)]) == (Why.NEEDED,)


def test_a_witness_lies_at_least_grace_after_the_state() -> None:
    assert why(13, [state(13), *WITNESSED]) == ()
    assert why(12.999, [state(12.999), *WITNESSED]) == (Why.NEEDED,)


def test_two_witnesses_need_not_be_grace_apart_from_each_other() -> None:
    assert why(20, [state(20), state(2), state(1), state(0)]) == ()


def test_what_is_recorded_within_a_day_is_one_witness() -> None:
    hour = 1 / 24
    flood = [state(1 - number * hour / 500) for number in range(500)]
    assert why(20, [state(20), *flood]) == (Why.NEEDED,)
    assert why(20, [state(20), state(3), *flood]) == (Why.NEEDED,)
    assert why(20, [state(20), state(3), state(2), *flood]) == ()


def test_with_a_grace_below_a_day_witnesses_are_that_far_apart() -> None:
    minute = 1 / 1440
    short = Retention(keep_within=DAY / 1440, days=0, weeks=0, months=0, years=0)
    states = [state(9 * minute), state(4 * minute), state(3 * minute), state(2 * minute)]
    assert why(9 * minute, states, retention=short, grace=DAY / 1440) == ()


def test_silence_expires_nothing_that_has_no_three_witnesses() -> None:
    states = [state(3), state(2), state(1)]
    assert all(fate.kept for fate in fates(states, now=NOON + 10_000 * DAY).values())


# --- periods ---------------------------------------------------------------------------------------


def periods(**counts: int) -> Retention:
    return NOTHING.model_copy(update=counts)


def test_of_each_day_the_last_clean_state_and_the_last_of_any_verdict_are_kept() -> None:
    states = [state(20.3), state(20.2), state(20.1, clean=False), *WITNESSED]
    kept = periods(days=1)
    assert why(20.3, states, retention=kept) == ()
    assert why(20.2, states, retention=kept) == (Why.LAST_CLEAN_OF_DAY,)
    assert why(20.1, states, retention=kept) == (Why.LAST_OF_DAY,)


def test_one_state_can_be_both() -> None:
    assert why(20, [state(20), *WITNESSED], retention=periods(days=1)) == (Why.LAST_CLEAN_OF_DAY, Why.LAST_OF_DAY)


@pytest.mark.parametrize(
    ("field", "apart", "reasons"),
    [
        ("days", 1, (Why.LAST_CLEAN_OF_DAY, Why.LAST_OF_DAY)),
        ("weeks", 7, (Why.LAST_CLEAN_OF_WEEK, Why.LAST_OF_WEEK)),
        ("months", 31, (Why.LAST_CLEAN_OF_MONTH, Why.LAST_OF_MONTH)),
        ("years", 366, (Why.LAST_CLEAN_OF_YEAR, Why.LAST_OF_YEAR)),
    ],
)
def test_as_many_periods_as_configured_are_kept(field: str, apart: int, reasons: tuple[Why, ...]) -> None:
    old = [state(20 + number * apart) for number in range(3)]
    found = fates([*old, *WITNESSED], retention=periods(**{field: 2}))
    assert [found[each.id].why for each in old] == [reasons, reasons, ()]


def test_a_week_is_that_of_the_iso_calendar_and_a_month_is_one_of_its_year() -> None:
    friday, saturday, sunday, monday = (datetime.fromisoformat(f"2026-01-0{day}T12Z") for day in (2, 3, 4, 5))
    states = [
        JudgedState(StateId(str(number)), number, cut, clean=True, quiet=True)
        for number, cut in enumerate([friday, saturday, sunday, monday])
    ]
    found = fates([*states, *WITNESSED], retention=periods(weeks=9))
    assert [found[each.id].kept for each in states] == [False, False, True, True]
    year_later = JudgedState(StateId("2025"), 0, datetime.fromisoformat("2025-01-05T12Z"), clean=True, quiet=True)
    found = fates([year_later, *states, *WITNESSED], retention=periods(months=2))
    assert [found[each.id].kept for each in (year_later, *states)] == [True, False, False, False, True]


def test_days_without_a_state_do_not_count() -> None:
    found = fates([state(900), state(500), *WITNESSED], retention=periods(days=2))
    assert all(fate.kept for fate in found.values())


def test_what_is_younger_than_keep_within_pushes_nothing_out_of_its_period() -> None:
    young = [state(9 - number) for number in range(9)]
    assert why(20, [state(20), *young], retention=periods(days=1)) == (Why.LAST_CLEAN_OF_DAY, Why.LAST_OF_DAY)


def test_dirty_days_do_not_use_up_the_clean_ones() -> None:
    dirt = [state(20 + number, clean=False) for number in range(30)]
    assert why(60, [state(60), *dirt, *WITNESSED], retention=periods(days=1)) == (Why.LAST_CLEAN_OF_DAY,)


def test_a_state_is_clean_as_its_verdicts_say_and_quiet_as_its_header_does() -> None:
    header = judging.header()
    passed = judging.judge(header).verdict
    held = judging.judge(header, judging.HOLD, level=CheckLevel.CONTENT).verdict
    busy = judging.header(busy=True)
    assert JudgedState.of(header, [passed]) == JudgedState(header.id, 1, header.cut_time, clean=True, quiet=True)
    assert not JudgedState.of(header, []).clean
    assert not JudgedState.of(header, [passed, held]).clean
    assert not JudgedState.of(busy, [judging.judge(busy).verdict]).quiet


# --- properties ------------------------------------------------------------------------------------

HOURS = 1 / 24
retentions = st.builds(
    Retention,
    keep_within=st.integers(1, 40).map(lambda days: days * DAY),
    days=st.integers(0, 5),
    weeks=st.integers(0, 3),
    months=st.integers(0, 3),
    years=st.integers(0, 2),
)
pasts = st.lists(
    st.tuples(st.integers(1, 24 * 200), st.booleans(), st.booleans()), max_size=30, unique_by=lambda each: each[0]
).map(lambda found: [state(hours * HOURS, clean=clean, quiet=quiet) for hours, clean, quiet in found])
"""States of the last two hundred days, none of the last hour."""
spans = st.integers(1, 3000)


def droppable(states: Sequence[JudgedState], retention: Retention, **rest: object) -> set[StateId]:
    found = fates(states, retention=retention, **rest)  # type: ignore[arg-type]
    return {each for each, fate in found.items() if not fate.kept}


@given(pasts, retentions)
def test_neither_the_newest_nor_the_newest_clean_nor_a_young_state_is_ever_droppable(
    states: list[JudgedState], retention: Retention
) -> None:
    gone = droppable(states, retention)
    by_age = sorted(states, key=lambda each: each.cut_time, reverse=True)
    safe = [*by_age[:1], *[each for each in by_age if each.clean][:1]]
    safe += [each for each in states if NOON - each.cut_time <= max(retention.keep_within, GRACE)]
    assert gone.isdisjoint(each.id for each in safe)


@given(pasts, retentions, st.data())
def test_holding_more_never_drops_more_and_never_what_is_held(
    states: list[JudgedState], retention: Retention, data: st.DataObject
) -> None:
    ids = [each.id for each in states]
    fewer = data.draw(st.sets(st.sampled_from(ids))) if ids else set()
    more = fewer | (data.draw(st.sets(st.sampled_from(ids))) if ids else set())
    gone = droppable(states, retention, holds=tuple(more))
    assert gone <= droppable(states, retention, holds=tuple(fewer))
    assert gone.isdisjoint(more)
    assert droppable(states, retention) - gone <= more, "a hold keeps what it names, and nothing else"


@given(pasts, retentions, st.lists(st.tuples(st.integers(0, 59), st.booleans()), min_size=1, max_size=20))
def test_whatever_dirty_or_busy_is_recorded_since_drops_nothing(
    states: list[JudgedState], retention: Retention, dirt: list[tuple[int, bool]]
) -> None:
    """The newest state apart, which nothing but its place may have kept."""
    added = [
        replace(state(minute / 1440, clean=False, quiet=quiet), id=StateId(f"dirt {number}"))
        for number, (minute, quiet) in enumerate(dirt)
    ]
    newest = {each.id for each in sorted(states, key=lambda each: each.generation)[-1:]}
    assert droppable([*states, *added], retention) - newest <= droppable(states, retention)


@given(pasts, retentions, st.lists(st.integers(0, 59), min_size=1, max_size=20, unique=True))
def test_a_flood_of_clean_states_counts_as_one(
    states: list[JudgedState], retention: Retention, minutes: list[int]
) -> None:
    assert timedelta(minutes=60) <= WITNESSES_APART
    flood = [state(minute / 1440) for minute in minutes]
    last = max(flood, key=lambda each: each.cut_time)
    old = {each.id for each in states}
    assert droppable([*states, *flood], retention) & old == droppable([*states, last], retention) & old


@given(pasts, retentions, st.lists(st.integers(1, 24 * 200), max_size=20, unique=True))
def test_what_is_recorded_within_grace_after_a_state_never_drops_it(
    states: list[JudgedState], retention: Retention, hours: list[int]
) -> None:
    """But where it takes its place as the newest, or as the last of its period: then it is as good."""
    for each in states:
        added = [
            replace(state(number * HOURS + 0.01), id=StateId(f"added {number}"))
            for number in hours
            if each.cut_time < NOON - timedelta(days=number * HOURS + 0.01) < each.cut_time + GRACE
        ]
        before = fates(states, retention=retention)[each.id].why
        after = fates([*states, *added], retention=retention)[each.id].why
        assert set(before) & {Why.NEEDED, Why.WITHIN} <= set(after)


@given(pasts, retentions, spans)
def test_whatever_is_dropped_leaves_three_good_states_that_are_grace_newer(
    states: list[JudgedState], retention: Retention, later: int
) -> None:
    found = fates(states, retention=retention, now=NOON + later * DAY)
    kept = [fate.state for fate in found.values() if fate.kept and fate.state.clean and fate.state.quiet]
    for fate in found.values():
        newer = [each.cut_time for each in kept if each.cut_time >= fate.state.cut_time + GRACE]
        assert fate.kept or len(newer) >= 3


@given(pasts, retentions, st.lists(st.tuples(st.integers(0, 24 * 400), st.booleans(), st.booleans()), max_size=6))
def test_a_fate_holds_until_it_says_whatever_is_recorded(
    states: list[JudgedState], retention: Retention, more: list[tuple[int, bool, bool]]
) -> None:
    """The worst above all: a state now, one at the start of each day from now on, and good ones as soon as they count
    as witnesses."""
    to_come = [*worst(250), *(recorded(NOON + hour * DAY / 24, clean, quiet) for hour, clean, quiet in more)]
    for each, fate in fates(states, retention=retention).items():
        if fate.until is not None:
            for at in (fate.until, *(NOON + hour * DAY / 24 for hour, _, _ in more)):
                there = [*states, *(new for new in to_come if new.cut_time < at)]
                if NOON <= at <= fate.until:
                    assert fates(there, retention=retention, now=at)[each].kept


@given(pasts, retentions)
def test_a_fate_holds_no_longer_when_the_worst_comes(states: list[JudgedState], retention: Retention) -> None:
    for each, fate in fates(states, retention=retention).items():
        if fate.until is not None and fate.until < NOON + 200 * DAY:
            at = fate.until + timedelta(seconds=1)
            there = [*states, *(new for new in worst(250) if new.cut_time < at)]
            assert not fates(there, retention=retention, now=at)[each].kept


def recorded(cut: datetime, clean: bool = True, quiet: bool = True) -> JudgedState:
    """From now on."""
    place = 10**9 + int((cut - NOON).total_seconds())
    return JudgedState(StateId(f"recorded at {cut} {clean} {quiet}"), place, cut, clean and quiet, quiet)


def worst(days: int) -> list[JudgedState]:
    """As many periods and witnesses as can be, as soon as they can be. Cuts of the past are of whole hours."""
    hours = [NOON + hour * DAY / 24 for hour in range(12 * 24)]
    midnights = [NOON + DAY / 2 + day * DAY for day in range(12, days)]
    return [recorded(cut) for cut in (*hours, *midnights)]
