"""Holds, the prune lease, and marks of dropped states in DynamoDB: what excludes what, and that each read is fresh."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import DroppedState, Held, Hold
from functions.domain.ports import (
    MOST_AT_ONCE,
    HeadMoved,
    LeaseLost,
    LeaseTaken,
    NotAnswered,
    StateDropped,
    StateHeld,
    UnknownExecution,
)
from functions.domain.prune.lease import Lease
from functions.domain.state import Head
from functions.domain.values import Digest, RepositoryName, StateId
from functions.storage.holds import DynamoHoldLog, DynamoHolds, DynamoPruneLease, StepFunctionsStatus
from functions.storage.ledger import DynamoLedgerReader, DynamoStateDropper
from functions.storage.transactions import Cancelled
from tests.builders import at, sha256
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ALPHA, BETA = RepositoryName("alpha"), RepositoryName("beta")
ONE, TWO = StateId(sha256("one")), StateId(sha256("two"))
PLAN = Digest(sha256("plan"))
HOLD = Hold(ONE, "arn:somebody", at(0), "evidence for the insurance")
LEASE = Lease("token", "tuesday", at(0))
HEAD = Head(
    repository=ALPHA, generation=9, state=StateId(sha256("nine")), cut_time=at(0), recorded_at=at(3), busy=False
)


def mark(state: StateId = ONE, generation: int = 1, execution: str = "tuesday") -> DroppedState:
    return DroppedState(state, generation, PLAN, execution, at(60))


@dataclass(frozen=True, slots=True)
class Tables:
    """Ledger and operations, with the ports over them."""

    client: "DynamoDBClient"

    @property
    def holds(self) -> DynamoHoldLog:
        return DynamoHoldLog(self.client, "operations", "ledger", pause=lambda _: None)

    @property
    def lease(self) -> DynamoPruneLease:
        return DynamoPruneLease(self.client, "operations")

    @property
    def dropper(self) -> DynamoStateDropper:
        return DynamoStateDropper(self.client, "ledger", "operations", pause=lambda _: None)

    @property
    def ledger(self) -> DynamoLedgerReader:
        return DynamoLedgerReader(self.client, "ledger")

    def items(self, table: str = "operations") -> list[dict[str, Any]]:
        return [dict(item) for item in self.client.scan(TableName=table)["Items"]]

    def places(self, table: str = "operations") -> set[tuple[str, str]]:
        return {(item["pk"]["S"], item["sk"]["S"]) for item in self.items(table)}

    def put(self, table: str, pk: str, sk: str, **attributes: Any) -> None:
        self.client.put_item(TableName=table, Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})

    def just_before(self, operation: str, act: Callable[[], object]) -> None:
        """Somebody else's whole call, after this one has read and before it writes."""
        pending = [act]

        def run_once(**_: Any) -> None:
            if pending:
                pending.pop()()

        self.client.meta.events.register(f"before-call.dynamodb.{operation}", run_once)


