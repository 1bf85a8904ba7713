"""A prune is planned from what its execution checked, and names nothing that a kept state names; or not at all."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.keeping import DroppedState, Hold
from functions.domain.ledger import read_state
from functions.domain.prune.approval import ApprovalMode, approval_need, check_approved
from functions.domain.prune.draft import BATCH_ENTRIES
from functions.domain.prune.plan import Phase, states_digest
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Configuration
from functions.domain.state import StateHeader
from functions.domain.values import Digest, Finding, Severity, StateId
from functions.domain.verdict import CheckLevel, Outcome, conclude, seen
from functions.prune import plan as step
from functions.prune.plan import PlanFunction
from functions.storage.plans import DynamoPlanShelf
from functions.storage.verdicts import DynamoVerdictLog
from tests.domain.judging import finding
from tests.fakes.faults import CallLog, Crash, Moment, nothing
from tests.fakes.s3_model import VersioningStatus
from tests.prune.plan_world import EXECUTION, OLD_PACKS, World
from tests.restore.test_handlers import record
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, DieAt, a_backup, a_pack, sha256
from tests.tables import create_table

OLD = set(map(a_pack, OLD_PACKS))
HOLD = finding(finding_id="growth", severity=Severity.HOLD, what="it grew")
FAIL = finding(finding_id="config-missing", severity=Severity.FAIL)
NOTE = finding(finding_id="stale-lock", severity=Severity.NOTE)


def a_world(**settings: object) -> tuple[World, list[StateHeader]]:
    """A life, and the fresh state of the prune's execution behind it."""
    world = World(**settings)
    states = world.live()
    return world, [*states, world.fresh()]


def refused(world: World, why: str, **how: Any) -> None:
    """That there is no plan, for this reason, and nothing on the shelf."""
    with pytest.raises(PruneRefused, match=why):
        world.plan_prune(**how)
    assert world.shelf.stored == {}


def assert_nothing_was_written(world: World) -> None:
    assert world.writes_in(RECORDS) == 0
    assert world.shelf.stored == {}


# --- what is planned -------------------------------------------------------------------------------------


def test_what_only_dropped_states_name_goes_with_its_markers_and_nothing_else() -> None:
    world, states = a_world()
    planned = world.plan_prune()
    assert world.goes(planned) == world.goes(planned, Phase.MARKERS) == OLD
    shelved = planned.shelved
    assert (shelved.entries, shelved.markers, shelved.bytes) == (4, 2, sum(map(len, OLD_PACKS)))
    plan = world.stored(planned)
    assert (plan.state, plan.execution, plan.check) == (states[-1].id, EXECUTION, "pass")
    assert set(plan.dropped) | set(plan.kept) == {state.id for state in states}
    assert states[0].id in plan.dropped
    assert (shelved.drops, shelved.kept) == (len(plan.dropped), len(plan.kept))
    assert (shelved.outcome, shelved.approval, shelved.findings) == ("pass", "not-needed", ())
    check_approved(plan, "hold", None)


def test_the_shelf_says_what_the_plan_says() -> None:
    world, _ = a_world()
    planned = world.plan_prune()
    plan = world.stored(planned)
    (shelved,) = world.shelved()
    assert shelved == planned.shelved
    assert (shelved.plan, shelved.drawn_at, shelved.valid_until) == (plan.digest, plan.drawn_at, plan.valid_until)
    assert (shelved.totals, shelved.waiting, shelved.file) == (
        plan.totals, plan.waiting, f"prunes/{REPOSITORY}/{EXECUTION}/plan.json",
    )  # fmt: skip
    assert plan.drawn_at == world.now


@pytest.mark.parametrize(
    ("mode", "check", "need"),
    [
        ("always", "pass", "needed"),
        ("hold", "hold", "needed"),
        ("hold", "pass", "not-needed"),
        ("never", "hold", "not-needed"),
    ],
)
def test_a_plan_that_only_drops_states_asks_as_one_that_deletes(mode: ApprovalMode, check: Outcome, need: str) -> None:
    """What a dropped state names may go with the next prune, without a word."""
    world, _ = a_world()
    plan = world.stored(world.plan_prune())
    only_drops = plan.model_copy(update={"batches": (), "findings": (), "check": check})
    assert only_drops.dropped
    assert approval_need(only_drops, mode) == need


