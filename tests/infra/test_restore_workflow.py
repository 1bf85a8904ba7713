"""rwm-restore: which steps a restore takes, what each is asked, and that every end takes its announcement back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

STATE, PLAN_DIGEST = "1" * 64, "2" * 64
ASKED = {"repository": "alpha", "state": STATE, "target": {"bucket": "rwm-restore-1", "prefix": "here"}}
MANIFEST = {"bucket": "records", "key": f"restores/{PLAN_DIGEST}/manifest.json", "version_id": "m1"}
PLANNED = {
    "plan": PLAN_DIGEST,
    "plan_version": "v1",
    "manifest": MANIFEST,
    "objects": 3,
    "bytes": 300,
    "batches": 1,
    "thaw": None,
    "archived": {"objects": 0, "bytes": 0},
}
THAWED = {**PLANNED, "thaw": "Bulk", "archived": {"objects": 2, "bytes": 200}}
REPORT = {"outcome": "restored", "complete": True, "objects": 3, "plan": PLAN_DIGEST}


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "") -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message)

    return fail


STEPS: Answers = {
    "Announce restore": lambda asked: {**asked, "to": asked.get("to", "bucket")},
    "Plan restore": _always(PLANNED),
    "Try target": _always({}),
    "Thaw batches": _always({}),
    "Copy batches": _always({}),
    "Verify restore": _always(REPORT),
    "End restore": _always({"ended": True}),
}
BEGUN = ["Begin", "Not here?", "Announce restore"]
PLAN = [*BEGUN, "Where to?", "Plan restore"]
PLANNED_TO_COPY = [*PLAN, "Only a dry run?"]
TRIED = [*PLANNED_TO_COPY, "Anything to copy?", "Try target"]
PLAN_AND_COPY = [*TRIED, "Anything to thaw?", "Copy batches"]
ENDED = ["End restore", "How did it go?"]


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-restore"]


def _run(definition: Definition, answers: Answers | None = None, asked: Any = ASKED) -> Execution:
    return Execution(definition, {**STEPS, **(answers or {})}).run(asked)


def test_a_restore_is_announced_first_and_taken_back_last(definition: Definition) -> None:
    restore = _run(definition)
    assert restore.entered == [*PLAN_AND_COPY, "Verify restore", *ENDED, "Restored"]
    assert (restore.error, restore.output) == ("", REPORT)


def test_each_step_is_asked_what_it_knows_this_restore_by(definition: Definition) -> None:
    asked = _run(definition).asked
    assert asked["Announce restore"] == {**ASKED, "execution": "execution-1"}
    assert asked["Plan restore"] == {**ASKED, "execution": "execution-1", "to": "bucket"}
    assert asked["Try target"] == {"plan": PLAN_DIGEST, "plan_version": "v1", "execution": "execution-1"}
    assert asked["Verify restore"] == {
        "plan": PLAN_DIGEST,
        "plan_version": "v1",
        "repository": "alpha",
        "execution": "execution-1",
    }
    assert asked["End restore"] == {"repository": "alpha", "execution": "execution-1"}


def test_nobody_restores_in_another_execution_s_name(definition: Definition) -> None:
    """It would announce, and take back, what is another's."""
    asked = _run(definition, asked={**ASKED, "execution": "another"}).asked
    assert asked["Announce restore"]["execution"] == asked["End restore"]["execution"] == "execution-1"


def test_where_nothing_is_to_be_copied_it_is_verified_all_the_same(definition: Definition) -> None:
    restore = _run(definition, {"Plan restore": _always({**PLANNED, "batches": 0})})
    assert restore.entered[len(PLANNED_TO_COPY) :] == ["Anything to copy?", "Verify restore", *ENDED, "Restored"]


def test_a_dry_run_ends_with_its_forecast_and_copies_and_verifies_nothing(definition: Definition) -> None:
    forecast = {"state": STATE, "objects": 3, "requests": {"CopyObject": 3}}
    restore = _run(definition, {"Plan restore": _always({"forecast": forecast})}, {**ASKED, "dry_run": True})
    assert restore.entered == [*PLANNED_TO_COPY, "Foreseen", *ENDED, "Restored"]
    assert (restore.error, restore.output) == ("", {"complete": True, "forecast": forecast})


def test_a_target_that_the_copies_may_not_write_to_is_refused_before_the_first_of_them(definition: Definition) -> None:
    denied = "S3 denies s3:PutObject on rwm-restore-1; nothing was written"
    restore = _run(definition, {"Try target": _fails("RestoreRefused", denied)})
    assert restore.entered == [*TRIED, *ENDED, "Refused"]
    assert (restore.error, restore.cause) == ("RestoreRefused", denied)


def test_what_lies_in_an_archive_class_is_asked_for_before_the_first_copy(definition: Definition) -> None:
    restore = _run(definition, {"Plan restore": _always(THAWED)})
    thawed = [*TRIED, "Anything to thaw?", "Thaw batches", "Copy batches", "Verify restore"]
    assert restore.entered == [*thawed, *ENDED, "Restored"]
    asked = {"plan": PLAN_DIGEST, "plan_version": "v1", "execution": "execution-1", "batch": "batch-1"}
    assert {key: restore.asked["Thaw batches"][key] for key in asked} == asked
    assert restore.asked["Thaw batches"]["Arguments"]["VersionId"] == "m1"


