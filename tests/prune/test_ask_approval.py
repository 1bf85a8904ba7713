"""A prune that needs a person waits for one: people are told what they decide on, and nothing that could decide."""

import functools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from functions.domain.ports import NotWoken
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.validity import PruneRefused
from functions.domain.prune.waking import REJECTED
from functions.domain.values import Digest
from functions.prune import ask_approval as step
from functions.prune.ask_approval import AskFunction, AskPorts
from functions.storage.plans import DynamoPlanShelf, DynamoTaskTokens
from tests.fakes.faults import CallLog, Crash, Moment, nothing
from tests.prune.plan_world import EXECUTION, TOKEN, World
from tests.prune.test_plan import HOLD
from tests.restore.world import REPOSITORY, DieAt, a_pack
from tests.tables import create_table


def a_world() -> tuple[World, ShelvedPlan]:
    """A plan that waits for a person, and a workflow that waits for the task token."""
    world = World()
    world.live()
    world.fresh(HOLD)
    planned = world.plan_prune()
    assert planned.shelved.approval == "needed"
    world.tasks.begin(TOKEN)
    return world, planned.shelved


def test_people_are_told_and_the_workflow_waits() -> None:
    world, shelved = a_world()
    assert world.ask(shelved.plan) is True
    (notice,) = world.notifier.notices
    assert notice.subject == f"RWM: HOLD beta: prune plan {shelved.plan[:12]} waits for an approver"
    assert f"  rwm approve {shelved.plan}\n" in notice.body
    assert HOLD.id in notice.body
    assert TOKEN in world.tasks.waiting


def test_the_token_is_in_no_message_no_log_and_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    world, shelved = a_world()
    answer = AskFunction(ask_ports(world)).on_request(request(shelved.plan))
    assert answer == {"repository": REPOSITORY, "plan": shelved.plan, "asked": True}
    (notice,) = world.notifier.notices
    for told in (notice.subject, notice.body, str(notice.attributes), capsys.readouterr().out, str(answer)):
        assert TOKEN not in told
    assert world.tokens.kept[REPOSITORY, shelved.plan].get_secret_value() == TOKEN


def test_no_key_leaves_the_account() -> None:
    world, shelved = a_world()
    world.ask(shelved.plan)
    assert a_pack(b"pack 0") not in world.notifier.notices[0].body


def test_what_was_approved_before_goes_on_at_once_and_nobody_is_told() -> None:
    world, shelved = a_world()
    world.decide(shelved.plan)
    assert world.ask(shelved.plan) is False
    assert world.tasks.ended == {TOKEN: {"approved": True}}
    assert world.notifier.notices == []


def test_what_was_rejected_before_ends_at_once() -> None:
    world, shelved = a_world()
    world.decide(shelved.plan, "reject")
    assert world.ask(shelved.plan) is False
    assert world.tasks.ended[TOKEN][0] == REJECTED  # type: ignore[index]


def test_somebody_who_approves_in_between_is_not_missed() -> None:
    """Whoever decides after the token is kept wakes; whoever decided before is found by the read after it."""
    for operation in ("QueryPlan", "PutToken", "QueryApproval"):
        for moment in Moment:
            world, shelved = a_world()
            world.watch(meanwhile(world, shelved, operation, moment))
            world.ask(shelved.plan)
            assert world.tasks.ended == {TOKEN: {"approved": True}}, (operation, moment)


def meanwhile(world: World, shelved: ShelvedPlan, operation: str, moment: Moment) -> Any:
    def hook(call: Any) -> None:
        if (call.operation, call.moment) == (operation, moment):
            world.watch(nothing)
            world.decide(shelved.plan)

    return hook


def test_a_workflow_that_asks_again_waits_with_its_new_token() -> None:
    world, shelved = a_world()
    world.ask(shelved.plan)
    world.tasks.time_out(TOKEN)
    world.tasks.begin("another")
    world.ask(shelved.plan, "another")
    world.decide(shelved.plan)
    assert world.tasks.ended == {"another": {"approved": True}}


