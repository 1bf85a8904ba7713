"""What kept states name stays locked: set where it is absent, lengthened where it ends soon, and nothing else."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Hold
from functions.domain.ledger import read_state
from functions.domain.locks.report import LockReport
from functions.domain.locks.rules import SLACK, Lock
from functions.domain.notices import Notice
from functions.domain.ports import NotTold
from functions.domain.prune.pins import PinsUnproven
from functions.domain.repositories import Configuration
from functions.domain.values import Digest, ObjectKey
from functions.domain.verdict import Verdict
from functions.locks import extend_retention as step
from functions.locks.extend_retention import LockFunction, UnknownRepository
from tests.fakes.faults import Call, CallLog, Crash, Moment, nothing
from tests.fakes.s3_errors import AccessDenied, InternalError, S3Error
from tests.fakes.s3_model import LockMode
from tests.locks.world import DAY, LOCK_DAYS, PLENTY, World
from tests.restore.world import PREFIX, PROTECTED, REPOSITORY, DieAt, a_backup, a_pack

OLD, NEW = a_pack(b"pack 0"), a_pack(b"pack 1")


def some(*errors: S3Error | None) -> Callable[[], S3Error | None]:
    """These answers, one after the other."""
    answers: Iterator[S3Error | None] = chain(errors, repeat(None))
    return lambda: next(answers)


@pytest.fixture
def world() -> World:
    """Backed up and recorded once, on a bucket that locks nothing by itself."""
    made = World()
    made.back_up(a_backup())
    made.record()
    return made


# --- which, and until when -----------------------------------------------------------------------------------


def test_every_version_that_a_kept_state_names_is_locked_for_lock_days(world: World) -> None:
    report = world.extend()
    assert (report.looked_at, report.extended, report.were_unlocked, report.unlocked) == (7, 7, 7, 0)
    for key in a_backup():
        lock = world.lock_of(key)
        assert lock is not None
        assert (lock.mode, lock.until) == ("GOVERNANCE", world.now + LOCK_DAYS * DAY - SLACK)


def test_a_lock_that_lasts_is_left_alone(world: World) -> None:
    world.extend()
    world.days(6.9)
    before = world.locks()
    report = world.extend()
    assert (report.looked_at, report.extended) == (7, 0)
    assert world.locks() == before


def test_a_lock_that_ends_soon_is_lengthened(world: World) -> None:
    world.extend()
    world.days(7.1)
    report = world.extend()
    assert (report.extended, report.were_unlocked) == (7, 0)
    assert world.days_left(OLD) == pytest.approx(LOCK_DAYS, abs=0.01)


def test_a_pack_outlives_its_first_lock_for_as_long_as_a_state_names_it(world: World) -> None:
    """The threat: whoever waits until an old pack's lock has ended."""
    world.by_default(LOCK_DAYS)
    world.back_up({"snapshots/" + "a" * 64: b"another"})
    for _ in range(60):
        world.extend()
        world.days(1)
        left = world.days_left(OLD)
        assert left is not None
        assert left >= LOCK_DAYS / 2 - 1


def test_what_was_hidden_or_replaced_stays_locked_while_a_state_names_it(world: World) -> None:
    old = world.s3.head(PROTECTED, f"{PREFIX}/{OLD}").version_id
    world.hide(NEW)
    world.back_up({OLD: b"other bytes"})
    world.extend()
    locked = {key for (key, _), lock in world.locks().items() if lock is not None}
    assert locked == set(a_backup())
    assert world.lock_of(OLD, old) is not None
    assert world.lock_of(OLD) is None, "no state names what replaced it"


def test_what_no_kept_state_names_is_not_locked(world: World) -> None:
    world.back_up({"data/00/" + "0" * 64: b"since the state"})
    world.back_up({"locks/" + "0" * 64: b"a lock file"})
    report = world.extend()
    assert report.looked_at == 7
    assert {asked.key for asked in world.retentions.asked} == set(a_backup())
    assert {key for key, _ in world.retentions.read} == set(a_backup()), "nor looked at"


def test_what_only_a_dropped_state_names_is_not_locked(world: World) -> None:
    first = world.ledger.header(REPOSITORY, 1)
    assert first is not None
    world.hide(OLD)
    world.days(1)
    world.record()
    world.drop(first)
    report = world.extend()
    assert OLD not in {asked.key for asked in world.retentions.asked}
    assert [each.generation for each in report.states] == [2]
    assert report.looked_at == 6


