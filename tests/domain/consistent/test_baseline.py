"""What a state is compared with: troughs, not peaks; what a person approved; and never less for more states."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.consistent.baseline import Approved, Baseline, Comparands, Point, baseline, comparands
from functions.domain.restic import FileType
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, Digest, RepositoryName
from tests.builders import NOON
from tests.cuts import take_cut
from tests.domain.consistent.cases import ago, healthy, ordered, point, put, steady


def snapshots(each: Point) -> int:
    return each.snapshots


def header(days: float, *, initialised: bool = True) -> StateHeader:
    entries = ordered(put(each.key, 500) for each in healthy()) if initialised else []
    return describe(
        take_cut(entries, ago(days)),
        repository=RepositoryName("alpha"),
        parent=None,
        own_chunks=ChunkSet(attempt=AttemptId("a"), count=0, digest=Digest("0" * 64)),
        recorded_at=ago(days),
        cause=Cause(reason="schedule"),
    )


def test_nothing_known_is_no_level() -> None:
    assert Baseline().level(snapshots, NOON, 30) == 0


def test_what_never_changed_is_the_level() -> None:
    assert Baseline(points=steady(snapshots=7).points).level(snapshots, NOON, 30) == 7


def test_without_a_full_week_the_highest_amount_is_the_level() -> None:
    early = Baseline(points=(point(3, snapshots=9), point(2, snapshots=4)))
    assert early.level(snapshots, NOON, 30) == 9


def test_a_weekly_forget_makes_a_saw_tooth_whose_troughs_are_the_level() -> None:
    points = tuple(point(day, snapshots=8 + (30 - day) % 7) for day in range(30, 0, -1))
    assert Baseline(points=points).level(snapshots, NOON, 30) == 8


def test_one_dip_does_not_lower_the_level() -> None:
    points = list(steady(snapshots=10).points)
    points[20] = replace(points[20], snapshots=1)
    assert Baseline(points=tuple(points)).level(snapshots, NOON, 30) == 10


def test_what_lies_before_the_baselines_days_does_not_count() -> None:
    points = (*(point(day, snapshots=50) for day in range(80, 40, -1)), *steady(20, snapshots=5).points)
    assert Baseline(points=points).level(snapshots, NOON, 15) == 5


def test_the_fresh_state_itself_and_what_is_newer_do_not_count() -> None:
    assert Baseline(points=(point(0, snapshots=9), point(-1, snapshots=9))).level(snapshots, NOON, 30) == 0


def test_an_approved_state_accepts_what_was_lost_before_it() -> None:
    points = (*(point(day, snapshots=50) for day in range(30, 5, -1)), *steady(5, snapshots=6).points)
    assert Baseline(points=points).level(snapshots, NOON, 30) == 50
    assert Baseline(points=points, approved=point(4, snapshots=6)).level(snapshots, NOON, 30) == 6


def test_an_approved_state_accepts_nothing_that_was_lost_after_it() -> None:
    losing = Baseline(points=steady(10, snapshots=2).points, approved=point(20, snapshots=50))
    assert losing.level(snapshots, NOON, 30) == 50


def test_an_approved_state_counts_however_old_it_is() -> None:
    eroded = Baseline(points=steady(60, snapshots=30).points, approved=point(200, snapshots=50))
    assert eroded.level(snapshots, NOON, 30) == 50


def test_a_state_approved_at_the_peak_of_a_saw_tooth_does_not_raise_the_level() -> None:
    points = tuple(point(day, snapshots=8 + (60 - day) % 7) for day in range(60, 0, -1))
    at_the_peak = Baseline(points=points, approved=points[27], approved_week=points[20:27])
    assert at_the_peak.level(snapshots, NOON, 30) == 8
    dropped_since = Baseline(points=points[28:], approved=points[27], approved_week=points[20:27])
    assert dropped_since.level(snapshots, NOON, 30) == 8


def test_a_repository_that_only_grows_is_compared_with_what_it_had_a_week_before_the_last_state() -> None:
    points = tuple(point(day, snapshots=31 - day) for day in range(30, 0, -1))
    assert Baseline(points=points).level(snapshots, NOON, 30) == points[-8].snapshots


@given(
    st.lists(st.integers(0, 100), min_size=9, max_size=29),
    st.lists(st.integers(0, 100), max_size=50),
)
def test_a_flood_of_later_states_never_lowers_a_level(amounts: list[int], flood: list[int]) -> None:
    points = tuple(point(30 - day, snapshots=each) for day, each in enumerate(amounts))
    late = tuple(point(0.9 - number / 100, snapshots=each) for number, each in enumerate(flood))
    before = Baseline(points=points).level(snapshots, NOON, 30)
    assert Baseline(points=(*points, *late)).level(snapshots, NOON, 30) >= before


def test_entries_are_compared_with_the_approved_state_while_it_is_young() -> None:
    old, middle, approved, new = header(40), header(20), header(10), header(1)
    assert comparands([new, old, middle, approved], Approved(approved), NOON, 30) == Comparands(
        reference=approved, old=approved
    )


def test_old_data_is_compared_with_a_state_within_the_baselines_days() -> None:
    approved, middle, new = header(90), header(29), header(1)
    assert comparands([new, middle, approved], Approved(approved), NOON, 30) == Comparands(
        reference=approved, old=middle
    )


def test_without_approval_entries_are_compared_with_the_oldest_kept_state() -> None:
    oldest, middle = header(90), header(29)
    assert comparands([middle, oldest], None, NOON, 30) == Comparands(reference=oldest, old=middle)
    assert comparands([], None, NOON, 30) == Comparands(reference=None, old=None)


def test_where_the_approved_state_was_dropped_entries_are_compared_with_the_next_that_is_kept() -> None:
    older, approved, following, new = header(60), header(20), header(15), header(1)
    kept = [older, following, new]
    assert comparands(kept, Approved(approved), NOON, 30) == Comparands(reference=following, old=following)


def test_an_approved_state_of_before_restic_init_excuses_no_key_file_that_came_after() -> None:
    approved, first, new = header(20, initialised=False), header(10), header(1)
    assert comparands([approved, first, new], Approved(approved), NOON, 30) == Comparands(reference=first, old=first)


def test_the_approved_state_itself_is_compared_with_nothing_older() -> None:
    older, approved = header(20), header(0)
    assert comparands([older], Approved(approved), NOON, 30) == Comparands(reference=None, old=None)


def test_a_state_of_before_restic_init_is_nothing_to_compare_with() -> None:
    empty, first = header(20, initialised=False), header(10)
    assert comparands([empty, first], None, NOON, 30) == Comparands(reference=first, old=first)


def test_the_amounts_come_from_the_headers() -> None:
    made = baseline([header(1), header(3)], Approved(header(3), (header(5),)))
    assert [each.cut_time for each in made.points] == [ago(3), ago(1)]
    tally = header(1).by_type
    assert made.points[1].snapshots == tally[FileType.SNAPSHOT].objects
    assert made.points[1].data_bytes == tally[FileType.PACK].bytes
    assert made.approved_until == ago(3)
    assert [each.cut_time for each in made.approved_week] == [ago(5)]


def test_of_the_chain_below_an_approved_state_a_week_counts_and_no_more_is_read() -> None:
    below = iter([header(4), header(9.9), header(10.1), header(11)])
    approved = Approved.of(header(3), below)
    assert [each.cut_time for each in approved.week] == [ago(4), ago(9.9)]
    assert len(list(below)) == 1
