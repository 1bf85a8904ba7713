"""rwm-prune: which steps a prune takes, what each is asked, and how it ends."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

STATE, PLAN = "1" * 64, "2" * 64
OUTCOMES = {"posture": "pass", "consistent": "hold"}
CHECKED = {"repository": "alpha", "state": STATE, "generation": 7, "level": "consistent", "outcomes": OUTCOMES}
WHO = {"repository": "alpha", "execution": "execution-1"}
WHICH = {**WHO, "plan": PLAN, "plan_version": "v1"}


def _manifest(phase: str) -> dict[str, str]:
    return {"bucket": "records", "key": f"prunes/alpha/execution-1/{phase}.json", "version_id": f"of {phase}"}


def _plan(**more: Any) -> dict[str, Any]:
    return {
        "plan": PLAN,
        "plan_version": "v1",
        "entries": 3,
        "bytes": 300,
        "markers": 1,
        "drops": 2,
        "approval": "not-needed",
        "outcome": "pass",
        "versions_manifest": _manifest("versions"),
        "markers_manifest": _manifest("markers"),
        **more,
    }


def _report(**more: Any) -> dict[str, Any]:
    return {
        "outcome": "done",
        "kept_states": 5,
        "kept_states_whole": 5,
        "failed": 0,
        "batches": 2,
        "unfinished": 0,
        "stopped": [],
        "report": {"bucket": "records", "key": "prunes/alpha/execution-1/report.json"},
        **more,
    }


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "", *, cause: str | None = None) -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message, cause=cause)

    return fail


def _lease(asked: Any) -> Any:
    return {"token": "lease-token"} if asked["action"] == "take" else {"released": True}


STEPS: Answers = {
    "Check": _always(CHECKED),
    "Plan prune": _always(_plan()),
    "Ask approval": _always({"approved": True}),
    "Take lease": _lease,
    "Drop states": _always({"dropped": 2, "already": 0}),
    "Batches of versions": _always({}),
    "Batches of markers": _always({}),
    "Release lease": _lease,
    "Verify prune": _always(_report()),
}
CHECK = ["Begin", "Is it deployed?", "Check"]
PLANNED = [*CHECK, "Plan prune", "What is to be done?"]
VERSIONS, MARKERS = ["Any versions?", "Batches of versions"], ["Any markers?", "Batches of markers"]
RELEASED = ["Release lease", "Was anything applied?"]
VERIFIED = ["Verify prune", "What did it come to?"]


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-prune"]


def _run(definition: Definition, answers: Answers | None = None, **asked: Any) -> Execution:
    request = {"repository": "alpha", "reason": "operator", "dry_run": False, **asked}
    return Execution(definition, {**STEPS, **(answers or {})}).run(request)


def test_a_plan_that_needs_nobody_is_applied_under_the_lease_and_verified(definition: Definition) -> None:
    prune = _run(definition)
    assert prune.entered == [
        *(*PLANNED, "Take lease", "Drop states", *VERSIONS, *MARKERS, *RELEASED, *VERIFIED, "Pruned")
    ]
    assert prune.output == {
        "repository": "alpha",
        "state": STATE,
        "generation": 7,
        "posture": "pass",
        "outcomes": OUTCOMES,
        "ended": "pruned",
        "plan": _plan(),
        "report": _report(),
    }


def test_each_step_is_asked_what_it_knows_this_prune_by(definition: Definition) -> None:
    asked = _run(definition).asked
    assert asked["Check"] == {
        "repository": "alpha",
        "level": "consistent",
        "state": "",
        "all": False,
        "read_data": False,
        "reason": "operator",
        "target": None,
    }
    assert asked["Plan prune"] == {**WHO, "dry_run": False, "posture": "pass"}
    assert asked["Take lease"] == {**WHO, "action": "take"}
    assert asked["Drop states"] == WHICH
    for phase in ("versions", "markers"):
        batches = asked[f"Batches of {phase}"]
        manifest = {"Bucket": batches["Arguments"]["Bucket"], "Key": _manifest(phase)["key"]}
        assert batches["Arguments"] == {**manifest, "VersionId": f"of {phase}"}
        item = {key: batches[key] for key in batches if key not in ("Arguments", "Resource", "ReaderConfig")}
        assert item == {**WHICH, "batch": "batch-1", "phase": phase, "token": "lease-token"}
    assert asked["Release lease"] == {**WHO, "action": "release"}
    assert asked["Verify prune"] == WHICH


def test_the_check_runs_under_the_prune_s_own_name_so_that_its_verdicts_are_known_by_it(
    definition: Definition,
) -> None:
    check = definition["States"]["Check"]
    assert check["Resource"].endswith(":states:startExecution.sync:2")
    assert check["Arguments"]["Name"] == "{% $states.context.Execution.Name %}"


def test_versions_go_before_markers(definition: Definition) -> None:
    entered = _run(definition).entered
    assert entered.index("Batches of versions") < entered.index("Batches of markers")


def test_a_dry_run_ends_with_the_plan_whatever_it_holds(definition: Definition) -> None:
    prune = _run(definition, {"Plan prune": _always(_plan(approval="needed"))}, dry_run=True)
    assert prune.entered == [*PLANNED, "Drawn"]
    assert (prune.output["ended"], prune.output["plan"]["plan"], prune.output["report"]) == ("dry-run", PLAN, None)


def test_where_nothing_goes_and_no_state_is_dropped_it_ends(definition: Definition) -> None:
    prune = _run(definition, {"Plan prune": _always(_plan(entries=0, drops=0, approval="nothing-to-do"))})
    assert (prune.entered, prune.output["ended"]) == ([*PLANNED, "Nothing to do"], "nothing-to-do")


def test_states_are_dropped_also_where_no_version_goes(definition: Definition) -> None:
    nothing = _plan(entries=0, approval="nothing-to-do", versions_manifest=None, markers_manifest=None)
    prune = _run(definition, {"Plan prune": _always(nothing)})
    assert prune.entered == [
        *(*PLANNED, "Take lease", "Drop states", "Any versions?", "Any markers?", *RELEASED, *VERIFIED, "Pruned")
    ]


def test_what_needs_an_approval_waits_for_it_before_the_lease_is_taken(definition: Definition) -> None:
    prune = _run(definition, {"Plan prune": _always(_plan(approval="needed"))})
    assert prune.entered[len(PLANNED) :][:2] == ["Ask approval", "Take lease"]
    assert prune.asked["Ask approval"] == {**WHO, "plan": PLAN, "token": "task-token"}
    ask = definition["States"]["Ask approval"]
    assert ask["Resource"].endswith(":lambda:invoke.waitForTaskToken")
    assert ask["TimeoutSeconds"] == 24 * 60 * 60


@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [
        (_fails("PruneRejected", cause="rejected by a person"), "PruneRejected", "rejected by a person"),
        (_fails("States.Timeout", cause=""), "PruneExpired", f"nobody decided on plan {PLAN} in time"),
        (_fails("PruneRefused", "no such plan"), "PruneRefused", "no such plan"),
        (_fails("NotTold", "SNS is down"), "PruneFailed", "SNS is down"),
    ],
)
def test_without_an_approval_nothing_is_leased_dropped_or_deleted(
    definition: Definition, answer: Callable[[Any], Any], error: str, cause: str
) -> None:
    prune = _run(definition, {"Plan prune": _always(_plan(approval="needed")), "Ask approval": answer})
    assert prune.entered[len(PLANNED)] == "Ask approval"
    assert len(prune.entered) == len(PLANNED) + 2
    assert prune.error == error
    assert cause in prune.cause


@pytest.mark.parametrize("step", ["Drop states", "Batches of versions", "Batches of markers", "Verify prune"])
@pytest.mark.parametrize("error", ["PruneStopped", "Sandbox.Timedout", "States.ExceedToleratedFailureThreshold"])
def test_the_lease_is_released_whatever_fails_under_it(definition: Definition, step: str, error: str) -> None:
    prune = _run(definition, {step: _fails(error)})
    assert "Release lease" in prune.entered
    assert prune.entered.index("Release lease") == len(prune.entered) - prune.entered[::-1].index("Release lease") - 1


def test_a_release_that_fails_does_not_keep_verify_from_looking(definition: Definition) -> None:
    prune = _run(definition, {"Release lease": _fails("Lambda.Unknown")})
    assert prune.entered[-4:] == ["Was anything applied?", *VERIFIED, "Pruned"]


def test_where_dropping_stops_no_batch_is_applied(definition: Definition) -> None:
    prune = _run(definition, {"Drop states": _fails("DropStopped", "a restore is under way")})
    assert prune.entered == [*PLANNED, "Take lease", "Drop states", *RELEASED, "Stopped"]
    assert (prune.error, prune.cause) == ("PruneStopped", "a restore is under way")


def test_what_breaks_while_dropping_is_told_by_its_own_name(definition: Definition) -> None:
    prune = _run(definition, {"Drop states": _fails("ClientError", "throttled")})
    assert prune.error == "PruneFailed"
    assert prune.cause.startswith("ClientError: ")


def test_verify_looks_also_after_maps_that_failed(definition: Definition) -> None:
    broken = {
        f"Batches of {phase}": _fails("States.ItemReaderFailed", cause="gone") for phase in ("versions", "markers")
    }
    prune = _run(definition, {**broken, "Verify prune": _always(_report(outcome="incomplete", unfinished=2))})
    assert prune.entered[-3:] == [*VERIFIED, "Incomplete"]
    assert prune.error == "PruneIncomplete"
    assert "2 of 2 batches have no result" in prune.cause


def test_an_incomplete_prune_says_why_its_batches_stopped(definition: Definition) -> None:
    stopped = _report(outcome="incomplete", unfinished=2, stopped=["a restore of alpha is under way"])
    prune = _run(definition, {"Verify prune": _always(stopped)})
    assert "0 version(s); a restore of alpha is under way; every kept state is whole" in prune.cause


def test_a_kept_state_that_is_not_whole_is_the_end_s_name(definition: Definition) -> None:
    prune = _run(definition, {"Verify prune": _always(_report(outcome="harmed", kept_states_whole=4))})
    assert prune.error == "PruneHarmed"
    assert prune.cause == ("1 kept state(s) are not whole; the report is records/prunes/alpha/execution-1/report.json")


@pytest.mark.parametrize("error", ["LeaseHeld", "RestoreUnderWay"])
def test_a_lease_that_another_prune_has_or_a_restore_that_is_under_way_ends_it(
    definition: Definition, error: str
) -> None:
    prune = _run(definition, {"Take lease": _fails(error, "x is in the way")})
    assert prune.entered == [*PLANNED, "Take lease", "Not leased"]
    assert (prune.error, prune.cause) == ("PruneStopped", "x is in the way")


@pytest.mark.parametrize(("named", "error"), [("CheckRefused", "PruneRefused"), ("CheckFailed", "PruneFailed")])
def test_without_a_check_s_conclusion_nothing_is_planned(definition: Definition, named: str, error: str) -> None:
    ended = json.dumps({"Error": named, "Cause": "no state yet", "Status": "FAILED"})
    prune = _run(definition, {"Check": _fails("States.TaskFailed", cause=ended)})
    assert prune.entered == [*CHECK, "Not checked"]
    assert prune.error == error
    assert prune.cause == "the check came to no conclusion, so nothing was planned: no state yet"


def test_a_check_that_was_stopped_says_so(definition: Definition) -> None:
    prune = _run(definition, {"Check": _fails("States.TaskFailed", cause=json.dumps({"Status": "ABORTED"}))})
    assert prune.cause.endswith(": ABORTED")


def test_a_plan_that_is_refused_ends_it_with_the_reason(definition: Definition) -> None:
    prune = _run(definition, {"Plan prune": _fails("PruneRefused", "the posture of alpha is a FAIL")})
    assert (prune.entered[-1], prune.error, prune.cause) == (
        "Refused",
        "PruneRefused",
        "the posture of alpha is a FAIL",
    )


def test_an_unknown_repository_is_refused_before_anything(definition: Definition) -> None:
    prune = _run(definition, repository="gone")
    assert prune.entered == ["Begin", "Is it deployed?", "Unknown repository"]
    assert (prune.error, "nothing was planned" in prune.cause) == ("PruneRefused", True)


def test_few_batches_are_applied_at_once_each_as_an_execution_that_keeps_its_history(definition: Definition) -> None:
    for phase in ("versions", "markers"):
        batches = definition["States"][f"Batches of {phase}"]
        assert batches["MaxConcurrency"] == 4
        assert batches["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        (apply,) = batches["ItemProcessor"]["States"].values()
        retried = {error for retry in apply["Retry"] for error in retry["ErrorEquals"]}
        assert not retried & {"States.ALL", "PruneStopped", "NotApproved", "PlanMismatch"}
