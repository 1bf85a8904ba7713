"""rwm-check: which steps a check takes, what each is asked, and how it ends."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

RECORDED, NEWEST, OLDER = "1" * 64, "2" * 64, "3" * 64
PLAN: dict[str, Any] = {
    "batches": 2,
    "objects": 20,
    "bytes": 2000,
    "plan": "checks/alpha/execution-1/plan.json",
    "plan_version": "v1",
    "manifest": {"bucket": "records", "key": "checks/alpha/execution-1/manifest.json", "version_id": "v2"},
}
REPORT = {"snapshots": 1, "findings": []}
TARGET = {"bucket": "rwm-restore-alpha", "prefix": ""}

POSTURE = ["Begin", "What is asked?", "Check posture", "Deeper than posture?"]
CONSISTENT = ["Check consistent", "Deeper than consistent?"]
CONTENT = ["Plan content", "Anything to hash?", "Hash batches", "Conclude content", "Deeper than content?"]
COMPLETE = ["Check complete", "Conclude complete"]


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-check"]


def _asking(level: str = "complete", **more: Any) -> dict[str, Any]:
    return {
        "repository": "alpha",
        "level": level,
        "state": "",
        "all": False,
        "read_data": False,
        "reason": "operator",
        "target": None,
        **more,
    }


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "") -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message)

    return fail


def _judged(outcome: str) -> Callable[[Any], Any]:
    return lambda asked: {
        "outcome": outcome,
        "state": asked["state"] or NEWEST,
        "generation": 7,
        "findings": [{"severity": "HOLD", "id": "growth", "keys": 3}],
    }


STEPS: Answers = {
    "Check posture": _always({"outcome": "pass", "level": "posture", "findings": [], "unread": {}}),
    "Record": _always({"outcome": "recorded", "state": RECORDED, "generation": 7}),
    "Check consistent": _judged("hold"),
    "Plan content": _always(PLAN),
    "Hash batches": _always({}),
    "Conclude content": _always({"outcome": "pass", "findings": []}),
    "Check complete": lambda asked: {"state": asked["state"] or NEWEST, "generation": 7, "report": REPORT},
    "Conclude complete": _always({"outcome": "fail", "findings": []}),
}


@pytest.mark.parametrize(
    ("level", "entered"),
    [
        ("posture", [*POSTURE, "Checked"]),
        ("consistent", [*POSTURE, "Record", *CONSISTENT, "Checked"]),
        ("content", [*POSTURE, "Record", *CONSISTENT, *CONTENT, "Checked"]),
        ("complete", [*POSTURE, "Record", *CONSISTENT, *CONTENT, *COMPLETE, "Checked"]),
    ],
)
def test_each_level_includes_those_before_it(definition: Definition, level: str, entered: list[str]) -> None:
    assert Execution(definition, STEPS).run(_asking(level)).entered == entered


def test_a_misspelt_level_is_refused_before_anything_is_checked(definition: Definition) -> None:
    ended = Execution(definition, STEPS).run(_asking("contents"))
    assert (ended.error, ended.cause) == ("CheckRefused", "there is no level contents; nothing was checked")
    assert ended.asked == {}


def test_a_check_tells_the_state_and_the_outcome_of_each_level(definition: Definition) -> None:
    ended = Execution(definition, STEPS).run(_asking())
    assert ended.output == {
        "repository": "alpha",
        "state": RECORDED,
        "generation": 7,
        "level": "complete",
        "outcomes": {"posture": "pass", "consistent": "hold", "content": "pass", "complete": "fail"},
        "posture": {"outcome": "pass", "level": "posture", "findings": [], "unread": {}},
    }


def test_a_check_of_posture_is_of_no_state(definition: Definition) -> None:
    ended = Execution(definition, STEPS).run(_asking("posture"))
    assert (ended.output["state"], ended.output["generation"]) == (None, None)


def test_a_check_of_a_named_state_records_none(definition: Definition) -> None:
    ended = Execution(definition, STEPS).run(_asking("consistent", state=OLDER))
    assert "Record" not in ended.entered
    assert ended.asked["Check consistent"] == {"repository": "alpha", "state": OLDER, "execution": "execution-1"}


def test_a_recording_that_was_put_off_or_refused_leaves_the_newest_state_to_be_checked(definition: Definition) -> None:
    put_off = {**STEPS, "Record": _always({"outcome": "not-yet", "state": None, "generation": None})}
    ended = Execution(definition, put_off).run(_asking())
    assert ended.asked["Check consistent"]["state"] == ""
    # From then on it is that one state, whatever is recorded meanwhile.
    assert ended.asked["Check complete"]["state"] == ended.output["state"] == NEWEST


def test_each_step_is_asked_what_it_needs_and_no_more(definition: Definition) -> None:
    asked = Execution(definition, STEPS).run(_asking(all=True, read_data=True, reason="schedule")).asked
    assert asked["Check posture"] == asked["Record"] == {"repository": "alpha", "reason": "schedule"}
    of_state = {"repository": "alpha", "state": RECORDED}
    of_run = {"execution": "execution-1"}
    of_plan = {"plan": PLAN["plan"], "plan_version": PLAN["plan_version"]}
    assert asked["Plan content"] == {**of_state, **of_run, "all": True}
    assert asked["Conclude content"] == {**of_state, **of_run, **of_plan}
    assert asked["Check complete"] == {**of_state, "read_data": True, "target": None}
    assert asked["Conclude complete"] == {**of_state, **of_run, "target": None, "report": REPORT, "error": None}


def test_hashing_reads_the_manifest_of_the_plan_pinned_by_its_version(definition: Definition) -> None:
    asked = Execution(definition, STEPS).run(_asking("content")).asked["Hash batches"]
    assert asked["Arguments"] == {
        "Bucket": "rwm-records-123456789012-eu-central-1",
        "Key": PLAN["manifest"]["key"],
        "VersionId": PLAN["manifest"]["version_id"],
    }
    assert {name: asked[name] for name in ("repository", "plan", "plan_version", "execution", "batch")} == {
        "repository": "alpha",
        "plan": PLAN["plan"],
        "plan_version": "v1",
        "execution": "execution-1",
        "batch": "batch-1",
    }


def test_with_nothing_to_hash_the_content_is_concluded_all_the_same(definition: Definition) -> None:
    nothing = {**STEPS, "Plan content": _always({**PLAN, "batches": 0})}
    ended = Execution(definition, nothing).run(_asking("content"))
    assert "Hash batches" not in ended.entered
    assert ended.output["outcomes"]["content"] == "pass"


def test_a_failed_map_is_concluded_too(definition: Definition) -> None:
    ended = Execution(definition, {**STEPS, "Hash batches": _fails("States.ItemReaderFailed")}).run(_asking("content"))
    assert ended.entered[-4:] == ["Hash batches", "Conclude content", "Deeper than content?", "Checked"]


def test_of_a_restored_copy_only_complete_is_checked(definition: Definition) -> None:
    ended = Execution(definition, STEPS).run(_asking("consistent", state=OLDER, target=TARGET))
    assert ended.entered == ["Begin", "What is asked?", *COMPLETE, "Checked"]
    assert ended.asked["Check complete"]["target"] == ended.asked["Conclude complete"]["target"] == TARGET
    assert (ended.output["level"], ended.output["outcomes"]) == ("complete", {"complete": "fail"})


@pytest.mark.parametrize("error", ["Sandbox.Timedout", "MemoryError", "Runtime.ExitError", "Lambda.ServiceException"])
def test_a_reader_that_fails_or_runs_out_of_time_leads_to_a_verdict(definition: Definition, error: str) -> None:
    ended = Execution(definition, {**STEPS, "Check complete": _fails(error)}).run(_asking())
    asked = ended.asked["Conclude complete"]
    assert (asked["report"], asked["error"], asked["state"]) == (None, error, RECORDED)
    assert ended.output["outcomes"]["complete"] == "fail"


@pytest.mark.parametrize(
    "step", ["Check consistent", "Plan content", "Conclude content", "Check complete", "Conclude complete"]
)
def test_a_step_that_refuses_ends_the_check_with_its_reason(definition: Definition, step: str) -> None:
    ended = Execution(definition, {**STEPS, step: _fails("CheckRefused", "there is no such state")}).run(_asking())
    assert (ended.entered[-1], ended.error, ended.cause) == ("Refused", "CheckRefused", "there is no such state")


@pytest.mark.parametrize(
    "step", ["Check posture", "Record", "Check consistent", "Plan content", "Conclude content", "Conclude complete"]
)
def test_a_step_that_breaks_ends_the_check_as_failed(definition: Definition, step: str) -> None:
    ended = Execution(definition, {**STEPS, step: _fails("BucketMissing", "there is no bucket")}).run(_asking())
    assert (ended.entered[-1], ended.error) == ("Failed", "CheckFailed")
    assert ended.cause.startswith("BucketMissing: ")
    assert "there is no bucket" in ended.cause


def test_batches_are_hashed_by_standard_executions_ten_at_a_time(definition: Definition) -> None:
    hashing = definition["States"]["Hash batches"]
    assert hashing["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert (hashing["MaxConcurrency"], hashing["ToleratedFailurePercentage"]) == (10, 100)


def test_a_batch_that_ran_out_of_time_is_tried_again_and_a_reading_of_all_is_not(definition: Definition) -> None:
    batch = definition["States"]["Hash batches"]["ItemProcessor"]["States"]["Hash batch"]
    assert ["Sandbox.Timedout", "States.Timeout"] in [retry["ErrorEquals"] for retry in batch["Retry"]]
    complete = definition["States"]["Check complete"]
    assert "Sandbox.Timedout" not in str(complete["Retry"])


def test_no_answer_is_passed_on_but_the_report(definition: Definition) -> None:
    """A state holds 256 KiB, and a report is bounded to 200 KB."""
    passed_on = {
        name: state["Output"]
        for name, state in definition["States"].items()
        if state["Type"] in ("Task", "Map") and state["Output"] != "{% {} %}"
    }
    assert passed_on == {"Check complete": {"report": "{% $states.result.Payload.report %}", "error": "{% null %}"}}
