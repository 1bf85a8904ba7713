"""Plans, approvals and task tokens in operations: each in partitions of its own, and only tokens are replaced."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from pydantic import SecretStr

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import NobodyWaits, NotWoken
from functions.domain.prune.approval import Approval, Decision, ShelvedPlan
from functions.domain.values import Digest, RepositoryName, StateId, VersionId
from functions.domain.verdict import seen
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf, DynamoTaskTokens, StepFunctionsTasks
from tests.builders import at
from tests.domain.judging import ALPHA, HOLD
from tests.fakes.plans import FakeApprovals, FakePlanShelf, FakeTokens
from tests.tables import create_table

TABLE = "operations"
BETA = RepositoryName("beta")
PLAN, OTHER = Digest("a" * 64), Digest("b" * 64)
STATE = StateId("5" * 64)
TOKEN = SecretStr("AQB8-a-task-token")


def shelved(plan: Digest = PLAN, repository: RepositoryName = ALPHA, drawn: float = 0.0) -> ShelvedPlan:
    return ShelvedPlan(
        repository=repository,
        plan=plan,
        file="prunes/alpha/monday/plan.json",
        version_id=VersionId("v1"),
        execution="monday",
        state=STATE,
        generation=7,
        drawn_at=at(drawn),
        valid_until=at(drawn) + timedelta(days=1),
        outcome="hold",
        posture="pass",
        approval="needed",
        dry_run=False,
        entries=3,
        bytes=1000,
        markers=1,
        drops=2,
        kept=7,
        totals=(),
        waiting=(),
        flooded=0,
        findings=(seen(HOLD),),
    )


def approval(decision: Decision = "approved", by: str = "arn:somebody", plan: Digest = PLAN) -> Approval:
    return Approval(repository=ALPHA, plan=plan, state=STATE, generation=7, decision=decision, by=by, at=at(60))


class Operations:
    """The table, and somebody who can write it by hand."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(self.client, TABLE)
        self.shelf = DynamoPlanShelf(self.client, TABLE)
        self.approvals = DynamoApprovals(self.client, TABLE)
        self.tokens = DynamoTaskTokens(self.client, TABLE)

    def items(self) -> list[dict[str, Any]]:
        return self.client.scan(TableName=TABLE)["Items"]

    def move(self, begins: str, **attributes: Any) -> None:
        (item,) = [each for each in self.items() if each["pk"]["S"].startswith(begins)]
        self.client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
        self.client.put_item(TableName=TABLE, Item={**item, **attributes})


@pytest.fixture
def operations() -> Iterator[Operations]:
    with mock_aws():
        yield Operations()


def test_items_lie_where_the_module_says(operations: Operations) -> None:
    operations.shelf.put(shelved())
    operations.approvals.decide(approval())
    operations.tokens.keep(ALPHA, PLAN, TOKEN)
    assert {(item["pk"]["S"], item["sk"]["S"]) for item in operations.items()} == {
        ("plan#alpha", PLAN),
        ("approval#alpha", PLAN),
        ("plan-token#alpha", PLAN),
    }
    shown = {item["pk"]["S"]: {name for name in item if name not in ("pk", "sk")} for item in operations.items()}
    assert shown["plan#alpha"] == {"document", "outcome", "approval", "valid_until"}
    assert shown["approval#alpha"] == {"document", "decision", "by", "at"}


@pytest.fixture(params=["memory", "moto"])
def shelf(request: pytest.FixtureRequest) -> Iterator[DynamoPlanShelf | FakePlanShelf]:
    with mock_aws():
        yield FakePlanShelf() if request.param == "memory" else Operations().shelf


@pytest.fixture(params=["memory", "moto"])
def approvals(request: pytest.FixtureRequest) -> Iterator[DynamoApprovals | FakeApprovals]:
    with mock_aws():
        yield FakeApprovals() if request.param == "memory" else Operations().approvals


@pytest.fixture(params=["memory", "moto"])
def tokens(request: pytest.FixtureRequest) -> Iterator[DynamoTaskTokens | FakeTokens]:
    with mock_aws():
        yield FakeTokens() if request.param == "memory" else Operations().tokens


def test_a_plan_is_found_by_its_full_digest_in_its_repository_only(shelf: DynamoPlanShelf) -> None:
    shelf.put(shelved())
    assert shelf.find(ALPHA, PLAN) == shelved()
    assert shelf.find(ALPHA, OTHER) is None
    assert shelf.find(ALPHA, Digest(PLAN[:12])) is None
    assert shelf.find(BETA, PLAN) is None


def test_a_plan_that_lies_there_is_never_replaced(shelf: DynamoPlanShelf) -> None:
    shelf.put(shelved())
    shelf.put(shelved().model_copy(update={"valid_until": at(10**7)}))
    assert shelf.find(ALPHA, PLAN) == shelved()


def test_plans_are_listed_newest_first(shelf: DynamoPlanShelf) -> None:
    plans = [shelved(Digest(letter * 64), drawn=drawn) for letter, drawn in (("c", 5), ("a", 20), ("b", 10))]
    for plan in plans:
        shelf.put(plan)
    shelf.put(shelved(repository=BETA))
    assert [plan.plan[0] for plan in shelf.plans(ALPHA)] == ["a", "b", "c"]