def test_what_is_held_is_kept_and_so_is_all_that_it_names() -> None:
    """P2, and a person's word."""
    world, states = a_world()
    world.holds.hold(REPOSITORY, 1, Hold(states[0].id, "somebody", world.now, "evidence"))
    planned = world.plan_prune()
    plan = world.stored(planned)
    assert (plan.holds, states[0].id in plan.kept) == ((states[0].id,), True)
    assert world.goes(planned) == set()
    assert planned.shelved.entries == 0
    assert planned.manifests == {}


def test_a_hold_on_a_state_that_is_gone_stops_the_plan_instead_of_being_passed_over() -> None:
    world, _ = a_world()
    world.holds.hold(REPOSITORY, 99, Hold(StateId("9" * 64), "somebody", world.now, "evidence"))
    refused(world, "held states have to be kept")


def test_what_was_marked_dropped_before_pins_nothing() -> None:
    """A prune that was stopped after it marked its states is finished by the next one."""
    world, states = a_world()
    for state in states[:4]:
        mark = DroppedState(state.id, state.generation, Digest("d" * 64), "before", world.now)
        world.ledger.marks[REPOSITORY, state.generation] = mark
    planned = world.plan_prune()
    assert world.goes(planned) == OLD
    assert planned.shelved.drops == 0
    assert not {state.id for state in states[:4]} & set(world.stored(planned).kept)


def test_nothing_that_a_kept_state_names_is_planned_whatever_was_done_to_it() -> None:
    """P2, over a life in which everything but what is long hidden was hidden, uploaded again and overwritten."""
    world = World()
    world.live()
    for key in a_backup(packs=8).keys() - OLD:
        world.hide(key)
        world.back_up({key: b"garbage"})
    world.days(9)
    world.back_up(a_backup(packs=8))
    world.fresh()
    planned = world.plan_prune()
    kept = set(world.stored(planned).kept)
    named = {
        (each.key, each.version_id)
        for header in world.ledger.headers(REPOSITORY)
        if header.id in kept
        for each in read_state(world.ledger, header)
    }
    gone = {(each.key, each.version_id) for phase in Phase for each in world.entries(planned, phase)}
    assert gone
    assert not gone & named


def test_a_state_that_was_recorded_since_is_kept_too_and_the_plan_is_of_the_one_that_was_checked() -> None:
    world, states = a_world()
    newer = world.checked()
    plan = world.stored(world.plan_prune())
    assert (plan.state, plan.generation) == (states[-1].id, states[-1].generation)
    assert newer.id in plan.kept


def test_batches_of_each_phase_are_in_its_manifest_and_pinned_by_version() -> None:
    """Overwritten files change nothing: versions are pinned, and digests are in the plan."""
    world = World()
    packs = [f"pack {number}".encode() for number in range(BATCH_ENTRIES + 5)]
    world.back_up({"config": b"the config", **{a_pack(pack): pack for pack in packs}})
    world.checked()
    world.days(1)
    world.hide(*map(a_pack, packs))
    for _ in range(8):
        world.days(4)
        world.checked()
    world.fresh()
    planned = world.plan_prune()
    for number in range(4):
        name = f"prunes/{REPOSITORY}/{EXECUTION}/batches/{number:05d}.jsonl"
        world.s3.put(RECORDS, name, b"other")
    assert world.goes(planned) == world.goes(planned, Phase.MARKERS) == set(map(a_pack, packs))
    assert [len(world.stored(planned).of_phase(phase)) for phase in Phase] == [2, 2]


# --- what needs a person ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "found", "need"),
    [
        ("hold", [], "not-needed"),
        ("hold", [NOTE], "not-needed"),
        ("hold", [HOLD], "needed"),
        ("always", [], "needed"),
        ("never", [HOLD], "not-needed"),
    ],
)
def test_when_a_plan_waits_for_a_person(mode: str, found: list[Finding], need: str) -> None:
    world = World(approval=mode)
    world.live()
    world.fresh(*found)
    shelved = world.plan_prune().shelved
    assert shelved.approval == need
    assert shelved.outcome == ("hold" if HOLD in found else "pass")
    assert [each.id for each in shelved.findings] == ([HOLD.id] if HOLD in found else [])


def test_a_hold_of_the_posture_makes_it_wait() -> None:
    world, _ = a_world()
    shelved = world.plan_prune(posture="hold").shelved
    assert (shelved.outcome, shelved.approval, shelved.posture) == ("hold", "needed", "hold")


