"""The ports that touch tables keep the promises of their docstrings, in memory and over DynamoDB alike."""

from dataclasses import replace

import pytest

from functions.domain import chunks
from functions.domain.delta import changes_of, unlike
from functions.domain.keeping import DroppedState, Held, Hold, Restoring
from functions.domain.ledger import read_state, stream_state
from functions.domain.ports import (
    AttemptClosed,
    AttemptNotClosed,
    HeadMoved,
    LeaseLost,
    LeaseTaken,
    RecordingInFlight,
    StateDropped,
    StateHeld,
)
from functions.domain.prune.lease import Lease
from functions.domain.state import Cause, ChunkSet, DeltaOn, Head, StateHeader, describe
from functions.domain.values import AttemptId, Digest, Finding, RepositoryName, Severity
from tests.builders import at, listing, pack, version
from tests.contract.ports import Tables
from tests.cuts import take_cut

ALPHA, BETA = RepositoryName("alpha"), RepositoryName("beta")
ONE, TWO, THREE = AttemptId("one"), AttemptId("two"), AttemptId("three")


def header(
    attempt: AttemptId, parent: StateHeader | None = None, *, seconds: float = 0.0, repository: RepositoryName = ALPHA
) -> StateHeader:
    """The header of a state that names one pack of its own, recorded `seconds` + 10 after noon."""
    cut = take_cut(listing(version(pack(f"{repository} {attempt} {seconds}"))), at(seconds))
    packed = list(chunks.encode(cut.versions))
    return describe(
        cut,
        repository=repository,
        parent=parent,
        own_chunks=ChunkSet(attempt=attempt, count=len(packed), digest=chunks.digest(packed)),
        recorded_at=at(seconds + 10),
        cause=Cause(reason="event"),
    )


def record(tables: Tables, attempt: AttemptId, parent: StateHeader | None = None, *, seconds: float) -> StateHeader:
    """An undisturbed recording."""
    new = header(attempt, parent, seconds=seconds)
    tables.ledger.begin(ALPHA, attempt, at(seconds), at(seconds + 60))
    tables.ledger.commit(new, attempt, Head.of(parent) if parent else None)
    return new


def test_an_empty_ledger_has_no_head_and_no_headers(tables: Tables) -> None:
    assert tables.ledger.head(ALPHA) is None
    assert tables.ledger.header(ALPHA, 1) is None
    assert list(tables.ledger.headers(ALPHA)) == []
    assert tables.ledger.chunk(ONE, 0) is None


def test_a_commit_writes_the_header_and_advances_the_head(tables: Tables) -> None:
    first = record(tables, ONE, seconds=0)
    second = record(tables, TWO, first, seconds=100)
    assert tables.ledger.head(ALPHA) == Head.of(second)
    assert tables.ledger.header(ALPHA, 1) == first
    assert list(tables.ledger.headers(ALPHA)) == [second, first]
    assert tables.ledger.head(BETA) is None


def test_a_delta_is_committed_on_its_parent_and_reads_back_over_its_base(tables: Tables) -> None:
    entries = [version(pack(str(number))) for number in range(9)]
    entries = sorted(entries, key=lambda entry: entry.key)
    parent: StateHeader | None = None
    for attempt, present in ((ONE, entries[1:]), (TWO, entries[:-1]), (THREE, entries)):
        cut = take_cut(present, at(0 if parent is None else parent.generation * 100))
        changes = []
        if parent is not None:
            changes = list(changes_of(unlike(stream_state(tables.ledger, parent), cut.versions.blocks())))
        packed = list(chunks.encode_delta(changes) if parent else chunks.encode(cut.versions))
        on = (
            None
            if parent is None
            else DeltaOn(
                state=parent.id,
                generation=parent.generation,
                base=parent.base,
                base_objects=parent.base_objects,
                links=parent.links + 1,
                changes=len(changes),
            )
        )
        new = describe(
            cut,
            repository=ALPHA,
            parent=parent,
            own_chunks=ChunkSet(attempt=attempt, count=len(packed), digest=chunks.digest(packed)),
            recorded_at=cut.time,
            cause=Cause(reason="event"),
            delta=on,
        )
        tables.ledger.begin(ALPHA, attempt, cut.time, at(1000))
        tables.ledger.reserve(ALPHA, attempt, len(packed))
        for number, chunk in enumerate(packed):
            tables.ledger.put_chunk(attempt, number, chunk)
        tables.ledger.commit(new, attempt, Head.of(parent) if parent else None)
        assert tables.ledger.header(ALPHA, new.generation) == new
        assert list(read_state(tables.ledger, new)) == present
        parent = new
    assert [header.kind for header in tables.ledger.headers(ALPHA)] == ["delta", "delta", "base"]
    # Committed: no attempt's chunks are anybody's to collect.
    assert list(tables.collector.closed_attempts(ALPHA)) == []


