"""rwm-restore in place: recorded before and after, planned, put back, verified; and how it ends when one fails."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from infra.permissions_page import ACCOUNT
from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.permissions import Identity, expand, several
from tests.infra.templates import Assembly
from tests.infra.test_permission_table import RECORDS, REPOSITORIES
from tests.infra.test_state_machines import Definition, definitions

STATE, PLAN_DIGEST = "1" * 64, "2" * 64
ASKED = {"repository": "alpha", "state": STATE, "to": "in-place"}
MANIFEST = {"bucket": "records", "key": f"restores/{PLAN_DIGEST}/manifest.json", "version_id": "m1"}
PLANNED: dict[str, Any] = {
    "plan": PLAN_DIGEST,
    "plan_version": "v1",
    "manifest": MANIFEST,
    "put": 3,
    "hide": 1,
    "batches": 1,
    "archived": 0,
    "thaw": None,
}
REPORT = {"outcome": "restored", "complete": True, "objects": 3, "plan": PLAN_DIGEST}
RECORDED = {"outcome": "recorded", "state": "3" * 64, "until": None, "message": ""}
NOT_YET = {"outcome": "not-yet", "state": None, "until": "2026-11-21T12:05:00Z", "message": "another is in flight"}
REFUSED = {"outcome": "refused", "state": None, "until": None, "message": "versioning is Suspended"}


def _always(answer: Any) -> Callable[[Any], Any]:
    return lambda _payload: answer


def _fails(error: str, message: str = "") -> Callable[[Any], Any]:
    def fail(_payload: Any) -> Any:
        raise StepFailed(error, message)

    return fail


def _in_turn(*answers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The last one for good."""
    remaining = list(answers)

    def answer(payload: Any) -> Any:
        return (remaining.pop(0) if len(remaining) > 1 else remaining[0])(payload)

    return answer


STEPS: Answers = {
    "Announce restore": lambda asked: {**asked, "dry_run": asked.get("dry_run", False)},
    "Record present": _always(RECORDED),
    "Plan in place": _always(PLANNED),
    "Put batches back": _always({}),
    "Record result": _always(RECORDED),
    "Verify in place": _always(REPORT),
    "End restore": _always({"ended": True}),
}
BEGUN = ["Begin", "Not here?", "Announce restore", "Where to?", "Begin in place"]
PRESENT = ["Record present", "Is present recorded?"]
PLAN = ["Plan in place", "Only foreseen?"]
PUT = ["Anything to put back?", "Put batches back", "Put back"]
RESULT = ["Record result", "Is result recorded?"]
ENDED = ["Verify in place", "End restore", "How did it go?"]


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-restore"]


def _run(definition: Definition, answers: Answers | None = None, asked: Any = ASKED) -> Execution:
    return Execution(definition, {**STEPS, **(answers or {})}).run(asked)


def test_it_is_recorded_first_and_last(definition: Definition) -> None:
    restore = _run(definition)
    assert restore.entered == [*BEGUN, *PRESENT, *PLAN, *PUT, *RESULT, *ENDED, "Restored"]
    assert (restore.error, restore.output) == ("", REPORT)


def test_each_step_is_asked_what_it_knows_this_restore_by(definition: Definition) -> None:
    asked = _run(definition).asked
    at_once = {"repository": "alpha", "reason": "operator", "at_once": True}
    assert asked["Record present"] == asked["Record result"] == at_once
    assert asked["Plan in place"] == {
        **ASKED,
        "dry_run": False,
        "execution": "execution-1",
        "since": "2026-11-21T12:00:00.123Z",
    }
    named = {"plan": PLAN_DIGEST, "plan_version": "v1", "execution": "execution-1"}
    # From when the last batch was through.
    assert asked["Verify in place"] == {**named, "repository": "alpha", "since": "2026-11-21T13:00:00.456Z"}
    assert named.items() <= asked["Put batches back"].items()


def test_nothing_is_put_back_where_nothing_differs(definition: Definition) -> None:
    restore = _run(definition, {"Plan in place": _always({**PLANNED, "batches": 0})})
    assert "Put batches back" not in restore.entered
    assert restore.entered[-1] == "Restored"


