"""The whole chain holds, or the first state that does not is named."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from functions.domain import chunks
from functions.domain.ledger import StateDamaged
from functions.domain.ports import Anchor
from functions.domain.state import Head, StateHeader
from functions.domain.values import Digest, RepositoryName, StateId
from functions.domain.whole_ledger import LedgerBroken, Proven, prove_ledger
from tests.builders import NOON, version
from tests.domain.test_ledger import CountingLedger
from tests.fakes.ledger import FakeLedger
from tests.fakes.ports import FakeAnchorReader
from tests.record.lived import lived
from tests.record.world import RECORDS
from tests.strands import ALPHA, write


@dataclass
class Anchored:
    """AnchorReader: every head of the ledger, as it was."""

    heads: dict[int, bytes]

    def anchors(self, repository: RepositoryName) -> Iterator[Anchor]:
        for generation, content in sorted(self.heads.items()):
            yield Anchor(generation, Head.parse(content).state, content)


def a_ledger() -> tuple[CountingLedger, Anchored, list[StateHeader]]:
    """A base, a delta, the same again, two more deltas, a base and a delta."""
    ledger = CountingLedger()
    headers: list[StateHeader] = []
    heads: dict[int, bytes] = {}
    for keys in ("abcdef", "abcdefg", "abcdefg", "abcdfg", "abcdfgh", "xyz", "vwxyz"):
        headers.append(write(ledger, [version(key) for key in keys], base=keys == "xyz"))
        heads[headers[-1].generation] = Head.of(headers[-1]).canonical()
    ledger.fetched.clear()
    assert [header.kind for header in headers] == ["base", "delta", "same", "delta", "delta", "base", "delta"]
    return ledger, Anchored(heads), headers


def walk(ledger: FakeLedger, anchored: Anchored) -> Proven:
    return prove_ledger(ledger, anchored, ALPHA)


def test_a_whole_ledger_holds_and_each_state_is_told_as_it_is_proven() -> None:
    ledger, anchored, headers = a_ledger()
    told: list[StateHeader] = []
    proven = prove_ledger(ledger, anchored, ALPHA, told.append)
    assert told == headers
    assert (proven.states, proven.bases, proven.deltas, proven.dropped, proven.anchored) == (7, 2, 4, 0, 7)
    assert proven.entries == sum(header.objects for header in headers if header.kind != "same")
    assert proven.head == Head.of(headers[-1])


def test_each_chunk_is_fetched_once_however_many_states_lie_on_it() -> None:
    ledger, anchored, _ = a_ledger()
    walk(ledger, anchored)
    assert sorted(ledger.fetched) == sorted(ledger.chunks)


def test_what_record_wrote_holds() -> None:
    world = lived(8)
    proven = prove_ledger(world.ledger, FakeAnchorReader(world.s3, RECORDS), ALPHA)
    assert (proven.states, proven.anchored) == (8, 8)
    assert proven.deltas > 0


def test_a_repository_without_a_state_holds() -> None:
    assert walk(FakeLedger(), Anchored({})).head is None


def test_the_newest_state_may_not_be_anchored_yet_and_any_other_has_to_be() -> None:
    ledger, anchored, headers = a_ledger()
    del anchored.heads[7]
    assert walk(ledger, anchored).anchored == 6
    del anchored.heads[3]
    broken(ledger, anchored, 3, f"the records bucket has no head of state {headers[2].id[:12]}")


def test_states_that_are_recorded_meanwhile_only_add_to_it() -> None:
    ledger, anchored, headers = a_ledger()
    del anchored.heads[7]
    ledger.heads[ALPHA] = Head.of(headers[-2]).canonical()
    assert walk(ledger, anchored).states == 7


def broken(ledger: FakeLedger, anchored: Anchored, generation: int, why: str) -> None:
    with pytest.raises(LedgerBroken, match=f"generation {generation} of alpha does not hold: .*{why}") as error:
        walk(ledger, anchored)
    assert error.value.generation == generation


@pytest.mark.parametrize("generation", range(1, 8))
def test_a_header_that_is_gone_is_named(generation: int) -> None:
    ledger, anchored, _ = a_ledger()
    del ledger.stored_headers[ALPHA, generation]
    broken(ledger, anchored, generation, "it is missing")


@pytest.mark.parametrize("generation", range(1, 8))
def test_a_header_whose_bytes_are_not_those_of_its_id_is_named(generation: int) -> None:
    ledger, anchored, headers = a_ledger()
    other = headers[generation - 1].model_copy(update={"hidden": 9})
    ledger.stored_headers[ALPHA, generation] = (headers[generation - 1].id, other.canonical())
    broken(ledger, anchored, generation, "another id")


@pytest.mark.parametrize("generation", range(1, 8))
def test_a_header_that_was_exchanged_with_its_id_is_not_the_one_that_was_anchored(generation: int) -> None:
    ledger, anchored, headers = a_ledger()
    other = headers[generation - 1].model_copy(update={"hidden": 9})
    ledger.stored_headers[ALPHA, generation] = (other.id, other.canonical())
    broken(ledger, anchored, generation, "the records bucket has state")


def relink(ledger: FakeLedger, changed: StateHeader) -> Anchored:
    """Everything above `changed` written anew, so that only its entries can tell; and anchored so."""
    heads: dict[int, bytes] = {}
    parent: StateHeader | None = None
    for header in list(ledger.headers(ALPHA, oldest_first=True)):
        new = changed if header.generation == changed.generation else header
        if parent is not None:
            on = new.delta and (
                new.delta.model_copy(update={"state": parent.id}) if new.kind == "delta" else parent.delta
            )
            new = new.model_copy(update={"parent": parent.id, "delta": on})
        ledger.stored_headers[ALPHA, new.generation] = (new.id, new.canonical())
        heads[new.generation] = Head.of(new).canonical()
        parent = new
    assert parent is not None
    ledger.heads[ALPHA] = Head.of(parent).canonical()
    return Anchored(heads)


WRONG = Digest("0" * 64)
Forgery = Callable[[StateHeader], dict[str, object]]


@pytest.mark.parametrize("generation", [1, 2, 4, 5, 6, 7])
@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda _: {"manifest_root": WRONG}, "manifest root is"),
        (lambda _: {"content_root": WRONG}, "content root is"),
        (lambda _: {"attributes_root": WRONG}, "attributes root is"),
        (lambda header: {"objects": header.objects + 1}, "entries, expected"),
        (lambda header: {"bytes": header.bytes + 1}, "another number of bytes"),
        (lambda header: {"chunks": header.chunks.model_copy(update={"digest": WRONG})}, "not those its header names"),
    ],
    ids=["manifest", "content", "attributes", "objects", "bytes", "chunks"],
)
def test_entries_that_are_not_what_a_header_says_are_named(generation: int, forge: Forgery, why: str) -> None:
    """Even where the whole chain and the records bucket agree with the header."""
    ledger, anchored, headers = a_ledger()
    header = headers[generation - 1]
    forged = forge(header)
    anchored = relink(ledger, header.model_copy(update=forged))
    if "chunks" in forged and header.kind == "base":
        # Deltas name where their base lies: one of them would tell as well.
        why = "not those its header names"
    broken(ledger, anchored, generation, why)


@pytest.mark.parametrize("generation", [1, 2, 4, 5, 6, 7])
def test_a_chunk_that_is_gone_or_another_one_is_named_by_the_first_state_that_needs_it(generation: int) -> None:
    ledger, anchored, headers = a_ledger()
    place = (headers[generation - 1].chunks.attempt, 0)
    whole = ledger.chunks.pop(place)
    broken(ledger, anchored, generation, "is missing")
    forged = [version("forged")]
    (ledger.chunks[place],) = chunks.encode(forged) if b'"format":2' in whole else chunks.encode_delta(forged)
    broken(ledger, anchored, generation, "not those its header names")


def test_a_state_that_says_it_is_the_same_and_is_not_is_named() -> None:
    ledger, _, headers = a_ledger()
    for changed in ({"manifest_root": WRONG}, {"objects": 1}, {"chunks": headers[0].chunks, "delta": None}):
        anchored = relink(ledger, headers[2].model_copy(update=changed))
        broken(ledger, anchored, 3, "other entries than the state before it, and says the same")


def test_a_delta_on_another_state_than_the_one_before_it_is_named() -> None:
    ledger, _, headers = a_ledger()
    on = headers[4].delta
    assert on is not None
    anchored = relink(ledger, headers[4].model_copy(update={"delta": on.model_copy(update={"generation": 2})}))
    broken(ledger, anchored, 5, "a delta on another state")


def test_a_chain_whose_end_was_cut_off_is_missed_by_the_records_bucket() -> None:
    ledger, anchored, headers = a_ledger()
    for header in headers[4:]:
        del ledger.stored_headers[ALPHA, header.generation]
    broken(ledger, anchored, 5, "the head is generation 7|the records bucket has state")
    ledger.heads[ALPHA] = Head.of(headers[3]).canonical()
    broken(ledger, anchored, 5, f"the records bucket has state {headers[4].id[:12]} as generation 5")
    del ledger.heads[ALPHA]
    anchored.heads = {number: content for number, content in anchored.heads.items() if number < 5}
    broken(ledger, anchored, 4, "there are states and no head")


def test_a_head_that_names_another_state_is_told() -> None:
    ledger, anchored, headers = a_ledger()
    ledger.heads[ALPHA] = Head.of(headers[-1]).model_copy(update={"state": StateId("1" * 64)}).canonical()
    broken(ledger, anchored, 7, "the head names 111111111111")
    ledger.heads[ALPHA] = b"{}"
    with pytest.raises(StateDamaged, match="the head of alpha cannot be read"):
        walk(ledger, anchored)


def test_chunks_of_a_dropped_state_count_only_where_a_kept_one_lies_on_them() -> None:
    ledger, anchored, headers = a_ledger()
    for header in headers[:6]:
        ledger.mark_dropped(header, NOON)
    del ledger.chunks[headers[0].chunks.attempt, 0]
    proven = walk(ledger, anchored)
    assert (proven.states, proven.dropped, proven.entries) == (7, 6, headers[6].objects)
    del ledger.chunks[headers[5].chunks.attempt, 0]
    broken(ledger, anchored, 7, "is missing")
