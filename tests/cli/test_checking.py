"""`rwm check`: what is asked for, how it is followed, and what its verdicts mean."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from cli.checking import claim
from functions.domain.state import StateHeader
from functions.domain.values import Evidence, Finding, ObjectKey, RepositoryName, Severity, VersionId
from functions.domain.verdict import CheckLevel, Outcome
from tests.builders import at, named, pack, version
from tests.cli.deployed import ACCOUNT, REGION, Deployed, denied, document, map_run, sentence

FINDING = {
    "id": "lifecycle-expires",
    "severity": "FAIL",
    "what": "lifecycle rule 'tidy' hides current objects",
    "remedy": "remove the rule",
    "since": "2026-11-21T12:00:00Z",
}
DRIFT = {**FINDING, "id": "drift", "severity": "HOLD", "what": "the configuration changed", "remedy": "find out who"}
NOTE = {**FINDING, "id": "uploads-not-aborted", "severity": "NOTE", "what": "incomplete uploads stay"}

RUNNING, SUCCEEDED = {"status": "RUNNING"}, {"status": "SUCCEEDED"}
LEVELS = list(CheckLevel)
PASSED = {"outcome": "pass", "level": "posture", "findings": [], "unread": {}}


def verdict(outcome: str, *findings: dict[str, Any], **unread: str) -> dict[str, Any]:
    return {"outcome": outcome, "level": "posture", "findings": list(findings), "unread": unread}


def attack(keys: int = 1, finding_id: str = "pack-overwritten", severity: Severity = Severity.FAIL) -> Finding:
    evidence = tuple(
        Evidence(ObjectKey(pack(f"{number}")), (VersionId(f"v{number}"), VersionId(f"w{number}")), at(number))
        for number in range(keys)
    )
    return Finding(finding_id, severity, RepositoryName("alpha"), at(0), f"{keys} packs changed", "restore", evidence)


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config"), version(pack("a")), version(named("snapshots", "s"))])


class Workflow:
    """What the deployed workflow would do: judge each level that is asked for, and say so."""

    def __init__(self, deployed: Deployed, state: StateHeader) -> None:
        self.deployed = deployed
        self.state = state
        self.found: dict[CheckLevel, Sequence[Finding]] = {}
        self.posture: dict[str, Any] = PASSED
        self.figures: dict[str, int] = {}
        self.silent: set[CheckLevel] = set()
        """Levels of which it writes no verdict."""
        self.says: dict[str, Any] = {}
        """What its output says otherwise."""
        deployed.workflows.on_end = self.run

    def run(self, execution: str) -> dict[str, Any]:
        asked = self.deployed.workflows.started[-1]["input"]
        depth, target = CheckLevel(asked["level"]), asked["target"]
        place = f"{target['bucket']}/{target['prefix']}/" if target else None
        outcomes: dict[str, Outcome] = {} if target else {"posture": self.posture["outcome"]}
        for level in LEVELS[1:]:
            if not depth.includes(level) or (target and level is not CheckLevel.COMPLETE):
                continue
            found = self.found.get(level, ())
            outcomes[level] = "fail" if any(each.severity is Severity.FAIL for each in found) else "pass"
            if level not in self.silent:
                self.deployed.judge(self.state, *found, level=level, by=execution, target=place, figures=self.figures)
        deeper = depth is not CheckLevel.POSTURE
        return {
            "repository": asked["repository"],
            "state": self.state.id if deeper else None,
            "generation": self.state.generation if deeper else None,
            "level": depth,
            "outcomes": outcomes,
            "posture": None if target else self.posture,
            **self.says,
        }


@pytest.fixture
def workflow(deployed: Deployed, state: StateHeader) -> Workflow:
    return Workflow(deployed, state)


class TestPostureAlone:
    def test_asks_the_function_in_the_operators_name(self, deployed: Deployed) -> None:
        deployed.lambda_.answer = verdict("pass")
        deployed.rwm("check", "alpha", "--level", "posture")
        (asked,) = deployed.lambda_.asked
        assert asked["FunctionName"] == "rwm-check-posture"
        assert asked["Payload"] == {"repository": "alpha", "reason": "operator"}
        assert deployed.workflows.started == []

    @pytest.mark.parametrize(
        ("answer", "code", "shown"),
        [
            (verdict("pass"), 0, "posture of alpha: PASS (no findings)"),
            (verdict("pass", NOTE), 0, "posture of alpha: PASS (1 NOTE)"),
            (verdict("hold", DRIFT), 3, "posture of alpha: HOLD: a person has to look at it (1 HOLD)"),
            (verdict("fail", FINDING, DRIFT), 4, "posture of alpha: FAIL: it has to be mended (1 FAIL, 1 HOLD)"),
        ],
        ids=["pass", "note", "hold", "fail"],
    )
    def test_each_verdict_has_its_exit_code_and_its_sentence(
        self, deployed: Deployed, answer: dict[str, Any], code: int, shown: str
    ) -> None:
        deployed.lambda_.answer = answer
        result = deployed.rwm("check", "alpha", "--level", "posture")
        assert result.exit_code == code
        assert shown in result.stdout
        program = deployed.rwm("check", "alpha", "--level", "posture", "--json")
        assert program.exit_code == code
        found = document(program)
        assert (found["repository"], found["level"], found["outcome"]) == ("alpha", "posture", answer["outcome"])
        assert found["findings"] == [
            {"level": "posture", **each, "evidence": [], "more": 0} for each in answer["findings"]
        ]
        assert [each["level"] for each in found["levels"]] == ["posture"]
        assert (found["state"], found["execution"], found["claim"]) == (None, None, None)

    def test_a_finding_says_what_since_when_and_what_to_do(self, deployed: Deployed) -> None:
        deployed.lambda_.answer = verdict("fail", FINDING)
        assert (
            "FAIL lifecycle-expires: lifecycle rule 'tidy' hides current objects\n"
            "     since 2026-11-21T12:00:00Z; what to do: remove the rule\n"
        ) in deployed.rwm("check", "alpha", "--level", "posture").stdout

    def test_what_could_not_be_read_is_shown_with_its_reason(self, deployed: Deployed) -> None:
        deployed.lambda_.answer = verdict("hold", DRIFT, lifecycle="S3 denies s3:GetLifecycleConfiguration")
        shown = deployed.rwm("check", "alpha", "--level", "posture").stdout
        assert "not read: lifecycle: S3 denies s3:GetLifecycleConfiguration" in shown

    def test_a_function_that_failed_is_a_failure_in_its_own_words(self, deployed: Deployed) -> None:
        deployed.lambda_.function_error = "Unhandled"
        deployed.lambda_.answer = {"errorType": "BucketMissing", "errorMessage": "there is no bucket backups"}
        result = deployed.rwm("check", "alpha", "--level", "posture")
        assert result.exit_code == 1
        assert "rwm-check-posture failed: BucketMissing: there is no bucket backups" in sentence(result)

    @pytest.mark.parametrize("answer", [b"", b"[]", b'{"outcome": "unheard of"}'])
    def test_an_answer_that_cannot_be_read_is_a_failure(self, deployed: Deployed, answer: bytes) -> None:
        deployed.lambda_.answer = answer
        result = deployed.rwm("check", "alpha", "--level", "posture", "--json")
        assert result.exit_code == 1
        assert (
            "rwm-check-posture gave an answer this version of RWM cannot read" in document(result)["error"]["message"]
        )

    def test_says_nothing_of_a_state(self, deployed: Deployed, state: StateHeader) -> None:
        result = deployed.rwm("check", "alpha", state.id, "--level", "posture")
        assert result.exit_code == 2
        assert "posture judges how the bucket is configured now, not a state; nothing was checked" in sentence(result)
        assert deployed.lambda_.asked == []

    def test_can_be_left_to_the_workflow(self, deployed: Deployed) -> None:
        result = deployed.rwm("check", "alpha", "--level", "posture", "--no-wait")
        assert result.exit_code == 3
        assert deployed.lambda_.asked == []
        assert deployed.workflows.started[0]["input"]["level"] == "posture"


class TestTheBeginning:
    def test_the_repositorys_own_level_is_asked_for_and_every_field_is_there(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        deployed.rwm("check", "alpha", "--no-wait")
        (started,) = deployed.workflows.started
        assert started["stateMachineArn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-check"
        assert started["input"] == {
            "repository": "alpha",
            "level": "consistent",
            "state": "",
            "all": False,
            "read_data": False,
            "reason": "operator",
            "target": None,
        }
        assert started["name"].startswith("alpha-consistent-")
        assert len(started["name"]) <= 80
        deployed.rwm("check", "beta", "--no-wait")
        assert deployed.workflows.started[1]["input"]["level"] == "complete"

    def test_everything_that_can_be_asked_for_reaches_the_workflow(self, deployed: Deployed) -> None:
        deployed.rwm("check", "beta", "--level", "complete", "--all", "--read-data", "--no-wait")
        asked = deployed.workflows.started[0]["input"]
        assert (asked["level"], asked["all"], asked["read_data"]) == ("complete", True, True)

    def test_the_workflow_is_given_the_full_id_whatever_was_typed(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.record("alpha", [version("config")], cut=60)
        deployed.rwm("check", "alpha", state.id[:8], "--no-wait")
        deployed.rwm("check", "alpha", "2026-11-21T12:00:30", "--no-wait")
        deployed.rwm("check", "alpha", "latest", "--no-wait")
        assert [each["input"]["state"] for each in deployed.workflows.started] == [state.id, state.id, ""]

    def test_the_last_good_state_is_found_before_the_workflow_starts(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        deployed.record("alpha", [version("config")], cut=60)
        result = deployed.rwm("check", "alpha", "last-good", "--no-wait")
        assert result.exit_code == 2
        assert "no state of alpha is known to be good: 2 never judged" in sentence(result)
        assert deployed.workflows.started == []
        deployed.judge(state)
        deployed.rwm("check", "alpha", "last-good", "--no-wait")
        assert deployed.workflows.started[0]["input"]["state"] == state.id

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (
                ("alpha", "--level", "thorough"),
                "there is no level 'thorough'; nothing was checked; there is: posture, ",
            ),
            (("gamma",), "has no repository 'gamma'; nothing was done"),
            (("alpha", "0000"), "alpha has no state 0000"),
            (("alpha", "--level", "complete"), "alpha has no restic_password_secret; nothing was checked; set it in"),
            (("alpha", "--in-bucket", "rwm-restore-1"), "alpha has no restic_password_secret; nothing was checked"),
            (("alpha", "--all"), "--all is for --level content of a state; nothing was checked"),
            (("beta", "--level", "content", "--read-data"), "--read-data is for --level complete of a state"),
            (
                ("beta", "--in-bucket", "rwm-restore-1", "--level", "content"),
                "judged as a whole, at the level complete",
            ),
            (("beta", "--in-bucket", "rwm-restore-1", "--all"), "--all is for --level content of a state"),
            (("beta", "--in-bucket", "NO"), "there is no such place (bucket: "),
            (("beta", "--in-prefix", "here"), "--in-prefix goes with --in-bucket; nothing was checked"),
        ],
    )
    def test_what_cannot_be_checked_is_refused_and_nothing_is_started(
        self, deployed: Deployed, state: StateHeader, arguments: tuple[str, ...], said: str
    ) -> None:
        result = deployed.rwm("check", *arguments)
        assert result.exit_code == 2
        assert said in sentence(result)
        assert deployed.workflows.started == deployed.lambda_.asked == []

    def test_a_restored_copy_is_named_by_its_place(self, deployed: Deployed) -> None:
        state = deployed.record("beta", [version("config")])
        deployed.rwm("check", "beta", state.id, "--in-bucket", "rwm-restore-1", "--in-prefix", "a/b/", "--no-wait")
        asked = deployed.workflows.started[0]["input"]
        assert asked["target"] == {"bucket": "rwm-restore-1", "prefix": "a/b"}
        assert (asked["level"], asked["state"]) == ("complete", state.id)

    def test_without_waiting_it_is_said_how_to_look(self, deployed: Deployed) -> None:
        result = deployed.rwm("check", "alpha", "--no-wait", "--json")
        assert result.exit_code == 3
        found = document(result)
        assert (found["outcome"], found["levels"], found["claim"]) == ("running", [], None)
        assert found["execution"].startswith(f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rwm-check:alpha-consistent-")
        shown = deployed.rwm("check", "alpha", "--no-wait").stdout
        assert "describe-execution --execution-arn arn:aws:states" in shown
        assert "`rwm states alpha` shows its verdicts" in shown


class TestFollowing:
    def test_tells_each_level_and_how_many_batches_are_read(self, deployed: Deployed, workflow: Workflow) -> None:
        deployed.workflows.looks = [RUNNING] * 8 + [SUCCEEDED]
        deployed.workflows.steps = [
            "Check posture", "Record", "Check consistent", "Plan content", "Plan content", "Conclude content",
            "Check complete", "Conclude complete",
        ]  # fmt: skip
        deployed.workflows.map_runs = [map_run("RUNNING", 1, 4), map_run("RUNNING", 3, 4, failed=1)]
        result = deployed.rwm("check", "alpha", "--level", "content")
        assert result.exit_code == 0
        assert result.stderr.splitlines() == [
            "checking alpha as it is now at the level content",
            "posture",
            "recording a state",
            "consistent",
            "content: 1 of 4 batches",
            "content: 4 of 4 batches, 1 failed",
            "complete",
        ]

    def test_progress_that_cannot_be_read_does_not_end_the_check(
        self, deployed: Deployed, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: Any) -> None:
            raise denied("GetExecutionHistory")

        monkeypatch.setattr(deployed.workflows, "get_execution_history", refuse)
        deployed.workflows.looks = [RUNNING, SUCCEEDED]
        assert deployed.rwm("check", "alpha").exit_code == 0

    def test_when_aws_is_not_reached_any_more_the_check_goes_on(self, deployed: Deployed) -> None:
        deployed.workflows.looks = [RUNNING, {"raise": EndpointConnectionError(endpoint_url="https://states")}]
        result = deployed.rwm("check", "alpha")
        assert result.exit_code == 1
        assert "the check goes on all the same. Look at it with `aws stepfunctions describe-execution" in sentence(
            result
        )

    def test_when_the_operator_stops_waiting_the_check_goes_on(self, deployed: Deployed) -> None:
        deployed.workflows.looks = [RUNNING, {"raise": KeyboardInterrupt()}]
        result = deployed.rwm("check", "alpha", "--json")
        assert result.exit_code == 3
        assert "the check goes on" in document(result)["error"]["message"]


class TestTheEnd:
    def test_a_state_that_passes_is_what_was_judged_and_no_more(
        self, deployed: Deployed, state: StateHeader, workflow: Workflow
    ) -> None:
        workflow.figures = {"objects": 3, "bytes": 3 * 1024 * 1024}
        result = deployed.rwm("check", "alpha", "--json")
        assert result.exit_code == 0
        found = document(result)
        assert (found["outcome"], found["state"], found["generation"]) == ("pass", state.id, 1)
        assert (found["cut_time"], found["claim"], found["findings"]) == ("2026-11-21T12:00:00Z", "consistent", [])
        assert [(each["level"], each["outcome"]) for each in found["levels"]] == [
            ("posture", "pass"), ("consistent", "pass"),
        ]  # fmt: skip
        assert found["levels"][1]["figures"] == {"objects": 3, "bytes": 3 * 1024 * 1024}
        (judged,) = deployed.aws.dynamodb.scan(TableName="rwm-operations")["Items"]
        assert judged["sk"]["S"].endswith(found["levels"][1]["verdict"][:16])
        Workflow(deployed, state).figures = workflow.figures
        shown = deployed.rwm("check", "alpha").stdout
        assert (
            "posture of alpha: PASS (no findings)\nconsistent of alpha: PASS (no findings); bytes 3.000 MiB; " in shown
        )
        assert f"state {state.id[:12]} of alpha (cut 2026-11-21T12:00:00Z) is consistent, as far as a listing" in shown
        assert "complete" not in shown
        assert "content verified" not in shown

    def test_each_level_tells_its_findings_their_first_keys_and_what_to_do(
        self, deployed: Deployed, workflow: Workflow
    ) -> None:
        workflow.found = {CheckLevel.CONSISTENT: [attack(8)], CheckLevel.CONTENT: [attack(1, "content-damaged")]}
        result = deployed.rwm("check", "alpha", "--level", "content")
        assert result.exit_code == 4
        shown = result.stdout
        assert "FAIL pack-overwritten: 8 packs changed\n     since 2026-11-21T12:00:00Z; what to do: restore\n" in shown
        assert shown.count("  (2 versions)") == 5 + 1
        assert "     and 3 more of 8 keys: --json has all, with their version ids" in shown
        assert (
            shown.index("pack-overwritten") < shown.index("consistent of alpha: FAIL") < shown.index("content-damaged")
        )
        assert "is not known to be consistent" in shown

    def test_json_has_every_key_with_its_version_ids(self, deployed: Deployed, workflow: Workflow) -> None:
        note = attack(1, "stale-lock", Severity.NOTE)
        workflow.found = {CheckLevel.CONSISTENT: [note], CheckLevel.CONTENT: [attack(8)]}
        workflow.posture = verdict("hold", DRIFT)
        found = document(deployed.rwm("check", "alpha", "--level", "content", "--json"))
        assert [(each["severity"], each["level"], each["id"]) for each in found["findings"]] == [
            ("FAIL", "content", "pack-overwritten"),
            ("HOLD", "posture", "drift"),
            ("NOTE", "consistent", "stale-lock"),
        ]
        evidence = found["findings"][0]["evidence"]
        assert len(evidence) == 8
        assert evidence[0] == {
            "key": pack("0"), "version_ids": ["v0", "w0"], "since": "2026-11-21T12:00:00Z", "standing": False,
        }  # fmt: skip
        assert (found["outcome"], found["claim"]) == ("fail", "consistent")

    def test_a_hold_of_posture_alone_is_a_hold(self, deployed: Deployed, workflow: Workflow) -> None:
        workflow.posture = verdict("hold", DRIFT, lifecycle="denied")
        result = deployed.rwm("check", "alpha")
        assert result.exit_code == 3
        assert "not read: lifecycle: denied" in result.stdout

    def test_an_older_state_is_judged_by_its_own_verdicts(self, deployed: Deployed, state: StateHeader) -> None:
        """Not by those of another execution, nor by those of a newer state."""
        newer = deployed.record("alpha", [version("config")], cut=60)
        deployed.judge(newer, attack(), by="alpha-consistent-other")
        deployed.judge(state, attack(), by="alpha-consistent-other", seconds=9999)
        workflow = Workflow(deployed, state)
        workflow.found = {CheckLevel.CONSISTENT: [attack(1, "growth", Severity.NOTE)]}
        found = document(deployed.rwm("check", "alpha", state.id[:6], "--json"))
        assert (found["state"], found["outcome"]) == (state.id, "pass")
        assert [each["id"] for each in found["findings"]] == ["growth"]

    def test_a_restored_copy_is_judged_by_its_own_verdict(self, deployed: Deployed) -> None:
        state = deployed.record("beta", [version("config")])
        workflow = Workflow(deployed, state)
        arguments = ("check", "beta", state.id, "--in-bucket", "rwm-restore-1", "--in-prefix", "here")
        found = document(deployed.rwm(*arguments, "--json"))
        assert (found["outcome"], found["claim"]) == ("pass", "complete")
        assert found["target"] == {"bucket": "rwm-restore-1", "prefix": "here"}
        assert [each["level"] for each in found["levels"]] == ["complete"]
        deployed.workflows.on_end = workflow.run
        result = deployed.rwm(*arguments)
        assert f"checking state {state.id[:12]} of beta, restored to rwm-restore-1/here/, at the level" in result.stderr
        assert "in rwm-restore-1/here/ is complete: it holds all that its snapshots need" in result.stdout
        assert "not yet" in deployed.rwm("states", "beta").stdout

    def test_what_was_acknowledged_is_counted(self, deployed: Deployed, workflow: Workflow) -> None:
        found = attack()
        judged = deployed.judge(workflow.state, found)
        deployed.acknowledge(judged, found)
        workflow.found = {CheckLevel.CONSISTENT: [found]}
        workflow.says = {"outcomes": {"posture": "pass", "consistent": "pass"}}
        result = deployed.rwm("check", "alpha")
        assert result.exit_code == 0
        assert "consistent of alpha: PASS (no findings, 1 acknowledged)" in result.stdout

    def test_a_key_cannot_speak_to_the_terminal(self, deployed: Deployed, workflow: Workflow) -> None:
        hostile = Evidence(ObjectKey("\x1b[2J[bold]all is well\n"), (VersionId("1"),), at(0))
        workflow.found = {CheckLevel.CONSISTENT: [replace(attack(), evidence=(hostile,))]}
        shown = deployed.rwm("check", "alpha").stdout
        assert r"\x1b[2J[bold]all is well\n  (1 version)" in shown
        assert "\x1b" not in shown

    @pytest.mark.parametrize(
        "cause",
        ["no such state; nothing was judged", json.dumps({"errorMessage": "no such state; nothing was judged"})],
        ids=["message", "json"],
    )
    def test_a_refusal_of_the_workflow_is_a_refusal(self, deployed: Deployed, cause: str) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "CheckRefused", "cause": cause}]
        result = deployed.rwm("check", "alpha", "--json")
        assert result.exit_code == 2
        assert document(result)["error"]["message"] == "no such state; nothing was judged"

    @pytest.mark.parametrize(
        ("look", "said"),
        [
            (
                {"status": "FAILED", "error": "CheckFailed", "cause": "boom"},
                "the check failed: CheckFailed: boom; levels",
            ),
            (
                {"status": "FAILED", "error": "CheckFailed", "cause": 'AccessDenied: {"errorMessage": "not allowed"}'},
                "the check failed: CheckFailed: AccessDenied: not allowed; levels",
            ),
            ({"status": "TIMED_OUT"}, "the check failed: TIMED_OUT; levels that were judged before keep their verdict"),
            ({"status": "ABORTED"}, "the check failed: ABORTED;"),
        ],
    )
    def test_a_workflow_that_broke_is_a_failure(self, deployed: Deployed, look: dict[str, str], said: str) -> None:
        deployed.workflows.looks = [look]
        result = deployed.rwm("check", "alpha")
        assert result.exit_code == 1
        assert said in sentence(result)

    def test_a_workflow_that_ended_well_without_a_verdict_is_a_failure(
        self, deployed: Deployed, workflow: Workflow
    ) -> None:
        workflow.silent = {CheckLevel.CONTENT}
        result = deployed.rwm("check", "alpha", "--level", "content")
        assert result.exit_code == 1
        assert "the workflow ended without a verdict of the level content; nothing proves its pass" in sentence(result)

    @pytest.mark.parametrize(
        ("says", "said"),
        [
            ({"outcomes": {"posture": "pass", "consistent": "pass"}}, "and its verdict fail; trust neither"),
            ({"outcomes": {"posture": "pass"}}, "which is not what was asked for; trust none of it"),
            ({"repository": "beta"}, "which is not what was asked for; trust none of it"),
            ({"state": "5" * 64}, "which is not what was asked for; trust none of it"),
            ({"outcomes": {}}, "the workflow judged nothing of state"),
            ({"posture": {"outcome": "unheard of"}}, "gave an answer this version of RWM cannot read"),
        ],
        ids=["another outcome", "a level less", "another repository", "another state", "nothing", "unreadable"],
    )
    def test_a_workflow_that_says_something_else_than_its_verdicts_proves_nothing(
        self, deployed: Deployed, workflow: Workflow, says: dict[str, Any], said: str
    ) -> None:
        workflow.found = {CheckLevel.CONSISTENT: [attack()]}
        workflow.says = says
        result = deployed.rwm("check", "alpha", workflow.state.id)
        assert result.exit_code == 1
        assert said in sentence(result)

    def test_a_workflow_without_an_output_is_a_failure(self, deployed: Deployed) -> None:
        result = deployed.rwm("check", "alpha")
        assert result.exit_code == 1
        assert "the workflow rwm-check gave an answer this version of RWM cannot read" in sentence(result)


def outcomes(*each: Outcome) -> dict[CheckLevel, Outcome]:
    return dict(zip(LEVELS, each, strict=False))


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        (outcomes("pass"), None),
        (outcomes("pass", "pass"), "consistent"),
        (outcomes("fail", "pass"), "consistent"),
        (outcomes("pass", "pass", "pass"), "content verified"),
        (outcomes("pass", "pass", "pass", "pass"), "complete"),
        (outcomes("pass", "hold"), None),
        (outcomes("pass", "fail", "pass", "pass"), None),
        (outcomes("pass", "pass", "hold", "pass"), "consistent"),
        (outcomes("pass", "pass", "pass", "fail"), "content verified"),
    ],
)
def test_no_more_is_claimed_than_was_judged_and_passed(judged: dict[CheckLevel, Outcome], said: str | None) -> None:
    assert claim(judged) == said


@pytest.mark.parametrize(("outcome", "said"), [("pass", "complete"), ("hold", None), ("fail", None)])
def test_of_a_copy_only_the_one_level_counts(outcome: Outcome, said: str | None) -> None:
    assert claim({CheckLevel.COMPLETE: outcome}, of_copy=True) == said
    assert claim({CheckLevel.COMPLETE: outcome}) is None
