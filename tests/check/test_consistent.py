"""A state and its bucket, judged with the entries of all kept states."""

import json
from datetime import timedelta
from typing import Any

import pytest

from functions.check.consistent import ConsistentFunction
from functions.domain.checking import CheckRefused
from functions.domain.content.sets import VerifiedSet
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import read_state
from functions.domain.ports import NotTold
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, Severity, VersionId
from functions.domain.verdict import CheckLevel
from tests.builders import named, pack, sha256
from tests.check.consistent_world import Check
from tests.fakes.faults import CallLog, Crash, FailOnce, KillAt, Moment
from tests.fakes.s3_model import Attributes
from tests.record.lived import DAY, KEY, Upload, back_up, current, lived, write
from tests.record.world import ALPHA, BUCKET, World


@pytest.fixture
def world() -> World:
    """Ten good days; the same backup twice on the last, so that two states share their chunks."""
    world = lived(10)
    world.event()
    world.clock.advance(timedelta(hours=1))
    assert [header.kind for header in world.headers()[:2]] == ["same", "delta"]
    return world


@pytest.fixture
def check(world: World) -> Check:
    return Check(world)


def destroy(world: World, key: str) -> str:
    """All versions of a key, as break-glass or S3 itself could."""
    version_ids = [each.version.version_id for each in world.s3.everything(BUCKET) if each.version.key == key]
    for version_id in version_ids:
        world.s3.delete_version(BUCKET, key, version_id)
    return version_ids[0]


# --- which state -------------------------------------------------------------------------------------------


def test_the_newest_state_passes_and_its_verdict_is_kept(check: Check) -> None:
    header = check.world.headers()[0]
    verdict = check.run().verdict
    assert (verdict.state, verdict.outcome, verdict.by) == (header.id, "pass", "execution")
    assert (verdict.level, verdict.judged_at) == (CheckLevel.CONSISTENT, check.world.clock.second())
    assert verdict.figures == {"objects": header.objects, "bytes": header.bytes, "states": 11}
    assert next(check.world.verdicts.verdicts(ALPHA)) == verdict


def test_an_older_state_is_judged_as_of_its_cut(check: Check) -> None:
    world = check.world
    old = world.headers()[4]
    write(world, "ransom.txt")
    world.clock.advance(120)
    world.event()
    assert check.found() == {"alien-key"}
    assert check.found(old.id) == set()
    assert next(each for each in world.verdicts.verdicts(ALPHA) if each.state == old.id).by == "execution"


def test_what_was_recorded_later_is_no_baseline_of_an_older_state() -> None:
    world = World.with_settings(min_interval="1m")
    write(world, "config")
    write(world, KEY)
    world.clock.advance(60)
    world.event()
    first = world.headers()[0]
    back_up(world, "the first")
    world.event()
    judged = Check(world).run(first.id)
    assert [(each.id, each.severity) for each in judged.findings] == [("empty-repository", Severity.NOTE)]


def test_a_state_that_is_not_there_is_refused_and_nothing_is_judged(check: Check) -> None:
    before = len(check.world.verdicts.stored)
    with pytest.raises(CheckRefused, match=r"has no state .*; nothing was judged"):
        check.run(sha256("no state"))
    with pytest.raises(CheckRefused, match=r"no recorded state yet.*; nothing was judged"):
        Check(World()).run()
    assert len(check.world.verdicts.stored) == before


def test_it_changes_nothing_but_the_operations_table(check: Check) -> None:
    log = CallLog()
    check.world.watch(log)
    check.run()
    assert set(log.count()) == {
        "GetHead",
        "QueryDrops",
        "QueryHeaders",
        "GetHeader",
        "GetChunk",
        "ListObjectVersions",
        "QueryAcknowledgements",
        "QueryApprovals",
        "GetBucketVersioning",
        "QueryVerdicts",
        "PutVerdict",
    }


def test_each_set_of_chunks_is_read_once(check: Check) -> None:
    log = CallLog()
    check.world.watch(log)
    check.run()
    parts = {header.chunks for header in check.world.headers()}
    assert len(parts) == 10, "eleven states, and the last has the chunks of the one before"
    assert {header.kind for header in check.world.headers()} == {"base", "delta", "same"}
    assert log.count()["GetChunk"] == sum(each.count for each in parts)


# --- what only it sees -------------------------------------------------------------------------------------


