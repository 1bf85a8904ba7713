"""Verifying a restore: nothing is called restored that was not compared."""

import pytest

from functions.domain.restore.proof import Kind, trouble
from functions.domain.restore.report import SHOWN, RestoreReport
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey
from tests.restore.world import (
    EXECUTION,
    PROTECTED,
    RECORDS,
    REPOSITORY,
    TARGET,
    BadCopier,
    UnhashedCopier,
    World,
    a_pack,
)

PACK = a_pack(b"pack 1")


def told(report: RestoreReport) -> list[tuple[str, Kind]]:
    return [(each.key, each.kind) for each in report.troubles]


def test_a_restored_repository_has_the_states_content_root(world: World, state: StateHeader) -> None:
    report = world.restore(state.id)
    assert report.outcome == "restored"
    assert report.found_content_root == report.content_root == state.content_root
    assert (report.objects, report.bytes, report.proven, report.copied) == (7, state.bytes, 7, 7)
    assert report.troubles == ()


def test_the_report_lies_beside_the_plan_and_in_operations(world: World, state: StateHeader) -> None:
    report = world.restore(state.id)
    stored = world.s3.get(RECORDS, f"restores/{report.plan}/report-{EXECUTION}.json").body
    assert RestoreReport.parse(stored) == report
    assert RestoreReport.parse(world.reports.reports[REPOSITORY, EXECUTION]) == report


def test_an_empty_state_restores_to_an_empty_target() -> None:
    world = World()
    report = world.restore(world.record().id)
    assert (report.outcome, report.objects) == ("restored", 0)
    assert world.writes_in(TARGET) == 0


def test_a_copy_of_garbage_is_never_restored_though_the_listing_is_equal(world: World, state: StateHeader) -> None:
    report = world.restore(state.id, copier=BadCopier(world, PACK, hashes=False))
    assert report.found_content_root == report.content_root
    assert report.outcome == "incomplete"
    assert told(report) == [(PACK, Kind.FAILED)]


def test_where_s3_hashes_nothing_a_restore_is_still_proven(world: World, state: StateHeader) -> None:
    assert world.restore(state.id, copier=UnhashedCopier(world)).outcome == "restored"


def test_a_state_that_is_damaged_itself_is_restored_exactly_and_says_so(world: World) -> None:
    world.back_up({PACK: b"garbage"})
    report = world.restore(world.record().id)
    assert report.outcome == "restored-damaged"
    assert (report.proven, report.damaged) == (6, 1)
    assert told(report) == [(PACK, Kind.DAMAGED)]


def test_a_missing_version_makes_the_restore_incomplete_and_is_named(world: World, state: StateHeader) -> None:
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith(PACK)]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    report = world.restore(state.id)
    assert report.outcome == "incomplete"
    assert told(report) == [(PACK, Kind.MISSING)]
    assert (report.proven, report.missing, report.failed) == (6, 1, 0)


def test_a_batch_without_a_result_fails_object_by_object(world: World, state: StateHeader) -> None:
    written = world.plan(state.id)
    [request] = world.requests(written)
    world.copy(request)
    report = world.verify(written, "wednesday")
    assert report.found_content_root == report.content_root, "everything is there, but this execution proved nothing"
    assert report.outcome == "incomplete"
    assert (report.failed, report.proven) == (7, 0)
    assert all("batch 0 has no result" in each.why for each in report.troubles)


@pytest.mark.parametrize("wrong", [{"number": 1}, {"execution": "monday"}, {"proven": 6}, {"batch": Digest("0" * 64)}])
def test_a_result_that_speaks_of_something_else_counts_as_none(
    world: World, state: StateHeader, wrong: dict[str, object]
) -> None:
    written = world.plan(state.id)
    [request] = world.requests(written)
    forged = world.copy(request).model_copy(update=wrong)
    world.s3.put(RECORDS, f"restores/{written.plan}/results/{EXECUTION}/00000.json", forged.canonical())
    report = world.verify(written)
    assert (report.outcome, report.failed) == ("incomplete", 7)


def test_a_result_that_cannot_be_read_counts_as_none(world: World, state: StateHeader) -> None:
    written = world.plan(state.id)
    world.copy(world.requests(written)[0])
    world.s3.put(RECORDS, f"restores/{written.plan}/results/{EXECUTION}/00000.json", b"{")
    assert world.verify(written).outcome == "incomplete"


def test_what_changed_in_the_target_after_its_proof_is_noticed(world: World, state: StateHeader) -> None:
    written = world.plan(state.id)
    world.copy(world.requests(written)[0])
    world.s3.delete(TARGET, PACK)
    world.s3.put(TARGET, "config", b"of another size")
    world.s3.put(TARGET, "holiday.jpg", b"x")
    report = world.verify(written)
    assert report.outcome == "incomplete"
    assert told(report) == [("config", Kind.FAILED), (PACK, Kind.FAILED), ("holiday.jpg", Kind.UNEXPECTED)]
    assert (report.proven, report.failed, report.unexpected) == (5, 2, 1)


def test_a_damaged_object_that_vanished_is_a_failure(world: World) -> None:
    world.back_up({PACK: b"garbage"})
    written = world.plan(world.record().id)
    world.copy(world.requests(written)[0])
    world.s3.delete(TARGET, PACK)
    report = world.verify(written)
    assert (report.outcome, told(report)) == ("incomplete", [(PACK, Kind.FAILED)])


def test_verifying_again_says_the_same_and_reports_once(world: World, state: StateHeader) -> None:
    report = world.restore(state.id)
    assert world.verify(world.plan(state.id)) == report
    assert len(world.reports.reports) == 1


def test_the_report_in_operations_names_the_first_hundred_and_counts_all() -> None:
    world = World()
    contents = [str(number).encode() for number in range(SHOWN + 30)]
    world.back_up({a_pack(content): content for content in contents})
    written = world.plan(world.record().id)
    report = world.verify(written)
    assert len(report.troubles) == report.failed == SHOWN + 30
    short = RestoreReport.parse(world.reports.reports[REPOSITORY, EXECUTION])
    assert (len(short.troubles), short.left_out, short.failed) == (SHOWN, 30, SHOWN + 30)


def test_the_short_report_fits_an_item_whatever_the_keys_are(world: World, state: StateHeader) -> None:
    worst = tuple(
        trouble(ObjectKey(f"{number:04}" + "\x01" * 1020), Kind.FAILED, "\x01" * 300) for number in range(1000)
    )
    short = world.restore(state.id).model_copy(update={"troubles": worst}).shortened()
    assert len(short.canonical()) < 300_000
    assert len(short.troubles) + short.left_out == 1000
    assert len(short.troubles) > 20
