"""Amounts against the baseline: sudden losses, slow ones, and growth."""

from collections.abc import Iterable

import pytest

from functions.domain.values import ListedVersion, Severity
from tests.builders import named, pack
from tests.domain.consistent.cases import (
    CONFIG,
    INDEX,
    KEY,
    Known,
    ago,
    found,
    healthy,
    hide,
    point,
    put,
    steady,
    versions,
)

MAINTAINED: dict[str, object] = {"maintenance": "create"}


def told(entries: Iterable[ListedVersion], baseline: Known, **settings: object) -> dict[str, Severity]:
    found_now = found(entries, baseline=baseline, settings={**MAINTAINED, **settings})
    return {each.id: each.severity for each in found_now.values()}


# --- snapshots and data --------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "dropped"), [(10, False), (8, False), (7, True), (1, True)])
def test_more_than_a_fifth_of_the_snapshots_fewer_is_a_hold(left: int, dropped: bool) -> None:
    severities = told(healthy(snapshots=left), steady(snapshots=10))
    assert (severities.get("snapshots-dropped") is Severity.HOLD) is dropped


@pytest.mark.parametrize(("left", "dropped"), [(10, False), (8, False), (7, True), (1, True)])
def test_more_than_a_fifth_of_the_data_fewer_is_a_hold(left: int, dropped: bool) -> None:
    severities = told(healthy(packs=left), steady(data=10_000))
    assert (severities.get("data-dropped") is Severity.HOLD) is dropped


def test_thresholds_are_the_repositorys() -> None:
    severe = {"snapshots_lost": 0.05, "data_lost": 0.05}
    assert told(healthy(snapshots=9, packs=9), steady()) == {}
    assert set(told(healthy(snapshots=9, packs=9), steady(), thresholds=severe)) == {
        "snapshots-dropped",
        "data-dropped",
    }


def test_slow_erosion_of_five_percent_a_day_shows_on_the_fifth_day() -> None:
    calm = [point(day, snapshots=100, data=100_000) for day in range(40, 10, -1)]
    days: list[int] = []
    for day in range(1, 9):
        eroding = [point(10 - each, snapshots=int(100 * 0.95**each), data=100_000) for each in range(1, day)]
        entries = healthy(snapshots=int(100 * 0.95**day), packs=100)
        if "snapshots-dropped" in told(entries, Known(points=(*calm, *eroding))):
            days.append(day)
    assert days == [5, 6, 7, 8]


def test_one_snapshot_a_minute_shows_as_soon_as_a_fifth_is_gone() -> None:
    calm = [point(day, snapshots=100, data=10_000) for day in range(30, 0, -1)]
    eroding = [point((30 - each) / 1440, snapshots=100 - each, data=10_000) for each in range(1, 25)]
    assert "snapshots-dropped" in told(healthy(snapshots=75), Known(points=(*calm, *eroding)))


def test_the_next_fall_of_a_saw_tooth_raises_nothing() -> None:
    points = tuple(point(day, snapshots=8 + (30 - day) % 7) for day in range(30, 0, -1))
    assert "snapshots-dropped" not in told(healthy(snapshots=8), Known(points=points))


def test_a_loss_that_a_person_approved_is_accepted_and_the_next_one_is_not() -> None:
    points = (*(point(day, snapshots=50) for day in range(30, 5, -1)), *steady(5).points)
    approved = Known(points=points, approved=point(5))
    assert "snapshots-dropped" in told(healthy(), Known(points=points))
    assert "snapshots-dropped" not in told(healthy(), approved)
    assert "snapshots-dropped" in told(healthy(snapshots=5), approved)


def test_garbage_in_place_of_old_packs_is_a_hold_though_the_amounts_are_the_same() -> None:
    old = healthy()
    packs = [each.key for each in versions(old) if each.key.startswith("data/")]
    garbage = [put(pack(f"garbage {number}"), 0.4, size=1000) for number in range(10)]
    entries = [*old, *(hide(key, 0.3) for key in packs), *garbage]
    severities = told(entries, Known(points=steady().points, old=versions(old)))
    assert severities == {"old-data-dropped": Severity.HOLD}


@pytest.mark.parametrize(("left", "dropped"), [(10, False), (7, False), (6, True)])
def test_less_than_seven_tenths_of_the_old_packs_left_is_a_hold(left: int, dropped: bool) -> None:
    severities = told(healthy(packs=left), Known(old=versions(healthy(packs=10))))
    assert (severities.get("old-data-dropped") is Severity.HOLD) is dropped


def test_of_old_data_what_had_lasted_counts_so_that_daily_churn_is_no_loss() -> None:
    lasting = put(pack("photographs"), 90, size=30_000)
    before = versions([*healthy(packs=20), lasting])
    assert told([*healthy(packs=1), lasting], Known(old=before)) == {}
    lost = [*healthy(packs=20), hide(lasting.key, 0.1), put(pack("garbage"), 0.2, size=30_000)]
    assert "old-data-dropped" in told([*lost, lasting], Known(old=before))


def test_where_most_has_lasted_young_packs_do_not_stand_for_what_is_lost_of_it() -> None:
    lasting = [put(pack(f"photographs {year}"), 90, size=15_000) for year in range(2)]
    baseline = Known(old=versions([*healthy(packs=20), *lasting]))
    assert told([*healthy(packs=20), *lasting], baseline) == {}
    assert "old-data-dropped" in told([*healthy(packs=20), lasting[0]], baseline)


