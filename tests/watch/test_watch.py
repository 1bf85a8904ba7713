"""The watch tells once when something begins to be wrong, once when it is over, and never that all is well unread."""

from datetime import timedelta
from typing import Any

import pytest

from functions.domain.notices import EVERY_REPOSITORY
from functions.domain.ports import NotTold
from functions.domain.prune.approval import Approval
from functions.domain.restore.drilled import conclude
from functions.domain.values import Digest, RepositoryName, Severity
from functions.domain.verdict import CheckLevel
from functions.domain.watch.facts import PostureFinding, Prune
from functions.watch.watch import WatchFailed
from tests.builders import NOON, at
from tests.domain.judging import ALPHA, FAIL, HOLD
from tests.domain.locks.reports import lock_report
from tests.domain.test_notices import a_plan
from tests.drill.reports import drill, failure, restored
from tests.fakes.faults import CallLog, Crash, FailOnce, KillAt, Moment, nothing
from tests.watch.world import DAY, HOUR, World, a_repository

BETA = RepositoryName("beta")


def quiet(**settings: Any) -> World:
    """A repository that was just recorded and backed up, and looked at once; lock upkeep is not at issue."""
    world = World((a_repository(lock_schedule="never", **settings),))
    world.record()
    assert world.look() == []
    return world


# --- backups and recordings --------------------------------------------------------------------------------


def test_a_repository_that_is_backed_up_is_no_news() -> None:
    world = quiet()
    for _ in range(5):
        world.clock.advance(DAY)
        world.record()
        assert world.look() == []


def test_a_missed_backup_is_told_once_and_its_end_once() -> None:
    world = quiet()
    world.clock.advance(2 * DAY)
    world.record(snapshot=NOON)
    assert world.look() == [], "max_backup_age is two days, and they are not over"
    world.clock.advance(HOUR)
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"]
    notice = world.notifier.notices[-1]
    assert "was written at 2026-11-21T12:00:00Z" in notice.body
    assert "So since 2026-11-23T12:00:00Z." in notice.body
    world.clock.advance(HOUR)
    assert world.look() == []
    world.record()
    assert world.look() == ["RWM: OVER alpha: a backup was missed"]
    assert world.look() == []


def test_backups_may_be_as_old_as_they_like_where_max_backup_age_is_never() -> None:
    world = quiet(max_backup_age="never")
    for _ in range(9):
        world.clock.advance(DAY)
        world.record(snapshot=NOON)
        assert world.look() == []


def test_a_repository_without_any_snapshot_misses_its_first_backup() -> None:
    world = World((a_repository(lock_schedule="never"),))
    world.record(has_snapshot=False)
    assert world.look() == []
    world.clock.advance(2 * DAY + HOUR)
    world.record(has_snapshot=False)
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"]
    assert (
        "has no snapshot, though its first state was recorded at 2026-11-21T12:00:03Z" in world.notifier.notices[0].body
    )


def test_of_a_state_that_an_older_version_recorded_nobody_claims_when_its_backup_was() -> None:
    """Neither that it was missed, nor that it came: the next recording tells."""
    world = quiet()
    world.clock.advance(3 * DAY)
    world.record(snapshot=NOON)
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"]
    world.record(known=False, cut=world.clock.at + HOUR)
    assert world.look() == []
    world.clock.advance(2 * HOUR)
    world.record()
    assert world.look() == ["RWM: OVER alpha: a backup was missed"]


def test_that_recording_stopped_is_told_once_and_its_end_once() -> None:
    world = quiet(max_backup_age="never")
    world.clock.advance(2 * DAY + HOUR)
    assert world.look() == ["RWM: FAIL alpha: no state is recorded any more"]
    assert world.look() == []
    world.record()
    assert world.look() == ["RWM: OVER alpha: no state is recorded any more"]


