"""rwm-drill: which steps a drill takes, what each is asked, and that every drill is concluded."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

STATE = "1" * 64
TARGET = {"bucket": "rwm-drill-123456789012-eu-central-1", "prefix": "alpha/execution-1"}
CHOSEN = {
    "state": STATE,
    "generation": 7,
    "cut_time": "2026-11-21T12:00:00Z",
    "objects": 3,
    "bytes": 300,
    "content_root": "3" * 64,
    "target": TARGET,
    "sample_bytes": None,
    "complete": False,
}
REPORT = {"repository": "alpha", "state": STATE, "outcome": "restored", "level": "content", "why": None, "seconds": 9}


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "", *, cause: str | None = None) -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message, cause=cause)

    return fail


STEPS: Answers = {
    "Choose drill": _always(CHOSEN),
    "Restore": _always({"outcome": "restored"}),
    "Check copy": _always({"outcomes": {"complete": "pass"}}),
    "Conclude drill": _always(REPORT),
}
RESTORED = ["Begin", "Choose drill", "Restore", "Is it opened, too?"]
OPENED: Answers = {"Choose drill": _always({**CHOSEN, "complete": True})}


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-drill"]


def _run(definition: Definition, answers: Answers | None = None, **asked: Any) -> Execution:
    request = {"repository": "alpha", "reason": "schedule", "whole": False, **asked}
    return Execution(definition, {**STEPS, **(answers or {})}).run(request)


def test_a_drill_restores_and_concludes(definition: Definition) -> None:
    drill = _run(definition)
    assert drill.entered == [*RESTORED, "Conclude drill", "Concluded"]
    assert (drill.error, drill.output) == ("", REPORT)


def test_with_a_password_the_copy_is_opened_before_it_is_concluded(definition: Definition) -> None:
    assert _run(definition, OPENED).entered == [*RESTORED, "Check copy", "Conclude drill", "Concluded"]


def test_each_step_is_asked_what_it_knows_this_drill_by(definition: Definition) -> None:
    asked = _run(definition, OPENED, whole=True).asked
    assert asked["Choose drill"] == {"repository": "alpha", "execution": "execution-1", "whole": True}
    assert asked["Restore"] == {
        "repository": "alpha",
        "state": STATE,
        "target": TARGET,
        "with_revoked_keys": True,
        "sample_bytes": None,
        "drill": True,
    }
    assert asked["Check copy"] == {
        "repository": "alpha",
        "level": "complete",
        "state": STATE,
        "all": False,
        "read_data": True,
        "reason": "schedule",
        "target": TARGET,
    }
    assert asked["Conclude drill"] == {
        "repository": "alpha",
        "execution": "execution-1",
        "reason": "schedule",
        "started_at": "2026-11-21T12:00:00.123Z",
        "chosen": {**CHOSEN, "complete": True},
        "failure": None,
    }


def test_a_large_state_is_sampled(definition: Definition) -> None:
    sampled = {**CHOSEN, "sample_bytes": 1 << 30}
    assert _run(definition, {"Choose drill": _always(sampled)}).asked["Restore"]["sample_bytes"] == 1 << 30


def test_what_it_runs_is_run_by_its_own_name_to_its_end(definition: Definition) -> None:
    for name, workflow in (("Restore", "restore"), ("Check copy", "check")):
        state = definition["States"][name]
        assert state["Resource"].endswith(":states:startExecution.sync:2")
        assert state["Arguments"]["Name"] == "{% $states.context.Execution.Name %}"
        assert state["Arguments"]["StateMachineArn"] == f"rwm-{workflow}"


@pytest.mark.parametrize("step", ["Choose drill", "Restore", "Check copy"])
def test_whatever_breaks_the_drill_is_concluded_and_the_failure_told(definition: Definition, step: str) -> None:
    cause = json.dumps({"Status": "FAILED", "Error": "RestoreIncomplete", "Cause": "{}"})
    drill = _run(definition, {**OPENED, step: _fails("States.TaskFailed", cause=cause)})
    assert drill.entered[-3:] == [step, "Conclude drill", "Concluded"]
    asked = drill.asked["Conclude drill"]
    assert asked["failure"] == {"Error": "States.TaskFailed", "Cause": cause}
    assert (asked["chosen"] is None) == (step == "Choose drill")
    assert drill.error == "", "people were told by the step that concluded"


def test_a_request_that_makes_no_sense_is_refused_and_nothing_is_concluded(definition: Definition) -> None:
    drill = _run(
        definition, {"Choose drill": _fails("DrillRefused", "no repository 'x' is deployed; nothing was restored")}
    )
    assert drill.entered == ["Begin", "Choose drill", "Refused"]
    assert (drill.error, drill.cause) == ("DrillRefused", "no repository 'x' is deployed; nothing was restored")


def test_a_repository_without_a_state_is_not_drilled_and_nobody_is_told(definition: Definition) -> None:
    drill = _run(definition, {"Choose drill": _fails("NothingRecorded", "no state yet")})
    assert drill.entered == ["Begin", "Choose drill", "Nothing recorded yet"]
    assert (drill.error, drill.output) == ("", {})


def test_a_drill_that_could_not_be_concluded_fails_so_that_the_alarm_tells(definition: Definition) -> None:
    drill = _run(definition, {"Conclude drill": _fails("NotTold", "SNS did not take it")})
    assert drill.entered[-1] == "Not concluded"
    assert drill.error == "DrillFailed"
    assert "NotTold" in drill.cause
