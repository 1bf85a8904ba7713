"""What the ledger keeps is read whole and proven, or not believed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.domain import chunks
from functions.domain.ledger import AHEAD, StateDamaged, read_state
from functions.domain.prune.kept_states import read_chain, read_kept, read_names
from functions.domain.prune.pins import PinsUnproven
from functions.domain.state import Head, StateHeader
from functions.domain.values import Digest, RepositoryName, StateId
from tests.fakes.faults import CallLog
from tests.prune.plan_world import World
from tests.restore.world import REPOSITORY


def a_world() -> tuple[World, list[StateHeader]]:
    world = World()
    return world, world.live()


def test_a_whole_chain_is_read_newest_first() -> None:
    world, states = a_world()
    assert read_chain(world.ledger, REPOSITORY) == tuple(reversed(states))
    assert read_kept(world.ledger, REPOSITORY) == (tuple(reversed(states)), frozenset())


@pytest.mark.parametrize("generation", range(1, 9))
def test_a_header_that_is_missing_anywhere_is_missed(generation: int) -> None:
    world, _ = a_world()
    del world.ledger.stored_headers[REPOSITORY, generation]
    with pytest.raises(PinsUnproven, match="nothing was decided"):
        read_chain(world.ledger, REPOSITORY)


def test_a_head_that_was_set_back_shows_no_less() -> None:
    """What was recorded while the headers were read is part of the chain; the head was read before them."""
    world, states = a_world()
    world.ledger.heads[REPOSITORY] = Head.of(states[-2]).canonical()
    assert len(read_chain(world.ledger, REPOSITORY)) == len(states)


def test_a_repository_without_a_head_or_headers_has_no_chain() -> None:
    world, _ = a_world()
    with pytest.raises(PinsUnproven, match="no whole chain of gamma"):
        read_chain(world.ledger, RepositoryName("gamma"))
    world.ledger.heads.clear()
    with pytest.raises(PinsUnproven, match="no whole chain of beta"):
        read_chain(world.ledger, REPOSITORY)


@pytest.mark.parametrize(
    "change", [{"parent": StateId("0" * 64)}, {"repository": "gamma"}], ids=["parent", "repository"]
)
def test_a_header_that_is_not_the_next_link_is_not_believed(change: dict[str, str]) -> None:
    world, states = a_world()
    forged = states[3].model_copy(update=change)
    world.ledger.stored_headers[REPOSITORY, 4] = (forged.id, forged.canonical())
    with pytest.raises(PinsUnproven, match="does not follow the one before it"):
        read_chain(world.ledger, REPOSITORY)


def test_a_states_names_are_those_of_its_proven_entries() -> None:
    world, states = a_world()
    for state in states:
        names = [(each.key, each.version_id) for each in read_state(world.ledger, state)]
        assert list(read_names(world.ledger, state)) == names


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda header: {"objects": header.objects + 1}, r"has \d+ entries, expected"),
        (lambda header: {"chunks": header.chunks.model_copy(update={"digest": Digest("0" * 64)})}, "are not those"),
        (
            lambda header: {"chunks": header.chunks.model_copy(update={"count": 2})},
            "chunk 1 of 2 of state .* is missing",
        ),
        (lambda header: {"chunks": header.chunks.model_copy(update={"count": 0})}, "are not those"),
    ],
    ids=["count", "digest", "more chunks", "no chunks"],
)
def test_a_state_that_is_not_what_its_header_says_raises_at_the_latest_at_the_end(change: object, why: str) -> None:
    world, states = a_world()
    header = states[-1].model_copy(update=change(states[-1]))  # type: ignore[operator]
    with pytest.raises(StateDamaged, match=why):
        list(read_names(world.ledger, header))


def test_a_chunk_that_cannot_be_read_is_damage() -> None:
    world, states = a_world()
    place = (states[-1].chunks.attempt, 0)
    world.ledger.chunks[place] = world.ledger.chunks[place][:-3]
    with pytest.raises(StateDamaged, match=r"state .*: a chunk of the ledger is damaged"):
        list(read_names(world.ledger, states[-1]))


def many_chunks(monkeypatch: pytest.MonkeyPatch) -> tuple[World, StateHeader]:
    world = World()
    monkeypatch.setattr(chunks, "COLUMN_BYTES", 400)
    world.back_up({f"file-{number:02}": b"" for number in range(40)})
    header = world.record()
    assert header.chunks.count > 2 * AHEAD
    return world, header


def test_entries_of_many_chunks_come_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world, header = many_chunks(monkeypatch)
    names = read_names(world.ledger, header)
    assert next(names)[0] == "file-00"
    world.ledger.chunks.clear()
    with pytest.raises(StateDamaged, match="chunk 1 of"):
        list(names)


def test_chunks_that_are_fetched_ahead_come_in_order_and_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world, header = many_chunks(monkeypatch)
    log = CallLog()
    world.ledger.hook = log
    with ThreadPoolExecutor(8) as threads:
        names = read_names(world.ledger, header, threads)
        first = next(names)
        assert log.count()["GetChunk"] <= AHEAD + 1
        assert [first, *names] == list(read_names(world.ledger, header))
        del world.ledger.chunks[header.chunks.attempt, header.chunks.count - 1]
        with pytest.raises(StateDamaged, match="is missing"):
            list(read_names(world.ledger, header, threads))
