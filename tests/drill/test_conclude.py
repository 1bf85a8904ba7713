"""What a drill's last step believes, writes and tells, killed at any moment or not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain.notices import drill_notice
from functions.domain.ports import NotTold
from functions.domain.repositories import Repository
from functions.domain.restore.drill import DrillFailure, DrillRefused, DrillReport
from functions.drill.conclude import ConcludeRequest, DrillPorts, conclude_drill
from tests.builders import at
from tests.domain.judging import ALPHA, FAIL, judge
from tests.drill.reports import CHOSEN, DAMAGED, OPENED, STATE, TARGET, restored
from tests.fakes.drills import FakeDrills, FakeRestoreReports
from tests.fakes.faults import Crash, KillAt, nothing
from tests.fakes.operations import FakeNotifier, FakeVerdicts

REPOSITORY = Repository(name="alpha", bucket="backups")


class World:
    """What the restore and the check left, and what is written."""

    def __init__(self) -> None:
        self.restores = FakeRestoreReports()
        self.verdicts = FakeVerdicts()
        self.notifier = FakeNotifier()
        self.drills = FakeDrills()
        self.restores.stored[ALPHA, "drill-1"] = restored()

    def conclude(self, ended: float = 100, **changes: Any) -> DrillReport:
        asked = {
            "repository": "alpha",
            "execution": "drill-1",
            "reason": "schedule",
            "started_at": "2026-11-21T12:00:00.123Z",
            "chosen": CHOSEN.model_dump(mode="json"),
            "failure": None,
        }
        request = ConcludeRequest.read({**asked, **changes})
        ports = DrillPorts(self.restores, self.verdicts, self.notifier, self.drills)
        return conclude_drill(REPOSITORY, request, ports, at(ended))


@pytest.fixture
def world() -> World:
    return World()


def test_a_drill_that_succeeded_is_kept_and_told_to_nobody(world: World) -> None:
    report = world.conclude()
    assert (report.outcome, report.level, report.seconds) == ("restored", "content", 100)
    assert report.started_at == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert world.drills.reports(ALPHA) == [report]
    assert world.notifier.notices == []


def test_the_verdict_on_this_copy_is_the_one_that_this_execution_s_check_wrote(world: World) -> None:
    opened = OPENED.model_dump(mode="json")
    world.verdicts.append(judge(STATE, FAIL, level="complete", target=str(TARGET), by="by-hand", seconds=99))  # type: ignore[arg-type]
    assert world.conclude(chosen=opened).why is DrillFailure.NOT_JUDGED
    world.verdicts.append(judge(STATE, level="complete", target=str(TARGET), by="drill-1"))  # type: ignore[arg-type]
    assert world.conclude(chosen=opened).level == "complete"


def test_a_drill_that_failed_is_told_with_what_to_do_and_without_a_key(world: World) -> None:
    world.restores.stored[ALPHA, "drill-1"] = DAMAGED
    report = world.conclude()
    (notice,) = world.notifier.notices
    assert notice.subject == "RWM: FAIL alpha: restore drill failed: damaged"
    assert notice.attributes.items() >= {"repository": "alpha", "severity": "FAIL", "level": "drill"}.items()
    assert "of which objects were damaged when it was recorded" in notice.body
    assert f"State {STATE.id[:12]}, cut at 2026-11-21T12:00:00Z" in notice.body
    assert "No prune waits for this." in notice.body
    assert DAMAGED.troubles[0].key not in notice.body
    assert world.drills.reports(ALPHA) == [report]


def test_a_drill_without_a_good_state_is_a_hold_and_what_a_step_said_stays_in_the_account(world: World) -> None:
    told = {"Error": "NoGoodState", "Cause": '{"errorMessage": "no state of alpha; config is gone"}'}
    report = world.conclude(chosen=None, failure=told)
    assert (report.why, report.state) == (DrillFailure.NO_GOOD_STATE, None)
    (notice,) = world.notifier.notices
    assert notice.attributes["severity"] == "HOLD"
    assert "config is gone" not in notice.body
    assert "config is gone" in report.detail


@pytest.mark.parametrize("why", DrillFailure)
def test_every_way_to_fail_has_words_and_a_subject_that_sns_takes(why: DrillFailure) -> None:
    failed = DrillReport.model_validate(
        {**World().conclude().model_dump(), "outcome": "failed", "level": None, "why": why}
    )
    notice = drill_notice(failed)
    assert len(notice.subject) <= 100
    assert f"restore drill failed: {why}" in notice.subject
    assert "What to do: " in notice.body


def test_where_nobody_can_be_told_nothing_is_written_and_the_step_fails(world: World) -> None:
    world.restores.stored[ALPHA, "drill-1"] = DAMAGED

    def refuse(_call: object) -> None:
        raise NotTold("SNS did not take it")

    world.notifier.hook = refuse
    with pytest.raises(NotTold):
        world.conclude()
    assert world.drills.reports(ALPHA) == []


def test_killed_at_any_call_and_asked_again_it_ends_with_one_report_and_people_were_told(world: World) -> None:
    for number in range(1, 20):
        world = World()
        world.restores.stored[ALPHA, "drill-1"] = DAMAGED
        kill = KillAt(number)
        for port in (world.restores, world.verdicts, world.notifier, world.drills):
            port.hook = kill
        try:
            world.conclude()
        except Crash:
            for port in (world.restores, world.verdicts, world.notifier, world.drills):
                port.hook = nothing
            world.conclude(200)
        else:
            assert number > 4
            return
        assert len(world.drills.reports(ALPHA)) == 1
        assert 1 <= len(world.notifier.notices) <= 2
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize(
    "changes", [{"reason": "whim"}, {"execution": ""}, {"started_at": "noon"}, {"chosen": {"state": "x"}}, {"more": 1}]
)
def test_a_malformed_request_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(DrillRefused, match=r"malformed .*; nothing was concluded"):
        world.conclude(**changes)
    assert world.drills.stored == {}
