"""What a drill came to is what was proven, and who waits for one too long is told."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.repositories import Repository
from functions.domain.restore.drill import DrillFailure, DrillReport, overdue
from functions.domain.restore.drilled import Failure, conclude
from functions.domain.restore.request import Location
from functions.domain.values import Digest, Severity
from functions.domain.verdict import CheckLevel
from tests.builders import NOON, at
from tests.domain.judging import HOLD, NOTE
from tests.drill.reports import CHOSEN, DAMAGED, LOST, OPENED, STATE, drill, failure, report, restored, verdict

DAY = timedelta(days=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


# --- what it came to ---------------------------------------------------------------------------------------


def test_a_drill_whose_objects_are_all_proven_restored_the_content() -> None:
    found = report()
    assert (found.outcome, found.level, found.why, found.detail) == ("restored", "content", None, "")
    assert (found.state, found.target, found.seconds) == (STATE.id, CHOSEN.target, 100)
    assert (found.objects, found.bytes, found.proven) == (STATE.objects, STATE.bytes, STATE.objects)


def test_a_copy_that_was_opened_and_is_whole_is_complete() -> None:
    said = verdict(NOTE)
    found = report(chosen=OPENED, verdict=said)
    assert (found.outcome, found.level, found.verdict) == ("restored", "complete", said.digest)


def test_a_copy_that_the_password_says_is_not_whole_fails_the_drill() -> None:
    found = report(chosen=OPENED, verdict=verdict(HOLD, HOLD))
    assert (found.outcome, found.level, found.why) == ("failed", None, DrillFailure.NOT_COMPLETE)
    assert found.detail == "HOLD growth"
    assert found.proven == STATE.objects, "what was proven all the same is told"


@pytest.mark.parametrize(
    "changes",
    [
        {"by": "drill-2"},
        {"target": "rwm-restore-1/"},
        {"target": None},
        {"level": CheckLevel.CONTENT},
    ],
)
def test_a_verdict_on_anything_but_this_copy_proves_nothing(changes: dict[str, object]) -> None:
    found = report(chosen=OPENED, verdict=verdict(**changes))
    assert (found.outcome, found.why, found.verdict) == ("failed", DrillFailure.NOT_JUDGED, None)


def test_without_a_verdict_a_copy_that_was_to_be_opened_is_not_judged_and_it_says_what_broke() -> None:
    nested = json.dumps({"Status": "FAILED", "Error": "CheckRefused", "Cause": "there is no password"})
    found = report(chosen=OPENED, failure=failure("States.TaskFailed", nested))
    assert (found.why, found.detail) == (DrillFailure.NOT_JUDGED, "CheckRefused: there is no password")


def test_what_is_missing_or_damaged_fails_the_drill_with_its_counts() -> None:
    lost, damaged = report(restored=LOST), report(restored=DAMAGED)
    assert (lost.outcome, lost.why, lost.detail) == ("failed", DrillFailure.INCOMPLETE, "1 missing")
    assert (damaged.outcome, damaged.why, damaged.detail) == ("failed", DrillFailure.DAMAGED, "1 of 2 objects")


@pytest.mark.parametrize(
    "changes", [{"objects": 1, "proven": 1}, {"content_root": "e" * 64, "found_content_root": "e" * 64}]
)
def test_a_drill_of_all_that_restored_something_else_has_failed(changes: dict[str, object]) -> None:
    other = report(restored=restored(**changes))
    assert (other.outcome, other.why) == ("failed", DrillFailure.INCOMPLETE)


def test_of_a_sample_only_the_sample_has_to_be_proven() -> None:
    sampled = CHOSEN.model_copy(update={"sample_bytes": 100})
    part = restored(objects=1, bytes=100, proven=1, content_root="e" * 64, found_content_root="e" * 64)
    found = report(chosen=sampled, restored=part)
    assert (found.outcome, found.level, found.sample_bytes) == ("restored", "content", 100)
    assert (found.objects, found.state_objects) == (1, STATE.objects)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "e" * 64},
        {"target": Location(bucket="rwm-restore-1")},
        {"execution": "another"},
        {"repository": "beta"},
    ],
)
def test_the_report_of_another_restore_proves_nothing(changes: dict[str, object]) -> None:
    found = report(restored=restored(**changes))
    assert (found.outcome, found.why, found.proven) == ("failed", DrillFailure.BROKE, 0)


def test_a_restore_that_refused_is_told_in_its_own_words() -> None:
    nested = json.dumps({"Status": "FAILED", "Error": "RestoreRefused", "Cause": "2 objects are in an archive class"})
    found = report(restored=None, failure=failure("States.TaskFailed", nested))
    assert (found.why, found.detail) == (DrillFailure.REFUSED, "RestoreRefused: 2 objects are in an archive class")


def test_without_a_good_state_nothing_is_drilled_and_the_reason_is_told() -> None:
    cause = json.dumps({"errorType": "NoGoodState", "errorMessage": "no state of alpha is known to be good"})
    found = report(chosen=None, restored=None, failure=failure("NoGoodState", cause))
    assert (found.state, found.outcome, found.why) == (None, "failed", DrillFailure.NO_GOOD_STATE)
    assert found.detail == "NoGoodState: no state of alpha is known to be good"


def test_a_step_that_broke_is_named() -> None:
    broke = report(chosen=None, restored=None, failure=failure("Sandbox.Timedout", "after 60 s"))
    assert (broke.why, broke.detail) == (DrillFailure.BROKE, "Sandbox.Timedout: after 60 s")
    assert report(restored=None).detail == "it left no report"


@given(JSON)
def test_whatever_a_step_fails_by_the_drill_is_concluded(told: object) -> None:
    causes = [told, {"Error": told, "Cause": told}, {"Error": "E", "Cause": json.dumps(told)}]
    for each in causes:
        found = report(restored=None, failure=Failure.of(each))
        assert found.why is DrillFailure.BROKE
        assert DrillReport.parse(found.canonical()) == found


def test_a_long_answer_is_cut_so_that_the_report_can_be_kept() -> None:
    assert len(report(restored=None, failure=failure("E", "x" * 300_000)).detail) == 1_000


@pytest.mark.parametrize(
    "changes",
    [
        {"proven": 1},
        {"state": None},
        {"level": None},
        {"level": "complete"},
        {"why": DrillFailure.BROKE},
        {"objects": 1, "proven": 1},
        {"bytes": 1},
        {"outcome": "failed"},
        {"outcome": "failed", "level": None},
    ],
)
def test_a_report_cannot_say_restored_of_what_was_not_proven(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DrillReport.model_validate({**report().model_dump(), **changes})


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    assert conclude(drill(), at(-5)).seconds == 0


# --- overdue -----------------------------------------------------------------------------------------------

ALPHA = Repository(name="alpha", bucket="backups")


def test_a_drill_is_overdue_when_the_last_that_succeeded_is_too_old() -> None:
    ended = NOON
    assert overdue(ALPHA, NOON - 100 * DAY, ended, ended + 35 * DAY) is None
    found = overdue(ALPHA, NOON - 100 * DAY, ended, ended + 35 * DAY + timedelta(seconds=1))
    assert found is not None
    assert (found.id, found.severity, found.since) == ("drill-overdue", Severity.NOTE, ended + 35 * DAY)
    assert found.what == "the last drill that restored it ended at 2026-11-21T12:00:00Z"


def test_a_young_repository_is_not_overdue_and_an_old_one_that_was_never_drilled_is() -> None:
    assert overdue(ALPHA, NOON, None, NOON + 35 * DAY) is None
    found = overdue(ALPHA, NOON, None, NOON + 36 * DAY)
    assert found is not None
    assert found.what == "no drill has restored it since its first state was recorded, at 2026-11-21T12:00:00Z"


def test_without_a_state_or_a_schedule_nobody_waits_for_a_drill() -> None:
    assert overdue(ALPHA, None, None, NOON + 1000 * DAY) is None
    never = Repository(name="alpha", bucket="backups", drill_schedule="never")
    assert never.drill_schedule is None
    assert overdue(never, NOON, None, NOON + 1000 * DAY) is None


def test_what_is_said_of_it_stays_the_same_from_day_to_day() -> None:
    first, second = (overdue(ALPHA, NOON, None, NOON + days * DAY) for days in (40, 41))
    assert first == second


def test_a_report_is_named_by_its_bytes() -> None:
    assert report().digest != report(ended=101).digest
    assert report().digest != Digest("0" * 64)
