"""A plan is decided on once, by its full digest and in time; and what was decided reaches the workflow that waits."""

import functools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.prune.approval import NotApproved, ShelvedPlan, check_approved
from functions.domain.prune.plan import VALID_FOR
from functions.domain.prune.waking import REJECTED
from functions.domain.repositories import Configuration
from functions.domain.values import Digest, zulu
from functions.prune import approve as step
from functions.prune.approve import ApproveFunction, DecisionRefused
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from tests.fakes.faults import CallLog, Crash, Moment, nothing
from tests.prune.plan_world import APPROVER, TOKEN, World
from tests.prune.test_plan import HOLD
from tests.restore.world import RECORDS, REPOSITORY, DieAt
from tests.tables import create_table

OTHER = APPROVER.replace("somebody", "somebody-else")


def a_world(*, asked: bool = True) -> tuple[World, ShelvedPlan]:
    """A plan that waits for a person, and unless told otherwise a workflow that asked for one."""
    world = World()
    world.live()
    world.fresh(HOLD)
    shelved = world.plan_prune().shelved
    if asked:
        world.tasks.begin(TOKEN)
        world.ask(shelved.plan)
    return world, shelved


def test_an_approval_is_written_down_with_the_full_digest_and_wakes_the_workflow() -> None:
    world, shelved = a_world()
    decided = world.decide(shelved.plan)
    assert (decided.approval.plan, decided.approval.decision) == (shelved.plan, "approved")
    assert (decided.approval.by, decided.approval.at) == (APPROVER, world.now)
    assert (decided.before, decided.woken) == (False, True)
    assert world.approvals.approvals(REPOSITORY) == (decided.approval,)
    assert world.tasks.ended == {TOKEN: {"approved": True}}


def test_a_rejection_is_written_down_and_ends_the_workflow_by_its_name() -> None:
    world, shelved = a_world()
    decided = world.decide(shelved.plan, "reject")
    assert (decided.approval.decision, decided.woken) == ("rejected", True)
    (error, cause) = world.tasks.ended[TOKEN]
    assert error == REJECTED
    assert cause == f"rejected by {APPROVER} at {zulu(world.now)}; nothing was deleted"


def test_what_was_approved_is_what_apply_asks_for_and_a_rejection_stops_it() -> None:
    for decision, mode in (("approve", "hold"), ("reject", "hold"), ("reject", "never")):
        world, _ = a_world(asked=False)
        plan = world.stored(world.plan_prune())
        with pytest.raises(NotApproved, match="waits for an approver"):
            check_approved(plan, "hold", world.approvals.decided(REPOSITORY, plan.digest))
        world.decide(plan.digest, decision)
        approval = world.approvals.decided(REPOSITORY, plan.digest)
        if decision == "approve":
            check_approved(plan, mode, approval)  # type: ignore[arg-type]
            continue
        with pytest.raises(NotApproved, match=f"was rejected by {APPROVER}; nothing was deleted"):
            check_approved(plan, mode, approval)  # type: ignore[arg-type]


def test_who_comes_second_is_told_what_was_decided_and_it_stands() -> None:
    world, shelved = a_world()
    world.decide(shelved.plan, "reject")
    with pytest.raises(DecisionRefused, match=rf"was rejected by {APPROVER} at .*, and that stands") as refusal:
        world.decide(shelved.plan, "approve", OTHER)
    assert "nothing was decided now" in str(refusal.value)
    (approval,) = world.approvals.approvals(REPOSITORY)
    assert (approval.decision, approval.by) == ("rejected", APPROVER)
    assert world.tasks.ended[TOKEN][0] == REJECTED  # type: ignore[index]


def test_who_says_the_same_again_learns_who_said_it_first() -> None:
    world, shelved = a_world()
    world.decide(shelved.plan)
    decided = world.decide(shelved.plan, by=OTHER)
    assert (decided.approval.by, decided.before, decided.woken) == (APPROVER, True, False)


def test_of_two_in_the_same_moment_one_decides() -> None:
    world, shelved = a_world()

    def at_the_same_time(call: Any) -> None:
        if (call.operation, call.moment) == ("PutApproval", Moment.BEFORE):
            world.watch(nothing)
            world.decide(shelved.plan, "reject", OTHER)

    world.watch(at_the_same_time)
    with pytest.raises(DecisionRefused, match=f"was rejected by {OTHER}"):
        world.decide(shelved.plan)
    assert world.tasks.ended[TOKEN][0] == REJECTED  # type: ignore[index]
    assert len(world.approvals.stored) == 1


