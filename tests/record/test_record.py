"""Recording: what is written, in which order, and what a crash at any point leaves."""

import contextlib
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.domain.ledger import StateDamaged, read_state
from functions.domain.ports import AttemptClosed, RecordingInFlight
from functions.domain.recording import Answered, NotYet, Recorded, Refused, Wish
from functions.domain.state import Cause, Head
from functions.domain.values import AttemptId, Severity
from functions.record.collect_chunks import collect_chunks
from functions.record.record import LEASE, BrokenChain, record
from tests.builders import named, pack
from tests.fakes.faults import Call, CallLog, Crash, FailOnce, KillAt, Moment
from tests.fakes.ledger import Status
from tests.fakes.s3_model import VersioningStatus
from tests.record.world import ALPHA, BUCKET, World


def backed_up(world: World, *texts: str) -> None:
    """What a backup leaves: packs, an index, a snapshot; and a quiet minute after it."""
    for text in texts:
        world.put(pack(text), text.encode())
        world.put(named("index", text))
        world.put(named("snapshots", text))
    world.clock.advance(60)


@pytest.fixture
def world() -> World:
    world = World()
    world.put("config")
    world.put(named("keys", "k"))
    backed_up(world, "one")
    return world


def test_an_event_records_exactly_the_current_versions(world: World) -> None:
    world.hide(named("index", "one"))
    world.clock.advance(60)
    outcome = world.event()
    assert isinstance(outcome, Recorded)
    listed = {entry.version.key: entry.version for entry in world.s3.everything(BUCKET)}
    current = {key: str(version.version_id) for key, version in listed.items() if key != named("index", "one")}
    assert world.newest() == current
    assert (outcome.header.generation, outcome.header.hidden) == (1, 1)


def test_keys_of_a_state_are_relative_to_the_repositorys_prefix_and_others_are_not_in_it() -> None:
    world = World.with_settings(prefix="restic/alpha")
    world.put("config")
    world.s3.put(BUCKET, "restic/alphabet", b"a neighbour")
    world.clock.advance(60)
    world.event()
    assert list(world.newest()) == ["config"]


def test_each_state_names_its_parent_and_the_head_is_anchored_each_time(world: World) -> None:
    world.event()
    backed_up(world, "two")
    world.event()
    second, first = world.headers()
    assert second.parent == first.id
    assert world.ledger.head(ALPHA) == Head.of(second)
    assert sorted(world.anchors()) == [
        f"heads/alpha/0000000001-{first.id}.json",
        f"heads/alpha/0000000002-{second.id}.json",
    ]


def test_an_unchanged_repository_takes_a_light_header_and_no_chunks(world: World) -> None:
    world.event()
    world.clock.advance(timedelta(hours=1))
    written = dict(world.ledger.chunks)
    world.event()
    second, first = world.headers()
    assert (second.kind, second.chunks) == ("same", first.chunks)
    assert world.ledger.chunks == written
    assert read_state(world.ledger, second) == read_state(world.ledger, first)


def test_an_event_whose_backup_a_newer_cut_shows_already_is_answered_by_it(world: World) -> None:
    sent = world.clock.now()
    world.event(sent=sent)
    world.clock.advance(timedelta(hours=1))
    assert isinstance(world.event(sent=sent), Answered)
    assert len(world.headers()) == 1


def test_duplicated_and_reordered_events_change_nothing(world: World) -> None:
    early = world.clock.now()
    backed_up(world, "two")
    late = world.clock.now()
    world.event(sent=late)
    recorded = world.headers()
    world.clock.advance(timedelta(hours=1))
    for sent in (early, late, early):
        assert isinstance(world.event(sent=sent), Answered)
    assert world.headers() == recorded


def test_a_flood_of_events_records_once_per_interval(world: World) -> None:
    outcomes = []
    for _ in range(120):
        world.clock.advance(1)
        outcomes.append(world.event())
    recorded = [outcome for outcome in outcomes if isinstance(outcome, Recorded)]
    times = [outcome.header.recorded_at for outcome in reversed(recorded)]
    assert len(recorded) == 2
    assert all(earlier - later >= timedelta(minutes=1) for earlier, later in itertools.pairwise(times))
    assert all(isinstance(outcome, Recorded | NotYet) for outcome in outcomes)


