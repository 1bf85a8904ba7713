"""`rwm prune`, `rwm prunes`: what is started, who is waited for, and what is believed at the end."""

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.report import Harmed
from functions.domain.prune.validity import PruneRefused, check_passed
from functions.domain.verdict import seen
from tests.cli.deployed import ACCOUNT, NAMES, RECORDS, REGION, Deployed, denied, document, map_run, sentence
from tests.cli.shelf import Shelf
from tests.domain.judging import FAIL, HOLD, judge

RUNNING, SUCCEEDED = {"status": "RUNNING"}, {"status": "SUCCEEDED"}
ODD = seen(HOLD)
VERIFIED = ("PruneIncomplete", "PruneHarmed")
UNFINISHED = {"unfinished": True}


@pytest.fixture
def shelf(deployed: Deployed) -> Shelf:
    return Shelf(deployed)


class Workflow:
    """What the deployed workflow would do: shelve a plan when it starts, and report on it when it ends."""

    def __init__(self, shelf: Shelf, looks: Sequence[Any] = (SUCCEEDED,), **drawn: Any) -> None:
        self.shelf = shelf
        self.looks = looks
        self.drawn = drawn
        self.reports: dict[str, Any] | None = {}
        """How it reports; None: not at all."""
        self.says: dict[str, Any] = {}
        """What its output says otherwise."""
        self.shelved: ShelvedPlan | None = None
        workflows = shelf.deployed.workflows
        workflows.looks, workflows.on_start, workflows.on_end = looks, self.start, self.end

    @property
    def plan(self) -> ShelvedPlan:
        assert self.shelved is not None
        return self.shelved

    def start(self, execution: str) -> None:
        dry_run = self.shelf.deployed.workflows.started[-1]["input"]["dry_run"]
        self.shelved = self.shelf.draw(execution, dry_run=dry_run, **self.drawn)

    def end(self, _execution: str) -> dict[str, Any] | None:
        plan, error = self.plan, self.looks[-1].get("error")
        ended = "dry-run" if plan.dry_run else "pruned" if plan.entries or plan.drops else "nothing-to-do"
        if ended == "pruned" and error in (None, *VERIFIED) and self.reports is not None:
            self.shelf.report(plan, **self.reports)
        if error:
            return None
        return {
            "repository": "alpha",
            "state": plan.state,
            "generation": plan.generation,
            "posture": plan.posture,
            "outcomes": {"posture": plan.posture, "consistent": "pass"},
            "ended": ended,
            "plan": {"plan": plan.plan, "plan_version": plan.version_id, "entries": plan.entries},
            "report": {"outcome": "done"} if ended == "pruned" else None,
            **self.says,
        }


def failed(error: str, cause: str = "") -> dict[str, str]:
    return {"status": "FAILED", "error": error, "cause": cause}


