"""What states name of a few keys is what reading them whole would say, or nothing is said."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.prune.lookup import NamedVersions, Proofs, StateLookup
from functions.domain.prune.pins import PinsUnproven
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import AttemptId, ObjectKey, ObjectVersion
from tests.builders import version
from tests.domain.prune.world import header_of
from tests.fakes.faults import CallLog
from tests.fakes.ledger import FakeLedger
from tests.strands import cut_of, write


def recorded(ledger: FakeLedger, entries: Sequence[ObjectVersion], *, size: int = 3, base: bool = True) -> StateHeader:
    """The next state, of `entries`, whose chunks hold `size` of them."""
    return write(ledger, entries, base=base, size=size)


def state_of(numbers: Sequence[int], suffix: str = "") -> list[ObjectVersion]:
    return [version(f"key {number:04d}", version_id=f"v{number}{suffix}") for number in numbers]


def keys(numbers: Sequence[int]) -> list[ObjectKey]:
    return [ObjectKey(f"key {number:04d}") for number in sorted(numbers)]


def look_up(
    ledger: FakeLedger, headers: Sequence[StateHeader], wanted: Sequence[int], proofs: Proofs | None = None
) -> NamedVersions:
    return StateLookup(ledger, {} if proofs is None else proofs, threads=1).named(headers, keys(wanted))


numbers = st.sets(st.integers(0, 60)).map(sorted)


@given(
    st.lists(st.tuples(numbers, st.booleans(), st.booleans(), st.booleans()), max_size=5), numbers, st.integers(1, 4)
)
def test_it_names_what_the_kept_states_name_whatever_their_chunks(
    states: list[tuple[list[int], bool, bool, bool]], wanted: list[int], size: int
) -> None:
    """Bases and deltas, of which some are kept; a key is replaced in a state or not."""
    ledger = FakeLedger()
    kept: list[tuple[StateHeader, list[int], str]] = []
    suffix = ""
    proofs: Proofs = {}
    for place, (each, base, replaces, is_kept) in enumerate(states):
        suffix = f"-{place}" if replaces else suffix
        header = recorded(ledger, state_of(each, suffix), size=size, base=base)
        if is_kept:
            kept.append((header, each, suffix))
    for _ in range(2):
        found = look_up(ledger, [header for header, _, _ in kept], wanted, proofs)
        for number in wanted:
            expected = {f"v{number}{suffix}" for _, each, suffix in kept if number in each}
            assert found.named(ObjectKey(f"key {number:04d}")) == expected
    assert found.states == {header.id for header, _, _ in kept}


@pytest.mark.parametrize("damage", ["missing", "forged", "header"])
def test_a_delta_between_that_is_not_what_was_written_raises(damage: str) -> None:
    """Even though its own state is not asked for, and no key is in it."""
    ledger = FakeLedger()
    states = [state_of(range(count)) for count in (12, 13, 14)]
    _, between, kept = (recorded(ledger, each, base=False) for each in states)
    place = (between.chunks.attempt, 0)
    if damage == "missing":
        del ledger.chunks[place]
    elif damage == "forged":
        (ledger.chunks[place],) = chunks.encode_delta(state_of([40]))
    else:
        del ledger.stored_headers[between.repository, between.generation]
    with pytest.raises(PinsUnproven, match="nothing was decided"):
        look_up(ledger, [kept], [0])


def test_a_delta_without_chunks_raises() -> None:
    ledger = FakeLedger()
    recorded(ledger, state_of([1]))
    header = recorded(ledger, state_of([1, 2]), base=False)
    none = ChunkSet(attempt=AttemptId("a"), count=0, digest=chunks.digest([]))
    with pytest.raises(PinsUnproven, match="no chunks"):
        look_up(ledger, [header.model_copy(update={"chunks": none})], [1])


def test_a_key_that_was_not_looked_up_has_no_answer() -> None:
    ledger = FakeLedger()
    found = look_up(ledger, [recorded(ledger, state_of([1, 2]))], [1])
    with pytest.raises(PinsUnproven, match="was not looked up"):
        found.named(ObjectKey("key 0002"))


def test_keys_out_of_order_are_refused() -> None:
    ledger = FakeLedger()
    header = recorded(ledger, state_of([1, 2]))
    for wanted in (["b", "a"], ["a", "a"]):
        with pytest.raises(PinsUnproven, match="out of order"):
            StateLookup(ledger, {}, threads=1).named([header], [ObjectKey(key) for key in wanted])


@pytest.mark.parametrize("number", range(4))
def test_a_chunk_that_is_missing_or_another_one_raises_wherever_it_lies(number: int) -> None:
    ledger = FakeLedger()
    header = recorded(ledger, state_of(range(12)))
    place = (header.chunks.attempt, number)
    whole = ledger.chunks.pop(place)
    with pytest.raises(PinsUnproven, match="is missing"):
        look_up(ledger, [header], [0])
    (ledger.chunks[place],) = chunks.encode(state_of(range(3), "-forged"))
    with pytest.raises(PinsUnproven, match="not those it names"):
        look_up(ledger, [header], [0])
    ledger.chunks[place] = whole
    assert look_up(ledger, [header], [0]).named(ObjectKey("key 0000")) == {"v0"}


def test_a_chunk_that_is_changed_after_it_was_proven_raises_when_it_is_read() -> None:
    ledger = FakeLedger()
    proofs: Proofs = {}
    header = recorded(ledger, state_of(range(12)))
    look_up(ledger, [header], [0], proofs)
    (ledger.chunks[header.chunks.attempt, 0],) = chunks.encode(state_of([0], "-forged"))
    with pytest.raises(PinsUnproven, match="is not the one it was"):
        look_up(ledger, [header], [0], proofs)


def test_a_state_with_entries_and_without_chunks_raises() -> None:
    ledger = FakeLedger()
    header = header_of(cut_of(state_of([1])))
    none = ChunkSet(attempt=AttemptId("a"), count=0, digest=chunks.digest([]))
    with pytest.raises(PinsUnproven):
        look_up(ledger, [header.model_copy(update={"chunks": none})], [1])


def test_chunks_in_disorder_raise_even_where_their_digest_holds() -> None:
    ledger = FakeLedger()
    header = recorded(ledger, [*state_of([5]), *state_of([3])])
    with pytest.raises(PinsUnproven, match="in disorder"):
        look_up(ledger, [header], [3])


def test_what_is_remembered_is_proven_by_its_own_digest_only() -> None:
    """Proofs of one state are never taken for those of another."""
    ledger = FakeLedger()
    proofs: Proofs = {}
    first, second = recorded(ledger, state_of([1])), recorded(ledger, state_of([2]))
    look_up(ledger, [first], [1], proofs)
    assert set(proofs) == {first.chunks.digest}
    assert look_up(ledger, [second], [1, 2], proofs).named(ObjectKey("key 0002")) == {"v2"}


def test_a_second_lookup_reads_the_chunks_of_its_keys_and_no_others() -> None:
    ledger = FakeLedger()
    proofs: Proofs = {}
    header = recorded(ledger, state_of(range(300)))
    look_up(ledger, [header], [150, 151, 152], proofs)
    log = CallLog()
    ledger.hook = log
    look_up(ledger, [header], [150, 151, 152], proofs)
    assert log.count()["GetChunk"] <= 2
    assert hashlib.sha256(ledger.chunks[header.chunks.attempt, 0]).digest() == proofs[header.chunks.digest].hashes[0]
