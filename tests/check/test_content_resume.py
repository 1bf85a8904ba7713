"""A check of content that is killed anywhere loses nothing and claims nothing false; run again, it ends the same."""

import functools

import pytest

from functions.domain.content.known import Memory
from functions.domain.content.plan import name_of
from functions.domain.ledger import read_state
from functions.domain.restic import promised_sha256
from functions.domain.state import StateHeader
from functions.domain.values import Digest
from functions.domain.verdict import Judged
from tests.check.content_world import World
from tests.fakes.faults import CallLog, Crash, Moment, nothing
from tests.fakes.ports import FakeRecordReader
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, DieAt, a_backup, a_pack, sha256

OLD, NEW = a_pack(b"pack 0"), a_pack(b"new, and garbage")


def a_world() -> tuple[World, StateHeader]:
    """A state that was verified; then its config and a pack of it rotted, and garbage and a good pack were added."""
    world = World()
    world.back_up({**a_backup(), "notes/alien.txt": b"a note"})
    world.check(world.record(), "sunday")
    world.back_up({NEW: b"garbage", a_pack(b"good"): b"good"})
    state = world.record()
    world.rot("config", b"THE CONFIG")
    world.rot(OLD, b"PACK 0")
    return world, state


def said(judged: Judged) -> tuple[object, ...]:
    """What must not depend on where a run was killed."""
    return judged.verdict.outcome, [(each.id, each.severity, each.fingerprint) for each in judged.verdict.findings]


def spoken_for(world: World, state: StateHeader) -> set[str]:
    """The keys of `state` that would not be read again."""
    memory = Memory(world.memory, world.ledger, FakeRecordReader(world.s3, RECORDS))
    return {key for key, _ in memory.verified_among(read_state(world.ledger, state), state)}


def assert_nothing_false_is_remembered(world: World, state: StateHeader, *, before: set[str]) -> None:
    """Every version that a set speaks for, and did not before, has the bytes it should have."""
    for each in read_state(world.ledger, state):
        if each.key in spoken_for(world, state) - before:
            actual = Digest(sha256(world.s3.get(PROTECTED, f"{PREFIX}/{each.key}", each.version_id).body))
            assert actual == (promised_sha256(each.key) or world.sights.kept[REPOSITORY, name_of(each)]), each.key


@functools.cache
def undisturbed() -> tuple[tuple[object, ...], set[str], int]:
    """The verdict, what is remembered, and the number of calls of a run that nothing killed."""
    world, state = a_world()
    log = CallLog()
    world.watch(log)
    judged = world.check(state, everything=True)
    world.watch(nothing)
    return said(judged), spoken_for(world, state), len(log.calls) // 2


def test_the_run_that_nothing_kills_finds_all_three() -> None:
    (outcome, findings), remembered, _ = undisturbed()
    assert outcome == "fail"
    assert [each[0] for each in findings] == ["content-changed", "content-damaged"]  # type: ignore[attr-defined]
    assert remembered == {*a_backup(), "notes/alien.txt", a_pack(b"good")} - {"config", OLD}


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, undisturbed()[2] + 1))
@pytest.mark.parametrize("again", ["monday", "tuesday"], ids=["the same execution", "another"])
def test_killed_at_any_call_it_claims_nothing_false_and_run_again_it_says_the_same(
    at: int, moment: Moment, again: str
) -> None:
    verdict, remembered, _ = undisturbed()
    world, state = a_world()
    before = spoken_for(world, state)
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.check(state, everything=True)
    world.watch(nothing)
    assert_nothing_false_is_remembered(world, state, before=before)
    rerun = world.check(state, again, everything=True)
    assert said(rerun) == verdict
    assert spoken_for(world, state) == remembered
    assert world.notifier.notices, "people are told twice rather than never"
    assert len(world.verdicts.stored) in (2, 3), "sunday's, this one, and that of the killed run if it got so far"


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, undisturbed()[2] + 1))
def test_killed_at_any_call_what_was_found_then_is_found_by_the_next_check_that_reads_only_what_is_new(
    at: int, moment: Moment
) -> None:
    """Damage that was remembered is never forgotten again, and garbage that was never verified is read."""
    world, state = a_world()
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.check(state, everything=True)
    world.watch(nothing)
    known = {key for key, _ in world.memory.damaged(REPOSITORY)}
    judged = world.check(state, "tuesday")
    evidence = {each.key for finding in judged.findings for each in finding.evidence}
    assert known | {NEW} <= evidence


def test_a_step_that_is_run_twice_changes_nothing() -> None:
    world, state = a_world()
    world.plan_content(state.id, everything=True)
    written = world.plan_content(state.id, everything=True)
    for request in world.hash_requests(written) * 2:
        world.hash(request)
    first = world.conclude(written, state.id)
    sets, parts, sights = dict(world.memory.stored), dict(world.memory.parts), dict(world.sights.kept)
    second = world.conclude(written, state.id)
    assert said(first) == said(second) == undisturbed()[0]
    assert (sets, parts, sights) == (world.memory.stored, world.memory.parts, world.sights.kept)
    assert len(world.notifier.notices) == 1


def test_a_batch_that_ends_after_the_conclusion_is_counted_when_it_is_concluded_again() -> None:
    world, state = a_world()
    written = world.plan_content(state.id, everything=True)
    early = world.conclude(written, state.id)
    assert early.verdict.outcome == "hold"
    for request in world.hash_requests(written):
        world.hash(request)
    assert said(world.conclude(written, state.id)) == undisturbed()[0]