def test_a_repository_that_was_never_recorded_is_told_from_when_it_was_seen_first() -> None:
    world = World((a_repository(lock_schedule="never"),))
    assert world.look() == []
    world.clock.advance(2 * DAY)
    assert world.look() == []
    world.clock.advance(HOUR)
    assert world.look() == ["RWM: FAIL alpha: no state is recorded any more"]


def test_three_incomplete_backups_in_a_row_are_worth_a_word() -> None:
    world = quiet()
    for number in range(3):
        assert world.look() == []
        world.clock.advance(HOUR)
        world.record(reason="event", outcome="incomplete")
        # A schedule records in between, and says nothing of a backup.
        world.record(cut=world.clock.at + timedelta(minutes=1 + number))
    assert world.look() == ["RWM: NOTE alpha: backups end incomplete"]
    world.clock.advance(HOUR)
    world.record(reason="event", outcome="complete")
    assert world.look() == ["RWM: OVER alpha: backups end incomplete"]


# --- findings ------------------------------------------------------------------------------------------------


def test_what_a_check_told_is_not_told_again_but_its_end_is() -> None:
    world = quiet()
    state = world.record(cut=at(60))
    world.verdict(state, FAIL, HOLD, level=CheckLevel.CONTENT)
    assert world.look() == []
    world.clock.advance(HOUR)
    world.verdict(state, HOLD, level=CheckLevel.CONTENT)
    assert world.look() == ["RWM: OVER alpha: config-missing"]
    notice = world.notifier.notices[-1]
    assert notice.attributes["level"] == "content"
    assert "You were told:\n  What." in notice.body
    assert "  rwm timeline alpha\n" in notice.body


def test_what_began_and_ended_between_two_looks_is_told_as_over_once() -> None:
    world = quiet()
    world.clock.advance(HOUR)
    state = world.record()
    world.verdict(state, FAIL, level=CheckLevel.CONTENT)
    world.clock.advance(HOUR)
    world.verdict(state, level=CheckLevel.CONTENT)
    assert world.look() == ["RWM: OVER alpha: config-missing"]
    assert world.look() == []


def test_what_is_found_in_an_old_state_is_not_over_because_the_newest_was_good_before() -> None:
    world = quiet()
    old = world.record(cut=at(60))
    world.verdict(world.record(cut=at(120)), level=CheckLevel.CONTENT)
    world.clock.advance(HOUR)
    world.verdict(old, FAIL, level=CheckLevel.CONTENT)
    assert world.look() == []


def test_a_finding_that_nobody_could_be_told_of_is_told_by_the_watch_once() -> None:
    world = quiet()
    state = world.record(cut=at(60))
    world.verdict(state, FAIL, told=False)
    assert world.look() == ["RWM: FAIL alpha: config-missing"]
    assert "More: docs/findings.md#config-missing" in world.notifier.notices[0].body
    assert world.look() == []


def test_a_finding_of_a_level_that_is_not_judged_any_more_is_not_over() -> None:
    world = quiet()
    state = world.record(cut=at(60))
    world.verdict(state, FAIL, level=CheckLevel.COMPLETE)
    assert world.look() == []
    world.clock.advance(DAY)
    world.verdict(world.record())
    assert world.look() == [], "the consistent verdict says nothing of what the password showed"


def posture(name: str = "bucket-policy-missing", severity: Severity = Severity.FAIL) -> PostureFinding:
    return PostureFinding(name, severity, NOON, "the bucket has no policy", "give it one")


def test_of_posture_the_end_is_told_and_drift_has_none() -> None:
    world = quiet()
    world.posture.found[ALPHA] = (posture(), posture("drift", Severity.HOLD), posture("stale", Severity.NOTE))
    assert world.look() == []
    world.posture.found[ALPHA] = ()
    assert world.look() == ["RWM: OVER alpha: bucket-policy-missing"]


