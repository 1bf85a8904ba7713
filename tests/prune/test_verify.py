"""After a prune: what is gone, what waits, and whether every kept state is whole, told by a listing alone."""

from dataclasses import replace

import pytest

from functions.domain.findings import FindingId
from functions.domain.prune.approved import PlanRequest
from functions.domain.prune.plan import Phase, PlanMismatch, result_file
from functions.domain.prune.report import Harmed, PruneReport, report_file
from functions.domain.prune.validity import PruneRefused
from functions.domain.state import Tally
from functions.domain.values import Digest, StateId
from functions.prune.apply import PruneStopped
from tests.fakes.faults import CallLog, Crash, KillAt, Moment, nothing
from tests.fakes.ports import FakeRecordReader
from tests.fakes.s3_errors import SlowDown
from tests.prune.apply_world import KEY_PREFIX, OLD, Planned, World, lived
from tests.restore.world import PROTECTED, RECORDS, REPOSITORY, a_pack

OTHER = a_pack(b"pack 1")


@pytest.fixture
def world() -> World:
    return lived(hidden=(OLD, OTHER), after=22)


def applied(world: World) -> Planned:
    planned = world.ready()
    for phase in Phase:
        world.apply_phase(planned, phase)
    return planned


def destroy(world: World, key: str) -> None:
    """A version is gone by no doing of RWM's."""
    bucket = world.s3._bucket(PROTECTED)
    version = bucket.current(KEY_PREFIX + key)
    assert version is not None
    bucket.remove(version)


def test_a_prune_that_did_all_is_done(world: World) -> None:
    planned = applied(world)
    plan = world.stored(planned)
    report = world.look_after(planned)
    assert report.outcome == "done"
    assert (report.planned, report.reclaimed) == (Tally(objects=2, bytes=12), Tally(objects=2, bytes=12))
    assert (report.planned_markers, report.reclaimed_markers) == (2, 2)
    assert (report.before, report.markers_before) == (plan.listed, 2)
    assert report.after == Tally(objects=plan.listed.objects - 2, bytes=plan.listed.bytes - 12)
    assert (report.kept_states, report.kept_states_whole) == (len(world.kept()), len(world.kept()))
    assert (report.unfinished, report.stays, report.harmed) == (0, (), ())
    assert world.notifier.notices == []


def test_the_report_lies_in_the_records_bucket_and_its_summary_in_operations(world: World) -> None:
    report = world.look_after(applied(world))
    stored = FakeRecordReader(world.s3, RECORDS).get(report_file(REPOSITORY, "sunday"))
    assert PruneReport.parse(stored) == report
    assert PruneReport.parse(world.prune_reports.reports[REPOSITORY, "sunday"]) == report


def test_what_hosts_write_meanwhile_is_not_taken_for_what_was_reclaimed(world: World) -> None:
    planned = applied(world)
    world.put("more", b"x" * 1000)
    report = world.look_after(planned)
    assert report.reclaimed == Tally(objects=2, bytes=12)
    assert report.after.bytes > report.before.bytes


def test_a_version_that_a_kept_state_names_and_that_is_gone_is_a_fail_that_people_are_told_of(world: World) -> None:
    planned = applied(world)
    destroy(world, "config")
    report = world.look_after(planned)
    kept = len(world.kept())
    assert (report.outcome, report.harmed_states, report.kept_states_whole) == ("harmed", kept, 0)
    assert {each.missing for each in report.harmed} == {1}
    (notice,) = world.notifier.notices
    assert notice.subject == f"RWM: FAIL beta: {FindingId.PINNED_VERSION_GONE}"
    assert f"{kept} of {kept} kept states are not whole" in notice.body


def test_only_the_states_that_name_it_are_harmed(world: World) -> None:
    planned = applied(world)
    destroy(world, a_pack(b"after 21"))
    report = world.look_after(planned)
    named = [header for header in world.kept() if world.missing([header])]
    assert 0 < len(named) < len(world.kept())
    assert {each.state for each in report.harmed} == {header.id for header in named}