def test_the_backup_an_event_speaks_of_is_in_the_state_even_when_it_ended_just_before_the_event(world: World) -> None:
    world.put(named("snapshots", "just now"))
    outcome = world.event()
    assert named("snapshots", "just now") in world.newest()
    assert isinstance(outcome, Recorded)
    assert not outcome.header.edge


def test_the_state_is_the_cut_and_not_the_listing(world: World) -> None:
    """A backup begins after the cut and is under way while the bucket is listed."""

    def write_behind(call: Call) -> None:
        if call.operation == "ListObjectVersions" and call.moment is Moment.BEFORE:
            world.watch()
            world.put(named("snapshots", "later"))
            world.hide("config")

    world.watch(write_behind)
    world.event()
    assert named("snapshots", "later") not in world.newest()
    assert "config" in world.newest()


def test_a_repository_that_is_never_still_is_recorded_as_edge(world: World) -> None:
    def never_still(call: Call) -> None:
        if call.operation == "GetBucketVersioning" and call.moment is Moment.BEFORE:
            world.watch()
            world.put("restless", world.clock.now().isoformat().encode())
            world.watch(never_still)

    world.watch(never_still)
    outcome = world.event()
    assert isinstance(outcome, Recorded)
    assert outcome.header.edge


def test_a_cut_with_something_at_its_edge_is_taken_again(world: World) -> None:
    sent = world.clock.now()
    world.clock.advance(3)
    world.put("late")
    outcome = world.event(sent=sent)
    assert isinstance(outcome, Recorded)
    assert not outcome.header.edge
    assert "late" in world.newest()


def test_a_state_recorded_while_restic_is_at_work_is_busy_and_the_event_asks_again(world: World) -> None:
    world.put(named("locks", "l"))
    sent = world.clock.now()
    first = world.event(sent=sent)
    assert isinstance(first, Recorded)
    assert first.header.busy
    world.hide(named("locks", "l"))
    world.clock.advance(120)
    again = world.event(sent=sent, deliveries=2)
    assert isinstance(again, Recorded)
    assert not again.header.busy
    assert isinstance(world.event(sent=sent, deliveries=3), Answered)


def test_a_lock_that_stays_does_not_make_an_event_come_back_for_ever(world: World) -> None:
    world.put(named("locks", "planted"))
    sent = world.clock.now()
    for delivery in (1, 2):
        assert isinstance(world.event(sent=sent, deliveries=delivery), Recorded)
        world.clock.advance(120)
    assert isinstance(world.event(sent=sent, deliveries=3), Answered)


def test_a_bucket_without_versioning_gives_a_finding_and_no_state(world: World) -> None:
    world.s3.create_bucket("plain")
    world.s3.put("plain", "config", b"x")
    outcome = world.event(bucket="plain")
    assert isinstance(outcome, Refused)
    assert (outcome.finding.id, outcome.finding.severity) == ("versioning-not-enabled", Severity.FAIL)
    assert "no state was recorded" in outcome.finding.what
    assert world.headers() == []
    assert list(world.findings.findings) == [(ALPHA, "versioning-not-enabled", 0)]


def test_a_bucket_whose_versioning_is_suspended_gives_a_finding_and_no_state(world: World) -> None:
    world.s3.create_bucket("plain")
    for status in (VersioningStatus.ENABLED, VersioningStatus.SUSPENDED):
        world.s3.put_versioning("plain", status)
    outcome = world.event(bucket="plain")
    assert isinstance(outcome, Refused)
    assert "is Suspended: a host's PUT or DELETE destroys what was there; no state was recorded" in outcome.finding.what
    assert world.headers() == []