def test_a_version_that_a_kept_state_names_is_gone(check: Check) -> None:
    key = current(check.world, "data/")[3]
    version_id = destroy(check.world, key)
    (finding,) = [each for each in check.run().findings if each.id == "pinned-version-gone"]
    assert [(each.key, each.version_ids) for each in finding.evidence] == [(key, (version_id,))]


def test_a_version_that_only_an_old_state_names_is_gone(check: Check) -> None:
    world = check.world
    key = named("snapshots", "day 9")
    world.hide(key)
    world.clock.advance(120)
    world.event()
    assert key not in world.newest()
    destroy(world, key)
    assert "pinned-version-gone" in check.found()


def test_an_upload_that_began_weeks_ago_and_ends_today_lies_beneath_states_that_do_not_name_it() -> None:
    world = World.with_settings(allow_multipart=True)
    back_up(world, "before all")
    upload = Upload(world, pack("in parts"))
    write(world, "config")
    write(world, KEY)
    for day in range(5):
        back_up(world, f"day {day}")
        world.event()
        world.clock.advance(DAY)
    check = Check(world)
    assert check.found() == set()
    upload.complete()
    assert check.found() == {"backdated-version"}
    back_up(world, "the next")
    world.event()
    assert pack("in parts") in world.newest()
    assert check.found() == {"backdated-version"}, "a state that names it now does not make it older"
    world.acknowledge()
    assert check.found() == set()


def test_an_upload_that_takes_its_time_while_a_state_is_recorded_is_no_attack() -> None:
    """allow_multipart: a tool of theirs uploads so."""
    world = lived(5, allow_multipart=True)
    upload = Upload(world, pack("in parts"))
    world.clock.advance(30)
    world.event()
    world.clock.advance(timedelta(minutes=20))
    upload.complete()
    assert Check(world).found() == set()


def test_a_damaged_state_is_a_finding_of_its_own_and_the_others_are_judged(check: Check) -> None:
    world = check.world
    damaged = next(header for header in world.headers()[4:] if header.kind == "base")
    lie_on_it = [header for header in world.headers() if header.base == damaged.chunks]
    world.ledger.chunks[damaged.chunks.attempt, 0] = b"junk"
    destroy(world, current(world, "data/")[0])
    findings = {each.id: each for each in check.run().findings}
    assert set(findings) == {"state-damaged", "pinned-version-gone"}
    assert findings["state-damaged"].severity is Severity.FAIL
    assert {each.key for each in findings["state-damaged"].evidence} == {f"state {each.id}" for each in lie_on_it}
    assert len(lie_on_it) < len(world.headers())


def test_a_damaged_delta_costs_what_lies_on_it_and_nothing_before(check: Check) -> None:
    world = check.world
    damaged = next(header for header in world.headers()[1:] if header.kind == "delta" and header.links == 1)
    world.ledger.chunks.pop((damaged.chunks.attempt, 0))
    (finding,) = check.run().findings
    lie_on_it = [header for header in world.headers() if header.base == damaged.base and header.links]
    assert len(lie_on_it) > 1
    assert {each.key for each in finding.evidence} == {f"state {each.id}" for each in lie_on_it}


def test_of_a_damaged_set_of_chunks_every_state_is_named(check: Check) -> None:
    world = check.world
    same, base = world.headers()[:2]
    world.ledger.chunks.pop((base.chunks.attempt, 0))
    (finding,) = check.run().findings
    assert {each.key for each in finding.evidence} == {f"state {same.id}", f"state {base.id}"}


def test_another_damaged_state_is_news_and_one_that_was_given_up_is_silent(check: Check) -> None:
    world = check.world
    one, other = world.headers()[4], world.headers()[7]
    world.ledger.chunks.pop((one.chunks.attempt, 0))
    check.run()
    world.acknowledge()
    assert check.found() == set()
    world.ledger.chunks.pop((other.chunks.attempt, 0))
    assert check.found() == {"state-damaged"}
    assert len(world.notifier.notices) == 2


def test_a_key_file_that_was_added_is_found_even_when_the_state_it_is_compared_with_is_damaged(check: Check) -> None:
    world = check.world
    world.ledger.chunks.pop((world.headers()[-1].chunks.attempt, 0))
    write(world, named("keys", "mine"))
    world.clock.advance(120)
    world.event()
    assert check.found() == {"state-damaged", "key-file-added"}


