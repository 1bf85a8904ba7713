"""Each state is judged before it is committed; people hear of what is new; nothing of it keeps a state from being."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.consistent.baseline import Comparands
from functions.domain.documents import UnreadableDocument
from functions.domain.findings import Acknowledgement, FindingId
from functions.domain.keeping import DroppedState
from functions.domain.ports import HeadMoved, NotTold
from functions.domain.recording import Recorded, Refused
from functions.domain.state import StateHeader
from functions.domain.values import Evidence, Finding, ObjectKey, RepositoryName, Severity, VersionId
from functions.domain.verdict import BY_RECORD, CheckLevel, Verdict, conclude
from functions.record.judging import look_back
from tests.builders import named, pack
from tests.fakes.faults import Call, CallLog, Crash, FailOnce, KillAt, Moment
from tests.fakes.ledger import FakeLedger
from tests.fakes.operations import FakeAcknowledgements, FakeVerdicts
from tests.fakes.s3_model import VersioningStatus
from tests.record.lived import CONFIG, DAY, KEY, Upload, back_up, current, lived, write
from tests.record.world import ALPHA, BUCKET, World

NOTE = "ransom.txt"


@pytest.fixture
def world() -> World:
    """Five good days."""
    return lived(5)


def next_state(world: World) -> StateHeader:
    world.clock.advance(120)
    outcome = world.event()
    assert isinstance(outcome, Recorded)
    return outcome.header


def newest_snapshot(world: World) -> datetime:
    """When S3 says that it was written."""
    listed = world.ports().lister.versions()
    return max(each.last_modified for each in listed if each.key.startswith("snapshots/"))


def test_a_state_is_judged_before_it_is_committed(world: World) -> None:
    write(world, NOTE)
    log = CallLog()
    world.watch(log)
    header = next_state(world)
    done = [call.operation for call in log.calls if call.moment is Moment.AFTER]
    assert done.index("Publish") < done.index("PutEvidence") < done.index("PutVerdict") < done.index("Commit")
    verdict = world.verdict()
    assert (verdict.state, verdict.by, verdict.judged_at) == (header.id, BY_RECORD, header.recorded_at)
    newest = newest_snapshot(world)
    assert (verdict.outcome, verdict.figures) == (
        "hold",
        {"objects": header.objects, "bytes": header.bytes, "newest_snapshot": int(newest.timestamp())},
    )
    (alien,) = world.verdicts.findings(verdict)
    assert [each.key for each in alien.evidence] == [NOTE]


def test_people_hear_of_a_finding_once_and_again_of_another_key(world: World) -> None:
    write(world, NOTE)
    for _ in range(3):
        next_state(world)
    assert world.notifier.subjects == ["RWM: HOLD alpha: alien-key"]
    write(world, "another.txt")
    next_state(world)
    assert len(world.notifier.notices) == 2
    assert world.headers()[0].id[:12] in world.notifier.notices[-1].body


def test_of_a_note_nobody_is_told(world: World) -> None:
    write(world, named("locks", "a killed restic's"))
    world.clock.advance(timedelta(hours=1))
    next_state(world)
    assert [each.id for each in world.verdict().findings] == ["stale-lock"]
    assert world.notifier.notices == []


def test_a_notice_names_no_key(world: World) -> None:
    write(world, NOTE)
    write(world, f"photographs/{current(world, 'data/')[0]}")
    next_state(world)
    (notice,) = world.notifier.notices
    assert {each.id for each in world.verdict().findings} == {"alien-key", "several-repositories-under-one-prefix"}
    for secret in (NOTE, "photographs", "data/"):
        assert secret not in notice.subject + notice.body


def test_a_state_is_recorded_though_nobody_can_be_told_and_the_next_event_tells(world: World) -> None:
    write(world, NOTE)
    world.notifier.hook = FailOnce(1, Moment.BEFORE, raising=NotTold)
    next_state(world)
    assert [finding.told for finding in world.verdict().findings] == [False]
    assert world.notifier.notices == []
    next_state(world)
    assert [finding.told for finding in world.verdict().findings] == [True]
    assert world.notifier.subjects == ["RWM: HOLD alpha: alien-key"]
    next_state(world)
    assert len(world.notifier.notices) == 1


def test_as_long_as_nobody_can_be_told_every_event_tries_and_what_was_told_before_is_not_tried_again(
    world: World,
) -> None:
    write(world, NOTE)
    next_state(world)

    def refuse(call: Call) -> None:
        raise NotTold(call.operation)

    world.notifier.hook = refuse
    write(world, named("keys", "mine"))
    for _ in range(3):
        next_state(world)
        told = {finding.id: finding.told for finding in world.verdict().findings}
        assert told == {"alien-key": True, "key-file-added": False}
    world.watch()
    next_state(world)
    assert world.notifier.subjects[1:] == ["RWM: HOLD alpha: key-file-added"]


def test_killed_after_telling_it_tells_again_and_killed_after_the_verdict_it_does_not(world: World) -> None:
    for moment, operation, expected in (
        (Moment.AFTER, "Publish", 2),
        (Moment.AFTER, "PutVerdict", 1),
        (Moment.BEFORE, "Commit", 1),
    ):
        world.notifier.notices.clear()
        write(world, f"for {operation} {moment}")
        world.watch(FailOnce(1, moment, operations=[operation]))
        with pytest.raises(Crash):
            next_state(world)
        world.watch()
        next_state(world)
        assert len(world.notifier.notices) == expected, operation


def test_when_the_head_has_moved_the_verdict_is_of_the_header_that_is_committed_and_told_once(world: World) -> None:
    write(world, NOTE)
    before = len(world.verdicts.stored)
    world.ledger.hook = FailOnce(1, Moment.BEFORE, raising=HeadMoved, operations=["Commit"])

    def moved(call: Call) -> None:
        if call.operation == "GetHead" and call.moment is Moment.BEFORE and world.notifier.notices:
            # What describes the second header: S3's clock has moved on.
            world.clock.advance(5)
        fail(call)

    fail, world.ledger.hook = world.ledger.hook, moved
    header = next_state(world)
    stored = list(world.verdicts.verdicts(ALPHA))[: len(world.verdicts.stored) - before]
    assert len({each.state for each in stored}) == 2
    assert world.verdict().state == header.id
    assert len(world.notifier.notices) == 1


def test_a_verdict_on_a_state_that_was_never_committed_speaks_of_no_other(world: World) -> None:
    write(world, NOTE)
    killer = KillAt(10_000)

    def die_at_commit(call: Call) -> None:
        if call.operation == "Commit":
            killer.dead = True
        killer(call)

    world.watch(die_at_commit)
    with pytest.raises(Crash):
        next_state(world)
    world.watch()
    world.hide(NOTE)
    world.clock.advance(timedelta(minutes=20))
    next_state(world)
    assert [each.outcome for each in world.verdicts.verdicts(ALPHA) if each.state == world.headers()[0].id] == ["hold"]
    assert world.said() == {"host-hid-objects"}


def test_no_chunk_of_the_ledger_is_read_while_the_listing_shows_what_was_recorded(world: World) -> None:
    log = CallLog()
    world.watch(log)
    back_up(world, "another")
    next_state(world)
    assert log.count()["GetChunk"] == 0


def test_where_the_listing_does_not_show_what_was_recorded_the_ledgers_entries_count(world: World) -> None:
    """The owner's key file is destroyed after all, and so the listing no longer shows that it was ever there."""
    (owners,) = [each for each in world.s3.everything(BUCKET) if each.version.key == KEY]
    world.s3.delete_version(BUCKET, KEY, owners.version.version_id)
    next_state(world)
    assert "key-file-removed" in world.said()