class TestTheBeginning:
    def test_starts_the_workflow_in_the_operators_name(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf)
        deployed.rwm("prune", "alpha")
        (started,) = deployed.workflows.started
        assert started["stateMachineArn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-prune"
        assert started["input"] == {"repository": "alpha", "reason": "operator", "dry_run": False}
        assert started["name"].startswith("alpha-prune-")
        assert len(started["name"]) <= 80

    def test_an_unknown_repository_is_refused(self, deployed: Deployed) -> None:
        result = deployed.rwm("prune", "gamma")
        assert (result.exit_code, "has no repository 'gamma'" in sentence(result)) == (2, True)
        assert deployed.workflows.started == []

    def test_who_may_not_start_it_is_told_who_may(self, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_: Any) -> None:
            raise denied("StartExecution")

        monkeypatch.setattr(deployed.workflows, "start_execution", refuse)
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 2
        assert "may not states:StartExecution; nothing is known to have been pruned. The role rwm-operator" in sentence(
            result
        )


class TestFollowing:
    def test_tells_each_step_and_how_many_batches_are_deleted(
        self, deployed: Deployed, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Workflow(shelf, [RUNNING] * 9 + [SUCCEEDED])
        deployed.workflows.steps = [
            "Check", "Record", "Check", "Plan content", "Plan prune", "Take lease", "Drop states", "Drop states",
            "Drop states", "Release lease", "Verify prune",
        ]  # fmt: skip
        ended = map_run("SUCCEEDED", 9, 9)
        running = [map_run("RUNNING", 1, 4), map_run("RUNNING", 3, 4, failed=1)]
        deployed.workflows.map_runs = [ended, ended, ended, ended, *running, ended]
        asked: list[str] = []
        history = deployed.workflows.get_execution_history

        def look(**request: Any) -> Any:
            asked.append(request["executionArn"].split(":", 6)[-1])
            return history(**request)

        monkeypatch.setattr(deployed.workflows, "get_execution_history", look)
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 0
        assert result.stderr.splitlines() == [
            "pruning of alpha",
            "checking: recording a state",
            "checking: content: 9 of 9 batches",
            "planning",
            "taking the lease",
            "dropping states",
            "deleting: 1 of 4 batches",
            "deleting: 4 of 4 batches, 1 failed",
            "giving the lease back",
            "verifying",
        ]
        name = deployed.workflows.started[0]["name"]
        assert asked[:2] == [f"rwm-prune:{name}", f"rwm-check:{name}"]

    def test_progress_that_cannot_be_read_does_not_end_the_prune(
        self, deployed: Deployed, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: Any) -> None:
            raise denied("GetExecutionHistory")

        monkeypatch.setattr(deployed.workflows, "get_execution_history", refuse)
        Workflow(shelf, [RUNNING, SUCCEEDED])
        assert deployed.rwm("prune", "alpha").exit_code == 0

    def test_when_aws_is_not_reached_any_more_the_prune_goes_on(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, [RUNNING, {"raise": EndpointConnectionError(endpoint_url="https://states")}])
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert "the prune goes on all the same. Look at it with `aws stepfunctions describe-execution" in sentence(
            result
        )

    def test_when_the_shelf_cannot_be_read_the_prune_goes_on(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING])

        def spoil(execution: str) -> None:
            workflow.start(execution)
            deployed.change_item(NAMES.operations, "plan#alpha", workflow.plan.plan, document={"B": b"{}"})

        deployed.workflows.on_start = spoil
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert "the prune goes on all the same. Look at it with" in sentence(result)

    def test_when_the_operator_stops_waiting_the_prune_goes_on(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, [RUNNING, {"raise": KeyboardInterrupt()}])
        result = deployed.rwm("prune", "alpha", "--json")
        assert result.exit_code == 3
        assert "not waiting any longer; the prune goes on" in document(result)["error"]["message"]
        assert "`rwm plans alpha` shows its plan, `rwm prunes alpha` what became of it" in sentence(result)


class TestWhereAnApproverIsNeeded:
    def test_the_plan_is_shown_and_nobody_is_waited_for(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING] * 50, findings=[ODD])
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 3
        shown = result.stdout
        assert f"plan {workflow.plan.plan} of alpha: waits for an approver until " in shown
        assert "it deletes 2 versions of 4, and 1 delete markers of 2" in shown
        assert "hidden for longer than the grace" in shown
        assert f"     {shelf.old.id[:12]} (generation 1), cut " in shown
        assert "HOLD growth: what" in shown
        assert f"waits for an approver: rwm approve {workflow.plan.plan}\n" in shown
        assert "without one nothing is deleted" in shown
        assert len(deployed.workflows.looks) > 40

    def test_as_a_document_it_has_the_plan_and_no_result(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING] * 9, findings=[ODD])
        result = deployed.rwm("prune", "alpha", "--json")
        assert result.exit_code == 3
        found = document(result)
        assert (found["outcome"], found["result"], found["checks"]) == ("waiting", None, {})
        assert (found["plan"]["plan"], found["plan"]["status"]) == (workflow.plan.plan, "waiting")
        assert found["execution"].endswith(f":execution:rwm-prune:{workflow.plan.execution}")

    def test_the_plan_of_another_execution_is_not_taken_for_this_ones(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw("yesterday", findings=[ODD], ago=0)
        Workflow(shelf, [RUNNING, RUNNING, SUCCEEDED])
        assert deployed.rwm("prune", "alpha").exit_code == 0

    def test_with_wait_the_plan_is_shown_and_the_end_is_waited_for(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING, RUNNING, RUNNING, SUCCEEDED], findings=[ODD])
        result = deployed.rwm("prune", "alpha", "--wait")
        assert result.exit_code == 0
        assert f"waits for an approver: rwm approve {workflow.plan.plan}\n" in result.stderr
        assert "pruned alpha: all of the plan was carried out" in result.stdout
        assert "waits for an approver" not in result.stdout

    def test_a_program_that_waits_reads_one_document(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, [RUNNING, RUNNING, RUNNING, SUCCEEDED], findings=[ODD])
        result = deployed.rwm("prune", "alpha", "--wait", "--json")
        assert (document(result)["outcome"], result.stderr) == ("pruned", "")

    def test_what_was_decided_before_anybody_looked_is_not_waited_for(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING, RUNNING, SUCCEEDED], findings=[ODD])

        def decided(execution: str) -> None:
            workflow.start(execution)
            shelf.decide(workflow.plan)

        deployed.workflows.on_start = decided
        assert deployed.rwm("prune", "alpha").exit_code == 0

    def test_a_plan_that_does_not_prove_itself_is_not_shown(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING] * 9, findings=[ODD])

        def forge(execution: str) -> None:
            workflow.start(execution)
            forged = workflow.plan.model_copy(update={"drops": 0})
            deployed.change_item(NAMES.operations, "plan#alpha", workflow.plan.plan, document={"B": forged.canonical()})

        deployed.workflows.on_start = forge
        result = deployed.rwm("prune", "alpha")
        assert (result.exit_code, result.stdout) == (4, "")
        assert "the shelf says something else of plan" in sentence(result)