def test_a_hold_of_a_deeper_level_makes_it_wait_and_is_told_once() -> None:
    world, states = a_world()
    world.judge(states[-1], HOLD, by=EXECUTION, level=CheckLevel.CONTENT)
    world.judge(states[-1], HOLD, by=EXECUTION, level=CheckLevel.COMPLETE)
    world.judge(states[-1], FAIL, by=EXECUTION, level=CheckLevel.COMPLETE, target="rwm-restore-here/")
    shelved = world.plan_prune().shelved
    assert (shelved.approval, [each.id for each in shelved.findings]) == ("needed", [HOLD.id])


def test_a_hold_that_a_later_verdict_took_back_is_not_told() -> None:
    world = World()
    world.live()
    header = world.fresh(HOLD)
    world.days(0.01)
    world.judge(header, by=EXECUTION)
    shelved = world.plan_prune().shelved
    assert (shelved.outcome, shelved.findings) == ("pass", ())


def test_a_plan_that_frees_more_than_usual_waits() -> None:
    world, _ = a_world(thresholds={"prune_frees": 0.2})
    shelved = world.plan_prune().shelved
    assert (shelved.approval, [each.id for each in shelved.findings]) == ("needed", ["prune-frees-much"])
    assert [each.id for each in world.stored(world.plan_prune()).findings] == ["prune-frees-much"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_what_a_plan_frees_is_measured_by_what_a_person_approved(decision: str) -> None:
    """Six packs are what there usually is, and two of the eight there once were go; once a person has approved that
    only two are left, as much is a lot."""
    world = World(thresholds={"prune_frees": 0.4})
    world.live()
    world.hide(*(a_pack(f"pack {number}".encode()) for number in range(4, 8)))
    world.fresh(HOLD, execution="the-first")
    first = world.plan_prune("the-first").shelved
    assert first.findings == (seen(HOLD),)
    world.decide(first.plan, decision)
    world.fresh()
    found = [each.id for each in world.plan_prune().shelved.findings]
    assert found == (["prune-frees-much"] if decision == "approve" else ["prune-after-unanswered"])


def test_what_a_plan_frees_is_measured_by_what_dropped_states_had_too() -> None:
    """Six packs are what there usually was, whichever states are kept of that time."""
    world = World(thresholds={"prune_frees": 0.4})
    for header in world.live():
        world.ledger.mark_dropped(header, world.now)
    world.hide(*(a_pack(f"pack {number}".encode()) for number in range(4, 8)))
    world.fresh()
    planned = world.plan_prune()
    assert world.goes(planned) == OLD
    assert planned.shelved.findings == ()


def test_a_plan_that_takes_what_is_not_restics_waits() -> None:
    world = World()
    world.back_up({"notes/of-mine.txt": b"mine"})
    world.live()
    world.hide("notes/of-mine.txt")
    for _ in range(8):
        world.days(4)
        world.checked()
    world.fresh()
    shelved = world.plan_prune().shelved
    assert (shelved.approval, [each.id for each in shelved.findings]) == ("needed", ["prune-takes-aliens"])


def test_a_dry_run_writes_the_same_plan_and_says_on_the_shelf_that_it_is_one() -> None:
    world, _ = a_world()
    planned = world.plan_prune(dry_run=True)
    assert (world.goes(planned), planned.shelved.dry_run) == (OLD, True)


# --- what is refused -------------------------------------------------------------------------------------


def test_a_fail_refuses_and_nothing_at_all_is_written() -> None:
    for mode in ("hold", "always", "never"):
        world = World(approval=mode)
        world.live()
        world.fresh(FAIL)
        refused(world, r"has a FAIL \(consistent\); nothing was planned")
        assert_nothing_was_written(world)


def test_a_posture_that_failed_refuses() -> None:
    world, _ = a_world()
    refused(world, "the posture of beta is a FAIL; nothing was planned", posture="fail")
    assert_nothing_was_written(world)


def test_a_state_that_another_execution_judged_is_no_ground() -> None:
    """Clause (c): the verdict of record, or of last week's prune, says nothing of now."""
    world = World()
    world.live()
    world.fresh(execution="prune-of-last-week")
    refused(world, "prune-monday did not judge state")
    assert_nothing_was_written(world)


def test_a_state_judged_at_another_level_only_is_no_ground() -> None:
    world, states = a_world()
    world.verdicts.stored.clear()
    world.judge(states[-1], by=EXECUTION, level=CheckLevel.CONTENT)
    refused(world, "did not judge state")


def test_a_newer_state_with_a_fail_refuses() -> None:
    world, _ = a_world()
    world.checked(FAIL)
    refused(world, "recorded since, has a FAIL")
    assert_nothing_was_written(world)


def test_a_state_that_is_no_longer_fresh_is_no_ground() -> None:
    """Recording was silenced: what was hidden since the last state was looked at by nobody."""
    world, _ = a_world()
    world.days(1.5)
    world.plan_prune()
    world.shelf.stored.clear()
    world.days(1)
    refused(world, "longer ago than max_state_age")


def test_versioning_that_is_not_on_refuses() -> None:
    world = World()
    world.s3.create_bucket("suspended")
    world.s3.put_versioning("suspended", VersioningStatus.SUSPENDED)
    world.live()
    world.fresh()
    world.s3.access.allow("plan-prune", ["s3:GetBucketVersioning"], "suspended")
    ports = world.plan_ports()
    object.__setattr__(ports.bucket, "bucket", "suspended")
    with pytest.raises(PruneRefused, match="versioning of protected is Suspended"):
        step.plan_prune(world.repository, EXECUTION, "pass", ports)
    assert_nothing_was_written(world)


def test_without_a_state_there_is_nothing_to_plan_from() -> None:
    refused(World(), "`rwm record` begins one")


def test_a_kept_state_that_is_missing_from_the_ledger_refuses() -> None:
    """Whoever can delete an item of the ledger must not make its versions go."""
    for generation in (1, 5, 9):
        world, _ = a_world()
        del world.ledger.stored_headers[REPOSITORY, generation]
        refused(world, "ledger")
        assert_nothing_was_written(world)


def test_a_header_that_was_exchanged_refuses() -> None:
    world, _ = a_world()
    stored = world.ledger.stored_headers
    (_, content) = stored[REPOSITORY, 8]
    forged = StateHeader.parse(content).model_copy(update={"parent": StateId("0" * 64)})
    stored[REPOSITORY, 8] = (forged.id, forged.canonical())
    refused(world, "does not follow the one before it")


def test_a_kept_state_that_was_given_another_ones_entries_refuses() -> None:
    """As many entries, in order, and not those that were recorded: what they leave out would go."""
    world, states = a_world()
    world.hide("index/" + sha256(b"an index"))
    world.back_up({"index/" + "a" * 64: b"another"})
    header = world.checked(by=EXECUTION)
    assert header.objects == states[-1].objects
    world.ledger.chunks[states[-1].chunks.attempt, 0] = world.ledger.chunks[header.chunks.attempt, 0]
    refused(world, "a delta removes what is not there; nothing was planned|the chunks of state .* are not those its")


def test_a_kept_state_whose_chunk_is_missing_refuses() -> None:
    world, _ = a_world()
    world.ledger.chunks.clear()
    refused(world, "chunk 0 of 1 of state .* is missing; nothing was planned")


def test_every_state_being_dropped_refuses() -> None:
    world, states = a_world()
    for state in states:
        mark = DroppedState(state.id, state.generation, Digest("d" * 64), "before", world.now)
        world.ledger.marks[REPOSITORY, state.generation] = mark
    refused(world, "every state of beta is dropped")


def test_what_happens_between_its_reads_only_adds_to_what_is_kept() -> None:
    """A state that another prune drops in between is kept by this plan; it is not passed over."""
    world, states = a_world()
    before = world.stored(world.plan_prune())
    world.shelf.stored.clear()

    def drop_meanwhile(call: Any) -> None:
        if (call.operation, call.moment) == ("QueryDrops", Moment.AFTER):
            for state in states[-3:]:
                mark = DroppedState(state.id, state.generation, Digest("d" * 64), "other", world.now)
                world.ledger.marks[REPOSITORY, state.generation] = mark

    world.watch(drop_meanwhile)
    assert states_digest(world.stored(world.plan_prune()).kept) == before.kept_digest


# --- killed ----------------------------------------------------------------------------------------------


@functools.cache
def calls() -> int:
    world, _ = a_world()
    log = CallLog()
    world.watch(log)
    world.plan_prune()
    return len(log.calls) // 2


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, calls() + 1))
def test_killed_at_any_call_nothing_is_shelved_that_is_not_whole_and_run_again_it_plans(
    at: int, moment: Moment
) -> None:
    world, _ = a_world()
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.plan_prune()
    world.watch(nothing)
    for shelved in world.shelved():
        assert world.goes_as_written(shelved) == dict.fromkeys(Phase, OLD)
    world.s3.clock.advance(60)
    planned = world.plan_prune()
    assert world.goes(planned) == world.goes(planned, Phase.MARKERS) == OLD
    assert planned.shelved in world.shelved()
    assert len(world.shelved()) <= 2


