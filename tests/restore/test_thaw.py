"""Archive classes: all is asked for first, what is on its way is not told of, and what nobody asked for is named."""

from datetime import timedelta

import pytest

from functions.domain.ports import Thaw
from functions.domain.restore.plan import Wishes
from functions.domain.restore.proof import Kind
from functions.domain.restore.request import RestoreRefused, Tier
from functions.domain.state import StateHeader
from functions.domain.values import ObjectVersion
from functions.restore.copy import read_announced
from functions.restore.settling import StillFrozen
from functions.restore.thaw import REFUSED, thaw_batch
from tests.fakes.faults import CallLog
from tests.fakes.ports import FakeRecordReader, FakeThawer
from tests.restore.world import EXECUTION, PROTECTED, RECORDS, TARGET, World, a_backup, a_pack

PACK, OTHER = a_pack(b"pack 1"), a_pack(b"pack 2")
HOURS = timedelta(hours=1)
STANDARD = Wishes(thaw="Standard")


def freeze(world: World, *keys: str, storage_class: str = "GLACIER") -> None:
    for key in keys:
        world.s3.transition(PROTECTED, world.source.key_prefix + key, storage_class)


@pytest.fixture
def frozen(world: World) -> StateHeader:
    """A state of which two packs were in an archive class when it was recorded."""
    world.s3.thaw_takes = 4 * HOURS
    freeze(world, PACK)
    freeze(world, OTHER, storage_class="DEEP_ARCHIVE")
    return world.record()


def thaw(world: World, versions: tuple[ObjectVersion, ...], tier: Tier = "Standard") -> dict[str, int]:
    return dict(thaw_batch(versions, FakeThawer(world.s3, PROTECTED, world.source.key_prefix, tier, "copy-batch")))


def test_all_that_was_archived_is_asked_for_and_nothing_else(world: World, frozen: StateHeader) -> None:
    [request] = world.requests(world.plan(frozen.id, wishes=STANDARD))
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    log = CallLog()
    world.watch(log)
    assert thaw(world, versions) == {Thaw.UNDER_WAY: 2, Thaw.BACK: 0, Thaw.NOT_ARCHIVED: 0, REFUSED: 0}
    assert log.count() == {"RestoreObject": 2}
    assert thaw(world, versions)[Thaw.UNDER_WAY] == 2, "to ask again is no harm"
    world.s3.clock.advance(5 * 3600)
    assert thaw(world, versions)[Thaw.BACK] == 2


def test_what_s3_refuses_to_thaw_stops_nothing(world: World, frozen: StateHeader) -> None:
    [request] = world.requests(world.plan(frozen.id, wishes=STANDARD))
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    assert thaw(world, versions, "Expedited") == {Thaw.UNDER_WAY: 1, Thaw.BACK: 0, Thaw.NOT_ARCHIVED: 0, REFUSED: 1}


def test_a_batch_waits_for_what_is_on_its_way_and_nothing_of_it_is_told(world: World, frozen: StateHeader) -> None:
    [request] = world.requests(world.plan(frozen.id, wishes=STANDARD))
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    thaw(world, versions)
    records = len(world.s3.everything(RECORDS))
    for _ in range(3):
        with pytest.raises(StillFrozen):
            world.copy(request)
    assert len(world.s3.everything(RECORDS)) == records, "a batch that waits has no result"
    world.s3.clock.advance(5 * 3600)
    result = world.copy(request)
    assert (result.proven, result.troubles) == (7, ())
    assert world.restored() == a_backup()


def test_a_batch_of_one_object_waits_for_it(world: World) -> None:
    alone = World()
    alone.back_up({PACK: a_backup()[PACK]})
    alone.s3.thaw_takes = world.s3.thaw_takes = 4 * HOURS
    freeze(alone, PACK)
    [request] = alone.requests(alone.plan(alone.record().id, wishes=STANDARD))
    with pytest.raises(StillFrozen):
        alone.copy(request)
    alone.s3.clock.advance(5 * 3600)
    assert alone.copy(request).proven == 1


def test_while_a_batch_waits_little_is_asked_of_s3(world: World) -> None:
    """Each try asks for one object, or as many as there are threads, and not for each of thousands."""
    packs = {a_pack(str(number).encode()): str(number).encode() for number in range(100)}
    world.back_up(packs)
    world.s3.thaw_takes = 48 * HOURS
    freeze(world, *packs)
    [request] = world.requests(world.plan(world.record().id, wishes=STANDARD))
    log = CallLog()
    world.watch(log)
    with pytest.raises(StillFrozen):
        world.copy(request)
    assert log.count()["CopyObject"] <= 16
    assert world.writes_in(TARGET) == 0, "what is archived comes first"