def test_what_is_archived_is_asked_for_before_anything_is_put_back(definition: Definition) -> None:
    archived = {**PLANNED, "archived": 2, "thaw": "Bulk"}
    answers = {"Plan in place": _always(archived), "Ask for batches": _always({})}
    restore = _run(definition, answers)
    at = restore.entered.index("Anything to put back?")
    assert restore.entered[at + 1 : at + 4] == ["Ask for batches", "Put batches back", "Put back"]
    assert restore.asked["Ask for batches"]["thaw"] is True
    assert "thaw" not in restore.asked["Put batches back"]
    # What it did not ask for, putting it back does.
    failed = _run(definition, {**answers, "Ask for batches": _fails("States.ItemReaderFailed")})
    assert failed.entered == restore.entered


def test_a_batch_that_is_still_frozen_is_tried_again_for_days(definition: Definition) -> None:
    processor = definition["States"]["Put batches back"]["ItemProcessor"]["States"]["Put batch back"]
    (frozen,) = [each for each in processor["Retry"] if each["ErrorEquals"] == ["StillFrozen"]]
    assert (frozen["MaxDelaySeconds"], frozen["MaxAttempts"]) == (900, 3 * 24 * 4)


def test_a_dry_run_ends_with_its_forecast_and_writes_nothing(definition: Definition) -> None:
    foreseen = {"forecast": {"repository": "alpha"}}
    restore = _run(definition, {"Plan in place": _always(foreseen)}, {**ASKED, "dry_run": True})
    assert restore.entered == [
        *(*BEGUN, *PRESENT, *PLAN, "Foreseen in place"),
        *("End restore", "How did it go?", "Restored"),
    ]
    assert restore.output == {"complete": True, "forecast": {"repository": "alpha"}}


@pytest.mark.parametrize(("what", "step"), [("present", "Plan in place"), ("result", "Verify in place")])
def test_a_recording_that_may_not_begin_yet_is_waited_for(definition: Definition, what: str, step: str) -> None:
    restore = _run(definition, {f"Record {what}": _always(NOT_YET)})
    waiting = [f"Record {what}", f"Is {what} recorded?", f"Until {what} can be recorded", step]
    at = restore.entered.index(waiting[0])
    assert restore.entered[at : at + 4] == waiting
    assert restore.asked[f"Until {what} can be recorded"] == "2026-11-21T12:05:00Z"
    # Whoever recorded meanwhile did it for us.
    assert restore.entered[-1] == "Restored"


@pytest.mark.parametrize(("what", "step"), [("present", "Plan in place"), ("result", "Verify in place")])
def test_a_state_that_is_too_old_is_recorded_anew(definition: Definition, what: str, step: str) -> None:
    answers = {
        f"Record {what}": _in_turn(_always(NOT_YET), _always(RECORDED)),
        step: _in_turn(_fails("PresentNotRecorded"), STEPS[step]),
    }
    restore = _run(definition, answers)
    assert restore.entered.count(f"Record {what}") == 2
    assert f"Record {what} again?" in restore.entered
    # What brought it back is over, and not how it ended.
    assert restore.entered[-1] == "Restored"


@pytest.mark.parametrize(
    ("what", "step", "error", "end"),
    [
        ("present", "Plan in place", "RestoreRefused", "Refused"),
        ("result", "Verify in place", "RestoreNotVerified", "Failed"),
    ],
)
def test_it_is_not_asked_for_for_ever(definition: Definition, what: str, step: str, error: str, end: str) -> None:
    restore = _run(definition, {f"Record {what}": _always(NOT_YET), step: _fails("PresentNotRecorded")})
    assert restore.entered.count(f"Record {what}") == 50
    assert (restore.entered[-1], restore.error) == (end, error)
    assert "another is in flight" in restore.cause


def test_a_repository_that_cannot_be_recorded_is_refused_before_anything_is_written(definition: Definition) -> None:
    restore = _run(definition, {"Record present": _always(REFUSED)})
    assert restore.entered[-3:] == ["End restore", "How did it go?", "Refused"]
    assert (restore.error, restore.cause) == (
        "RestoreRefused",
        "the repository cannot be recorded: versioning is Suspended; nothing was written",
    )


def test_what_was_put_back_and_cannot_be_recorded_is_no_refusal(definition: Definition) -> None:
    restore = _run(definition, {"Record result": _always(REFUSED)})
    assert (restore.entered[-1], restore.error) == ("Failed", "RestoreNotVerified")
    assert "nothing proves it" in json.loads(restore.cause)["errorMessage"]


