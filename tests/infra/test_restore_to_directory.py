"""The branch of a restore to a directory: announced, then it waits; nothing of it runs on a person's machine."""

import json

import pytest

from tests.infra.executions import Answers, Execution, StepFailed
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import Definition, definitions

ASKED = {"repository": "alpha", "state": "1" * 64, "to": "directory"}
STEPS: Answers = {
    "Announce restore": lambda asked: asked,
    "End restore": lambda _asked: {"ended": True},
}


@pytest.fixture(scope="module")
def definition(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-restore"]


def test_it_is_announced_first_and_then_waits_until_somebody_stops_it(definition: Definition) -> None:
    restore = Execution(definition, STEPS).run(ASKED)
    assert restore.entered[:4] == ["Begin", "Announce restore", "Where to?", "Downloaded meanwhile"]
    assert restore.asked["Announce restore"] == {**ASKED, "execution": "execution-1"}


def test_what_nobody_stops_is_taken_back_an_hour_before_the_workflow_s_own_time_is_over(definition: Definition) -> None:
    restore = Execution(definition, STEPS).run(ASKED)
    # The execution began on 2026-11-21 at 12:00, and may last 7 days.
    assert restore.asked["Downloaded meanwhile"] == "2026-11-28T11:00:00.123Z"
    assert definition["TimeoutSeconds"] == 7 * 86400
    assert restore.entered[4:] == ["Nobody said", "End restore", "How did it go?", "Failed"]
    assert restore.asked["End restore"] == {"repository": "alpha", "execution": "execution-1"}
    assert restore.error == "RestoreUnheard"
    assert "run the same `rwm restore` again" in json.loads(restore.cause)["errorMessage"]


def test_what_is_refused_does_not_wait(definition: Definition) -> None:
    def refuse(_asked: object) -> object:
        raise StepFailed("RestoreRefused", "state 1 was dropped; nothing was written")

    restore = Execution(definition, {**STEPS, "Announce restore": refuse}).run(ASKED)
    assert restore.entered == ["Begin", "Announce restore", "End restore", "How did it go?", "Refused"]
    assert restore.cause == "state 1 was dropped; nothing was written"