@pytest.mark.parametrize("how", ["another execution", "unknown", "dry run", "nothing to do"])
def test_what_cannot_be_approved_is_not_asked(how: str) -> None:
    world, shelved = a_world()
    plan, execution = shelved.plan, EXECUTION
    if how == "another execution":
        execution = "prune-tuesday"
    elif how == "unknown":
        plan = Digest("d" * 64)
    else:
        changed = {"dry_run": True} if how == "dry run" else {"entries": 0, "markers": 0, "drops": 0}
        world.shelf.stored[REPOSITORY, plan] = shelved.model_copy(update=changed).canonical()
    with pytest.raises(PruneRefused, match="nobody was asked"):
        world.ask(plan, execution=execution)
    assert (world.tokens.kept, world.notifier.notices) == ({}, [])


# --- killed ----------------------------------------------------------------------------------------------


@functools.cache
def calls() -> int:
    world, shelved = a_world()
    log = CallLog()
    world.watch(log)
    world.ask(shelved.plan)
    return len(log.calls) // 2


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, calls() + 1))
def test_killed_at_any_call_and_run_again_people_are_told_and_their_answer_arrives(at: int, moment: Moment) -> None:
    world, shelved = a_world()
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.ask(shelved.plan)
    world.watch(nothing)
    world.tasks.begin("of the retry")
    assert world.ask(shelved.plan, "of the retry") is True
    assert 1 <= len(world.notifier.notices) <= 2
    world.decide(shelved.plan)
    assert world.tasks.ended == {"of the retry": {"approved": True}}


# --- the function ----------------------------------------------------------------------------------------


def ask_ports(world: World) -> AskPorts:
    return AskPorts(world.shelf, world.approvals, world.tokens, world.tasks, world.notifier)


def request(plan: str, /, **changes: Any) -> dict[str, Any]:
    return {"repository": REPOSITORY, "execution": EXECUTION, "plan": plan, "token": TOKEN, **changes}


@pytest.mark.parametrize(
    "wrong",
    [{"plan": "d" * 12}, {"plan": None}, {"token": ""}, {"token": "t" * 9999}, {"execution": "a/b"}, {"more": 1}],
    ids=lambda each: next(iter(each)),
)
def test_a_request_that_is_not_understood_is_refused_and_quoted_nowhere(wrong: dict[str, Any]) -> None:
    world, shelved = a_world()
    with pytest.raises(PruneRefused, match="malformed") as refusal:
        AskFunction(ask_ports(world)).on_request(request(shelved.plan, **wrong))
    assert "tttt" not in str(refusal.value)
    assert TOKEN not in str(refusal.value)
    assert world.tokens.kept == {}


class Context:
    function_name = "rwm-ask-approval"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-ask-approval"
    aws_request_id = "request"


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        for name, value in (
            ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        topic = boto3.client("sns").create_topic(Name="rwm-alerts")["TopicArn"]
        for name, value in (
            ("RWM_LEDGER", "ledger"), ("RWM_OPERATIONS", "operations"), ("RWM_RECORDS", "r"), ("RWM_ALERTS", topic),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        client = boto3.client("dynamodb")
        create_table(client, "operations")
        step._function.cache_clear()
        yield client
    step._function.cache_clear()


def test_the_handler_is_wired_to_operations_and_the_topic(operations: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, shelved = a_world()
    DynamoPlanShelf(operations, "operations").put(shelved)
    answer = step.handler(request(shelved.plan), Context())  # type: ignore[arg-type]
    assert answer["asked"] is True
    kept = DynamoTaskTokens(operations, "operations").token(REPOSITORY, shelved.plan)
    assert kept == SecretStr(TOKEN)
    assert TOKEN not in capsys.readouterr().out


def test_a_workflow_that_could_not_be_woken_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world, shelved = a_world()
    world.decide(shelved.plan)

    def throttled(*_: Any) -> None:
        raise NotWoken("Step Functions did not take the answer (ThrottlingException); nobody was woken; ask again")

    monkeypatch.setattr(world.tasks, "succeed", throttled)
    with pytest.raises(NotWoken):
        world.ask(shelved.plan)