def test_what_is_back_in_time_is_copied_once_whatever_comes_later(world: World, frozen: StateHeader) -> None:
    [request] = world.requests(world.plan(frozen.id, wishes=STANDARD))
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    thaw(world, tuple(each for each in versions if each.key == PACK))
    world.s3.clock.advance(5 * 3600)
    for _ in range(2):
        with pytest.raises(StillFrozen):
            world.copy(request)
    world.s3.clock.advance(5 * 3600)
    assert world.copy(request).proven == 7
    assert world.writes_in(TARGET) == 7, "nothing is copied twice"


def test_an_object_that_was_archived_after_its_state_was_recorded_is_thawed_when_its_copy_meets_it(
    world: World, state: StateHeader
) -> None:
    world.s3.thaw_takes = 4 * HOURS
    freeze(world, PACK)
    [request] = world.requests(world.plan(state.id, wishes=STANDARD))
    with pytest.raises(StillFrozen):
        world.copy(request)
    with pytest.raises(StillFrozen):
        world.copy(request)
    world.s3.clock.advance(5 * 3600)
    assert world.copy(request).proven == 7


def test_without_thaw_it_is_told_and_the_others_are_copied_and_proven(world: World, state: StateHeader) -> None:
    freeze(world, PACK)
    report = world.restore(state.id)
    assert (report.outcome, report.proven) == ("incomplete", 6)
    assert [(each.key, each.kind) for each in report.troubles] == [(PACK, Kind.FAILED)]
    assert report.troubles[0].why.endswith("ask for the restore again with --thaw")


def test_nobody_pays_for_a_thaw_that_was_not_asked_for(world: World, state: StateHeader) -> None:
    freeze(world, PACK)
    log = CallLog()
    world.watch(log)
    world.restore(state.id)
    assert "RestoreObject" not in log.count()


def test_a_version_that_s3_does_not_bring_back_is_told_with_what_would_do(world: World, state: StateHeader) -> None:
    freeze(world, PACK, storage_class="DEEP_ARCHIVE")
    report = world.restore(state.id, wishes=Wishes(thaw="Expedited"))
    [told] = report.troubles
    assert (told.key, told.kind) == (PACK, Kind.FAILED)
    assert told.why.endswith("S3 knows no Expedited for its class; ask again with --thaw Standard")


def test_who_may_not_thaw_says_so_under_each_key(world: World, frozen: StateHeader) -> None:
    world.s3.access.deny("copy-batch", ["s3:RestoreObject"], PROTECTED)
    report = world.restore(frozen.id, wishes=STANDARD)
    assert sorted(each.key for each in report.troubles) == sorted([PACK, OTHER])
    assert all(f"S3 denies s3:RestoreObject on {PROTECTED}" in each.why for each in report.troubles)
    assert report.proven == 5


def test_a_version_that_is_gone_when_it_should_be_thawed_is_missing(world: World, frozen: StateHeader) -> None:
    for entry in world.s3.everything(PROTECTED):
        if entry.version.key.endswith((PACK, OTHER)):
            world.s3.delete_version(PROTECTED, entry.version.key, entry.version.version_id)
    report = world.restore(frozen.id, wishes=STANDARD)
    assert {each.key: each.kind for each in report.troubles} == {PACK: Kind.MISSING, OTHER: Kind.MISSING}


def test_a_config_in_the_target_whose_version_froze_is_compared_once_it_is_back(world: World) -> None:
    world.s3.thaw_takes = 4 * HOURS
    state = world.record()
    world.s3.put(TARGET, "config", a_backup()["config"])
    written = world.plan(state.id, wishes=STANDARD)
    freeze(world, "config")
    [request] = world.requests(written)
    with pytest.raises(StillFrozen):
        world.copy(request)
    world.s3.clock.advance(5 * 3600)
    result = world.copy(request)
    assert (result.proven, result.skipped) == (7, 1)


def test_what_is_archived_is_refused_before_anything_is_written_unless_it_may_be_thawed(
    world: World, frozen: StateHeader
) -> None:
    with pytest.raises(RestoreRefused, match="in an archive class"):
        world.plan(frozen.id, execution=EXECUTION)
    assert world.writes_in(RECORDS) == 0
