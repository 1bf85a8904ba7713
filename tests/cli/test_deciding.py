"""`rwm approve`, `rwm reject`: an approver decides on exactly the plan that was shown."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest

from functions.domain.prune.approval import ShelvedPlan
from functions.domain.repositories import Configuration
from functions.domain.values import RepositoryName
from functions.domain.verdict import seen
from functions.prune.approve import ApproveFunction, ApprovePorts
from functions.storage.plans import DynamoTaskTokens
from tests.cli.conftest import ALPHA, BETA
from tests.cli.deployed import NAMES, Deployed, denied, document, sentence
from tests.cli.shelf import APPROVER, DAY, Shelf
from tests.domain.judging import HOLD
from tests.fakes.plans import FakeTasks

NAME = RepositoryName("alpha")
ODD = seen(HOLD)


@dataclass
class Clock:
    """S3's."""

    time: datetime

    def now(self) -> datetime:
        return self.time


@dataclass
class Waiting:
    """A plan that a workflow waits for, and the deployed function over the same tables."""

    deployed: Deployed
    shelf: Shelf
    shelved: ShelvedPlan
    tasks: FakeTasks = field(default_factory=FakeTasks)

    def __post_init__(self) -> None:
        table = (self.deployed.aws.dynamodb, NAMES.operations)
        tokens = DynamoTaskTokens(*table)
        tokens.keep(self.shelved.repository, self.shelved.plan, self.tasks.begin("a-task-token"))
        clock = cast("Any", Clock(self.shelf.now))
        ports = ApprovePorts(self.shelf.plans, self.shelf.approvals, tokens, self.tasks, clock)
        wired = ApproveFunction(Configuration(repositories=(ALPHA, BETA)), ports)
        self.deployed.lambda_.answer = wired.on_request

    def rwm(self, command: str, *more: str, typed: str | None = None) -> Any:
        return self.deployed.rwm(command, self.shelved.plan[:8], *more, typed=typed)

    @property
    def decision(self) -> str | None:
        stands = self.shelf.approvals.decided(NAME, self.shelved.plan)
        return stands.decision if stands else None


@pytest.fixture
def waiting(deployed: Deployed) -> Waiting:
    shelf = Shelf(deployed)
    return Waiting(deployed, shelf, shelf.draw(findings=[ODD]))


@pytest.mark.parametrize(("command", "decision"), [("approve", "approved"), ("reject", "rejected")])
def test_the_function_is_told_the_full_digest_and_who_calls(waiting: Waiting, command: str, decision: str) -> None:
    result = waiting.rwm(command, "--yes", "--json")
    assert result.exit_code == 0
    (asked,) = waiting.deployed.lambda_.asked
    assert asked["FunctionName"] == "rwm-approve"
    caller = waiting.deployed.aws.sts.get_caller_identity()["Arn"]
    assert asked["Payload"] == {
        "repository": "alpha", "plan": waiting.shelved.plan, "decision": command, "by": caller,
    }  # fmt: skip
    found = document(result)
    assert found.pop("at").endswith("Z")
    assert found == {
        "repository": "alpha",
        "plan": waiting.shelved.plan,
        "outcome": decision,
        "by": caller,
        "before": False,
        "woken": True,
    }
    assert waiting.decision == decision


def test_the_plan_is_shown_before_anybody_is_asked(waiting: Waiting) -> None:
    result = waiting.rwm("approve", typed="n\n")
    assert result.exit_code == 2
    shown = result.stderr
    assert shown.startswith(f"plan {waiting.shelved.plan} of alpha: waits for an approver until ")
    assert "it deletes 2 versions of 4, and 1 delete markers of 2, in 2 batches; it frees 200 B of 400 B" in shown
    assert f"     {waiting.shelf.old.id[:12]} (generation 1), cut " in shown
    assert "HOLD growth: what" in shown
    assert (
        f"Approve plan {waiting.shelved.plan[:12]}? 2 versions and 1 delete markers of alpha (200 B) are deleted for "
        "good, and 1 states are dropped."
    ) in sentence(result)
    assert "nothing was decided, as you wish" in sentence(result)
    assert (waiting.decision, waiting.deployed.lambda_.asked) == (None, [])


def test_whoever_approves_is_told_that_the_prune_goes_on(waiting: Waiting) -> None:
    result = waiting.rwm("approve", typed="y\n")
    assert result.exit_code == 0
    assert f"plan {waiting.shelved.plan[:12]} of alpha is approved, by arn:aws:sts::123456789012:" in result.stdout
    assert "the prune that waited for it goes on: `rwm plans alpha` shows it" in result.stdout
    assert "CloudTrail has the proof of who you are" in result.stdout
    assert waiting.tasks.ended == {"a-task-token": {"approved": True}}


def test_whoever_rejects_is_told_that_nothing_is_deleted(waiting: Waiting) -> None:
    result = waiting.rwm("reject", typed="y\n")
    assert f"Reject plan {waiting.shelved.plan[:12]}? It is never applied, and nothing is deleted." in sentence(result)
    assert "is rejected, by arn:" in result.stdout
    assert "the prune that waited for it ends; nothing was deleted" in result.stdout


def test_nobody_to_ask_is_a_refusal(waiting: Waiting) -> None:
    assert "there is nobody to ask; nothing was decided; pass --yes" in sentence(waiting.rwm("approve", typed=""))
    program = waiting.rwm("approve", "--json")
    assert program.exit_code == 2
    assert document(program)["error"]["message"] == "--json cannot ask; nothing was decided; pass --yes"
    assert waiting.deployed.lambda_.asked == []


