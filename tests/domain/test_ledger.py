"""A state's entries are believed only when every digest of its header holds; and which state a person means."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.delta import Removal, unlike
from functions.domain.keeping import DroppedState
from functions.domain.ledger import (
    NoSuchState,
    StateDamaged,
    choose_state,
    read_state,
    stream_state,
    stream_states,
    with_verdicts,
)
from functions.domain.roots import attributes_root, content_of, content_root, manifest_root
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, ObjectVersion, RepositoryName, StateId, VersionId
from functions.domain.verdict import CheckLevel, Verdict
from tests.builders import NOON, at, in_blocks, listing, pack, version
from tests.cuts import take_cut
from tests.domain import judging
from tests.domain.judging import ALPHA, FAIL, HOLD, judge
from tests.domain.test_chunks import restic_like
from tests.fakes.ledger import FakeLedger
from tests.strands import write

ATTEMPT = AttemptId("attempt")
ENTRIES = (version("config", version_id="1"), version(pack("a"), version_id="2"))


@dataclass(frozen=True, slots=True)
class StoredChunks:
    """A LedgerReader that holds one attempt's chunks."""

    stored: tuple[bytes, ...]

    def head(self, repository: RepositoryName) -> Head | None:
        raise NotImplementedError

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        raise NotImplementedError

    def headers(
        self, repository: RepositoryName, *, oldest_first: bool = False, start: int | None = None
    ) -> Iterator[StateHeader]:
        raise NotImplementedError

    def dropped(self, repository: RepositoryName) -> frozenset[StateId]:
        raise NotImplementedError

    def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:
        raise NotImplementedError

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        return self.stored[number] if attempt == ATTEMPT and number < len(self.stored) else None


class CountingLedger(FakeLedger):
    """It remembers which chunks were fetched from it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[tuple[AttemptId, int]] = []

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        self.fetched.append((attempt, number))
        return super().chunk(attempt, number)

    def fetched_of(self, where: ChunkSet) -> list[int]:
        return [number for attempt, number in self.fetched if attempt == where.attempt]


def packed(*entries: ObjectVersion) -> tuple[bytes, ...]:
    return tuple(chunks.encode(entries))


def header(*entries: ObjectVersion) -> StateHeader:
    stored = packed(*entries)
    return describe(
        take_cut(listing(*entries), NOON),
        repository=RepositoryName("alpha"),
        parent=None,
        own_chunks=ChunkSet(attempt=ATTEMPT, count=len(stored), digest=chunks.digest(stored)),
        recorded_at=at(5),
        cause=Cause(reason="event"),
    )


def test_a_state_reads_back_as_it_was_recorded() -> None:
    assert read_state(StoredChunks(packed(*ENTRIES)), header(*ENTRIES)) == ENTRIES


def test_other_chunks_of_the_very_same_entries_are_refused() -> None:
    apart = tuple(chunk for entry in ENTRIES for chunk in packed(entry))
    told = header(*ENTRIES)
    two = told.model_copy(update={"chunks": told.chunks.model_copy(update={"count": 2})})
    with pytest.raises(StateDamaged, match="not those its header names"):
        read_state(StoredChunks(apart), two)


def test_a_chunk_that_is_missing_is_named() -> None:
    with pytest.raises(StateDamaged, match=r"chunk 0 of 1 .* is missing"):
        read_state(StoredChunks(()), header(*ENTRIES))


def test_chunks_that_the_header_names_with_another_manifest_root_are_refused() -> None:
    """The same keys and sizes, so that the content root cannot tell: only other versions."""
    others = [version(entry.key, version_id="forged") for entry in ENTRIES]
    forged = header(*ENTRIES).model_copy(update={"manifest_root": manifest_root(others)})
    with pytest.raises(StateDamaged, match=r"manifest root is .*, expected"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)


def test_chunks_that_the_header_names_with_another_content_root_are_refused() -> None:
    forged = header(*ENTRIES).model_copy(update={"content_root": content_root(content_of(ENTRIES[:1]))})
    with pytest.raises(StateDamaged, match=r"content root is .*, expected"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)


def test_chunks_that_the_header_names_with_another_attributes_root_are_refused() -> None:
    others = [replace(entry, etag="another") for entry in ENTRIES]
    forged = header(*ENTRIES).model_copy(update={"attributes_root": attributes_root(others)})
    with pytest.raises(StateDamaged, match=r"attributes root is .*, expected"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)


def test_a_state_with_another_number_of_entries_is_refused() -> None:
    forged = header(*ENTRIES).model_copy(update={"objects": 3})
    with pytest.raises(StateDamaged, match="has 2 entries, expected 3"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("order", [(1, 0), (0, 0)])
def test_entries_that_are_not_in_key_order_are_refused_though_every_digest_holds(
    order: tuple[int, ...], apart: bool
) -> None:
    entries = [ENTRIES[place] for place in order]
    stored = tuple(chunk for entry in entries for chunk in packed(entry)) if apart else packed(*entries)
    forged = header(*ENTRIES).model_copy(
        update={
            "chunks": ChunkSet(attempt=ATTEMPT, count=len(stored), digest=chunks.digest(stored)),
            "manifest_root": manifest_root(entries),
            "content_root": content_root(content_of(entries)),
            "attributes_root": attributes_root(entries),
        }
    )
    with pytest.raises(StateDamaged, match="not in key order"):
        read_state(StoredChunks(stored), forged)


def strand(*, size: int = 5) -> tuple[CountingLedger, list[StateHeader], list[list[ObjectVersion]]]:
    """A base of forty entries in chunks of `size`, and two deltas on it."""
    ledger = CountingLedger()
    first = restic_like(40)
    second = [entry for place, entry in enumerate(first) if place not in {3, 20}]
    third = [
        replace(entry, version_id=VersionId("other")) if place in {0, 20} else entry
        for place, entry in enumerate(second)
    ]
    contents = [first, second, third]
    headers = [write(ledger, entries, size=size) for entries in contents]
    ledger.fetched.clear()
    return ledger, headers, contents


def test_a_state_streams_while_it_is_fetched() -> None:
    ledger, headers, contents = strand()
    stream = stream_state(ledger, headers[2])
    block = next(stream)
    assert ledger.fetched_of(headers[0].chunks) == [0]
    assert [entry for each in [block, *stream] for entry in each.versions()] == contents[2]
    assert sorted(ledger.fetched) == sorted(ledger.chunks)


def test_what_streams_out_of_a_damaged_state_is_refused_at_the_end_at_the_latest() -> None:
    """Every chunk can be read, but the last is another's."""
    ledger, headers, contents = strand()
    where = headers[0].chunks
    forged = [replace(entry, version_id=VersionId("forged")) for entry in contents[0][-5:]]
    ledger.chunks[where.attempt, where.count - 1] = next(chunks.encode(forged))
    for header in headers:
        stream = stream_state(ledger, header)
        next(stream)
        with pytest.raises(StateDamaged):
            list(stream)