def test_the_last_key_of_a_state_is_looked_for_too(world: World) -> None:
    last = max(world.current())
    planned = applied(world)
    destroy(world, last)
    assert world.look_after(planned).outcome == "harmed"


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_state_that_does_not_prove_itself_is_not_called_whole_and_costs_the_others_nothing(
    world: World, damage: str
) -> None:
    planned = applied(world)
    kept = sorted(world.kept(), key=lambda header: header.generation)
    victim = kept[len(kept) // 2]
    assert victim.kind == "delta"
    place = (victim.chunks.attempt, 0)
    content = world.ledger.chunks.pop(place)
    if damage == "changed":
        world.ledger.chunks[place] = content[:-1] + b"?"
    report = world.look_after(planned)
    # Those that lie on it cannot be read without it; those before it can.
    assert {each.state for each in report.harmed} == {each.id for each in kept[len(kept) // 2 :]}
    assert all(each.unproven and not each.missing for each in report.harmed)
    assert report.outcome == "harmed"


def test_a_base_that_does_not_prove_itself_costs_the_states_on_it_their_proof(world: World) -> None:
    planned = applied(world)
    del world.ledger.chunks[world.kept()[0].base.attempt, 0]
    assert {each.state for each in world.look_after(planned).harmed} == {each.id for each in world.kept()}


def test_a_marker_in_place_of_a_version_is_not_that_version(world: World) -> None:
    """Whole means that the very version is there; that its key is hidden matters to nobody."""
    planned = applied(world)
    world.hide("config")
    assert world.look_after(planned).outcome == "done"


def test_a_batch_without_a_result_that_holds_is_told(world: World) -> None:
    planned = world.ready()
    world.apply_phase(planned, Phase.VERSIONS)
    report = world.look_after(planned)
    assert (report.outcome, report.unfinished, report.reclaimed_markers) == ("incomplete", 1, 0)
    world.s3.put(RECORDS, result_file(REPOSITORY, "sunday", 0), b"{}")
    assert world.look_after(planned).unfinished == 2


def test_why_batches_stopped_is_told_once(world: World) -> None:
    planned = world.ready()
    world.holds.begin_restore(REPOSITORY)
    for phase in Phase:
        with pytest.raises(PruneStopped):
            world.apply_phase(planned, phase)
    report = world.look_after(planned)
    assert (report.outcome, report.unfinished) == ("incomplete", 2)
    assert report.stopped == (f"a restore of {REPOSITORY} is under way; the prune stopped",)


def test_a_batch_that_finished_in_the_end_is_not_told_as_stopped(world: World) -> None:
    planned = world.ready()
    world.holds.begin_restore(REPOSITORY)
    with pytest.raises(PruneStopped):
        world.apply_phase(planned, Phase.VERSIONS)
    world.holds.restores.clear()
    for phase in Phase:
        world.apply_phase(planned, phase)
    assert world.look_after(planned).stopped == ()


def test_a_result_of_another_plan_counts_for_nothing(world: World) -> None:
    planned = applied(world)
    name = result_file(REPOSITORY, "sunday", 0)
    forged = world.s3.get(RECORDS, name).body.replace(planned.plan.encode(), b"0" * 64)
    world.s3.put(RECORDS, name, forged)
    assert world.look_after(planned).unfinished == 1


def test_what_a_result_claims_is_not_believed_against_the_listing(world: World) -> None:
    planned = world.ready()
    for phase in Phase:
        world.apply_phase(planned, phase)
    key = KEY_PREFIX + OLD
    # It is there again under the very same version id, which no S3 would do.
    before = next(iter(each for each in world.planned_names(planned, Phase.VERSIONS) if each[0] == OLD))
    again = world.s3.put(PROTECTED, key, b"pack 0")
    bucket = world.s3._bucket(PROTECTED)
    bucket.remove(again)
    bucket.insert(replace(again, version_id=before[1]))
    assert world.look_after(planned).reclaimed.objects == 1


def test_what_waits_is_added_up_over_batches_with_what_s3_said_and_the_plans_own_waiting(world: World) -> None:
    young = a_pack(b"after 20")
    world.hide(young)
    world.deleter.errors = {OTHER: SlowDown}
    planned = applied(world)
    report = world.look_after(planned)
    assert (report.outcome, report.failed, report.held_back) == ("incomplete", 1, 1)
    assert {(each.by, each.why) for each in report.stays} == {("again", "SlowDown"), ("rules", "covers")}
    assert report.waiting == world.stored(planned).waiting
    assert {each.why.value for each in report.waiting} >= {"named"}


def test_a_plan_of_another_digest_is_not_verified(world: World) -> None:
    planned = applied(world)
    with pytest.raises(PlanMismatch):
        world.look_after(Planned("sunday", Digest("0" * 64), planned.plan_version, planned.manifests))
    assert world.prune_reports.reports == {}


def test_people_are_told_before_the_summary_is_written_and_twice_rather_than_never(world: World) -> None:
    planned = applied(world)
    destroy(world, "config")
    log = CallLog()
    world.watch(log)
    world.look_after(planned)
    world.watch(nothing)
    moments = len(log.calls)
    calls = [each.operation for each in log.calls if each.moment is Moment.BEFORE]
    assert calls[-3:] == ["PutObject", "Publish", "AppendPruneReport"]
    for step in range(moments - 5, moments + 1):
        world.prune_reports.reports.clear()
        world.notifier.notices.clear()
        world.watch(KillAt(step))
        with pytest.raises(Crash):
            world.look_after(planned)
        world.watch(nothing)
        assert world.notifier.notices or not world.prune_reports.reports
        assert world.look_after(planned).outcome == "harmed"
        assert world.notifier.notices


def test_a_summary_fits_into_an_item_however_many_states_are_harmed(world: World) -> None:
    report = world.look_after(applied(world))
    harmed = tuple(
        Harmed(state=StateId(f"{number:064d}"), generation=number + 1, missing=1, unproven=False)
        for number in range(5000)
    )
    many = report.model_copy(update={"kept_states": 5000, "harmed_states": 5000, "harmed": harmed})
    assert len(many.shortened().canonical()) < 100_000
    assert many.shortened().kept_states_whole == 0


def test_a_malformed_request_is_refused() -> None:
    with pytest.raises(PruneRefused, match="malformed"):
        PlanRequest.read({"repository": "beta", "execution": "../x", "plan": "0" * 64, "plan_version": "v"})