def test_damaged_entries_of_an_old_state_keep_no_new_one_from_being_recorded(world: World) -> None:
    (owners,) = [each for each in world.s3.everything(BUCKET) if each.version.key == KEY]
    world.s3.delete_version(BUCKET, KEY, owners.version.version_id)
    world.ledger.chunks.clear()
    assert next_state(world).generation == 6


def test_what_the_repository_allows_reaches_the_rules() -> None:
    """Each of the settings that excuse something; without it the same is found."""
    settings: list[dict[str, object]] = [
        {"allow_multipart": True},
        {"minimum_snapshot_age": "1m"},
        {"migrations": [{"since": "2026-01-06T00:00:00Z", "until": "2026-02-01T00:00:00Z"}]},
        {"host_may_hide": True},
        {"storage_classes": ["STANDARD"]},
    ]
    found = []
    for each in settings:
        world = lived(5, **each)
        upload = Upload(world, pack("in parts"))
        world.clock.advance(60)
        upload.complete()
        write(world, CONFIG, "version 2")
        back_up(world, "young")
        world.clock.advance(timedelta(minutes=30))
        world.hide(named("snapshots", "young"))
        next_state(world)
        found.append(world.said())
    everything = {"multipart-etag", "snapshot-removed-too-young", "config-changed", "host-hid-objects"}
    excused = ["multipart-etag", "snapshot-removed-too-young", "config-changed", "host-hid-objects", ""]
    assert found == [everything - {name} for name in excused]