def test_the_lock_of_another_repository_in_the_bucket_is_not_touched(world: World) -> None:
    world.s3.put(PROTECTED, "restic/other/config", b"config")
    world.extend()
    assert [lock for (key, _), lock in world.locks().items() if key == "restic/other/config"] == [None]


# --- for how long ------------------------------------------------------------------------------------------------


SHORT: dict[str, Any] = {
    "grace_days": "14d",
    "retention": {"keep_within": "20d", "days": 0, "weeks": 0, "months": 0, "years": 0},
}


@pytest.fixture
def aged() -> World:
    """A backup of which OLD was hidden after the first state: nothing but it names OLD, and it goes after 20 days. It
    is 17 days old."""
    made = World(**SHORT)
    made.back_up(a_backup())
    made.good()
    made.hide(OLD)
    for _ in range(17):
        made.days(1)
        made.good()
    return made


def old(world: World) -> Lock | None:
    (version_id,) = [version_id for key, version_id in world.locks() if key == OLD]
    return world.lock_of(OLD, version_id)


def goes_at(world: World) -> datetime:
    first = world.ledger.header(REPOSITORY, 1)
    assert first is not None
    return first.cut_time + 20 * DAY + timedelta(seconds=1)


def test_what_only_a_state_names_that_goes_soon_is_locked_until_then(aged: World) -> None:
    report = aged.extend()
    assert old(aged) == Lock("GOVERNANCE", goes_at(aged))
    assert aged.days_left(NEW) == pytest.approx(LOCK_DAYS, abs=0.01)
    assert (report.unlocked, report.due, report.findings) == (0, 0, ())


def test_what_is_due_gets_no_lock_and_is_no_fault(aged: World) -> None:
    for _ in range(4):
        aged.days(1)
        aged.good()
    aged.retentions.unreadable = {OLD: "AccessDenied"}
    report = aged.extend()
    assert old(aged) is None
    assert (report.looked_at, report.due, report.unlocked, report.were_unlocked) == (7, 1, 0, 6)
    assert (report.findings, report.refused) == ((), ())
    first = report.states[-1]
    assert (first.generation, first.due, first.looked_at, first.unlocked) == (1, True, 7, 1)
    assert report.states[0].due is False


def test_of_what_is_due_the_lock_that_lasts_is_left_alone_and_told(aged: World) -> None:
    aged.extend()
    for _ in range(4):
        aged.days(1)
        aged.good()
    before = old(aged)
    aged.extend()
    assert old(aged) == before


def test_what_a_held_state_names_is_locked_for_as_long_as_may_be(aged: World) -> None:
    first = aged.ledger.header(REPOSITORY, 1)
    assert first is not None
    aged.holds.hold(REPOSITORY, 1, Hold(first.id, by="somebody", at=aged.now, why="a reason"))
    aged.extend()
    lock = old(aged)
    assert lock is not None
    assert lock.until == aged.now + LOCK_DAYS * DAY - SLACK


def test_a_state_that_lasts_longer_than_was_certain_is_never_open() -> None:
    """The threat: whoever keeps good states from being recorded, and waits until the certain time is over."""
    world = World(**{**SHORT, "retention": {**SHORT["retention"], "keep_within": "14d"}})
    world.back_up(a_backup())
    world.good()
    world.hide(OLD)
    world.extend()
    for day in range(1, 40):
        world.days(1)
        lock = old(world)
        assert lock is not None
        assert lock.holds(world.now), day
        if day in range(14) or day == 17:
            world.good()
        else:
            world.record()
        world.extend()


def test_where_verdicts_cannot_be_read_every_kept_state_is_taken_to_last(aged: World) -> None:
    aged.verdicts.verdicts = _unreadable  # type: ignore[method-assign]
    aged.extend()
    lock = old(aged)
    assert lock is not None
    assert lock.until == aged.now + LOCK_DAYS * DAY - SLACK


def _unreadable(repository: object) -> Iterator[Verdict]:
    raise UnreadableDocument("a stored verdict is malformed")


# --- what is never done ----------------------------------------------------------------------------------------


def test_a_longer_lock_is_never_shortened(world: World) -> None:
    world.retain(OLD, 400)
    before = world.lock_of(OLD)
    report = world.extend()
    assert world.lock_of(OLD) == before
    assert OLD not in {asked.key for asked in world.retentions.asked}
    assert report.extended == 6