def test_that_versioning_was_suspended_is_said_even_within_the_interval(world: World) -> None:
    world.s3.create_bucket("plain")
    world.s3.put_versioning("plain", VersioningStatus.ENABLED)
    assert isinstance(world.event(bucket="plain"), Recorded)
    world.s3.put_versioning("plain", VersioningStatus.SUSPENDED)
    assert isinstance(world.event(bucket="plain"), Refused)


def test_the_same_finding_is_written_down_once_however_many_events_come(world: World) -> None:
    world.s3.create_bucket("plain")
    for _ in range(5):
        world.event(bucket="plain")
    assert len(world.findings.findings) == 1


def test_a_null_version_is_refused_where_versioning_can_be_suspended_and_accepted_where_it_cannot(
    world: World,
) -> None:
    world.s3.create_bucket("grown")
    world.s3.put("grown", "config", b"older than versioning")
    world.s3.put_versioning("grown", VersioningStatus.ENABLED)
    world.clock.advance(60)
    outcome = world.event(bucket="grown")
    assert isinstance(outcome, Refused)
    assert outcome.finding.id == "null-version"
    world.s3.put_lock_configuration("grown", None)
    assert isinstance(world.event(bucket="grown"), Recorded)


def test_the_header_is_written_after_every_chunk(world: World) -> None:
    log = CallLog()
    world.watch(log)
    world.event()
    operations = [call.operation for call in log.calls if call.moment is Moment.AFTER]
    assert operations.index("Commit") > max(
        position for position, operation in enumerate(operations) if operation == "PutChunk"
    )
    assert operations.index("Reserve") < operations.index("PutChunk")


def moments(world: World) -> int:
    """How many moments an undisturbed recording has at which it can be killed."""
    log = CallLog()
    world.watch(log)
    world.event()
    world.watch()
    return len(log.calls)


def prepared(kind: str = "base") -> World:
    """Something is wrong with the state that is to be recorded, and nobody was told yet. On a repository that is large
    enough for what changes it is a delta."""
    world = World()
    world.put("config")
    backed_up(world, *(["one"] if kind == "base" else [f"pack {number}" for number in range(9)]))
    world.event()
    world.notifier.notices.clear()
    backed_up(world, "two")
    world.put("ransom.txt")
    world.clock.advance(60)
    return world


def left_behind(world: World) -> tuple[object, ...]:
    """What a reader of the ledger and of the anchors can see."""
    states = [(header.generation, header.manifest_root, header.kind) for header in world.headers()]
    contents = [read_state(world.ledger, header) for header in world.headers()]
    named_chunks = {
        (header.chunks.attempt, number) for header in world.headers() for number in range(header.chunks.count)
    }
    anchored = sorted(world.anchors()) == sorted(
        f"heads/alpha/{header.generation:010d}-{header.id}.json" for header in world.headers()
    )
    judged = {(each.state, each.outcome) for each in world.verdicts.verdicts(ALPHA)}
    verdicts = all((header.id, "fail") in judged for header in world.headers())
    return states, contents, verdicts, anchored, set(world.ledger.chunks) == named_chunks


MOMENTS = [(kind, step) for kind in ("base", "delta") for step in range(1, moments(prepared(kind)) + 1)]


@pytest.mark.parametrize(("kind", "step"), MOMENTS)
def test_killed_at_any_moment_and_run_again_it_leaves_what_an_undisturbed_run_leaves(kind: str, step: int) -> None:
    undisturbed = prepared(kind)
    undisturbed.event()
    assert undisturbed.headers()[0].kind == kind
    world = prepared(kind)
    sent = world.clock.now()
    world.watch(KillAt(step))
    with pytest.raises(Crash):
        world.event(sent=sent)
    world.watch()
    # SQS gives the message out again when its visibility ends, which is when no lease can be held any more.
    world.clock.advance(LEASE)
    world.event(sent=sent, deliveries=2)
    collect_chunks([ALPHA], world.ledger)
    assert left_behind(world) == left_behind(undisturbed)
    assert left_behind(world)[2:] == (True, True, True)
    assert undisturbed.notifier.subjects == ["RWM: FAIL alpha: impossible-size, alien-key"]
    # Once, or twice where it was killed between telling and writing down that it was told; never not at all.
    assert set(world.notifier.subjects) == set(undisturbed.notifier.subjects)
    assert len(world.notifier.subjects) <= 2