class TestADryRun:
    @pytest.mark.parametrize(("findings", "code"), [([], 0), ([ODD], 3)], ids=["pass", "hold"])
    def test_shows_the_plan_and_ends_as_it_would(
        self, deployed: Deployed, shelf: Shelf, findings: list[Any], code: int
    ) -> None:
        workflow = Workflow(shelf, [RUNNING, SUCCEEDED], findings=findings)
        result = deployed.rwm("prune", "alpha", "--dry-run")
        assert result.exit_code == code
        assert deployed.workflows.started[0]["input"]["dry_run"] is True
        assert f"plan {workflow.plan.plan} of alpha: dry run\n" in result.stdout
        assert "dry run: nothing was deleted, and nobody is asked" in result.stdout
        assert "rwm approve" not in result.stdout

    def test_as_a_document(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf)
        found = document(deployed.rwm("prune", "alpha", "--dry-run", "--json"))
        assert (found["outcome"], found["dry_run"], found["result"]) == ("dry-run", True, None)
        assert found["plan"]["status"] == "dry-run"


class TestTheEnd:
    def test_what_was_reclaimed_is_what_the_report_says(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf, [RUNNING, SUCCEEDED])
        result = deployed.rwm("prune", "alpha", "--json")
        assert result.exit_code == 0
        found = document(result)
        assert (found["outcome"], found["checks"]) == ("pruned", {"posture": "pass", "consistent": "pass"})
        assert (found["plan"]["plan"], found["plan"]["status"]) == (workflow.plan.plan, "applied")
        done = found["result"]
        assert (done["versions"], done["markers"], done["bytes"]) == (2, 1, 200)
        assert (done["kept_states"], done["kept_states_whole"], done["dropped_states"]) == (1, 1, 1)
        assert done["report"] == {"bucket": RECORDS, "key": f"prunes/alpha/{workflow.plan.execution}/report.json"}

    def test_it_is_told_with_what_waits_and_until_when(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf)
        shown = deployed.rwm("prune", "alpha").stdout
        assert "pruned alpha: all of the plan was carried out\nreclaimed 200 B: 2 of 2 planned versions and 1 of 1" in (
            shown
        )
        assert "1 of 1 kept states are whole; 1 were dropped\n" in shown
        assert "what stays for now:\n" in shown
        assert "hidden or replaced less than the grace ago        1  100 B  20" in shown
        assert f"report: s3://{RECORDS}/prunes/alpha/alpha-prune-" in shown

    def test_what_s3_still_protects_waits_and_is_no_failure(self, deployed: Deployed, shelf: Shelf) -> None:
        stays = {"by": "waits", "why": "AccessDenied", "words": "locked\x1b[2J"}
        Workflow(shelf).reports = {"stays": stays}
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 0
        assert r"S3 says AccessDenied: locked\x1b[2J (planned)" in result.stdout
        assert "\x1b" not in result.stdout

    def test_with_nothing_to_do_says_so(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, nothing=True)
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 0
        assert "nothing to do: no version of alpha may go, and none was deleted\nwhat stays for now:\n" in result.stdout
        Workflow(shelf, nothing=True)
        assert document(deployed.rwm("prune", "alpha", "--json"))["outcome"] == "nothing-to-do"

    def test_where_only_states_were_dropped_that_is_told(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, nothing=True, drops=True)
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 0
        assert "reclaimed 0 B: 0 of 0 planned versions" in result.stdout
        assert "1 of 1 kept states are whole; 1 were dropped" in result.stdout

    def test_what_was_not_carried_out_is_a_failure_and_told(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, [RUNNING, failed("PruneIncomplete", "2 of 2 batches have no result")]).reports = UNFINISHED
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert "pruned alpha, but not all of the plan was carried out" in result.stdout
        assert "0 entries could not be deleted; of 2 of 2 batches nothing is known. `rwm prune alpha` plans" in (
            result.stdout
        )

    def test_a_kept_state_that_is_not_whole_is_a_fail(self, deployed: Deployed, shelf: Shelf) -> None:
        harmed = {"harmed": [Harmed(state=shelf.fresh.id, generation=2, missing=3, unproven=False)]}
        Workflow(shelf, [failed("PruneHarmed", "1 kept state(s) are not whole")]).reports = harmed
        result = deployed.rwm("prune", "alpha", "--json")
        assert result.exit_code == 4
        found = document(result)
        assert (found["outcome"], found["result"]["kept_states_whole"]) == ("harmed", 0)
        Workflow(shelf, [failed("PruneHarmed")]).reports = harmed
        shown = deployed.rwm("prune", "alpha").stdout
        assert "1 kept states of alpha are not whole\n" in shown
        assert f"     {shelf.fresh.id[:12]} (generation 2): 3 versions that it names are not listed\n" in shown
        assert "Let no prune run, restore from a state that is whole" in shown