def test_an_overdue_drill_is_over_when_posture_has_it_no_more() -> None:
    world = quiet()
    world.posture.found[ALPHA] = (posture("drill-overdue", Severity.NOTE),)
    assert world.look() == []
    world.posture.found[ALPHA] = ()
    assert world.look() == ["RWM: OVER alpha: drill-overdue"]


def test_a_quarantine_is_told_when_it_lasts() -> None:
    world = quiet(max_backup_age="never", max_state_age="99d")
    world.posture.found[ALPHA] = (posture("quarantined", Severity.NOTE),)
    assert world.look() == []
    world.clock.advance(2 * DAY)
    assert world.look() == []
    world.clock.advance(DAY)
    assert world.look() == ["RWM: NOTE alpha: still in quarantine"]
    assert world.look() == []
    world.posture.found[ALPHA] = ()
    assert world.look() == ["RWM: OVER alpha: still in quarantine"]


def test_a_quarantine_that_was_short_is_never_told() -> None:
    world = quiet()
    world.posture.found[ALPHA] = (posture("quarantined", Severity.NOTE),)
    assert world.look() == []
    world.posture.found[ALPHA] = ()
    assert world.look() == []


# --- prunes --------------------------------------------------------------------------------------------------


def ended(how: str | None, hours: float, execution: str = "monday") -> Prune:
    when = NOON + hours * HOUR
    status = "SUCCEEDED" if how is None else "TIMED_OUT" if how == "TIMED_OUT" else "FAILED"
    return Prune(execution, status, when, when, None if how == "TIMED_OUT" else how)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["PruneFailed", "PruneRefused", "PruneIncomplete", "TIMED_OUT"])
def test_a_prune_that_failed_is_told_once_and_over_when_one_succeeds(how: str) -> None:
    world = quiet()
    world.prunes.executions[ALPHA] = (ended(how, 1),)
    assert world.look() == [f"RWM: HOLD alpha: the newest prune ended as {how}"]
    running = Prune("tuesday", "RUNNING", NOON + 2 * HOUR, None, None)
    world.prunes.executions[ALPHA] = (running, ended(how, 1))
    assert world.look() == [], "one that runs has not ended well yet"
    world.prunes.executions[ALPHA] = (ended(how, 3, "tuesday"), ended(how, 1))
    assert world.look() == [], "the same again is no news"
    world.prunes.executions[ALPHA] = (ended(None, 4, "wednesday"), ended(how, 3, "tuesday"))
    assert world.look() == [f"RWM: OVER alpha: the newest prune ended as {how}"]


def test_a_prune_that_harmed_is_worse_and_is_told_though_another_failed_before() -> None:
    world = quiet()
    world.prunes.executions[ALPHA] = (ended("PruneFailed", 1),)
    assert world.look() == ["RWM: HOLD alpha: the newest prune ended as PruneFailed"]
    world.prunes.executions[ALPHA] = (ended("PruneHarmed", 2), ended("PruneFailed", 1))
    assert world.look() == ["RWM: FAIL alpha: the newest prune ended as PruneHarmed"]


@pytest.mark.parametrize("how", ["PruneRejected", "PruneExpired"])
def test_what_a_person_decided_or_did_not_is_no_failure(how: str) -> None:
    world = quiet()
    world.prunes.executions[ALPHA] = (ended(how, 1),)
    assert world.look() == []


def test_a_prune_that_step_functions_forgot_is_not_over() -> None:
    world = quiet()
    world.prunes.executions[ALPHA] = (ended("PruneFailed", 1),)
    world.look()
    world.prunes.executions = {}
    assert world.look() == []


def waiting() -> World:
    world = quiet()
    world.plans.put(a_plan())
    assert world.look() == [], "ask-approval told it"
    return world


