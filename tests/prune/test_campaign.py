"""A patient attacker against the prune, scene by scene: after each, every kept state's versions are all there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.domain.prune.approval import NotApproved
from functions.domain.prune.entries import batch_digest
from functions.domain.prune.plan import Phase, PlanMismatch, batch_file, plan_file
from functions.domain.prune.validity import PruneRefused
from functions.domain.state import StateHeader
from functions.domain.values import Finding, RepositoryName, Severity, VersionId
from functions.domain.verdict import is_good
from functions.prune import apply
from functions.prune.apply import PruneStopped
from tests.builders import NOON
from tests.fakes.faults import Moment, nothing
from tests.fakes.s3_errors import AccessDenied, SlowDown
from tests.prune.apply_world import APPLY, KEY_PREFIX, OLD, Planned, World, lived
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, a_backup, a_pack

DAMAGE = Finding("pack-overwritten", Severity.FAIL, RepositoryName("beta"), NOON, "what", "remedy")
SILENT = Finding("no-new-snapshot", Severity.HOLD, RepositoryName("beta"), NOON, "what", "remedy")
ODD = Finding("data-dropped", Severity.HOLD, RepositoryName("beta"), NOON, "what", "remedy")


def assert_kept_states_are_whole(world: World, *also: StateHeader) -> None:
    """All that are kept now, and these, which must be among them; the oldest and the newest restore."""
    kept = world.kept()
    assert {header.id for header in also} <= {header.id for header in kept}
    assert world.missing() == set()
    for header in (kept[0], kept[-1], *also):
        assert world.restores(header)


def apply_all(world: World, planned: Planned) -> None:
    for phase in Phase:
        world.apply_phase(planned, phase)


# --- months of patience ----------------------------------------------------------------------------


def test_poison_then_wait() -> None:
    """The host overwrites packs with garbage, and waits until grace and retention are over. States since then have a
    FAIL: they witness nothing, so the last good ones stay, however many weeks pass."""
    world = World()
    world.back_up(a_backup())
    good = world.daily(4)
    packs = [key for key in world.current() if key.startswith("data/")]
    world.back_up(dict.fromkeys(packs, b"poison"))
    for week in range(12):
        world.days(7)
        header = world.record()
        world.judge(header, DAMAGE)
        with pytest.raises(PruneRefused):
            world.plan_prune(f"week-{week}", DAMAGE)
    assert_kept_states_are_whole(world, *good)


def test_poison_that_no_check_notices_does_not_end_the_states_before_it_within_grace() -> None:
    world = lived(hidden=())
    last = world.kept()[-1]
    world.back_up({OLD: b"poison"})
    world.daily(9, name="since")
    world.prune()
    assert_kept_states_are_whole(world, last)


def test_slow_erosion() -> None:
    """A twentieth of the packs is hidden each day. Each state that a prune keeps has all of its versions."""
    world = World()
    world.back_up(a_backup(packs=40))
    first = world.daily(1)
    for day in range(20):
        world.hide(*[a_pack(f"pack {2 * day + each}".encode()) for each in range(2)])
        world.daily(1, name=f"erosion {day}")
    world.prune("early")
    assert_kept_states_are_whole(world)
    world.daily(14, name="later")
    report = world.prune("late")
    assert_kept_states_are_whole(world)
    assert report.reclaimed.objects > 0
    assert first[0].id not in {header.id for header in world.kept()}, "what nobody held for a month is given up"


def test_forget_everything_then_a_valid_new_repository() -> None:
    """All is hidden and a small repository takes its place, with states that are HOLD until a person says otherwise."""
    world = World()
    world.back_up(a_backup(packs=12))
    good = world.daily(6)
    world.hide(*sorted(world.current()))
    world.back_up({"config": b"another", a_pack(b"small"): b"small"})
    for day in range(40):
        header = world.record()
        world.judge(header, ODD)
        assert not is_good(header, world.verdicts.verdicts(REPOSITORY))
        world.days(1)
        if day % 7 == 6:
            world.prune(f"day-{day}", ODD)
    assert_kept_states_are_whole(world, good[-1], good[-2], good[-3])


def test_silence_for_longer_than_every_retention() -> None:
    """What the schedule records of a host that says nothing is a HOLD, and stands for no good state."""
    world = World()
    world.back_up(a_backup())
    good = world.daily(5)
    world.hide(OLD)
    for week in range(16):
        world.days(7)
        assert world.prune(f"week-{week}", SILENT).outcome == "done"
    assert_kept_states_are_whole(world, *good[-2:])


def test_a_flood_of_states_within_an_hour() -> None:
    world = lived(hidden=(), before=3, after=3)
    good = world.kept()
    world.hide(OLD)
    for number in range(60):
        world.put(a_pack(f"flood {number}".encode()))
        world.good()
    world.days(11)
    world.prune()
    assert_kept_states_are_whole(world, *good[-2:])


# --- between plan and apply ------------------------------------------------------------------------


def test_a_new_state_names_a_planned_version() -> None:
    """A marker is taken away by whoever may, the object is recorded, and hidden again before apply."""
    world = lived()
    planned = world.ready()
    marker = next(each.version for each in world.s3.everything(PROTECTED) if each.version.key == KEY_PREFIX + OLD)
    world.s3.delete_version(PROTECTED, marker.key, marker.version_id)
    back = world.good()
    world.hide(OLD)
    with pytest.raises(PruneStopped):
        apply_all(world, planned)
    assert_kept_states_are_whole(world, back)


def test_what_was_hidden_is_uploaded_again() -> None:
    """The same key gets a new version: the planned one lies deeper, and what hosts see is the new one."""
    world = lived()
    planned = world.ready()
    world.put(OLD, b"pack 0")
    back = world.good()
    apply_all(world, planned)
    assert OLD in world.current()
    assert_kept_states_are_whole(world, back)
    assert world.look_after(planned).outcome == "done"


def test_hiding_while_it_is_applied() -> None:
    """All that is current is hidden in the middle of it; what states name stays."""
    world = lived()
    planned = world.ready()

    def hook(call: object) -> None:
        if getattr(call, "operation", "") == "DeleteObjects" and getattr(call, "moment", "") is Moment.BEFORE:
            world.s3.hook = nothing
            world.hide(*sorted(world.current()))

    world.s3.hook = hook
    apply_all(world, planned)
    assert_kept_states_are_whole(world)


def test_an_upload_that_was_begun_a_month_ago_does_not_bring_back_what_was_hidden() -> None:
    world = World()
    complete = world.begin_upload(OLD)
    lived(world)
    planned = world.ready()
    world.apply_phase(planned, Phase.VERSIONS)
    complete()
    world.apply_phase(planned, Phase.MARKERS)
    assert OLD not in world.current()
    assert_kept_states_are_whole(world)


def test_two_prunes_at_once() -> None:
    """The second takes the lease over; from then on the first deletes nothing."""
    world = lived(hidden=(OLD, a_pack(b"pack 1")))
    first = world.ready("first")
    second = world.plan_prune("second")
    world.decide(second.plan)
    world.take_lease("second")
    with pytest.raises(PruneStopped, match="does not have the lease"):
        apply_all(world, first)
    assert world.deleter.asked == []
    apply_all(world, second)
    assert_kept_states_are_whole(world)
    assert world.look_after(second).reclaimed.objects == 2


def test_a_restore_that_begins_while_it_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "CALL_ENTRIES", 1)
    world = lived(hidden=(OLD, a_pack(b"pack 1"), a_pack(b"pack 2")))
    planned = world.ready()

    def hook(call: object) -> None:
        if getattr(call, "operation", "") == "DeleteObjects":
            world.holds.begin_restore(REPOSITORY)

    world.s3.hook = hook
    with pytest.raises(PruneStopped, match="restore"):
        apply_all(world, planned)
    world.s3.hook = nothing
    assert len(world.deleter.asked) == 1
    assert_kept_states_are_whole(world)
    world.holds.restores.clear()
    apply_all(world, planned)
    assert world.look_after(planned).reclaimed.objects == 3


# --- forgeries -------------------------------------------------------------------------------------


def test_an_approval_of_another_digest() -> None:
    world = lived(World(approval="always"))
    honest = world.plan_prune("saturday")
    world.decide(honest.plan)
    other = world.plan_prune("sunday")
    world.take_lease("sunday")
    world.drop(other)
    with pytest.raises(NotApproved):
        apply_all(world, other)
    with pytest.raises(PlanMismatch):
        apply_all(world, replace(other, plan=honest.plan))
    assert_kept_states_are_whole(world)


def test_an_expired_plan() -> None:
    world = lived()
    planned = world.ready()
    world.s3.clock.advance(timedelta(hours=24))
    with pytest.raises(PruneStopped, match="good from"):
        apply_all(world, planned)
    assert world.deleter.asked == []
    assert_kept_states_are_whole(world)


def test_a_batch_file_that_is_swapped_for_one_that_names_what_is_kept() -> None:
    world = lived()
    planned = world.ready()
    name = batch_file(REPOSITORY, "sunday", 0)
    victim = world.s3.get(PROTECTED, f"{PREFIX}/config").version_id
    planned_id = next(iter(world.planned_names(planned, Phase.VERSIONS)))[1]
    forged = world.s3.get(RECORDS, name).body.replace(planned_id.encode(), victim.encode())
    version_id = VersionId(world.s3.put(RECORDS, name, forged).version_id)
    (request,) = world.children(planned, Phase.VERSIONS)
    with pytest.raises(PlanMismatch):
        world.apply(request.model_copy(update={"batch": request.batch.model_copy(update={"version_id": version_id})}))
    assert world.deleter.asked == []
    assert_kept_states_are_whole(world)


def test_a_whole_plan_that_names_what_is_kept_is_stopped_by_the_states_themselves() -> None:
    """Whoever owns the planner's role, and an approver who looks away: apply asks the kept states itself."""
    world = lived()
    kept = world.kept()
    planned = world.plan_prune()
    plan = world.stored(planned)
    content = world.s3.get(RECORDS, batch_file(REPOSITORY, "sunday", 0)).body
    # `after 25` is named by kept states; it is hidden now, and the plan pretends that this was long ago.
    victim = a_pack(b"after 25")
    version = world.s3.get(PROTECTED, KEY_PREFIX + victim)
    world.hide(victim)
    lines = content.decode().splitlines()
    forged_line = (
        lines[0]
        .replace(OLD, victim)
        .replace(next(iter(world.planned_names(planned, Phase.VERSIONS)))[1], version.version_id)
    )
    forged = (forged_line + "\n").encode()
    batch = plan.batches[0].model_copy(update={"digest": batch_digest(forged)})
    evil = plan.model_copy(update={"batches": (batch, *plan.batches[1:])})
    batch_version = world.s3.put(RECORDS, batch_file(REPOSITORY, "sunday", 0), forged).version_id
    plan_version = VersionId(world.s3.put(RECORDS, plan_file(REPOSITORY, "sunday"), evil.canonical()).version_id)
    shelved = world.shelf.find(REPOSITORY, plan.digest)
    assert shelved is not None
    world.shelf.put(shelved.model_copy(update={"plan": evil.digest, "version_id": plan_version}))
    world.decide(evil.digest)
    world.take_lease()
    world.drop(planned)
    (request,) = world.children(planned, Phase.VERSIONS)
    item = request.batch.model_copy(update={"version_id": VersionId(batch_version), "digest": batch.digest})
    applied = world.apply(request.model_copy(update={"plan": evil.digest, "plan_version": plan_version, "batch": item}))
    assert world.deleter.asked == []
    assert [(each.by, each.why) for each in applied.result.stays] == [("rules", "named")]
    assert_kept_states_are_whole(world, kept[-1])


