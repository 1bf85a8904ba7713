"""`rwm hold`, `rwm release`: an approver keeps a state until it is released, and `rwm states` shows it."""

from typing import Any

import pytest

from functions.domain.keeping import DroppedState
from functions.domain.prune.lease import Lease
from functions.domain.repositories import Configuration
from functions.domain.state import StateHeader
from functions.domain.values import Digest
from functions.prune.hold import HoldFunction, HoldPorts
from functions.storage.holds import DynamoHoldLog, DynamoPruneLease
from functions.storage.ledger import DynamoLedgerReader, DynamoStateDropper
from tests.builders import at, sha256, version
from tests.cli.conftest import ALPHA
from tests.cli.deployed import NAMES, Deployed, denied, document, sentence

HELD_AT = "2026-11-21T14:46:39Z"


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    """The older of two."""
    first = deployed.record("alpha", [version("config")])
    deployed.record("alpha", [version("config"), version("keys/new", written=50)], cut=60)
    return first


@pytest.fixture(autouse=True)
def function(deployed: Deployed) -> None:
    """The deployed function, over the same tables."""
    client = deployed.aws.dynamodb
    holds = DynamoHoldLog(client, NAMES.operations, NAMES.ledger)
    ports = HoldPorts(DynamoLedgerReader(client, NAMES.ledger), holds)
    wired = HoldFunction(Configuration(repositories=(ALPHA,)), ports, lambda: at(9999))
    deployed.lambda_.answer = wired.on_request


def drop(deployed: Deployed, state: StateHeader) -> None:
    """A prune drops it."""
    client = deployed.aws.dynamodb
    lease = DynamoPruneLease(client, NAMES.operations)
    lease.take(state.repository, Lease("token", "tuesday", at(0)), lease.last(state.repository))
    mark = DroppedState(state.id, state.generation, Digest(sha256("plan")), "tuesday", at(600))
    DynamoStateDropper(client, NAMES.ledger, NAMES.operations).drop(deployed.head("alpha"), [mark])


def hold(deployed: Deployed, state: StateHeader, *more: str) -> Any:
    return deployed.rwm("hold", "alpha", state.id[:12], "--why", "evidence", *more)


def release(deployed: Deployed, state: StateHeader, *more: str, typed: str | None = None) -> Any:
    return deployed.rwm("release", "alpha", state.id[:12], *more, typed=typed)


def shown(deployed: Deployed, state: StateHeader) -> dict[str, Any]:
    found = document(deployed.rwm("states", "alpha", "--json"))["states"]
    return next(dict(each) for each in found if each["id"] == state.id)


def test_the_function_is_asked_for_exactly_the_state_that_was_chosen(deployed: Deployed, state: StateHeader) -> None:
    result = hold(deployed, state, "--json")
    assert result.exit_code == 0
    (asked,) = deployed.lambda_.asked
    assert asked["FunctionName"] == "rwm-hold"
    caller = deployed.aws.sts.get_caller_identity()["Arn"]
    assert asked["Payload"] == {
        "repository": "alpha",
        "state": state.id,
        "action": "hold",
        "why": "evidence",
        "by": caller,
    }
    assert document(result) == {
        "repository": "alpha",
        "state": state.id,
        "cut_time": "2026-11-21T12:00:00Z",
        "outcome": "held",
        "by": caller,
        "at": HELD_AT,
        "why": "evidence",
    }


def test_a_held_state_is_shown_as_such(deployed: Deployed, state: StateHeader) -> None:
    assert shown(deployed, state)["held"] is None
    hold(deployed, state)
    found = shown(deployed, state)
    assert (found["held"]["why"], found["held"]["at"]) == ("evidence", HELD_AT)
    assert "held" in found["kept"]
    assert found["kept_until"] is None
    text = deployed.rwm("state", "alpha", state.id).stdout
    assert f"since {HELD_AT}: evidence" in text
    assert "held" in deployed.rwm("states", "alpha").stdout


def test_holding_it_again_tells_of_the_first_hold(deployed: Deployed, state: StateHeader) -> None:
    hold(deployed, state)
    result = deployed.rwm("hold", "alpha", state.id, "--why", "another")
    assert result.exit_code == 0
    assert (
        f"is held already, by arn:aws:sts::123456789012:user/moto since {HELD_AT}: evidence; nothing was changed"
        in (result.stdout)
    )