def test_what_is_decided_first_stands_and_who_comes_second_is_told(approvals: DynamoApprovals) -> None:
    first = approval("rejected")
    assert approvals.decided(ALPHA, PLAN) is None
    assert approvals.decide(first) == first
    assert approvals.decide(approval("approved", "arn:another")) == first
    assert approvals.decided(ALPHA, PLAN) == first
    assert approvals.decided(ALPHA, OTHER) is None
    assert approvals.decided(BETA, PLAN) is None


def test_all_that_was_decided_is_listed_newest_first(approvals: DynamoApprovals) -> None:
    later = approval(plan=OTHER).model_copy(update={"at": at(120)})
    approvals.decide(approval())
    approvals.decide(later)
    assert approvals.approvals(ALPHA) == (later, approval())
    assert approvals.approvals(BETA) == ()


def test_the_newest_token_counts(tokens: DynamoTaskTokens) -> None:
    assert tokens.token(ALPHA, PLAN) is None
    tokens.keep(ALPHA, PLAN, TOKEN)
    tokens.keep(ALPHA, PLAN, SecretStr("of the retry"))
    assert tokens.token(ALPHA, PLAN) == SecretStr("of the retry")
    assert tokens.token(ALPHA, OTHER) is None


@pytest.mark.parametrize("to", [{"sk": {"S": OTHER}}, {"pk": {"S": "approval#beta"}}], ids=["plan", "repository"])
def test_an_approval_that_was_moved_is_not_believed(operations: Operations, to: dict[str, Any]) -> None:
    """An approval of a harmless plan must not speak for another."""
    operations.approvals.decide(approval())
    operations.move("approval#", **to)
    repository = RepositoryName(to.get("pk", {"S": "approval#alpha"})["S"].removeprefix("approval#"))
    with pytest.raises(UnreadableDocument, match="where it does not belong; it was changed by hand"):
        operations.approvals.decided(repository, to.get("sk", {"S": PLAN})["S"])
    with pytest.raises(UnreadableDocument):
        operations.approvals.approvals(repository)


def test_a_plan_that_was_moved_is_not_believed(operations: Operations) -> None:
    operations.shelf.put(shelved())
    operations.move("plan#", sk={"S": OTHER})
    with pytest.raises(UnreadableDocument, match="it was changed by hand; nothing was decided"):
        operations.shelf.find(ALPHA, OTHER)


def test_what_is_in_an_unknown_format_is_not_read(operations: Operations) -> None:
    operations.approvals.decide(approval())
    content = approval().canonical().replace(b'"format":1', b'"format":2')
    operations.move("approval#", document={"B": content})
    with pytest.raises(UnreadableDocument, match="format 2"):
        operations.approvals.decided(ALPHA, PLAN)


def test_every_read_is_strongly_consistent(operations: Operations) -> None:
    asked: list[bool] = []
    operations.client.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params["ConsistentRead"])
    )
    operations.shelf.find(ALPHA, PLAN)
    operations.shelf.plans(ALPHA)
    operations.approvals.decided(ALPHA, PLAN)
    operations.approvals.approvals(ALPHA)
    operations.tokens.token(ALPHA, PLAN)
    assert asked == [True] * 5


class States:
    """Step Functions that answers with an error, as it does: with the token in its message."""

    def __init__(self, code: str = "") -> None:
        self.code = code
        self.sent: list[dict[str, str]] = []

    def send_task_success(self, **request: str) -> None:
        self._send(request)

    def send_task_failure(self, **request: str) -> None:
        self._send(request)

    def _send(self, request: dict[str, str]) -> None:
        if self.code:
            message = f"Invalid Token: '{request['taskToken']}'"
            raise ClientError({"Error": {"Code": self.code, "Message": message}}, "SendTaskSuccess")
        self.sent.append(request)


def test_a_task_is_woken_with_json_or_fails_by_name() -> None:
    states = States()
    tasks = StepFunctionsTasks(states)  # type: ignore[arg-type]
    tasks.succeed(TOKEN, {"approved": True})
    tasks.fail(TOKEN, "PruneRejected", "c" * 40_000)
    success, failure = states.sent
    assert success == {"taskToken": TOKEN.get_secret_value(), "output": '{"approved": true}'}
    assert (failure["error"], len(failure["cause"])) == ("PruneRejected", 32_768)


@pytest.mark.parametrize(
    ("code", "raised"),
    [("TaskTimedOut", NobodyWaits), ("TaskDoesNotExist", NobodyWaits), ("InvalidToken", NotWoken), ("Other", NotWoken)],
)
def test_an_error_says_what_happened_and_nothing_of_the_token(code: str, raised: type[Exception]) -> None:
    tasks = StepFunctionsTasks(States(code))  # type: ignore[arg-type]
    calls: list[Callable[[], None]] = [lambda: tasks.succeed(TOKEN, {}), lambda: tasks.fail(TOKEN, "E", "c")]
    for call in calls:
        with pytest.raises(raised, match=code) as caught:
            call()
        assert TOKEN.get_secret_value() not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
