"""What kept states name, asked key by key; and every way in which a pin could be missed."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.ledger import StateDamaged
from functions.domain.prune.named import Life, StoredNames
from functions.domain.prune.pins import PinnedVersions, PinsUnproven, pinned
from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from tests.builders import version
from tests.domain.prune.world import pins, unproven
from tests.fakes.faults import CallLog, Moment
from tests.fakes.ledger import FakeLedger
from tests.strands import write

A, B, C = (ObjectKey(key) for key in "abc")


def entries(*keys: str, version_id: str = "") -> list[ObjectVersion]:
    return [version(key, version_id=version_id or f"{key}1") for key in keys]


def test_each_state_adds_what_it_names() -> None:
    pinned = pins(entries("a", "b"), entries("b", version_id="b2"), entries("c"))
    assert [pinned.named(key) for key in (A, B, C)] == [{"a1"}, {"b1", "b2"}, {"c1"}]
    pinned.finish()
    assert len(pinned.states) == 3


def test_a_key_that_no_state_names_has_no_pins_and_the_same_key_can_be_asked_twice() -> None:
    pinned = pins(entries("b"))
    assert [pinned.named(key) for key in (A, B, B, C)] == [frozenset(), {"b1"}, {"b1"}, frozenset()]


state = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"))


@given(
    st.lists(st.tuples(state, st.sampled_from(["delta", "delta", "base"]), st.booleans()), min_size=1, max_size=7),
    st.sets(st.sampled_from("abcdefg")),
    st.integers(0, 2),
)
def test_whatever_is_asked_in_order_is_what_the_kept_states_name(
    states: Sequence[tuple[dict[str, str], str, bool]], asked: set[str], size: int
) -> None:
    """Of the states on one base some are kept, and the others pin nothing."""
    ledger = FakeLedger()
    kept = []
    for named, kind, is_kept in states:
        versions = [version(key, version_id=key + named[key]) for key in sorted(named)]
        header = write(ledger, versions, base=kind == "base", size=size)
        if is_kept:
            kept.append((header, named))
    found = PinnedVersions([header for header, _ in kept], StoredNames(ledger))
    for key in sorted(asked):
        assert found.named(ObjectKey(key)) == {key + named[key] for _, named in kept if key in named}
    found.finish()
    assert found.states == {header.id for header, _ in kept}


@pytest.mark.parametrize(
    ("places", "is_pinned"), [([2], True), ([3], True), ([4], False), ([1], False), ([1, 4], False), ([0, 3, 9], True)]
)
def test_a_version_is_pinned_from_the_place_that_puts_it_up_to_the_one_that_changes_its_key(
    places: Sequence[int], is_pinned: bool
) -> None:
    assert list(pinned([Life(VersionId("v"), 2, 4)], places)) == (["v"] if is_pinned else [])


def test_keys_that_are_not_asked_in_order_are_refused_instead_of_being_called_free() -> None:
    pinned = pins(entries("a", "b"))
    pinned.named(B)
    with pytest.raises(PinsUnproven, match="nothing was decided"):
        pinned.named(A)


def test_states_on_one_base_are_read_once_and_all_count() -> None:
    ledger = FakeLedger()
    headers = [write(ledger, entries("a", "b"))]
    headers += [write(ledger, entries("a", "b", *"cdef"[: count + 1])) for count in range(4)]
    headers.append(write(ledger, entries("a", "b", *"cdef")))
    assert [header.kind for header in headers] == ["base", *["delta"] * 4, "same"]
    log = CallLog()
    ledger.hook = log
    pinned = PinnedVersions(headers, StoredNames(ledger))
    pinned.finish()
    fetched = [call.resource for call in log.calls if (call.operation, call.moment) == ("GetChunk", Moment.AFTER)]
    assert sorted(fetched) == sorted(f"{header.chunks.attempt}/0" for header in headers[:-1])
    assert pinned.states == {header.id for header in headers}


def test_a_dropped_state_of_which_a_chunk_is_gone_is_missed_where_a_kept_one_lies_on_it() -> None:
    ledger = FakeLedger()
    base, dropped, kept = (write(ledger, entries(*keys)) for keys in ("a", "ab", "abc"))
    del ledger.chunks[dropped.chunks.attempt, 0]
    for asked in ([kept], [base, kept]):
        with pytest.raises(StateDamaged, match="is missing"):
            PinnedVersions(asked, StoredNames(ledger)).finish()
    PinnedVersions([base], StoredNames(ledger)).finish()


def test_a_state_that_fails_its_proof_at_its_end_fails_the_whole() -> None:
    pinned = unproven(*entries("a", "b"))
    assert pinned.named(A) == {"a1"}
    with pytest.raises(StateDamaged, match="are not those"):
        pinned.finish()
