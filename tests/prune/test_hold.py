"""An approver's hold keeps a state until it is released, and nobody promises what is dropped already."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.keeping import DroppedState, Held
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import StateHeader
from functions.domain.values import Digest
from functions.prune import hold as step
from functions.prune.hold import HoldFunction, HoldPorts
from functions.storage.holds import DynamoHolds
from tests.builders import at, sha256
from tests.domain.judging import ALPHA, header
from tests.fakes.faults import Call, CallLog, Crash, KillAt, Moment, nothing
from tests.fakes.holds import FakeHolds
from tests.fakes.ledger import FakeLedger
from tests.tables import create_table

APPROVER = "arn:aws:sts::123456789012:assumed-role/rwm-approver/somebody"
CONFIGURATION = Configuration(repositories=(Repository(name="alpha", bucket="alpha-bucket"),))


class World:
    """Two states of alpha, and the function that holds them."""

    def __init__(self) -> None:
        self.ledger = FakeLedger()
        self.first = self._recorded(header())
        self.second = self._recorded(header(self.first, cut=60))
        self.holds = FakeHolds(self.ledger)
        self.seconds = 100.0
        self.function = HoldFunction(CONFIGURATION, HoldPorts(self.ledger, self.holds), lambda: at(self.seconds))

    def _recorded(self, state: StateHeader) -> StateHeader:
        self.ledger.stored_headers[ALPHA, state.generation] = (state.id, state.canonical())
        return state

    def drop(self, state: StateHeader) -> None:
        plan = Digest(sha256("plan"))
        self.ledger.marks[ALPHA, state.generation] = DroppedState(state.id, state.generation, plan, "tuesday", at(90))

    def ask(self, action: str, **changes: Any) -> dict[str, Any]:
        request = {"repository": "alpha", "state": self.first.id, "action": action, "why": "audit", "by": APPROVER}
        return self.function.on_request({**request, **changes})


@pytest.fixture
def world() -> World:
    return World()


def test_a_state_is_held_and_told_by_whom_and_why(world: World) -> None:
    assert world.ask("hold") == {
        "outcome": "held",
        "repository": "alpha",
        "state": world.first.id,
        "by": APPROVER,
        "at": "2026-11-21T12:01:40Z",
        "why": "audit",
    }
    assert world.holds.of(ALPHA) == Held(states=frozenset({world.first.id}))


def test_holding_it_again_changes_nothing_and_tells_of_the_first(world: World) -> None:
    world.ask("hold")
    before = dict(world.holds.holds)
    world.seconds = 500
    again = world.ask("hold", why="another", by="arn:another")
    assert (again["outcome"], again["by"], again["why"], again["at"]) == (
        "already-held",
        APPROVER,
        "audit",
        "2026-11-21T12:01:40Z",
    )
    assert world.holds.holds == before


def test_a_held_state_is_released_and_who_did_is_kept(world: World) -> None:
    world.ask("hold")
    released = world.ask("release", why="", by="arn:another")
    assert (released["outcome"], released["by"], released["why"]) == ("released", APPROVER, "audit")
    assert world.holds.of(ALPHA) == Held()
    (kept,) = world.holds.released
    assert (kept.by, kept.hold.by) == ("arn:another", APPROVER)


def test_to_release_what_nobody_holds_says_so(world: World) -> None:
    world.ask("hold")
    answer = world.ask("release", state=world.second.id)
    assert (answer["outcome"], answer["state"]) == ("not-held", world.second.id)
    assert world.holds.of(ALPHA).states == {world.first.id}


@pytest.mark.parametrize("action", ["hold", "release"])
def test_a_dropped_state_is_refused_with_what_dropped_it(world: World, action: str) -> None:
    world.drop(world.first)
    assert world.ask(action) == {
        "outcome": "refused",
        "message": f"state {world.first.id} was dropped by prune tuesday at 2026-11-21T12:01:30Z, and its versions may "
        "be gone; nothing was held or released",
    }
    assert world.holds.holds == {}


def test_a_state_that_is_dropped_at_the_last_moment_is_not_held(world: World) -> None:
    def meanwhile(call: Call) -> None:
        if call.operation == "Hold" and call.moment is Moment.BEFORE:
            world.drop(world.first)

    world.holds.hook = meanwhile
    answer = world.ask("hold")
    assert answer["outcome"] == "refused"
    assert "was dropped by a prune; nothing was held; `rwm states alpha` lists those that are kept" in answer["message"]
    assert world.holds.holds == {}


@pytest.mark.parametrize("action", ["hold", "release"])
def test_an_unknown_state_is_refused(world: World, action: str) -> None:
    answer = world.ask(action, state="0" * 64)
    assert answer["outcome"] == "refused"
    assert f"alpha has no state {'0' * 64}; nothing was held or released" in answer["message"]


def test_a_hold_on_what_the_ledger_does_not_know_can_be_taken_away(world: World) -> None:
    """No plan can be drawn while there is one."""
    world.ask("hold")
    del world.ledger.stored_headers[ALPHA, 1]
    assert world.ask("release")["outcome"] == "released"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"why": " "}, "a hold needs a reason"),
        ({"why": "x" * 501}, "why: String should have at most 500 characters"),
        ({"state": "abcd"}, "state: String should match"),
        ({"by": ""}, "by: String should have at least 1 character"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"repository": "gamma"}, "no repository 'gamma' is deployed"),
    ],
)
def test_a_malformed_request_is_refused(world: World, wrong: dict[str, Any], said: str) -> None:
    answer = world.ask("hold", **wrong)
    assert answer["outcome"] == "refused"
    assert said in answer["message"]
    assert "nothing was held or released" in answer["message"]
    assert world.holds.holds == {}


def test_another_action_is_refused(world: World) -> None:
    answer = world.ask("drop")
    assert "action: Input should be 'hold' or 'release'); nothing was held or released" in answer["message"]


@pytest.mark.parametrize("action", ["hold", "release"])
def test_killed_at_any_call_and_asked_again_the_end_is_the_same(action: str) -> None:
    for number in range(1, 30):
        world = World()
        if action == "release":
            world.ask("hold")
        kill = KillAt(number)
        world.ledger.hook = world.holds.hook = kill
        try:
            world.ask(action)
        except Crash:
            world.ledger.hook = world.holds.hook = nothing
            assert world.ask(action)["outcome"] in ("held", "already-held", "released", "not-held")
        world.ledger.hook = world.holds.hook = nothing
        assert (world.first.id in world.holds.of(ALPHA).states) == (action == "hold")
        assert len(world.holds.released) == (action == "release")
        if not kill.dead:
            break
    assert number > 2


def test_it_writes_nothing_but_the_hold(world: World) -> None:
    log = CallLog()
    world.ledger.hook = world.holds.hook = log
    world.ask("hold")
    world.ask("release")
    assert log.count() == {"QueryHeaders": 1, "QueryDrops": 1, "Hold": 1, "Release": 1}


# --- the Lambda function -----------------------------------------------------------------------------------


class Context:
    """What Lambda passes in, as far as Powertools reads it."""

    function_name = "rwm-hold"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:rwm-hold"
    aws_request_id = "request"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Callable[[str], dict[str, Any]]]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("LEDGER", "OPERATIONS", "RECORDS", "ALERTS"):
        monkeypatch.setenv(f"RWM_{name}", name.lower())
    monkeypatch.setattr(step, "read_bundled", lambda: CONFIGURATION)
    with mock_aws():
        client = boto3.client("dynamodb")
        for table in ("ledger", "operations"):
            create_table(client, table)
        state = world.first
        place = {"pk": {"S": "alpha"}, "sk": {"S": "state#0000000001"}}
        item: Any = {**place, "document": {"B": state.canonical()}, "id": {"S": state.id}}
        client.put_item(TableName="ledger", Item=item)
        step._function.cache_clear()

        def ask(action: str) -> dict[str, Any]:
            request = {"repository": "alpha", "state": state.id, "action": action, "why": "audit", "by": APPROVER}
            answer: Any = step.handler(request, Context())  # type: ignore[arg-type]
            return dict(answer)

        yield ask
        step._function.cache_clear()


def test_the_handler_is_wired_to_the_deployed_tables(
    deployed: Callable[[str], dict[str, Any]], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployed("hold")["outcome"] == "held"
    assert DynamoHolds(boto3.client("dynamodb"), "operations").of(ALPHA).states == {world.first.id}
    assert deployed("release")["outcome"] == "released"
    assert deployed("release")["outcome"] == "not-held"
    # A reason is a person's own words.
    assert "audit" not in capsys.readouterr().out
