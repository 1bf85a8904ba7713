"""A repository whose restic password RWM may read: what each level claims, and what a check reads and asks for."""

from typing import Any

import pytest

from tests.system.conftest import Begun
from tests.system.judged import LEVELS, Opened
from tests.system.system import PASSWORD, Answer, System

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def opened(begun: Begun) -> Opened:
    return begun.opened.result()


def _judged(answer: Answer) -> list[tuple[str, str]]:
    return [(each["level"], each["outcome"]) for each in answer.document["levels"]]


def _figures(answer: Answer, level: str) -> dict[str, int]:
    (figures,) = (each["figures"] for each in answer.document["levels"] if each["level"] == level)
    return dict(figures)


def test_a_check_is_as_deep_as_repositories_toml_says_and_judges_a_new_state(system: System, opened: Opened) -> None:
    said = opened.first.document
    assert opened.first.exit_code == 0, said
    assert (said["level"], said["claim"], said["findings"]) == ("complete", "complete", [])
    assert _judged(opened.first) == [(level, "pass") for level in LEVELS]
    (state,) = system.states("opened")[-1:]
    assert (state["id"], state["cause"]["reason"]) == (said["state"], "operator")


CLAIMS = {"posture": None, "consistent": "consistent", "content": "content verified", "complete": "complete"}


@pytest.mark.parametrize("level", CLAIMS)
def test_no_more_is_claimed_than_was_judged(opened: Opened, level: str) -> None:
    answer = opened.levels[level]
    assert (answer.exit_code, answer.document["claim"]) == (0, CLAIMS[level])
    assert _judged(answer) == [(each, "pass") for each in LEVELS[: LEVELS.index(level) + 1]]


def test_an_object_is_read_once_for_its_content_unless_all_are_asked_for(opened: Opened) -> None:
    first, again, scrubbed = (_figures(answer, "content") for answer in (opened.first, opened.again, opened.scrubbed))
    assert (first["read"], first["verified_before"]) == (opened.objects, 0)
    assert (again["read"], again["verified_before"]) == (0, opened.objects)
    assert (scrubbed["read"], scrubbed["verified_before"]) == (opened.objects, 0)


def test_read_data_opens_every_blob(opened: Opened) -> None:
    structure, everything = _figures(opened.first, "complete"), _figures(opened.read_data, "complete")
    assert opened.read_data.exit_code == 0
    assert (structure["snapshots"], structure["verified_blobs"]) == (1, 0)
    # Trees are blobs, too, and are counted apart.
    assert everything["verified_blobs"] == everything["blobs"] + everything["trees"] > 1


def test_a_wrong_password_is_a_hold_and_the_right_one_mends_it(opened: Opened) -> None:
    assert opened.wrong_password.exit_code == 3
    (finding,) = opened.wrong_password.document["findings"]
    assert (finding["level"], finding["id"]) == ("complete", "password-opens-nothing")
    assert opened.wrong_password.document["claim"] == "content verified"
    assert (opened.right_password.exit_code, opened.right_password.document["claim"]) == (0, "complete")


def test_the_password_is_in_no_log_and_no_answer(system: System, opened: Opened) -> None:
    assert opened.right_password.exit_code == 0
    pages = system.client("logs").get_paginator("filter_log_events")
    told = [
        event["message"]
        for function in ("check-complete", "conclude-complete")
        for page in pages.paginate(logGroupName=f"/aws/lambda/rwm-{function}")
        for event in page["events"]
    ]
    assert any("complete checked" in line for line in told)
    workflows = system.client("stepfunctions")
    history = workflows.get_execution_history(executionArn=opened.read_data.document["execution"])["events"]
    assert any(event["type"] == "ExecutionSucceeded" for event in history)
    for text in (*told, str(history), str(opened)):
        assert PASSWORD not in text
        assert "not the password" not in text


def test_only_a_repositorys_own_states_can_be_checked(system: System, begun: Begun, opened: Opened) -> None:
    for wanted, says in (("f" * 64, "no state"), (begun.wide.result()["id"], "belongs to wide")):
        answer = system.rwm("check", "opened", wanted)
        assert answer.exit_code == 2, answer
        assert says in answer.message
    assert system.states("opened")[0]["id"] == opened.first.document["state"]


def test_whoever_does_not_wait_is_told_how_to_look(system: System, opened: Opened) -> None:
    answer = system.rwm("check", "opened", opened.first.document["state"], "--no-wait")
    assert (answer.exit_code, answer.document["outcome"]) == (3, "running")
    execution = answer.document["execution"]
    workflows = system.client("stepfunctions", "operator")
    ended = system.eventually("an end of the check", lambda: _ended(workflows, execution))
    assert ended["status"] == "SUCCEEDED"


def _ended(workflows: Any, execution: str) -> dict[str, Any] | None:
    described: dict[str, Any] = workflows.describe_execution(executionArn=execution)
    return None if described["status"] == "RUNNING" else described
