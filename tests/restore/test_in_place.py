"""Putting a repository back where it is: the fewest writes, nothing deleted, nothing written over that nobody saw."""

import functools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.restore.forecast import Forecast
from functions.domain.restore.in_place import PresentNotRecorded
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import RestoreRefused
from functions.domain.roots import content_root
from functions.domain.values import ObjectKey
from functions.restore.plan_in_place import WrittenPlan
from functions.restore.settling import StillFrozen
from tests.fakes.faults import Call, CallLog, Crash, Moment
from tests.fakes.s3_errors import SlowDown
from tests.fakes.s3_model import Attributes
from tests.restore.in_place_world import InPlaceWorld, Writes
from tests.restore.world import PROTECTED, RECORDS, DieAt, a_backup, a_pack, sha256

PACKS = [a_pack(f"pack {number}".encode()) for number in range(3)]
KEY_FILE = f"keys/{sha256(b'a key')}"
LOCK = f"locks/{'0' * 64}"
ALIEN = "notes/of the attacker"


def a_world() -> tuple[InPlaceWorld, str]:
    """A state with an alien object; then one pack is hidden, one overwritten with its own size, `config` too, another
    object is added, and a lock file comes and stays."""
    world = InPlaceWorld()
    world.back_up({**a_backup(), "notes/mine": b"mine"})
    state = world.record()
    world.hide(PACKS[0])
    world.write({PACKS[1]: b"?" * len(b"pack 1"), "config": b"another", ALIEN: b"hello", LOCK: b"a lock"})
    world.hide("notes/mine")
    return world, state.id


WHOLE = {**a_backup(), "notes/mine": b"mine"}


@pytest.fixture
def world() -> InPlaceWorld:
    return a_world()[0]


@pytest.fixture
def state(world: InPlaceWorld) -> str:
    head = world.ledger.head(world.repository.repository)
    assert head is not None
    return head.state


def test_a_repository_that_was_attacked_is_again_what_the_state_says(world: InPlaceWorld, state: str) -> None:
    before = world.versions()
    report = world.restore_in_place(state)
    assert world.current() == WHOLE
    assert before < world.versions()
    assert (report.outcome, report.proven, report.objects) == ("restored", len(WHOLE), len(WHOLE))
    assert (report.copied, report.hidden, report.skipped) == (4, 1, len(WHOLE) - 4)
    assert report.content_root == report.found_content_root
    assert report.target == report.source == world.source


def test_it_takes_one_write_for_each_key_that_differs_and_no_other(world: InPlaceWorld, state: str) -> None:
    writes = Writes()
    world.watch(writes)
    world.restore_in_place(state)
    copied = [(PACKS[0], "CopyObject"), (PACKS[1], "CopyObject"), ("config", "CopyObject")]
    assert sorted(writes.made) == sorted(
        [*((operation, key) for key, operation in copied), ("CopyObject", "notes/mine"), ("DeleteObject", ALIEN)]
    )


def test_lock_files_stay_as_they_are(world: InPlaceWorld, state: str) -> None:
    world.restore_in_place(state)
    assert world.s3.get(PROTECTED, world.source.key_prefix + LOCK).body == b"a lock"


def test_the_state_recorded_just_before_undoes_it(world: InPlaceWorld, state: str) -> None:
    attacked = world.current()
    report = world.restore_in_place(state)
    assert report.before is not None
    undone = world.restore_in_place(report.before, "wednesday")
    # But for the pack that was overwritten: what is what its name promises is never made worse.
    assert world.current() == {**attacked, PACKS[1]: b"pack 1"}
    assert (undone.state, undone.outcome) == (report.before, "restored")


def test_run_again_it_writes_nothing(world: InPlaceWorld, state: str) -> None:
    world.restore_in_place(state)
    versions = world.versions()
    again = world.restore_in_place(state, "wednesday")
    assert world.versions() == versions
    assert (again.outcome, again.copied, again.hidden, again.proven) == ("restored", 0, 0, len(WHOLE))


def test_where_nothing_differs_there_is_no_batch() -> None:
    world = InPlaceWorld()
    world.back_up(a_backup())
    state = world.record()
    world.record()
    written = world.plan_in_place(world.asked(state.id, since=state.cut_time))
    assert isinstance(written, WrittenPlan)
    assert (written.batches, written.put, written.hide) == (0, 0, 0)
    assert world.put_back_requests(written) == []


