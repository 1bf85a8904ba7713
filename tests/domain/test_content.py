"""The pure part of the check of content: what is drawn, batches, sets and their bounds, and what is known by them."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain import chunks
from functions.domain.batches import decode_batch, encode_batch
from functions.domain.content.files import batch_file, manifest_file, plan_file, result_file
from functions.domain.content.judge import Read, findings, sights_in_turn
from functions.domain.content.known import MOST_STATES, Memory
from functions.domain.content.plan import (
    BATCH_BYTES,
    BATCH_OBJECTS,
    ContentBatch,
    ContentPlan,
    VersionName,
    batch_digest,
    choose,
    cut_batches,
    draw_plan,
    is_drawn,
    name_of,
)
from functions.domain.content.results import LARGEST_READ, ContentResult, Kind, Sight, Trouble, judge_bytes, trouble
from functions.domain.content.sets import (
    EXCEPTIONS_BYTES,
    PART_BYTES,
    DamagedVersions,
    VerifiedSet,
    damaged_parts,
    verified_set,
)
from functions.domain.documents import UnreadableDocument
from functions.domain.restore import plan as plan_of_a_restore
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, Tally, describe
from functions.domain.values import (
    AttemptId,
    Digest,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    StateId,
    VersionGone,
    VersionId,
)
from tests import builders
from tests.builders import at, listing, pack, sha256, version
from tests.cuts import take_cut
from tests.fakes.content import FakeVerifiedSets
from tests.fakes.faults import Call
from tests.fakes.ledger import ITEM_BYTES, FakeLedger
from tests.strands import packed

ALPHA = RepositoryName("alpha")
NOTHING = Digest("0" * 64)
NO_BYTES = Tally(objects=0, bytes=0)


# --- what to read ----------------------------------------------------------------------------------


def many(count: int) -> list[ObjectVersion]:
    return [version(pack(str(number)), size=1 + number % 16) for number in range(count)]


@given(builders.states, st.data(), st.booleans(), st.floats(0, 100))
def test_every_version_is_either_verified_or_read_and_none_twice(
    entries: list[ObjectVersion], data: st.DataObject, everything: bool, percent: float
) -> None:
    verified = {name_of(each) for each in entries if data.draw(st.booleans())}
    choice = choose(entries, verified, execution="monday", percent=percent, everything=everything)
    names = [name_of(each) for each in choice.to_read]
    assert len(names) == len(set(names))
    assert set(map(name_of, entries)) - verified <= set(names)
    assert choice.verified_before.objects + len(names) == len(entries)
    assert choice.sampled.objects == len(set(names) & verified)
    assert choice.verified_before.bytes + sum(each.size for each in choice.to_read) == sum(e.size for e in entries)
    assert list(choice.to_read) == [each for each in entries if name_of(each) in set(names)], "in key order"
    if everything:
        assert len(names) == len(entries)


@pytest.mark.parametrize("percent", [1.0, 10.0, 50.0])
def test_the_sample_has_the_asked_share_of_objects_and_bytes(percent: float) -> None:
    entries = many(20_000)
    choice = choose(entries, set(map(name_of, entries)), execution="monday", percent=percent)
    whole = sum(each.size for each in entries)
    assert choice.sampled.objects == pytest.approx(20_000 * percent / 100, rel=0.15)
    assert choice.sampled.bytes == pytest.approx(whole * percent / 100, rel=0.15)


def test_no_percent_is_no_sample_and_all_percent_is_all() -> None:
    entries = many(100)
    verified = set(map(name_of, entries))
    assert choose(entries, verified, execution="monday", percent=0).to_read == ()
    assert choose(entries, verified, execution="monday", percent=100).to_read == tuple(entries)


def test_a_sample_is_the_same_for_one_execution_and_another_for_the_next() -> None:
    entries = many(1000)

    def drawn(execution: str) -> set[str]:
        return {each.key for each in entries if is_drawn(each, 10, execution)}

    assert drawn("monday") == drawn("monday")
    assert drawn("monday") != drawn("tuesday")
    assert len(set().union(*(drawn(f"day {number}") for number in range(80)))) > 990, "each one's turn comes"


def test_batches_are_what_one_function_can_read() -> None:
    small = [version(f"{number:05}", size=1) for number in range(BATCH_OBJECTS + 1)]
    assert [len(batch) for batch in cut_batches(small)] == [BATCH_OBJECTS, 1]
    large = [version(f"{number:05}", size=BATCH_BYTES // 2) for number in range(5)]
    assert [len(batch) for batch in cut_batches(large)] == [2, 2, 1]
    assert BATCH_BYTES / 70e6 < 15 * 60 / 4, "four times slower than one function usually reads, it still ends"
    assert LARGEST_READ / 70e6 < 15 * 60 - 60
    assert list(cut_batches([])) == []


def test_a_file_is_named_by_repository_and_execution() -> None:
    assert plan_file(ALPHA, "monday") == "checks/alpha/monday/plan.json"
    assert manifest_file(ALPHA, "monday") == "checks/alpha/monday/manifest.json"
    assert batch_file(ALPHA, "monday", 7) == "checks/alpha/monday/batches/00007.jsonl"
    assert result_file(ALPHA, "monday", 7) == "checks/alpha/monday/results/00007.json"


@given(builders.states)
def test_a_batch_of_content_is_no_batch_of_a_restore(entries: list[ObjectVersion]) -> None:
    content = encode_batch(entries)
    assert list(decode_batch(content)) == entries
    assert batch_digest(content) != plan_of_a_restore.batch_digest(content)


# --- what bytes say --------------------------------------------------------------------------------


def test_bytes_that_hash_to_their_name_are_verified_and_no_others() -> None:
    mine = version(pack("pack"), size=4)
    assert judge_bytes(mine, Digest(sha256("pack")), 4) is None
    for found, size in ((sha256("pacc"), 4), (sha256("pack"), 3), (sha256(""), 0)):
        said = judge_bytes(mine, Digest(found), size)
        assert isinstance(said, Trouble)
        assert said.kind is Kind.DAMAGED


@pytest.mark.parametrize("key", ["config", "notes/a.txt", "data/00/" + "f" * 64, "keys/short"])
def test_a_name_that_promises_nothing_is_seen_and_not_proven(key: str) -> None:
    said = judge_bytes(version(key, size=4), Digest(sha256("pack")), 4)
    assert isinstance(said, Sight)
    assert said.sha256 == sha256("pack")


def test_config_is_always_the_first_sight_of_all() -> None:
    alien = [a_sight(version(f"a/{number}")) for number in range(50)]
    result = a_result(an_empty_plan(), sights=(*alien, a_sight(version("config"))))
    turns = [sights_in_turn({0: result}, execution) for execution in ("monday", "tuesday")]
    assert [each[0].key for each in turns] == ["config", "config"]
    assert turns[0] != turns[1], "every alien key's turn comes"


# --- sets ------------------------------------------------------------------------------------------


def a_sight(of: ObjectVersion) -> Sight:
    return Sight(key=of.key, version_id=of.version_id, written=of.last_modified, sha256=Digest(sha256(of.key)))


def a_header(number: int = 1) -> StateHeader:
    return describe(
        take_cut(listing(version(pack(str(number)))), at(number)),
        repository=ALPHA,
        parent=None,
        own_chunks=ChunkSet(attempt=AttemptId("a"), count=0, digest=NOTHING),
        recorded_at=at(number),
        cause=Cause(reason="schedule"),
    )


def an_empty_plan(batches: tuple[ContentBatch, ...] = ()) -> ContentPlan:
    choice = choose([], set(), execution="monday", percent=0)
    return draw_plan(a_header(), choice, "monday", batches)


def a_batch(number: int, objects: int = 10) -> ContentBatch:
    return ContentBatch(number=number, digest=NOTHING, objects=objects, bytes=0, version_id=VersionId("v"))


def a_result(
    plan: ContentPlan, number: int = 0, *, sights: tuple[Sight, ...] = (), troubles: tuple[Trouble, ...] = ()
) -> ContentResult:
    return ContentResult(
        plan=plan.digest, number=number, batch=NOTHING, verified=0, read_bytes=0, sights=sights, troubles=troubles
    )


def failed(count: int, prefix: str = "") -> tuple[Trouble, ...]:
    return tuple(trouble(version(f"{prefix}{pack(str(number))}"), Kind.FAILED, "X") for number in range(count))


def test_a_set_excepts_what_failed_and_batches_without_a_result() -> None:
    plan = an_empty_plan((a_batch(0), a_batch(1)))
    bad = version("config")
    some = (*failed(2), trouble(bad, Kind.DAMAGED, "X"), trouble(version("gone"), Kind.GONE, "X"))
    one = verified_set(plan, VersionId("v"), Read(results={0: a_result(plan, troubles=some)}))
    assert one.unread == (1,)
    assert set(one.but) == {name_of(each) for each in failed(2)}


def test_a_set_excepts_what_was_seen_and_not_kept() -> None:
    plan = an_empty_plan((a_batch(0),))
    sights = (a_sight(version("a")), a_sight(version("b")))
    read = Read(results={0: a_result(plan, sights=sights)}, left=sights[1:])
    assert verified_set(plan, VersionId("v"), read).but == (name_of(sights[1]),)


def test_more_exceptions_than_fit_an_item_make_their_batch_one() -> None:
    plan = an_empty_plan((a_batch(0), a_batch(1), a_batch(2)))
    few, masses = failed(3, "a/"), failed(2000, "b/")
    results = {
        0: a_result(plan, 0, troubles=few),
        1: a_result(plan, 1, troubles=masses),
        2: a_result(plan, 2, troubles=few[:1]),
    }
    one = verified_set(plan, VersionId("v"), Read(results=results))
    assert one.unread == (1,)
    assert len(one.but) == 4
    assert len(json.dumps(masses[0].key)) * 2000 > EXCEPTIONS_BYTES


@given(st.lists(st.tuples(builders.texts, builders.texts), unique=True, max_size=50))
def test_damaged_versions_come_back_from_as_many_parts_as_they_take(names: list[tuple[str, str]]) -> None:
    given_names = {(ObjectKey(key), VersionId(version_id)) for key, version_id in names}
    parts = [DamagedVersions.parse(part.canonical()) for part in damaged_parts(ALPHA, given_names)]
    assert {name for part in parts for name in part.versions} == given_names


def test_no_part_of_damaged_versions_exceeds_an_item_whatever_their_keys() -> None:
    names = {(ObjectKey("\x01" * 1020 + str(number)), VersionId("\x01" * 1024)) for number in range(100)}
    parts = list(damaged_parts(ALPHA, names))
    assert len(parts) > 1
    assert max(len(part.canonical()) for part in parts) <= PART_BYTES + 1000 < ITEM_BYTES


def test_the_same_damage_is_the_same_parts_in_whatever_order_it_was_found() -> None:
    names = [(ObjectKey(pack(str(number))), VersionId("v")) for number in range(3000)]
    parts = list(damaged_parts(ALPHA, names))
    assert len(parts) > 1
    assert parts == list(damaged_parts(ALPHA, reversed(names)))


def test_findings_of_a_check_that_read_all_and_found_nothing_are_none() -> None:
    plan = an_empty_plan((a_batch(0),))
    assert findings(plan, Read(results={0: a_result(plan)})) == ()


# --- what is known by sets -------------------------------------------------------------------------


class NoRecords:
    """RecordReader of an empty bucket."""

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        raise VersionGone(name)


@dataclass
class Files:
    """RecordReader of what was put."""

    stored: dict[str, bytes] = field(default_factory=dict)

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        if name not in self.stored:
            raise VersionGone(name)
        return self.stored[name]


@dataclass
class History:
    """States of one repository, and what checks remembered of them; the truth beside it."""

    ledger: FakeLedger = field(default_factory=FakeLedger)
    memory: FakeVerifiedSets = field(default_factory=FakeVerifiedSets)
    files: Files = field(default_factory=Files)
    headers: list[StateHeader] = field(default_factory=list)
    entries: list[list[ObjectVersion]] = field(default_factory=list)
    truly_read: set[VersionName] = field(default_factory=set)
    """By a check whose set can still be believed."""

    def record(self, entries: list[ObjectVersion], *, base: bool = False) -> StateHeader:
        generation = len(self.headers) + 1
        cut_time = at(100 * generation)
        parent = self.headers[-1] if self.headers else None
        attempt = AttemptId(f"attempt-{generation}")
        encoded, delta = packed(self.ledger, parent, builders.in_key_order(entries), base=base)
        header = describe(
            take_cut(listing(*entries), cut_time),
            repository=ALPHA,
            parent=parent,
            own_chunks=ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded)),
            recorded_at=cut_time,
            cause=Cause(reason="schedule"),
            delta=delta,
        )
        self.ledger.begin(ALPHA, attempt, cut_time, at(100 * generation + 1))
        for number, chunk in enumerate(encoded):
            self.ledger.put_chunk(attempt, number, chunk)
        self.ledger.commit(header, attempt, Head.of(parent) if parent else None)
        self.headers.append(header)
        self.entries.append(builders.in_key_order(entries))
        return header

    def plan(self, number: int, execution: str, *, objects: int = 2) -> tuple[ContentPlan, list[list[ObjectVersion]]]:
        """The plan of a check of state `number`, its files written."""
        header = self.headers[number]
        verified = self.known().verified_among(self.entries[number], header)
        choice = choose(self.entries[number], verified, execution=execution, percent=20)
        runs = [list(choice.to_read[start : start + objects]) for start in range(0, len(choice.to_read), objects)]
        batches = []
        for place, run in enumerate(runs):
            content = encode_batch(run)
            self.files.stored[batch_file(ALPHA, execution, place)] = content
            batches.append(
                ContentBatch(
                    number=place, digest=batch_digest(content), objects=len(run), bytes=0, version_id=VersionId("v")
                )
            )
        plan = draw_plan(header, choice, execution, batches)
        self.files.stored[plan_file(ALPHA, execution)] = plan.canonical()
        return plan, runs

    def known(self) -> Memory:
        return Memory(self.memory, self.ledger, self.files)

    def verified(self, number: int) -> frozenset[VersionName]:
        return self.known().verified_among(self.entries[number], self.headers[number])


def checked(history: History, number: int, execution: str, unread: set[int], bad: set[VersionName]) -> None:
    """A check of state `number`, of which some batches gave no result, and which found `bad` damaged."""
    plan, runs = history.plan(number, execution)
    results = {}
    damaged: list[Trouble] = []
    for place, run in enumerate(runs):
        if place in unread:
            continue
        troubles = tuple(trouble(each, Kind.DAMAGED, "X") for each in run if name_of(each) in bad)
        damaged += troubles
        results[place] = ContentResult(
            plan=plan.digest,
            number=place,
            batch=plan.batches[place].digest,
            verified=len(run) - len(troubles),
            read_bytes=0,
            sights=(),
            troubles=troubles,
        )
        history.truly_read |= {name_of(each) for each in run if name_of(each) not in bad}
    for part in damaged_parts(ALPHA, map(name_of, damaged)):
        history.memory.append_damaged(part)
    history.memory.append(verified_set(plan, VersionId("v"), Read(results=results)))


POOL = [version(pack(str(number)), written=-1000 - number, version_id=f"v{number}") for number in range(8)]
states = st.lists(st.sampled_from(POOL), unique_by=name_of, max_size=8)
checks = st.tuples(
    st.integers(0, 5),
    st.sets(st.integers(0, 3)),
    st.sets(st.sampled_from([name_of(each) for each in POOL]), max_size=2),
)


@given(st.lists(states, min_size=1, max_size=6), st.lists(checks, max_size=6), st.sets(st.integers(0, 5)))
def test_every_version_of_any_state_is_in_a_sound_set_or_in_the_plan_exactly_once(
    contents: list[list[ObjectVersion]],
    runs: list[tuple[int, set[int], set[VersionName]]],
    dropped: set[int],
) -> None:
    history = History()
    for entries in contents:
        history.record(entries)
    for number, (state, unread, bad) in enumerate(runs):
        checked(history, state % len(contents), f"run-{number}", unread, bad)
    for number in dropped:
        # A dropped state's chunks are collected; only those that are its own.
        if number < len(history.headers):
            for place in [place for place in history.ledger.chunks if place[0] == f"attempt-{number + 1}"]:
                del history.ledger.chunks[place]
    damaged = history.memory.damaged(ALPHA)
    for number, entries in enumerate(contents):
        verified = history.verified(number)
        assert verified <= history.truly_read, "nothing is called verified that no check read and found good"
        assert not verified & damaged
        plan, planned = history.plan(number, f"final-{number}")
        names = [name_of(each) for run in planned for each in run]
        assert len(names) == len(set(names))
        assert set(names) | verified == set(map(name_of, entries))
        assert plan.verified_before.objects + len(names) == len(entries)


@given(st.lists(states, min_size=2, max_size=5))
def test_each_version_is_read_once_over_the_checks_of_all_states(contents: list[list[ObjectVersion]]) -> None:
    history = History()
    read: list[VersionName] = []
    for number, entries in enumerate(contents):
        history.record(entries)
        verified = history.verified(number)
        read += [name_of(each) for each in entries if name_of(each) not in verified]
        checked(history, number, f"run-{number}", set(), set())
    assert len(read) == len(set(read))
    assert set(read) == {name_of(each) for entries in contents for each in entries}


def grown(count: int) -> History:
    """States that each have one more version; each was checked."""
    history = History()
    entries = [
        version(pack(str(number)), written=100 * number + 50, version_id=f"v{number}") for number in range(count)
    ]
    for number in range(count):
        history.record(entries[: number + 1], base=True)
        checked(history, number, f"run-{number}", set(), set())
    return history


def chunks_asked_for(history: History) -> set[str]:
    """The attempts of which chunks are read from now on."""
    asked: set[str] = set()

    def note(call: Call) -> None:
        if call.operation == "GetChunk":
            asked.add(call.resource.partition("/")[0])

    history.ledger.hook = note
    return asked


def test_a_set_speaks_for_exact_version_ids() -> None:
    history = grown(1)
    (one,) = history.entries[0]
    other = version(one.key, version_id="another")
    assert history.known().verified_among([one, other], history.headers[0]) == {(one.key, one.version_id)}


def test_only_the_states_that_can_know_something_are_read() -> None:
    history = grown(6)
    newest = history.headers[-1]
    asked = chunks_asked_for(history)
    young = version(pack("young"), written=1000, version_id="young")
    assert history.known().verified_among([*history.entries[-1], young], newest) == set(
        map(name_of, history.entries[-1])
    )
    assert asked == {"attempt-6"}


def test_no_more_states_are_read_than_is_worth_it() -> None:
    history = grown(MOST_STATES + 4)
    asked: set[str] = set()
    history.ledger.hook = lambda call: (
        asked.add(call.resource.partition("/")[0]) if call.operation == "GetChunk" else None
    )
    unknown = version(pack("unknown"), written=-5000, version_id="unknown")
    assert history.known().verified_among([unknown], history.headers[-1]) == frozenset()
    assert len(asked) == MOST_STATES


def test_a_set_whose_state_was_exchanged_proves_nothing() -> None:
    history = grown(2)
    for one in history.memory.sets(ALPHA):
        forged = one.model_copy(update={"state": StateId("f" * 64)})
        history.memory.stored[one.digest] = forged.canonical()
    assert history.verified(1) == frozenset()


def test_states_that_changed_alike_on_other_bases_are_not_taken_for_one_another() -> None:
    """Their chunks are the very same, byte for byte."""
    one, other, new = POOL[0], POOL[1], POOL[2]
    history = History()
    for entries in ([one], [one, new], [other], [other, new]):
        history.record(entries, base=new not in entries)
    assert history.headers[1].chunks.digest == history.headers[3].chunks.digest
    checked(history, 1, "monday", set(), set())
    checked(history, 3, "tuesday", {0}, set())
    assert history.verified(3) == {name_of(new)}


def test_a_set_whose_batches_are_lost_proves_nothing() -> None:
    history = History()
    history.record(POOL)
    checked(history, 0, "monday", {1}, set())
    assert len(history.verified(0)) == 6
    history.files.stored.pop(batch_file(ALPHA, "monday", 1))
    assert history.verified(0) == frozenset()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"key":1}\n'])
def test_a_set_whose_batches_were_changed_proves_nothing(damage: bytes) -> None:
    history = History()
    history.record(POOL)
    checked(history, 0, "monday", {1}, set())
    for name in (batch_file(ALPHA, "monday", 1), plan_file(ALPHA, "monday")):
        whole = history.files.stored[name]
        history.files.stored[name] = damage
        assert history.verified(0) == frozenset()
        history.files.stored[name] = whole
    assert len(history.verified(0)) == 6


def test_a_damaged_version_is_verified_by_no_set_before_or_after() -> None:
    history = History()
    history.record(POOL)
    checked(history, 0, "monday", set(), set())
    bad = name_of(POOL[3])
    history.memory.append_damaged(DamagedVersions(repository=ALPHA, versions=(bad,)))
    assert bad not in history.verified(0)
    checked(history, 0, "tuesday", set(), set())
    assert bad not in history.verified(0), "though tuesday's check read it, and found it good"


def test_a_set_of_an_unknown_format_is_refused() -> None:
    (one,) = grown(1).memory.sets(ALPHA)
    with pytest.raises(UnreadableDocument, match="format 2"):
        VerifiedSet.parse(one.canonical().replace(b'"format":1', b'"format":2'))


def test_a_sight_or_a_trouble_has_no_other_fields() -> None:
    with pytest.raises(ValidationError):
        Sight.model_validate({**a_sight(version("config")).model_dump(), "body": "secret"})


def test_what_is_read_now_and_what_was_before_are_all_of_the_state() -> None:
    history = grown(3)
    plan, _ = history.plan(2, "final")
    assert plan.objects == plan.verified_before.objects + plan.to_read.objects
    assert plan.verified_before != NO_BYTES
