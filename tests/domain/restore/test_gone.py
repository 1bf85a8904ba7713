"""Where versions went that a state pins: what the ledger can say, and which states do without them."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.ledger import StateDamaged
from functions.domain.restore.gone import NAMED, StateAt, trace
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey
from tests.builders import named, pack, version
from tests.fakes.ledger import FakeLedger
from tests.strands import write

KEYS = sorted(ObjectKey(key) for key in ("config", pack("a"), pack("b"), named("index", "i")))
Entries = Mapping[ObjectKey, int]
"""Which of its versions is current under each key."""


def recorded(ledger: FakeLedger, states: Sequence[Entries]) -> list[StateHeader]:
    return [
        write(ledger, [version(key, version_id=f"v{entries[key]}") for key in sorted(entries)]) for entries in states
    ]


def expected(
    states: Sequence[Entries], chosen: int, keys: set[ObjectKey]
) -> tuple[dict[str, tuple[int, int | None]], int | None, int | None]:
    """By looking at each state: by key the last that names it and the next, and the nearest that name none."""
    pinned = {key: states[chosen][key] for key in keys}
    told: dict[str, tuple[int, int | None]] = {}
    for key, number in pinned.items():
        last = max(place for place, entries in enumerate(states) if entries.get(key) == number)
        told[key] = (last, last + 1 if last + 1 < len(states) else None)
    whole = [
        place
        for place, entries in enumerate(states)
        if not any(entries.get(key) == number for key, number in pinned.items())
    ]
    before = [place for place in whole if place < chosen]
    after = [place for place in whole if place > chosen]
    return told, before[-1] if before else None, after[0] if after else None


histories = st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2)), min_size=1, max_size=6)


@given(histories, st.data())
def test_it_says_what_looking_at_each_state_would(states: list[Entries], data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, len(states) - 1))
    keys = data.draw(st.sets(st.sampled_from(sorted(states[chosen])))) if states[chosen] else set()
    ledger = FakeLedger()
    headers = recorded(ledger, states)
    gone = trace(ledger, headers, headers[chosen], keys)
    told, before, after = expected(states, chosen, keys)
    numbers = {header.id: place for place, header in enumerate(headers)}
    assert {
        each.key: (numbers[each.last_named.state], numbers[each.first_without.state] if each.first_without else None)
        for each in gone.versions
    } == told
    assert gone.before == (None if before is None else state_at(headers[before]))
    assert gone.after == (None if after is None else state_at(headers[after]))
    assert all(each.version_id == f"v{states[chosen][each.key]}" for each in gone.versions)


def state_at(header: StateHeader) -> StateAt:
    return StateAt(state=header.id, cut_time=header.cut_time)


def test_of_very_many_it_names_the_first_and_counts_the_others() -> None:
    ledger = FakeLedger()
    [header] = recorded(ledger, [{ObjectKey(f"{each:03}"): 1 for each in range(NAMED + 5)}])
    gone = trace(ledger, [header], header, [ObjectKey(f"{each:03}") for each in range(NAMED + 5)])
    assert ([each.key for each in gone.versions], gone.more) == ([f"{each:03}" for each in range(NAMED)], 5)


def test_a_ledger_that_is_not_whole_says_nothing() -> None:
    ledger = FakeLedger()
    headers = recorded(ledger, [{KEYS[0]: 1}, {KEYS[0]: 2}])
    ledger.chunks[max(ledger.chunks)] += b"x"
    with pytest.raises(StateDamaged):
        trace(ledger, headers, headers[0], [KEYS[0]])
