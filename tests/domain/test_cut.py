"""A state is a cut, not a listing."""

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.cut import Cut, NotInOrder, cut_time, may_list
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId
from tests.builders import NOON, at, listing, marker, named, pack, version
from tests.cuts import take_cut


def pinned(cut: Cut) -> dict[str, str]:
    return {entry.key: entry.version_id for entry in cut.versions}


def test_the_newest_version_at_or_before_the_cut_is_pinned() -> None:
    entries = listing(
        version("config", written=-30, version_id="old"),
        version("config", written=0, version_id="at the cut"),
        version("config", written=1, version_id="after"),
    )
    assert pinned(take_cut(entries, NOON)) == {"config": "at the cut"}


def test_a_key_whose_newest_entry_at_the_cut_is_a_delete_marker_is_absent_and_counted_as_hidden() -> None:
    cut = take_cut(listing(version(pack("a"), written=-60), marker(pack("a"), written=-30)), NOON)
    assert (pinned(cut), cut.hidden, cut.noncurrent) == ({}, 1, 1)


def test_what_was_hidden_after_the_cut_is_still_in_it() -> None:
    cut = take_cut(listing(version(pack("a"), written=-60, version_id="v"), marker(pack("a"), written=10)), NOON)
    assert (pinned(cut), cut.hidden) == ({pack("a"): "v"}, 0)


def test_a_put_and_a_delete_in_the_same_second_are_told_apart_by_their_order_in_the_listing() -> None:
    put, hide = version("config", written=-60), marker("config", written=-60)
    assert pinned(take_cut([put, hide], NOON)) == {"config": put.version_id}
    assert pinned(take_cut([hide, put], NOON)) == {}


def test_a_backup_that_runs_during_the_listing_leaves_no_snapshot_without_its_pack() -> None:
    """restic writes pack, index, snapshot; a listing that walks `data/` first would show only the last two."""
    listed_before_the_pack_was_written = [
        version(named("index", "i"), written=5),
        version(named("snapshots", "s"), written=6),
    ]
    assert len(take_cut(listing(*listed_before_the_pack_was_written), NOON).versions) == 0


def test_lock_files_are_counted_and_never_pinned() -> None:
    cut = take_cut(
        listing(
            version(named("locks", "young"), written=-1800),
            version(named("locks", "stale"), written=-1801),
            version(named("locks", "gone"), written=-60),
            marker(named("locks", "gone"), written=-59),
            version("locks/not-a-lock", written=-7200),
        ),
        NOON,
    )
    assert (len(cut.versions), cut.locks, cut.stale_locks, cut.busy, cut.hidden) == (0, 3, 2, True, 0)


def test_stale_locks_alone_do_not_make_a_state_busy() -> None:
    assert not take_cut([version(named("locks", "stale"), written=-1801)], NOON).busy


@pytest.mark.parametrize(("written", "edge"), [(-3, False), (-2, True), (0, True), (2, True), (3, False)])
def test_an_entry_within_two_seconds_of_the_cut_marks_it_edge(written: float, edge: bool) -> None:
    assert take_cut([version("config", written=written)], NOON).edge is edge
    assert take_cut([marker("config", written=written)], NOON).edge is edge


def test_a_lock_file_at_the_edge_does_not_mark_it() -> None:
    assert not take_cut([version(named("locks", "l"), written=0)], NOON).edge


def test_current_null_versions_are_named() -> None:
    cut = take_cut(
        listing(
            version("config", version_id="null", written=-9),
            version(pack("a"), version_id="null", written=-90),
            version(pack("a"), version_id="v", written=-80),
        ),
        NOON,
    )
    assert cut.null_versions == (ObjectKey("config"),)


@pytest.mark.parametrize("second", ["a", "b"])
def test_keys_out_of_order_are_refused(second: str) -> None:
    entries = [version("b"), version("c"), version(second)]
    with pytest.raises(NotInOrder, match="nothing was recorded"):
        take_cut(entries, NOON)


def test_keys_are_ordered_by_their_bytes_not_by_their_code_points_in_utf_16() -> None:
    take_cut([version("\uffee"), version("\U0001f600")], NOON)


def test_a_flood_of_versions_of_one_key_is_not_held_in_memory() -> None:
    def flood() -> Iterator[ListedVersion]:
        for number in range(50_000):
            yield version("config", written=-60 - number)

    tracemalloc.start()
    cut = take_cut(flood(), NOON)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(cut.versions), cut.noncurrent) == (1, 49_999)
    assert peak < 1_000_000


def test_the_cut_lies_three_seconds_after_the_event_and_never_in_the_past() -> None:
    assert cut_time(event_sent=at(0), now=at(1)) == at(3)
    assert cut_time(event_sent=at(0.4), now=at(1)) == at(4)
    assert cut_time(event_sent=at(0), now=at(60)) == at(60)


def test_a_cut_is_listed_only_when_the_clock_has_passed_it_by_more_than_two_seconds() -> None:
    assert not may_list(at(0), at(2))
    assert may_list(at(0), at(3))


entries = st.lists(
    st.tuples(st.sampled_from(["config", "data/x", "snapshots/y"]), st.integers(-10, 10), st.booleans()), max_size=25
)


@given(entries)
def test_for_any_history_the_cut_is_what_a_reader_at_that_instant_would_have_seen(
    history: list[tuple[str, int, bool]],
) -> None:
    # The order of writing: by time, and within a second by their order in `history`.
    written = sorted(enumerate(history), key=lambda each: (each[1][1], each[0]))
    seen: dict[str, str] = {}
    listed: list[ListedVersion] = []
    for number, (key, second, hides) in written:
        name = VersionId(str(number))
        moment = NOON + timedelta(seconds=second)
        if hides:
            listed.append(DeleteMarker(ObjectKey(key), name, moment))
        else:
            listed.append(ObjectVersion(ObjectKey(key), name, 1, moment, "", "STANDARD"))
        if second <= 0:
            seen.pop(key, None)
            if not hides:
                seen[key] = name
    listed.reverse()
    newest_first = sorted(listed, key=lambda entry: entry.key.encode())
    assert pinned(take_cut(newest_first, NOON)) == seen