def test_headers_come_newest_first_beyond_nine(tables: Tables) -> None:
    parent = None
    for number in range(12):
        parent = record(tables, AttemptId(f"attempt {number}"), parent, seconds=number * 100)
    assert [each.generation for each in tables.ledger.headers(ALPHA)] == list(range(12, 0, -1))
    assert [each.generation for each in tables.ledger.headers(ALPHA, start=10)] == list(range(10, 0, -1))
    assert [each.generation for each in tables.ledger.headers(ALPHA, start=99)] == list(range(12, 0, -1))
    assert list(tables.ledger.headers(ALPHA, start=0)) == []
    rising = tables.ledger.headers(ALPHA, oldest_first=True, start=10)
    assert [each.generation for each in rising] == [10, 11, 12]
    assert list(tables.ledger.headers(ALPHA, oldest_first=True, start=13)) == []


def test_a_chunk_is_read_back_as_it_was_written(tables: Tables) -> None:
    content = bytes(range(256)) * 1000
    tables.ledger.put_chunk(ONE, 3, content)
    assert tables.ledger.chunk(ONE, 3) == content
    assert tables.ledger.chunk(ONE, 2) is None
    assert tables.ledger.chunk(TWO, 3) is None


def test_two_recordings_of_one_repository_are_not_in_flight_at_once(tables: Tables) -> None:
    tables.ledger.begin(ALPHA, ONE, at(0), at(60))
    with pytest.raises(RecordingInFlight) as refused:
        tables.ledger.begin(ALPHA, TWO, at(59), at(120))
    assert refused.value.until == at(60)
    tables.ledger.begin(BETA, THREE, at(59), at(120))


def test_a_lease_that_ended_is_taken_over_and_its_attempt_can_never_commit(tables: Tables) -> None:
    tables.ledger.begin(ALPHA, ONE, at(0), at(60))
    tables.ledger.begin(ALPHA, TWO, at(60), at(120))
    with pytest.raises(AttemptClosed):
        tables.ledger.commit(header(ONE), ONE, None)
    with pytest.raises(AttemptClosed):
        tables.ledger.reserve(ALPHA, ONE, 1)
    assert tables.ledger.head(ALPHA) is None
    assert list(tables.ledger.headers(ALPHA)) == []
    tables.ledger.commit(header(TWO), TWO, None)
    assert tables.ledger.head(ALPHA) == Head.of(header(TWO))


def test_a_commit_releases_the_lease_when_the_state_was_recorded(tables: Tables) -> None:
    first = record(tables, ONE, seconds=0)
    with pytest.raises(RecordingInFlight):
        tables.ledger.begin(ALPHA, TWO, at(9), at(60))
    tables.ledger.begin(ALPHA, TWO, first.recorded_at, at(60))


def test_a_head_that_moved_refuses_the_commit_and_writes_nothing(tables: Tables) -> None:
    first = record(tables, ONE, seconds=0)
    tables.ledger.begin(ALPHA, TWO, at(100), at(160))
    with pytest.raises(HeadMoved):
        tables.ledger.commit(header(TWO, seconds=100), TWO, None)
    assert tables.ledger.head(ALPHA) == Head.of(first)
    assert list(tables.ledger.headers(ALPHA)) == [first]
    rebased = header(TWO, first, seconds=100)
    tables.ledger.commit(rebased, TWO, Head.of(first))
    assert tables.ledger.head(ALPHA) == Head.of(rebased)