@pytest.mark.parametrize(("kind", "step"), MOMENTS)
def test_an_error_at_any_moment_releases_the_lease_so_that_the_next_run_need_not_wait(kind: str, step: int) -> None:
    world = prepared(kind)
    sent = world.clock.now()
    seen: list[Call] = []

    def fail(call: Call) -> None:
        seen.append(call)
        if len(seen) == step:
            raise ConnectionError(call.operation)

    world.watch(fail)
    with pytest.raises(ConnectionError):
        world.event(sent=sent)
    world.watch()
    world.clock.advance(90)
    outcome = world.event(sent=sent, deliveries=2)
    held = isinstance(outcome, NotYet) and "in flight" in outcome.why
    # Only an answer lost between taking the lease and knowing it leaves the lease to end by itself.
    failed = seen[step - 1]
    assert held == ((failed.operation, failed.moment) == ("Begin", Moment.AFTER))


@pytest.mark.parametrize("kind", ["base", "delta"])
def test_two_recorders_at_once_do_not_fork_the_chain(kind: str) -> None:
    """The second runs wholly inside the first, at every moment of it: after the first's lease has ended."""
    for step in range(1, moments(prepared(kind)) + 1):
        racing = prepared(kind)
        sent = racing.clock.now()
        seen = 0

        def run_another(call: Call, racing: World = racing, step: int = step) -> None:
            nonlocal seen
            seen += 1
            if seen == step:
                racing.watch()
                racing.clock.advance(LEASE + timedelta(minutes=1))
                racing.event()

        racing.watch(run_another)
        # It lost its lease while it was away: its attempt is closed, and so it writes nothing.
        with contextlib.suppress(AttemptClosed):
            racing.event(sent=sent)
        racing.watch()
        headers = racing.headers()
        assert [header.generation for header in headers] == list(range(len(headers), 0, -1))
        assert all(child.parent == parent.id for child, parent in itertools.pairwise(headers))
        assert racing.ledger.head(ALPHA) == Head.of(headers[0])
        for header in headers:
            read_state(racing.ledger, header)


def test_a_cut_that_a_newer_one_has_overtaken_is_not_recorded_on_top_of_it(world: World) -> None:
    """Another recorder commits a later cut in between, and the lease that should have kept it out did not."""

    def overtake(call: Call) -> None:
        if call.operation == "Commit":
            world.watch()
            lease = world.ledger.leases.pop(ALPHA)
            world.clock.advance(60)
            world.event()
            world.ledger.leases[ALPHA] = lease

    world.watch(overtake)
    outcome = world.event()
    (newer,) = world.headers()
    assert outcome == Answered(by=Head.of(newer))


def test_a_recorder_that_finds_another_in_flight_gives_the_event_back(world: World) -> None:
    now = world.clock.second()
    world.ledger.begin(ALPHA, AttemptId("another"), now, now + LEASE)
    outcome = world.event()
    assert isinstance(outcome, NotYet)
    assert outcome.until == now + timedelta(seconds=30)


def _another_records_just_before(world: World) -> None:
    """Between our look at the head and our look at the clock: it gives the lease back just when we ask for it."""

    def hook(call: Call) -> None:
        if call.operation == "GetHead" and call.moment is Moment.AFTER:
            world.watch()
            assert isinstance(world.event(), Recorded)

    world.watch(hook)


def test_what_another_recorded_just_before_the_lease_answers_the_event(world: World) -> None:
    sent = world.clock.now()
    _another_records_just_before(world)
    outcome = world.event(sent=sent)
    (only,) = world.headers()
    assert outcome == Answered(by=Head.of(only))
    assert Status.OPEN not in {attempt.status for attempt in world.ledger.attempts.values()}