class TestWhereNothingWasPlanned:
    @pytest.mark.parametrize(
        "cause",
        [
            "the posture of alpha is a FAIL; nothing was planned; `rwm check` shows why",
            "state 123, recorded since, has a FAIL; nothing was planned; `rwm check`",
        ],
    )
    def test_because_of_a_fail_is_a_fail(self, deployed: Deployed, shelf: Shelf, cause: str) -> None:
        Workflow(shelf, [failed("PruneRefused", cause)])
        result = deployed.rwm("prune", "alpha", "--json")
        assert result.exit_code == 4
        assert document(result)["error"] == {"exit_code": 4, "kind": "fail", "message": cause}

    def test_the_checks_own_refusal_is_known_by_its_words(self, deployed: Deployed, shelf: Shelf) -> None:
        """What the planner says of a state that failed, and of one that it did not judge."""
        verdict = judge(shelf.fresh, FAIL, by="monday").verdict
        for verdicts, code in (([verdict], 4), ([], 2)):
            with pytest.raises(PruneRefused) as refusal:
                check_passed(shelf.fresh, verdicts, "monday")
            Workflow(shelf, [failed("PruneRefused", str(refusal.value))])
            assert deployed.rwm("prune", "alpha").exit_code == code

    @pytest.mark.parametrize(
        ("cause", "said"),
        [
            ("versioning of alpha-bucket is Suspended; nothing was planned; enable it", "nothing was planned; enable"),
            ("", "the prune of alpha was refused; nothing was planned, and nothing was deleted"),
        ],
    )
    def test_for_another_reason_is_a_refusal(self, deployed: Deployed, shelf: Shelf, cause: str, said: str) -> None:
        Workflow(shelf, [failed("PruneRefused", cause)])
        result = deployed.rwm("prune", "alpha")
        assert (result.exit_code, said in sentence(result)) == (2, True)

    @pytest.mark.parametrize(
        ("error", "cause", "said"),
        [
            ("PruneRejected", "rejected by anna at noon; nothing was deleted", "ended: rejected by anna at noon; "),
            ("PruneRejected", "", "the prune of alpha ended: an approver rejected it. `rwm plans alpha`"),
            ("PruneExpired", "nobody decided in time; nothing was deleted", "ended: nobody decided in time; nothing"),
            ("PruneStopped", "another prune has the lease; nothing was deleted", "ended: another prune has the lease"),
        ],
    )
    def test_and_what_ended_it_before_anything_was_deleted_is_told(
        self, deployed: Deployed, shelf: Shelf, error: str, cause: str, said: str
    ) -> None:
        Workflow(shelf, [RUNNING, RUNNING, failed(error, cause)], findings=[ODD])
        result = deployed.rwm("prune", "alpha", "--wait")
        assert result.exit_code == 1
        assert said in sentence(result)
        assert "`rwm prune alpha` draws a new one" in sentence(result)

    @pytest.mark.parametrize(
        ("look", "said"),
        [
            (failed("PruneFailed", "boom"), "the prune failed: PruneFailed: boom; it may have deleted a part"),
            (
                failed("PruneFailed", 'AccessDenied: {"errorMessage": "not allowed"}'),
                "the prune failed: PruneFailed: AccessDenied: not allowed; it may have deleted a part of its plan",
            ),
            ({"status": "TIMED_OUT"}, "the prune failed: TIMED_OUT; it may have deleted a part of its plan"),
            ({"status": "ABORTED"}, "the prune failed: ABORTED;"),
        ],
    )
    def test_a_workflow_that_broke_is_a_failure(
        self, deployed: Deployed, shelf: Shelf, look: dict[str, str], said: str
    ) -> None:
        Workflow(shelf, [look])
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert said in sentence(result)
        assert "`rwm check alpha` judges what is there, and `rwm prune alpha` plans anew" in sentence(result)