def test_people_are_reminded_of_a_plan_once_in_the_last_quarter_of_its_time() -> None:
    world = waiting()
    world.clock.advance(18 * HOUR)
    assert world.look() == []
    world.clock.advance(HOUR)
    assert world.look() == ["RWM: HOLD alpha: prune plan abcdef000000 still waits for an approver"]
    assert f"rwm approve {a_plan().plan}" in world.notifier.notices[-1].body
    world.clock.advance(HOUR)
    assert world.look() == []
    world.clock.advance(5 * HOUR)
    assert world.look() == ["RWM: OVER alpha: prune plan abcdef000000 waits for an approver"]
    assert "Nobody decided in time, or the prune was stopped; nothing was deleted." in world.notifier.notices[-1].body


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_the_end_of_the_waiting_says_what_was_decided(decision: str) -> None:
    world = waiting()
    world.clock.advance(HOUR)
    plan = a_plan()
    fields = {"repository": ALPHA, "plan": plan.plan, "state": plan.state, "generation": 7, "decision": decision}
    world.approvals.decide(Approval.model_validate({**fields, "by": "arn:aws:iam::1:user/ann", "at": world.clock.at}))
    assert world.look() == ["RWM: OVER alpha: prune plan abcdef000000 waits for an approver"]
    body = world.notifier.notices[-1].body
    assert f"It was {decision} at 2026-11-21T13:00:00Z." in body
    assert "nothing was deleted" not in body


def test_a_plan_whose_prune_was_stopped_waits_no_more() -> None:
    world = waiting()
    world.prunes.executions[ALPHA] = (Prune("monday", "ABORTED", NOON, NOON + HOUR, None),)
    assert world.look() == [
        "RWM: HOLD alpha: the newest prune ended as ABORTED",
        "RWM: OVER alpha: prune plan abcdef000000 waits for an approver",
    ]


def test_a_dry_run_and_a_plan_that_needs_nobody_wait_for_nobody() -> None:
    world = quiet()
    world.plans.put(a_plan(dry_run=True, plan=Digest("1" * 64)))
    world.plans.put(a_plan(approval="not-needed", plan=Digest("2" * 64)))
    world.clock.advance(23 * HOUR)
    world.record()
    assert world.look() == []


# --- drills, locks, dead letters -----------------------------------------------------------------------------


def test_a_failed_drill_is_over_when_one_succeeds() -> None:
    world = quiet()
    world.drills.append(conclude(drill(failure=failure("Broken"), restored=None), at(100)))
    assert world.look() == []
    later = drill(execution="drill-2", restored=restored(execution="drill-2"))
    world.drills.append(conclude(later, at(200)))
    assert world.look() == ["RWM: OVER alpha: restore drill failed: broke"]


def test_lock_upkeep_that_does_not_run_any_more_is_told_and_again_when_the_first_lock_comes_near() -> None:
    world = World((a_repository(max_state_age="99d", max_backup_age="never"),))
    world.record()
    world.locks.append(lock_report(made_at=NOON, earliest=NOON + 10 * DAY))
    world.clock.advance(2 * DAY)
    assert world.look() == []
    world.clock.advance(2 * HOUR)
    assert world.look() == ["RWM: HOLD alpha: lock upkeep does not run"]
    world.clock.advance(2 * DAY)
    assert world.look() == []
    world.clock.advance(3 * DAY)
    assert world.look() == ["RWM: FAIL alpha: locks are about to lapse"]
    assert world.look() == []
    world.locks.append(lock_report(made_at=world.clock.at, earliest=NOON + 21 * DAY))
    assert world.look() == ["RWM: OVER alpha: locks are about to lapse"]


def test_lock_upkeep_that_never_ran_is_told_and_where_none_is_wanted_or_possible_it_is_not() -> None:
    never = World((a_repository(max_state_age="99d", max_backup_age="never"),))
    unwanted = World((a_repository(max_state_age="99d", max_backup_age="never", lock_schedule="never"),))
    lockless = World((a_repository(max_state_age="99d", max_backup_age="never"),))
    lockless.locks.append(lock_report(made_at=NOON, object_lock=False))
    for world in (never, unwanted, lockless):
        world.record()
        world.clock.advance(3 * DAY)
    assert never.look() == ["RWM: HOLD alpha: lock upkeep does not run"]
    assert "Lock upkeep has never run" in never.notifier.notices[0].body
    assert unwanted.look() == lockless.look() == []