def test_a_plan_that_nobody_asked_about_yet_can_be_decided_on_and_wakes_nobody() -> None:
    world, shelved = a_world(asked=False)
    assert world.decide(shelved.plan).woken is False
    assert len(world.approvals.stored) == 1


def test_a_workflow_that_ended_is_no_error() -> None:
    world, shelved = a_world()
    world.tasks.time_out(TOKEN)
    assert world.decide(shelved.plan).woken is False


def test_an_expired_plan_is_not_decided_on_by_s3s_clock() -> None:
    world, shelved = a_world()
    world.s3.clock.advance_to(shelved.valid_until - timedelta(seconds=1))
    world.decide(shelved.plan)
    world, shelved = a_world()
    world.s3.clock.advance_to(shelved.drawn_at + VALID_FOR)
    for decision in ("approve", "reject"):
        with pytest.raises(DecisionRefused, match="`rwm prune beta` draws a new one"):
            world.decide(shelved.plan, decision)
    assert world.approvals.stored == {}
    assert world.tasks.ended == {}


def test_what_was_decided_in_time_is_told_and_wakes_after_it_too() -> None:
    """Killed after the decision, the approver calls again as late as he likes; apply looks at the time itself."""
    world, shelved = a_world()
    world.watch(DieAt(4, Moment.AFTER))
    with pytest.raises(Crash):
        world.decide(shelved.plan)
    world.watch(nothing)
    assert len(world.approvals.stored) == 1
    assert world.tasks.ended == {}
    world.s3.clock.advance_to(shelved.valid_until)
    assert world.decide(shelved.plan).woken is True


def test_somebody_who_disagrees_with_a_killed_decision_wakes_by_what_stands() -> None:
    world, shelved = a_world()
    world.watch(DieAt(4, Moment.AFTER))
    with pytest.raises(Crash):
        world.decide(shelved.plan, "reject")
    world.watch(nothing)
    with pytest.raises(DecisionRefused, match="was rejected by"):
        world.decide(shelved.plan, "approve", OTHER)
    assert world.tasks.ended[TOKEN][0] == REJECTED  # type: ignore[index]


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"dry_run": True}, "is a dry run"), ({"entries": 0, "markers": 0, "drops": 0}, "deletes and drops nothing")],
    ids=["a dry run", "nothing"],
)
def test_what_will_not_be_applied_is_not_decided_on(changed: dict[str, Any], why: str) -> None:
    world, shelved = a_world()
    world.shelf.stored[REPOSITORY, shelved.plan] = shelved.model_copy(update=changed).canonical()
    with pytest.raises(DecisionRefused, match=why):
        world.decide(shelved.plan)
    assert world.approvals.stored == {}


def test_a_decision_on_one_plan_says_nothing_of_the_next() -> None:
    world, shelved = a_world()
    world.decide(shelved.plan)
    world.s3.clock.advance(60)
    again = world.stored(world.plan_prune())
    assert again.digest != shelved.plan
    assert world.approvals.decided(REPOSITORY, again.digest) is None
    with pytest.raises(NotApproved, match="the approval is of plan"):
        check_approved(again, "hold", world.approvals.decided(REPOSITORY, shelved.plan))


# --- killed ----------------------------------------------------------------------------------------------


@functools.cache
def calls() -> int:
    world, shelved = a_world()
    log = CallLog()
    world.watch(log)
    world.decide(shelved.plan)
    return len(log.calls) // 2


@pytest.mark.parametrize("decision", ["approve", "reject"])
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, calls() + 1))
def test_killed_at_any_call_and_called_again_it_is_decided_once_and_the_workflow_is_woken_once(
    at: int, moment: Moment, decision: str
) -> None:
    world, shelved = a_world()
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.decide(shelved.plan, decision)
    world.watch(nothing)
    world.s3.clock.advance(60)
    stood = world.approvals.approvals(REPOSITORY)
    assert not world.tasks.ended or stood, "nobody is woken by what is not written down"
    decided = world.decide(shelved.plan, decision)
    assert world.approvals.approvals(REPOSITORY) == (decided.approval,)
    assert stood in ((), (decided.approval,))
    assert list(world.tasks.ended) == [TOKEN]
    assert (world.tasks.ended[TOKEN] == {"approved": True}) is (decision == "approve")