@pytest.fixture
def tables() -> Iterator[Tables]:
    """With the head where it is, and the lease taken."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        for table in ("ledger", "operations"):
            create_table(client, table)
        made = Tables(client)
        advance(made, HEAD)
        made.lease.take(ALPHA, LEASE, None)
        yield made


def advance(tables: Tables, head: Head) -> None:
    tables.put(
        "ledger",
        head.repository,
        "head",
        document={"B": head.canonical()},
        generation={"N": str(head.generation)},
        state={"S": head.state},
    )


# --- holds -------------------------------------------------------------------------------------------------


def test_a_hold_stands_until_it_is_released_and_who_did_is_kept(tables: Tables) -> None:
    assert tables.holds.hold(ALPHA, 1, HOLD) == HOLD
    assert (tables.holds.of(ALPHA), tables.holds.held(ALPHA)) == (Held(states=frozenset({ONE})), (HOLD,))
    assert tables.holds.of(BETA) == Held()
    assert tables.holds.release(ALPHA, ONE, "arn:another", at(90)) == HOLD
    assert (tables.holds.of(ALPHA), tables.holds.held(ALPHA)) == (Held(), ())
    (released,) = [item for item in tables.items() if item["sk"]["S"].startswith("released#")]
    assert released["sk"]["S"] == f"released#{ONE}#2026-11-21T12:01:30Z#2026-11-21T12:00:00Z"
    assert (released["by"]["S"], released["released_by"]["S"]) == ("arn:somebody", "arn:another")


def test_holds_and_lease_lie_in_partitions_of_their_own(tables: Tables) -> None:
    """IAM tells partitions apart: who may append a finding must not be able to take the lease, or make up a hold."""
    tables.holds.hold(ALPHA, 1, HOLD)
    tables.holds.release(ALPHA, ONE, "arn:another", at(90))
    assert {pk for pk, _ in tables.places()} == {"hold#alpha", "prune-lease#alpha"}


def test_holding_twice_changes_nothing(tables: Tables) -> None:
    tables.holds.hold(ALPHA, 1, HOLD)
    before = tables.items()
    assert tables.holds.hold(ALPHA, 1, replace(HOLD, by="arn:another", why="another")) == HOLD
    assert tables.items() == before


def test_what_is_not_held_is_not_released(tables: Tables) -> None:
    before = tables.items()
    assert tables.holds.release(ALPHA, ONE, "arn:another", at(90)) is None
    assert tables.items() == before


def test_of_two_who_release_one_does(tables: Tables) -> None:
    tables.holds.hold(ALPHA, 1, HOLD)
    tables.just_before("TransactWriteItems", lambda: tables.holds.release(ALPHA, ONE, "arn:first", at(80)))
    assert tables.holds.release(ALPHA, ONE, "arn:second", at(90)) is None
    (released,) = [item for item in tables.items() if item["sk"]["S"].startswith("released#")]
    assert released["released_by"]["S"] == "arn:first"


def test_a_hold_that_was_released_and_put_anew_meanwhile_is_not_released(tables: Tables) -> None:
    tables.holds.hold(ALPHA, 1, HOLD)
    anew = replace(HOLD, at=at(85), why="another reason")

    def exchange() -> None:
        tables.holds.release(ALPHA, ONE, "arn:first", at(80))
        tables.holds.hold(ALPHA, 1, anew)

    tables.just_before("TransactWriteItems", exchange)
    assert tables.holds.release(ALPHA, ONE, "arn:second", at(90)) is None
    assert tables.holds.held(ALPHA) == (anew,)


def test_a_hold_that_was_released_while_another_was_asked_for_is_put(tables: Tables) -> None:
    tables.holds.hold(ALPHA, 1, HOLD)
    mine = replace(HOLD, by="arn:mine", at=at(95))
    tables.just_before("Query", lambda: tables.holds.release(ALPHA, ONE, "arn:first", at(80)))
    assert tables.holds.hold(ALPHA, 1, mine) == mine
    assert tables.holds.held(ALPHA) == (mine,)


def test_a_dropped_state_cannot_be_held(tables: Tables) -> None:
    tables.dropper.drop(HEAD, [mark()])
    with pytest.raises(StateDropped, match="was dropped by a prune; nothing was held"):
        tables.holds.hold(ALPHA, 1, HOLD)
    assert tables.holds.held(ALPHA) == ()


def test_restores_under_way_are_read(tables: Tables) -> None:
    tables.put("operations", "restoring#alpha", "wednesday", state={"S": ONE})
    assert tables.holds.of(ALPHA) == Held(restores=frozenset({"wednesday"}))
    assert tables.holds.of(BETA) == Held()


def test_a_hold_that_nobody_can_read_holds_and_is_not_shown(tables: Tables) -> None:
    tables.put("operations", "hold#alpha", f"hold#{ONE}", format={"N": "2"})
    assert tables.holds.of(ALPHA).states == {ONE}
    with pytest.raises(UnreadableDocument, match="a hold has format"):
        tables.holds.held(ALPHA)


# --- dropping ----------------------------------------------------------------------------------------------


def test_marks_are_read_back_the_newest_state_first(tables: Tables) -> None:
    tables.dropper.drop(HEAD, [mark(), mark(TWO, 2)])
    assert tables.ledger.drops(ALPHA) == (mark(TWO, 2), mark())
    assert tables.ledger.dropped(ALPHA) == {ONE, TWO}
    assert tables.ledger.dropped(BETA) == frozenset()
    assert ("dropped#alpha", "dropped#0000000002") in tables.places("ledger")


def assert_nothing_dropped(tables: Tables, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        tables.dropper.drop(HEAD, [mark(TWO, 2), mark()])
    assert tables.ledger.dropped(ALPHA) == frozenset()


def test_a_held_state_stops_all_of_its_transaction(tables: Tables) -> None:
    tables.holds.hold(ALPHA, 1, HOLD)
    assert_nothing_dropped(tables, StateHeld, f"state {ONE} is held; no state was dropped")


def test_so_does_one_that_is_held_at_the_last_moment(tables: Tables) -> None:
    tables.just_before("TransactWriteItems", lambda: tables.holds.hold(ALPHA, 1, HOLD))
    assert_nothing_dropped(tables, StateHeld, f"state {ONE} is held; no state was dropped")


def test_of_a_hold_and_a_drop_at_once_one_comes_first(tables: Tables) -> None:
    tables.just_before("TransactWriteItems", lambda: tables.dropper.drop(HEAD, [mark()]))
    with pytest.raises(StateDropped):
        tables.holds.hold(ALPHA, 1, HOLD)
    assert not tables.holds.held(ALPHA)
    assert tables.ledger.dropped(ALPHA) == {ONE}


@pytest.mark.parametrize(
    "moved",
    [{"generation": 10}, {"state": StateId(sha256("another"))}],
    ids=["to another generation", "to another state"],
)
def test_a_head_that_moved_stops_all_of_it(tables: Tables, moved: dict[str, Any]) -> None:
    advance(tables, HEAD.model_copy(update=moved))
    assert_nothing_dropped(tables, HeadMoved, "was recorded since the head was read")


@pytest.mark.parametrize(
    "lease",
    [None, replace(LEASE, execution="monday"), replace(LEASE, released=True)],
    ids=["none", "of another", "released"],
)
def test_without_the_lease_nothing_is_dropped(tables: Tables, lease: Lease | None) -> None:
    if lease is None:
        key = {"pk": {"S": "prune-lease#alpha"}, "sk": {"S": "lease"}}
        tables.client.delete_item(TableName="operations", Key=key)
    else:
        tables.lease.take(ALPHA, lease, LEASE)
    assert_nothing_dropped(tables, LeaseLost, "prune tuesday does not have the lease of alpha")


def test_a_mark_is_put_once_and_never_changed(tables: Tables) -> None:
    tables.dropper.drop(HEAD, [mark()])
    with pytest.raises(StateDropped, match=f"state {ONE} is dropped already; no state was dropped"):
        tables.dropper.drop(HEAD, [mark(TWO, 2), replace(mark(), plan=Digest(sha256("another")))])
    assert tables.ledger.drops(ALPHA) == (mark(),)


def test_as_many_states_as_may_fit_into_one_transaction(tables: Tables) -> None:
    marks = [mark(StateId(sha256(str(number))), number + 1) for number in range(MOST_AT_ONCE)]
    tables.dropper.drop(HEAD, marks)
    assert len(tables.ledger.dropped(ALPHA)) == MOST_AT_ONCE


def test_a_transaction_that_others_are_in_the_way_of_is_tried_again_and_given_up_at_last(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, calls = tables.client.transact_write_items, []

    def in_the_way(times: int) -> None:
        def transact_write_items(**request: Any) -> Any:
            calls.append(request)
            if len(calls) > times:
                return true(**request)
            reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in request["TransactItems"][1:])]
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise tables.client.exceptions.TransactionCanceledException(answer, "TransactWriteItems")

        calls.clear()
        monkeypatch.setattr(tables.client, "transact_write_items", transact_write_items)

    in_the_way(3)
    tables.dropper.drop(HEAD, [mark()])
    assert len(calls) == 4
    assert tables.ledger.dropped(ALPHA) == {ONE}
    in_the_way(99)
    with pytest.raises(Cancelled, match="TransactionConflict"):
        tables.dropper.drop(HEAD, [mark(TWO, 2)])
    with pytest.raises(Cancelled, match="TransactionConflict"):
        tables.holds.hold(ALPHA, 2, replace(HOLD, state=TWO))
    assert tables.ledger.dropped(ALPHA) == {ONE}


def test_a_mark_of_another_format_is_not_read(tables: Tables) -> None:
    tables.put("ledger", "dropped#alpha", "dropped#0000000001", format={"N": "2"})
    with pytest.raises(UnreadableDocument, match="nothing was decided"):
        tables.ledger.dropped(ALPHA)


# --- the lease ---------------------------------------------------------------------------------------------


def test_the_lease_is_whose_it_was_taken_for_until_it_is_released(tables: Tables) -> None:
    assert tables.lease.current(ALPHA) == tables.lease.last(ALPHA) == LEASE
    assert tables.lease.current(BETA) is None
    assert tables.lease.release(ALPHA, "tuesday") is True
    assert (tables.lease.current(ALPHA), tables.lease.last(ALPHA)) == (None, replace(LEASE, released=True))


def test_only_its_owner_releases_it(tables: Tables) -> None:
    assert tables.lease.release(ALPHA, "monday") is False
    assert tables.lease.release(BETA, "tuesday") is False
    assert tables.lease.current(ALPHA) == LEASE
    assert {pk for pk, _ in tables.places()} == {"prune-lease#alpha"}


@pytest.mark.parametrize(
    "seen",
    [None, replace(LEASE, token="another"), replace(LEASE, released=True)],
    ids=["nobody's", "of another token", "released"],
)
def test_a_lease_that_is_not_as_it_was_seen_is_not_taken(tables: Tables, seen: Lease | None) -> None:
    with pytest.raises(LeaseTaken, match="changed hands; nothing was written"):
        tables.lease.take(ALPHA, Lease("mine", "monday", at(9)), seen)
    assert tables.lease.current(ALPHA) == LEASE


def test_a_released_lease_is_taken_by_another(tables: Tables) -> None:
    tables.lease.release(ALPHA, "tuesday")
    mine = Lease("mine", "monday", at(9))
    tables.lease.take(ALPHA, mine, replace(LEASE, released=True))
    assert tables.lease.current(ALPHA) == mine


def test_a_lease_of_another_format_is_not_read(tables: Tables) -> None:
    tables.put("operations", "prune-lease#alpha", "lease", format={"N": "2"})
    with pytest.raises(UnreadableDocument, match="the prune lease has format"):
        tables.lease.current(ALPHA)


def test_every_read_is_strongly_consistent(tables: Tables) -> None:
    read: list[tuple[str, object]] = []

    def see(params: dict[str, Any], model: Any, **_: Any) -> None:
        read.append((model.name, params.get("ConsistentRead")))

    for operation in ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"):
        tables.client.meta.events.register(f"provide-client-params.dynamodb.{operation}", see)
    tables.holds.hold(ALPHA, 1, HOLD)
    tables.holds.hold(ALPHA, 1, HOLD)
    tables.holds.release(ALPHA, ONE, "arn:another", at(90))
    DynamoHolds(tables.client, "operations").of(ALPHA)
    tables.lease.current(ALPHA)
    tables.ledger.dropped(ALPHA)
    assert set(read) == {("Query", True)}


# --- Step Functions ----------------------------------------------------------------------------------------

WORKFLOW = "arn:aws:states:eu-central-1:123456789012:stateMachine:rwm-prune"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:rwm-prune:tuesday"
ENDED = datetime(2026, 11, 21, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("RUNNING", None),
        ("PENDING_REDRIVE", None),
        ("SUCCEEDED", ENDED),
        ("FAILED", ENDED),
        ("TIMED_OUT", ENDED),
        ("ABORTED", ENDED),
    ],
)
def test_an_execution_has_ended_only_where_step_functions_says_so(status: str, ended: datetime | None) -> None:
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    answer = {
        "executionArn": EXECUTION,
        "stateMachineArn": WORKFLOW,
        "startDate": at(0),
        "stopDate": ENDED,
        "status": status,
    }
    with Stubber(client) as stub:
        stub.add_response("describe_execution", answer, {"executionArn": EXECUTION})
        assert StepFunctionsStatus(client, WORKFLOW).ended("tuesday") == ended


def test_an_execution_that_nobody_knows_is_said_to_be_unknown_and_every_other_error_is_no_answer() -> None:
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    status = StepFunctionsStatus(client, WORKFLOW)
    with Stubber(client) as stub:
        for code in ("ExecutionDoesNotExist", "InvalidArn"):
            stub.add_client_error("describe_execution", code)
            with pytest.raises(UnknownExecution, match="knows no execution tuesday"):
                status.ended("tuesday")
        stub.add_client_error("describe_execution", "AccessDeniedException")
        with pytest.raises(NotAnswered, match=r"whether execution tuesday has ended \(AccessDeniedException\)"):
            status.ended("tuesday")