def test_a_threshold_of_the_repository_reaches_the_rules() -> None:
    found = []
    for threshold in (0.2, 0.9):
        world = lived(maintenance="create", minimum_snapshot_age="1m", thresholds={"snapshots_lost": threshold})
        for key in current(world, "snapshots/")[:12]:
            world.hide(key)
        next_state(world)
        found.append(world.said())
    assert found == [{"snapshots-dropped"}, set()]


def test_a_null_version_beneath_is_found_where_versioning_could_be_suspended(world: World) -> None:
    world.s3.create_bucket("grown")
    world.s3.put("grown", "config", b"older than versioning")
    world.s3.put_versioning("grown", VersioningStatus.ENABLED)
    world.s3.put("grown", "config", b"older than versioning")
    world.clock.advance(120)
    assert isinstance(world.event(bucket="grown"), Recorded)
    assert "null-version" in world.said()
    world.s3.put_lock_configuration("grown", None)
    world.clock.advance(120)
    world.event(bucket="grown")
    assert "null-version" not in world.said()


# --- what a check found ----------------------------------------------------------------------------------


def of_a_check(finding: FindingId, *version_ids: str) -> Finding:
    evidence = Evidence(ObjectKey("data/x"), tuple(map(VersionId, version_ids)), lived_at())
    return Finding(finding, Severity.FAIL, ALPHA, lived_at(), "what", "what to do", (evidence,))


def lived_at() -> datetime:
    return datetime(2026, 1, 5, tzinfo=UTC)


def check(world: World, *findings: Finding) -> None:
    """A check judges the newest state, a second later, and people are told."""
    world.clock.advance(1)
    header = world.headers()[0]
    at = world.clock.second()
    known = world.acknowledgements.acknowledgements(ALPHA)
    world.verdicts.append(conclude(header, CheckLevel.CONSISTENT, findings, known, judged_at=at, by="an execution"))


def test_what_only_a_check_sees_stands_until_another_check_and_is_not_told_again(world: World) -> None:
    check(world, of_a_check(FindingId.PINNED_VERSION_GONE, "v"), of_a_check(FindingId.ALIEN_KEY, "v"))
    for _ in range(3):
        next_state(world)
        assert world.said() == {"pinned-version-gone"}, "aliens it sees itself, and there is none"
    (carried,) = world.verdicts.findings(world.verdict())
    assert carried == of_a_check(FindingId.PINNED_VERSION_GONE, "v")
    assert world.notifier.notices == []
    check(world)
    next_state(world)
    assert world.said() == set()


def test_what_only_a_check_sees_can_be_acknowledged(world: World) -> None:
    check(world, of_a_check(FindingId.PINNED_VERSION_GONE, "v"))
    world.acknowledge()
    next_state(world)
    assert world.said() == set()


def test_a_verdict_at_another_level_is_no_previous_one(world: World) -> None:
    write(world, NOTE)
    next_state(world)
    header, at = world.headers()[0], world.clock.second() + timedelta(seconds=1)
    world.verdicts.append(conclude(header, CheckLevel.COMPLETE, (), (), judged_at=at, by="an execution"))
    next_state(world)
    assert len(world.notifier.notices) == 1


# --- what cannot be read -----------------------------------------------------------------------------------


class UnreadableVerdicts(FakeVerdicts):
    def verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        raise UnreadableDocument("of a newer version")


