"""A prune in the deployed system: what it asks, whom it asks, what goes, and what is left."""

import json

import pytest

from functions.domain.findings import FindingId
from tests.system.conftest import Begun
from tests.system.pruned import Pruned
from tests.system.system import System

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def pruned(begun: Begun) -> Pruned:
    return begun.pruned.result()


def _states(pruned: Pruned) -> dict[str, dict[str, object]]:
    """What `rwm states` says after the approved prune, by id."""
    return {state["id"]: state for state in pruned.states.document["states"]}


# --- asked ------------------------------------------------------------------------------------------------


def test_a_dry_run_plans_and_asks_nobody(pruned: Pruned) -> None:
    said = pruned.dry_run.document
    assert (pruned.dry_run.exit_code, said["outcome"]) == (3, "dry-run")
    assert said["checks"] == {"posture": "pass", "consistent": "pass"}
    plan = said["plan"]
    assert (plan["status"], plan["outcome"]) == ("dry-run", "hold")
    assert plan["versions"] > 0 < plan["markers"]
    assert {each["state"] for each in plan["dropped"]} >= set(pruned.old)
    listed = {each["plan"]: each["status"] for each in pruned.plans.document["plans"]}
    assert listed[plan["plan"]] == "dry-run"


def test_a_plan_with_a_hold_waits_and_tells_approvers(pruned: Pruned) -> None:
    said = pruned.waiting.document
    assert (pruned.waiting.exit_code, said["outcome"]) == (3, "waiting")
    assert [finding["id"] for finding in said["plan"]["findings"]] == [FindingId.PRUNE_FREES_MUCH]
    (notice,) = pruned.told
    digest = said["plan"]["plan"]
    assert digest[:12] in notice["Subject"]
    for word in (digest, FindingId.PRUNE_FREES_MUCH, "hidden", f"{said['plan']['bytes']:,} bytes"):
        assert word in notice["Message"]


def test_an_operator_cannot_approve(pruned: Pruned) -> None:
    assert pruned.by_the_operator.exit_code == 2
    assert "nothing was decided" in pruned.by_the_operator.message
    assert "approver" in pruned.by_the_operator.message


def test_a_rejection_ends_the_prune_and_stands(pruned: Pruned) -> None:
    assert (pruned.rejected.exit_code, pruned.rejected.document["woken"]) == (0, True)
    assert (pruned.after_rejection.status, pruned.after_rejection.error) == ("FAILED", "PruneRejected")
    assert "nothing was deleted" in pruned.after_rejection.cause
    assert pruned.too_late.exit_code == 2
    assert "was rejected" in pruned.too_late.message


def test_an_approval_counts_no_more_when_a_state_is_held(pruned: Pruned) -> None:
    assert (pruned.held.exit_code, pruned.held.document["outcome"]) == (0, "held")
    assert (pruned.after_hold.status, pruned.after_hold.error) == ("FAILED", "PruneStopped")
    assert "held or released" in pruned.after_hold.cause
    assert pruned.released.document["outcome"] == "released"


def test_nothing_goes_before_an_approval_that_counts(pruned: Pruned) -> None:
    assert pruned.untouched == pruned.before


def test_the_first_decision_stands(pruned: Pruned) -> None:
    assert (pruned.approved.exit_code, pruned.approved.document["woken"]) == (0, True)
    assert (pruned.again.outcome, pruned.again.before, pruned.again.woken) == ("approved", True, False)
    assert pruned.again.by == pruned.approved.document["by"]
    assert "was approved" in pruned.against_it
    assert "nothing was decided now" in pruned.against_it


# --- applied ----------------------------------------------------------------------------------------------


def test_the_approved_prune_goes_on_to_its_end(pruned: Pruned) -> None:
    assert (pruned.done.status, pruned.done.output["ended"]) == ("SUCCEEDED", "pruned")
    report = pruned.done.report
    assert (report["outcome"], report["unfinished"], report["failed"]) == ("done", 0, 0)
    assert report["kept_states"] == report["kept_states_whole"] > 0


def test_what_goes_is_what_was_planned_and_reported(pruned: Pruned) -> None:
    gone = pruned.before - pruned.after
    (said,) = (each for each in pruned.prunes.document["prunes"] if each["execution"] == pruned.done.execution)
    assert len(gone) == said["versions"] == said["planned_versions"] == pruned.done.report["versions"]
    assert said["markers"] == said["planned_markers"] == pruned.done.report["markers"]
    assert said["plan"] == pruned.approved.document["plan"]
    assert {"data", "index", "snapshots", "locks"} == {key.partition("/")[0] for key, _ in gone}
    assert pruned.after <= pruned.before


def test_the_report_is_a_locked_object(system: System, pruned: Pruned) -> None:
    place = pruned.done.report["report"]
    assert place["bucket"] == system.records
    found = system.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])
    assert found["ObjectLockMode"] in ("GOVERNANCE", "COMPLIANCE")
    report = json.loads(found["Body"].read())
    assert report["plan"] == pruned.approved.document["plan"]
    assert report["reclaimed"]["objects"] == pruned.done.report["versions"]


def test_dropped_states_are_told_and_restored_from_no_more(pruned: Pruned) -> None:
    told = _states(pruned)
    for state in pruned.old:
        dropped = told[state]["dropped"]
        assert isinstance(dropped, dict)
        assert (dropped["prune"], dropped["plan"]) == (pruned.done.execution, pruned.approved.document["plan"])
    assert pruned.dropped_to_be_restored.exit_code == 2
    assert "was dropped by prune" in pruned.dropped_to_be_restored.message
    assert "nothing was written" in pruned.dropped_to_be_restored.message


def test_every_kept_state_says_why(pruned: Pruned) -> None:
    kept = [state for state in _states(pruned).values() if state["dropped"] is None]
    assert len(kept) == pruned.done.report["kept_states"]
    assert all(state["kept"] for state in kept)


def test_every_kept_state_is_whole_and_restores_to_what_restic_opens(pruned: Pruned) -> None:
    kept = pruned.kept
    assert set(kept.missing.values()) == {0}
    assert set(kept.restored.values()) == {"restored"}
    assert set(kept.checked) == set(kept.restored)
    assert set(kept.checked.values()) == {""}


def test_the_lease_is_given_back(pruned: Pruned) -> None:
    assert (pruned.lease["execution"], pruned.lease["released"]) == (pruned.done.execution, True)


def test_the_schedule_prunes_without_a_person_where_nothing_is_odd(pruned: Pruned) -> None:
    asked = json.loads(pruned.schedule["Target"]["Input"])
    assert asked == {"repository": "pruned", "reason": "schedule", "dry_run": False}
    assert pruned.schedule["ScheduleExpression"] == "rate(7 days)"
    assert pruned.scheduled.status == "SUCCEEDED", pruned.scheduled
    assert pruned.scheduled.output["ended"] == "pruned"
    assert pruned.scheduled.output["plan"]["approval"] == "not-needed"
    assert pruned.scheduled.report["outcome"] == "done"


def test_no_task_token_is_told_logged_answered_or_written_down(pruned: Pruned) -> None:
    # AWS's own history of an execution shows what a step was given, the token too; ministack's does not. Whoever reads
    # it there may not send it (test_roles.py), and a prune that was woken is not approved (test_campaign.py).
    assert len(pruned.tokens) == 3
    for token in pruned.tokens:
        assert all(token not in said for said in (*pruned.said, pruned.history))
    assert sum("approvers were asked" in said for said in pruned.said) >= 3
    assert "waitForTaskToken" in pruned.history