def test_a_young_repository_of_which_half_changes_every_week_has_lost_nothing_old() -> None:
    """Forget takes the younger half, day by day's database; a month's age nothing has yet."""
    base = put(pack("photographs"), 12, size=10_000)
    before = versions([*healthy(packs=8), base])
    forgotten = [base, *(put(pack(f"later {day}"), day, size=1000) for day in range(8))]
    baseline = Known(old=before)
    assert told([*healthy(packs=0), *forgotten], baseline) == {}
    assert "old-data-dropped" in told([*healthy(packs=8), *forgotten[1:]], baseline), "the older half is gone"
    half = [*healthy(packs=8)[:-4], *forgotten[1:], put(pack("photographs"), 12, size=10_000)]
    assert told(half, baseline) == {}


# --- growth --------------------------------------------------------------------------------------------


def daily(days: int, size: int = 100, first: int = 10_000) -> list[ListedVersion]:
    """A first backup, then a pack and a snapshot a day, the last one yesterday."""
    first_day: list[ListedVersion] = [
        put(CONFIG, days),
        put(KEY, days),
        put(INDEX, days),
        put(pack("first"), days - 0.1, size=first),
    ]
    packs = [put(pack(f"day {day}"), day + 0.5, size=size) for day in range(1, days - 1)]
    return [*first_day, *packs, *(put(named("snapshots", str(day)), day + 0.5) for day in range(days - 1))]


def test_a_usual_day_is_no_growth() -> None:
    assert told([*daily(20), put(pack("today"), 0.5, size=150)], Known()) == {}


def test_three_times_a_usual_day_is_no_growth_while_it_is_little() -> None:
    assert told([*daily(20), put(pack("today"), 0.5, size=900)], Known()) == {}


def test_a_source_that_was_encrypted_at_once_is_a_hold() -> None:
    assert told([*daily(20), put(pack("today"), 0.5, size=11_000)], Known()) == {"growth": Severity.HOLD}


def test_a_source_that_is_encrypted_day_by_day_is_a_hold() -> None:
    slow = [put(pack(f"slow {day}"), day + 0.4, size=700) for day in range(7)]
    assert told([*daily(20), *slow], Known()) == {"growth": Severity.HOLD}


def test_prune_repacking_half_of_the_data_is_no_growth() -> None:
    entries = [*daily(20), hide(pack("first"), 0.4), put(pack("repacked"), 0.4, size=9_000)]
    assert told(entries, Known()) == {}


def test_the_first_days_say_nothing_about_growth() -> None:
    assert told([*daily(4), put(pack("today"), 0.5, size=11_000)], Known()) == {}


@pytest.mark.parametrize(("days", "judged"), [(6, False), (7, True)])
def test_growth_is_judged_after_five_usual_days_of_which_the_first_backup_is_none(days: int, judged: bool) -> None:
    assert ("growth" in told([*daily(days), put(pack("today"), 0.5, size=11_000)], Known())) is judged


@pytest.mark.parametrize(("size", "is_growth"), [(1_170, False), (1_190, True)])
def test_growth_is_more_than_a_tenth_of_what_was_there(size: int, is_growth: bool) -> None:
    there = sum(each.size for each in versions(daily(20)) if each.key.startswith("data/"))
    assert there == 11_800
    assert ("growth" in told([*daily(20), put(pack("today"), 0.5, size=size)], Known())) is is_growth


def test_growth_that_a_person_has_seen_is_not_found_again_and_what_grows_after_it_is() -> None:
    """Of the day on which the state was approved, nobody knows how much came before: it counts to its end."""
    grown = [*daily(20), put(pack("photographs"), 3.5, size=11_000)]
    assert "growth" in told(grown, Known())
    assert told(grown, Known(approved=point(3, data=22_800))) == {}
    assert "growth" in told(grown, Known(approved=point(3.2, data=22_800)))
    assert "growth" in told(grown, Known(approved=point(4, data=11_800)))
    again = [*grown, put(pack("encrypted"), 0.5, size=11_000)]
    assert "growth" in told(again, Known(approved=point(3, data=22_800)))


def test_the_factor_of_growth_is_the_repositorys() -> None:
    entries = [*daily(20), put(pack("today"), 0.5, size=11_000)]
    assert told(entries, Known(), thresholds={"growth": 500.0}) == {}


# --- silence -------------------------------------------------------------------------------------------


def silent_for(days: float, every: float = 1.0) -> list[ListedVersion]:
    snapshots = [put(named("snapshots", str(number)), days + number * every) for number in range(10)]
    return [*(each for each in healthy() if not each.key.startswith("snapshots/")), *snapshots]


@pytest.mark.parametrize(("days", "silent"), [(0.5, False), (1.9, False), (2.1, True)])
def test_no_snapshot_in_twice_the_longest_pause_is_a_hold(days: float, silent: bool) -> None:
    severities = told(silent_for(days), Known())
    assert (severities.get("no-new-snapshot") is Severity.HOLD) is silent


def test_a_weekly_backup_may_pause_for_a_week() -> None:
    assert "no-new-snapshot" not in told(silent_for(7.5, every=7), Known())
    assert "no-new-snapshot" in told(silent_for(14.5, every=7), Known())


def test_an_hourly_backup_may_pause_for_max_state_age() -> None:
    assert "no-new-snapshot" not in told(silent_for(1.5, every=1 / 24), Known())


def test_a_single_snapshot_has_twice_max_state_age() -> None:
    lone = [put(CONFIG), put(KEY), put(INDEX), put(pack("p"))]
    assert "no-new-snapshot" not in told([*lone, put(named("snapshots", "s"), 3.9)], Known())
    finding = found([*lone, put(named("snapshots", "s"), 4.1)])["no-new-snapshot"]
    assert finding.since == ago(4.1)


def test_hiding_the_newest_snapshots_does_not_make_a_silence() -> None:
    """That is what the other rules are for; this one asks whether the host still backs up."""
    newest = named("snapshots", "0")
    assert "no-new-snapshot" not in told([*silent_for(0.5), hide(newest, 0.1)], Known())
