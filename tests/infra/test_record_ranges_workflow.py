"""rwm-record-ranges: every range is listed, or nothing is recorded and the lease is given back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

ATTEMPT = "1" * 32
MANIFEST = {"key": f"recordings/alpha/{ATTEMPT}/manifest.json", "version_id": "m1"}
CAUSE = {"reason": "event", "sent": "2026-11-22T10:00:00Z", "sender": "AIDA", "snapshot": None, "outcome": None}
ASKED = {"repository": "alpha", "attempt": ATTEMPT, "at": "2026-11-22T10:00:03Z", "cause": CAUSE, "manifest": MANIFEST}
CLOSED = {"repository": "alpha", "attempt": ATTEMPT, "at": "2026-11-22T10:00:03Z", "cause": CAUSE, "manifest": "m1"}
RECORDED = {"outcome": "recorded", "state": "2" * 64}


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "") -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message)

    return fail


STEPS: Answers = {
    "List ranges": _always({}),
    "Close recording": _always(RECORDED),
    "Give up": _always({}),
}


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-record-ranges"]


def _run(definition: Definition, answers: Answers | None = None) -> Execution:
    return Execution(definition, {**STEPS, **(answers or {})}).run(ASKED)


def test_ranges_are_listed_then_the_recording_is_closed(definition: Definition) -> None:
    recording = _run(definition)
    assert recording.entered == ["Begin", "List ranges", "Close recording"]
    assert recording.asked["Close recording"] == {**CLOSED, "failed": False}
    assert (recording.error, recording.output) == ("", RECORDED)


@pytest.mark.parametrize("step", ["List ranges", "Close recording"])
def test_what_fails_gives_the_lease_back_and_is_told(definition: Definition, step: str) -> None:
    recording = _run(definition, {step: _fails("SlowedDown", "S3 is too busy")})
    assert recording.entered[-3:] == [step, "Give up", "Failed"]
    assert recording.asked["Give up"] == {**CLOSED, "failed": True}
    assert recording.error == "RecordingFailed"
    assert recording.cause.startswith("SlowedDown: ")


def test_who_cannot_give_up_tells_of_what_failed_first(definition: Definition) -> None:
    recording = _run(definition, {"List ranges": _fails("SlowedDown"), "Give up": _fails("Sandbox.Timedout")})
    assert recording.entered[-2:] == ["Give up", "Failed"]
    assert recording.cause.startswith("SlowedDown: ")


def test_a_range_that_is_not_listed_fails_the_map(definition: Definition) -> None:
    ranges = definition["States"]["List ranges"]
    assert "ToleratedFailurePercentage" not in ranges, "by default one failure is one too many"
    assert json.dumps(ranges["ItemReader"]["Arguments"]).count("$asked.manifest") == 2
    assert ranges["ItemSelector"] == {
        "range": "{% $states.context.Map.Item.Value %}",
        "repository": "{% $asked.repository %}",
        "attempt": "{% $asked.attempt %}",
    }
