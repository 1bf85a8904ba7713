"""`rwm check`: what is asked of the function, and what its verdicts mean."""

from typing import Any

import pytest

from tests.cli.deployed import Deployed, document, sentence

FINDING = {
    "id": "lifecycle-expires",
    "severity": "FAIL",
    "what": "lifecycle rule 'tidy' hides current objects",
    "remedy": "remove the rule",
    "since": "2026-11-21T12:00:00Z",
}
DRIFT = {**FINDING, "id": "drift", "severity": "HOLD", "what": "the configuration changed", "remedy": "find out who"}
NOTE = {**FINDING, "id": "uploads-not-aborted", "severity": "NOTE", "what": "incomplete uploads stay"}


def verdict(outcome: str, *findings: dict[str, Any], **unread: str) -> dict[str, Any]:
    return {"outcome": outcome, "level": "posture", "findings": list(findings), "unread": unread}


def test_check_asks_the_function_in_the_operators_name(deployed: Deployed) -> None:
    deployed.lambda_.answer = verdict("pass")
    deployed.rwm("check", "alpha")
    (asked,) = deployed.lambda_.asked
    assert asked["FunctionName"] == "rwm-check-posture"
    assert asked["Payload"] == {"repository": "alpha", "reason": "operator"}


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
    deployed: Deployed, answer: dict[str, Any], code: int, shown: str
) -> None:
    deployed.lambda_.answer = answer
    result = deployed.rwm("check", "alpha", "--level", "posture")
    assert result.exit_code == code
    assert shown in result.stdout
    program = deployed.rwm("check", "alpha", "--json")
    assert program.exit_code == code
    assert document(program) == {"repository": "alpha", **answer}


def test_a_finding_says_what_since_when_and_what_to_do(deployed: Deployed) -> None:
    deployed.lambda_.answer = verdict("fail", FINDING)
    assert (
        "FAIL lifecycle-expires: lifecycle rule 'tidy' hides current objects\n"
        "     since 2026-11-21T12:00:00Z; what to do: remove the rule\n"
    ) in deployed.rwm("check", "alpha").stdout


def test_what_could_not_be_read_is_shown_with_its_reason(deployed: Deployed) -> None:
    deployed.lambda_.answer = verdict("hold", DRIFT, lifecycle="S3 denies s3:GetLifecycleConfiguration")
    assert "not read: lifecycle: S3 denies s3:GetLifecycleConfiguration" in deployed.rwm("check", "alpha").stdout


@pytest.mark.parametrize("level", ["consistent", "content", "complete"])
def test_a_level_that_is_not_there_yet_is_refused_and_nothing_is_asked(deployed: Deployed, level: str) -> None:
    result = deployed.rwm("check", "alpha", "--level", level)
    assert result.exit_code == 2
    assert f"this version of RWM checks posture only, not {level}; nothing was checked" in sentence(result)
    assert deployed.lambda_.asked == []


def test_a_level_that_never_was_is_refused(deployed: Deployed) -> None:
    result = deployed.rwm("check", "alpha", "--level", "thorough")
    assert result.exit_code == 2
    assert "there is no level 'thorough'; nothing was checked; there is: posture" in sentence(result)


def test_an_unknown_repository_is_never_asked_for(deployed: Deployed) -> None:
    assert deployed.rwm("check", "gamma").exit_code == 2
    assert deployed.lambda_.asked == []


def test_a_function_that_failed_is_a_failure_in_its_own_words(deployed: Deployed) -> None:
    deployed.lambda_.function_error = "Unhandled"
    deployed.lambda_.answer = {"errorType": "BucketMissing", "errorMessage": "there is no bucket backups"}
    result = deployed.rwm("check", "alpha")
    assert result.exit_code == 1
    assert "rwm-check-posture failed: BucketMissing: there is no bucket backups" in sentence(result)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"outcome": "unheard of"}'])
def test_an_answer_that_cannot_be_read_is_a_failure(deployed: Deployed, answer: bytes) -> None:
    deployed.lambda_.answer = answer
    result = deployed.rwm("check", "alpha", "--json")
    assert result.exit_code == 1
    assert "rwm-check-posture gave an answer this version of RWM cannot read" in document(result)["error"]["message"]


def test_what_a_finding_says_cannot_speak_to_the_terminal(deployed: Deployed) -> None:
    deployed.lambda_.answer = verdict("fail", {**FINDING, "what": "\x1b[31mno"}, policy="\x1b[2J")
    assert "\x1b" not in deployed.rwm("check", "alpha").stdout
