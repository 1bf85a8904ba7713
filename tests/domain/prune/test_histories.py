"""A listing as histories: which keys pass by, and what must never be told apart wrongly."""

import pytest

from functions.domain.cut import NotInOrder
from functions.domain.key_history import MOST_ENTRIES
from functions.domain.prune.histories import Histories, is_flooded
from functions.domain.values import ListedVersion
from tests.builders import listing, marker, version


def test_a_key_with_one_current_version_passes_by_and_is_counted() -> None:
    histories = Histories(listing(version("a", size=3), version("b", size=4), marker("c", written=-5)))
    assert [each.key for each in histories] == ["c"]
    assert (histories.versions.objects, histories.versions.bytes, histories.markers) == (2, 7, 1)


def test_a_history_has_all_entries_of_its_key_newest_first() -> None:
    entries: list[ListedVersion] = [version("b", written=-1), marker("b", written=-2), version("b", written=-3)]
    (history,) = Histories(listing(version("a"), *entries, version("c")))
    assert list(history.entries) == entries
    assert history.count == 3
    assert not is_flooded(history)


def test_lock_files_have_histories_too() -> None:
    assert [each.key for each in Histories(listing(version("locks/x"), marker("locks/x", written=0)))] == ["locks/x"]


def test_of_a_flood_only_the_newest_entries_are_held_and_all_are_counted() -> None:
    entries: list[ListedVersion] = [version("a", written=-number) for number in range(MOST_ENTRIES + 5)]
    (history,) = Histories(entries)
    assert (len(history.entries), history.count) == (MOST_ENTRIES, MOST_ENTRIES + 5)
    assert is_flooded(history)
    (just_below,) = Histories(entries[:MOST_ENTRIES])
    assert not is_flooded(just_below)


def test_a_listing_whose_keys_do_not_ascend_is_refused() -> None:
    twice = [version("a"), version("b"), version("a", written=-7200)]
    with pytest.raises(NotInOrder, match="nothing was planned"):
        list(Histories(twice))


def test_nothing_listed_is_no_history() -> None:
    assert list(Histories([])) == []
