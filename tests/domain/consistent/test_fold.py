"""By columns, a listing shows exactly what it shows entry by entry, wherever its blocks end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.consistent import keys
from functions.domain.consistent.fold import observe
from functions.domain.consistent.fresh import Usual
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.shown import Shown
from functions.domain.cut import NotInOrder
from functions.domain.delta import apply, changes_of, unlike
from functions.domain.entries import Entries
from functions.domain.restic import FileType
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId
from tests.builders import NOON, named, pack, packs
from tests.cuts import in_small_blocks
from tests.domain.consistent import slow
from tests.domain.consistent.cases import ordered, versions

FLOOD = 4
"""Entries of one key that are one too many here."""
KEYS = [
    "config",
    "a note",
    "data/readme",
    f"data/00/{'1' * 64}",
    "locks/odd",
    *(pack(str(number)) for number in range(6)),
    *(named(folder, "file") for folder in ("index", "keys", "locks", "snapshots")),
]
ages = st.one_of(
    st.integers(-4, 4), st.sampled_from([3_600, 7_199, 7_200, 7_201]), st.integers(-10, 12_000), st.integers(0, 10**7)
)
"""Seconds before the cut."""


def second(age: int) -> datetime:
    return NOON - timedelta(seconds=age)


histories = st.lists(
    st.builds(
        lambda key, age, size, etag, storage_class, version_id: (
            DeleteMarker(ObjectKey(key), VersionId(version_id), second(age))
            if size is None
            else ObjectVersion(ObjectKey(key), VersionId(version_id), size, second(age), etag, storage_class)
        ),
        st.sampled_from(KEYS),
        ages,
        st.sampled_from([None, 0, 31, 32, 500, 10**12]),
        st.sampled_from(["", "a" * 32, "b" * 32, "c" * 32 + "-3"]),
        st.sampled_from(["STANDARD", "STANDARD", "STANDARD", "GLACIER"]),
        st.sampled_from(["null", *"abcdefgh"]),
    ),
    max_size=30,
    unique_by=lambda entry: (entry.key, entry.version_id),
)
written_once = st.lists(
    st.builds(
        lambda found, age, null: replace(
            found, last_modified=second(age), version_id=VersionId("null") if null else found.version_id
        ),
        packs,
        st.one_of(ages, st.integers(5, 10**7)),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=30,
)


@st.composite
def listings(draw: st.DrawFn) -> list[ListedVersion]:
    """Histories of a few keys, in any order of their times, among packs that were written once."""
    found = draw(histories)
    plain = {each.key: each for each in draw(written_once)}
    return sorted([*found, *plain.values()], key=lambda entry: entry.key)


lengths = st.lists(st.integers(1, 12), min_size=1, max_size=4)
past_ages = st.dictionaries(
    st.one_of(st.integers(0, 12_000), st.integers(0, 10**7)), st.sampled_from([0, 2, 100]), max_size=3
)


def blocks(listing: Sequence[ListedVersion], cut_into: Sequence[int]) -> Iterator[Columns]:
    start = 0
    for length in cycle(cut_into):
        if start >= len(listing):
            return
        yield Columns.of(listing[start : start + length])
        start += length


def at(past: Mapping[int, int]) -> dict[datetime, int]:
    return {second(age): most for age, most in past.items()}


def state_of(listing: Sequence[ListedVersion], then: datetime) -> Entries:
    """Each key's newest version at an instant, where nothing hides it."""
    newest: dict[ObjectKey, ListedVersion] = {}
    for entry in listing:
        if entry.last_modified <= then and not entry.key.startswith("locks/"):
            newest.setdefault(entry.key, entry)
    return Entries.of(entry for entry in newest.values() if isinstance(entry, ObjectVersion))


@pytest.fixture(autouse=True, scope="module")
def _few_entries_are_a_flood() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MOST_ENTRIES", FLOOD)
        patch.setattr(slow, "MOST_ENTRIES", FLOOD)
        yield


