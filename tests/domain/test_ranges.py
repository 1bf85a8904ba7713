"""Key ranges: whatever keys there are, each lies in one of them; and restic's are spread over them evenly."""

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.ranges import MOST_PACKS, SMALLEST, KeyRange, key_ranges, likely
from functions.domain.restic import FileType
from functions.domain.values import ObjectKey

counts = st.dictionaries(st.sampled_from(FileType), st.integers(0, 20 * SMALLEST))
digits = st.text("0123456789abcdef", max_size=12)
folders = st.sampled_from(["", "config", "data/", "data/0", "data0", "index/", "keys/", "locks/", "snapshots/", "z"])
keys = st.text(max_size=5) | st.builds(str.__add__, folders, digits)


def holds(each: KeyRange, key: str) -> bool:
    return (each.after is None or key > each.after) and (each.last is None or key <= each.last)


def names(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


@given(counts, st.lists(keys))
def test_every_key_lies_in_exactly_one_range(expected: dict[FileType, int], found: list[str]) -> None:
    ranges = key_ranges(expected)
    edges = [each.last for each in ranges if each.last is not None]
    for key in [*found, *edges, *(edge[:-1] for edge in edges), *(edge + "0" for edge in edges)]:
        assert sum(holds(each, key) for each in ranges) == 1


@given(counts)
def test_ranges_ascend_from_the_first_key_to_the_last(expected: dict[FileType, int]) -> None:
    ranges = key_ranges(expected)
    assert (ranges[0].after, ranges[-1].last) == (None, None)
    for one, next_one in pairwise(ranges):
        assert one.last is not None
        assert one.last == next_one.after
        assert one.after is None or one.after < one.last


@given(st.lists(keys, min_size=1), counts)
def test_the_ranges_that_reach_a_key_hold_it_and_what_comes_after(
    found: list[str], expected: dict[FileType, int]
) -> None:
    at = ObjectKey(found[0])
    rest = [each for each in key_ranges(expected) if each.reaches(at)]
    assert holds(rest[0], at)
    assert all(any(holds(each, key) for each in rest) for key in found if key >= at)


def test_a_small_repository_is_one_range() -> None:
    few = {FileType.CONFIG: 1, FileType.KEY: 2, FileType.INDEX: 40, FileType.SNAPSHOT: 900, FileType.PACK: 12_000}
    assert key_ranges(few) == key_ranges({}) == (KeyRange(None, None),)


def test_ranges_hold_about_as_many_entries_each() -> None:
    expected = {FileType.PACK: 100_000, FileType.INDEX: 30_000, FileType.SNAPSHOT: 40_000}
    listed = [f"data/{name[:2]}/{name}" for name in names(100_000)]
    listed += [f"index/{name}" for name in names(30_000)] + [f"snapshots/{name}" for name in names(40_000)]
    held = [sum(holds(each, key) for key in listed) for each in key_ranges(expected)]
    assert len(held) == 170_000 // SMALLEST
    assert all(0.9 * SMALLEST < count < 1.2 * SMALLEST for count in held)


def test_ten_million_packs_are_some_thousand_ranges_and_a_hundred_million_more() -> None:
    assert len(key_ranges({FileType.PACK: 10_000_000})) == 1_250
    assert len(key_ranges({FileType.PACK: 100_000_000})) == 12_500


# --- a guess from the first page -------------------------------------------------------------------


def first_page(packs: int) -> list[ObjectKey]:
    ordered = sorted(ObjectKey(f"data/{name[:2]}/{name}") for name in names(packs))
    return [ObjectKey("config"), *ordered[:999]]


def test_the_first_page_tells_how_many_packs_there_are() -> None:
    assert abs(likely({}, first_page(200_000))[FileType.PACK] - 200_000) < 20_000


def test_more_than_was_expected_counts_and_fewer_does_not() -> None:
    expected = {FileType.PACK: 1_000_000, FileType.SNAPSHOT: 7}
    assert likely(expected, first_page(20_000)) == expected
    grown = likely({**expected, FileType.PACK: 10}, first_page(200_000))
    assert grown[FileType.PACK] > 100_000
    assert grown[FileType.SNAPSHOT] == 7


def test_a_page_without_packs_tells_nothing() -> None:
    assert likely({}, [ObjectKey("config"), ObjectKey("data/zz")]) == {}


def test_names_that_promise_thousands_of_millions_are_not_believed() -> None:
    forged = [ObjectKey(f"data/00/{number:064x}") for number in range(1000)]
    assert likely({}, forged) == {FileType.PACK: MOST_PACKS}
    assert len(key_ranges(likely({}, forged))) == MOST_PACKS // SMALLEST
