"""The function around `record`: a queue decides the repository, one bad message spoils no other."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.domain.events import BadEvent
from functions.domain.names import Names
from functions.domain.ports import NotTold
from functions.domain.recording import Outcome, Wish
from functions.domain.repositories import Configuration, Repository
from functions.record.answering import RecordFunction
from functions.record.record import record
from tests.builders import named
from tests.fakes.faults import FailOnce, Moment
from tests.record.world import World

ACCOUNT = "arn:aws:sqs:eu-central-1:123456789012"
DONE = json.dumps({"event": "backup done"})


@dataclass
class Delays:
    """MessageDelay that remembers."""

    asked: dict[str, int] = field(default_factory=dict)

    def delay(self, queue_arn: str, receipt_handle: str, seconds: int) -> None:
        self.asked[receipt_handle] = seconds


@dataclass
class Function:
    """The function over a world whose second repository, beta, lies under a prefix of the same bucket."""

    world: World = field(default_factory=World)
    delays: Delays = field(default_factory=Delays)
    recorded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.put("config")
        self.world.clock.advance(60)
        alpha = self.world.repository
        beta = alpha.model_copy(update={"name": "beta", "bucket": "other"})
        self.wired = RecordFunction(Configuration(repositories=(alpha, beta)), self.record, self.delays)

    def record(self, repository: Repository, wish: Wish) -> Outcome:
        self.recorded.append(repository.name)
        return record(repository, wish, self.world.ports())

    def message(self, name: str, body: str = DONE, *, queue: str = "rwm-alpha", deliveries: int = 1) -> dict[str, Any]:
        sent = int(self.world.clock.now().timestamp() * 1000)
        return {
            "messageId": name,
            "receiptHandle": f"receipt of {name}",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": str(deliveries),
                "SentTimestamp": str(sent),
                "SenderId": "AIDAEXAMPLE",
                "ApproximateFirstReceiveTimestamp": str(sent),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": f"{ACCOUNT}:{queue}",
            "awsRegion": "eu-central-1",
        }

    def deliver(self, *messages: dict[str, Any]) -> list[str]:
        """Invoke with a batch; returns the ids of the messages that stay in the queue."""
        answer = self.wired.on_messages({"Records": list(messages)}, context=None)  # type: ignore[arg-type]
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


@pytest.fixture
def function() -> Function:
    return Function()


def test_a_message_records_the_repository_of_its_queue(function: Function) -> None:
    assert function.deliver(function.message("m")) == []
    assert function.recorded == ["alpha"]
    assert len(function.world.headers()) == 1


def test_a_state_remembers_who_sent_the_event_and_which_snapshot_it_named(function: Function) -> None:
    body = json.dumps({"event": "backup done", "snapshot": "0123abcd", "outcome": "incomplete"})
    function.deliver(function.message("m", body))
    cause = function.world.headers()[0].cause
    assert (cause.reason, cause.sender, cause.snapshot, cause.outcome) == (
        "event",
        "AIDAEXAMPLE",
        "0123abcd",
        "incomplete",
    )


def test_one_recording_answers_a_whole_batch_that_was_sent_up_to_this_second(function: Function) -> None:
    early = function.message("early")
    function.world.clock.advance(2)
    late = function.message("late")
    assert function.deliver(early, late) == []
    assert len(function.world.headers()) == 1


@pytest.mark.parametrize(
    "body", ["not JSON", "{}", json.dumps({"event": "backup done", "repository": "beta"}), json.dumps("x" * 10_000)]
)
def test_a_bad_message_stays_for_the_dead_letter_queue_and_the_others_are_answered(
    function: Function, body: str
) -> None:
    assert function.deliver(function.message("bad", body), function.message("good")) == ["bad"]
    assert function.delays.asked == {"receipt of bad": 0}
    assert len(function.world.headers()) == 1


def test_a_batch_of_only_bad_messages_is_no_failure_of_the_function(function: Function) -> None:
    assert function.deliver(function.message("bad", "{"), function.message("worse", "[")) == ["bad", "worse"]
    assert function.recorded == []


def test_a_bad_message_leaves_a_log_line_that_says_why_and_does_not_repeat_it(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    function.deliver(function.message("bad", json.dumps({"event": "/home/alice/secret"})))
    (refusal,) = [vars(line) for line in caplog.records]
    assert (refusal["repository"], refusal["message_id"]) == ("alpha", "bad")
    assert 'no "backup done" event' in refusal["why"]
    assert "alice" not in str(refusal)


def test_a_body_cannot_make_record_look_at_another_repository(function: Function) -> None:
    function.deliver(function.message("forged", json.dumps({"event": "backup done", "repository": "beta"})))
    assert function.recorded == []


def test_a_message_of_a_queue_that_no_repository_has_is_given_back(function: Function) -> None:
    assert function.deliver(function.message("m", queue="rwm-gamma")) == ["m"]
    assert function.recorded == []


def test_an_event_that_must_wait_is_given_back_until_it_can_be_recorded(function: Function) -> None:
    function.deliver(function.message("first"))
    function.world.clock.advance(10)
    assert function.deliver(function.message("second")) == ["second"]
    assert function.delays.asked["receipt of second"] >= 1
    function.world.clock.advance(60)
    assert function.deliver(function.message("second", deliveries=2)) == []
    assert len(function.world.headers()) == 2


def test_an_event_that_a_busy_state_answers_comes_back_for_a_quiet_one(function: Function) -> None:
    function.world.put(named("locks", "l"))
    assert function.deliver(function.message("m")) == ["m"]
    assert function.delays.asked["receipt of m"] >= 1
    assert [header.busy for header in function.world.headers()] == [True]
    assert function.deliver(function.message("m", deliveries=3)) == ["m"], "within the interval"
    function.world.clock.advance(60)
    assert function.deliver(function.message("m", deliveries=3)) == []


def test_an_error_while_recording_gives_the_message_back(function: Function) -> None:
    def broken(repository: Repository, wish: Wish) -> Outcome:
        raise ConnectionError("S3 is out of reach")

    wired = RecordFunction(function.wired.configuration, broken, function.delays)
    answer = wired.on_messages({"Records": [function.message("m")]}, context=None)  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}


def test_a_refusal_is_final_for_its_message_because_the_finding_is_written_down(function: Function) -> None:
    function.world.s3.create_bucket("plain")
    plain = RecordFunction(
        function.wired.configuration,
        lambda repository, wish: record(repository, wish, function.world.ports("plain")),
        function.delays,
    )
    answer = plain.on_messages({"Records": [function.message("m")]}, context=None)  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": []}
    assert len(function.world.findings.findings) == 1


def test_an_operator_is_told_what_came_of_it(function: Function) -> None:
    first = function.wired.on_request({"repository": "alpha", "reason": "operator"})
    assert (first["outcome"], first["generation"]) == ("recorded", 1)
    assert first["state"] == function.world.headers()[0].id
    second = function.wired.on_request({"repository": "alpha", "reason": "operator"})
    assert (second["outcome"], second["state"]) == ("not-yet", None)
    assert second["until"].endswith("Z")
    third = function.wired.on_request({"repository": "alpha", "reason": "operator", "at_once": True})
    assert (third["outcome"], third["generation"]) == ("recorded", 2)


def test_no_message_says_that_it_cannot_wait(function: Function) -> None:
    function.wired.on_messages({"Records": [function.message("first")]}, context=None)  # type: ignore[arg-type]
    hurried = json.dumps({"event": "backup done", "at_once": True})
    answer = function.wired.on_messages({"Records": [function.message("m", hurried)]}, context=None)  # type: ignore[arg-type]
    assert len(function.world.headers()) == 1
    assert answer["batchItemFailures"] == [{"itemIdentifier": "m"}]


def test_the_answer_lists_what_a_person_has_to_know_of_the_state(function: Function) -> None:
    answer = function.wired.on_request({"repository": "alpha", "reason": "operator"})
    (finding,) = answer["findings"]
    assert set(finding) == {"id", "severity", "what", "remedy"}
    assert (answer["outcome"], finding["severity"], finding["id"]) == ("recorded", "FAIL", "impossible-size")


def test_a_finding_is_counted_and_logged_by_its_id_and_no_key_is(
    function: Function, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    function.world.put("ransom.txt", b"pay")
    function.world.clock.advance(60)
    function.wired.on_request({"repository": "alpha", "reason": "schedule"})
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    counts = [metric[f"Consistent{kind}s"] for kind in ("Fail", "Hold", "Note")]
    assert (counts, metric["FindingsUntold"]) == ([[1.0], [1.0], [1.0]], [0.0])
    (line,) = [vars(each) for each in caplog.records]
    assert line["answer"]["findings"] == ["FAIL impossible-size", "HOLD alien-key"]
    assert "ransom" not in str(line)


def test_what_nobody_could_be_told_is_an_error_in_the_log_and_a_metric(
    function: Function, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    function.world.notifier.hook = FailOnce(1, Moment.BEFORE, raising=NotTold)
    answer = function.wired.on_request({"repository": "alpha", "reason": "schedule"})
    assert answer["outcome"] == "recorded"
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert metric["FindingsUntold"] == [1.0]
    assert [line.findings for line in caplog.records if "could not be published" in line.message] == [  # type: ignore[attr-defined]
        ["impossible-size"]
    ]


def test_a_request_for_an_unknown_repository_is_an_error(function: Function) -> None:
    with pytest.raises(BadEvent, match="no repository 'gamma' is deployed; nothing was recorded"):
        function.wired.on_request({"repository": "gamma", "reason": "schedule"})


def test_each_recording_is_counted_as_a_metric_of_its_repository(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.wired.on_request({"repository": "alpha", "reason": "schedule"})
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    (metric,) = metrics
    assert (metric["repository"], metric["StatesRecorded"], metric["Objects"]) == ("alpha", [1.0], [1.0])


def test_the_queue_of_every_repository_is_named_after_it() -> None:
    assert Names("rwm").queue("alpha") == "rwm-alpha"
