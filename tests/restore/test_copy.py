"""Copying a batch: every object is proven by its bytes, or named with what is wrong."""

import pytest

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import TargetDenied, VersionCopier
from functions.domain.restore.plan import PlanMismatch, read_batch
from functions.domain.restore.proof import BatchResult, Kind
from functions.domain.restore.report import RestoreReport
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectVersion
from functions.restore.copy import read_announced
from functions.restore.settling import ObjectCopier, Settled
from tests.fakes.ports import FakePinnedReader, FakeRecordReader, FakeTargetReader, FakeThawedReader
from tests.fakes.s3_model import DefaultRetention, LockMode
from tests.restore.world import (
    EXECUTION,
    PROTECTED,
    RECORDS,
    TARGET,
    BadCopier,
    Copies,
    UnhashedCopier,
    World,
    a_backup,
    a_pack,
    sha256,
)

PACK = a_pack(b"pack 1")


def copy_all(world: World, state: StateHeader, copier: VersionCopier | None = None) -> BatchResult:
    [request] = world.requests(world.plan(state.id))
    return world.copy(request, copier)


def told(result: BatchResult) -> list[tuple[str, Kind]]:
    return [(each.key, each.kind) for each in result.troubles]


def test_every_object_of_the_state_is_copied_and_proven(world: World, state: StateHeader) -> None:
    result = copy_all(world, state)
    assert world.restored() == a_backup()
    assert (result.proven, result.copied, result.skipped, result.troubles) == (7, 7, 0, ())
    assert result.copied_bytes == state.bytes


def test_the_pinned_versions_are_copied_whatever_covers_them_now(world: World, state: StateHeader) -> None:
    for key in a_backup():
        world.s3.put(PROTECTED, world.source.key_prefix + key, b"encrypted by the attacker")
        world.s3.delete(PROTECTED, world.source.key_prefix + key)
    result = copy_all(world, state)
    assert world.restored() == a_backup()
    assert result.proven == 7


def test_lock_files_are_never_restored(world: World) -> None:
    world.back_up({f"locks/{sha256(b'a lock')}": b"a lock"})
    copy_all(world, world.record())
    assert not [key for key in world.restored() if key.startswith("locks/")]


def test_keys_of_every_kind_are_restored_exactly() -> None:
    world = World(target_prefix="a place/for it".replace(" ", "-"))
    odd = {
        name: name.encode()
        for name in ("a b", "a+b", "a%20b", "100%", "ümlaut/ß", "日本", "x" * 900, "d?q=1&r#f", "e\n\x01f", "😀")
    }
    world.back_up({**odd, "empty": b"", a_pack(b""): b""})
    result = copy_all(world, world.record())
    assert world.restored() == {**odd, "empty": b"", a_pack(b""): b""}
    assert result.proven == len(odd) + 2


def test_the_source_may_lie_in_a_whole_bucket(state: StateHeader) -> None:
    world = World(prefix="", target_prefix="below")
    world.back_up(a_backup())
    assert copy_all(world, world.record()).proven == 7
    assert world.restored() == a_backup()


def test_a_target_with_a_default_retention_gets_locked_copies(world: World, state: StateHeader) -> None:
    world.s3.put_lock_configuration(TARGET, DefaultRetention(LockMode.GOVERNANCE, 3))
    assert copy_all(world, state).proven == 7
    assert all(entry.version.retention is not None for entry in world.s3.everything(TARGET))


# --- the proof -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [PACK, "config"])
@pytest.mark.parametrize("hashes", [True, False], ids=["S3 hashes", "S3 does not hash"])
def test_a_copy_of_other_bytes_of_the_same_size_is_caught(
    world: World, state: StateHeader, bad: str, hashes: bool
) -> None:
    result = copy_all(world, state, BadCopier(world, bad, hashes))
    sizes = {key: len(content) for key, content in world.restored().items()}
    assert sizes == {key: len(content) for key, content in a_backup().items()}, "the listing shows nothing"
    assert told(result) == [(bad, Kind.FAILED)]
    assert "which is not that of the pinned version" in result.troubles[0].why
    assert result.proven == 6


def test_where_s3_hashes_nothing_every_copy_is_read_back(world: World, state: StateHeader) -> None:
    result = copy_all(world, state, UnhashedCopier(world))
    assert (result.proven, result.troubles) == (7, ())
    assert world.restored() == a_backup()


