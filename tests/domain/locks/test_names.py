"""Which kept states name a version: all of them, each once, and none that is broken spoils the others."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.cut import NotInOrder
from functions.domain.locks.names import KeptNames, named_by_key
from functions.domain.prune.named import StoredNames
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, StateId
from tests.builders import listing, marker, version
from tests.fakes.faults import CallLog, Moment
from tests.fakes.ledger import FakeLedger
from tests.strands import write

KEYS = ["a", "b", "c", "d"]
State = Mapping[str, str]
"""The version that it names of each key."""


def lived(ledger: FakeLedger, *states: State, bases: Sequence[int] = ()) -> list[StateHeader]:
    """One after another; those of the numbers in `bases` are written whole, the others as deltas."""
    return [
        write(
            ledger,
            [version(key, version_id=state[key]) for key in sorted(state)],
            base=number in bases,
            size=1,
        )
        for number, state in enumerate(states)
    ]


def kept(ledger: FakeLedger, headers: Sequence[StateHeader]) -> KeptNames:
    return KeptNames(headers, StoredNames(ledger))


def named(names: KeptNames, key: str) -> dict[str, list[StateId]]:
    """By version id, the states that name it."""
    return {
        str(version_id): sorted(state for namers in by for state in namers.states)
        for version_id, by in names.of(ObjectKey(key)).items()
    }


contents = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["1", "2"]), max_size=4)


@given(
    st.lists(st.tuples(contents, st.sampled_from([False, False, True]), st.booleans()), min_size=1, max_size=7),
    st.sets(st.sampled_from([*KEYS, "aa", "e"])).map(sorted),
)
def test_each_kept_state_that_names_a_version_is_told_once_whichever_keys_are_asked_for(
    states: list[tuple[State, bool, bool]], asked: list[str]
) -> None:
    """Of the states on one base some are kept."""
    ledger = FakeLedger()
    headers = lived(
        ledger,
        *(state for state, _, _ in states),
        bases=[number for number, (_, whole, _) in enumerate(states) if whole],
    )
    those = [(header, state) for header, (state, _, is_kept) in zip(headers, states, strict=True) if is_kept]
    names = kept(ledger, [header for header, _ in those])
    for key in asked:
        expected: dict[str, list[StateId]] = {}
        for header, state in those:
            if key in state:
                expected.setdefault(state[key], []).append(header.id)
        assert named(names, key) == {version_id: sorted(states) for version_id, states in expected.items()}
    names.finish()
    assert names.unproven == frozenset()


def test_versions_that_the_same_states_name_share_one_object() -> None:
    """So that a million versions that never change are added up without a look at each state."""
    ledger = FakeLedger()
    headers = lived(ledger, {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "c": "1"})
    names = kept(ledger, headers)
    (first,), (second,) = (names.of(ObjectKey(key))[version("a", version_id="1").version_id] for key in "ac")
    assert first is second
    assert set(first.states) == {header.id for header in headers}


def test_states_of_one_base_are_read_once() -> None:
    ledger = FakeLedger()
    headers = lived(ledger, {"a": "1"}, {"a": "1"}, {"a": "2"}, {"b": "1"}, bases=[3])
    ledger.hook = log = CallLog()
    kept(ledger, headers).finish()
    read = [call.resource for call in log.calls if call.moment is Moment.BEFORE and call.operation == "GetChunk"]
    assert len(read) == len(set(read)) == 3


def damage(ledger: FakeLedger, header: StateHeader) -> None:
    """Its last chunk is another one."""
    place = header.chunks.attempt, header.chunks.count - 1
    ledger.chunks[place] = ledger.chunks[place][:-1] + bytes([ledger.chunks[place][-1] ^ 1])


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_delta_that_breaks_costs_the_states_that_lie_on_it_and_no_other(broken: int) -> None:
    ledger = FakeLedger()
    headers = lived(
        ledger, {"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "3", "b": "1"}, {"a": "1", "b": "1"}, bases=[3]
    )
    damage(ledger, headers[broken])
    names = kept(ledger, headers)
    for key in KEYS:
        told = named(names, key)
        for number, expected in enumerate(({"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "3", "b": "1"})):
            if number < broken and key in expected:
                assert headers[number].id in told[expected[key]]
        if key in "ab":
            assert headers[3].id in told["1"], "it lies on another base"
    names.finish()
    assert names.unproven == {header.id for header in headers[broken:3]}


def test_a_chunk_that_is_missing_is_told_and_the_states_on_another_base_are_read_on() -> None:
    ledger = FakeLedger()
    first, second = lived(ledger, {"a": "1", "b": "1"}, {"a": "1", "b": "2"}, bases=[1])
    del ledger.chunks[first.chunks.attempt, 1]
    names = kept(ledger, [first, second])
    assert [second.id in states for states in (named(names, "a")["1"], named(names, "b")["2"])] == [True, True]
    names.finish()
    assert names.unproven == {first.id}


def test_a_state_with_fewer_entries_than_its_header_says_is_unproven() -> None:
    ledger = FakeLedger()
    (header,) = lived(ledger, {"a": "1"})
    names = kept(ledger, [header.model_copy(update={"objects": 2})])
    names.of(ObjectKey("a"))
    names.finish()
    assert len(names.unproven) == 1


def test_states_that_are_not_on_one_strand_are_unproven_and_lock_nothing() -> None:
    ledger = FakeLedger()
    first, second = lived(ledger, {"a": "1"}, {"a": "2"})
    beside = first.model_copy(update={"chunks": first.chunks.model_copy(update={"count": 7}), "delta": second.delta})
    names = kept(ledger, [second, beside])
    assert named(names, "a") == {}
    names.finish()
    assert names.unproven == {second.id, beside.id}


def test_of_a_listing_only_named_versions_come_and_every_key_does() -> None:
    ledger = FakeLedger()
    headers = lived(ledger, {"a": "v-10", "c": "v-30"})
    listed = listing(
        version("a", written=-10), version("a", written=-20), marker("b", written=-5), version("c", written=-5)
    )
    found = [
        (key, [each.version_id for each, _ in versions])
        for key, versions in named_by_key(listed, kept(ledger, headers))
    ]
    assert found == [("a", ["v-10"]), ("b", []), ("c", [])]


def test_a_listing_that_is_not_in_key_order_is_not_believed() -> None:
    """In it a version is looked for where it is not, and would stay without a lock unseen."""
    listed: list[ObjectVersion] = [version("b"), version("a")]
    ledger = FakeLedger()
    with pytest.raises(NotInOrder, match="nothing is said of the locks"):
        list(named_by_key(listed, kept(ledger, lived(ledger, {"a": "1"}))))