# --- S3 in trouble ---------------------------------------------------------------------------------


def test_errors_within_a_good_answer() -> None:
    """One key is throttled and gets through, one is locked and waits: its marker stays, and the report says so."""
    locked, throttled = a_pack(b"pack 1"), a_pack(b"pack 2")
    world = lived(hidden=(OLD, locked, throttled))
    answers: list[SlowDown | None] = [SlowDown(), SlowDown(), None]
    world.deleter.errors = {
        locked: lambda: AccessDenied("Access Denied because object protected by object lock."),
        throttled: lambda: answers.pop(0) if answers else None,
    }
    planned = world.ready()
    world.apply_phase(planned, Phase.VERSIONS)
    world.deleter.errors = {}
    world.apply_phase(planned, Phase.MARKERS)
    report = world.look_after(planned)
    assert (report.outcome, report.reclaimed.objects, report.reclaimed_markers) == ("done", 2, 2)
    assert [(each.by, each.why, each.entries) for each in report.stays] == [
        ("rules", "covers", 1),
        ("waits", "AccessDenied", 1),
    ]
    assert locked not in world.current()
    assert_kept_states_are_whole(world)


def test_a_role_that_lost_its_right_to_delete_says_so_and_harms_nothing() -> None:
    world = lived()
    world.s3.access.deny(APPLY, ["s3:DeleteObjectVersion"], PROTECTED)
    report = world.prune()
    assert (report.outcome, report.reclaimed.objects) == ("incomplete", 0)
    # The version, whose marker then has to stay.
    assert (report.failed, report.held_back) == (1, 1)
    assert_kept_states_are_whole(world)


def test_an_honest_life_reclaims_what_nobody_keeps_and_every_week_without_a_person() -> None:
    """Daily backups, a weekly forget, a weekly prune; none of these plans needs an approver."""
    world = World()
    world.back_up(a_backup(packs=30))
    reclaimed = 0
    for week in range(8):
        world.daily(7, name=f"week {week}")
        planned = world.plan_prune(f"week-{week}")
        world.take_lease(f"week-{week}")
        world.drop(planned)
        apply_all(world, planned)
        report = world.look_after(planned)
        assert report.outcome == "done"
        reclaimed += report.reclaimed.objects
        world.hide(a_pack(f"pack {week}".encode()))
        assert world.missing() == set()
    assert reclaimed >= 3
    assert_kept_states_are_whole(world)
