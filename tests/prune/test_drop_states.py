"""Exactly the states of an approved, still valid plan are dropped; whatever speaks against it stops it in time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.ports import MOST_AT_ONCE
from functions.domain.prune.approval import NotApproved
from functions.domain.prune.lease import Lease
from functions.domain.prune.plan import PlanMismatch
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Configuration, Retention
from functions.domain.state import Head, StateHeader
from functions.domain.values import Severity, StateId
from functions.domain.verdict import Judged
from functions.prune import drop_states as step
from functions.prune.drop_states import DropFunction, DropStopped
from functions.prune.plan import PlannedPrune
from functions.storage.holds import DynamoPruneLease
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.plans import DynamoPlanShelf
from functions.storage.verdicts import DynamoVerdictLog
from tests.domain.judging import finding
from tests.fakes.faults import Call, CallLog, Crash, KillAt, Moment, nothing
from tests.prune.drop_world import World
from tests.prune.plan_world import EXECUTION, OLD_PACKS
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, a_pack, sha256
from tests.tables import create_table

FAIL = finding(finding_id="config-missing", severity=Severity.FAIL)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def planned(world: World) -> PlannedPrune:
    return world.planned()


def wanted(world: World, planned: PlannedPrune) -> set[StateId]:
    return set(world.stored(planned).dropped)


def stopped(world: World, planned: PlannedPrune, why: str, error: type[Exception] = DropStopped, **how: Any) -> None:
    """That no state is dropped, for this reason."""
    with pytest.raises(error, match=why):
        world.drop(planned, **how)
    assert world.dropped() == set()


# --- what is dropped -----------------------------------------------------------------------------------------


def test_the_states_of_the_plan_are_marked_and_no_other(world: World, planned: PlannedPrune) -> None:
    marked = world.drop(planned)
    assert world.dropped() == wanted(world, planned)
    assert (marked.dropped, marked.already) == (planned.shelved.drops, 0)
    (mark, *_) = world.ledger.drops(REPOSITORY)
    assert (mark.plan, mark.execution, mark.at) == (planned.shelved.plan, EXECUTION, world.now)
    header = world.ledger.header(REPOSITORY, mark.generation)
    assert header is not None
    assert header.id == mark.state


def test_headers_and_chunks_stay(world: World, planned: PlannedPrune) -> None:
    before = (dict(world.ledger.stored_headers), dict(world.ledger.chunks), dict(world.ledger.heads))
    world.drop(planned)
    assert (world.ledger.stored_headers, world.ledger.chunks, world.ledger.heads) == before


def test_run_again_it_changes_nothing(world: World, planned: PlannedPrune) -> None:
    world.drop(planned)
    before = dict(world.ledger.marks)
    world.s3.clock.advance(60)
    again = world.drop(planned)
    assert (again.dropped, again.already) == (0, planned.shelved.drops)
    assert world.ledger.marks == before


def test_a_newer_state_that_names_nothing_planned_changes_nothing(world: World, planned: PlannedPrune) -> None:
    world.back_up({"snapshots/" + sha256(b"newer"): b"newer"})
    world.days(0.2)
    world.checked()
    world.drop(planned)
    assert world.dropped() == wanted(world, planned)


def test_more_states_than_fit_into_a_transaction_are_dropped_in_several(world: World) -> None:
    planned = many(world)
    log = CallLog()
    world.dropper.hook = log
    world.drop(planned)
    assert log.count()["Drop"] == 3
    assert world.dropped() == wanted(world, planned)


def many(world: World) -> PlannedPrune:
    """A plan that drops more states than two transactions hold."""
    for _ in range(2 * MOST_AT_ONCE + 1):
        world.s3.clock.advance(3600)
        world.checked()
    for _ in range(5):
        world.days(5)
        world.checked()
    world.fresh()
    planned = world.plan_prune()
    assert planned.shelved.drops > 2 * MOST_AT_ONCE
    world.take_lease()
    return planned


# --- what stops it -------------------------------------------------------------------------------------------


def test_a_plan_that_waits_for_an_approver_drops_nothing() -> None:
    world = World(approval="always")
    planned = world.planned()
    stopped(world, planned, "waits for an approver", NotApproved)
    world.decide(planned.shelved.plan)
    world.drop(planned)
    assert world.dropped() == wanted(world, planned)


def test_a_rejected_plan_drops_nothing(world: World, planned: PlannedPrune) -> None:
    world.decide(planned.shelved.plan, "reject")
    stopped(world, planned, "was rejected by", NotApproved)


def test_only_the_plan_that_was_approved_counts() -> None:
    """He who may write plan files puts another one in the place of the approved one."""
    world = World(approval="always")
    planned = world.planned()
    world.decide(planned.shelved.plan)
    plan = world.stored(planned)
    forged = plan.model_copy(update={"dropped": (*plan.dropped, StateId("f" * 64))})
    version = world.s3.put(RECORDS, planned.shelved.file, forged.canonical()).version_id
    stopped(world, planned, "approved was", PlanMismatch, plan_version=version)
    stopped(world, planned, "not one that was put on the shelf", PlanMismatch, plan=forged.digest, plan_version=version)


def test_a_plan_of_another_execution_drops_nothing(world: World, planned: PlannedPrune) -> None:
    other = "prunes/beta/another/plan.json"
    content = world.s3.get(RECORDS, planned.shelved.file).body
    version = world.s3.put(RECORDS, other, content).version_id
    stopped(world, planned, "another repository or execution", PlanMismatch, execution="another", plan_version=version)


def test_the_plan_of_a_dry_run_drops_nothing(world: World) -> None:
    world.live()
    world.fresh()
    planned = world.plan_prune(dry_run=True)
    world.take_lease()
    stopped(world, planned, "not one that was put on the shelf to be applied", PlanMismatch)


def test_a_plan_that_cannot_be_read_drops_nothing(world: World, planned: PlannedPrune) -> None:
    version = world.s3.put(RECORDS, planned.shelved.file, b"{}").version_id
    stopped(world, planned, "nothing was dropped", plan_version=version)


def test_an_expired_plan_drops_nothing(world: World, planned: PlannedPrune) -> None:
    world.days(1)
    stopped(world, planned, "is not valid any more: the plan is good from")


@pytest.mark.parametrize("lease", [None, "another", "released"])
def test_without_the_lease_nothing_is_dropped(world: World, planned: PlannedPrune, lease: str | None) -> None:
    if lease is None:
        world.lease.leases.clear()
    elif lease == "another":
        world.take_lease("another")
    else:
        world.lease.release(REPOSITORY, EXECUTION)
    stopped(world, planned, "does not have the lease of beta; the prune stopped")


def test_a_lease_that_is_lost_at_the_last_moment_stops_it(world: World, planned: PlannedPrune) -> None:
    at_the_drop(world, lambda: world.take_lease("another"))
    stopped(world, planned, "does not have the lease")


def test_a_restore_that_is_under_way_stops_it(world: World, planned: PlannedPrune) -> None:
    world.holds.begin_restore(REPOSITORY)
    stopped(world, planned, "a restore of beta is under way; the prune stopped, and nothing was deleted")


def test_a_hold_between_plan_and_drop_stops_it(world: World, planned: PlannedPrune) -> None:
    world.hold(state(world, planned))
    stopped(world, planned, "a state was held or released since")


def test_a_hold_at_the_last_moment_stops_it_with_nothing_marked(world: World, planned: PlannedPrune) -> None:
    held = state(world, planned)
    at_the_drop(world, lambda: world.hold(held))
    stopped(world, planned, f"state {held.id} is held; no state was dropped with this call")
    assert [each.state for each in world.holds.held(REPOSITORY)] == [held.id]


def test_a_hold_between_two_transactions_stops_the_second(world: World) -> None:
    planned = many(world)
    last = max(wanted_headers(world, planned), key=lambda header: header.generation)
    at_the_drop(world, lambda: world.hold(last), number=2)
    with pytest.raises(DropStopped, match="is held"):
        world.drop(planned)
    assert len(world.dropped()) == 2 * MOST_AT_ONCE
    assert last.id not in world.dropped()


def test_a_release_between_plan_and_drop_stops_it(world: World) -> None:
    (first, *_) = world.live()
    world.hold(first)
    world.fresh()
    planned = world.plan_prune()
    world.take_lease()
    world.holds.release(REPOSITORY, first.id, "arn:somebody", world.now)
    stopped(world, planned, "a state was held or released since")


def test_another_retention_stops_it(world: World, planned: PlannedPrune) -> None:
    longer = Retention(keep_within=timedelta(days=400), days=0, weeks=0, months=0, years=0)
    world.repository = world.repository.model_copy(update={"retention": longer})
    stopped(world, planned, "retention, grace or the bucket's Object Lock were changed since")


def test_a_state_that_is_kept_again_stops_it(world: World, planned: PlannedPrune) -> None:
    """The witnesses that let the old states go turn out to be bad."""
    for header in world.ledger.headers(REPOSITORY):
        if header.id not in wanted(world, planned) and header.id != world.stored(planned).state:
            world.judge(header, finding(finding_id="growth", severity=Severity.HOLD))
    stopped(world, planned, "are kept now that the plan does not keep")


def test_a_newer_state_with_a_fail_stops_it(world: World, planned: PlannedPrune) -> None:
    world.s3.clock.advance(600)
    world.checked(FAIL)
    stopped(world, planned, "carry a FAIL")


def test_a_newer_state_that_names_what_is_planned_stops_it(world: World, planned: PlannedPrune) -> None:
    come_back(world)
    stopped(world, planned, r"newer states name \d+ version\(s\) that are planned")


def come_back(world: World) -> StateHeader:
    """The markers that hide the old packs are removed, and the repository is recorded."""
    world.s3.clock.advance(600)
    for entry in world.s3.everything(PROTECTED):
        if entry.version.key in {f"{PREFIX}/{a_pack(pack)}" for pack in OLD_PACKS} and entry.version.is_delete_marker:
            world.s3.delete_version(PROTECTED, entry.version.key, entry.version.version_id)
    return world.checked()


def test_a_state_that_is_recorded_in_between_is_judged_before_anything_is_dropped(
    world: World, planned: PlannedPrune
) -> None:
    at_the_drop(world, lambda: come_back(world))
    stopped(world, planned, r"newer states name \d+ version\(s\) that are planned")


def test_so_is_one_that_is_recorded_while_the_others_are_judged(world: World, planned: PlannedPrune) -> None:
    pending = [lambda: come_back(world)]

    def record(call: Call) -> None:
        if call.operation == "QueryVerdicts" and call.moment is Moment.AFTER and pending:
            pending.pop()()

    world.verdicts.hook = record
    stopped(world, planned, r"newer states name \d+ version\(s\) that are planned")


def test_one_that_is_harmless_is_judged_and_the_rest_goes_on(world: World, planned: PlannedPrune) -> None:
    def record() -> None:
        world.s3.clock.advance(600)
        world.checked()

    at_the_drop(world, record)
    assert world.drop(planned).dropped == planned.shelved.drops


def test_states_without_end_stop_it(world: World, planned: PlannedPrune) -> None:
    def always(call: Call) -> None:
        if call.operation == "Drop" and call.moment is Moment.BEFORE:
            world.s3.clock.advance(60)
            world.checked()

    world.dropper.hook = always
    stopped(world, planned, "recorded faster than they can be judged")


def test_what_newer_states_name_is_proven_or_nothing_is_dropped(world: World, planned: PlannedPrune) -> None:
    world.back_up({"snapshots/" + sha256(b"newer"): b"newer"})
    world.days(0.1)
    newer = world.checked()
    world.ledger.chunks[newer.chunks.attempt, 0] = b"forged"
    stopped(world, planned, "nothing was deleted")


def test_a_broken_chain_stops_it(world: World, planned: PlannedPrune) -> None:
    del world.ledger.stored_headers[REPOSITORY, 2]
    stopped(world, planned, "the ledger was changed")


def test_a_plan_that_drops_what_the_ledger_does_not_have_stops_it(world: World, planned: PlannedPrune) -> None:
    plan = world.stored(planned)
    forged = plan.model_copy(update={"dropped": tuple(sorted((*plan.dropped, StateId("0" * 64))))})
    version = world.s3.put(RECORDS, planned.shelved.file, forged.canonical()).version_id
    shelved = planned.shelved.model_copy(update={"plan": forged.digest, "version_id": version})
    world.shelf.put(shelved)
    stopped(world, replace(planned, shelved=shelved), "which the plan drops, is not in the ledger")


# --- two at once, and killed ---------------------------------------------------------------------------------


def test_of_two_prunes_at_once_the_one_with_the_lease_drops(world: World, planned: PlannedPrune) -> None:
    world.s3.clock.advance(600)
    world.checked(by="another")
    other = world.plan_prune("another")
    with pytest.raises(DropStopped, match="another does not have the lease"):
        world.drop(other)
    world.drop(planned)
    assert {mark.execution for mark in world.ledger.marks.values()} == {EXECUTION}


def test_the_same_step_twice_at_once_drops_once(world: World, planned: PlannedPrune) -> None:
    done: list[Any] = []
    at_the_drop(world, lambda: done.append(world.drop(planned)))
    world.drop(planned)
    assert len(done) == 1
    assert len(world.ledger.marks) == planned.shelved.drops


def test_killed_at_any_call_and_run_again_the_end_is_the_same() -> None:
    def run(number: int) -> tuple[dict[Any, Any], bool]:
        world = World()
        planned = world.planned()
        at = world.now
        kill = KillAt(number)
        world.watch(kill)
        try:
            world.drop(planned)
        except Crash:
            world.watch(nothing)
            world.drop(planned)
        assert world.now == at
        return dict(world.ledger.marks), kill.dead

    whole, _ = run(10**6)
    assert whole
    for number in range(1, 200):
        marks, died = run(number)
        assert marks == whole, number
        if not died:
            break
    assert number > 20


def test_it_writes_nothing_but_marks(world: World, planned: PlannedPrune) -> None:
    log = CallLog()
    world.watch(log)
    world.drop(planned)
    assert set(log.count()) == {
        "Drop",
        "GetBucketVersioning",
        "GetHead",
        "GetObject",
        "QueryApproval",
        "QueryDrops",
        "QueryHeaders",
        "QueryHolds",
        "QueryLease",
        "QueryPlan",
        "QueryRestores",
        "QueryVerdicts",
    }
    assert log.count()["Drop"] == 1


# --- the function --------------------------------------------------------------------------------------------


def test_the_function_answers_with_counts_alone(world: World, planned: PlannedPrune) -> None:
    function = DropFunction(Configuration(repositories=(world.repository,)), world.drop_ports())
    answer = function.on_request(world.request(planned).model_dump())
    assert answer == {"dropped": planned.shelved.drops, "already": 0}


@pytest.mark.parametrize("wrong", [{"repository": "gamma"}, {"plan": "abc"}, {"plan_version": ""}, {"execution": "/"}])
def test_the_function_refuses_what_it_cannot_read(world: World, planned: PlannedPrune, wrong: dict[str, str]) -> None:
    function = DropFunction(Configuration(repositories=(world.repository,)), world.drop_ports())
    with pytest.raises(PruneRefused, match=r"nothing was (dropped|deleted)"):
        function.on_request({**world.request(planned).model_dump(), **wrong})
    assert world.dropped() == set()


class Context:
    """What Lambda passes in, as far as Powertools reads it."""

    function_name = "rwm-drop-states"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-drop-states"
    aws_request_id = "request"


def test_the_handler_is_wired_to_the_deployed_tables(
    world: World, planned: PlannedPrune, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("LEDGER", "OPERATIONS", "RECORDS", "ALERTS"):
        monkeypatch.setenv(f"RWM_{name}", name.lower())
    monkeypatch.setattr(step, "read_bundled", lambda: Configuration(repositories=(world.repository,)))
    plan, shelved = world.stored(planned), planned.shelved
    with mock_aws():
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        for name in ("ledger", "operations"):
            create_table(dynamodb, name)
        s3.create_bucket(Bucket="records")
        s3.put_bucket_versioning(Bucket="records", VersioningConfiguration={"Status": "Enabled"})
        version = s3.put_object(Bucket="records", Key=shelved.file, Body=plan.canonical())["VersionId"]
        step._function.cache_clear()
        request: Any = world.request(planned, plan_version=version).model_dump()
        # Not shelved, then without the lease, then with a clock that is far beyond the plan's validity.
        with pytest.raises(PlanMismatch, match="on the shelf"):
            step.handler(request, Context())  # type: ignore[arg-type]
        DynamoPlanShelf(dynamodb, "operations").put(shelved.model_copy(update={"version_id": version}))
        with pytest.raises(DropStopped, match="does not have the lease"):
            step.handler(request, Context())  # type: ignore[arg-type]
        lease = Lease("token", EXECUTION, world.now)
        DynamoPruneLease(dynamodb, "operations").take(REPOSITORY, lease, None)
        store(dynamodb, world)
        with pytest.raises(DropStopped, match="the plan is good from"):
            step.handler(request, Context())  # type: ignore[arg-type]
        function = step._function()
        at_that_time = DropFunction(function.configuration, replace(function.ports, now=lambda: world.now))
        assert at_that_time.on_request(request) == {"dropped": len(plan.dropped), "already": 0}
        assert DynamoLedgerReader(dynamodb, "ledger").dropped(REPOSITORY) == set(plan.dropped)
        step._function.cache_clear()
    assert not any(state in capsys.readouterr().out for state in plan.dropped)


def store(dynamodb: Any, world: World) -> None:
    """The ledger and the verdicts of `world`, as they would be deployed."""
    for header in world.ledger.headers(REPOSITORY):
        item = {
            "pk": {"S": REPOSITORY},
            "sk": {"S": f"state#{header.generation:010d}"},
            "document": {"B": header.canonical()},
            "id": {"S": header.id},
        }
        dynamodb.put_item(TableName="ledger", Item=item)
    head = Head.of(next(world.ledger.headers(REPOSITORY)))
    item = {
        "pk": {"S": REPOSITORY},
        "sk": {"S": "head"},
        "document": {"B": head.canonical()},
        "generation": {"N": str(head.generation)},
        "state": {"S": head.state},
    }
    dynamodb.put_item(TableName="ledger", Item=item)
    log = DynamoVerdictLog(dynamodb, "operations")
    for verdict in world.verdicts.verdicts(REPOSITORY):
        log.append(Judged(verdict, ()))


def at_the_drop(world: World, act: Callable[[], object], *, number: int = 0) -> None:
    """Somebody acts just before the transaction of that number is written."""
    seen: list[int] = []

    def hook(call: Call) -> None:
        if call.operation == "Drop" and call.moment is Moment.BEFORE:
            seen.append(call.number)
            if len(seen) == number + 1:
                act()

    world.dropper.hook = hook


def wanted_headers(world: World, planned: PlannedPrune) -> list[StateHeader]:
    return [each for each in world.ledger.headers(REPOSITORY) if each.id in wanted(world, planned)]


def state(world: World, planned: PlannedPrune) -> StateHeader:
    """One that the plan drops."""
    return wanted_headers(world, planned)[0]