# --- refused --------------------------------------------------------------------------------------------------


def test_it_is_refused_while_hosts_may_write(world: InPlaceWorld, state: str) -> None:
    world.quarantined(really=False)
    world.record()
    versions, records = world.versions(), world.writes_in(RECORDS)
    with pytest.raises(RestoreRefused, match=r"user/rwm-beta-host may write to beta.*rwm quarantine beta.*--insist"):
        world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert (world.versions(), world.writes_in(RECORDS)) == (versions, records)


def at_the_beginning(world: InPlaceWorld) -> Any:
    header = world.ledger.header(world.repository.repository, 1)
    assert header is not None
    return header.cut_time


def test_who_insists_restores_while_hosts_may_write_and_the_plan_says_so(world: InPlaceWorld, state: str) -> None:
    world.quarantined(really=False)
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world), insist=True))
    assert isinstance(written, WrittenPlan)
    assert world.in_place_plan(written).quarantined is False


def test_nothing_is_planned_before_the_present_is_recorded(world: InPlaceWorld, state: str) -> None:
    """The newest state is from before the attack: what it does not show would be lost to the way back."""
    with pytest.raises(PresentNotRecorded):
        world.plan_in_place(world.asked(state))


def test_nothing_is_judged_before_the_result_is_recorded(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    world.put_back_all(written)
    with pytest.raises(PresentNotRecorded):
        world.verify_in_place(written, world.s3.clock.second())


def a_world_with_an_archive() -> tuple[InPlaceWorld, str]:
    """Of what was hidden, one object lies in an archive class."""
    world = InPlaceWorld()
    world.back_up(a_backup())
    world.s3.put(PROTECTED, world.source.key_prefix + "old", b"cold", Attributes(storage_class="GLACIER"))
    return world, world.record().id


def test_what_lies_in_an_archive_class_is_refused_where_it_would_have_to_be_put_back() -> None:
    world, state = a_world_with_an_archive()
    # As long as it is current, it is none of our business.
    assert world.restore_in_place(state).outcome == "restored"
    world.hide("old")
    with pytest.raises(RestoreRefused, match=r"archive class.*old \(GLACIER\); nothing was written; pass --thaw"):
        world.restore_in_place(state, "wednesday")


def test_with_thaw_it_is_waited_for_and_comes_back_where_restic_can_read_it() -> None:
    world, state = a_world_with_an_archive()
    world.hide("old", PACKS[0])
    world.s3.thaw_takes = timedelta(hours=5)
    since = world.s3.clock.second()
    world.record()
    written = world.plan_in_place(world.asked(state, since=since, thaw="Standard"))
    assert isinstance(written, WrittenPlan)
    assert (written.archived, written.thaw) == (1, "Standard")
    for _ in range(2):
        with pytest.raises(StillFrozen):
            world.put_back_all(written)
    # What needed no thaw is back already, and not written twice.
    assert world.current()[PACKS[0]] == b"pack 0"
    versions = len(world.versions())
    world.s3.clock.advance(timedelta(hours=6))
    (result,) = world.put_back_all(written)
    assert result.troubles == ()
    assert len(world.versions()) == versions + 1
    assert world.current() == {**a_backup(), "old": b"cold"}
    current = world.s3.head(PROTECTED, world.source.key_prefix + "old")
    assert current.storage_class == "STANDARD"


def test_what_was_archived_after_it_was_recorded_is_told_without_thaw() -> None:
    world, state = a_world()
    world.s3.transition(PROTECTED, world.source.key_prefix + KEY_FILE, "GLACIER")
    world.hide(KEY_FILE)
    report = world.restore_in_place(state, with_revoked_keys=True)
    assert [(each.key, "with --thaw" in each.why) for each in report.troubles] == [(KEY_FILE, True)]


def test_what_does_not_come_back_is_told() -> None:
    world, state = a_world_with_an_archive()
    world.hide("old")
    world.s3.access.deny("put-back", ["s3:RestoreObject"], PROTECTED)
    report = world.restore_in_place(state, thaw="Standard")
    assert [(each.key, "s3:RestoreObject" in each.why) for each in report.troubles] == [("old", True)]


# --- revoked passwords ----------------------------------------------------------------------------------------


def a_world_with_two_passwords() -> tuple[InPlaceWorld, str]:
    world = InPlaceWorld()
    world.back_up({**a_backup(), f"keys/{sha256(b'revoked')}": b"revoked"})
    state = world.record()
    world.hide(f"keys/{sha256(b'revoked')}", PACKS[0])
    return world, state.id


def test_a_key_file_that_was_removed_since_stays_hidden_and_is_named() -> None:
    world, state = a_world_with_two_passwords()
    report = world.restore_in_place(state)
    assert world.current() == a_backup()
    assert report.revoked == (f"keys/{sha256(b'revoked')}",)
    assert (report.outcome, report.objects, report.reinstated) == ("restored", len(a_backup()), None)
    assert report.content_root == content_root((ObjectKey(key), len(a_backup()[key])) for key in sorted(a_backup()))


def test_it_comes_back_for_who_asks_for_it() -> None:
    world, state = a_world_with_two_passwords()
    report = world.restore_in_place(state, with_revoked_keys=True)
    assert world.current() == {**a_backup(), f"keys/{sha256(b'revoked')}": b"revoked"}
    assert (report.reinstated, report.revoked) == ((f"keys/{sha256(b'revoked')}",), None)


def test_a_repository_that_nobody_could_open_is_refused() -> None:
    world = InPlaceWorld()
    world.back_up(a_backup())
    state = world.record()
    world.hide(KEY_FILE)
    with pytest.raises(RestoreRefused, match="--with-revoked-keys"):
        world.restore_in_place(state.id)
    assert world.restore_in_place(state.id, "wednesday", with_revoked_keys=True).outcome == "restored"


# --- while hosts write all the same ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", [PACKS[0], PACKS[1], "config", ALIEN, "notes/mine"])
def test_what_was_written_meanwhile_is_left_alone_and_told(world: InPlaceWorld, state: str, key: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    world.write({key: b"written meanwhile"})
    (result,) = world.put_back_all(written)
    assert [(each.key, "changed meanwhile" in each.why) for each in result.troubles] == [(key, True)]
    since = world.s3.clock.second()
    world.record()
    report = world.verify_in_place(written, since)
    assert world.current()[key] == b"written meanwhile"
    assert report.outcome == "incomplete"
    assert [(each.key, each.kind == ("unexpected" if key == ALIEN else "failed")) for each in report.troubles] == [
        (key, True)
    ]


def test_what_is_written_over_after_it_was_put_back_is_told_though_name_and_size_are_right(
    world: InPlaceWorld, state: str
) -> None:
    """The content root is the state's: it knows names and sizes alone."""
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    world.put_back_all(written)
    world.write({PACKS[0]: b"?" * len(b"pack 0"), PACKS[2]: b"?" * len(b"pack 2")})
    since = world.s3.clock.second()
    world.record()
    report = world.verify_in_place(written, since)
    assert report.content_root == report.found_content_root
    assert (report.outcome, report.failed) == ("incomplete", 2)
    assert {each.key: each.why for each in report.troubles} == {
        PACKS[0]: "it was written over after it was put back",
        PACKS[2]: "another version is current than the state names",
    }


def test_what_the_plan_saw_current_and_is_hidden_now_is_left_alone(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    world.hide(PACKS[1])
    (result,) = world.put_back_all(written)
    assert [each.key for each in result.troubles] == [PACKS[1]]


def test_a_change_that_somebody_made_for_us_is_done(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    world.hide(ALIEN)
    (result,) = world.put_back_all(written)
    assert [(each.key, each.version_id, each.written) for each in result.done if each.key == ALIEN] == [
        (ALIEN, None, False)
    ]


# --- a version that is gone, a damaged one, an S3 without checksums --------------------------------------------


def test_a_version_that_is_gone_is_named_as_missing(world: InPlaceWorld, state: str) -> None:
    key = world.source.key_prefix + PACKS[0]
    (gone,) = [
        each.version
        for each in world.s3.everything(PROTECTED)
        if each.version.key == key and not each.version.is_delete_marker
    ]
    world.s3.delete_version(PROTECTED, key, gone.version_id)
    report = world.restore_in_place(state)
    assert (report.outcome, report.missing, report.proven) == ("incomplete", 1, len(WHOLE) - 1)
    assert [(each.key, str(each.kind)) for each in report.troubles] == [(PACKS[0], "missing")]


def test_a_pack_that_was_damaged_already_comes_back_exactly_and_is_named() -> None:
    world = InPlaceWorld()
    world.back_up({**a_backup(), PACKS[0]: b"damaged"})
    state = world.record()
    world.hide(PACKS[0])
    report = world.restore_in_place(state.id)
    assert (report.outcome, report.damaged) == ("restored-damaged", 1)
    assert world.current()[PACKS[0]] == b"damaged"


def test_where_s3_computes_no_checksum_the_very_version_that_was_written_is_read_back(
    world: InPlaceWorld, state: str
) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    log = CallLog()
    world.watch(log)
    (result,) = [world.put_back(request, hashes=False) for request in world.put_back_requests(written)]
    assert result.troubles == ()
    assert log.count()["GetObject"] >= 4


def test_a_step_that_may_not_write_tells_what_is_denied(world: InPlaceWorld, state: str) -> None:
    world.s3.access.deny("put-back", ["s3:PutObject"], PROTECTED)
    report = world.restore_in_place(state)
    assert (report.outcome, report.failed, report.hidden) == ("incomplete", 4, 1)
    assert all("s3:PutObject" in each.why for each in report.troubles)


@dataclass
class Busy:
    """A hook: S3 is busy for the first `calls` writes to the repository, on one side of their effect."""

    calls: int
    moment: Moment

    def __call__(self, call: Call) -> None:
        if call.operation in ("CopyObject", "DeleteObject") and call.moment is self.moment and self.calls:
            self.calls -= 1
            raise SlowDown


@pytest.mark.parametrize("moment", list(Moment))
def test_what_s3_is_too_busy_for_is_tried_again_after_all_others(
    world: InPlaceWorld, state: str, moment: Moment
) -> None:
    """Also where S3 did it, and only its answer was lost: then it is found to be right."""
    before = len(world.versions())
    world.watch(Busy(7, moment))
    assert world.restore_in_place(state).outcome == "restored"
    assert world.current() == WHOLE
    assert len(world.versions()) == before + 5
    assert world.pauses in ([4.0, 8.0], [4.0])


def test_what_fails_again_and_again_is_told(world: InPlaceWorld, state: str) -> None:
    world.watch(Busy(1000, Moment.BEFORE))
    report = world.restore_in_place(state)
    assert (report.outcome, report.failed, report.unexpected) == ("incomplete", 4, 1)
    assert world.pauses == [4.0, 8.0, 16.0]


def test_put_back_never_deletes_a_version(world: InPlaceWorld, state: str) -> None:
    log = CallLog()
    world.watch(log)
    world.restore_in_place(state)
    assert not world.s3.access.permits("put-back", "s3:DeleteObjectVersion", PROTECTED, "any")
    assert {call.operation for call in log.calls if call.principal == "put-back"} == {
        *("HeadObject", "CopyObject", "DeleteObject", "GetObject", "PutObject")
    }


def test_a_batch_without_a_result_is_told_key_by_key(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    since = world.s3.clock.second()
    world.record()
    report = world.verify_in_place(written, since)
    assert (report.outcome, report.failed, report.unexpected) == ("incomplete", 4, 1)
    assert all("has no result" in each.why for each in report.troubles)


# --- a dry run -------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(world: InPlaceWorld, state: str) -> None:
    world.record()
    versions, records = world.versions(), world.writes_in(RECORDS)
    forecast = world.plan_in_place(world.asked(state, since=at_the_beginning(world), dry_run=True))
    assert isinstance(forecast, Forecast)
    assert (world.versions(), world.writes_in(RECORDS)) == (versions, records)
    assert (forecast.objects, forecast.there) == (len(WHOLE), len(WHOLE) - 4)
    assert (forecast.requests["CopyObject"], forecast.requests["DeleteObject"]) == (4, 1)
    assert [(each.storage_class, each.objects) for each in forecast.classes] == [("STANDARD", 4)]


# --- killed anywhere -------------------------------------------------------------------------------------------


def outcome(report: RestoreReport) -> dict[str, Any]:
    """What must not depend on where a run was killed: all but who wrote what in which attempt."""
    who = {"copied", "copied_bytes", "skipped", "hidden", "plan", "before", "execution", "verified_at"}
    return report.model_dump(exclude=who)


@functools.cache
def undisturbed() -> tuple[dict[str, Any], list[tuple[int, Moment]]]:
    """The report of a run that nothing killed, and where it could have been. A call that S3 refuses has no second
    side."""
    world, state = a_world()
    log = CallLog()
    world.watch(log)
    report = outcome(world.restore_in_place(state))
    sides = {moment: sum(call.moment is moment for call in log.calls) for moment in Moment}
    return report, [(at, moment) for moment, calls in sides.items() for at in range(1, calls + 1)]


@pytest.mark.parametrize(("at", "moment"), undisturbed()[1])
def test_killed_at_any_call_and_run_again_it_ends_the_same_and_writes_no_key_twice(at: int, moment: Moment) -> None:
    report, _ = undisturbed()
    world, state = a_world()
    before = len(world.versions())
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.restore_in_place(state)
    world.watch(Writes())
    again = world.restore_in_place(state, "wednesday")
    assert outcome(again) == report
    assert world.current() == WHOLE
    assert len(world.versions()) == before + 5, "no key was ever written twice"


def test_a_batch_that_is_delivered_twice_writes_once(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    (first,) = world.put_back_all(written)
    versions = world.versions()
    (second,) = world.put_back_all(written)
    assert world.versions() == versions
    assert [(each.key, each.version_id) for each in first.done] == [(each.key, each.version_id) for each in second.done]


def test_a_batch_that_somebody_changed_is_not_believed(world: InPlaceWorld, state: str) -> None:
    world.record()
    written = world.plan_in_place(world.asked(state, since=at_the_beginning(world)))
    assert isinstance(written, WrittenPlan)
    (request,) = world.put_back_requests(written)
    forged = world.s3.put(RECORDS, request.batch.batch, b"")
    batch = request.batch.model_copy(update={"version_id": forged.version_id})
    with pytest.raises(Exception, match="nothing of it was put back"):
        world.put_back(request.model_copy(update={"batch": batch}))


# --- the property: exactly the state, nothing lost, one write for each key that differs ------------------------

names = st.sampled_from([*PACKS, "config", KEY_FILE, "notes/ +%é", "a//b", LOCK])
contents = st.sampled_from([b"", b"one", b"two", b"pack 0", b"pack 1", b"the config", b"a key"])
deeds = st.lists(st.tuples(names, st.one_of(st.none(), contents)), max_size=12)


@settings(max_examples=120, deadline=None)
@given(first=st.dictionaries(names, contents, max_size=8), attack=deeds)
def test_whatever_was_done_it_is_undone_with_one_write_for_each_key_that_differs(
    first: dict[str, bytes], attack: list[tuple[str, bytes | None]]
) -> None:
    world = InPlaceWorld()
    world.back_up(first)
    state = world.record()
    entries = {each.key: each.version_id for each in world.entries_of(state)}
    for key, content in attack:
        if content is None:
            world.hide(key)
        else:
            world.write({key: content})
    locks = world.locks()
    now = {key: version_id for key, version_id in world.current_ids().items() if not key.startswith("locks/")}
    versions = world.versions()
    writes = Writes()
    world.watch(writes)
    report = world.restore_in_place(state.id, with_revoked_keys=True)
    wanted = {key: content for key, content in first.items() if not key.startswith("locks/")}
    assert world.current() == wanted
    assert world.locks() == locks
    assert versions <= world.versions()
    different = {key for key in {*entries, *now} if entries.get(ObjectKey(key)) != now.get(key)}
    assert sorted(key for _, key in writes.made) == sorted(different)
    assert report.outcome != "incomplete"
    damaged = {key for key in different & set(wanted) if key in PACKS and a_pack(wanted[key]) != key}
    damaged |= {KEY_FILE} if KEY_FILE in different and wanted.get(KEY_FILE, b"a key") != b"a key" else set()
    assert {each.key for each in report.troubles} == damaged