def test_an_attempt_commits_once(tables: Tables) -> None:
    first = record(tables, ONE, seconds=0)
    with pytest.raises(AttemptClosed):
        tables.ledger.commit(header(ONE, first, seconds=100), ONE, Head.of(first))
    assert tables.ledger.head(ALPHA) == Head.of(first)


def test_an_abandoned_attempt_frees_the_repository_at_once(tables: Tables) -> None:
    tables.ledger.begin(ALPHA, ONE, at(0), at(60))
    tables.ledger.reserve(ALPHA, ONE, 2)
    tables.ledger.abandon(ALPHA, ONE, at(5))
    tables.ledger.begin(ALPHA, TWO, at(5), at(65))
    assert list(tables.collector.closed_attempts(ALPHA)) == [(ONE, 2)]


def test_abandoning_what_is_not_open_changes_nothing(tables: Tables) -> None:
    first = record(tables, ONE, seconds=0)
    tables.ledger.begin(ALPHA, TWO, at(100), at(160))
    tables.ledger.abandon(ALPHA, ONE, at(101))
    tables.ledger.abandon(ALPHA, THREE, at(101))
    with pytest.raises(RecordingInFlight):
        tables.ledger.begin(ALPHA, THREE, at(102), at(170))
    tables.ledger.commit(header(TWO, first, seconds=100), TWO, Head.of(first))


def test_chunks_of_a_closed_attempt_are_collected_and_only_once(tables: Tables) -> None:
    tables.ledger.begin(ALPHA, ONE, at(0), at(60))
    tables.ledger.reserve(ALPHA, ONE, 3)
    for number in range(2):
        tables.ledger.put_chunk(ONE, number, b"chunk")
    tables.ledger.abandon(ALPHA, ONE, at(5))
    tables.ledger.put_chunk(TWO, 0, b"another's")
    for attempt, reserved in list(tables.collector.closed_attempts(ALPHA)):
        tables.collector.collect(ALPHA, attempt, reserved)
    assert [tables.ledger.chunk(ONE, number) for number in range(3)] == [None, None, None]
    assert tables.ledger.chunk(TWO, 0) == b"another's"
    assert list(tables.collector.closed_attempts(ALPHA)) == []


@pytest.mark.parametrize("committed", [True, False])
def test_chunks_of_an_attempt_that_is_not_closed_stay(tables: Tables, committed: bool) -> None:
    tables.ledger.begin(ALPHA, ONE, at(0), at(60))
    tables.ledger.reserve(ALPHA, ONE, 1)
    tables.ledger.put_chunk(ONE, 0, b"chunk")
    if committed:
        tables.ledger.commit(header(ONE), ONE, None)
    with pytest.raises(AttemptNotClosed):
        tables.collector.collect(ALPHA, ONE, 1)
    assert tables.ledger.chunk(ONE, 0) == b"chunk"
    assert list(tables.collector.closed_attempts(ALPHA)) == []


def test_a_finding_is_appended_once_per_generation_and_never_changed(tables: Tables) -> None:
    finding = Finding("versioning", Severity.FAIL, ALPHA, at(0), "versioning is off", "turn it on")
    later = Finding("versioning", Severity.NOTE, ALPHA, at(9), "another text", "nothing")
    assert tables.findings.has(finding, 0) is False
    assert tables.findings.append(finding, 0) is True
    assert (tables.findings.has(later, 0), tables.findings.has(finding, 1)) == (True, False)
    assert tables.findings.append(later, 0) is False
    assert tables.findings.append(later, 1) is True


def test_a_report_is_written_once(tables: Tables) -> None:
    tables.reports.append(ALPHA, "execution", b"first")
    tables.reports.append(ALPHA, "execution", b"second")
    assert tables.report(ALPHA, "execution") == b"first"


# --- what a prune does -------------------------------------------------------------------------------------

LEASE = Lease("token", "tuesday", at(0))


def mark(header: StateHeader) -> DroppedState:
    return DroppedState(header.id, header.generation, Digest("d" * 64), "tuesday", at(500))


def two_states(tables: Tables) -> tuple[StateHeader, StateHeader]:
    """And the lease to drop them."""
    first = record(tables, ONE, seconds=0)
    tables.lease.take(ALPHA, LEASE, None)
    return first, record(tables, TWO, first, seconds=100)


