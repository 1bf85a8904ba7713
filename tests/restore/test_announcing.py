"""A restore says that it is under way before it reads anything at length, and takes that back when it has ended."""

import pytest
from pydantic import ValidationError

from functions.domain.keeping import Restoring
from functions.domain.restore.request import RestoreRefused, StepRequest
from functions.domain.state import StateHeader
from functions.restore.end import EndRequest
from tests.fakes.faults import Call, CallLog, Crash, KillAt, Moment, nothing
from tests.restore.world import EXECUTION, RECORDS, REPOSITORY, TARGET, World, a_backup, sha256


def under_way(world: World) -> tuple[Restoring, ...]:
    return tuple(restoring for (name, _), restoring in world.holds.restores.items() if name == REPOSITORY)


def test_it_is_announced_by_its_execution_with_its_state_and_time(world: World, state: StateHeader) -> None:
    now = world.s3.clock.now()
    world.plan("latest")
    assert under_way(world) == (Restoring(EXECUTION, state.id, now),)


def test_it_is_announced_before_the_state_and_the_target_are_read(world: World, state: StateHeader) -> None:
    """Reading takes minutes, in which a prune could drop the state."""
    log = CallLog()
    world.watch(log)
    world.plan(state.id)
    done = [call.operation for call in log.calls if call.moment is Moment.BEFORE]
    at = done.index("Announce")
    assert set(done[:at]) == {"QueryHeaders"}
    assert {"GetChunk", "ListObjectsV2", "PutObject"} <= set(done[at:])


def test_until_it_has_ended_it_stays_announced(world: World, state: StateHeader) -> None:
    seen: list[tuple[str, int]] = []

    def look(call: Call) -> None:
        if call.moment is Moment.BEFORE:
            seen.append((call.operation, len(under_way(world))))

    world.watch(look)
    world.restore(state.id)
    world.watch(nothing)
    announced = [number for _, number in seen]
    assert announced == sorted(announced)
    assert {operation for operation, number in seen if number} >= {"CopyObject", "ListObjectsV2", "AppendReport"}
    assert seen[-1] == ("EndRestore", 1)
    assert under_way(world) == ()


def test_said_again_by_the_same_execution_nothing_changes(world: World, state: StateHeader) -> None:
    world.plan(state.id)
    first = under_way(world)
    world.s3.clock.advance(60)
    world.plan(state.id)
    assert under_way(world) == first


def test_two_restores_are_announced_each_and_end_each(world: World, state: StateHeader) -> None:
    for execution in ("monday", "tuesday"):
        world.plan(state.id, execution=execution)
    assert {each.execution for each in under_way(world)} == {"monday", "tuesday"}
    world.end("monday")
    assert {each.execution for each in under_way(world)} == {"tuesday"}


def test_ending_what_was_never_announced_changes_nothing(world: World, state: StateHeader) -> None:
    world.end("monday")
    world.plan(state.id, execution="tuesday")
    world.end("monday")
    assert {each.execution for each in under_way(world)} == {"tuesday"}


def test_a_state_that_is_dropped_at_the_last_moment_is_refused_and_not_announced(
    world: World, state: StateHeader
) -> None:
    world.back_up({"snapshots/" + sha256(b"another"): b"another"})
    world.record()

    def drop(call: Call) -> None:
        if (call.operation, call.moment) == ("Announce", Moment.BEFORE):
            world.ledger.mark_dropped(state, world.s3.clock.now(), "prune-tuesday")

    world.watch(drop)
    with pytest.raises(RestoreRefused) as refusal:
        world.plan(state.id)
    said = str(refusal.value)
    assert f"state {state.id} was dropped by prune prune-tuesday at " in said
    assert "its versions may be gone; nothing was written; `rwm states beta` lists those that are kept" in said
    assert (under_way(world), world.writes_in(RECORDS)) == ((), 0)


@pytest.mark.parametrize("wanted", ["0" * 64, "soon", "2020-01-01"])
def test_what_is_no_state_is_not_announced(world: World, state: StateHeader, wanted: str) -> None:
    with pytest.raises(RestoreRefused):
        world.plan(wanted)
    assert under_way(world) == ()


def test_what_is_refused_after_it_was_announced_is_taken_back_by_the_last_step(
    world: World, state: StateHeader
) -> None:
    """The workflow runs it at every end (tests/infra/test_restore_workflow.py)."""
    world.s3.put(TARGET, "holiday.jpg", b"x")
    with pytest.raises(RestoreRefused):
        world.plan(state.id)
    assert len(under_way(world)) == 1
    world.end()
    assert under_way(world) == ()


def test_killed_at_any_call_it_is_announced_before_there_is_a_plan_and_run_again_it_ends_the_same() -> None:
    for number in range(1, 100):
        world = World()
        world.back_up(a_backup())
        state = world.record()
        kill = KillAt(number)
        world.watch(kill)
        try:
            world.plan(state.id)
        except Crash:
            world.watch(nothing)
            assert under_way(world) or not world.writes_in(RECORDS)
            first = under_way(world)
            world.s3.clock.advance(60)
            written = world.plan(state.id)
            assert under_way(world) == (first or under_way(world))
            assert world.stored_plan(written).state == state.id
            for request in world.requests(written):
                world.copy(request)
            assert world.verify(written).outcome == "restored"
        world.watch(nothing)
        assert [each.execution for each in under_way(world)] == [EXECUTION]
        world.end()
        assert under_way(world) == ()
        if not kill.dead:
            break
    assert number == 19


def test_killed_at_any_call_the_last_step_run_again_ends_it(world: World, state: StateHeader) -> None:
    for number in (1, 2):
        world.plan(state.id)
        world.watch(KillAt(number))
        with pytest.raises(Crash):
            world.end()
        world.watch(nothing)
        world.end()
        assert under_way(world) == ()


GOOD = {"repository": "beta", "state": "latest", "target": {"bucket": "good-name"}, "execution": "tuesday"}


@pytest.mark.parametrize("execution", ["", "a" * 81, "-tuesday", "a b", "a/b", "a#b", "a\n", "a:b", None, 7])
def test_an_execution_s_name_that_is_none_is_refused(execution: object) -> None:
    assert StepRequest.read(GOOD).execution == "tuesday"
    with pytest.raises(RestoreRefused, match=r"malformed \(execution: .+\); nothing was written"):
        StepRequest.read({**GOOD, "execution": execution})
    with pytest.raises(ValidationError, match="execution"):
        EndRequest.model_validate({"repository": "beta", "execution": execution})


def test_without_its_execution_s_name_nothing_is_planned() -> None:
    with pytest.raises(RestoreRefused, match="execution: Field required"):
        StepRequest.read({name: value for name, value in GOOD.items() if name != "execution"})