# --- the function ----------------------------------------------------------------------------------------


def on_request(world: World, **changes: Any) -> dict[str, Any]:
    configuration = Configuration(repositories=(world.repository,))
    request = {"repository": REPOSITORY, "execution": EXECUTION, "dry_run": False, "posture": "pass", **changes}
    return PlanFunction(configuration, RECORDS, lambda _: world.plan_ports()).on_request(request)


def test_the_workflow_is_answered_with_counts_and_where_the_manifests_are() -> None:
    world, _ = a_world()
    answer = json.loads(json.dumps(on_request(world)))
    (shelved,) = world.shelved()
    manifests = [answer.pop(f"{phase}_manifest") for phase in Phase]
    assert answer == {
        "plan": shelved.plan,
        "plan_version": shelved.version_id,
        "entries": 4,
        "bytes": 12,
        "markers": 2,
        "drops": 4,
        "approval": "not-needed",
        "outcome": "pass",
    }
    for phase, manifest in zip(Phase, manifests, strict=True):
        assert manifest["bucket"] == RECORDS
        assert manifest["key"] == f"prunes/{REPOSITORY}/{EXECUTION}/{phase}.json"
        assert len(json.loads(world.s3.get(RECORDS, manifest["key"], manifest["version_id"]).body)) == 1


