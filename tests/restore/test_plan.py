"""Planning a restore: a plan is deterministic data, and whatever is refused is refused before any write."""

import pytest

from functions.domain.ledger import StateDamaged
from functions.domain.restore.plan import Wishes
from functions.domain.restore.request import (
    Location,
    RestoreRefused,
    RestoreRequest,
    check_target,
    protected_repository,
)
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName
from functions.restore.copy import read_announced
from functions.restore.plan import check_lockable
from tests.fakes.faults import Call, Moment
from tests.fakes.ports import FakeRecordReader, FakeTargetFacts
from tests.fakes.s3_model import Attributes
from tests.restore.world import (
    CONFIGURATION,
    PROTECTED,
    RECORDS,
    REPOSITORY,
    TARGET,
    Copies,
    World,
    a_backup,
    a_pack,
    sha256,
)


@pytest.fixture
def world() -> World:
    made = World()
    made.back_up(a_backup())
    return made


def assert_refused(world: World, state: str, *said: str) -> None:
    """Planning is refused in these words, and nothing was written anywhere."""
    before = world.writes_in(TARGET)
    with pytest.raises(RestoreRefused) as refusal:
        world.plan(state)
    for words in (*said, "nothing was written"):
        assert words in str(refusal.value)
    assert world.writes_in(RECORDS) == 0
    assert world.writes_in(TARGET) == before


def test_a_plan_names_the_state_the_target_and_every_object_once(world: World) -> None:
    state = world.record()
    written = world.plan(state.id)
    plan = world.stored_plan(written)
    assert (plan.state, plan.content_root, plan.manifest_root) == (state.id, state.content_root, state.manifest_root)
    assert (plan.source, plan.target) == (world.source, world.target)
    assert (written.objects, written.bytes, written.batches) == (state.objects, state.bytes, 1)
    [request] = world.requests(written)
    _, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS))
    assert [version.key for version in versions] == sorted(a_backup())


def test_the_same_state_and_target_give_the_same_plan_at_any_time(world: World) -> None:
    state = world.record()
    first = world.plan(state.id)
    world.s3.clock.advance(86_400)
    world.back_up({a_pack(b"later"): b"later"})
    world.record()
    second = world.plan(state.id)
    assert second.plan == first.plan
    files = {entry.version.key: entry.version.body for entry in world.s3.everything(RECORDS)}
    assert len(files) == 3, "the second plan wrote the same three files again"


def test_another_target_gives_another_plan(world: World) -> None:
    state = world.record()
    first = world.plan(state.id)
    world.target = Location(bucket=TARGET, prefix="elsewhere")
    assert world.plan(state.id).plan != first.plan


def test_a_state_can_be_named_by_the_start_of_its_id_by_a_time_or_as_latest(world: World) -> None:
    state = world.record()
    assert {world.plan(name).plan for name in (state.id, state.id[:12], "latest", "2026-12-31")} == {
        world.plan(state.id).plan
    }


def test_a_large_state_is_cut_into_batches_in_key_order() -> None:
    world = World()
    contents = [str(number).encode() for number in range(1001)]
    world.back_up({a_pack(content): content for content in contents})
    written = world.plan(world.record().id)
    assert written.batches == 3
    batches = [read_announced(request, FakeRecordReader(world.s3, RECORDS))[1] for request in world.requests(written)]
    assert [len(batch) for batch in batches] == [500, 500, 1]
    keys = [version.key for batch in batches for version in batch]
    assert keys == sorted(a_pack(content) for content in contents)


def test_an_empty_state_is_one_empty_batch_so_that_the_same_steps_run() -> None:
    world = World()
    written = world.plan(world.record().id)
    assert (written.objects, written.batches) == (0, 1)


# --- refusals --------------------------------------------------------------------------------------


def test_a_state_that_does_not_exist_is_refused(world: World) -> None:
    world.record()
    assert_refused(world, "0" * 64, "has no state 0000", "rwm states beta")
    assert_refused(world, "yesterday", "state's id (4 hex digits or more)")
    assert_refused(world, "2020-01-01", "the oldest state of beta")


def test_a_dropped_state_is_refused_with_what_dropped_it(world: World) -> None:
    dropped = world.record()
    world.s3.clock.advance(60)
    world.back_up({"snapshots/" + sha256(b"another"): b"another"})
    kept = world.record()
    world.ledger.mark_dropped(dropped, world.s3.clock.now(), "prune-tuesday")
    said = f"state {dropped.id} was dropped by prune prune-tuesday at "
    for wanted in (dropped.id, dropped.id[:12], f"{dropped.cut_time:%Y-%m-%dT%H:%M:%SZ}"):
        assert_refused(world, wanted, said, "its versions may be gone", "rwm states beta")
    world.plan(kept.id)


