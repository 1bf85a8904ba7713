"""A state is written as what changed since its parent, if that is known for sure and worth it; else whole."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.domain import chunks, delta
from functions.domain.consistent import fold
from functions.domain.delta import LARGEST_SHARE, MOST_LINKS, Removal, changes_of
from functions.domain.ledger import read_state
from functions.domain.recording import Recorded
from functions.domain.state import Head, StateHeader
from functions.domain.values import AttemptId, Evidence, Finding, ObjectKey, ObjectVersion, Severity, VersionId
from functions.domain.verdict import CheckLevel, conclude
from functions.record import packing
from functions.record.collect_chunks import collect_chunks
from functions.record.record import LEASE
from tests.builders import pack
from tests.fakes.faults import Call, CallLog, Crash, KillAt, Moment
from tests.record.world import ALPHA, BUCKET, World

FILES = 40


@pytest.fixture
def world() -> World:
    """A repository of FILES objects, recorded once."""
    world = World()
    world.put("config")
    for number in range(FILES - 1):
        world.put(pack(f"pack {number}"), b"x" * 50)
    world.clock.advance(60)
    world.event()
    assert world.headers()[0].objects == FILES
    return world


def back_up(world: World, *texts: str) -> StateHeader:
    """A backup that adds a pack for each text, and its state, proven to be exactly what is there."""
    for text in texts:
        world.put(pack(text), b"y" * 50)
    world.clock.advance(3600)
    outcome = world.event()
    assert isinstance(outcome, Recorded)
    return proven(world)


def proven(world: World) -> StateHeader:
    """The newest state, which reads back as exactly what S3 shows, attributes too."""
    header = world.headers()[0]
    there = {entry.version.key: entry.version for entry in world.s3.everything(BUCKET) if entry.is_latest}
    there = {key: version for key, version in there.items() if not version.is_delete_marker}
    read = read_state(world.ledger, header)
    assert [each.key for each in read] == sorted(there)
    for each in read:
        shown = there[each.key]
        assert (each.version_id, each.size, each.etag) == (shown.version_id, len(shown.body), shown.etag)
    return header


def test_what_changed_is_written_and_not_the_rest(world: World) -> None:
    (first,) = world.headers()
    world.hide(pack("pack 7"))
    header = back_up(world, "one", "two")
    assert (header.kind, header.objects) == ("delta", FILES + 1)
    assert header.delta is not None
    assert (header.delta.state, header.delta.base, header.delta.links) == (first.id, first.chunks, 1)
    (chunk,) = (world.ledger.chunks[header.chunks.attempt, number] for number in range(header.chunks.count))
    assert header.delta.changes == len(chunks.decode_delta(chunk)) == 3
    again = back_up(world, "three")
    assert again.delta is not None
    assert (again.delta.state, again.delta.links, again.delta.changes) == (header.id, 2, 4)


def test_a_delta_on_a_state_that_is_its_parents_lies_on_it_and_the_strand_is_no_longer(world: World) -> None:
    back_up(world, "one")
    world.clock.advance(3600)
    world.event()
    same = world.headers()[0]
    assert (same.kind, same.links) == ("same", 1)
    header = back_up(world, "two")
    assert header.delta is not None
    assert (header.kind, header.delta.state, header.links) == ("delta", same.id, 2)


def test_no_chunk_is_read_where_the_listing_shows_the_parents_entries(world: World) -> None:
    log = CallLog()
    world.watch(log)
    assert back_up(world, "one").kind == "delta"
    recorded = [call.operation for call in log.calls if call.moment is Moment.BEFORE]
    assert "GetChunk" not in recorded[: recorded.index("Commit")]


def test_a_new_base_is_written_where_the_deltas_would_pass_a_fifth_of_it(world: World) -> None:
    most = FILES // LARGEST_SHARE
    kinds = [back_up(world, f"{number} a", f"{number} b").kind for number in range(most // 2 + 1)]
    assert kinds == [*["delta"] * (most // 2), "base"]
    assert back_up(world, "once more").links == 1


def test_one_change_too_many_at_once_is_a_base(world: World) -> None:
    most = FILES // LARGEST_SHARE
    assert back_up(world, *map(str, range(most))).kind == "delta"
    (_, first) = world.headers()
    assert back_up(world, "another").kind == "base"
    # As many that go as come: their number alone shows nothing.
    for number in range(most):
        world.hide(pack(f"pack {number}"))
    assert first.objects == FILES
    assert back_up(world, *(f"new {number}" for number in range(most))).kind == "base"


def test_a_new_base_is_written_where_there_would_be_too_many_links(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_LINKS == 64
    monkeypatch.setattr(delta, "MOST_LINKS", 3)
    assert [back_up(world, str(number)).links for number in range(5)] == [1, 2, 3, 0, 1]


def test_a_parent_that_the_listing_does_not_show_any_more_is_read_from_the_ledger(world: World) -> None:
    """A version that it names was destroyed: the listing shows less than was recorded."""
    lost = pack("pack 3")
    (entry,) = (each.version for each in world.s3.everything(BUCKET) if each.version.key == lost)
    world.s3.delete_version(BUCKET, lost, entry.version_id)
    header = back_up(world, "one")
    assert header.delta is not None
    assert (header.kind, header.delta.changes) == ("delta", 2)


def test_what_was_dated_back_beneath_the_parent_is_a_change_and_not_part_of_it(world: World) -> None:
    """It came after the parent's cut and is dated before it, so that the listing shows it at that cut."""
    upload = world.s3.create_multipart_upload(BUCKET, pack("late"))
    world.clock.advance(3600)
    back_up(world, "one")
    part = world.s3.upload_part(BUCKET, upload.key, upload.upload_id, 1, b"late")
    world.s3.complete_multipart_upload(BUCKET, upload.key, upload.upload_id, [(1, part.etag)])
    header = back_up(world, "two")
    assert header.kind == "delta"
    assert pack("late") in world.newest()


