"""`rwm record`: what is asked of the function, and what its answers mean."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.cli.deployed import Deployed, document, sentence

STATE = "5" * 64
NOTHING: dict[str, Any] = {"state": None, "generation": None, "until": None, "findings": [], "message": ""}
RECORDED = {**NOTHING, "outcome": "recorded", "state": STATE, "generation": 3}
NOT_YET = {**NOTHING, "outcome": "not-yet", "until": "2026-11-21T12:05:00Z", "message": "another is in flight"}
FINDING = {"id": "versioning-not-enabled", "severity": "FAIL", "what": "versioning is Off", "remedy": "enable it"}
REFUSED = {**NOTHING, "outcome": "refused", "findings": [FINDING], "message": "versioning is Off"}


def test_record_asks_the_function_for_a_recording_in_the_operators_name(deployed: Deployed) -> None:
    deployed.lambda_.answer = RECORDED
    deployed.rwm("record", "alpha")
    assert deployed.lambda_.asked == [
        {
            "FunctionName": "rwm-record",
            "InvocationType": "RequestResponse",
            "Payload": {"repository": "alpha", "reason": "operator"},
        }
    ]


@pytest.mark.parametrize(
    ("answer", "code", "shown"),
    [
        (RECORDED, 0, f"recorded state {STATE[:12]} (generation 3) of alpha"),
        ({**RECORDED, "outcome": "answered"}, 0, f"already answered by state {STATE[:12]}"),
        (NOT_YET, 3, "not yet: another is in flight; nothing was recorded; run it again after 2026-11-21T12:05:00Z"),
        (REFUSED, 4, "FAIL versioning-not-enabled: versioning is Off\n     what to do: enable it"),
    ],
    ids=["recorded", "answered", "not yet", "refused"],
)
def test_each_outcome_has_its_exit_code_and_its_sentence(
    deployed: Deployed, answer: dict[str, Any], code: int, shown: str
) -> None:
    deployed.lambda_.answer = answer
    result = deployed.rwm("record", "alpha")
    assert result.exit_code == code
    assert shown in result.stdout
    program = deployed.rwm("record", "alpha", "--json")
    assert program.exit_code == code
    assert document(program) == {"repository": "alpha", **answer}


def test_an_unknown_repository_is_never_asked_for(deployed: Deployed) -> None:
    result = deployed.rwm("record", "gamma")
    assert result.exit_code == 2
    assert deployed.lambda_.asked == []


def test_a_function_that_failed_is_a_failure_in_its_own_words(deployed: Deployed) -> None:
    deployed.lambda_.function_error = "Unhandled"
    deployed.lambda_.answer = {"errorType": "BrokenChain", "errorMessage": "the head names a state"}
    result = deployed.rwm("record", "alpha")
    assert result.exit_code == 1
    assert (
        "rwm-record failed: BrokenChain: the head names a state; nothing is known to have been recorded; "
        "its log /aws/lambda/rwm-record says more" in sentence(result)
    )


@pytest.mark.parametrize("answer", [b"", b"not JSON", b"[]", b'{"outcome": "unheard of"}'])
def test_an_answer_that_cannot_be_read_is_a_failure(deployed: Deployed, answer: bytes) -> None:
    deployed.lambda_.answer = answer
    result = deployed.rwm("record", "alpha", "--json")
    assert result.exit_code == 1
    assert "cannot read" in document(result)["error"]["message"]


def test_a_function_that_takes_too_long_may_still_record(deployed: Deployed) -> None:
    deployed.lambda_.answer = ReadTimeoutError(endpoint_url="https://lambda")
    result = deployed.rwm("record", "alpha")
    assert result.exit_code == 1
    assert "what was asked for may still be going on" in sentence(result)


def test_what_a_finding_says_cannot_speak_to_the_terminal(deployed: Deployed) -> None:
    deployed.lambda_.answer = {**REFUSED, "findings": [{**FINDING, "what": "\x1b[31mno"}]}
    assert "\x1b" not in deployed.rwm("record", "alpha").stdout