def test_a_dropped_state_is_marked_once_and_keeps_its_header(tables: Tables) -> None:
    first, second = two_states(tables)
    assert tables.ledger.dropped(ALPHA) == frozenset()
    tables.dropper.drop(Head.of(second), [mark(first)])
    assert tables.ledger.drops(ALPHA) == (mark(first),)
    assert tables.ledger.dropped(ALPHA) == {first.id}
    assert list(tables.ledger.headers(ALPHA)) == [second, first]
    with pytest.raises(StateDropped):
        tables.dropper.drop(Head.of(second), [mark(first)])
    with pytest.raises(StateDropped):
        tables.holds.hold(ALPHA, first.generation, Hold(first.id, "somebody", at(600), "too late"))
    assert tables.holds.of(ALPHA) == Held()


def test_nothing_is_dropped_on_an_old_head_without_the_lease_or_while_it_is_held(tables: Tables) -> None:
    first, second = two_states(tables)
    with pytest.raises(HeadMoved):
        tables.dropper.drop(Head.of(first), [mark(first)])
    hold = Hold(first.id, "somebody", at(300), "evidence")
    assert tables.holds.hold(ALPHA, 1, hold) == hold
    assert tables.holds.hold(ALPHA, 1, replace(hold, by="another")) == hold
    with pytest.raises(StateHeld):
        tables.dropper.drop(Head.of(second), [mark(first)])
    assert tables.holds.release(ALPHA, first.id, "another", at(310)) == hold
    assert tables.holds.release(ALPHA, first.id, "another", at(310)) is None
    assert tables.lease.release(ALPHA, "tuesday") is True
    with pytest.raises(LeaseLost):
        tables.dropper.drop(Head.of(second), [mark(first)])
    assert tables.ledger.dropped(ALPHA) == frozenset()


def test_a_restore_is_announced_once_and_only_of_a_state_that_is_not_dropped(tables: Tables) -> None:
    first, second = two_states(tables)
    restoring = Restoring("friday", second.id, at(300))
    tables.announcer.announce(ALPHA, 2, restoring)
    tables.announcer.announce(ALPHA, 2, replace(restoring, since=at(310)))
    assert tables.announced.under_way(ALPHA) == (restoring,)
    assert tables.holds.of(ALPHA) == Held(restores=frozenset({"friday"}))
    tables.dropper.drop(Head.of(second), [mark(first)])
    with pytest.raises(StateDropped):
        tables.announcer.announce(ALPHA, 1, Restoring("saturday", first.id, at(320)))
    assert tables.announced.under_way(ALPHA) == (restoring,)


def test_what_a_restore_announced_is_taken_back_by_its_name_or_as_it_was_read(tables: Tables) -> None:
    first, _ = two_states(tables)
    friday, saturday = (Restoring(name, first.id, at(300)) for name in ("friday", "saturday"))
    for restoring in (friday, saturday):
        tables.announcer.announce(ALPHA, 1, restoring)
    tables.announced.forget(ALPHA, replace(friday, since=at(299)))
    tables.ender.end(ALPHA, "sunday")
    assert tables.announced.under_way(ALPHA) == (friday, saturday)
    tables.announced.forget(ALPHA, friday)
    tables.ender.end(ALPHA, "saturday")
    assert tables.announced.under_way(ALPHA) == ()


def test_the_prune_lease_changes_hands_only_as_it_was_seen(tables: Tables) -> None:
    mine = Lease("mine", "monday", at(9))
    assert (tables.lease.current(ALPHA), tables.lease.release(ALPHA, "tuesday")) == (None, False)
    tables.lease.take(ALPHA, LEASE, None)
    for seen in (None, replace(LEASE, token="another"), replace(LEASE, released=True)):
        with pytest.raises(LeaseTaken):
            tables.lease.take(ALPHA, mine, seen)
    assert tables.lease.release(ALPHA, "monday") is False
    assert tables.lease.current(ALPHA) == LEASE
    tables.lease.take(ALPHA, mine, LEASE)
    assert tables.lease.current(ALPHA) == mine