def exchange(world: World, place: int, header: StateHeader) -> None:
    generation = world.headers()[place].generation
    world.ledger.stored_headers[ALPHA, generation] = (header.id, header.canonical())


def test_a_header_that_is_not_the_one_its_child_names_is_found(check: Check) -> None:
    world = check.world
    true = world.headers()[5]
    exchange(world, 5, true.model_copy(update={"busy": True}))
    (finding,) = check.run().findings
    assert (finding.id, [each.key for each in finding.evidence]) == ("state-damaged", [f"state {true.id}"])


def test_a_header_that_is_missing_or_cannot_be_read_is_found(check: Check) -> None:
    world = check.world
    true = world.headers()[5]
    stored = world.ledger.stored_headers.pop((ALPHA, true.generation))
    assert [each.key for each in check.run().findings[0].evidence] == [f"state {true.id}"]
    world.ledger.stored_headers[ALPHA, true.generation] = (stored[0], b"junk")
    assert [each.key for each in check.run().findings[0].evidence] == [f"state {true.id}"]


def test_a_chain_that_was_cut_short_is_found(check: Check) -> None:
    world = check.world
    newest = world.headers()[0]
    del world.ledger.stored_headers[ALPHA, newest.generation]
    (finding,) = check.run().findings
    assert [each.key for each in finding.evidence] == [f"state {newest.id}"]


def test_a_ledger_whose_newest_header_cannot_be_read_is_refused(check: Check) -> None:
    world = check.world
    place = (ALPHA, world.headers()[0].generation)
    world.ledger.stored_headers[place] = (world.ledger.stored_headers[place][0], b"junk")
    with pytest.raises(CheckRefused, match="nothing was judged"):
        check.run()


def drop(world: World, header: StateHeader) -> None:
    world.ledger.mark_dropped(header, world.clock.now(), "tuesday")


def test_a_dropped_state_that_is_asked_for_is_refused(check: Check) -> None:
    world = check.world
    dropped = world.headers()[-1]
    drop(world, dropped)
    stored = len(world.verdicts.stored)
    with pytest.raises(
        CheckRefused, match=rf"state {dropped.id} was dropped by prune tuesday at .*may be gone; nothing was judged"
    ):
        check.run(dropped.id)
    assert len(world.verdicts.stored) == stored


def test_what_only_dropped_states_name_is_not_missed(check: Check) -> None:
    world = check.world
    hidden = current(world, "data/")[0]
    world.hide(hidden)
    world.clock.advance(DAY)
    world.event()
    older = world.headers()[1:]
    destroy(world, hidden)
    assert "pinned-version-gone" in check.found()
    for header in older:
        drop(world, header)
    judged = check.run()
    assert "pinned-version-gone" not in {each.id for each in judged.findings}
    assert judged.verdict.figures["states"] == 1


def test_no_entry_is_compared_with_a_dropped_state_and_how_much_it_had_still_counts(check: Check) -> None:
    world = check.world
    for header in world.headers()[1:]:
        drop(world, header)
    for key in current(world, "data/")[:9]:
        world.hide(key)
    world.clock.advance(DAY)
    world.event()
    assert check.found() == {"host-hid-objects", "old-data-dropped", "data-dropped"}
    drop(world, world.headers()[1])
    assert check.found() == {"host-hid-objects", "data-dropped"}


def test_the_chunks_of_a_dropped_state_may_be_gone_and_its_header_may_not(check: Check) -> None:
    world = check.world
    dropped = world.headers()[-3]
    drop(world, dropped)
    world.ledger.chunks.pop((dropped.chunks.attempt, 0))
    assert check.found() == set()
    del world.ledger.stored_headers[ALPHA, dropped.generation]
    (finding,) = check.run().findings
    assert [each.key for each in finding.evidence] == [f"state {dropped.id}"]


def test_states_that_are_dropped_while_the_bucket_is_listed_make_it_refuse(check: Check) -> None:
    """What is missing then, a prune may have taken; nobody shall be alarmed by it."""
    world = check.world
    oldest = world.headers()[-1]

    def drop_it(call: Any) -> None:
        if call.operation == "ListObjectVersions" and call.moment is Moment.BEFORE:
            drop(world, oldest)

    world.s3.hook = drop_it
    with pytest.raises(CheckRefused, match="a prune dropped states of alpha while its bucket was listed"):
        check.run()