class UnreadableAcknowledgements(FakeAcknowledgements):
    def acknowledgements(self, repository: RepositoryName) -> tuple[Acknowledgement, ...]:
        raise UnreadableDocument("of a newer version")


def test_verdicts_and_acknowledgements_that_cannot_be_read_count_as_none_and_a_state_is_recorded(world: World) -> None:
    write(world, NOTE)
    next_state(world)
    world.acknowledge()
    readable, world.verdicts = world.verdicts, UnreadableVerdicts()
    acknowledgements, world.acknowledgements = world.acknowledgements, UnreadableAcknowledgements()
    next_state(world)
    assert len(world.notifier.notices) == 2, "it is news to whoever knows nothing"
    world.verdicts, world.acknowledgements = readable, acknowledgements
    next_state(world)
    assert world.said() == set()


def test_an_old_header_that_cannot_be_read_keeps_no_new_state_from_being_recorded(world: World) -> None:
    state, stored = world.ledger.stored_headers[ALPHA, 2]
    world.ledger.stored_headers[ALPHA, 2] = (state, stored.replace(b'"hidden":0', b'"hidden":1'))
    assert next_state(world).generation == 6
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert [header.generation for header in past.headers] == [6, 5, 4, 3]


# --- how far it looks back ---------------------------------------------------------------------------------


class CountingLedger(FakeLedger):
    """Counts the headers that were taken."""

    taken = 0

    def headers(
        self, repository: RepositoryName, *, oldest_first: bool = False, start: int | None = None
    ) -> Iterator[StateHeader]:
        for header in super().headers(repository, oldest_first=oldest_first, start=start):
            self.taken += 1
            yield header


def test_it_reads_the_headers_that_a_baseline_looks_at_and_the_oldest_with_key_files() -> None:
    world = World.with_settings(thresholds={"baseline_days": 3})
    world.ledger = CountingLedger()
    world.event()
    world.clock.advance(120)
    world.event()
    write(world, CONFIG)
    write(world, KEY)
    for day in range(40):
        back_up(world, f"day {day}")
        world.event()
        world.clock.advance(DAY)
    world.ledger.taken = 0
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    generations = [header.generation for header in past.headers]
    # 3 days and a week, one before them, and the first with key files, which is the third of all.
    assert generations == [*range(42, 32, -1), 3]
    assert world.clock.now() - past.headers[8].cut_time < 10 * DAY < world.clock.now() - past.headers[9].cut_time
    assert world.ledger.taken == 10 + 3
    assert past.cuts(world.clock.now()) == [past.headers[-1].cut_time, past.headers[1].cut_time]


def test_of_a_young_chain_every_header_is_read_once(world: World) -> None:
    world.ledger.__class__ = CountingLedger
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert [header.generation for header in past.headers] == [5, 4, 3, 2, 1]
    assert world.ledger.taken == 5  # type: ignore[attr-defined]


# --- dropped states ----------------------------------------------------------------------------------------


def drop(world: World, *headers: StateHeader) -> None:
    for header in headers:
        world.ledger.mark_dropped(header, world.clock.now())


def test_of_dropped_states_the_amounts_count_and_the_entries_do_not(world: World) -> None:
    _, fourth, _, second, first = world.headers()
    drop(world, fourth, first)
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert [header.generation for header in past.headers] == [5, 4, 3, 2, 1]
    assert past.comparands(world.clock.now()) == Comparands(reference=second, old=second)


def test_a_weekly_forget_is_no_loss_where_retention_left_only_the_peaks_before_it() -> None:
    """Each Monday four snapshots are forgotten; of each week a prune has left the state of its Sunday."""
    world = lived(14, maintenance="create")
    for _ in range(4):
        for key in current(world, "snapshots/")[:7]:
            world.hide(key)
        for day in range(7):
            back_up(world, f"{world.clock.now():%Y-%m-%d}")
            next_state(world)
            assert "snapshots-dropped" not in world.said(), day
            world.clock.advance(DAY)
        drop(world, *world.headers()[1:7])


