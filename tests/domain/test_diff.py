"""What changed between two states, and what it means."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given

from functions.domain.diff import Change, Difference, Totals, differences, totals
from functions.domain.restic import FileType
from functions.domain.values import ObjectVersion, VersionId
from tests.builders import in_blocks, in_key_order, named, pack, states, version


def differing(before: list[ObjectVersion], after: list[ObjectVersion], lengths: Sequence[int] = ()) -> list[Difference]:
    """Of both, in blocks of these lengths."""
    return list(differences(in_blocks(before, lengths or [3]), in_blocks(after, lengths or [2, 5])))


def only(before: list[ObjectVersion], after: list[ObjectVersion]) -> Difference:
    (difference,) = differing(before, after)
    return difference


def test_a_state_does_not_differ_from_itself() -> None:
    entries = in_key_order([version("config"), version(pack("a")), version(named("snapshots", "s"))])
    assert differing(entries, entries) == []


def test_added_removed_and_replaced_keys_are_told_in_key_order() -> None:
    kept, old, new = version("config"), version(named("index", "i")), version(named("snapshots", "s"))
    before = in_key_order([kept, old, version(pack("a"), version_id="1")])
    after = in_key_order([kept, new, version(pack("a"), version_id="2")])
    assert [(each.key, each.change) for each in differing(before, after)] == [
        (pack("a"), Change.REPLACED),
        (old.key, Change.REMOVED),
        (new.key, Change.ADDED),
    ]


def test_only_key_version_and_size_make_a_difference() -> None:
    pinned = version("config")
    assert differing([pinned], [replace(pinned, etag="other", storage_class="GLACIER")]) == []


def test_an_entry_whose_size_differs_under_one_version_id_is_a_difference() -> None:
    """S3 never shows this: one of the two states lies."""
    pinned = version(pack("a"), size=100)
    assert not only([pinned], [replace(pinned, size=101)]).meaning.expected


def test_keys_are_ordered_as_s3_orders_them_by_their_utf8_bytes() -> None:
    before = in_key_order([version("\uffff"), version("a")])
    after = in_key_order([version("\U0001f600"), version("a")])
    assert [each.key for each in differing(before, after)] == ["\uffff", "\U0001f600"]


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("keys", [("b", "a"), ("a", "a")])
def test_states_that_are_not_in_key_order_are_not_compared(keys: tuple[str, str], length: int) -> None:
    wrong = [version(key) for key in keys]
    for before, after in [(wrong, []), ([], wrong), (wrong, wrong)]:
        with pytest.raises(ValueError, match="key order"):
            differing(before, after, [length])


@given(states, states)
def test_each_key_is_told_once_exactly_if_its_version_differs(
    before: list[ObjectVersion], after: list[ObjectVersion]
) -> None:
    old = {each.key: each for each in before}
    new = {each.key: each for each in after}
    told = {each.key: (each.before, each.after) for each in differing(before, after)}
    assert list(told) == sorted(told, key=str.encode)
    for key in {*old, *new}:
        one, other = old.get(key), new.get(key)
        pair = tuple((each.version_id, each.size) if each else None for each in (one, other))
        assert (key in told) == (pair[0] != pair[1])
        if key in told:
            assert told[key] == (one, other)


@given(states, states)
def test_the_other_way_round_added_is_removed(before: list[ObjectVersion], after: list[ObjectVersion]) -> None:
    there, back = (totals(differing(*pair)) for pair in ((before, after), (after, before)))
    opposite = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.REPLACED: Change.REPLACED}
    for (kind, change), sums in there.items():
        mirrored = back[kind, opposite[change]]
        assert (sums.objects, sums.bytes_before, sums.bytes_after) == (
            mirrored.objects,
            mirrored.bytes_after,
            mirrored.bytes_before,
        )


def test_totals_count_objects_and_the_bytes_of_both_states_by_type_and_change() -> None:
    before = in_key_order([version(pack("a"), size=10), version(pack("b"), size=20), version("note.txt", size=1)])
    after = in_key_order([version(pack("a"), size=15, version_id="other"), version(named("index", "i"), size=7)])
    assert totals(differing(before, after)) == {
        (FileType.PACK, Change.REPLACED): Totals(1, 10, 15, unexpected=1),
        (FileType.PACK, Change.REMOVED): Totals(1, 20, 0),
        (FileType.INDEX, Change.ADDED): Totals(1, 0, 7),
        (FileType.ALIEN, Change.REMOVED): Totals(1, 1, 0, unexpected=1),
    }


@pytest.mark.parametrize("folder", ["keys", "snapshots", "index"])
def test_restic_adds_and_removes_its_files(folder: str) -> None:
    entry = version(named(folder, "x"))
    assert only([], [entry]).meaning.expected
    assert only([entry], []).meaning.expected


@pytest.mark.parametrize("key", [pack("a"), named("keys", "k"), named("snapshots", "s"), named("index", "i")])
class TestASecondVersionOfAFileNamedByItsBytes:
    def test_is_benign_when_size_and_etag_say_that_it_is_the_same_bytes(self, key: str) -> None:
        meaning = only([version(key, version_id="1")], [version(key, version_id="2")]).meaning
        assert meaning.expected
        assert "same bytes" in meaning.what

    def test_is_damage_when_its_size_differs(self, key: str) -> None:
        meaning = only([version(key, version_id="1")], [version(key, version_id="2", size=99)]).meaning
        assert not meaning.expected
        assert "damage" in meaning.what

    def test_is_not_trusted_when_only_its_size_is_the_same(self, key: str) -> None:
        difference = only([version(key, version_id="1")], [version(key, version_id="2", etag="f" * 32)])
        assert (difference.same_size, difference.same_etag, difference.meaning.expected) == (True, False, False)

    def test_is_not_trusted_when_s3_gave_no_etag(self, key: str) -> None:
        without = [replace(version(key), version_id=VersionId(each), etag="") for each in "12"]
        difference = only(without[:1], without[1:])
        assert (difference.same_etag, difference.meaning.expected) == (False, False)


def test_no_restic_command_removes_config_and_rewriting_it_is_never_taken_for_granted() -> None:
    assert only([], [version("config")]).meaning.expected
    assert not only([version("config")], []).meaning.expected
    assert not only([version("config", version_id="1")], [version("config", version_id="2")]).meaning.expected


@pytest.mark.parametrize("key", ["note.txt", "data/00/zz", "locks/x", named("locks", "l")])
def test_what_restic_does_not_keep_is_never_expected(key: str) -> None:
    one, other = version(key, version_id="1"), version(key, version_id="2")
    for before, after in (([], [one]), ([one], []), ([one], [other])):
        assert not only(before, after).meaning.expected
