"""Events, from the hosts' queues to the ledger or the dead letters."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.recording import DELIVERIES
from tests.system.system import System, done, instant

pytestmark = pytest.mark.system

BAD = {
    "{not json": "the body is not JSON",
    done(snapshot="a" * 5000): "bytes and may have 4096",
    done(repository="alpha"): "names repository 'alpha' and came through the queue of 'pestered'",
    json.dumps({"event": "backup done", "repositories": ["alpha"]}): "Extra inputs are not permitted",
}


@dataclass(frozen=True, slots=True)
class Pestered:
    ids: dict[str, str]
    """Of the bad messages, by their bodies."""
    dead: dict[str, str]
    """Bodies of the dead letters, by their ids."""
    states: list[dict[str, Any]]


@pytest.fixture(scope="module")
def pestered(system: System) -> Pestered:
    """Every kind of bad message and a good one, in one batch."""
    sqs, dead_letters = system.client("sqs"), system.queue_url(system.names.dead_letters)
    ids = system.send("pestered", *BAD, done(snapshot="0123456789abcdef"))
    dead: dict[str, str] = {}

    def all_are_dead() -> bool:
        answer = sqs.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10)
        dead.update({message["MessageId"]: message["Body"] for message in answer.get("Messages", [])})
        return len(dead) >= len(BAD)

    system.eventually("the bad messages in the dead-letter queue", all_are_dead)
    states = system.eventually("a state for the good message", lambda: system.states("pestered"))
    system.eventually("an empty queue", lambda: not system.waiting("pestered"))
    return Pestered(dict(zip(BAD, ids, strict=False)), dead, states)


def test_bad_messages_and_nothing_else_reach_the_dead_letter_queue(pestered: Pestered) -> None:
    assert pestered.dead == {message: body for body, message in pestered.ids.items()}


@pytest.mark.parametrize("body", BAD, ids=["malformed", "oversized", "another repository's", "unknown field"])
def test_each_delivery_of_a_bad_message_leaves_a_log_line_that_says_why(
    system: System, pestered: Pestered, body: str
) -> None:
    lines = [line for line in system.log("rwm-record") if line.get("message_id") == pestered.ids[body]]
    assert len(lines) == DELIVERIES
    for line in lines:
        assert (line["level"], line["repository"]) == ("WARNING", "pestered")
        assert BAD[body] in line["why"]
        assert body not in json.dumps(line)


def test_a_good_message_among_bad_ones_is_answered_by_one_state(pestered: Pestered) -> None:
    (state,) = pestered.states
    assert state["cause"]["reason"] == "event"
    assert state["cause"]["snapshot"] == "0123456789abcdef"


def test_a_message_changes_nothing_of_the_repository_it_names(system: System, pestered: Pestered) -> None:
    events = [state for state in system.states("alpha") if state["cause"]["reason"] == "event"]
    assert pestered.states
    assert not events


def test_a_message_delivered_again_after_its_answer_changes_nothing(system: System, pestered: Pestered) -> None:
    state = pestered.states[0]
    # Lambda is handed a late duplicate, as an at-least-once queue may.
    late = {
        "messageId": "a-duplicate",
        "receiptHandle": "expired",
        "body": done(),
        "attributes": {
            "SentTimestamp": str(int((instant(state["cut_time"]) - timedelta(seconds=3)).timestamp() * 1000)),
            "ApproximateReceiveCount": "2",
            "SenderId": "somebody",
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:rwm-pestered",
        "awsRegion": "us-east-1",
    }
    answer = system.client("lambda").invoke(FunctionName="rwm-record", Payload=json.dumps({"Records": [late, late]}))
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    assert _recorded(system.states("pestered")) == _recorded(pestered.states)


def test_an_operator_sees_why_each_dead_letter_is_one_and_lays_them_to_rest(system: System, pestered: Pestered) -> None:
    def shown() -> list[dict[str, Any]]:
        # Whoever looked before has them for half a minute.
        messages = system.rwm("dead-letters", "pestered").document["messages"]
        return list(messages) if len(messages) == len(BAD) else []

    found = system.eventually("all dead letters at once", shown)
    assert {each["id"]: each["repository"] for each in found} == dict.fromkeys(pestered.dead, "pestered")
    for each in found:
        assert BAD[pestered.dead[each["id"]]] in each["refused"]
    states = system.states("pestered")
    # Nobody can answer them, so that there is nothing to record for them.
    assert system.rwm("dead-letters", "pestered", "--replay", "--yes").exit_code == 0
    assert _recorded(system.states("pestered")) == _recorded(states)
    assert len(shown()) == len(BAD)
    done = system.rwm("dead-letters", "pestered", "--discard", "--yes")
    assert done.exit_code == 0
    assert {each["became"] for each in done.document["messages"]} == {"discarded"}
    assert system.rwm("dead-letters", "pestered").document["messages"] == []


def _recorded(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What record wrote; a check may come to its verdict in between."""
    return [{field: said for field, said in state.items() if field not in {"checked", "good"}} for state in states]