def test_a_delta_that_does_not_fit_its_base_is_refused_though_its_digest_holds() -> None:
    ledger, headers, _ = strand()
    misfit = next(chunks.encode_delta([Removal(pack("not there"))]))
    forged = headers[1].model_copy(
        update={"chunks": ChunkSet(attempt=AttemptId("forged"), count=1, digest=chunks.digest([misfit]))}
    )
    ledger.chunks[AttemptId("forged"), 0] = misfit
    with pytest.raises(StateDamaged, match="removes what is not there"):
        read_state(ledger, forged)


def test_two_states_on_one_base_are_gone_through_side_by_side_and_the_base_is_fetched_once() -> None:
    ledger, headers, contents = strand()
    for one, other in [(1, 2), (0, 2), (2, 1), (2, 2)]:
        ledger.fetched.clear()
        found = list(unlike(*stream_states(ledger, headers[one], headers[other])))
        assert found == list(unlike(in_blocks(contents[one], [9]), in_blocks(contents[other], [9])))
        assert ledger.fetched_of(headers[0].chunks) == list(range(8))


def test_two_states_on_different_bases_are_gone_through_side_by_side() -> None:
    ledger, headers, contents = strand()
    other = write(ledger, contents[0][5:], base=True)
    assert list(unlike(*stream_states(ledger, headers[0], other))) == [(entry, None) for entry in contents[0][:5]]


def test_of_two_states_side_by_side_each_is_proven() -> None:
    ledger, headers, _ = strand()
    forged = headers[2].model_copy(update={"manifest_root": headers[1].manifest_root})
    for pair in ((forged, headers[1]), (headers[1], forged)):
        with pytest.raises(StateDamaged, match="manifest root is"):
            list(unlike(*stream_states(ledger, *pair)))


@given(st.data())
def test_damage_anywhere_in_the_chunks_of_a_strand_never_makes_a_wrong_state(data: st.DataObject) -> None:
    ledger, headers, _ = strand(size=data.draw(st.sampled_from([0, 7])))
    place = data.draw(st.sampled_from(sorted(ledger.chunks)))
    chunk = bytearray(ledger.chunks[place])
    match data.draw(st.sampled_from(["changed", "cut", "longer"])):
        case "changed":
            chunk[data.draw(st.integers(0, len(chunk) - 1))] ^= data.draw(st.integers(1, 255))
        case "cut":
            del chunk[data.draw(st.integers(0, len(chunk) - 1)) :]
        case "longer":
            chunk += data.draw(st.binary(min_size=1, max_size=9))
    ledger.chunks[place] = bytes(chunk)
    with pytest.raises(StateDamaged):
        read_state(ledger, headers[2])
    with pytest.raises(StateDamaged):
        list(unlike(*stream_states(ledger, headers[0], headers[2])))


