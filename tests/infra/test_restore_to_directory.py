"""The workflow of restores to a directory: announced, then it waits; nothing of it runs on a person's machine."""

import json

import pytest

from functions.domain.restore.request import TO_DIRECTORY
from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

NAME = f"{TO_DIRECTORY}alpha-111111111111-222222222222-1"
ASKED = {"repository": "alpha", "state": "1" * 64, "to": "directory"}
STEPS: Answers = {
    "Announce restore": lambda asked: asked,
    "End restore": lambda _asked: {"ended": True},
}


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-restore-to-directory"]


def run(definition: Definition, answers: Answers | None = None, asked: object = ASKED, name: str = NAME) -> Execution:
    return Execution(definition, {**STEPS, **(answers or {})}, name).run(asked)


def test_it_is_announced_first_and_then_waits_until_somebody_stops_it(definition: Definition) -> None:
    restore = run(definition)
    assert restore.entered[:4] == ["Begin", "Not here?", "Announce restore", "Downloaded meanwhile"]
    assert restore.asked["Announce restore"] == {**ASKED, "execution": NAME}


def test_what_nobody_stops_is_taken_back_an_hour_before_the_workflow_s_own_time_is_over(definition: Definition) -> None:
    restore = run(definition)
    # The execution began on 2026-11-21 at 12:00, and may last 7 days.
    assert restore.asked["Downloaded meanwhile"] == "2026-11-28T11:00:00.123Z"
    assert definition["TimeoutSeconds"] == 7 * 86400
    assert restore.entered[4:] == ["Nobody said", "End restore", "How did it go?", "Failed"]
    assert restore.asked["End restore"] == {"repository": "alpha", "execution": NAME}
    assert restore.error == "RestoreUnheard"
    assert "run the same `rwm restore` again" in json.loads(restore.cause)["errorMessage"]


def test_what_is_refused_does_not_wait(definition: Definition) -> None:
    def refuse(_asked: object) -> object:
        raise StepFailed("RestoreRefused", "state 1 was dropped; nothing was written")

    restore = run(definition, {"Announce restore": refuse})
    assert restore.entered == ["Begin", "Not here?", "Announce restore", "End restore", "How did it go?", "Refused"]
    assert restore.cause == "state 1 was dropped; nothing was written"


@pytest.mark.parametrize(
    "asked",
    [
        {**ASKED, "to": "bucket", "target": {"bucket": "rwm-restore-1"}},
        {**ASKED, "to": "in-place"},
        {"repository": "alpha", "state": "1" * 64, "target": {"bucket": "rwm-restore-1"}},
        {},
        "directory",
        ["directory"],
        None,
    ],
)
def test_no_other_kind_of_restore_is_announced_or_begun(definition: Definition, asked: object) -> None:
    """A downloader may start this workflow, and no other."""
    restore = run(definition, asked=asked)
    assert restore.entered == ["Begin", "Not here?", "Not here"]
    assert restore.error == "RestoreRefused"
    assert "nothing was announced, and nothing was written" in restore.cause


@pytest.mark.parametrize("name", ["alpha-111111111111-22222222", f"x{NAME}", "to-directory", NAME.upper()])
def test_in_a_name_that_another_restore_could_have_it_announces_nothing_and_takes_nothing_back(
    definition: Definition, name: str
) -> None:
    """Its last step would take back what a running restore of that name announced."""
    assert run(definition, name=name).entered == ["Begin", "Not here?", "Not here"]


def test_it_asks_two_steps_and_copies_nothing(definition: Definition) -> None:
    tasks = [name for name, state in definition["States"].items() if state["Type"] in ("Task", "Map")]
    assert sorted(tasks) == ["Announce restore", "End restore"]