def test_compliance_is_not_touched_while_it_lasts_even_when_it_ends_soon(world: World) -> None:
    world.retain(OLD, 1, LockMode.COMPLIANCE)
    before = world.lock_of(OLD)
    report = world.extend()
    assert world.lock_of(OLD) == before
    assert OLD not in {asked.key for asked in world.retentions.asked}
    assert (report.unlocked, report.refused) == (0, ())
    assert report.earliest == world.now + DAY


def test_compliance_that_has_ended_is_no_lock(world: World) -> None:
    world.retain(OLD, 1, LockMode.COMPLIANCE)
    world.days(2)
    world.extend()
    lock = world.lock_of(OLD)
    assert lock is not None
    assert lock.mode == "GOVERNANCE"
    assert world.days_left(OLD) == pytest.approx(LOCK_DAYS, abs=0.01)


def test_a_governance_lock_that_has_ended_is_no_lock(world: World) -> None:
    world.retain(OLD, 1)
    world.days(2)
    report = world.extend()
    assert report.were_unlocked == 7
    assert world.days_left(OLD) == pytest.approx(LOCK_DAYS, abs=0.01)


def test_a_legal_hold_is_left_as_it_is_and_is_no_lock(world: World) -> None:
    world.s3.put_legal_hold(PROTECTED, f"{PREFIX}/{OLD}", True)
    report = world.extend()
    assert report.extended == 7
    assert world.s3.get_legal_hold(PROTECTED, f"{PREFIX}/{OLD}")


def test_no_lock_is_asked_for_beyond_the_roles_maximum(world: World) -> None:
    """However S3 rounds a part of a day, and a second before or after."""
    world.extend()
    for asked in world.retentions.asked:
        assert asked.until - world.now <= timedelta(days=LOCK_DAYS, minutes=-1)


def test_an_honest_role_that_may_do_less_says_so(world: World) -> None:
    world.retentions.most_days = LOCK_DAYS - 1
    report = world.extend()
    assert report.unlocked == 7
    assert [(each.why, each.versions) for each in report.refused] == [("AccessDenied", 7)]


# --- a bucket without Object Lock, and a repository without states -----------------------------------------------


def test_a_bucket_without_object_lock_is_a_note_and_nothing_else(world: World) -> None:
    world.s3.create_bucket("plain")
    world.repository = world.repository.model_copy(update={"bucket": "plain"})
    world.s3.access.allow("extend-retention", ["s3:Get*"], "plain")
    ports = world.ports()
    plain = step.LockPorts(
        **{
            **{name: getattr(ports, name) for name in step.LockPorts.__slots__},
            "bucket": type(ports.bucket)(world.s3, "plain", "extend-retention"),  # type: ignore[call-arg]
        }
    )
    report = step.extend_retention(world.repository, plain, lambda: PLENTY)
    assert (report.object_lock, report.complete, report.states, report.earliest) == (False, True, (), None)
    assert [(each.severity, each.id) for each in report.findings] == [("NOTE", "object-lock-off")]
    assert world.retentions.read == []
    assert world.notifier.notices == []


def test_a_repository_without_a_state_has_nothing_to_lock() -> None:
    world = World()
    world.back_up(a_backup())
    report = world.extend()
    assert (report.complete, report.looked_at, report.states, report.findings) == (True, 0, (), ())


def test_a_chain_that_is_not_whole_is_no_ground_for_a_report(world: World) -> None:
    world.days(1)
    world.record()
    del world.ledger.stored_headers[REPOSITORY, 1]
    with pytest.raises(PinsUnproven):
        world.extend()
    assert world.lock_reports.stored == {}


# --- the report -------------------------------------------------------------------------------------------------


def test_the_report_tells_of_each_kept_state_how_long_it_is_protected(world: World) -> None:
    world.retain(OLD, 10)
    world.hide(OLD)
    world.days(1)
    world.record()
    report = world.extend()
    newest, oldest = report.states
    assert (newest.generation, newest.versions, newest.looked_at) == (2, 6, 6)
    assert (oldest.generation, oldest.versions, oldest.looked_at) == (1, 7, 7)
    assert newest.earliest == world.now + LOCK_DAYS * DAY - SLACK
    assert oldest.earliest is not None
    assert oldest.earliest < world.now + 9 * DAY
    assert report.earliest == oldest.earliest
    assert (report.made_at, report.begun_at) == (world.now, world.now)


