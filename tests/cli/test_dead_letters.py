"""`rwm dead-letters`: what lies there, whose it is, and how it is laid to rest without ever being sent again."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from cli.dead_letters import HIDDEN_FOR, SHOWN_BODY
from tests.builders import at, version
from tests.cli.deployed import ACCOUNT, NAMES, REGION, Deployed, denied, document, sentence
from tests.fakes.dead_letters import FakeDeadLetterQueue

DONE = json.dumps({"event": "backup done"})
NOTHING: Mapping[str, Any] = {"state": None, "generation": None, "until": None, "findings": [], "message": ""}
NOT_YET = {**NOTHING, "outcome": "not-yet", "until": "2026-11-21T12:05:00Z", "message": "another is in flight"}
SENT = at(0)


@pytest.fixture
def queue(deployed: Deployed) -> FakeDeadLetterQueue:
    """A dead-letter queue; `record` records a state of the repository that it is asked for, after SENT."""
    made = FakeDeadLetterQueue(f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/rwm-dead-letters")
    deployed.aws.sqs = cast("Any", made)

    def record(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        recorded = deployed.record(asked["repository"], [version("config")], cut=60)
        return {**NOTHING, "outcome": "recorded", "state": recorded.id, "generation": recorded.generation}

    deployed.lambda_.answer = record
    return made


def dead(queue: FakeDeadLetterQueue, body: str = DONE, *, of: str | None = "rwm-alpha", name: str = "1") -> None:
    queue.add(f"message-{name}", body, queue=of, sent=SENT)


def became(result: Any) -> dict[str, str]:
    return {each["id"]: each["became"] for each in document(result)["messages"]}


class TestShowing:
    def test_a_message_is_shown_with_its_repository_its_time_its_sender_and_why_nobody_can_answer_it(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, "{not json")
        result = deployed.rwm("dead-letters", "--json")
        assert result.exit_code == 0
        assert document(result) == {
            "queue": "rwm-dead-letters",
            "messages": [
                {
                    "id": "message-1",
                    "repository": "alpha",
                    "queue": "rwm-alpha",
                    "sent": "2026-11-21T12:00:00Z",
                    "sender": "AIDA:host",
                    "bytes": 9,
                    "body": "{not json",
                    "refused": "the body is not JSON",
                    "answered_by": None,
                    "became": "left",
                }
            ],
            "more": False,
            "replays": [],
        }
        shown = deployed.rwm("dead-letters").stdout
        assert "2026-11-21T12:00:00Z alpha  sent by AIDA:host, 9 B" in shown
        assert "nobody can answer it: the body is not JSON" in shown

    def test_showing_hides_nothing_and_deletes_nothing(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        for number in range(25):
            dead(queue, name=f"{number:02}")
        assert deployed.rwm("dead-letters").exit_code == 0
        assert len(queue.visible) == 25
        assert "delete" not in queue.calls

    def test_what_is_hidden_by_a_command_that_was_killed_comes_back_soon(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dead(queue)
        monkeypatch.setattr(queue, "change_message_visibility_batch", lambda **_: {})
        deployed.rwm("dead-letters")
        assert queue.visible == []
        queue.clock.advance(HIDDEN_FOR)
        assert queue.visible == ["message-1"]

    def test_those_of_one_repository_are_found_among_others(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        for number in range(30):
            dead(queue, name=f"flood-{number:02}")
        dead(queue, of="rwm-beta", name="beta")
        found = document(deployed.rwm("dead-letters", "beta", "--json"))
        assert [each["id"] for each in found["messages"]] == ["message-beta"]
        assert len(queue.visible) == 31

    def test_few_are_taken_of_many_and_it_is_said_that_there_are_more(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        for number in range(25):
            dead(queue, name=f"{number:02}")
        found = document(deployed.rwm("dead-letters", "--limit", "7", "--json"))
        assert (len(found["messages"]), found["more"]) == (7, True)
        assert document(deployed.rwm("dead-letters", "--limit", "25", "--json"))["more"] is False
        assert "there may be more: --limit" in deployed.rwm("dead-letters").stdout

    def test_sqs_may_give_one_message_at_a_time(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        queue.batch = 1
        for number in range(12):
            dead(queue, name=str(number))
        assert len(document(deployed.rwm("dead-letters", "--json"))["messages"]) == 12
        assert len(queue.visible) == 12

    @pytest.mark.parametrize("of", ["rwm-gamma", "elsewhere", "alpha", None])
    def test_a_message_of_no_deployed_repository_is_nobodys(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, of: str | None
    ) -> None:
        dead(queue, json.dumps({"event": "backup done", "repository": "alpha"}), of=of)
        (found,) = document(deployed.rwm("dead-letters", "--json"))["messages"]
        assert (found["repository"], found["queue"]) == (None, of)
        assert found["refused"] == "it came through no queue of a deployed repository"
        assert document(deployed.rwm("dead-letters", "alpha", "--json"))["messages"] == []

    def test_the_queue_decides_the_repository_and_not_the_body(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, json.dumps({"event": "backup done", "repository": "beta"}))
        (found,) = document(deployed.rwm("dead-letters", "--json"))["messages"]
        assert found["repository"] == "alpha"
        assert "names repository 'beta' and came through the queue of 'alpha'" in found["refused"]

    @pytest.mark.parametrize(("cut", "answers"), [(2, False), (3, True)])
    def test_an_event_is_answered_by_a_state_that_was_cut_late_enough_after_it(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, cut: float, answers: bool
    ) -> None:
        dead(queue)
        state = deployed.record("alpha", [version("config")], cut=cut)
        (found,) = document(deployed.rwm("dead-letters", "--json"))["messages"]
        assert found["answered_by"] == (state.id if answers else None)
        shown = deployed.rwm("dead-letters").stdout
        assert (f"state {state.id[:12]} answers it" if answers else "an event that no state answers yet") in shown

    def test_a_long_body_is_cut_off(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue, "é" * 5000)
        (found,) = document(deployed.rwm("dead-letters", "--json"))["messages"]
        assert (len(found["body"]), found["bytes"]) == (SHOWN_BODY, 10_000)
        assert "é…" in deployed.rwm("dead-letters").stdout

    @pytest.mark.parametrize("field", ["body", "sender"])
    def test_what_a_host_wrote_cannot_speak_to_the_terminal(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, field: str
    ) -> None:
        text = "\x1b[2J[red]\r\nno message lies in rwm-dead-letters"
        queue.add("1", text if field == "body" else "{}", queue="rwm-alpha", sent=SENT, sender=text)
        shown = deployed.rwm("dead-letters").stdout
        assert "\x1b" not in shown
        assert "[red]" in shown
        assert not [line for line in shown.splitlines() if line.startswith("no message lies")]

    def test_an_empty_queue_is_said_to_be(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        result = deployed.rwm("dead-letters")
        assert (result.exit_code, result.stdout) == (0, "no message lies in rwm-dead-letters\n")


class TestReplaying:
    def test_a_replay_records_and_deletes_what_the_new_state_answers_and_sends_nothing(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, name="1")
        dead(queue, name="2")
        dead(queue, of="rwm-beta", name="3")
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert result.exit_code == 0
        assert became(result) == dict.fromkeys(["message-1", "message-2", "message-3"], "replayed")
        assert [asked["Payload"] for asked in deployed.lambda_.asked] == [
            {"repository": name, "reason": "operator"} for name in ("alpha", "beta")
        ]
        assert [each["outcome"] for each in document(result)["replays"]] == ["recorded", "recorded"]
        assert queue.messages == []
        assert set(queue.calls) <= {"receive", "delete", "visibility", "attributes"}

    def test_nothing_is_recorded_where_a_state_answers_already(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue)
        deployed.record("alpha", [version("config")], cut=3)
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert became(result) == {"message-1": "replayed"}
        assert deployed.lambda_.asked == []
        assert queue.messages == []

    def test_a_message_stays_until_a_state_answers_it(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue)
        deployed.lambda_.answer = NOT_YET
        result = deployed.rwm("dead-letters", "--replay", "--yes")
        assert result.exit_code == 3
        assert "alpha: not yet: another is in flight; again after 2026-11-21T12:05:00Z" in result.stdout
        assert queue.visible == ["message-1"]

    def test_a_recording_is_believed_only_where_the_ledger_has_it(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue)
        deployed.lambda_.answer = {**NOTHING, "outcome": "recorded", "state": "5" * 64, "generation": 9}
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert result.exit_code == 3
        assert became(result) == {"message-1": "left"}
        assert queue.visible == ["message-1"]

    def test_a_repository_that_cannot_be_recorded_keeps_its_messages_and_no_others(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, name="1")
        dead(queue, of="rwm-beta", name="2")
        works = deployed.lambda_.answer

        def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"outcome": "unheard of"} if asked["repository"] == "alpha" else works(asked)  # type: ignore[operator]

        deployed.lambda_.answer = answer
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert result.exit_code == 1
        assert became(result) == {"message-1": "left", "message-2": "replayed"}
        assert "cannot read" in document(result)["replays"][0]["message"]
        assert queue.visible == ["message-1"]

    def test_a_refused_recording_is_a_fail(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue)
        deployed.lambda_.answer = {**NOTHING, "outcome": "refused", "message": "versioning is Off"}
        result = deployed.rwm("dead-letters", "--replay", "--yes")
        assert result.exit_code == 4
        assert "alpha: refused: versioning is Off" in result.stdout
        assert queue.visible == ["message-1"]

    @pytest.mark.parametrize("body", ["{not json", json.dumps({"event": "backup done", "repository": "beta"})])
    def test_a_message_that_nobody_can_answer_makes_nobody_record_and_stays(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, body: str
    ) -> None:
        dead(queue, body)
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert result.exit_code == 0
        assert deployed.lambda_.asked == []
        assert queue.visible == ["message-1"]

    def test_only_what_was_shown_is_deleted(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue, name="1")
        record: Any = deployed.lambda_.answer

        def while_another_comes(asked: Mapping[str, Any]) -> Mapping[str, Any]:
            dead(queue, name="2")
            return cast("Mapping[str, Any]", record(asked))

        deployed.lambda_.answer = while_another_comes
        deployed.rwm("dead-letters", "--replay", "--yes")
        assert queue.visible == ["message-2"]

    def test_a_message_that_sqs_does_not_delete_is_said_to_be_left(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, name="1")
        dead(queue, name="2")
        queue.undeletable = frozenset({"message-2"})
        result = deployed.rwm("dead-letters", "--replay", "--yes", "--json")
        assert result.exit_code == 3
        assert became(result) == {"message-1": "replayed", "message-2": "left"}
        assert queue.visible == ["message-2"]


class TestDiscarding:
    def test_what_nobody_can_answer_is_deleted_after_it_was_shown_and_a_person_said_yes(
        self, deployed: Deployed, queue: FakeDeadLetterQueue
    ) -> None:
        dead(queue, "{not json", name="1")
        dead(queue, of=None, name="2")
        dead(queue, name="event")
        result = deployed.rwm("dead-letters", "--discard", typed="y\n")
        assert result.exit_code == 0
        assert sentence(result).index("the body is not JSON") < sentence(result).index("Delete 2 messages")
        assert "discarded and deleted: 2 messages" in result.stdout
        assert queue.visible == ["message-event"]
        assert deployed.lambda_.asked == []

    @pytest.mark.parametrize("option", ["--discard", "--replay"])
    def test_nothing_is_done_for_who_says_no_or_cannot_be_asked(
        self, deployed: Deployed, queue: FakeDeadLetterQueue, option: str
    ) -> None:
        dead(queue, "{not json", name="1")
        dead(queue, name="2")
        for arguments, typed in (([], "n\n"), ([], ""), (["--json"], "y\n")):
            result = deployed.rwm("dead-letters", option, *arguments, typed=typed)
            assert result.exit_code == 2
            assert "nothing was recorded, and no message was deleted" in sentence(result)
        assert deployed.lambda_.asked == []
        assert sorted(queue.visible) == ["message-1", "message-2"]

    def test_both_at_once_leave_nothing(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue, "{not json", name="1")
        dead(queue, name="2")
        result = deployed.rwm("dead-letters", "--discard", "--replay", "--yes", "--json")
        assert became(result) == {"message-1": "discarded", "message-2": "replayed"}
        assert queue.messages == []

    def test_what_could_not_be_deleted_is_a_failure(self, deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
        dead(queue, "{not json")
        queue.undeletable = frozenset({"message-1"})
        result = deployed.rwm("dead-letters", "--discard", "--yes")
        assert result.exit_code == 1
        assert "1 of 1 messages were not deleted" in sentence(result)
        assert queue.visible == ["message-1"]


def test_who_may_not_is_told_the_role_that_may(deployed: Deployed, queue: FakeDeadLetterQueue) -> None:
    queue.error = denied("ReceiveMessage", "AccessDenied")
    result = deployed.rwm("dead-letters")
    assert result.exit_code == 2
    assert "may not sqs:ReceiveMessage" in sentence(result)
    assert f"The role {NAMES.role('operator')} may" in sentence(result)