def test_a_state_of_another_repository_is_refused(world: World) -> None:
    state = world.record()
    with pytest.raises(RestoreRefused, match="gamma has no recorded state"):
        world.plan(state.id, repository=RepositoryName("gamma"))
    assert world.writes_in(RECORDS) == 0


def test_a_state_that_was_filed_under_another_repository_is_refused(world: World) -> None:
    state = world.record()
    gamma = RepositoryName("gamma")
    world.ledger.stored_headers[gamma, 1] = world.ledger.stored_headers[REPOSITORY, 1]
    with pytest.raises(RestoreRefused, match="is of repository beta, not of gamma; nothing was written"):
        world.plan(state.id, repository=gamma)
    assert world.writes_in(RECORDS) == 0


def test_a_state_whose_chunks_were_changed_is_refused(world: World) -> None:
    state = world.record()
    [place] = world.ledger.chunks
    world.ledger.chunks[place] += b"x"
    assert_refused(world, state.id, "not those its header names")


def test_a_target_bucket_that_does_not_exist_is_refused(world: World) -> None:
    world.target = Location(bucket="rwm-restore-nowhere")
    world.s3.access.allow("plan-restore", ["s3:ListBucket"], "rwm-restore-nowhere")
    state = world.record()
    with pytest.raises(RestoreRefused, match="there is no bucket rwm-restore-nowhere; nothing was written; create"):
        world.plan(state.id)
    assert world.writes_in(RECORDS) == 0


def test_a_target_that_denies_the_listing_is_refused(world: World) -> None:
    world.s3.access.deny("plan-restore", ["s3:ListBucket"], TARGET)
    assert_refused(world, world.record().id, "S3 denies s3:ListBucket")


@pytest.mark.parametrize(
    ("bucket", "said"),
    [
        (PROTECTED, "is a protected bucket \\(of beta\\)"),
        ("elsewhere", "is a protected bucket \\(of gamma\\)"),
        (RECORDS, "holds RWM's own records"),
        ("somebodys-bucket", "is not among restore_targets \\(rwm-restore-\\*\\)"),
    ],
)
def test_a_bucket_that_no_restore_may_write_to_is_refused(bucket: str, said: str) -> None:
    with pytest.raises(RestoreRefused, match=f"{said}.*nothing was written"):
        check_target(Location(bucket=bucket, prefix="apart"), CONFIGURATION, RECORDS)


@pytest.mark.parametrize("bucket", [PROTECTED, "elsewhere", RECORDS])
def test_a_protected_bucket_and_the_records_are_refused_even_where_restore_targets_covers_them(bucket: str) -> None:
    generous = CONFIGURATION.model_copy(update={"restore_targets": ("*",)})
    with pytest.raises(RestoreRefused, match="nothing was written"):
        check_target(Location(bucket=bucket, prefix="apart"), generous, RECORDS)


def test_a_bucket_that_restore_targets_covers_is_accepted() -> None:
    check_target(Location(bucket=TARGET), CONFIGURATION, RECORDS)


def test_an_unknown_repository_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(RestoreRefused, match="no repository 'delta', only beta, gamma; nothing was written"):
        protected_repository(CONFIGURATION, "delta")
    assert protected_repository(CONFIGURATION, "beta").bucket == PROTECTED


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"repository": "beta", "state": "latest"},
        {"repository": "beta", "state": "latest", "target": {"bucket": "UPPER"}},
        {"repository": "beta", "state": "latest", "target": {"bucket": "good-name", "prefix": "/leading"}},
        {"repository": "beta", "state": "latest", "target": {"bucket": "good-name", "prefix": "a//b"}},
        {"repository": "beta", "state": "latest", "target": {"bucket": "good-name", "prefix": "a*"}},
        {"repository": "beta", "state": "latest", "target": {"bucket": "good-name"}, "more": 1},
        ["not", "an", "object"],
    ],
)
def test_a_malformed_request_is_refused_and_says_which_field(event: object) -> None:
    with pytest.raises(RestoreRefused, match=r"the request is malformed \(.+: .+\); nothing was written"):
        RestoreRequest.read(event)


def test_a_target_that_holds_an_unknown_key_is_refused_and_the_key_is_named(world: World) -> None:
    world.s3.put(TARGET, "holiday.jpg", b"x")
    assert_refused(world, world.record().id, "1 object(s) that are not part of this state", "'holiday.jpg'")


def test_a_target_that_holds_another_size_under_a_key_of_the_state_is_refused(world: World) -> None:
    world.s3.put(TARGET, "config", b"longer than the config")
    assert_refused(world, world.record().id, "'config' (22 bytes, in the state 10)")