@settings(max_examples=300, deadline=None)
@given(
    listings(),
    lengths,
    past_ages,
    st.sampled_from([Usual(), Usual(frozenset({"STANDARD", "GLACIER"})), Usual(multipart=True)]),
)
def test_by_columns_a_listing_shows_what_it_shows_entry_by_entry(
    listing: list[ListedVersion], cut_into: list[int], past: dict[int, int], usual: Usual
) -> None:
    fresh = observe(blocks(listing, cut_into), NOON, usual=usual, past=at(past))
    assert fresh == slow.observe_slowly(listing, NOON, usual=usual, past=at(past))


@settings(max_examples=200, deadline=None)
@given(listings(), lengths, st.lists(st.integers(0, 10**7), max_size=3), st.data())
def test_what_kept_states_name_is_looked_for_entry_by_entry_or_by_columns_alike(
    listing: list[ListedVersion], cut_into: list[int], cuts: list[int], data: st.DataObject
) -> None:
    kept = Kept()
    destroyed = st.sampled_from([ObjectKey("data/destroyed"), *(entry.key for entry in listing)]).map(
        lambda key: ObjectVersion(key, VersionId("destroyed"), 100, second(10**7), "", "STANDARD")
    )
    for age in cuts:
        named_then = [each for each in state_of(listing, second(age)) if data.draw(st.integers(0, 4))]
        kept.add(second(age), [*named_then, *data.draw(st.lists(destroyed, max_size=2))])
    fresh = observe(blocks(listing, cut_into), NOON, kept=kept, past={NOON: 0})
    assert fresh == slow.observe_slowly(listing, NOON, usual=Usual(), kept=kept, past={NOON: 0})


@settings(max_examples=200, deadline=None)
@given(listings(), lengths, st.integers(0, 10**7))
def test_the_changes_since_a_past_cut_make_the_cut_of_what_was_current_then(
    listing: list[ListedVersion], cut_into: list[int], age: int
) -> None:
    """So that a delta of them, on a parent that is proven to be what was current, reads back as the cut."""
    fresh = observe(blocks(listing, cut_into), NOON, past={second(age): len(listing)})
    changes, then = fresh.past[second(age)].changes, state_of(listing, second(age))
    assert changes is not None
    assert apply(list(then), changes) == list(fresh.cut.versions)
    assert changes == tuple(changes_of(unlike(then.blocks(), fresh.cut.versions.blocks())))


@settings(max_examples=200, deadline=None)
@given(listings(), lengths, st.integers(0, 10**7))
def test_a_state_of_the_ledger_shows_what_the_listing_shows_of_it(
    listing: list[ListedVersion], cut_into: list[int], age: int
) -> None:
    fresh = observe(blocks(listing, cut_into), NOON, past={second(age): 0})
    recorded = in_small_blocks(state_of(listing, second(age)), cut_into[0])
    assert Shown.of(recorded, fresh.cut) == fresh.past[second(age)].shown


def test_more_changes_than_were_asked_for_are_none() -> None:
    listing = ordered(versions_of_an_hour(3))
    for most, kept in ((3, 3), (2, None)):
        changes = observe(in_small_blocks(listing), NOON, past={second(3600): most}).past[second(3600)].changes
        assert (len(changes) if changes is not None else None) == kept


def versions_of_an_hour(number: int) -> list[ObjectVersion]:
    return [
        ObjectVersion(pack(f"new {each}"), VersionId("v"), 100, second(60 + each), "", "STANDARD")
        for each in range(number)
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_listing_that_is_not_in_order_is_refused_wherever_its_blocks_end(length: int, place: int) -> None:
    listing: list[ListedVersion] = list(ordered(versions_of_an_hour(4)))
    listing[place], listing[place + 1] = listing[place + 1], listing[place]
    with pytest.raises(NotInOrder, match="nothing was recorded"):
        observe(in_small_blocks(listing, length), NOON)


def test_nothing_is_listed_of_an_empty_bucket() -> None:
    fresh = observe([], NOON, past={second(60): 0})
    assert (len(fresh.cut.versions), fresh.by_type) == (0, {})
    assert (fresh.past[second(60)].objects, fresh.past[second(60)].changes) == (0, ())
    assert fresh.tally(FileType.PACK).objects == 0
    assert versions([]) == ()