def test_states_of_the_same_manifest_share_their_figures_and_are_looked_at_once(world: World) -> None:
    world.days(1)
    world.record()
    report = world.extend()
    assert report.looked_at == 7
    assert [each.looked_at for each in report.states] == [7, 7]


def test_a_version_that_is_gone_is_not_claimed(world: World) -> None:
    world.s3.delete_version(PROTECTED, f"{PREFIX}/{OLD}", world.s3.head(PROTECTED, f"{PREFIX}/{OLD}").version_id)
    report = world.extend()
    (state,) = report.states
    assert (state.versions, state.looked_at, report.complete) == (7, 6, True)


def test_a_version_that_goes_between_the_listing_and_the_look_is_counted_as_gone(world: World) -> None:
    def take_away(call: Call) -> None:
        if (call.moment, call.operation, call.resource) == (
            Moment.BEFORE,
            "GetObjectRetention",
            f"{PROTECTED}/{PREFIX}/{OLD}",
        ):
            world.s3.hook = nothing
            world.s3.delete_version(
                PROTECTED, f"{PREFIX}/{OLD}", world.s3.head(PROTECTED, f"{PREFIX}/{OLD}").version_id
            )

    # Who may not list is not told that it is gone; the role of the step may not.
    world.s3.access.allow("extend-retention", ["s3:ListBucket"], PROTECTED)
    world.s3.hook = take_away
    report = world.extend()
    assert (report.gone, report.looked_at, report.unlocked, report.refused) == (1, 6, 0, ())


def test_a_state_that_does_not_prove_itself_says_so_and_costs_the_others_nothing(world: World) -> None:
    world.hide(OLD)
    world.days(1)
    world.record()
    for (attempt, number), chunk in list(world.ledger.chunks.items()):
        if attempt == "attempt-2":
            world.ledger.chunks[attempt, number] = chunk[:-1] + bytes([chunk[-1] ^ 1])
    report = world.extend()
    assert [(each.generation, each.unproven) for each in report.states] == [(2, True), (1, False)]
    assert report.states[1].looked_at == 7
    assert report.unlocked == 0
    assert [each.id for each in report.findings] == ["locks-missing"]
    assert "1 kept state(s) could not be read whole" in report.findings[0].what


def test_a_state_that_names_other_versions_than_were_recorded_shows_it_at_its_end(world: World) -> None:
    """Its entries can be read, and are not those of its header."""
    header = world.ledger.header(REPOSITORY, 1)
    assert header is not None
    entries = read_state(world.ledger, header)
    (changed,) = chunks.encode([replace(each, size=each.size + 1) for each in entries])
    world.ledger.chunks[header.chunks.attempt, 0] = changed
    report = world.extend()
    assert (report.looked_at, report.states[0].unproven) == (7, True)


def test_a_state_whose_chunk_is_missing_says_so(world: World) -> None:
    world.ledger.chunks.clear()
    report = world.extend()
    assert [each.unproven for each in report.states] == [True]
    assert report.looked_at == 0


def test_a_report_of_a_thousand_states_fits_into_an_item() -> None:
    world = World()
    world.back_up(a_backup())
    for _ in range(1_003):
        world.record()
    report = world.extend()
    assert (len(report.states), report.more_states, report.states[0].generation) == (1_000, 3, 1_003)
    assert len(report.canonical()) < 300_000


# --- what S3 refuses ----------------------------------------------------------------------------------------------


def test_what_s3_refuses_is_counted_by_its_reason_and_the_rest_is_locked(world: World) -> None:
    world.retentions.errors = {OLD: AccessDenied, NEW: InternalError}
    report = world.extend()
    assert (report.looked_at, report.extended, report.unlocked) == (7, 5, 2)
    assert [(each.why, each.versions) for each in report.refused] == [("AccessDenied", 1), ("InternalError", 1)]
    assert report.states[0].unlocked == 2


def test_what_cannot_be_looked_at_is_not_known_to_be_locked(world: World) -> None:
    world.extend()
    world.retentions.unreadable = {OLD: "AccessDenied"}
    world.retentions.asked.clear()
    report = world.extend()
    assert (report.looked_at, report.unlocked) == (7, 1)
    assert world.retentions.asked == [], "a lock that was not read could be shortened"