@pytest.mark.parametrize("foreign", ["config", a_pack(b"pack 1")])
@pytest.mark.parametrize("hashed", [True, False], ids=["S3 hashed it", "S3 did not hash it"])
def test_a_target_that_holds_other_bytes_of_the_same_size_is_refused(world: World, foreign: str, hashed: bool) -> None:
    garbage = b"?" * len(a_backup()[foreign])
    if hashed:
        world.s3.put("rwm-restore-here", "elsewhere", garbage)
        world.s3.copy((TARGET, "elsewhere", ""), TARGET, foreign, checksum_algorithm="SHA256")
        world.s3.delete(TARGET, "elsewhere")
    else:
        world.s3.put(TARGET, foreign, garbage)
    assert_refused(world, world.record().id, f"'{foreign}' (other bytes)")


def test_what_lies_beside_the_targets_prefix_is_nobodys_business(world: World) -> None:
    world.s3.put(TARGET, "holiday.jpg", b"x")
    world.s3.put(TARGET, "restored-other/config", b"x")
    world.target = Location(bucket=TARGET, prefix="restored")
    assert world.plan(world.record().id).objects == len(a_backup())


def test_a_target_that_holds_a_part_of_the_same_state_is_accepted(world: World) -> None:
    state = world.record()
    for key in ("config", a_pack(b"pack 1")):
        world.s3.put(TARGET, key, a_backup()[key])
    assert world.plan(state.id).objects == state.objects


def test_an_object_in_an_archive_class_is_refused_unless_it_may_be_thawed(world: World) -> None:
    world.s3.put(
        PROTECTED, world.source.key_prefix + a_pack(b"cold"), b"cold", Attributes(storage_class="DEEP_ARCHIVE")
    )
    state = world.record()
    assert_refused(world, state.id, "1 object(s)", "(DEEP_ARCHIVE)", "--thaw TIER")
    with pytest.raises(RestoreRefused, match=r"does not thaw at the tier Expedited; nothing was written"):
        world.plan(state.id, wishes=Wishes(thaw="Expedited"))
    written = world.plan(state.id, wishes=Wishes(thaw="Bulk"))
    assert (written.thaw, written.archived.objects, written.archived.bytes) == ("Bulk", 1, 4)
    assert world.stored_plan(written).thaw == "Bulk"


def test_many_strange_objects_are_counted_and_a_few_named(world: World) -> None:
    for number in range(12):
        world.s3.put(TARGET, f"photo-{number:02}.jpg", b"x")
    assert_refused(world, world.record().id, "holds 12 object(s)", "'photo-04.jpg' and 7 more")


def test_planning_copies_nothing(world: World) -> None:
    copies = Copies()
    state = world.record()
    world.watch(copies)
    world.plan(state.id)
    assert copies.keys == []


def test_a_target_without_object_lock_is_refused_where_copies_shall_be_locked(world: World) -> None:
    world.s3.create_bucket("rwm-restore-plain")
    for bucket in ("rwm-restore-plain", TARGET):
        world.s3.access.allow("plan-restore", ["s3:GetBucketObjectLockConfiguration"], bucket)
    plain = Location(bucket="rwm-restore-plain")
    with pytest.raises(RestoreRefused, match=r"rwm-restore-plain has no Object Lock.*nothing was written.*without --l"):
        check_lockable(FakeTargetFacts(world.s3, plain.bucket, "plan-restore"), plain)
    check_lockable(FakeTargetFacts(world.s3, TARGET, "plan-restore"), world.target)
    world.s3.access.deny("plan-restore", ["s3:GetBucketObjectLockConfiguration"], TARGET)
    with pytest.raises(RestoreRefused, match="S3 denies s3:GetBucketObjectLockConfiguration"):
        check_lockable(FakeTargetFacts(world.s3, TARGET, "plan-restore"), world.target)


# --- key files that were removed since ----------------------------------------------------------------

OLD_KEY, NEW_KEY = "keys/" + sha256(b"a key"), "keys/" + sha256(b"a new key")


def remove_the_old_key(world: World, *, with_a_new_one: bool) -> StateHeader:
    """`restic key add` and `restic key remove`, or an attack; the state before."""
    if with_a_new_one:
        world.back_up({NEW_KEY: b"a new key"})
    state = world.record()
    world.s3.delete(PROTECTED, world.source.key_prefix + OLD_KEY)
    world.record()
    return state


