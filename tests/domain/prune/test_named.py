"""What states on one base name, as one stream: exactly what reading each of them whole gives, or an error."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.delta import Change, Removal
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.prune.kept_states import read_names
from functions.domain.prune.named import by_base, find_states, lives_of, read_pieces
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import ObjectVersion, VersionId
from tests.builders import version
from tests.fakes.ledger import FakeLedger
from tests.strands import ALPHA, write


def entries(keys: str, version_id: str = "1") -> list[ObjectVersion]:
    return [version(key, version_id=key + version_id) for key in keys]


def a_strand() -> tuple[FakeLedger, list[StateHeader]]:
    """A base and three deltas, all in several chunks."""
    ledger = FakeLedger()
    states = [entries("abcdefgh"), entries("abcdxyz"), entries("abcduvwxyz"), entries("abcd", "2") + entries("uvwxyz")]
    return ledger, [write(ledger, each, size=2) for each in states]


keyed = st.dictionaries(st.sampled_from("abcdefghij"), st.sampled_from("123"))


@given(st.lists(st.tuples(keyed, st.sampled_from([False, False, True])), min_size=1, max_size=8), st.integers(0, 3))
def test_names_are_those_of_the_proven_entries(states: Sequence[tuple[dict[str, str], bool]], size: int) -> None:
    ledger = FakeLedger()
    headers = []
    for named, base in states:
        versions = [version(key, version_id=key + named[key]) for key in sorted(named)]
        headers.append(write(ledger, versions, base=base, size=size))
        assert list(read_state(ledger, headers[-1])) == versions
    for header in headers:
        assert list(read_names(ledger, header)) == [(e.key, e.version_id) for e in read_state(ledger, header)]


def read_all(ledger: FakeLedger, headers: Sequence[StateHeader]) -> None:
    for states in by_base(headers):
        list(read_pieces(ledger, find_states(ledger, states)))


def damage(kind: str, ledger: FakeLedger, where: ChunkSet, number: int) -> None:
    place, other = (where.attempt, number), (where.attempt, (number + 1) % where.count)
    match kind:
        case "missing":
            del ledger.chunks[place]
        case "damaged":
            ledger.chunks[place] = ledger.chunks[place][:-2]
        case "swapped":
            ledger.chunks[place], ledger.chunks[other] = ledger.chunks[other], ledger.chunks[place]
        case "repeated":
            ledger.chunks[place] = ledger.chunks[other]
        case "forged":
            forged = version("data/forged", version_id="forged")
            is_base = b'"format":2' in ledger.chunks[place]
            (ledger.chunks[place],) = chunks.encode([forged]) if is_base else chunks.encode_delta([forged])


@pytest.mark.parametrize("kind", ["missing", "damaged", "swapped", "repeated", "forged"])
@pytest.mark.parametrize("link", range(4))
def test_a_chunk_of_base_or_delta_that_is_not_what_was_written_never_yields_a_state(kind: str, link: int) -> None:
    for number in range(a_strand()[1][link].chunks.count):
        ledger, headers = a_strand()
        assert headers[link].chunks.count > 1
        damage(kind, ledger, headers[link].chunks, number)
        for header in headers[:link]:
            read_state(ledger, header)
            list(read_names(ledger, header))
        for header in headers[link:]:
            with pytest.raises(StateDamaged):
                read_state(ledger, header)
            with pytest.raises(StateDamaged):
                list(read_names(ledger, header))
        with pytest.raises(StateDamaged):
            read_all(ledger, headers)


@pytest.mark.parametrize("link", range(3))
def test_a_link_that_is_gone_or_exchanged_is_missed_by_every_state_above_it(link: int) -> None:
    ledger, headers = a_strand()
    place = (ALPHA, headers[link].generation)
    other = headers[link].model_copy(update={"hidden": 9})
    for stored in (None, (other.id, other.canonical()), (headers[link].id, other.canonical())):
        if stored is None:
            kept = ledger.stored_headers.pop(place)
        else:
            ledger.stored_headers[place] = stored
        for header in headers[link + 1 :]:
            with pytest.raises(StateDamaged):
                read_state(ledger, header)
            with pytest.raises(StateDamaged):
                find_states(ledger, [header])
    ledger.stored_headers[place] = kept
    read_all(ledger, headers)


def rewritten(ledger: FakeLedger, header: StateHeader, stored: Sequence[bytes]) -> StateHeader:
    """The header over other chunks, with their right digest: what a recorder gone mad would write."""
    where = ChunkSet(attempt=header.chunks.attempt, count=len(stored), digest=chunks.digest(stored))
    ledger.chunks.update({(where.attempt, number): chunk for number, chunk in enumerate(stored)})
    return header.model_copy(update={"chunks": where})


def delta(*changes: Change) -> list[bytes]:
    return list(chunks.encode_delta(changes))


A, B = entries("ab")


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (delta(Removal(version("0").key)), "removes what is not there"),
        (delta(version("z"), version("y")), "not in key order"),
        ([*delta(version("z")), *delta(version("y"))], "not in key order"),
        (list(chunks.encode([A, B])), "has format 2 where"),
        (delta(version("0")), "has 8 entries, expected 7"),
        ([], "has 8 entries, expected 7|manifest root is"),
    ],
    ids=["removal of nothing", "disorder", "disorder of chunks", "a base's", "other changes", "no changes"],
)
def test_a_delta_that_does_not_fit_yields_no_state_even_where_its_digest_holds(stored: list[bytes], why: str) -> None:
    ledger = FakeLedger()
    write(ledger, entries("abcdefgh"))
    header = rewritten(ledger, write(ledger, entries("abcdefg")), stored)
    with pytest.raises(StateDamaged):
        read_state(ledger, header)
    expected = why if stored != delta(version("0")) else "has 9 entries, expected 7"
    with pytest.raises(StateDamaged, match=expected):
        list(read_names(ledger, header))


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (list(chunks.encode([B, A])), "not in key order"),
        (list(chunks.encode([A, A])), "not in key order"),
        ([*chunks.encode([B]), *chunks.encode([A])], "not in key order"),
        ([*chunks.encode([A]), *chunks.encode([A])], "not in key order"),
        (list(chunks.encode([A])), "has 1 entries, expected 2"),
        ([], "has 0 entries, expected 2"),
        (delta(A, B), "has format 3 where"),
    ],
    ids=["disorder", "twice", "disorder of chunks", "twice in two", "too few", "none", "a delta's"],
)
def test_a_base_that_is_not_its_state_yields_none_even_where_its_digest_holds(stored: list[bytes], why: str) -> None:
    ledger = FakeLedger()
    header = rewritten(ledger, write(ledger, [A, B]), stored)
    with pytest.raises(StateDamaged):
        read_state(ledger, header)
    with pytest.raises(StateDamaged, match=why):
        list(read_names(ledger, header))


def test_a_state_whose_chunks_do_not_lead_to_the_newest_of_its_base_is_refused() -> None:
    ledger, headers = a_strand()
    elsewhere = headers[1].model_copy(update={"chunks": headers[1].chunks.model_copy(update={"attempt": "another"})})
    with pytest.raises(StateDamaged, match="not on the strand"):
        find_states(ledger, [elsewhere, headers[3]])


def test_a_version_lives_until_the_next_change_of_its_key() -> None:
    one, two = VersionId("1"), VersionId("2")
    found = lives_of(one, [(2, two), (3, None), (5, one)], 7)
    assert [(each.version_id, each.first, each.end) for each in found] == [("1", 0, 2), ("2", 2, 3), ("1", 5, 7)]
    with pytest.raises(StateDamaged):
        lives_of(None, [(2, None)], 7)
