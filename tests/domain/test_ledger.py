"""A state's entries are believed only when every digest of its header holds; and which state a person means."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from functions.domain import chunks
from functions.domain.cut import take_cut
from functions.domain.keeping import DroppedState
from functions.domain.ledger import NoSuchState, StateDamaged, choose_state, read_state, with_verdicts
from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, ObjectVersion, RepositoryName, StateId
from functions.domain.verdict import CheckLevel, Verdict
from tests.builders import NOON, at, listing, pack, version
from tests.domain import judging
from tests.domain.judging import ALPHA, FAIL, HOLD, judge

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