# --- the function ----------------------------------------------------------------------------------------


def on_request(world: World, plan: str, /, **changes: Any) -> dict[str, Any]:
    asked = {"repository": REPOSITORY, "plan": plan, "decision": "approve", "by": APPROVER, **changes}
    return ApproveFunction(Configuration(repositories=(world.repository,)), world.approve_ports()).on_request(asked)


def test_the_approver_is_answered_and_nothing_shows_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    world, shelved = a_world()
    answer = on_request(world, shelved.plan)
    assert answer == {
        "outcome": "approved",
        "repository": REPOSITORY,
        "plan": shelved.plan,
        "by": APPROVER,
        "at": zulu(world.now),
        "before": False,
        "woken": True,
    }
    assert on_request(world, shelved.plan, by=OTHER)["before"] is True
    refused = on_request(world, shelved.plan, decision="reject")
    assert refused["outcome"] == "refused"
    assert f"was approved by {APPROVER}" in refused["message"]
    for told in (str(answer), str(refused), capsys.readouterr().out):
        assert TOKEN not in told


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"plan": "d" * 64}, "has no prune plan dddddddddddd"),
        ({"plan": "d" * 12}, "plan: String should match pattern"),
        ({"decision": "approved"}, "decision: Input should be"),
        ({"by": "two\nlines"}, "by: String should match pattern"),
        ({"by": ""}, "by: String should have at least 1 character"),
        ({"token": "t"}, "token: Extra inputs are not permitted"),
        ({"repository": "omega"}, "no repository 'omega' is deployed"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_refusal_is_an_answer_and_nothing_is_decided(changes: dict[str, Any], why: str) -> None:
    world, shelved = a_world()
    answer = on_request(world, shelved.plan, **changes)
    assert answer["outcome"] == "refused"
    assert why in answer["message"]
    assert "nothing was decided" in answer["message"]
    assert (world.approvals.stored, world.tasks.ended) == ({}, {})


@pytest.mark.parametrize("event", [None, [], "beta", {}])
def test_what_is_no_request_is_refused(event: object) -> None:
    world, _ = a_world()
    function = ApproveFunction(Configuration(repositories=(world.repository,)), world.approve_ports())
    assert function.on_request(event)["outcome"] == "refused"


class Context:
    function_name = "rwm-approve"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-approve"
    aws_request_id = "request"


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (
        ("RWM_LEDGER", "ledger"), ("RWM_OPERATIONS", "operations"), ("RWM_RECORDS", RECORDS), ("RWM_ALERTS", "arn"),
        ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(step, "read_bundled", lambda: Configuration(repositories=(World().repository,)))
    step._function.cache_clear()
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, "operations")
        boto3.client("s3").create_bucket(Bucket=RECORDS, ObjectLockEnabledForBucket=True)
        yield client
    step._function.cache_clear()


def test_the_handler_is_wired_to_operations_and_the_records_buckets_clock(operations: Any) -> None:
    _, shelved = a_world()
    DynamoPlanShelf(operations, "operations").put(shelved)
    asked = {"repository": REPOSITORY, "plan": shelved.plan, "decision": "approve", "by": APPROVER}
    answer = step.handler(asked, Context())  # type: ignore[arg-type]
    assert answer["outcome"] == "refused", "the plan of the fake's January is long expired"
    assert "draws a new one" in answer["message"]
    at = S3BucketConfiguration(boto3.client("s3"), RECORDS).now()
    good = shelved.model_copy(
        update={"plan": Digest("a" * 64), "drawn_at": at - timedelta(hours=1), "valid_until": at + timedelta(hours=1)}
    )
    DynamoPlanShelf(operations, "operations").put(good)
    answer = step.handler({**asked, "plan": good.plan}, Context())  # type: ignore[arg-type]
    assert (answer["outcome"], answer["woken"]) == ("approved", False)
    approval = DynamoApprovals(operations, "operations").decided(REPOSITORY, good.plan)
    assert approval is not None
    assert (approval.decision, approval.by) == ("approved", APPROVER)