def test_marks_that_cannot_be_read_make_it_refuse(world: World) -> None:
    class Unreadable(type(world.ledger)):  # type: ignore[misc]
        def drops(self, repository: Any) -> Any:
            raise UnreadableDocument("of a newer version")

    world.ledger.__class__ = Unreadable
    with pytest.raises(CheckRefused, match="of a newer version; nothing was judged"):
        Check(world).run()


def test_a_state_that_is_recorded_while_it_reads_is_no_damage(check: Check) -> None:
    world = check.world

    def record_another(call: Any) -> None:
        if call.operation == "QueryHeaders":
            world.watch()
            world.clock.advance(120)
            world.event()

    world.watch(record_another)
    assert check.found() == set()


# --- what is said ------------------------------------------------------------------------------------------


def test_people_hear_of_a_finding_once_whoever_finds_it_first(check: Check) -> None:
    world = check.world
    write(world, "ransom.txt")
    world.clock.advance(120)
    world.event()
    destroy(world, current(world, "data/")[0])
    for _ in range(2):
        assert check.found() == {"alien-key", "pinned-version-gone"}
        world.clock.advance(120)
        world.event()
        assert world.said() == {"alien-key", "pinned-version-gone"}
    assert world.notifier.subjects == ["RWM: HOLD alpha: alien-key", "RWM: FAIL alpha: pinned-version-gone"]


def test_news_is_told_before_the_verdict_is_appended_and_without_it_nothing_is(check: Check) -> None:
    world = check.world
    destroy(world, current(world, "data/")[0])
    before = len(world.verdicts.stored)
    world.notifier.hook = FailOnce(1, Moment.BEFORE, raising=NotTold)
    with pytest.raises(NotTold):
        check.run()
    assert len(world.verdicts.stored) == before
    check.run()
    assert world.notifier.subjects == ["RWM: FAIL alpha: pinned-version-gone"]


def poisoned() -> Check:
    check = Check(lived(3))
    destroy(check.world, current(check.world, "data/")[0])
    return check


def moments(check: Check) -> int:
    log = CallLog()
    check.world.watch(log)
    check.run()
    return len(log.calls)


@pytest.mark.parametrize("step", range(1, moments(poisoned()) + 1))
def test_killed_at_any_moment_and_run_again_people_hear_of_it_and_the_verdict_is_there(step: int) -> None:
    check = poisoned()
    check.world.watch(KillAt(step))
    with pytest.raises(Crash):
        check.run()
    check.world.watch()
    check.run()
    assert check.world.said() == {"pinned-version-gone"}
    assert set(check.world.notifier.subjects) == {"RWM: FAIL alpha: pinned-version-gone"}
    assert len(check.world.notifier.notices) <= 2


def test_an_attack_that_is_over_and_acknowledged_no_longer_blocks_and_the_same_attack_again_does(check: Check) -> None:
    world = check.world
    key = current(world, "data/")[0]
    good = world.s3.get(BUCKET, key).body

    def attack() -> None:
        write(world, key, "poison", size=1000)
        world.put(key, good)
        world.clock.advance(120)
        world.event()

    attack()
    assert check.found() == {"pack-overwritten"}
    world.acknowledge()
    assert check.found() == set()
    attack()
    assert check.found() == {"pack-overwritten"}


# --- what is no repository ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], "NOTE empty-repository"),
        (["config", named("keys", "k")], "NOTE empty-repository"),
        (["readme.txt", "photographs/cat.jpg"], "FAIL not-a-restic-repository"),
        (["config", f"key/{sha256('k')}", f"data/{sha256('d')}"], "FAIL legacy-layout"),
        (["one/config", f"two/sub/{pack('p')}"], "FAIL several-repositories-under-one-prefix"),
    ],
)
def test_what_is_no_repository_is_said_at_once_by_record_and_by_the_check(keys: list[str], expected: str) -> None:
    world = World()
    for key in keys:
        write(world, key)
    world.clock.advance(60)
    world.event()
    assert [f"{each.severity} {each.id}" for each in world.verdict().findings] == [expected]
    assert [f"{each.severity} {each.id}" for each in Check(world).run().findings] == [expected]


def test_a_second_repository_under_the_same_prefix_is_a_hold(check: Check) -> None:
    world = check.world
    for key in ("other/config", f"other/{KEY}", f"other/{pack('p')}"):
        write(world, key)
    world.clock.advance(120)
    world.event()
    assert world.said() == {"several-repositories-under-one-prefix"} == check.found()


