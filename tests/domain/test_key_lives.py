"""What states name of the keys that are looked for is what reading them whole would say, attributes included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.key_lives import Sought, key_lives
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion
from tests.builders import named, pack, version
from tests.fakes.ledger import FakeLedger
from tests.strands import write

KEYS = sorted(
    ["config", "abcd", "data/ab/stray", *(pack(f"{n}") for n in range(12)), named("index", "i"), named("keys", "k")]
)

states = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 3)), st.booleans()), min_size=1, max_size=6
)


def entries_of(contents: dict[str, int]) -> list[ObjectVersion]:
    return [version(key, version_id=f"v{which}", size=which * 100) for key, which in sorted(contents.items())]


@given(states, st.sampled_from(KEYS), st.integers(4, 64), st.integers(1, 3))
def test_it_tells_what_the_states_hold_whatever_their_chunks(
    written: list[tuple[dict[str, int], bool]], wanted: str, digits: int, size: int
) -> None:
    ledger = FakeLedger()
    headers: list[StateHeader] = [write(ledger, entries_of(each), base=base, size=size) for each, base in written]
    name = wanted.rpartition("/")[2][:digits]
    for sought in (Sought(key=ObjectKey(wanted)), Sought(key=ObjectKey(name), name=name)):
        expected: dict[str, dict[str, ObjectVersion]] = {}
        for header in headers:
            for entry in read_state(ledger, header):
                folder, _, last = entry.key.rpartition("/")
                of_restic = folder in ("keys", "index", "snapshots") or folder == f"data/{last[:2]}"
                begins = sought.name is not None and of_restic and last.startswith(sought.name)
                if entry.key == sought.key or begins:
                    expected.setdefault(entry.key, {})[header.id] = entry
        assert key_lives(ledger, headers, sought) == expected


def test_a_chunk_that_is_not_the_one_it_was_raises() -> None:
    ledger = FakeLedger()
    one = write(ledger, entries_of({"config": 1, pack("0"): 1}), base=True)
    two = write(ledger, entries_of({"config": 2, pack("0"): 2}), base=True)
    other = ledger.chunk(two.chunks.attempt, 0)
    assert other is not None
    ledger.chunks[one.chunks.attempt, 0] = other
    with pytest.raises(StateDamaged, match="are not those its header names"):
        key_lives(ledger, [one], Sought(key=ObjectKey("config")))