class TestWhatIsNotBelieved:
    @pytest.mark.parametrize(
        ("says", "said"),
        [
            ({"repository": "beta"}, "which is not what was asked for, or not what its plan says"),
            ({"ended": "nothing-to-do"}, "the workflow says nothing-to-do of alpha, which is not what was asked for"),
            ({"ended": "dry-run"}, "the workflow says dry-run of alpha, which is not what was asked for"),
            ({"ended": "all is well"}, "the workflow rwm-prune gave an answer this version of RWM cannot read"),
            ({"plan": {"plan": "0" * 64}}, "speaks of plan 000000000000, which is not on the shelf as its own"),
        ],
        ids=["another repository", "nothing to do", "dry run", "unreadable", "another plan"],
    )
    def test_is_a_workflow_that_says_something_else_than_its_plan(
        self, deployed: Deployed, shelf: Shelf, says: dict[str, Any], said: str
    ) -> None:
        Workflow(shelf).says = says
        result = deployed.rwm("prune", "alpha")
        assert (result.exit_code, said in sentence(result)) == (1, True)

    def test_is_a_prune_where_a_dry_run_was_asked_for(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf).says = {"ended": "pruned"}
        result = deployed.rwm("prune", "alpha", "--dry-run")
        assert result.exit_code == 1
        assert "the workflow says pruned of alpha, which is not what was asked for" in sentence(result)

    def test_is_the_plan_of_another_execution(self, deployed: Deployed, shelf: Shelf) -> None:
        other = shelf.draw("yesterday")
        Workflow(shelf).says = {"plan": {"plan": other.plan}}
        assert "which is not on the shelf as its own" in sentence(deployed.rwm("prune", "alpha"))

    def test_is_an_end_without_a_report(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf).reports = None
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert "ended without a report; nothing proves that every kept state is whole" in sentence(result)

    def test_is_an_end_of_which_the_report_says_worse(self, deployed: Deployed, shelf: Shelf) -> None:
        harmed = [Harmed(state=shelf.fresh.id, generation=2, missing=1, unproven=False)]
        Workflow(shelf).reports = {"harmed": harmed}
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 4
        assert "the workflow says done and its report harmed; trust neither" in sentence(result)
        Workflow(shelf).reports = UNFINISHED
        assert deployed.rwm("prune", "alpha").exit_code == 1

    def test_is_harm_without_a_report(self, deployed: Deployed, shelf: Shelf) -> None:
        Workflow(shelf, [failed("PruneHarmed")]).reports = None
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 4
        assert "the workflow says harmed and ended without a report" in sentence(result)

    def test_is_a_report_on_another_plan(self, deployed: Deployed, shelf: Shelf) -> None:
        workflow = Workflow(shelf)
        workflow.reports = None

        def end(execution: str) -> dict[str, Any] | None:
            shelf.report(shelf.draw(execution, ago=100))
            return Workflow.end(workflow, execution)

        deployed.workflows.on_end = end
        result = deployed.rwm("prune", "alpha")
        assert result.exit_code == 1
        assert "and the workflow says " in sentence(result)


class TestPastPrunes:
    def test_are_listed_with_what_they_came_to(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.report(shelf.draw("monday", ago=500))
        incomplete = shelf.draw("tuesday", ago=100)
        shelf.report(incomplete, unfinished=True)
        result = deployed.rwm("prunes", "alpha", "--json")
        assert result.exit_code == 0
        found = document(result)
        assert [(each["execution"], each["outcome"]) for each in found["prunes"]] == [
            ("tuesday", "incomplete"), ("monday", "done"),
        ]  # fmt: skip
        assert found["prunes"][0]["plan"] == incomplete.plan
        assert (found["repository"], found["more"]) == ("alpha", False)
        shown = deployed.rwm("prunes", "alpha", "--limit", "1").stdout
        assert "  incomplete         0        0        0 B        1 of 1  " in shown
        assert "monday" not in shown
        assert "there are older ones: --limit" in shown

    def test_of_a_repository_that_never_pruned_are_none(self, deployed: Deployed, shelf: Shelf) -> None:
        assert "no prune of alpha has deleted anything yet" in deployed.rwm("prunes", "alpha").stdout
        assert document(deployed.rwm("prunes", "alpha", "--json"))["prunes"] == []