@pytest.mark.parametrize(
    "planned", [{**THAWED, "archived": {"objects": 0, "bytes": 0}}, {**THAWED, "thaw": None}], ids=["none", "not asked"]
)
def test_where_nothing_is_archived_or_may_be_thawed_nothing_is(definition: Definition, planned: dict[str, Any]) -> None:
    assert "Thaw batches" not in _run(definition, {"Plan restore": _always(planned)}).entered


def test_what_was_not_asked_for_is_left_to_its_copy(definition: Definition) -> None:
    answers = {"Plan restore": _always(THAWED), "Thaw batches": _fails("States.ItemReaderFailed")}
    restore = _run(definition, answers)
    assert restore.entered[-6:] == ["Thaw batches", "Copy batches", "Verify restore", *ENDED, "Restored"]


def test_a_batch_waits_longer_than_the_slowest_thaw_and_then_there_is_time_to_copy(definition: Definition) -> None:
    [copy] = definition["States"]["Copy batches"]["ItemProcessor"]["States"].values()
    [frozen] = [each for each in copy["Retry"] if each["ErrorEquals"] == ["StillFrozen"]]
    waits, wait = [], frozen["IntervalSeconds"]
    for _ in range(frozen["MaxAttempts"]):
        waits.append(wait)
        wait = min(wait * frozen["BackoffRate"], frozen["MaxDelaySeconds"])
    assert waits[:5] == [60, 120, 240, 480, 900], "Expedited takes minutes"
    assert set(waits[4:]) == {900}
    assert 48 < sum(waits) / 3600 < 72, "Bulk takes up to two days from DEEP_ARCHIVE"
    # Three events of each attempt: an execution's history holds 25,000.
    assert 3 * len(waits) < 5000


def test_a_refused_restore_ends_with_the_reason_that_plan_gave_and_is_taken_back(definition: Definition) -> None:
    restore = _run(definition, {"Plan restore": _fails("RestoreRefused", "state 1 was dropped; nothing was written")})
    assert restore.entered == [*PLAN, *ENDED, "Refused"]
    assert (restore.error, restore.cause) == ("RestoreRefused", "state 1 was dropped; nothing was written")


@pytest.mark.parametrize("step", ["Announce restore", "Plan restore", "Try target", "Verify restore"])
def test_what_breaks_is_taken_back_and_told_by_its_own_name(definition: Definition, step: str) -> None:
    restore = _run(definition, {step: _fails("Sandbox.Timedout", "after 300 s")})
    assert restore.entered[-4:] == [step, *ENDED, "Failed"]
    assert restore.error == "Sandbox.Timedout"
    assert json.loads(restore.cause)["errorMessage"] == "after 300 s"


def test_verify_looks_also_after_a_map_that_failed(definition: Definition) -> None:
    restore = _run(definition, {"Copy batches": _fails("States.ItemReaderFailed")})
    assert restore.entered == [*PLAN_AND_COPY, "Verify restore", *ENDED, "Restored"]


def test_a_restore_ends_well_only_when_verify_says_complete(definition: Definition) -> None:
    report = {**REPORT, "outcome": "incomplete", "complete": False}
    restore = _run(definition, {"Verify restore": _always(report)})
    assert restore.entered[-3:] == [*ENDED, "Incomplete"]
    assert (restore.error, json.loads(restore.cause)) == ("RestoreIncomplete", report)
    goods = [name for name, state in definition["States"].items() if state.get("End") or state["Type"] == "Succeed"]
    assert goods == ["Restored"]


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        ({}, "Restored"),
        ({"Verify restore": _always({**REPORT, "complete": False})}, "Incomplete"),
        ({"Plan restore": _fails("RestoreRefused", "no such state")}, "Refused"),
        ({"Verify restore": _fails("Lambda.Unknown")}, "Failed"),
    ],
)
def test_an_announcement_that_is_not_taken_back_changes_nothing_of_how_it_ends(
    definition: Definition, answers: Answers, end: str
) -> None:
    """lease-prune takes it away when the execution has ended."""
    restore = _run(definition, {**answers, "End restore": _fails("Lambda.ServiceException")})
    assert restore.entered[-3:] == [*ENDED, end]


def test_every_path_leads_through_the_last_step(definition: Definition) -> None:
    """Also those that nobody thought of: whatever a step or the map fails by is caught, and only a Fail state, which a
    redrive enters again, lies behind the end."""
    states = definition["States"]
    for name, state in states.items():
        if state["Type"] in ("Task", "Map"):
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
    before = {name for name in states if name not in (*ENDED, "Restored", "Refused", "Failed", "Incomplete")}
    reached = {
        target
        for name in before
        for target in (
            states[name].get("Next"),
            states[name].get("Default"),
            *(each["Next"] for each in (*states[name].get("Catch", ()), *states[name].get("Choices", ()))),
        )
        if target
    }
    assert reached - before == {"End restore"}


@pytest.mark.parametrize("name", ["to-directory-alpha-111111111111-222222222222-1", "to-directory-"])
def test_a_name_of_the_other_workflow_announces_nothing_and_takes_nothing_back(
    definition: Definition, name: str
) -> None:
    """What is announced under it is asked of the other workflow: there it may be over while this one runs."""
    restore = Execution(definition, STEPS, name).run(ASKED)
    assert restore.entered == ["Begin", "Not here?", "Not here"]
    assert (restore.error, "nothing was announced" in restore.cause) == ("RestoreRefused", True)


def test_a_restore_to_a_directory_is_refused_before_it_is_announced(definition: Definition) -> None:
    restore = _run(definition, asked={"repository": "alpha", "state": STATE, "to": "directory"})
    assert restore.entered == ["Begin", "Not here?", "Not here"]
    assert "has a workflow of its own" in restore.cause