@pytest.mark.parametrize("step", ["Record present", "Plan in place", "Record result", "Verify in place"])
def test_what_breaks_is_taken_back_and_told_by_its_own_name(definition: Definition, step: str) -> None:
    restore = _run(definition, {step: _fails("Sandbox.Timedout", "after 900 s")})
    assert restore.entered[-4:] == [step, "End restore", "How did it go?", "Failed"]
    assert restore.error == "Sandbox.Timedout"


def test_a_refusal_of_the_plan_is_told_as_one(definition: Definition) -> None:
    restore = _run(definition, {"Plan in place": _fails("RestoreRefused", "hosts may write; nothing was written")})
    assert (restore.entered[-1], restore.cause) == ("Refused", "hosts may write; nothing was written")


def test_verify_looks_also_after_a_map_that_failed(definition: Definition) -> None:
    restore = _run(definition, {"Put batches back": _fails("States.ItemReaderFailed")})
    assert restore.entered[-len(ENDED) - 1 :] == [*ENDED, "Restored"]


def test_it_ends_well_only_when_verify_says_complete(definition: Definition) -> None:
    report = {**REPORT, "outcome": "incomplete", "complete": False}
    restore = _run(definition, {"Verify in place": _always(report)})
    assert (restore.entered[-1], restore.error) == ("Incomplete", "RestoreIncomplete")


# --- who may what ---------------------------------------------------------------------------------------------


def test_put_back_alone_puts_and_hides_in_repositories_and_destroys_nothing(who: Mapping[str, Identity]) -> None:
    inside = {
        action: {name for name, each in who.items() if REPOSITORIES & each.resources(action)}
        for action in ("s3:PutObject", "s3:DeleteObject")
    }
    people = {"rwm-alpha-host", "rwm-beta-host", "rwm-beta-maintenance"}
    assert inside["s3:PutObject"] == people | {"rwm-put-back"}
    # The default rights of beta's host are to hide lock files only.
    assert inside["s3:DeleteObject"] == {"rwm-alpha-host", "rwm-beta-maintenance", "rwm-put-back"}
    back = who["rwm-put-back"]
    assert back.resources("s3:PutObject") == {*REPOSITORIES, f"{RECORDS}/restores/*/results/*"}
    assert back.resources("s3:DeleteObject") == back.resources("s3:GetObject") - {f"{RECORDS}/restores/*"}
    assert not back.allowed & expand(
        ["s3:DeleteObjectVersion", "s3:Bypass*", "s3:PutObjectRetention", "s3:PutObjectLegalHold"]
    )


def test_whoever_plans_sees_the_policies_of_the_repositories_own_principals_alone(who: Mapping[str, Identity]) -> None:
    plan = who["rwm-plan-in-place"]
    users = {f"arn:aws:iam::{ACCOUNT}:user/rwm-{each}" for each in ("alpha-host", "beta-host", "beta-maintenance")}
    assert plan.resources("iam:ListAttachedUserPolicies") == users
    assert plan.allowed & expand(["iam:*"]) == expand(["iam:ListAttachedUserPolicies"])
    assert plan.resources("s3:PutObject") == {f"{RECORDS}/restores/*"}


def test_a_quarantine_denies_all_that_writes_in_exactly_its_repository(who: Mapping[str, Identity]) -> None:
    for name, objects in (("alpha", "rwm-demo-alpha/*"), ("beta", "rwm-demo-beta/restic/beta/*")):
        (statement,) = who[f"rwm-{name}-quarantine"].statements
        assert (statement["Effect"], statement["Resource"]) == ("Deny", f"arn:aws:s3:::{objects}")
        denied = expand(several(statement["Action"]))
        assert expand(["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention"]) <= denied
        assert not denied & expand(["s3:GetObject", "s3:ListBucket", "sqs:SendMessage"])
        assert "Condition" not in statement


def test_a_quarantine_is_attached_to_nobody_by_a_deployment(shipped: Assembly) -> None:
    """It would be put into force, or ended, by the next one."""
    attached: list[Sequence[str]] = [user["ManagedPolicyArns"] for _, user in shipped.of_type("AWS::IAM::User")]
    assert attached
    assert not [name for names in attached for name in names if "quarantine" in str(name)]
    for _, policy in shipped.of_type("AWS::IAM::ManagedPolicy"):
        assert not {"Users", "Roles", "Groups"} & set(policy)