def test_deciding_again_tells_what_stands_and_wakes_who_waits_now(waiting: Waiting) -> None:
    waiting.shelf.decide(waiting.shelved)
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 0
    assert f"is approved already, by {APPROVER} at " in result.stdout
    assert "CloudTrail" not in result.stdout
    assert waiting.tasks.ended == {"a-task-token": {"approved": True}}
    again = waiting.rwm("approve", "--yes")
    assert "no prune waited for it at this moment: one that comes to it knows" in again.stdout
    assert document(waiting.rwm("approve", "--yes", "--json"))["woken"] is False


def test_the_other_thing_cannot_be_decided_any_more(waiting: Waiting) -> None:
    waiting.shelf.decide(waiting.shelved, "rejected")
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 2
    assert f"was rejected by {APPROVER} at " in sentence(result)
    assert "and that stands; nothing was decided now" in sentence(result)


def test_an_expired_plan_is_refused_by_s3s_clock(deployed: Deployed) -> None:
    shelf = Shelf(deployed)
    expired = Waiting(deployed, shelf, shelf.draw(findings=[ODD], ago=DAY))
    result = expired.rwm("approve", "--yes")
    assert result.exit_code == 2
    assert "nothing was decided, and nothing will be deleted; `rwm prune alpha` draws a new one" in sentence(result)
    assert expired.decision is None


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ({"dry_run": True, "findings": [ODD]}, "is of a dry run, and is never applied; nothing was decided"),
        ({"nothing": True}, "deletes nothing; nothing was decided"),
    ],
)
def test_where_there_is_nothing_to_decide_nobody_is_asked(deployed: Deployed, drawn: dict[str, Any], said: str) -> None:
    shelf = Shelf(deployed)
    result = Waiting(deployed, shelf, shelf.draw(**drawn)).rwm("approve", "--yes")
    assert (result.exit_code, said in sentence(result)) == (2, True)
    assert deployed.lambda_.asked == []


def test_what_was_applied_cannot_be_rejected(waiting: Waiting) -> None:
    waiting.shelf.report(waiting.shelved)
    result = waiting.rwm("reject", "--yes")
    assert result.exit_code == 2
    assert "was applied; `rwm prunes alpha` shows what became of it; nothing was decided" in sentence(result)


def test_a_plan_that_needs_no_approval_can_be_rejected(deployed: Deployed) -> None:
    shelf = Shelf(deployed)
    unasked = Waiting(deployed, shelf, shelf.draw())
    assert unasked.rwm("reject", "--yes").exit_code == 0
    assert unasked.decision == "rejected"


def test_a_plan_whose_file_is_another_is_not_decided_on(waiting: Waiting) -> None:
    other = waiting.shelf.draw("tuesday", nothing=True)
    forged = waiting.shelved.model_copy(update={"file": other.file, "version_id": other.version_id})
    item = {"document": {"B": forged.canonical()}}
    waiting.deployed.change_item(NAMES.operations, "plan#alpha", waiting.shelved.plan, **item)
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 4
    assert "is another plan" in sentence(result)
    assert waiting.deployed.lambda_.asked == []


def test_an_operator_is_told_that_only_an_approver_may(waiting: Waiting) -> None:
    waiting.deployed.lambda_.answer = denied("Invoke")
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 2
    assert (
        "the default profile may not lambda:InvokeFunction; nothing was decided. Only an approver may: set AWS_PROFILE "
        "to a profile that assumes rwm-approver with MFA"
    ) in sentence(result)


def test_a_workflow_that_could_not_be_woken_is_a_failure_that_calling_again_mends(waiting: Waiting) -> None:
    waiting.deployed.lambda_.function_error = "Unhandled"
    waiting.deployed.lambda_.answer = {"errorType": "NotWoken", "errorMessage": "nobody was woken; ask again"}
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 1
    assert "rwm-approve failed: NotWoken: nobody was woken; ask again; nothing is known to have been decided" in (
        sentence(result)
    )


@pytest.mark.parametrize("answer", [b"", b"[]", {"outcome": "perhaps"}])
def test_an_answer_that_cannot_be_read_is_a_failure(waiting: Waiting, answer: Any) -> None:
    waiting.deployed.lambda_.answer = answer
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 1
    assert "rwm-approve gave an answer this version of RWM cannot read" in sentence(result)


@pytest.mark.parametrize("changes", [{"plan": "0" * 64}, {"outcome": "rejected"}, {"at": None}])
def test_an_answer_of_something_else_is_a_failure(waiting: Waiting, changes: dict[str, Any]) -> None:
    answer = {"outcome": "approved", "plan": waiting.shelved.plan, "by": APPROVER, "at": "2026-11-22T00:00:00Z"}
    waiting.deployed.lambda_.answer = {**answer, **changes}
    result = waiting.rwm("approve", "--yes")
    assert result.exit_code == 1
    assert f"`rwm plan {waiting.shelved.plan[:12]}` shows what stands" in sentence(result)


def test_the_token_is_shown_to_nobody(waiting: Waiting) -> None:
    for command in (("plans",), ("plan", waiting.shelved.plan), ("approve", waiting.shelved.plan, "--yes", "--json")):
        result = waiting.deployed.rwm(*command)
        assert "a-task-token" not in result.stdout + result.stderr