def test_a_lock_that_cannot_be_lengthened_is_still_one(world: World) -> None:
    world.retain(OLD, 3)
    world.retentions.errors = {OLD: AccessDenied}
    report = world.extend()
    assert (report.unlocked, report.states[0].unlocked) == (0, 0)
    assert [(each.why, each.versions) for each in report.refused] == [("AccessDenied", 1)]
    assert report.earliest == world.now + 3 * DAY
    assert [each.id for each in report.findings] == ["locks-missing"]


def test_the_next_run_sets_what_the_last_one_could_not(world: World) -> None:
    world.retentions.errors = {OLD: some(InternalError())}
    assert world.extend().unlocked == 1
    report = world.extend()
    assert (report.unlocked, report.extended, report.findings) == (0, 1, ())


# --- people are told once ------------------------------------------------------------------------------------------


def test_people_are_told_once_of_what_cannot_be_locked(world: World) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    for _ in range(3):
        world.extend()
    assert world.notifier.subjects == [f"RWM: HOLD {REPOSITORY}: locks-missing"]
    (notice,) = world.notifier.notices
    assert "AccessDenied (1)" in notice.body
    assert OLD not in notice.body


def test_another_reason_is_news_and_what_comes_back_is_news(world: World) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    world.extend()
    world.retentions.errors = {OLD: InternalError}
    world.extend()
    world.retentions.errors = {}
    world.extend()
    assert len(world.notifier.notices) == 2
    world.days(20)
    world.retentions.errors = {OLD: AccessDenied}
    report = world.extend()
    assert len(world.notifier.notices) == 3
    assert report.findings[0].since == world.now


def test_a_problem_that_stays_keeps_its_date(world: World) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    since = world.extend().findings[0].since
    world.days(1)
    assert world.extend().findings[0].since == since


def test_a_problem_far_down_is_told_once_however_many_runs_a_pass_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "AT_ONCE", 1)
    world.retentions.errors = {max(a_backup()): AccessDenied}
    for _ in range(30):
        world.extend(lambda: 0.0)
    assert len(world.notifier.notices) == 1


def test_what_nobody_could_be_told_is_told_by_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    told = world.notifier.notify

    def fails(notice: Notice) -> None:
        raise NotTold("SNS did not take a notice")

    monkeypatch.setattr(world.notifier, "notify", fails)
    assert world.extend().told == ()
    monkeypatch.setattr(world.notifier, "notify", told)
    world.extend()
    assert len(world.notifier.notices) == 1


