"""What each kept state needs alone is what nobody else names, however the ledger lays the states out."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.ledger import StateDamaged
from functions.domain.page.needs import Needs, needs_of
from functions.domain.state import StateHeader, Tally
from functions.domain.values import ObjectVersion
from tests.builders import in_key_order, pack, version
from tests.fakes.ledger import FakeLedger
from tests.strands import write

SIZES = st.integers(1, 1000)
histories = st.lists(
    st.dictionaries(st.sampled_from([str(pack(str(name))) for name in range(12)] + ["config"]), SIZES, min_size=1),
    min_size=1,
    max_size=6,
)
"""States in turn: a key with the size of its version; the same size is the same version."""


def states(ledger: FakeLedger, history: Sequence[dict[str, int]], bases: Sequence[bool]) -> list[StateHeader]:
    """The newest first."""
    made = []
    for number, (held, base) in enumerate(zip(history, bases, strict=False)):
        entries = [version(key, size=size, version_id=f"v{size}") for key, size in held.items()]
        # A chain goes forward in time; `write` takes the same instant for each, so only the entries tell them apart.
        made.append(write(ledger, in_key_order(entries), base=base or number == 0))
    return made[::-1]


def slowly(history: Sequence[Sequence[ObjectVersion]]) -> list[Tally]:
    """By a set for each state."""
    count = Counter((each.key, each.version_id) for held in history for each in held)
    alone = [[each for each in held if count[each.key, each.version_id] == 1] for held in history]
    return [Tally(objects=len(held), bytes=sum(each.size for each in held)) for held in alone]


@settings(deadline=None)
@given(histories, st.lists(st.booleans(), min_size=6, max_size=6), st.sets(st.integers(0, 5)))
def test_what_one_state_alone_names_is_found_over_bases_and_deltas(
    history: list[dict[str, int]], bases: list[bool], dropped: set[int]
) -> None:
    ledger = FakeLedger()
    headers = states(ledger, history, bases)
    kept = [header for header in headers if header.generation - 1 not in dropped]
    entries = [
        [version(key, size=size, version_id=f"v{size}") for key, size in history[header.generation - 1].items()]
        for header in kept
    ]
    found = needs_of(ledger, kept)
    assert found is not None
    assert [found.only[header.id] for header in kept] == slowly(entries)
    every = {(each.key, each.version_id): each.size for held in entries for each in held}
    assert (found.together, found.one_in) == (Tally(objects=len(every), bytes=sum(every.values())), 1)


def large(count: int) -> tuple[FakeLedger, list[StateHeader]]:
    """Two states of so many packs, the older of which has a tenth that the newer one has no more."""
    ledger = FakeLedger()
    entries = in_key_order([version("config"), *(version(pack(str(number)), size=1000) for number in range(count))])
    older = write(ledger, entries)
    newer = write(ledger, entries[count // 10 :], base=True)
    return ledger, [newer, older]


def test_of_a_large_repository_one_pack_in_sixteen_is_looked_at_and_multiplied() -> None:
    ledger, kept = large(20_000)
    exact = needs_of(ledger, kept)
    sampled = needs_of(ledger, kept, most=1_000)
    assert exact is not None
    assert sampled is not None
    assert (exact.one_in, sampled.one_in) == (1, 16)
    assert sampled.together.bytes == pytest.approx(exact.together.bytes, rel=0.1)
    # What is no pack is not multiplied.
    assert sampled.together.objects % 16 == 1


def test_a_state_that_is_exactly_another_needs_nothing_alone() -> None:
    ledger = FakeLedger()
    entries = in_key_order([version("config"), version(pack("a"))])
    first = write(ledger, entries)
    second = write(ledger, entries)
    found = needs_of(ledger, [second, first])
    assert found is not None
    assert set(found.only.values()) == {Tally(objects=0, bytes=0)}
    assert found.together.objects == 2


def test_without_states_nothing_is_needed() -> None:
    assert needs_of(FakeLedger(), []) == Needs(only={}, together=Tally(objects=0, bytes=0), one_in=1)


@pytest.mark.parametrize("base", [True, False])
def test_a_chunk_that_somebody_changed_is_told_and_nothing_is_counted(base: bool) -> None:
    ledger, kept = FakeLedger(), []
    entries = in_key_order([version("config"), *(version(pack(str(number))) for number in range(30))])
    kept.append(write(ledger, entries))
    kept.append(write(ledger, entries[:-1], base=base))
    newest = kept[-1]
    key = (newest.chunks.attempt, 0)
    ledger.chunks[key] = ledger.chunks[kept[0].chunks.attempt, 0] if base else ledger.chunks[key] + b"x"
    with pytest.raises(StateDamaged):
        needs_of(ledger, kept[::-1])