def test_where_nothing_goes_there_is_no_manifest() -> None:
    world = World()
    world.back_up(a_backup())
    world.fresh()
    answer = on_request(world)
    assert (answer["entries"], answer["approval"]) == (0, "nothing-to-do")
    assert (answer["versions_manifest"], answer["markers_manifest"]) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "delta"},
        {"execution": "../elsewhere"},
        {"execution": ""},
        {"dry_run": "perhaps"},
        {"posture": None},
        {"posture": "unknown"},
        {"plan": "d" * 64},
    ],
)
def test_a_request_that_is_not_understood_is_refused(wrong: dict[str, Any]) -> None:
    world, _ = a_world()
    with pytest.raises(PruneRefused, match="nothing was planned"):
        on_request(world, **wrong)
    assert_nothing_was_written(world)


class Context:
    function_name = "rwm-plan-prune"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-plan-prune"
    aws_request_id = "request"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (
        ("RWM_LEDGER", "rwm-ledger"), ("RWM_OPERATIONS", "rwm-operations"),
        ("RWM_RECORDS", RECORDS), ("RWM_ALERTS", "arn"),
        ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(step, "read_bundled", lambda: Configuration(repositories=(World().repository,)))
    step._function.cache_clear()
    with mock_aws():
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(dynamodb, name)
        for bucket in (PROTECTED, RECORDS):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        for key, content in a_backup().items():
            s3.put_object(Bucket=PROTECTED, Key=f"{PREFIX}/{key}", Body=content)
        yield dynamodb
    step._function.cache_clear()


def test_the_handler_is_wired_to_bucket_tables_and_records(
    deployed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header = record(deployed)
    request = {"repository": REPOSITORY, "execution": EXECUTION, "dry_run": False, "posture": "pass"}
    with pytest.raises(PruneRefused, match="did not judge"):
        step.handler(request, Context())  # type: ignore[arg-type]
    judged = conclude(header, CheckLevel.CONSISTENT, [], [], judged_at=header.cut_time, by=EXECUTION)
    DynamoVerdictLog(deployed, "rwm-operations").append(judged)
    answer = step.handler(request, Context())  # type: ignore[arg-type]
    assert (answer["entries"], answer["approval"]) == (0, "nothing-to-do")
    shelved = DynamoPlanShelf(deployed, "rwm-operations").find(REPOSITORY, answer["plan"])
    assert shelved is not None
    assert shelved.state == header.id
    logged = capsys.readouterr().out
    assert "PlannedBytes" in logged
    assert "PrunesRefused" in logged