# --- the function around it --------------------------------------------------------------------------------

REQUEST = {"repository": "alpha", "state": "", "execution": "execution"}


@pytest.fixture
def function(check: Check) -> ConsistentFunction:
    def ports(repository: Repository) -> Any:
        assert repository == check.world.repository
        return check.ports

    return ConsistentFunction(Configuration(repositories=(check.world.repository,)), ports)


def test_the_workflow_is_told_outcome_state_and_findings(function: ConsistentFunction, check: Check) -> None:
    header = check.world.headers()[0]
    passed = {"outcome": "pass", "state": header.id, "generation": 11, "findings": []}
    assert function.on_request(REQUEST) == passed
    destroy(check.world, current(check.world, "data/")[0])
    found = [{"severity": "FAIL", "id": "pinned-version-gone", "keys": 1}]
    expected = {"outcome": "fail", "state": header.id, "generation": 11, "findings": found}
    assert function.on_request({**REQUEST, "state": header.id}) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "beta"},
        {"state": "latest"},
        {"state": "abcd"},
        {"execution": ""},
        {"execution": "a/b"},
        {"x": 1},
    ],
)
def test_a_request_that_is_none_is_refused(function: ConsistentFunction, changed: dict[str, Any]) -> None:
    with pytest.raises(CheckRefused, match="nothing was judged"):
        function.on_request({**REQUEST, **changed})


def test_findings_are_counted_and_no_key_is_logged(
    function: ConsistentFunction, check: Check, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    key = current(check.world, "data/")[0]
    destroy(check.world, key)
    function.on_request(REQUEST)
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (metric["repository"], metric["ConsistentFails"], metric["ConsistentHolds"]) == ("alpha", [1.0], [0.0])
    (line,) = [vars(each) for each in caplog.records]
    assert line["findings"] == ["FAIL pinned-version-gone"]
    assert key not in str(line)


def test_the_entries_that_it_believes_are_those_that_a_restore_believes(check: Check) -> None:
    """Nothing of the check's reading is its own: what it calls whole can be restored."""
    assert check.found() == set()
    for header in check.world.headers():
        assert {version.key for version in read_state(check.world.ledger, header)} >= {ObjectKey("config"), KEY}


# --- what the checks of content have read ------------------------------------------------------------------

KMS = "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def remember(world: World, header: StateHeader, *, unread: tuple[int, ...] = ()) -> None:
    """A check of content has read all of a state, but for these batches."""
    execution, plan_version = f"of {header.generation}", VersionId("v")
    world.sets.append(
        VerifiedSet(
            repository=ALPHA,
            state=header.id,
            generation=header.generation,
            cut_time=header.cut_time,
            execution=execution,
            plan=Digest(sha256(execution)),
            plan_version=plan_version,
            unread=unread,
        )
    )


def retried_under_kms() -> tuple[World, StateHeader, StateHeader]:
    """A pack whose PUT was retried after a state had it: under KMS the same bytes have another ETag."""
    world = lived(3, kms_key=KMS)
    before = world.headers()[0]
    (retried, *_) = current(world, "data/")
    world.s3.put(BUCKET, retried, world.s3.get(BUCKET, retried).body, Attributes(kms_key_id=KMS))
    world.clock.advance(timedelta(hours=1))
    world.event()
    return world, before, world.headers()[0]


def test_under_kms_a_retried_upload_is_a_hold_until_the_contents_of_both_states_were_read() -> None:
    world, before, after = retried_under_kms()
    check = Check(world)
    remember(world, before)
    assert check.found() == {"pack-overwritten"}
    # Which versions were in the batch, only the plan says, and nobody reads plans here.
    remember(world, after, unread=(0,))
    assert check.found() == {"pack-overwritten"}
    remember(world, after)
    assert check.found() == set()
    world.clock.advance(timedelta(hours=1))
    world.event()
    newest = next(world.verdicts.verdicts(ALPHA))
    assert (newest.by, newest.outcome) == ("record", "pass")


def test_what_is_remembered_and_cannot_be_read_proves_nothing() -> None:
    world, before, after = retried_under_kms()
    remember(world, before)
    remember(world, after)
    world.sets.stored = dict.fromkeys(world.sets.stored, b"{}")
    assert Check(world).found() == {"pack-overwritten"}
    world.clock.advance(timedelta(hours=1))
    world.event()
    assert next(world.verdicts.verdicts(ALPHA)).outcome == "hold"
