"""One pass over a listing yields the cut and what only a key's history can tell."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.consistent import fold
from functions.domain.consistent.fresh import Fresh, Pin
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.keys import IN_FLIGHT
from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.restic import FileType
from functions.domain.values import ListedVersion, ObjectVersion
from tests.builders import NOON, named
from tests.cuts import in_small_blocks, take_cut
from tests.domain.consistent.cases import CONFIG, PACK, SNAPSHOT, ago, hide, ordered, put, versions

entries = st.lists(
    st.builds(
        lambda key, age, marker: hide(key, age) if marker else put(key, age, version_id=f"{key}{age}{marker}"),
        st.sampled_from(["config", PACK, SNAPSHOT, named("locks", "l"), "alien"]),
        st.integers(-2, 40),
        st.booleans(),
    ),
    unique_by=lambda entry: (entry.key, entry.last_modified),
    max_size=20,
).map(ordered)


def observe(
    listing: Sequence[ListedVersion], at: datetime, kept: Kept | None = None, past: Sequence[int] = ()
) -> Fresh:
    """`past`: days ago."""
    return fold.observe(in_small_blocks(listing), at, kept=kept, past={ago(day): len(listing) for day in past})


def kept(*named: ObjectVersion, days: float = 1000) -> Kept:
    """One state, cut `days` ago, that names these versions."""
    states = Kept()
    states.add(ago(days), named)
    return states


@given(entries)
def test_a_version_that_is_listed_is_never_gone_and_one_that_is_not_always_is(listing: list[ListedVersion]) -> None:
    assert observe(listing, NOON, kept(*versions(listing))).gone == ()
    lost = put("index/lost", 3)
    assert observe(listing, NOON, kept(*versions(listing), lost)).gone == (Pin(lost.key, frozenset({lost.version_id})),)


def test_of_a_key_exactly_the_versions_that_were_not_listed_are_gone() -> None:
    one, two = put(PACK, 3), put(PACK, 2)
    lost = put(PACK, 1)
    assert observe([two, one], NOON, kept(one, two, lost)).gone == (Pin(PACK, frozenset({lost.version_id})),)


def test_a_marker_with_the_id_of_a_pinned_version_does_not_stand_for_it() -> None:
    pinned = put(PACK, 3)
    marker = hide(PACK, 2)
    listing = [type(marker)(PACK, pinned.version_id, ago(2))]
    assert observe(listing, NOON, kept(pinned)).gone == (Pin(PACK, frozenset({pinned.version_id})),)


def test_a_key_that_was_written_once_has_no_history() -> None:
    assert observe([put(CONFIG)], NOON).histories == ()


def test_what_is_younger_than_the_cut_is_no_history() -> None:
    fresh = observe(ordered([put(PACK, 1), hide(PACK, -1)]), NOON)
    assert fresh.histories == ()


def test_a_hidden_key_has_a_history_newest_first() -> None:
    history = observe(ordered([put(PACK, 2), hide(PACK, 1)]), NOON).histories[0]
    assert history == KeyHistory(PACK, (hide(PACK, 1), put(PACK, 2)), 2)
    assert (history.current, history.versions, history.markers) == (None, (put(PACK, 2),), (hide(PACK, 1),))


def test_of_a_flood_the_newest_entries_and_the_oldest_are_kept_and_the_key_is_named() -> None:
    flood = ordered(put(PACK, number / 1000, version_id=str(number)) for number in range(MOST_ENTRIES * 3))
    fresh = observe(flood, NOON)
    assert fresh.flooded == ((PACK, MOST_ENTRIES * 3),)
    (history,) = fresh.histories
    assert len(history.entries) == MOST_ENTRIES
    assert (history.entries[0], history.entries[-1]) == (flood[0], flood[-1])


def test_bytes_are_counted_net_by_days_before_the_cut() -> None:
    other = PACK[:-1] + ("0" if PACK[-1] != "0" else "1")
    listing = ordered([put(PACK, 9.5, size=70), hide(PACK, 0.5), put(other, 0.2, size=30)])
    fresh = observe(listing, NOON)
    assert fresh.net_bytes == ((0, 30 - 70), (9, 70))
    assert fresh.upload_days == frozenset({0, 9})


def test_uploads_of_snapshots_are_told_in_time_order_hidden_ones_too() -> None:
    early, late = named("snapshots", "a"), named("snapshots", "b")
    fresh = observe(ordered([put(late, 1), put(early, 5), hide(early, 2)]), NOON)
    assert fresh.snapshot_uploads == (ago(5), ago(1))


def test_lock_files_have_no_history_and_the_oldest_current_one_is_dated() -> None:
    gone, old, young = (named("locks", name) for name in "abc")
    listing = ordered([put(gone, 9), hide(gone, 8), put(old, 3), put(young, 0.01)])
    fresh = observe(listing, NOON)
    assert (fresh.histories, fresh.oldest_lock) == ((), ago(3))
    assert fresh.cut.busy
    assert NOON - fresh.oldest_lock > timedelta(days=2) if fresh.oldest_lock else False


@given(entries, st.lists(st.integers(0, 45), max_size=3, unique=True))
def test_a_past_cut_shows_what_a_cut_taken_then_would_have(listing: list[ListedVersion], days: list[int]) -> None:
    now = observe(listing, NOON, past=days)
    for day in days:
        then, past = observe(listing, ago(day)), now.past[ago(day)]
        assert (past.manifest, past.attributes) == (then.roots.manifest, then.roots.attributes)
        assert (past.objects, past.shown.kinds) == (len(then.cut.versions), frozenset(then.by_type))
        assert past.shown.few == then.few
        assert sum(hour.bytes for hour in past.shown.packs) == then.tally(FileType.PACK).bytes


def test_a_version_beneath_a_kept_state_that_does_not_name_it_came_later() -> None:
    known, beneath = put(CONFIG, 30), put(PACK, 20)
    assert observe(ordered([known, beneath]), NOON, kept(known, days=10)).backdated == (beneath,)
    assert observe(ordered([known, beneath]), NOON, kept(known, beneath, days=10)).backdated == ()


def test_a_version_that_a_later_state_names_still_came_after_the_one_that_does_not() -> None:
    known, beneath = put(CONFIG, 30), put(PACK, 20)
    states = kept(known, days=10)
    states.add(ago(1), [known, beneath])
    assert observe(ordered([known, beneath]), NOON, states).backdated == (beneath,)


def test_a_version_that_lies_above_another_at_a_kept_states_cut_came_later() -> None:
    recorded, above = put(PACK, 20), put(PACK, 15)
    assert observe([above, recorded], NOON, kept(recorded, days=10)).backdated == (above,)


def test_a_version_that_was_current_at_no_kept_states_cut_is_not_missed_by_any() -> None:
    covered, recorded = put(PACK, 20), put(PACK, 15)
    assert observe([recorded, covered], NOON, kept(recorded, days=10)).backdated == ()
    hidden: list[ListedVersion] = [hide(PACK, 15), put(PACK, 20)]
    assert observe(hidden, NOON, kept(days=10)).backdated == ()


def test_what_may_have_been_under_way_at_a_cut_is_not_backdated() -> None:
    hour = IN_FLIGHT.total_seconds() / 86_400
    for age, found in ((10 + hour * 0.99, 0), (10 + hour, 1), (10 + hour * 1.01, 1)):
        assert len(observe([put(PACK, age)], NOON, kept(days=10)).backdated) == found, age


def test_a_state_that_is_younger_than_the_cut_accuses_nobody() -> None:
    assert observe([put(PACK, 5)], ago(3), kept(days=2)).backdated == ()


def test_lock_files_are_in_no_state_and_so_never_backdated() -> None:
    assert observe([put(named("locks", "l"), 20)], NOON, kept(days=10)).backdated == ()


@given(entries, st.lists(st.integers(0, 45), max_size=4, unique=True))
def test_states_that_were_cut_from_the_same_listing_find_nothing_backdated(
    listing: list[ListedVersion], days: list[int]
) -> None:
    states = Kept()
    for day in days:
        states.add(ago(day), take_cut(listing, ago(day)).versions)
    assert observe(listing, NOON, states).backdated == ()