def test_the_oldest_kept_one_with_key_files_is_looked_up_behind_dropped_ones() -> None:
    world = World.with_settings(thresholds={"baseline_days": 3})
    write(world, CONFIG)
    write(world, KEY)
    for day in range(20):
        back_up(world, f"day {day}")
        world.event()
        world.clock.advance(DAY)
    headers = world.headers()
    drop(world, *headers[-5:])
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert [header.generation for header in past.headers] == [*range(20, 10, -1), 6]
    drop(world, *headers[5:])
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert [header.generation for header in past.headers] == list(range(20, 10, -1))
    assert past.comparands(world.clock.now()).reference == headers[4]


def test_a_state_that_is_dropped_while_the_bucket_is_listed_counts_as_listed(world: World) -> None:
    """What is missing of it, a prune may have taken; nobody shall be alarmed by it."""
    key = next(key for key in world.newest() if key.startswith("data/"))

    def prune(call: Call) -> None:
        if call.operation == "ListObjectVersions" and call.moment is Moment.BEFORE:
            world.watch()
            drop(world, *world.headers())
            for each in world.s3.everything(BUCKET):
                if each.version.key == key:
                    world.s3.delete_version(BUCKET, key, each.version.version_id)

    world.watch(prune)
    next_state(world)
    assert world.said() == set()


def test_marks_that_cannot_be_read_keep_no_state_from_being_recorded(world: World) -> None:
    class Unreadable(FakeLedger):
        def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:
            raise UnreadableDocument("of a newer version")

    world.ledger.__class__ = Unreadable
    assert next_state(world).generation == 6


# --- a refusal ---------------------------------------------------------------------------------------------


def plain(world: World) -> None:
    world.s3.create_bucket("plain")


def test_of_a_refusal_people_hear_once(world: World) -> None:
    plain(world)
    for _ in range(5):
        assert isinstance(world.event(bucket="plain"), Refused)
    assert world.notifier.subjects == ["RWM: FAIL alpha: versioning-not-enabled"]
    assert "rwm check alpha --level posture" in world.notifier.notices[0].body


def test_of_a_null_version_people_hear_once(world: World) -> None:
    plain(world)
    world.s3.put("plain", "config", b"older than versioning")
    world.s3.put_versioning("plain", VersioningStatus.ENABLED)
    for _ in range(3):
        world.clock.advance(120)
        assert isinstance(world.event(bucket="plain"), Refused)
    assert world.notifier.subjects == ["RWM: FAIL alpha: null-version"]


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("operation", ["QueryFinding", "Publish", "AppendFinding"])
def test_killed_anywhere_in_a_refusal_people_hear_of_it(world: World, operation: str, moment: Moment) -> None:
    plain(world)
    world.watch(FailOnce(1, moment, operations=[operation]))
    with pytest.raises(Crash):
        world.event(bucket="plain")
    world.watch()
    assert isinstance(world.event(bucket="plain"), Refused)
    assert set(world.notifier.subjects) == {"RWM: FAIL alpha: versioning-not-enabled"}
    assert list(world.findings.findings) == [(ALPHA, "versioning-not-enabled", 5)]


def test_a_refusal_that_nobody_can_be_told_fails_so_that_the_event_comes_back(world: World) -> None:
    plain(world)
    world.notifier.hook = FailOnce(1, Moment.BEFORE, raising=NotTold)
    with pytest.raises(NotTold):
        world.event(bucket="plain")
    assert world.findings.findings == {}
    world.event(bucket="plain")
    assert len(world.notifier.notices) == 1


def test_how_old_the_newest_backup_is_stands_in_the_verdict_also_where_nothing_changed(world: World) -> None:
    written = newest_snapshot(world)
    for _ in range(2):
        header = next_state(world)
        assert world.verdict().figures["newest_snapshot"] == int(written.timestamp())
    assert header.kind == "same"
    back_up(world, "the sixth")
    next_state(world)
    assert world.verdict().figures["newest_snapshot"] > written.timestamp()


def test_of_a_repository_without_a_snapshot_no_backup_is_claimed() -> None:
    world = lived(1)
    for key in current(world, "snapshots/"):
        world.s3.delete(BUCKET, world.repository.key_prefix + key)
    next_state(world)
    assert "newest_snapshot" not in world.verdict().figures