def test_what_lock_upkeep_told_is_over_after_a_whole_pass_and_what_it_could_not_tell_is_told() -> None:
    world = quiet()
    world.locks.append(lock_report(made_at=NOON, missing=True, told=True))
    assert world.look() == []
    world.locks.append(lock_report(made_at=NOON + HOUR, done_until="data/7"))
    assert world.look() == [], "a pass that is under way has not looked everywhere"
    world.locks.append(lock_report(made_at=NOON + 2 * HOUR))
    assert world.look() == ["RWM: OVER alpha: locks-missing"]
    world.locks.append(lock_report(made_at=NOON + 3 * HOUR, missing=True, told=False))
    assert world.look() == ["RWM: HOLD alpha: locks-missing"]
    assert world.look() == []


def test_dead_letters_are_told_once_for_all_repositories() -> None:
    world = quiet()
    world.dead_letters.messages = 2
    assert world.look() == ["RWM: HOLD all repositories: messages wait in the dead-letter queue"]
    assert world.notifier.notices[-1].attributes["repository"] == EVERY_REPOSITORY
    assert "  rwm dead-letters\n" in world.notifier.notices[-1].body
    world.dead_letters.messages = 3
    assert world.look() == []
    world.dead_letters.messages = 0
    assert world.look() == ["RWM: OVER all repositories: messages wait in the dead-letter queue"]


# --- what cannot be read, and what breaks ---------------------------------------------------------------------


class Refused(Exception):
    """What a client of AWS raises, as far as the watch looks into it."""

    def __init__(self, *_said: str) -> None:
        super().__init__("data/secret is not for you")
        self.response = {"Error": {"Code": "AccessDeniedException"}}


READS = ("QueryHeaders", "QueryVerdicts", "QueryPosture", "QueryPlans", "QueryDrillReports", "QueryLockReport")
NAMES = ("states", "verdicts", "posture", "plans", "drills", "locks")


@pytest.mark.parametrize(("operation", "name"), list(zip(READS, NAMES, strict=True)))
def test_what_cannot_be_read_is_told_by_its_name_and_when_it_is_over(operation: str, name: str) -> None:
    world = quiet()
    world.hook(FailOnce(1, Moment.BEFORE, Refused, (operation,)))
    assert world.look() == [f"RWM: HOLD alpha: the watch could not read {name}"]
    body = world.notifier.notices[-1].body
    assert "(Refused AccessDeniedException)" in body
    assert "data/secret" not in body, "what stands in an error is nobody's business"
    assert world.look() == [f"RWM: OVER alpha: the watch could not read {name}"]


@pytest.mark.parametrize("operation", READS)
def test_what_cannot_be_read_ends_nothing(operation: str) -> None:
    world = everything_open()
    world.hook(FailOnce(1, Moment.BEFORE, Refused, (operation,)))
    (told,) = world.look()
    assert "could not read" in told
    (told,) = world.look()
    assert told.startswith("RWM: OVER alpha: the watch could not read")


def test_that_step_functions_does_not_tell_is_told_once_for_all_and_ends_nothing() -> None:
    world = everything_open()
    world.prunes.denied = True
    assert world.look() == ["RWM: HOLD all repositories: the watch could not read prunes"]
    world.prunes.denied = False
    assert world.look() == ["RWM: OVER all repositories: the watch could not read prunes"]


