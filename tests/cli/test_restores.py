"""`rwm restores`: which restores are under way, whether they run, and what those that ended came to."""

from typing import Any

import pytest

from functions.domain.keeping import Restoring
from functions.domain.restore.plan import report_file
from functions.domain.restore.proof import Kind, Trouble
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey
from functions.storage.restores import DynamoRestoreAnnouncer
from tests.builders import at, version
from tests.cli.deployed import NAMES, RECORDS, Deployed, denied, document, sentence

TARGET = Location(bucket="rwm-restore-1", prefix="here")
RUNNING: dict[str, Any] = {"status": "RUNNING"}
ABORTED: dict[str, Any] = {"status": "ABORTED", "stopDate": at(300)}


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config"), version("keys/one")])


def announce(deployed: Deployed, state: StateHeader, execution: str, seconds: float = 60) -> None:
    """plan-restore does this first."""
    announcer = DynamoRestoreAnnouncer(deployed.aws.dynamodb, NAMES.operations, NAMES.ledger)
    announcer.announce(state.repository, state.generation, Restoring(execution, state.id, at(seconds)))


def listed(deployed: Deployed, *more: str) -> Any:
    result = deployed.rwm("restores", "alpha", "--json", *more)
    assert result.exit_code == 0, result.stderr
    return document(result)


def test_where_there_is_none_it_says_so(deployed: Deployed, state: StateHeader) -> None:
    assert listed(deployed) == {"repository": "alpha", "under_way": [], "restores": [], "more": False}
    shown = deployed.rwm("restores", "alpha").stdout
    assert shown == "no restore of alpha is under way\nno restore of alpha was verified yet\n"


def test_one_that_runs_is_told_with_its_state_and_since_when(deployed: Deployed, state: StateHeader) -> None:
    announce(deployed, state, "alpha-friday")
    deployed.workflows.looks = [RUNNING]
    assert listed(deployed)["under_way"] == [
        {"execution": "alpha-friday", "state": state.id, "since": "2026-11-21T12:01:00Z", "status": "running"}
    ]
    shown = deployed.rwm("restores", "alpha").stdout
    assert "under way, and no prune of alpha drops or deletes until they have ended:" in shown
    assert ["alpha-friday", state.id[:12], "2026-11-21T12:01:00Z", "running"] in [
        line.split() for line in shown.splitlines()
    ]


@pytest.mark.parametrize("answer", ["ExecutionDoesNotExist", "AccessDeniedException"])
def test_of_each_it_says_what_step_functions_says(deployed: Deployed, state: StateHeader, answer: str) -> None:
    for number, execution in enumerate(("first", "second", "third")):
        announce(deployed, state, execution, number)
    looks = [RUNNING, ABORTED, {"raise": denied("DescribeExecution", answer)}]
    deployed.workflows.looks = looks
    found = [(each["execution"], each["status"]) for each in listed(deployed)["under_way"]]
    assert found == [("first", "running"), ("second", "ended"), ("third", "unknown")]
    deployed.workflows.looks = looks
    shown = deployed.rwm("restores", "alpha").stdout
    assert "ended; the next prune takes this away" in shown
    assert "What is unknown may run: prunes stop until an administrator has looked" in shown


def test_what_is_past_comes_newest_first_with_its_report(deployed: Deployed, state: StateHeader) -> None:
    deployed.report(state, TARGET, "old")
    deployed.report(state, TARGET, "monday", verified_at=at(100), plan=Digest("e" * 64))
    trouble = Trouble(key=ObjectKey("config"), kind=Kind.MISSING, why="its version is gone")
    deployed.report(state, TARGET, "tuesday", verified_at=at(200), outcome="incomplete", troubles=[trouble])
    found = listed(deployed)
    assert [(each["execution"], each["outcome"], each["verified_at"]) for each in found["restores"]] == [
        ("tuesday", "incomplete", "2026-11-21T12:03:20Z"),
        ("monday", "restored", "2026-11-21T12:01:40Z"),
        ("old", "restored", None),
    ]
    assert found["restores"][1] == {
        "execution": "monday",
        "verified_at": "2026-11-21T12:01:40Z",
        "state": state.id,
        "target": {"bucket": "rwm-restore-1", "prefix": "here"},
        "outcome": "restored",
        "objects": 2,
        "bytes": state.bytes,
        "proven": 2,
        "report": {"bucket": RECORDS, "key": report_file(Digest("e" * 64), "monday")},
    }
    shown = [line.split() for line in deployed.rwm("restores", "alpha").stdout.splitlines()]
    where = "rwm-restore-1/here/"
    assert ["tuesday", "2026-11-21T12:03:20Z", "incomplete", state.id[:12], where, "1", "of", "2", "200", "B"] in shown
    assert ["old", "-", "restored", state.id[:12], where, "2", "of", "2", "200", "B"] in shown


def test_at_most_so_many_are_shown_and_all_that_are_under_way(deployed: Deployed, state: StateHeader) -> None:
    for number in range(3):
        deployed.report(state, TARGET, f"number-{number}", verified_at=at(number))
        announce(deployed, state, f"under-way-{number}")
    found = listed(deployed, "--limit", "2")
    assert ([each["execution"] for each in found["restores"]], found["more"]) == (["number-2", "number-1"], True)
    assert len(found["under_way"]) == 3
    assert "there are older ones: --limit" in deployed.rwm("restores", "alpha", "--limit", "2").stdout


def test_another_repository_s_are_not_shown(deployed: Deployed, state: StateHeader) -> None:
    announce(deployed, state, "alpha-friday")
    deployed.report(state, TARGET, "monday", verified_at=at(100))
    found = document(deployed.rwm("restores", "beta", "--json"))
    assert (found["under_way"], found["restores"]) == ([], [])
    assert deployed.rwm("restores", "gamma").exit_code == 2


def test_what_cannot_be_read_is_a_failure(deployed: Deployed, state: StateHeader) -> None:
    deployed.change_item(NAMES.operations, "restoring#alpha", "friday", format={"N": "2"})
    result = deployed.rwm("restores", "alpha")
    assert result.exit_code == 1
    assert "what restore friday announced has format" in sentence(result)
    assert "nothing was listed" in sentence(result)


def test_an_execution_s_name_cannot_speak_to_the_terminal(deployed: Deployed, state: StateHeader) -> None:
    announce(deployed, state, "\x1b[2Jall is well")
    shown = deployed.rwm("restores", "alpha").stdout
    assert r"\x1b[2Jall is well" in shown
    assert "\x1b" not in shown
