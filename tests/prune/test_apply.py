"""The one step that destroys: it deletes exactly what was approved and may still go, or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Hold
from functions.domain.prune.approval import NotApproved
from functions.domain.prune.deleting import DeleteOutcome, Doomed
from functions.domain.prune.named import by_base, find_states
from functions.domain.prune.pins import PinsUnproven
from functions.domain.prune.plan import Phase, PlanMismatch, batch_file, plan_file, result_file
from functions.domain.prune.results import BatchResult
from functions.domain.values import Finding, RepositoryName, Severity, StateId, VersionGone, VersionId
from functions.prune import apply
from functions.prune.apply import PruneStopped
from tests.builders import NOON
from tests.fakes.deleter import FakeVersionDeleter
from tests.fakes.faults import CallLog, Crash, FailOnce, KillAt, Moment, nothing
from tests.fakes.ports import FakeRecordReader
from tests.fakes.s3_errors import InternalError, S3Error, SlowDown
from tests.fakes.s3_model import LockMode, Retention, VersioningStatus
from tests.prune.apply_world import APPLY, DAY, KEY_PREFIX, OLD, Planned, World, lived
from tests.restore.world import PROTECTED, RECORDS, REPOSITORY, a_pack

OTHER = a_pack(b"pack 1")
THIRD = a_pack(b"pack 2")
GONE = (OLD, OTHER, THIRD)


@pytest.fixture
def world() -> World:
    return lived(hidden=GONE)


@pytest.fixture
def planned(world: World) -> Planned:
    return world.ready()


def assert_nothing_was_deleted(world: World, before: set[tuple[str, str]]) -> None:
    assert world.there() >= before
    assert world.deleter.asked == []


def refused(world: World, planned: Planned, why: type[BaseException], match: str | None = None) -> None:
    """Neither phase deletes anything."""
    before = world.there()
    for phase in Phase:
        for request in world.children(planned, phase):
            with pytest.raises(why, match=match):
                world.apply(request)
    assert_nothing_was_deleted(world, before)


def version_of(world: World, key: str) -> str:
    (found,) = (version_id for name, version_id in world.there() if name == key and not _is_marker(world, version_id))
    return found


def _is_marker(world: World, version_id: str) -> bool:
    entries = world.s3.everything(PROTECTED)
    return any(each.version.version_id == version_id and each.version.is_delete_marker for each in entries)


# --- what it deletes -------------------------------------------------------------------------------


def test_what_was_approved_is_deleted_and_nothing_else(world: World, planned: Planned) -> None:
    before = world.there()
    versions, markers = (world.planned_names(planned, phase) for phase in Phase)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert world.there() == before - versions
    assert (applied.deleted, applied.bytes) == (3, 3 * len(b"pack 0"))
    world.apply_phase(planned, Phase.MARKERS)
    assert world.there() == before - versions - markers
    assert world.missing() == set()
    assert {key for key, _ in versions} == set(GONE)


def test_every_kept_state_restores_afterwards(world: World, planned: Planned) -> None:
    for phase in Phase:
        world.apply_phase(planned, phase)
    assert world.restores(world.kept()[0])
    assert world.restores(world.kept()[-1])


def test_the_result_says_what_is_gone_and_is_written_last(world: World, planned: Planned) -> None:
    log = CallLog()
    world.watch(log)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    world.watch(nothing)
    assert log.calls[-1].resource == f"{RECORDS}/{result_file(REPOSITORY, 'sunday', 0)}"
    stored = BatchResult.parse(FakeRecordReader(world.s3, RECORDS).get(result_file(REPOSITORY, "sunday", 0)))
    assert stored == applied.result
    assert (stored.gone.objects, stored.stays) == (3, ())
    plan = world.stored(planned)
    assert stored.is_of(plan, plan.batches[0])
    assert not stored.is_of(plan, plan.batches[1])


def test_a_call_takes_few_entries_and_each_looks_at_lease_and_holds_just_before(
    world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "CALL_ENTRIES", 1)
    log = CallLog()
    world.watch(log)
    world.apply_phase(planned, Phase.VERSIONS)
    world.watch(nothing)
    calls = [each.operation for each in log.calls if each.moment is Moment.BEFORE]
    places = [place for place, name in enumerate(calls) if name == "DeleteObjects"]
    assert len(places) == 3
    for place in places:
        assert calls[place - 3 : place] == ["QueryLease", "QueryHolds", "QueryRestores"]


def test_a_marker_stays_where_the_first_phase_left_a_version(world: World, planned: Planned) -> None:
    key = KEY_PREFIX + OTHER
    world.s3.put_legal_hold(PROTECTED, key, True, version_of(world, OTHER))
    world.apply_phase(planned, Phase.VERSIONS)
    (applied,) = world.apply_phase(planned, Phase.MARKERS)
    assert OTHER not in world.current()
    assert [(each.by, each.why, each.entries) for each in applied.result.stays] == [("rules", "covers", 1)]
    assert applied.result.gone.objects == 2


def test_a_marker_stays_while_an_upload_to_its_key_is_pending(world: World, planned: Planned) -> None:
    complete = world.begin_upload(THIRD)
    world.apply_phase(planned, Phase.VERSIONS)
    (applied,) = world.apply_phase(planned, Phase.MARKERS)
    assert [(each.why, each.entries) for each in applied.result.stays] == [("upload-pending", 1)]
    complete()


def test_uploads_are_listed_before_the_versions(world: World, planned: Planned) -> None:
    """One that was begun long ago and is completed in between is then among the versions."""
    world.apply_phase(planned, Phase.VERSIONS)
    log = CallLog()
    world.watch(log)
    world.apply_phase(planned, Phase.MARKERS)
    world.watch(nothing)
    calls = [each.operation for each in log.calls if each.moment is Moment.BEFORE]
    assert calls.index("ListMultipartUploads") < calls.index("ListObjectVersions")


# --- what stops it ---------------------------------------------------------------------------------


def test_a_plan_that_waits_for_a_person_is_not_applied(world: World) -> None:
    world.repository = world.repository.model_copy(update={"approval": "always"})
    planned = world.plan_prune()
    world.take_lease()
    world.drop(planned)
    refused(world, planned, NotApproved, "waits for an approver")
    world.decide(planned.plan)
    assert world.apply_phase(planned, Phase.VERSIONS)[0].deleted == 3


def test_a_rejected_plan_is_not_applied_even_where_none_need_be_approved(world: World) -> None:
    planned = world.plan_prune()
    world.decide(planned.plan, "rejected")
    world.take_lease()
    world.drop(planned)
    refused(world, planned, NotApproved, "rejected by anna")


def test_an_approval_of_another_digest_approves_nothing(world: World) -> None:
    world.repository = world.repository.model_copy(update={"approval": "always"})
    first = world.plan_prune("saturday")
    world.decide(first.plan)
    second = world.plan_prune("sunday")
    world.take_lease("sunday")
    world.drop(second)
    refused(world, second, NotApproved, "waits for an approver")
    refused(world, replace(second, plan=first.plan), PlanMismatch, "approved was")


def test_a_plan_that_is_not_on_the_shelf_or_was_a_dry_run_is_not_applied(world: World, planned: Planned) -> None:
    shelved = world.shelf.find(REPOSITORY, planned.plan)
    assert shelved is not None
    for other in (None, {"dry_run": True}, {"version_id": "another"}, {"file": "elsewhere"}):
        world.shelf.stored.clear()
        if other is not None:
            world.shelf.put(shelved.model_copy(update=other))
        refused(world, planned, PlanMismatch, "not one that was put on the shelf")


@pytest.mark.parametrize("forge", [b"{}", b"not even JSON"])
def test_a_plan_file_that_was_replaced_is_not_read(world: World, planned: Planned, forge: bytes) -> None:
    name = plan_file(REPOSITORY, "sunday")
    forged = world.s3.put(RECORDS, name, forge).version_id
    assert world.stored(planned).digest == planned.plan, "pinned by version"
    refused(world, replace(planned, plan_version=VersionId(forged)), UnreadableDocument)


def test_a_batch_file_that_was_swapped_is_not_applied(world: World, planned: Planned) -> None:
    """Whoever may write batches points one at a version that a kept state names."""
    (request,) = world.children(planned, Phase.VERSIONS)
    victim = version_of(world, "config")
    content = FakeRecordReader(world.s3, RECORDS).get(batch_file(REPOSITORY, "sunday", 0))
    forged = content.replace(version_of(world, OLD).encode(), victim.encode())
    other = world.s3.put(RECORDS, batch_file(REPOSITORY, "sunday", 0), forged).version_id
    before = world.there()
    for item in (
        request.batch.model_copy(update={"version_id": other}),
        request.batch.model_copy(update={"digest": "0" * 64}),
        request.batch.model_copy(update={"number": 1}),
        request.batch.model_copy(update={"number": 7}),
    ):
        with pytest.raises((PlanMismatch, S3Error)):
            world.apply(request.model_copy(update={"batch": item}))
    with pytest.raises(PlanMismatch):
        world.apply(request.model_copy(update={"phase": Phase.MARKERS}))
    assert_nothing_was_deleted(world, before)


def test_a_plan_of_another_execution_or_repository_is_not_applied(world: World, planned: Planned) -> None:
    (request,) = world.children(planned, Phase.VERSIONS)
    stored = world.s3.get(RECORDS, plan_file(REPOSITORY, "sunday"), planned.plan_version).body
    copy = world.s3.put(RECORDS, plan_file(REPOSITORY, "monday"), stored).version_id
    before = world.there()
    with pytest.raises(PlanMismatch, match="another repository or execution"):
        world.apply(request.model_copy(update={"execution": "monday", "plan_version": copy}))
    assert_nothing_was_deleted(world, before)


def test_an_expired_plan_deletes_nothing(world: World, planned: Planned) -> None:
    world.days(1)
    refused(world, planned, PruneStopped, "the plan is good from")


def test_a_prune_without_the_lease_deletes_nothing(world: World, planned: Planned) -> None:
    (request,) = world.children(planned, Phase.VERSIONS)
    before = world.there()
    with pytest.raises(PruneStopped, match="does not have the lease"):
        world.apply(request.model_copy(update={"token": "another"}))
    world.take_lease("monday", "token of sunday")
    with pytest.raises(PruneStopped, match="does not have the lease"):
        world.apply(request)
    world.lease.release(REPOSITORY, "monday")
    with pytest.raises(PruneStopped, match="does not have the lease"):
        world.apply(request)
    world.lease.leases.clear()
    with pytest.raises(PruneStopped, match="does not have the lease"):
        world.apply(request)
    assert_nothing_was_deleted(world, before)


def test_a_restore_that_is_under_way_stops_it(world: World, planned: Planned) -> None:
    world.holds.begin_restore(REPOSITORY)
    refused(world, planned, PruneStopped, "a restore of beta is under way")


@pytest.mark.parametrize("kind", ["hold", "release"])
def test_a_hold_or_a_release_since_the_plan_voids_it(world: World, kind: str) -> None:
    newest = world.kept()[-1]
    if kind == "release":
        _hold(world, newest.id)
    planned = world.ready()
    if kind == "hold":
        _hold(world, newest.id)
    else:
        world.holds.release(REPOSITORY, newest.id, "anna", world.s3.clock.second())
    refused(world, planned, PruneStopped, "held or released")


def _hold(world: World, state: StateId) -> None:
    header = next(each for each in world.kept() if each.id == state)
    world.holds.hold(REPOSITORY, header.generation, Hold(state, "anna", world.s3.clock.second(), "a lawsuit"))


@pytest.mark.parametrize("change", [{"grace_days": 11 * DAY}, {"retention": None}])
def test_a_change_of_grace_or_retention_voids_it(world: World, planned: Planned, change: dict[str, object]) -> None:
    if "retention" in change:
        change = {"retention": world.repository.retention.model_copy(update={"days": 7})}
    world.repository = world.repository.model_copy(update=change)
    refused(world, planned, PruneStopped, "retention, grace or the bucket's Object Lock were changed")


def test_a_newer_state_with_a_fail_voids_it(world: World, planned: Planned) -> None:
    header = world.record()
    found = Finding("config-missing", Severity.FAIL, RepositoryName("beta"), NOON, "what", "remedy")
    world.judge(header, found)
    refused(world, planned, PruneStopped, "carry a FAIL")


def test_a_newer_state_within_the_day_leaves_the_plan_valid(world: World, planned: Planned) -> None:
    world.back_up({a_pack(b"since"): b"since"})
    world.good()
    assert world.apply_phase(planned, Phase.VERSIONS)[0].deleted == 3


def test_a_newer_state_that_names_a_planned_version_voids_it(world: World, planned: Planned) -> None:
    """Somebody with more rights than a host took the marker away, and hid the key again."""
    marker = next(each.version for each in world.s3.everything(PROTECTED) if each.version.key == KEY_PREFIX + OLD)
    assert marker.is_delete_marker
    world.s3.delete_version(PROTECTED, marker.key, marker.version_id)
    world.good()
    world.hide(OLD)
    (request,) = world.children(planned, Phase.VERSIONS)
    before = world.there()
    with pytest.raises(PruneStopped, match="newer states name 1 version"):
        world.apply(request)
    assert_nothing_was_deleted(world, before)
    assert world.missing() == set()


def test_states_that_were_not_marked_dropped_are_kept_and_void_the_plan(world: World) -> None:
    planned = world.plan_prune()
    world.take_lease()
    refused(world, planned, PruneStopped, "kept now that the plan does not keep")


def test_a_bucket_whose_versioning_is_not_on_stops_it(world: World, planned: Planned) -> None:
    world.s3._buckets[PROTECTED].versioning = VersioningStatus.SUSPENDED
    refused(world, planned, PruneStopped, "versioning of protected is Suspended")


def test_a_chain_with_a_missing_header_stops_it(world: World, planned: Planned) -> None:
    del world.ledger.stored_headers[REPOSITORY, 5]
    refused(world, planned, PinsUnproven)


def test_a_missing_or_changed_chunk_of_a_kept_state_stops_it(world: World, planned: Planned) -> None:
    chunks = world.kept()[-3].chunks
    place = (chunks.attempt, 0)
    content = world.ledger.chunks.pop(place)
    (request,) = world.children(planned, Phase.VERSIONS)
    before = world.there()
    with pytest.raises(PinsUnproven, match="missing"):
        world.apply(request)
    world.ledger.chunks[place] = content[:-1] + b"?"
    with pytest.raises(PinsUnproven, match="not those"):
        world.apply(request)
    assert_nothing_was_deleted(world, before)


@pytest.mark.parametrize(
    "action",
    ["s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetObjectVersion"],
)
def test_what_it_may_not_read_stops_it(world: World, planned: Planned, action: str) -> None:
    world.s3.access.deny(APPLY, [action])
    (request,) = world.children(planned, Phase.VERSIONS)
    before = world.there()
    with pytest.raises((S3Error, VersionGone)):
        world.apply(request)
    assert_nothing_was_deleted(world, before)


def test_uploads_that_cannot_be_listed_leave_every_marker(world: World, planned: Planned) -> None:
    world.apply_phase(planned, Phase.VERSIONS)
    world.deleter.asked.clear()
    before = world.there()
    world.s3.access.deny(APPLY, ["s3:ListBucketMultipartUploads"])
    (request,) = world.children(planned, Phase.MARKERS)
    with pytest.raises(S3Error):
        world.apply(request)
    assert_nothing_was_deleted(world, before)


# --- between the calls -----------------------------------------------------------------------------


def _between(world: World, planned: Planned, does: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """`does` happens after the first of three calls."""
    monkeypatch.setattr(apply, "CALL_ENTRIES", 1)

    def hook(call: object) -> None:
        if getattr(call, "operation", "") == "DeleteObjects" and getattr(call, "moment", "") is Moment.AFTER:
            world.s3.hook = nothing
            does()

    world.s3.hook = hook
    (request,) = world.children(planned, Phase.VERSIONS)
    with pytest.raises(PruneStopped):
        world.apply(request)
    assert len(world.deleter.asked) == 1
    assert world.missing() == set()


def test_a_restore_that_begins_between_two_calls_stops_the_second(
    world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    _between(world, planned, lambda: world.holds.begin_restore(REPOSITORY), monkeypatch)


def test_a_hold_between_two_calls_stops_the_second(
    world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    _between(world, planned, lambda: _hold(world, world.kept()[-1].id), monkeypatch)


def test_a_lease_that_is_lost_between_two_calls_stops_the_second(
    world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    _between(world, planned, lambda: world.take_lease("monday"), monkeypatch)


def test_a_batch_that_was_stopped_has_no_result(
    world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    _between(world, planned, lambda: world.lease.release(REPOSITORY, "sunday"), monkeypatch)
    with pytest.raises(VersionGone):
        FakeRecordReader(world.s3, RECORDS).get(result_file(REPOSITORY, "sunday", 0))


# --- what S3 answers -------------------------------------------------------------------------------


def test_an_error_within_a_good_answer_is_read_and_what_is_locked_waits(world: World, planned: Planned) -> None:
    key = KEY_PREFIX + OTHER
    world.s3.put_legal_hold(PROTECTED, key, True, version_of(world, OTHER))
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    (stays,) = applied.result.stays
    assert (stays.by, stays.why, stays.entries) == ("waits", "AccessDenied", 1)
    assert "object lock" in stays.words
    assert (applied.deleted, applied.result.gone.objects) == (2, 2)
    assert world.pauses.seconds == [], "asking again would change nothing"


def test_what_s3_is_too_busy_for_is_asked_again_with_growing_pauses(world: World, planned: Planned) -> None:
    answers: list[S3Error | None] = [SlowDown(), InternalError(), None]
    world.deleter.errors = {OTHER: lambda: answers.pop(0)}
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert applied.deleted == 3
    assert world.pauses.seconds == [1.0, 2.0]
    assert [len(entries) for entries, _ in world.deleter.asked] == [3, 1, 1]


def test_it_is_not_asked_for_ever(world: World, planned: Planned) -> None:
    world.deleter.errors = {OTHER: SlowDown}
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    (stays,) = applied.result.stays
    assert (stays.by, stays.why, applied.result.failed) == ("again", "SlowDown", 1)
    assert len(world.deleter.asked) == apply.ATTEMPTS
    assert max(world.pauses.seconds) <= apply.LONGEST_PAUSE


def test_another_error_is_a_failure_and_asked_once(world: World, planned: Planned) -> None:
    class Odd(S3Error):
        code = "InvalidArgument"

    world.deleter.errors = {OTHER: Odd}
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert applied.result.failed == 1
    assert len(world.deleter.asked) == 1


@pytest.mark.parametrize("moment", list(Moment))
def test_a_call_that_breaks_before_or_after_its_effect_ends_the_same(
    world: World, planned: Planned, moment: Moment
) -> None:
    world.s3.hook = FailOnce(1, moment, InternalError, ["DeleteObjects"])
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert (applied.result.gone.objects, applied.result.stays) == (3, ())


def test_the_listing_decides_and_not_what_s3_said(world: World, planned: Planned) -> None:
    """An S3 that says it deleted what it did not."""
    spared = version_of(world, OTHER)

    class Liar(FakeVersionDeleter):
        def delete(self, doomed: Sequence[Doomed], *, bypass_governance: bool = False) -> DeleteOutcome:
            FakeVersionDeleter.delete(self, [each for each in doomed if each.version_id != spared])
            return DeleteOutcome(tuple(doomed), ())

    world.deleter = Liar(world.s3, PROTECTED, KEY_PREFIX, APPLY)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert applied.deleted == 2
    assert [(each.by, each.why) for each in applied.result.stays] == [("failed", "StillListed")]


def _retain(world: World, key: str, mode: LockMode) -> None:
    until = world.s3.clock.now() + 30 * DAY
    world.s3.put_retention(PROTECTED, KEY_PREFIX + key, Retention(mode, until), version_of(world, key))


def test_governance_is_waited_out_unless_the_repository_says_otherwise(world: World, planned: Planned) -> None:
    world.s3.access.allow(APPLY, ["s3:BypassGovernanceRetention"], PROTECTED)
    _retain(world, OTHER, LockMode.GOVERNANCE)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert applied.result.waiting == 1
    assert [bypass for _, bypass in world.deleter.asked] == [False]


def bypassing(*keys: str) -> tuple[World, Planned]:
    world = lived(World(bypass_governance=True), hidden=GONE)
    world.s3.access.allow(APPLY, ["s3:BypassGovernanceRetention"], PROTECTED)
    planned = world.ready()
    for key in keys:
        _retain(world, key, LockMode.GOVERNANCE)
    return world, planned


def test_where_it_does_only_what_was_refused_is_asked_for_with_the_bypass() -> None:
    world, planned = bypassing(OTHER)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert applied.deleted == 3
    assert [(len(entries), bypass) for entries, bypass in world.deleter.asked] == [(3, False), (1, True)]


def test_nothing_is_bypassed_where_nothing_is_refused() -> None:
    world, planned = bypassing()
    world.apply_phase(planned, Phase.VERSIONS)
    assert [bypass for _, bypass in world.deleter.asked] == [False]


def test_compliance_and_legal_holds_wait_even_then() -> None:
    world, planned = bypassing(OLD)
    _retain(world, OTHER, LockMode.COMPLIANCE)
    world.s3.put_legal_hold(PROTECTED, KEY_PREFIX + THIRD, True, version_of(world, THIRD))
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    assert (applied.deleted, applied.result.waiting) == (1, 2)


def test_a_server_that_refuses_a_batch_as_a_whole_is_understood(world: World, planned: Planned) -> None:
    world.s3._denied_batches_fail_whole = True
    world.s3.access.deny(APPLY, ["s3:DeleteObjectVersion"], PROTECTED)
    (applied,) = world.apply_phase(planned, Phase.VERSIONS)
    # Nothing waits: somebody has to let the role delete.
    assert (applied.deleted, applied.result.waiting, applied.result.failed) == (0, 0, 3)


# --- killed, and run again -------------------------------------------------------------------------


def _both(world: World, planned: Planned) -> list[object]:
    found: list[object] = []
    for phase in Phase:
        found += [each.result.model_copy(update={"done_at": NOON}) for each in world.apply_phase(planned, phase)]
    return found


def undisturbed() -> tuple[list[object], int]:
    """What the results say, and the number of moments, of a run that nothing kills."""
    world = lived(hidden=GONE, after=14)
    planned = world.ready()
    log = CallLog()
    world.watch(log)
    results = _both(world, planned)
    world.watch(nothing)
    return results, len(log.calls)


def test_killed_at_any_call_it_harms_no_kept_state_and_run_again_it_ends_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apply, "CALL_ENTRIES", 2)
    results, moments = undisturbed()
    assert moments > 40
    for step in range(1, moments + 1):
        world = lived(hidden=GONE, after=14)
        planned = world.ready()
        hidden = set(GONE)
        world.watch(KillAt(step))
        with pytest.raises(Crash):
            _both(world, planned)
        world.watch(nothing)
        assert world.missing() == set(), step
        assert world.current().isdisjoint(hidden), step
        again = _both(world, planned)
        assert [each.gone for each in again] == [each.gone for each in results], step  # type: ignore[attr-defined]
        assert not [each for each in again if each.stays], step  # type: ignore[attr-defined]
        assert not {key for key, _ in world.there()} & hidden, step


def test_run_twice_it_deletes_nothing_more_and_says_the_same(world: World, planned: Planned) -> None:
    first = _both(world, planned)
    asked = len(world.deleter.asked)
    there = world.there()
    assert _both(world, planned) == first
    assert (len(world.deleter.asked), world.there()) == (asked, there)


def test_several_calls_at_once_end_the_same(world: World, planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "CALL_ENTRIES", 1)
    (request,) = world.children(planned, Phase.VERSIONS)
    assert world.apply(request, threads=8).deleted == 3


def test_what_was_proven_of_chunks_is_not_read_again_whole(world: World, planned: Planned) -> None:
    world.apply_phase(planned, Phase.VERSIONS)
    log = CallLog()
    world.watch(log)
    world.apply_phase(planned, Phase.VERSIONS)
    world.watch(nothing)
    strands = [find_states(world.ledger, states).strand for states in by_base(world.kept())]
    parts = sum(1 + len(strand.deltas) for strand in strands)
    assert log.count()["GetChunk"] <= parts, "one chunk of each base and delta at most, to look the keys up in"


def test_keys_of_restic_and_others_go_alike(world: World) -> None:
    world.put("notes.txt")
    world.hide("notes.txt")
    world.daily(25, name="more")
    planned = world.ready()
    world.apply_phase(planned, Phase.VERSIONS)
    assert "notes.txt" not in {key for key, version_id in world.there() if not _is_marker(world, version_id)}
    assert world.missing() == set()