def test_a_reason_is_needed(deployed: Deployed, state: StateHeader) -> None:
    assert deployed.rwm("hold", "alpha", state.id).exit_code == 2
    result = deployed.rwm("hold", "alpha", state.id, "--why", " ")
    assert result.exit_code == 2
    assert "--why is empty; nothing was held" in sentence(result)
    assert deployed.lambda_.asked == []


def test_a_held_state_is_released_once_somebody_says_yes(deployed: Deployed, state: StateHeader) -> None:
    hold(deployed, state)
    refused = release(deployed, state, typed="n\n")
    assert refused.exit_code == 2
    assert f"state {state.id[:12]} of alpha (2026-11-21T12:00:00Z) is held by arn:" in refused.stderr
    assert "nothing was released, as you wish" in sentence(refused)
    result = release(deployed, state, typed="y\n")
    assert result.exit_code == 0
    assert "is released; it was held by arn:" in result.stdout
    assert shown(deployed, state)["held"] is None


def test_nobody_to_ask_is_a_refusal(deployed: Deployed, state: StateHeader) -> None:
    hold(deployed, state)
    assert "--json cannot ask; nothing was released; pass --yes" in sentence(release(deployed, state, "--json"))
    assert document(release(deployed, state, "--json", "--yes"))["outcome"] == "released"


def test_what_is_not_held_needs_no_release(deployed: Deployed, state: StateHeader) -> None:
    result = release(deployed, state)
    assert result.exit_code == 0
    assert "is not held; nothing was changed" in result.stdout
    assert document(release(deployed, state, "--json"))["outcome"] == "not-held"
    assert deployed.lambda_.asked == []


def test_a_dropped_state_cannot_be_held(deployed: Deployed, state: StateHeader) -> None:
    drop(deployed, state)
    result = hold(deployed, state)
    assert result.exit_code == 2
    assert (
        f"state {state.id} was dropped by prune tuesday at 2026-11-21T12:10:00Z, and its versions may be gone; nothing "
        "was held or released"
    ) in sentence(result)


def test_a_dropped_state_is_shown_as_such(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state)
    drop(deployed, state)
    found = shown(deployed, state)
    assert found["dropped"] == {"prune": "tuesday", "plan": sha256("plan"), "at": "2026-11-21T12:10:00Z"}
    assert (found["kept"], found["kept_until"]) == ([], None)
    assert "dropped 2026-11-21T12:10:00Z" in deployed.rwm("states", "alpha").stdout
    text = deployed.rwm("state", "alpha", state.id).stdout
    assert "dropped 2026-11-21T12:10:00Z by prune tuesday; its versions may be gone" in text
    assert document(deployed.rwm("states", "alpha", "--json"))["last_good"] is None


def test_an_operator_is_told_that_only_an_approver_may(deployed: Deployed, state: StateHeader) -> None:
    deployed.lambda_.answer = denied("Invoke")
    result = hold(deployed, state)
    assert result.exit_code == 2
    assert "nothing was held. Only an approver may: set AWS_PROFILE to a profile that assumes rwm-approver" in sentence(
        result
    )


def test_an_unknown_state_is_refused(deployed: Deployed, state: StateHeader) -> None:
    result = deployed.rwm("hold", "alpha", "0000", "--why", "evidence")
    assert result.exit_code == 2
    assert "alpha has no state 0000" in sentence(result)
    assert deployed.lambda_.asked == []


def test_an_answer_that_cannot_be_read_or_is_of_another_state_is_a_failure(
    deployed: Deployed, state: StateHeader
) -> None:
    deployed.lambda_.answer = {"outcome": "perhaps"}
    unread = hold(deployed, state)
    assert (unread.exit_code, "gave an answer this version of RWM cannot read" in sentence(unread)) == (1, True)
    deployed.lambda_.answer = {"outcome": "held", "state": "0" * 64}
    other = hold(deployed, state)
    assert (other.exit_code, "the function answered of state 000000000000" in sentence(other)) == (1, True)


def test_a_reason_cannot_speak_to_the_terminal(deployed: Deployed, state: StateHeader) -> None:
    deployed.rwm("hold", "alpha", state.id, "--why", "\x1b[2Jall is well")
    for command in (("state", "alpha", state.id), ("release", "alpha", state.id, "--yes")):
        result = deployed.rwm(*command)
        assert r"\x1b[2Jall is well" in result.stdout
        assert "\x1b" not in result.stdout