# --- when the time is over -----------------------------------------------------------------------------------------


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which a run has time for two keys."""
    monkeypatch.setattr(step, "AT_ONCE", 2)
    return world


def test_a_run_that_has_no_time_left_stops_and_the_next_one_goes_on_from_there(slow: World) -> None:
    keys = sorted(a_backup())
    reports = [slow.extend(lambda: 0.0) for _ in range(4)]
    assert [each.done_until for each in reports] == [keys[1], keys[3], keys[5], None]
    assert [each.complete for each in reports] == [False, False, False, True]
    assert [each.looked_at for each in reports] == [2, 4, 6, 7]
    assert [each.states[0].looked_at for each in reports] == [2, 4, 6, 7]
    assert sorted(asked.key for asked in slow.retentions.asked) == keys
    assert {each.begun_at for each in reports} == {reports[0].begun_at}


def test_after_a_complete_pass_the_next_one_begins_anew(slow: World) -> None:
    for _ in range(4):
        slow.extend(lambda: 0.0)
    slow.days(1)
    report = slow.extend(lambda: 0.0)
    assert (report.looked_at, report.extended, report.begun_at) == (2, 0, slow.now)


def test_it_stops_while_there_is_time_to_prove_what_it_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "AT_ONCE", 1)
    seconds = iter([400.0, step.ENOUGH, step.ENOUGH - 1])
    report = world.extend(lambda: next(seconds))
    assert (report.looked_at, report.complete) == (3, False)


def test_a_state_recorded_while_a_pass_is_under_way_says_how_much_of_it_was_looked_at(slow: World) -> None:
    slow.extend(lambda: 0.0)
    slow.hide(max(a_backup()))
    slow.days(1)
    slow.record()
    for _ in range(3):
        report = slow.extend(lambda: 0.0)
    newest, oldest = report.states
    assert report.complete
    assert (oldest.looked_at, oldest.versions) == (7, 7)
    assert (newest.looked_at, newest.versions) == (4, 6)
    again = slow.extend()
    assert [(each.looked_at, each.versions) for each in again.states] == [(6, 6), (7, 7)]


def test_a_state_that_was_unproven_in_a_part_of_the_pass_is_so_in_all_of_it(slow: World) -> None:
    whole = dict(slow.ledger.chunks)
    slow.ledger.chunks.clear()
    first = slow.extend()
    assert first.states[0].unproven
    slow.lock_reports.stored[REPOSITORY] = first.model_copy(update={"done_until": ObjectKey("config")}).canonical()
    slow.ledger.chunks.update(whole)
    assert slow.extend().states[0].unproven
    assert not slow.extend().states[0].unproven


def test_another_lock_days_begins_a_new_pass(slow: World) -> None:
    slow.extend(lambda: 0.0)
    slow.repository = slow.repository.model_copy(update={"lock_days": 20})
    slow.retentions.most_days = 20
    slow.days(10)
    report = slow.extend()
    assert (report.looked_at, report.extended, report.begun_at) == (7, 7, slow.now)


def test_a_pass_that_takes_too_long_is_told_once(slow: World) -> None:
    for _ in range(2):
        slow.extend(lambda: 0.0)
        slow.days(4)
    report = slow.extend(lambda: 0.0)
    assert [each.id for each in report.findings] == ["locks-late"]
    slow.extend(lambda: 0.0)
    assert slow.notifier.subjects == [f"RWM: HOLD {REPOSITORY}: locks-late"]


def test_a_report_that_cannot_be_read_does_not_let_locks_run_out(world: World) -> None:
    world.lock_reports.stored[REPOSITORY] = b'{"format": 99}'
    assert world.extend().extended == 7


# --- killed, and run again -----------------------------------------------------------------------------------------


def _world() -> World:
    made = World()
    made.back_up(a_backup())
    made.record()
    made.retain(OLD, 400)
    made.hide(NEW)
    made.days(1)
    made.record()
    made.retentions.errors = {max(a_backup()): AccessDenied}
    return made


def _moments(moment: Moment) -> int:
    world, log = _world(), CallLog()
    world.watch(log)
    world.extend()
    return sum(call.moment is moment for call in log.calls)


@pytest.mark.parametrize("moment", list(Moment))
def test_killed_at_any_call_and_run_again_the_end_is_the_same(moment: Moment) -> None:
    expected = _world()
    report = expected.extend()
    moments = _moments(moment)
    assert moments >= 20
    for at in range(1, moments + 1):
        world = _world()
        world.watch(DieAt(at, moment))
        with pytest.raises(Crash):
            world.extend()
        world.watch(nothing)
        again = world.extend()
        assert world.locks() == expected.locks(), at
        assert (again.looked_at, again.unlocked, again.states) == (report.looked_at, report.unlocked, report.states), at
        assert world.notifier.subjects, at


# --- the function --------------------------------------------------------------------------------------------------


def on_request(world: World, **changes: object) -> dict[str, object]:
    function = LockFunction(Configuration(repositories=(world.repository,)), lambda _: world.ports())
    return function.on_request({"repository": REPOSITORY, "reason": "schedule", **changes}, lambda: PLENTY)


def test_the_function_answers_with_counts_and_names_no_key(world: World) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    answer = json.loads(json.dumps(on_request(world)))
    assert answer == {
        "repository": REPOSITORY,
        "object_lock": True,
        "complete": True,
        "states": 1,
        "looked_at": 7,
        "extended": 6,
        "were_unlocked": 7,
        "unlocked": 1,
        "due": 0,
        "gone": 0,
        "refused": {"AccessDenied": 1},
        "findings": ["HOLD locks-missing"],
    }


def test_what_it_counts_becomes_metrics(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.retentions.errors = {OLD: AccessDenied}
    on_request(world)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [(each["LocksExtended"], each["LocksMissing"], each["repository"]) for each in found] == [
        ([6.0], [1.0], REPOSITORY)
    ]


def test_an_unknown_repository_is_refused(world: World) -> None:
    with pytest.raises(UnknownRepository, match="no lock was looked at"):
        on_request(world, repository="delta")


def test_a_report_is_named_by_its_digest() -> None:
    world = World()
    report = world.extend()
    assert LockReport.parse(report.canonical()) == report
    assert isinstance(report.digest, str)
    assert report.digest != Digest("")