def test_another_storage_class_of_the_same_version_is_a_change(world: World) -> None:
    """By a lifecycle rule: no root but the attributes' shows it, and the listing has no other one any more."""
    back_up(world, "one")
    moved = pack("pack 5")
    world.s3.transition(BUCKET, moved, "GLACIER_IR")
    header = back_up(world, "two")
    assert header.kind == "delta"
    read: dict[str, ObjectVersion] = {each.key: each for each in read_state(world.ledger, header)}
    assert read[moved].storage_class == "GLACIER_IR"


def test_a_parent_of_the_first_format_is_read_from_the_ledger(world: World) -> None:
    """Nothing in its header tells whether the attributes that the listing shows are those that were recorded."""
    (first,) = world.headers()
    old = first.model_copy(update={"attributes_root": None})
    world.ledger.stored_headers[ALPHA, 1] = (old.id, old.canonical())
    world.ledger.heads[ALPHA] = Head.of(old).canonical()
    assert b'"format":1' in old.canonical()
    assert back_up(world, "one").kind == "delta"


@pytest.mark.parametrize("what", ["chunk", "header"])
def test_a_parent_that_cannot_be_proven_is_followed_by_a_base(world: World, what: str) -> None:
    """A chunk that is gone shows where the listing does not prove the parent by itself, a link always."""
    back_up(world, "one")
    if what == "chunk":
        world.s3.transition(BUCKET, pack("pack 5"), "GLACIER_IR")
        del world.ledger.chunks[world.headers()[-1].chunks.attempt, 0]
    else:
        del world.ledger.stored_headers[ALPHA, 1]
    assert back_up(world, "two").kind == "base"


def test_a_parent_that_a_check_found_damaged_is_followed_by_a_base(world: World) -> None:
    """The listing proves what it was; but what lies on it could not be read either."""
    damaged = world.headers()[0]
    finding = Finding("state-damaged", Severity.FAIL, ALPHA, damaged.cut_time, "it is damaged", "restore the table")
    evidence = Evidence(ObjectKey(f"state {damaged.id}"), (VersionId(damaged.id),), damaged.cut_time)
    judged = conclude(
        damaged,
        CheckLevel.CONSISTENT,
        [replace(finding, evidence=(evidence,))],
        [],
        judged_at=world.clock.second(),
        by="a check",
    )
    world.verdicts.append(judged)
    assert back_up(world, "two").kind == "base"
    assert back_up(world, "three").kind == "delta"


@pytest.mark.parametrize("wrong", [slice(-1), slice(1, None), slice(0)], ids=["cut short", "begun late", "empty"])
def test_a_delta_that_does_not_give_the_cut_is_not_written(
    world: World, monkeypatch: pytest.MonkeyPatch, wrong: slice
) -> None:
    """Whatever is wrong with the codec, the state is written whole."""
    whole = chunks.encode_delta
    monkeypatch.setattr(chunks, "encode_delta", lambda changes: whole(list(changes)[wrong]))
    assert back_up(world, "one", "two").kind == "base"


@pytest.mark.parametrize("shown", [True, False])
def test_changes_that_do_not_give_the_cut_are_not_written(
    world: World, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    """Whatever is wrong with how they are found: in the listing, or beside what the ledger holds."""
    if shown:
        monkeypatch.setattr(fold, "Removal", lambda key: Removal(ObjectKey(f"{key}0")))
    else:
        world.s3.transition(BUCKET, pack("pack 5"), "GLACIER_IR")
        monkeypatch.setattr(packing, "changes_of", lambda pairs: list(changes_of(pairs))[1:])
    world.hide(pack("pack 7"))
    assert back_up(world, "one", "two").kind == "base"


def test_a_delta_is_not_committed_on_another_head_than_it_was_made_for(world: World) -> None:
    """Another recorder commits in between, and the lease that should have kept it out did not."""

    def overtake(call: Call) -> None:
        if call.operation == "Commit" and call.moment is Moment.BEFORE:
            world.watch()
            lease = world.ledger.leases.pop(ALPHA)
            other = World.over(world.s3)
            other.ledger = world.ledger
            other.verdicts = world.verdicts
            other.attempts = iter([1000])
            other.event(sent=world.clock.now() - timedelta(hours=5))
            world.ledger.leases[ALPHA] = lease

    world.watch(overtake)
    world.event()
    for header in world.headers():
        read_state(world.ledger, header)


def test_chunks_that_a_kept_states_strand_needs_are_never_collected(world: World) -> None:
    """Neither those of its base nor of a delta between, whose states are dropped; a killed attempt's are."""
    back_up(world, "one")
    kept = back_up(world, "two")
    for header in world.headers()[1:]:
        world.ledger.mark_dropped(header, world.clock.second())
    before = dict(world.ledger.chunks)
    world.put(pack("three"), b"y" * 50)
    world.clock.advance(3600)
    killer = KillAt(10_000)

    def die_at_commit(call: Call) -> None:
        if call.operation == "Commit":
            killer.dead = True
        killer(call)

    world.watch(die_at_commit)
    with pytest.raises(Crash):
        world.event()
    world.watch()
    assert len(world.ledger.chunks) == len(before) + 1
    world.clock.advance(LEASE)
    now = world.clock.second()
    world.ledger.begin(ALPHA, AttemptId("next"), now, now + LEASE)
    assert collect_chunks([ALPHA], world.ledger) == {ALPHA: 1}
    assert world.ledger.chunks == before
    read_state(world.ledger, kept)