def everything_open() -> World:
    """A condition of each kind stands, and people know."""
    world = World((a_repository(),))
    state = world.record()
    for each in range(3):
        world.record(cut=at(60 + each), snapshot=NOON, reason="event", outcome="incomplete")
    world.verdict(state, FAIL, level=CheckLevel.CONTENT)
    world.posture.found[ALPHA] = (posture(),)
    world.clock.advance(9 * DAY)
    world.plans.put(a_plan(drawn_at=world.clock.at, valid_until=world.clock.at + DAY))
    world.prunes.executions[ALPHA] = (ended("PruneFailed", 1, "sunday"),)
    world.drills.append(conclude(drill(failure=failure("Broken"), restored=None), at(100)))
    world.locks.append(lock_report(made_at=NOON, missing=True, told=True))
    world.look()
    assert world.look() == []
    return world


def test_a_repository_that_cannot_be_watched_does_not_stop_the_others_and_fails_the_function() -> None:
    world = World((a_repository(lock_schedule="never"), a_repository("beta", lock_schedule="never")))
    for name in (ALPHA, BETA):
        world.record(name, snapshot=NOON - 5 * DAY)
    # The second report that is kept is alpha's.
    world.hook(FailOnce(2, Moment.BEFORE, Refused, ("PutWatchReport",)))
    with pytest.raises(WatchFailed, match=r"^alpha: Refused AccessDeniedException$"):
        world.look()
    assert world.notifier.subjects == [f"RWM: HOLD {name}: a backup was missed" for name in ("alpha", "beta")]
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"], "twice rather than never"


def test_what_sns_does_not_take_is_told_at_the_next_look_and_the_function_fails() -> None:
    world = quiet()
    world.clock.advance(3 * DAY)
    world.record(snapshot=NOON)
    world.hook(FailOnce(1, Moment.BEFORE, NotTold, ("Publish",)))
    with pytest.raises(WatchFailed, match=r"alpha: 1 notice\(s\) were not taken"):
        world.look()
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"]
    world.record()
    world.hook(FailOnce(1, Moment.BEFORE, NotTold, ("Publish",)))
    with pytest.raises(WatchFailed):
        world.look()
    assert world.look() == ["RWM: OVER alpha: a backup was missed"]
    assert world.look() == []


def test_a_report_of_its_own_that_it_cannot_read_is_replaced_and_what_stands_is_told_again() -> None:
    world = quiet()
    world.clock.advance(3 * DAY)
    world.record(snapshot=NOON)
    assert world.look() == ["RWM: HOLD alpha: a backup was missed"]
    world.log.stored[ALPHA] = b"no report"
    with pytest.raises(WatchFailed, match="alpha: UnreadableDocument"):
        world.look()
    assert world.notifier.subjects == ["RWM: HOLD alpha: a backup was missed"] * 2
    assert world.look() == []


def changed() -> World:
    """Something began, and something is over, since people were told."""
    world = quiet()
    world.clock.advance(3 * DAY)
    world.record(snapshot=NOON)
    world.look()
    world.record()
    world.prunes.executions[ALPHA] = (ended("PruneFailed", 70),)
    world.dead_letters.messages = 1
    return world


WANTED = {
    "RWM: OVER alpha: a backup was missed",
    "RWM: HOLD alpha: the newest prune ended as PruneFailed",
    "RWM: HOLD all repositories: messages wait in the dead-letter queue",
}


def test_killed_at_any_call_people_hear_of_it_twice_rather_than_never() -> None:
    undisturbed = changed()
    log = CallLog()
    undisturbed.hook(log)
    assert set(undisturbed.look()) == WANTED
    moments = len(log.calls)
    assert undisturbed.look() == []
    assert moments > 30
    for moment in range(1, moments + 1):
        world = changed()
        heard = len(world.notifier.notices)
        kill = KillAt(moment)
        world.hook(kill)
        with pytest.raises(Crash):
            world.look()
        assert kill.dead
        world.hook(nothing)
        world.look()
        told = world.notifier.subjects[heard:]
        assert set(told) == WANTED, moment
        assert all(told.count(each) <= 2 for each in WANTED), moment
        assert world.look() == [], moment