def chain(length: int, *, busy: tuple[int, ...] = ()) -> list[StateHeader]:
    """States of alpha, an hour apart, the newest first; those of the generations in `busy` are busy."""
    headers: list[StateHeader] = []
    for generation in range(1, length + 1):
        parent = headers[-1] if headers else None
        headers.append(judging.header(parent, busy=generation in busy, cut=3600.0 * generation))
    return headers[::-1]


class TestLastGood:
    def test_is_the_newest_that_was_judged_and_has_nothing_against_it(self) -> None:
        third, second, first = chain(3)
        verdicts = [judge(third, FAIL).verdict, judge(second).verdict, judge(first).verdict]
        assert choose_state([third, second, first], "last-good", ALPHA, verdicts) == second

    def test_passes_over_what_nobody_judged_and_what_was_busy(self) -> None:
        fourth, third, second, first = headers = chain(4, busy=(3,))
        verdicts = [judge(third).verdict, judge(second, HOLD).verdict, judge(first).verdict]
        assert choose_state(headers, "last-good", ALPHA, verdicts) == first
        assert choose_state(headers, "last-good", ALPHA, [judge(fourth).verdict, *verdicts]) == fourth

    def test_a_later_verdict_on_the_same_state_counts(self) -> None:
        second, first = chain(2)
        verdicts = [judge(second, seconds=90).verdict, judge(second, FAIL).verdict, judge(first).verdict]
        assert choose_state([second, first], "last-good", ALPHA, verdicts) == second

    def test_a_deeper_level_that_failed_speaks_against_it(self) -> None:
        second, first = chain(2)
        verdicts = [judge(second, FAIL, level=CheckLevel.CONTENT).verdict, judge(second).verdict, judge(first).verdict]
        assert choose_state([second, first], "last-good", ALPHA, verdicts) == first

    def test_a_verdict_that_sits_in_the_place_of_another_state_does_not_count(self) -> None:
        """Its generation is right and its state is not."""
        (state,) = chain(1)
        forged = judge(judging.header(cut=99)).verdict
        with pytest.raises(NoSuchState, match="1 never judged"):
            choose_state([state], "last-good", ALPHA, [forged])

    def test_when_there_is_none_it_is_said_why_and_what_to_do(self) -> None:
        fourth, third, second, first = headers = chain(4, busy=(2,))
        verdicts = [judge(third, HOLD).verdict, judge(second).verdict, judge(first, FAIL).verdict]
        assert fourth.generation == 4
        with pytest.raises(
            NoSuchState,
            match="no state of alpha is known to be good: 1 busy, 1 never judged, 2 with a FAIL or a HOLD; "
            "`rwm check alpha` judges the newest",
        ):
            choose_state(headers, "last-good", ALPHA, verdicts)

    def test_nothing_recorded_is_said_as_such(self) -> None:
        with pytest.raises(NoSuchState, match="has no recorded state yet"):
            choose_state([], "last-good", ALPHA, [])

    def test_who_has_no_verdicts_does_not_guess(self) -> None:
        with pytest.raises(NoSuchState, match="cannot be told here; name it by its id"):
            choose_state(chain(2), "last-good", ALPHA)

    def test_no_more_is_read_than_it_takes(self) -> None:
        headers = chain(3)

        def read_two() -> Iterator[Verdict]:
            yield judge(headers[0], FAIL).verdict
            yield judge(headers[1]).verdict
            yield judge(headers[2]).verdict
            raise AssertionError("it was read to the end")

        assert choose_state(iter(headers), "last-good", ALPHA, read_two()) == headers[1]


def test_verdicts_are_laid_beside_their_states_and_states_without_one_have_none() -> None:
    fifth, fourth, third, second, first = headers = chain(5)
    verdicts = [
        judge(fourth, seconds=2).verdict,
        judge(fourth, FAIL, seconds=1).verdict,
        judge(second).verdict,
        judge(first).verdict,
    ]
    assert list(with_verdicts(headers[:4], verdicts)) == [
        (fifth, ()), (fourth, tuple(verdicts[:2])), (third, ()), (second, (verdicts[2],)),
    ]  # fmt: skip
    assert list(with_verdicts([third], verdicts)) == [(third, ())]
    assert list(with_verdicts([second], verdicts)) == [(second, (verdicts[2],))]


def test_a_state_that_is_committed_while_others_are_read_has_its_verdict() -> None:
    # record appends the verdict, then commits the header.
    (state,) = chain(1)
    told: list[Verdict] = []

    def headers() -> Iterator[StateHeader]:
        told.append(judge(state).verdict)
        yield state

    assert list(with_verdicts(headers(), (each for each in told))) == [(state, tuple(told))]


def test_latest_does_not_ask_whether_it_is_good() -> None:
    second, first = chain(2)
    assert choose_state([second, first], "latest", ALPHA, [judge(first).verdict]) == second
