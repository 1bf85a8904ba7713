"""The check of content from a state to a verdict: what is read, what is found, what is remembered."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from functions.check.hash_content import ATTEMPTS, TIME_TO_TELL, ObjectHasher
from functions.domain.checking import CheckRefused
from functions.domain.content import judge, plan, results
from functions.domain.content.files import NotThePlan, batch_file, plan_file, read_batch, result_file
from functions.domain.content.known import Memory
from functions.domain.content.results import Kind, Sight, Trouble
from functions.domain.findings import FindingId
from functions.domain.ports import NotRead
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, Severity, StateId, VersionGone, VersionId
from functions.domain.verdict import CheckLevel, news
from tests.builders import pack as pack_key
from tests.builders import version
from tests.check.content_world import Bodies, World, found, keys_of
from tests.fakes.ports import FakeRecordReader, FakeRecordWriter
from tests.fakes.s3_model import Attributes
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, a_backup, a_pack, sha256

ALIEN = "notes/alien.txt"


@pytest.fixture
def world() -> World:
    made = World()
    made.back_up({**a_backup(), ALIEN: b"a note"})
    return made


@pytest.fixture
def state(world: World) -> StateHeader:
    return world.record()


# --- what is read ----------------------------------------------------------------------------------


def test_the_first_check_reads_every_version_once_and_says_so(world: World, state: StateHeader) -> None:
    judged = world.check(state)
    assert judged.verdict.outcome == "pass"
    assert judged.verdict.level is CheckLevel.CONTENT
    assert judged.verdict.by == "monday"
    assert judged.verdict.figures == {
        "objects": 8,
        "bytes": state.bytes,
        "verified_before": 0,
        "sampled": 0,
        "read": 8,
        "read_bytes": state.bytes,
        "verified": 6,
        "sights": 2,
        "sights_left": 0,
        "damaged": 0,
        "changed": 0,
        "gone": 0,
        "not_read": 0,
    }


def test_what_was_verified_is_never_read_again_however_the_state_grows(world: World, state: StateHeader) -> None:
    first = world.reads_of(lambda: world.check(state))
    world.back_up({a_pack(b"later"): b"later", f"snapshots/{sha256(b's')}": b"s"})
    grown = world.record()
    second = world.reads_of(lambda: world.check(grown, "tuesday"))
    assert first == sorted({**a_backup(), ALIEN: b""})
    assert second == sorted([a_pack(b"later"), f"snapshots/{sha256(b's')}"])
    assert world.reads_of(lambda: world.check(grown, "wednesday")) == []


def test_another_version_of_the_same_key_is_another_version(world: World, state: StateHeader) -> None:
    world.check(state)
    world.back_up({"config": b"the config, of version 2"})
    migrated = world.record()
    assert world.reads_of(lambda: world.check(migrated, "tuesday")) == ["config"]


def test_a_check_that_reads_nothing_still_judges(world: World, state: StateHeader) -> None:
    world.check(state)
    judged = world.check(state, "tuesday")
    assert (judged.verdict.outcome, judged.verdict.figures["verified_before"]) == ("pass", 8)
    assert judged.verdict.figures["read"] == 0


def test_all_reads_everything_again(world: World, state: StateHeader) -> None:
    world.check(state)
    again = world.reads_of(lambda: world.check(state, "tuesday", everything=True))
    assert again == sorted({**a_backup(), ALIEN: b""})


def test_a_sample_of_what_was_verified_is_read_again() -> None:
    world = World(scrub_percent=25)
    contents = [f"pack {number}".encode() for number in range(400)]
    world.back_up({a_pack(content): content for content in contents})
    state = world.record()
    first = world.check(state)
    assert (first.verdict.figures["read"], first.verdict.figures["sampled"]) == (400, 0)
    second = world.check(state, "tuesday")
    assert 60 < second.verdict.figures["sampled"] < 140
    assert second.verdict.figures["read"] == second.verdict.figures["sampled"]
    assert second.verdict.figures["verified_before"] == 400 - second.verdict.figures["sampled"]


def test_lock_files_are_no_part_of_a_state_and_are_not_read(world: World) -> None:
    world.back_up({f"locks/{'0' * 64}": b"a lock"})
    state = world.record()
    assert not any(key.startswith("locks/") for key in world.reads_of(lambda: world.check(state)))


def test_a_large_state_is_cut_into_batches_that_hold_each_version_once(
    world: World, state: StateHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "BATCH_OBJECTS", 3)
    written = world.plan_content(state.id)
    assert (written.batches, written.objects, written.bytes) == (3, 8, state.bytes)
    assert world.planned_keys(written) == sorted({**a_backup(), ALIEN: b""})


def test_the_newest_state_is_planned_when_none_is_named(world: World, state: StateHeader) -> None:
    world.back_up({a_pack(b"later"): b"later"})
    newest = world.record()
    assert world.planned(world.plan_content("")).state == newest.id


def test_a_state_that_does_not_exist_is_refused(world: World, state: StateHeader) -> None:
    with pytest.raises(CheckRefused, match=r"has no state 0000.*nothing was judged"):
        world.plan_content("0" * 64)


def test_a_dropped_state_is_refused(world: World, state: StateHeader) -> None:
    world.ledger.mark_dropped(state, world.s3.clock.now())
    with pytest.raises(CheckRefused, match=rf"state {state.id} was dropped by prune .*nothing was judged"):
        world.plan_content(state.id)


def test_a_state_that_is_dropped_while_it_is_read_is_not_concluded(world: World, state: StateHeader) -> None:
    """What is gone of it, a prune may have taken."""
    written = world.plan_content(state.id)
    world.ledger.mark_dropped(state, world.s3.clock.now())
    with pytest.raises(CheckRefused, match="was dropped by prune"):
        world.conclude(written, state.id)
    assert world.verdicts.stored == {}
    assert world.memory.stored == {}


def test_a_state_whose_chunks_are_damaged_is_refused(world: World, state: StateHeader) -> None:
    world.ledger.chunks.clear()
    with pytest.raises(CheckRefused, match="is missing; nothing was read"):
        world.plan_content(state.id)
    assert not [entry for entry in world.s3.everything(RECORDS) if entry.version.key.startswith("checks/")]


# --- what is found ---------------------------------------------------------------------------------


PACK = a_pack(b"pack 0")
DAMAGES = {
    "flipped": b"pacK 0",
    "truncated": b"pack",
    "emptied": b"",
    "swapped": b"pack 1",
    "grown": b"pack 0, and more",
}


@pytest.mark.parametrize("body", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("key", [PACK, f"index/{sha256(b'an index')}", f"keys/{sha256(b'a key')}"])
def test_bytes_that_are_not_what_their_name_promises_are_found(
    world: World, state: StateHeader, key: str, body: bytes
) -> None:
    world.rot(key, body)
    judged = world.check(state)
    damaged = found(judged)[FindingId.CONTENT_DAMAGED]
    assert (judged.verdict.outcome, damaged.severity, keys_of(damaged)) == ("fail", Severity.FAIL, [key])
    (evidence,) = damaged.evidence
    current = world.s3._bucket(PROTECTED).current(f"{PREFIX}/{key}")
    assert current is not None
    assert evidence.version_ids == (current.version_id,)
    assert evidence.standing, "no acknowledgement makes a damaged state good"
    assert evidence.since == current.last_modified


def test_damage_is_found_again_by_every_check_until_no_state_names_it(world: World, state: StateHeader) -> None:
    world.rot(PACK, b"garbage")
    world.check(state)
    again = world.check(state, "tuesday")
    assert keys_of(found(again)[FindingId.CONTENT_DAMAGED]) == [PACK]
    assert again.verdict.figures["read"] == 1, "and nothing but it is read again"
    world.back_up({PACK: b"pack 0"})
    mended = world.check(world.record(), "wednesday")
    assert mended.verdict.outcome == "pass"


def test_what_rots_after_it_was_verified_is_found_by_a_scrub_and_by_every_check_after_it(
    world: World, state: StateHeader
) -> None:
    world.check(state)
    world.rot(PACK, b"pacK 0")
    assert world.check(state, "tuesday").verdict.outcome == "pass", "nobody looked"
    assert world.check(state, "wednesday", everything=True).verdict.outcome == "fail"
    later = world.check(state, "thursday")
    assert keys_of(found(later)[FindingId.CONTENT_DAMAGED]) == [PACK], "the set of monday speaks for it no more"


def test_a_pinned_version_that_is_gone_is_found(world: World, state: StateHeader) -> None:
    world.destroy(PACK)
    judged = world.check(state)
    gone = found(judged)[FindingId.PINNED_VERSION_GONE]
    assert (gone.severity, keys_of(gone)) == (Severity.FAIL, [PACK])
    assert keys_of(found(world.check(state, "tuesday"))[FindingId.PINNED_VERSION_GONE]) == [PACK]


@pytest.mark.parametrize("key", ["config", ALIEN])
def test_a_version_whose_name_promises_nothing_must_stay_as_it_was_first_seen(
    world: World, state: StateHeader, key: str
) -> None:
    world.check(state)
    world.rot(key, b"x" * len(world.body(key)))
    judged = world.check(state, "tuesday", everything=True)
    changed = found(judged)[FindingId.CONTENT_CHANGED]
    assert (changed.severity, keys_of(changed)) == (Severity.FAIL, [key])
    assert changed.evidence[0].standing
    again = world.check(state, "wednesday")
    assert keys_of(found(again)[FindingId.CONTENT_CHANGED]) == [key], "the first sight is never replaced"


def test_a_first_sight_of_other_than_the_listed_size_is_damage(world: World, state: StateHeader) -> None:
    world.rot("config", b"cut off")
    assert keys_of(found(world.check(state))[FindingId.CONTENT_DAMAGED]) == ["config"]
    assert not world.sights.kept.keys() & {(REPOSITORY, ("config", "any"))}
    assert [name[0] for _, name in world.sights.kept] == [ALIEN]


def test_a_config_that_was_written_again_is_not_compared_with_another_version(world: World, state: StateHeader) -> None:
    world.check(state)
    world.back_up({"config": b"the config, of version 2"})
    assert world.check(world.record(), "tuesday").verdict.outcome == "pass"
    assert len(world.sights.kept) == 3


def test_a_flood_of_alien_keys_crowds_out_no_config_and_is_kept_bit_by_bit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.check.conclude_content.MOST_SIGHTS", 4)
    world.back_up({f"a/{number}": b"%d" % number for number in range(9)})
    state = world.record()
    first = world.check(state)
    assert (first.verdict.figures["sights"], first.verdict.figures["sights_left"]) == (11, 7)
    assert "config" in {name[0] for _, name in world.sights.kept}
    assert world.check(state, "tuesday").verdict.figures["sights_left"] == 3
    assert world.check(state, "wednesday").verdict.figures["sights_left"] == 0
    assert len(world.sights.kept) == 11
    assert world.check(state, "thursday").verdict.figures["read"] == 0


# --- what could not be read ------------------------------------------------------------------------


def test_a_batch_without_a_result_is_a_hold_and_is_read_next_time(
    world: World, state: StateHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "BATCH_OBJECTS", 3)
    judged = world.check(state, without={1})
    hold = found(judged)[FindingId.CONTENT_NOT_READ]
    assert (judged.verdict.outcome, hold.severity, judged.verdict.figures["not_read"]) == ("hold", Severity.HOLD, 3)
    assert "of 1 batches, 3 object versions, nothing came" in hold.what
    everything = sorted({**a_backup(), ALIEN: b""})
    assert world.reads_of(lambda: world.check(state, "tuesday")) == everything[3:6]
    assert world.check(state, "wednesday").verdict.outcome == "pass"


def test_a_check_of_which_no_batch_came_back_remembers_nothing(world: World, state: StateHeader) -> None:
    assert world.check(state, without={0}).verdict.outcome == "hold"
    assert len(world.reads_of(lambda: world.check(state, "tuesday"))) == 8


def test_a_result_of_another_plan_counts_as_none(world: World, state: StateHeader) -> None:
    written = world.plan_content(state.id)
    (request,) = world.hash_requests(written)
    result = world.hash(request)
    writer = FakeRecordWriter(world.s3, RECORDS)
    for forged in (
        result.model_copy(update={"plan": "0" * 64}).canonical(),
        result.model_copy(update={"batch": "0" * 64}).canonical(),
        result.model_copy(update={"number": 1}).canonical(),
        result.model_copy(update={"verified": result.verified + 1}).canonical(),
        result.model_copy(update={"sights": result.sights * 2, "verified": result.verified - 2}).canonical(),
        b"{}",
    ):
        writer.put(result_file(REPOSITORY, "monday", 0), forged)
        assert world.conclude(written, state.id).verdict.figures["not_read"] == 8


def test_one_object_that_cannot_be_read_costs_no_other_its_proof(world: World, state: StateHeader) -> None:
    world.s3.put(PROTECTED, f"{PREFIX}/{a_pack(b'frozen')}", b"frozen", Attributes(storage_class="GLACIER"))
    frozen = world.record()
    judged = world.check(frozen)
    hold = found(judged)[FindingId.CONTENT_NOT_READ]
    assert (keys_of(hold), judged.verdict.figures["read"]) == ([a_pack(b"frozen")], 8)
    assert "InvalidObjectState" in hold.what
    assert world.reads_of(lambda: world.check(frozen, "tuesday")) == [a_pack(b"frozen")] * ATTEMPTS


def test_a_plan_of_another_state_is_not_concluded(world: World, state: StateHeader) -> None:
    written = world.plan_content(state.id)
    with pytest.raises(NotThePlan, match="nothing was concluded"):
        world.conclude(written, StateId("0" * 64))
    assert world.verdicts.stored == {}
    assert world.memory.stored == {}


def test_a_plan_or_a_batch_that_is_not_what_was_announced_is_not_read(world: World, state: StateHeader) -> None:
    written = world.plan_content(state.id)
    (request,) = world.hash_requests(written)
    writer = FakeRecordWriter(world.s3, RECORDS)
    changed = world.planned(written).model_copy(update={"bytes": 1})
    other = writer.put(plan_file(REPOSITORY, "monday"), changed.canonical())
    with pytest.raises(NotThePlan, match="expected"):
        world.hash(request.model_copy(update={"plan_version": other}))
    with pytest.raises(NotThePlan, match="none numbered 1"):
        world.hash(request.model_copy(update={"batch": request.batch.model_copy(update={"number": 1})}))
    with pytest.raises(NotThePlan, match="is not the plan's"):
        world.hash(request.model_copy(update={"batch": request.batch.model_copy(update={"digest": "0" * 64})}))
    with pytest.raises(VersionGone):
        world.hash(request.model_copy(update={"execution": "tuesday"}))


def test_a_batch_file_that_was_written_over_is_read_by_its_version_id(world: World, state: StateHeader) -> None:
    written = world.plan_content(state.id)
    FakeRecordWriter(world.s3, RECORDS).put(batch_file(REPOSITORY, "monday", 0), b"")
    (request,) = world.hash_requests(written)
    assert world.hash(request).verified == 6


# --- one object ------------------------------------------------------------------------------------


PIECE = 1 << 20
BLOB = version(pack_key("pack"), size=4)


def judged(*pieces: bytes | Exception, of: ObjectVersion = BLOB) -> Trouble | Sight | None:
    return ObjectHasher(Bodies({of.key: list(pieces)}), lambda: 900.0).judge(of)


def test_an_object_is_hashed_in_pieces_whatever_its_size() -> None:
    @dataclass
    class Large:
        def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
            return (b"x" * PIECE for _ in range(64))

    tracemalloc.start()
    said = ObjectHasher(Large(), lambda: 900.0).judge(version("config", size=64 * PIECE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(said, Sight)
    assert peak < 4 * PIECE


def test_a_pack_that_hashes_to_its_name_is_verified_in_whatever_pieces_it_comes() -> None:
    assert judged(b"pack") is None
    assert judged(b"p", b"", b"ack") is None


def test_a_connection_that_breaks_once_is_read_again() -> None:
    @dataclass
    class Shaky:
        left: int = ATTEMPTS - 1

        def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
            yield b"pa"
            if self.left:
                self.left -= 1
                raise NotRead("IncompleteRead")
            yield b"ck"

    assert ObjectHasher(Shaky(), lambda: 900.0).judge(BLOB) is None
    said = ObjectHasher(Shaky(left=ATTEMPTS), lambda: 900.0).judge(BLOB)
    assert isinstance(said, Trouble)
    assert (said.kind, said.why) == (Kind.FAILED, "IncompleteRead")


@pytest.mark.parametrize(
    ("raised", "kind", "why"),
    [
        (NotRead("AccessDenied"), Kind.FAILED, "AccessDenied"),
        (ValueError("secret words"), Kind.FAILED, "ValueError"),
        (VersionGone("gone"), Kind.GONE, "the version no longer exists"),
    ],
)
def test_what_cannot_be_read_says_an_error_code_and_no_more(raised: Exception, kind: Kind, why: str) -> None:
    said = judged(b"pa", raised)
    assert isinstance(said, Trouble)
    assert (said.kind, said.why) == (kind, why)


def test_what_no_function_can_read_in_its_time_is_told_and_not_begun() -> None:
    said = judged(of=version("a/film", size=results.LARGEST_READ + 1))
    assert isinstance(said, Trouble)
    assert (said.kind, said.why) == (Kind.FAILED, "TooLarge")


def test_when_time_runs_out_what_was_read_is_told_all_the_same(world: World, state: StateHeader) -> None:
    written = world.plan_content(state.id)
    (request,) = world.hash_requests(written)
    times = iter([900.0] * 4)
    result = world.hash(request, time_left=lambda: next(times, TIME_TO_TELL - 1), threads=1)
    assert (result.verified + len(result.sights), result.count(Kind.FAILED)) == (2, 6)
    assert {each.why for each in result.troubles} == {"OutOfTime"}
    judgement = world.conclude(written, state.id)
    assert judgement.verdict.figures["not_read"] == 6
    assert len(world.reads_of(lambda: world.check(state, "tuesday"))) == 6


# --- verdicts, news, acknowledgements --------------------------------------------------------------


def test_people_hear_of_damage_once(world: World, state: StateHeader) -> None:
    world.rot(PACK, b"garbage")
    world.check(state)
    world.check(state, "tuesday")
    assert world.notifier.subjects == ["RWM: FAIL beta: content-damaged"]
    assert world.notifier.notices[0].attributes["level"] == "content"
    world.rot(a_pack(b"pack 1"), b"garbage")
    world.check(state, "wednesday", everything=True)
    assert len(world.notifier.subjects) == 2


def test_news_is_told_against_the_last_verdict_of_this_level_only(world: World, state: StateHeader) -> None:
    world.rot(PACK, b"garbage")
    first = world.check(state)
    other = first.verdict.model_copy(update={"level": CheckLevel.CONSISTENT, "findings": ()})
    world.verdicts.stored[other.digest] = other.model_copy(update={"judged_at": world.s3.clock.second()}).canonical()
    again = world.check(state, "tuesday")
    assert news(again.verdict, first.verdict) == ()
    assert len(world.notifier.subjects) == 1


def test_no_acknowledgement_makes_a_damaged_state_good(world: World, state: StateHeader) -> None:
    world.rot(PACK, b"garbage")
    verdict = world.check(state)
    damaged = found(verdict)[FindingId.CONTENT_DAMAGED]
    at = world.s3.clock.second()
    world.acknowledgements.append(verdict.verdict, damaged.id, damaged.evidence, "a person", at)
    assert world.check(state, "tuesday").verdict.outcome == "fail"


def test_evidence_is_bounded_and_the_words_say_how_much_there_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MOST_EVIDENCE", 2)
    for number in range(3):
        world.rot(a_pack(b"pack %d" % number), b"garbage")
    damaged = found(world.check(world.record()))[FindingId.CONTENT_DAMAGED]
    assert len(damaged.evidence) == 2
    assert damaged.what.startswith("3 object versions")


# --- memory for others -----------------------------------------------------------------------------


def test_versions_that_were_proven_can_be_asked_for_and_config_is_never_one(world: World, state: StateHeader) -> None:
    world.rot(PACK, b"garbage")
    world.check(state)
    memory = Memory(world.memory, world.ledger, FakeRecordReader(world.s3, RECORDS))
    plan_ = world.planned(world.plan_content(state.id, "tuesday", everything=True), "tuesday")
    stored = FakeRecordReader(world.s3, RECORDS)
    versions = read_batch(stored, plan_, 0)
    proven = {key for key, _ in memory.proven_among(versions, state)}
    assert proven == {*a_backup()} - {"config", PACK}