def test_a_key_file_that_was_removed_since_is_left_out_and_named_in_plan_and_report(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    written = world.plan(state.id)
    plan = world.stored_plan(written)
    assert (plan.revoked, plan.reinstated, plan.objects) == ((OLD_KEY,), None, state.objects - 1)
    report = world.restore(state.id)
    assert (report.outcome, report.revoked, report.objects) == ("restored", (OLD_KEY,), state.objects - 1)
    assert set(world.restored()) == {*a_backup(), NEW_KEY} - {OLD_KEY}


def test_it_comes_back_when_it_is_asked_for_and_is_named_all_the_same(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    report = world.restore(state.id, wishes=Wishes(with_revoked_keys=True))
    assert (report.outcome, report.revoked, report.reinstated) == ("restored", None, (OLD_KEY,))
    assert set(world.restored()) == {*a_backup(), NEW_KEY}
    assert report.content_root == state.content_root


def test_a_repository_without_a_key_file_is_refused_unless_the_removed_ones_come_back(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=False)
    assert_refused(world, state.id, "each of the state's 1 key files was removed since", "--with-revoked-keys")
    world.plan(state.id, wishes=Wishes(with_revoked_keys=True))


def test_a_key_file_that_was_removed_since_must_not_lie_in_the_target_either(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    world.s3.put(TARGET, OLD_KEY, b"a key")
    assert_refused(world, state.id, f"'{OLD_KEY}' (a key file that was removed since this state")
    world.plan(state.id, wishes=Wishes(with_revoked_keys=True))


def test_of_the_newest_state_no_key_file_was_removed_since(world: World) -> None:
    remove_the_old_key(world, with_a_new_one=True)
    plan = world.stored_plan(world.plan("latest"))
    assert (plan.revoked, plan.format) == (None, 1)


def test_a_key_file_that_was_put_back_is_not_removed(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    world.back_up({OLD_KEY: b"a key"})
    world.record()
    assert world.stored_plan(world.plan(state.id)).revoked is None


def test_where_the_newest_state_cannot_be_read_nobody_knows_what_was_removed(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    newest = max(world.ledger.chunks)
    world.ledger.chunks[newest] += b"x"
    assert_refused(world, state.id, "which key files were removed since that state is not known", "--with-revoked-keys")
    plan = world.stored_plan(world.plan(state.id, wishes=Wishes(with_revoked_keys=True)))
    assert (plan.revoked, plan.reinstated, plan.objects) == (None, None, state.objects)


# --- samples and dry runs -----------------------------------------------------------------------------


def test_a_drill_s_sample_leaves_out_packs_and_is_restored_like_a_whole_state() -> None:
    world = World()
    backup = a_backup(packs=40)
    world.back_up(backup)
    state = world.record()
    wishes = Wishes(sample_bytes=60, seed="monday")
    report = world.restore(state.id, wishes=wishes)
    restored = world.restored()
    assert (report.outcome, report.objects) == ("restored", len(restored))
    assert report.sample == state.objects - len(restored) > 0
    assert {key for key in backup if not key.startswith("data/")} <= set(restored)
    assert 0 < sum(len(content) for key, content in restored.items() if key.startswith("data/")) <= 60
    assert report.content_root != state.content_root
    assert world.plan(state.id, wishes=wishes).plan == report.plan, "the same name chooses the same"


def test_a_state_that_fits_the_sample_is_restored_whole(world: World) -> None:
    state = world.record()
    plan = world.stored_plan(world.plan(state.id, wishes=Wishes(sample_bytes=1 << 30, seed="monday")))
    assert (plan.sample, plan.content_root, plan.format) == (None, state.content_root, 1)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(world: World) -> None:
    state = remove_the_old_key(world, with_a_new_one=True)
    world.s3.put(TARGET, "config", a_backup()["config"])
    before = world.writes_in(TARGET)
    told = world.foresee(state.id)
    assert (told.state, told.to, told.where) == (state.id, "bucket", str(world.target))
    assert (told.objects, told.there) == (state.objects - 1, 1)
    assert (told.revoked, told.revoked_first, told.with_revoked_keys) == (1, (OLD_KEY,), False)
    assert told.requests["CopyObject"] == state.objects - 2
    assert (world.writes_in(RECORDS), world.writes_in(TARGET)) == (0, before)


def test_a_dry_run_is_refused_where_the_restore_would_be(world: World) -> None:
    world.s3.put(TARGET, "holiday.jpg", b"x")
    with pytest.raises(RestoreRefused, match=r"holiday\.jpg"):
        world.foresee(world.record().id)


# --- drawn twice --------------------------------------------------------------------------------------


def test_a_ledger_that_changes_between_the_two_readings_gives_no_plan(world: World) -> None:
    """The batches that are written must be those that the plan names."""
    state = world.record()
    [place] = world.ledger.chunks
    reads = 0

    def change_it(call: Call) -> None:
        nonlocal reads
        if call.operation == "GetChunk" and call.moment is Moment.AFTER:
            reads += 1
            world.ledger.chunks[place] += b"x"

    world.ledger.hook = change_it
    with pytest.raises(StateDamaged):
        world.plan(state.id)
    assert reads
    assert not [entry for entry in world.s3.everything(RECORDS) if entry.version.key.endswith("plan.json")]
