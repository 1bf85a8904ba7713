"""`rwm drill`: begun, followed, and told by the report that its last step wrote down."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.restore.drill import DrillReport
from functions.domain.values import RepositoryName
from functions.storage.drills import DynamoDrillReports
from tests.builders import NOON, version
from tests.cli.deployed import NAMES, Deployed, denied, document, map_run, sentence
from tests.drill.reports import CHOSEN, DAMAGED, OPENED, failure, report, verdict

RUNNING: dict[str, Any] = {"status": "RUNNING"}
DONE: dict[str, Any] = {"status": "SUCCEEDED"}
NOW = datetime.now(UTC)


def keep(deployed: Deployed, found: DrillReport) -> DrillReport:
    """conclude-drill does this last."""
    DynamoDrillReports(deployed.aws.dynamodb, NAMES.operations).append(found)
    return found


@pytest.fixture(autouse=True)
def a_state(deployed: Deployed) -> None:
    # As old as the other tests of the command: overdue only where it is said.
    deployed.record("alpha", [version("config")], cut=(NOW - NOON).total_seconds() - 60)


def concluded(deployed: Deployed, found: DrillReport) -> None:
    """The drill that is begun next ends with this."""
    deployed.workflows.on_start = lambda name: keep(deployed, found.model_copy(update={"execution": name}))


@pytest.mark.parametrize(("options", "whole"), [([], False), (["--all"], True)])
def test_a_drill_is_begun_by_the_workflow_and_told_by_its_report(
    deployed: Deployed, options: list[str], whole: bool
) -> None:
    concluded(deployed, report(chosen=OPENED, verdict=verdict()))
    result = deployed.rwm("drill", "alpha", "--json", *options)
    assert result.exit_code == 0, result.stderr
    (started,) = deployed.workflows.started
    assert started["stateMachineArn"].endswith(":stateMachine:rwm-drill")
    assert started["input"] == {"repository": "alpha", "reason": "operator", "whole": whole}
    found = document(result)
    assert found["execution"].endswith(f":execution:rwm-drill:{started['name']}")
    assert (found["outcome"], found["result"]["level"], found["result"]["seconds"]) == ("restored", "complete", 100)
    assert found["result"]["execution"] == started["name"]


def test_a_person_reads_what_was_restored_how_deep_and_how_fast(deployed: Deployed) -> None:
    concluded(deployed, report(chosen=OPENED, verdict=verdict()))
    result = deployed.rwm("drill", "alpha")
    assert "drilling alpha" in sentence(result)
    assert f"state {CHOSEN.state[:12]} of alpha, cut 2026-11-21T12:00:00Z: all of its 2 objects, 200 B" in result.stdout
    assert "restored and proven in 1 min 40 s: complete: opened with the restic password" in result.stdout


def test_a_sample_is_called_one(deployed: Deployed) -> None:
    sampled = report().model_copy(update={"sample_bytes": 100, "objects": 1, "bytes": 100, "proven": 1})
    concluded(deployed, sampled)
    shown = deployed.rwm("drill", "alpha").stdout
    assert "a sample, 1 objects, 100 B, of its 2 objects, 200 B" in shown
    assert "each object has the bytes that it should have" in shown


@pytest.mark.parametrize(
    ("found", "exit_code", "says"),
    [
        (report(restored=DAMAGED), 4, "the copy is exactly the state, of which objects were damaged"),
        (
            report(chosen=None, restored=None, failure=failure("NoGoodState", '{"errorMessage": "1 never judged"}')),
            1,
            "no state that is kept is known to be good",
        ),
    ],
)
def test_a_drill_that_failed_says_why(deployed: Deployed, found: DrillReport, exit_code: int, says: str) -> None:
    concluded(deployed, found)
    result = deployed.rwm("drill", "alpha")
    assert result.exit_code == exit_code
    assert f"the drill failed after 1 min 40 s: {says}" in result.stdout
    assert found.detail in result.stdout
    assert "Its restore and its check are executions of the same name: alpha-drill-" in result.stdout


def test_while_it_goes_on_it_says_what_is_done(deployed: Deployed) -> None:
    concluded(deployed, report())
    deployed.workflows.looks = [*[RUNNING] * 5, DONE]
    # Of the check's own execution it is asked for a step, too.
    deployed.workflows.steps = ["Choose drill", "Restore", "Restore", "Check copy", "Check complete", "Conclude drill"]
    deployed.workflows.map_runs = [map_run("RUNNING", 2, 7)]
    said = deployed.rwm("drill", "alpha").stderr.splitlines()
    assert said[1:] == ["choosing", "restoring: 2 of 7 batches", "checking the copy: complete", "concluding"]


def test_whoever_does_not_wait_is_told_how_to_look(deployed: Deployed) -> None:
    result = deployed.rwm("drill", "alpha", "--no-wait")
    assert result.exit_code == 3
    assert "started, and not waited for" in result.stdout
    assert "`rwm drill alpha --list` shows its end" in result.stdout


def test_a_drill_without_a_report_is_a_failure(deployed: Deployed) -> None:
    result = deployed.rwm("drill", "alpha")
    assert result.exit_code == 1
    assert "the workflow ended without a report; nothing proves that the repository can be restored" in sentence(result)


def test_a_refused_drill_is_refused_and_one_that_was_not_concluded_failed(deployed: Deployed) -> None:
    deployed.workflows.looks = [{"status": "FAILED", "error": "DrillRefused", "cause": "no repository; nothing was"}]
    refused = deployed.rwm("drill", "alpha")
    assert (refused.exit_code, "no repository; nothing was" in sentence(refused)) == (2, True)
    deployed.workflows.looks = [{"status": "FAILED", "error": "DrillFailed", "cause": "NotTold: SNS"}]
    failed = deployed.rwm("drill", "alpha")
    assert failed.exit_code == 1
    assert "the drill ended without a conclusion: DrillFailed: NotTold: SNS" in sentence(failed)


def test_when_aws_cannot_be_asked_any_more_the_drill_goes_on(deployed: Deployed) -> None:
    deployed.workflows.looks = [RUNNING, {"raise": denied("DescribeExecution")}]
    result = deployed.rwm("drill", "alpha")
    assert result.exit_code == 1
    assert "the drill goes on all the same" in sentence(result)


def test_what_cannot_be_drilled_is_refused_before_anything_is_begun(deployed: Deployed) -> None:
    assert deployed.rwm("drill", "gamma").exit_code == 2
    young = deployed.rwm("drill", "beta")
    assert young.exit_code == 2
    assert "beta has no recorded state yet; nothing was drilled; run `rwm record beta`" in sentence(young)
    assert deployed.workflows.started == []


# --- the list ----------------------------------------------------------------------------------------------


def listed(deployed: Deployed, *more: str) -> Any:
    result = deployed.rwm("drill", "alpha", "--list", "--json", *more)
    assert result.exit_code == 0, result.stderr
    assert deployed.workflows.started == []
    return document(result)


def test_past_drills_come_newest_first(deployed: Deployed) -> None:
    for number, found in enumerate((report(100), report(200, restored=DAMAGED), report(300))):
        keep(deployed, found.model_copy(update={"execution": f"drill-{number}"}))
    found = listed(deployed, "--limit", "2")
    assert [(each["execution"], each["outcome"]) for each in found["drills"]] == [
        ("drill-2", "restored"),
        ("drill-1", "failed"),
    ]
    assert found["more"] is True
    assert listed(deployed, "--limit", "3")["more"] is False
    shown = deployed.rwm("drill", "alpha", "--list").stdout
    assert ["drill-2", "2026-11-21T12:05:00Z", "restored", "content"] in [
        line.split()[:4] for line in shown.splitlines()
    ]
    assert "damaged" in shown


def test_without_any_it_says_how_to_begin_one(deployed: Deployed) -> None:
    assert listed(deployed) == {"repository": "alpha", "drills": [], "more": False, "overdue_since": None}
    assert "no drill of alpha has ended yet" in deployed.rwm("drill", "alpha", "--list").stdout


def test_an_overdue_drill_is_told(deployed: Deployed) -> None:
    long_ago = (NOW - timedelta(days=40)).replace(microsecond=0)
    deployed.record("beta", [version("config", written=-(10**9))], cut=(long_ago - NOON).total_seconds())
    due = long_ago + timedelta(days=35, seconds=3)
    found = document(deployed.rwm("drill", "beta", "--list", "--json"))
    assert found["overdue_since"] == due.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "overdue: a drill should have succeeded by" in deployed.rwm("drill", "beta", "--list").stdout
    keep(deployed, report().model_copy(update={"repository": "beta", "ended_at": NOW.replace(microsecond=0)}))
    assert document(deployed.rwm("drill", "beta", "--list", "--json"))["overdue_since"] is None


def test_what_a_step_said_cannot_speak_to_the_terminal(deployed: Deployed) -> None:
    nasty = report(chosen=None, restored=None, failure=failure("E", "\x1b[2Jall is well"))
    concluded(deployed, nasty)
    shown = deployed.rwm("drill", "alpha").stdout
    assert r"\x1b[2Jall is well" in shown
    assert "\x1b" not in shown


def test_a_report_that_cannot_be_read_is_a_failure(deployed: Deployed) -> None:
    kept = keep(deployed, report())
    place = f"2026-11-21T12:01:40Z#{kept.execution}"
    deployed.change_item(NAMES.operations, "drill#alpha", place, document={"B": b"{}"})
    result = deployed.rwm("drill", "alpha", "--list")
    assert result.exit_code == 1
    assert "nothing was drilled" in sentence(result)


def test_another_repository_s_drills_are_not_shown(deployed: Deployed) -> None:
    keep(deployed, report().model_copy(update={"repository": RepositoryName("beta")}))
    assert listed(deployed)["drills"] == []
