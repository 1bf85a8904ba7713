"""What kept states name, streamed; and every way in which a pin could be missed."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.prune.pins import PinnedVersions, PinsUnproven
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from tests.builders import version
from tests.domain.prune.world import cut_of, header_of, pins

A, B, C = (ObjectKey(key) for key in "abc")


def entries(*keys: str, version_id: str = "") -> list[ObjectVersion]:
    return [version(key, version_id=version_id or f"{key}1") for key in keys]


def reading(header: StateHeader, *names: tuple[str, str]) -> PinnedVersions:
    """A state whose stream gives `names`, whatever its header says."""
    return PinnedVersions([header], lambda _: [(ObjectKey(key), VersionId(version_id)) for key, version_id in names])


def test_each_state_adds_what_it_names() -> None:
    pinned = pins(entries("a", "b"), entries("b", version_id="b2"), entries("c"))
    assert [pinned.named(key) for key in (A, B, C)] == [{"a1"}, {"b1", "b2"}, {"c1"}]
    pinned.finish()
    assert len(pinned.states) == 3


def test_a_key_that_no_state_names_has_no_pins_and_the_same_key_can_be_asked_twice() -> None:
    pinned = pins(entries("b"))
    assert [pinned.named(key) for key in (A, B, B, C)] == [frozenset(), {"b1"}, {"b1"}, frozenset()]


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=5), st.sets(st.sampled_from("abcdefg")))
def test_whatever_is_asked_in_order_is_what_the_states_name(states: list[set[str]], asked: set[str]) -> None:
    pinned = pins(*[[version(key, version_id=f"{key}{n}") for key in sorted(keys)] for n, keys in enumerate(states)])
    for key in sorted(asked):
        expected = {f"{key}{number}" for number, keys in enumerate(states) if key in keys}
        assert pinned.named(ObjectKey(key)) == expected
    pinned.finish()


def test_keys_that_are_not_asked_in_order_are_refused_instead_of_being_called_free() -> None:
    pinned = pins(entries("a", "b"))
    pinned.named(B)
    with pytest.raises(PinsUnproven, match="nothing was decided"):
        pinned.named(A)


def test_states_of_one_manifest_root_are_read_once_and_all_count() -> None:
    first = header_of(cut_of(entries("a")))
    second = header_of(cut_of(entries("a")), first)
    read: list[StateHeader] = []

    def names(header: StateHeader) -> list[tuple[ObjectKey, VersionId]]:
        read.append(header)
        return [(A, VersionId("a1"))]

    pinned = PinnedVersions([first, second], names)
    assert len(read) == 1
    assert pinned.states == {first.id, second.id}


@pytest.mark.parametrize("names", [[("b", "b1"), ("a", "a1")], [("a", "a1"), ("a", "a2")]])
def test_a_stream_that_is_not_in_order_is_refused(names: list[tuple[str, str]]) -> None:
    pinned = reading(header_of(cut_of(entries("a", "b"))), *names)
    with pytest.raises(PinsUnproven, match="names 'a' after"):
        pinned.finish()


@pytest.mark.parametrize("names", [[("a", "a1")], [("a", "a1"), ("b", "b1"), ("c", "c1")]])
def test_a_stream_with_fewer_or_more_entries_than_its_header_is_refused(names: list[tuple[str, str]]) -> None:
    pinned = reading(header_of(cut_of(entries("a", "b"))), *names)
    with pytest.raises(PinsUnproven, match=f"has {len(names)} entries, expected 2"):
        pinned.finish()


def test_an_empty_stream_of_a_state_that_has_entries_is_refused_at_once() -> None:
    with pytest.raises(PinsUnproven, match="has 0 entries, expected 1"):
        reading(header_of(cut_of(entries("a"))))


def test_a_state_that_fails_its_proof_at_its_end_fails_the_whole() -> None:
    def names(_: StateHeader) -> Iterator[tuple[ObjectKey, VersionId]]:
        yield A, VersionId("a1")
        yield B, VersionId("b1")
        raise ValueError("manifest root is another")

    pinned = PinnedVersions([header_of(cut_of(entries("a", "b")))], names)
    pinned.named(A)
    with pytest.raises(ValueError, match="manifest root"):
        pinned.finish()
