"""What fails for a passing reason is tried again, what does not is told at once; and copies are locked as was asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from functions.domain.restore.plan import Wishes
from functions.domain.restore.proof import Kind
from functions.domain.restore.request import RestoreRefused
from functions.domain.restore.target import LARGEST_READ_BACK, TOO_LARGE_TO_PROVE
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion
from functions.restore.settling import ROUNDS, ObjectCopier
from tests.fakes.faults import Call, CallLog, Moment
from tests.fakes.ports import FakePinnedReader, FakeTargetReader, FakeThawedReader
from tests.fakes.s3_errors import AccessDenied, InternalError, S3Error, SlowDown
from tests.fakes.s3_model import DefaultRetention, LockMode, Retention
from tests.restore.world import EXECUTION, PROTECTED, TARGET, Copies, World, a_backup, a_pack

PACK, OTHER = a_pack(b"pack 1"), a_pack(b"pack 2")
DAY = timedelta(days=1)


@dataclass(slots=True)
class Failing:
    """A hook: the first `times` calls of `operation` on `resource` fail."""

    operation: str
    resource: str
    times: int
    error: Callable[[], S3Error]
    moment: Moment = Moment.BEFORE
    seen: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        if (call.operation, call.resource, call.moment) == (self.operation, self.resource, self.moment):
            self.seen.append(call.resource)
            if len(self.seen) <= self.times:
                raise self.error()


# --- what passes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SlowDown, InternalError])
@pytest.mark.parametrize("times", [1, ROUNDS])
def test_a_copy_that_fails_for_a_passing_reason_is_tried_again(
    world: World, state: StateHeader, error: type[S3Error], times: int
) -> None:
    failing = Failing("CopyObject", f"{TARGET}/{PACK}", times, error)
    world.watch(failing)
    assert world.restore(state.id).outcome == "restored"
    assert len(failing.seen) == times + 1
    # Full jitter: anything up to a limit that doubles; here chance is always a half.
    assert world.restore_pauses == [2.0, 4.0, 8.0][:times]


def test_after_the_last_round_it_is_told_under_its_key_and_the_others_are_proven(
    world: World, state: StateHeader
) -> None:
    failing = Failing("CopyObject", f"{TARGET}/{PACK}", 99, SlowDown)
    world.watch(failing)
    report = world.restore(state.id)
    assert (report.outcome, report.proven) == ("incomplete", 6)
    assert [(each.key, each.kind) for each in report.troubles] == [(PACK, Kind.FAILED)]
    assert "SlowDown" in report.troubles[0].why
    assert len(failing.seen) == ROUNDS + 1


def test_what_does_not_pass_is_told_at_once(world: World, state: StateHeader) -> None:
    [gone] = [entry.version for entry in world.s3.everything(PROTECTED) if entry.version.key.endswith(OTHER)]
    world.s3.delete_version(PROTECTED, gone.key, gone.version_id)
    failing = Failing("CopyObject", f"{TARGET}/{PACK}", 99, AccessDenied)
    world.watch(failing)
    report = world.restore(state.id)
    assert {each.key: each.kind for each in report.troubles} == {PACK: Kind.FAILED, OTHER: Kind.MISSING}
    assert (len(failing.seen), world.restore_pauses) == (1, [])


def test_what_was_copied_and_could_not_be_read_back_is_read_again_and_not_copied_again(
    world: World, state: StateHeader
) -> None:
    # `config` alone is compared with the pinned version: its name promises nothing.
    failing = Failing("GetObject", f"{PROTECTED}/{world.source.key_prefix}config", 2, SlowDown)
    copies = Copies()

    def watch(call: Call) -> None:
        copies(call)
        failing(call)

    world.watch(watch)
    report = world.restore(state.id)
    assert (report.outcome, report.copied, report.skipped) == ("restored", 7, 0)
    assert copies.keys.count(f"{TARGET}/config") == 1
    assert len(failing.seen) == 3


def test_a_proof_that_never_comes_leaves_the_object_unproven(world: World, state: StateHeader) -> None:
    world.watch(Failing("GetObject", f"{PROTECTED}/{world.source.key_prefix}config", 99, SlowDown))
    report = world.restore(state.id)
    assert (report.outcome, report.copied) == ("incomplete", 7)
    assert [(each.key, each.kind) for each in report.troubles] == [("config", Kind.UNPROVEN)]
    assert world.writes_in(TARGET) == 7, "it is not copied again"


def test_a_copy_whose_answer_was_lost_is_made_again_and_ends_the_same(world: World, state: StateHeader) -> None:
    world.watch(Failing("CopyObject", f"{TARGET}/{PACK}", 1, InternalError, Moment.AFTER))
    assert world.restore(state.id).outcome == "restored"
    assert world.restored() == a_backup()


# --- what is too large -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HugeCopier:
    """A VersionCopier of what was copied in parts: there is no SHA-256 of the whole."""

    def copy(self, version: ObjectVersion) -> Digest | None:
        del version
        return None


@pytest.mark.parametrize("there", [True, False], ids=["there already", "copied now"])
def test_what_is_too_large_to_be_read_back_is_unproven_and_says_why(
    world: World, state: StateHeader, there: bool
) -> None:
    assert state.objects
    world.s3.put(TARGET, PACK, b"as if it were large")
    copier = ObjectCopier(
        pinned=FakeThawedReader(FakePinnedReader(world.s3, PROTECTED)),
        reader=FakeTargetReader(world.s3, TARGET),
        copier=HugeCopier(),
    )
    [version] = [each for each in (entry.version for entry in world.s3.everything(PROTECTED)) if PACK in each.key]
    huge = ObjectVersion(
        ObjectKey(PACK),
        version.version_id,  # type: ignore[arg-type]
        LARGEST_READ_BACK + 1,
        version.last_modified,
        "",
        "STANDARD",
    )
    log = CallLog()
    world.watch(log)
    settled = copier.settle(huge, size_there=huge.size if there else None)
    assert settled.trouble is not None
    assert (settled.copied, settled.trouble.kind, settled.trouble.why) == (not there, Kind.UNPROVEN, TOO_LARGE_TO_PROVE)
    assert "GetObject" not in log.count()


# --- locks -----------------------------------------------------------------------------------------


def locks(world: World) -> dict[str, Retention | None]:
    return {entry.version.key: entry.version.retention for entry in world.s3.everything(TARGET) if entry.is_latest}


def test_copies_are_locked_in_governance_mode_for_the_days_that_were_asked_for(
    world: World, state: StateHeader
) -> None:
    before = world.s3.clock.now()
    report = world.restore(state.id, wishes=Wishes(lock_days=30))
    assert (report.outcome, report.lock_days) == ("restored", 30)
    held = locks(world)
    assert set(held) == set(a_backup())
    for each in held.values():
        assert each is not None
        assert each.mode is LockMode.GOVERNANCE
        assert timedelta(days=29) < each.until - before <= timedelta(days=30)


def test_a_lock_that_the_server_dropped_is_seen_and_mended(world: World, state: StateHeader) -> None:
    assert world.restore(state.id, copier=world.copier(), wishes=Wishes(lock_days=30)).outcome == "restored"
    held = locks(world)
    assert set(held) == set(a_backup())
    assert all(each is not None and each.until > world.s3.clock.now() + 29 * DAY for each in held.values())


def test_what_is_there_already_is_locked_as_long_and_what_is_locked_is_left_alone(
    world: World, state: StateHeader
) -> None:
    now = world.s3.clock.now()
    for key, until in (("config", None), (PACK, now + 3 * DAY), (OTHER, now + 29.5 * DAY)):
        world.s3.put(TARGET, key, a_backup()[key])
        if until:
            world.s3.put_retention(TARGET, key, Retention(LockMode.GOVERNANCE, until))
    log = CallLog()
    world.watch(log)
    assert world.restore(state.id, wishes=Wishes(lock_days=30)).outcome == "restored"
    assert log.count()["PutObjectRetention"] == 2
    held = {key: each.until for key, each in locks(world).items() if each}
    assert held[OTHER] == now + 29.5 * DAY, "it ends less than a day sooner"
    assert all(until > now + 29 * DAY for until in held.values())
    assert set(held) == set(a_backup())


def test_no_lock_is_ever_shortened_or_softened(world: World, state: StateHeader) -> None:
    now = world.s3.clock.now()
    for key, mode, days in (("config", LockMode.GOVERNANCE, 300), (PACK, LockMode.COMPLIANCE, 300)):
        world.s3.put(TARGET, key, a_backup()[key])
        world.s3.put_retention(TARGET, key, Retention(mode, now + days * DAY))
    before = locks(world)
    assert world.restore(state.id, wishes=Wishes(lock_days=30)).outcome == "restored"
    assert {key: locks(world)[key] for key in before} == before


def test_a_lock_that_cannot_be_set_is_told_under_its_key(world: World, state: StateHeader) -> None:
    world.s3.put(TARGET, PACK, a_backup()[PACK])
    world.s3.put_retention(TARGET, PACK, Retention(LockMode.COMPLIANCE, world.s3.clock.now() + 3 * DAY))
    report = world.restore(state.id, wishes=Wishes(lock_days=30))
    assert [(each.key, each.kind) for each in report.troubles] == [(PACK, Kind.FAILED)]
    assert report.troubles[0].why == "it is right, but S3 does not lock it (AccessDenied)"


def test_without_being_asked_nothing_is_locked_and_the_targets_own_default_holds(
    world: World, state: StateHeader
) -> None:
    world.restore(state.id)
    assert set(locks(world).values()) == {None}


def test_a_default_that_locks_for_longer_holds(world: World, state: StateHeader) -> None:
    world.s3.put_lock_configuration(TARGET, DefaultRetention(LockMode.COMPLIANCE, 90))
    assert world.restore(state.id, wishes=Wishes(lock_days=30)).outcome == "restored"
    for each in locks(world).values():
        assert each is not None
        assert (each.mode, each.until - world.s3.clock.now() > 89 * DAY) == (LockMode.COMPLIANCE, True)


# --- before the first copy -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "bucket"),
    [("s3:PutObject", TARGET), ("s3:GetObjectVersion", PROTECTED), ("s3:PutObjectRetention", TARGET)],
)
def test_a_permission_that_copies_lack_is_told_before_the_first_of_them(
    world: World, state: StateHeader, action: str, bucket: str
) -> None:
    written = world.plan(state.id, wishes=Wishes(lock_days=3))
    world.s3.access.deny("copy-batch", [action], bucket)
    with pytest.raises(RestoreRefused, match="nothing was written"):
        world.try_target(written)
    assert world.writes_in(TARGET) == 0


def test_trying_a_target_writes_nothing(world: World, state: StateHeader) -> None:
    world.try_target(world.plan(state.id))
    assert world.writes_in(TARGET) == 0


def test_whatever_else_is_wrong_with_the_object_that_is_tried_its_copy_tells(world: World, state: StateHeader) -> None:
    for entry in world.s3.everything(PROTECTED):
        world.s3.delete_version(PROTECTED, entry.version.key, entry.version.version_id)
    world.try_target(world.plan(state.id))
    assert world.restore(state.id, execution=EXECUTION).missing == 7