def test_a_copy_that_cannot_be_read_back_is_unproven(world: World, state: StateHeader) -> None:
    world.s3.access.deny("copy-batch", ["s3:GetObject"], TARGET, PACK)
    result = copy_all(world, state, UnhashedCopier(world))
    assert told(result) == [(PACK, Kind.UNPROVEN)]
    assert "S3 denies s3:GetObject" in result.troubles[0].why
    assert (result.proven, result.copied) == (6, 7)


def test_a_pack_that_is_damaged_in_the_state_is_copied_exactly_and_named(world: World) -> None:
    world.back_up({PACK: b"garbage"})
    result = copy_all(world, world.record())
    assert world.restored()[PACK] == b"garbage"
    assert told(result) == [(PACK, Kind.DAMAGED)]
    assert "the copy is exact" in result.troubles[0].why
    assert (result.proven, result.copied) == (6, 7)


def test_a_damaged_pack_that_is_copied_wrongly_is_a_failure(world: World) -> None:
    world.back_up({PACK: b"garbage"})
    assert told(copy_all(world, world.record(), BadCopier(world, PACK, hashes=True))) == [(PACK, Kind.FAILED)]


def test_a_version_that_is_gone_is_missing_by_name(world: World, state: StateHeader) -> None:
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith(PACK)]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    result = copy_all(world, state)
    assert told(result) == [(PACK, Kind.MISSING)]
    assert (result.proven, result.copied, result.skipped) == (6, 6, 0)


def test_where_s3_hides_that_a_version_is_gone_the_object_has_failed_instead(world: World, state: StateHeader) -> None:
    # S3 says "denied" instead of "not there" to who may not list the source: named all the same, and never proven.
    world.s3.access.deny("copy-batch", ["s3:ListBucket"], PROTECTED)
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith(PACK)]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    assert told(copy_all(world, state)) == [(PACK, Kind.FAILED)]


def test_what_s3_refuses_for_one_key_is_told_under_that_key_and_the_others_are_proven(
    world: World, state: StateHeader
) -> None:
    world.s3.access.deny("copy-batch", ["s3:PutObject"], TARGET, PACK)
    result = copy_all(world, state)
    assert told(result) == [(PACK, Kind.FAILED)]
    assert result.proven == 6


# --- what is there already -------------------------------------------------------------------------


def test_running_again_copies_nothing_and_proves_everything_again(world: World, state: StateHeader) -> None:
    copy_all(world, state)
    copies = Copies()
    world.watch(copies)
    result = copy_all(world, state)
    assert copies.keys == []
    assert (result.proven, result.copied, result.skipped) == (7, 0, 7)


def test_a_damaged_state_can_be_resumed_too(world: World) -> None:
    world.back_up({PACK: b"garbage"})
    state = world.record()
    copy_all(world, state)
    result = copy_all(world, state)
    assert told(result) == [(PACK, Kind.DAMAGED)]
    assert (result.proven, result.copied, result.skipped) == (6, 0, 7)


def test_only_what_is_not_there_is_copied(world: World, state: StateHeader) -> None:
    for key in ("config", PACK):
        world.s3.put(TARGET, key, a_backup()[key])
    copies = Copies()
    world.watch(copies)
    result = copy_all(world, state)
    assert sorted(copies.keys) == sorted(f"{TARGET}/{key}" for key in a_backup() if key not in ("config", PACK))
    assert (result.proven, result.copied, result.skipped) == (7, 5, 2)


@pytest.mark.parametrize("bad", [PACK, "config"])
def test_a_bad_copy_of_the_same_execution_is_copied_again(world: World, state: StateHeader, bad: str) -> None:
    [request] = world.requests(world.plan(state.id))
    world.copy(request, BadCopier(world, bad, hashes=True))
    result = world.copy(request)
    assert (result.proven, result.copied, result.skipped) == (7, 1, 6)
    assert world.restored() == a_backup()


def test_a_pack_in_the_target_proves_itself_when_its_version_is_gone(world: World, state: StateHeader) -> None:
    world.s3.put(TARGET, PACK, a_backup()[PACK])
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith(PACK)]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    assert copy_all(world, state).proven == 7


def test_a_config_in_the_target_whose_version_is_gone_cannot_be_proven_and_is_missing(
    world: World, state: StateHeader
) -> None:
    world.s3.put(TARGET, "config", a_backup()["config"])
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith("config")]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    assert told(copy_all(world, state)) == [("config", Kind.MISSING)]