def test_two_recorders_at_once_keep_the_interval_apart(world: World) -> None:
    _another_records_just_before(world)
    outcome = world.event(sent=world.clock.now() + timedelta(minutes=1))
    (only,) = world.headers()
    assert isinstance(outcome, NotYet)
    assert outcome.until == only.recorded_at + world.repository.min_interval


def test_who_may_not_wait_is_recorded_however_short_ago_the_last_recording_was(world: World) -> None:
    world.event()
    world.clock.advance(5)
    usual = Wish(cause=Cause(reason="operator"))
    assert isinstance(record(world.repository, usual, world.ports()), NotYet)
    assert isinstance(record(world.repository, replace(usual, at_once=True), world.ports()), Recorded)
    assert len(world.headers()) == 2


def test_an_attempt_that_lost_its_lease_can_never_commit(world: World) -> None:
    now = world.clock.second()
    world.ledger.begin(ALPHA, AttemptId("slow"), now, now + LEASE)
    world.clock.advance(LEASE)
    world.event()
    assert world.ledger.attempts[ALPHA, AttemptId("slow")].status is Status.CLOSED
    with pytest.raises(RecordingInFlight):
        world.ledger.begin(ALPHA, AttemptId("slow"), world.clock.second(), world.clock.second() + LEASE)


def test_a_head_that_lost_its_anchor_to_a_crash_is_anchored_by_the_next_event_even_if_it_records_nothing(
    world: World,
) -> None:
    sent = world.clock.now()
    world.watch(FailOnce(1, Moment.BEFORE, operations=["PutObject"]))
    with pytest.raises(Crash):
        world.event(sent=sent)
    world.watch()
    assert world.anchors() == []
    assert isinstance(world.event(sent=sent, deliveries=2), Answered)
    assert len(world.anchors()) == 1


def test_a_head_whose_state_was_taken_away_stops_recording_and_says_so(world: World) -> None:
    world.event()
    world.ledger.stored_headers.clear()
    world.clock.advance(timedelta(hours=1))
    with pytest.raises(BrokenChain, match="nothing was recorded"):
        world.event()


def test_a_head_whose_state_was_exchanged_stops_recording_and_says_so(world: World) -> None:
    world.event()
    (header,) = world.headers()
    other = header.model_copy(update={"hidden": 7})
    world.ledger.stored_headers[ALPHA, 1] = (other.id, other.canonical())
    world.clock.advance(timedelta(hours=1))
    with pytest.raises(BrokenChain, match="nothing was recorded"):
        world.event()
    assert world.headers() == [other]


def test_a_state_with_a_missing_or_exchanged_chunk_is_refused_by_its_reader(world: World) -> None:
    world.event()
    (header,) = world.headers()
    ((place, content),) = world.ledger.chunks.items()
    world.ledger.chunks[place] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(StateDamaged, match="damaged"):
        read_state(world.ledger, header)
    del world.ledger.chunks[place]
    with pytest.raises(StateDamaged, match=r"chunk 0 of 1 .* is missing"):
        read_state(world.ledger, header)


def test_a_crash_after_the_chunks_leaves_them_for_collection_and_nothing_else_is_collected(world: World) -> None:
    world.event()
    kept = dict(world.ledger.chunks)
    backed_up(world, "two")
    killer = KillAt(10_000)

    def die_at_commit(call: Call) -> None:
        if call.operation == "Commit":
            killer.dead = True
        killer(call)

    world.watch(die_at_commit)
    with pytest.raises(Crash):
        world.event()
    world.watch()
    assert len(world.ledger.chunks) == len(kept) + 1
    assert collect_chunks([ALPHA], world.ledger) == {}
    world.clock.advance(LEASE)
    world.hide("config")
    world.clock.advance(60)
    world.event()
    assert collect_chunks([ALPHA], world.ledger) == {ALPHA: 1}
    assert collect_chunks([ALPHA], world.ledger) == {}
    for header in world.headers():
        read_state(world.ledger, header)