def test_an_object_that_vanishes_between_the_listing_and_its_proof_is_copied(world: World, state: StateHeader) -> None:
    [request] = world.requests(world.plan(state.id))
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    copier = ObjectCopier(
        pinned=FakeThawedReader(FakePinnedReader(world.s3, PROTECTED, world.source.key_prefix)),
        reader=FakeTargetReader(world.s3, TARGET),
        copier=world.copier(),
    )
    pack = next(version for version in versions if version.key == PACK)
    assert copier.settle(pack, size_there=pack.size) == Settled(copied=True)


def test_a_target_that_cannot_be_read_is_told_under_the_key_and_not_overwritten(
    world: World, state: StateHeader
) -> None:
    copy_all(world, state)
    [request] = world.requests(world.plan(state.id))
    world.s3.access.deny("copy-batch", ["s3:GetObject"], TARGET, PACK)
    before = world.writes_in(TARGET)
    assert told(world.copy(request)) == [(PACK, Kind.FAILED)]
    assert world.writes_in(TARGET) == before


# --- what it is given ------------------------------------------------------------------------------


def test_a_batch_file_that_was_changed_is_not_copied(world: World, state: StateHeader) -> None:
    [request] = world.requests(world.plan(state.id))
    forged = world.s3.get(RECORDS, request.batch.batch).body.replace(b"config", b"confic")
    version = world.s3.put(RECORDS, request.batch.batch, forged)
    swapped = request.model_copy(update={"batch": request.batch.model_copy(update={"version_id": version.version_id})})
    with pytest.raises(PlanMismatch, match="nothing was copied from it"):
        world.copy(swapped)
    assert world.writes_in(TARGET) == 0


def test_a_newer_version_of_a_batch_file_changes_nothing(world: World, state: StateHeader) -> None:
    [request] = world.requests(world.plan(state.id))
    world.s3.put(RECORDS, request.batch.batch, b"forged")
    assert world.copy(request).proven == 7


def test_another_plan_than_the_announced_one_is_not_copied(world: World, state: StateHeader) -> None:
    [request] = world.requests(world.plan(state.id))
    plan_file = f"restores/{request.plan}/plan.json"
    forged = world.s3.get(RECORDS, plan_file).body.replace(b"rwm-restore-here", b"rwm-restore-mine")
    version = world.s3.put(RECORDS, plan_file, forged)
    with pytest.raises(PlanMismatch, match="nothing was copied"):
        world.copy(request.model_copy(update={"plan_version": version.version_id}))


def test_a_manifest_item_that_is_not_the_plans_is_not_copied(world: World, state: StateHeader) -> None:
    [request] = world.requests(world.plan(state.id))
    for wrong in ({"number": 1}, {"digest": Digest("0" * 64)}):
        with pytest.raises(PlanMismatch):
            world.copy(request.model_copy(update={"batch": request.batch.model_copy(update=wrong)}))
    assert world.writes_in(TARGET) == 0


def test_a_batch_in_an_unknown_form_is_refused(world: World, state: StateHeader) -> None:
    plan = world.stored_plan(world.plan(state.id))
    with pytest.raises(PlanMismatch):
        read_batch(FakeRecordReader(world.s3, RECORDS), plan, 7)
    with pytest.raises(UnreadableDocument):
        BatchResult.parse(b"{}")
    with pytest.raises(UnreadableDocument):
        RestoreReport.parse(plan.canonical())


class Throttled(Exception):
    """What is left of S3's SlowDown after every retry."""


class SlowCopier:
    """A VersionCopier that S3 throttles."""

    def copy(self, version: ObjectVersion) -> Digest | None:
        if version.key == "config":
            raise Throttled("An error occurred (SlowDown) when calling the CopyObject operation" + "!" * 1000)
        raise TargetDenied("no")


def test_an_error_that_outlives_every_retry_is_told_in_short(world: World, state: StateHeader) -> None:
    result = copy_all(world, state, SlowCopier())
    assert {kind for _, kind in told(result)} == {Kind.FAILED}
    [why] = [each.why for each in result.troubles if each.key == "config"]
    assert why.startswith("An error occurred (SlowDown)")
    assert len(why) <= 300


def test_the_result_is_written_where_its_execution_finds_it(world: World, state: StateHeader) -> None:
    result = copy_all(world, state)
    stored = world.s3.get(RECORDS, f"restores/{result.plan}/results/{EXECUTION}/00000.json").body
    assert BatchResult.parse(stored) == result
