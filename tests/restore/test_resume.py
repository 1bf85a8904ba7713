"""A restore that is killed anywhere, and run again, ends as if nothing had happened; and it ends right or refuses."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.restore.plan import Wishes
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import RestoreRefused
from functions.domain.roots import content_root
from functions.domain.values import ObjectKey
from tests.fakes.faults import CallLog, Crash, Moment
from tests.restore.world import (
    EXECUTION,
    RECORDS,
    TARGET,
    Copies,
    DieAt,
    World,
    a_backup,
    a_pack,
)

DAMAGED = a_pack(b"pack 0")


def a_world() -> World:
    """A state with a damaged pack and an alien key, and a target that already holds a part of it."""
    world = World()
    world.back_up({**a_backup(), DAMAGED: b"garbage", "notes/alien.txt": b"", f"locks/{'0' * 64}": b"a lock"})
    world.s3.put(TARGET, "config", b"the config")
    return world


def outcome(report: RestoreReport) -> dict[str, object]:
    """What must not depend on where a run was killed: all but who copied what in which attempt."""
    return report.model_dump(exclude={"copied", "copied_bytes", "skipped"})


@functools.cache
def undisturbed() -> tuple[dict[str, object], dict[str, bytes], int, set[str]]:
    """The report, the target, the number of calls, and the records of a run that nothing killed."""
    world = a_world()
    state = world.record()
    log = CallLog()
    world.watch(log)
    report = world.restore(state.id)
    return outcome(report), world.restored(), len(log.calls) // 2, records(world)


def records(world: World) -> set[str]:
    return {entry.version.key for entry in world.s3.everything(RECORDS)}


CALLS = range(1, undisturbed()[2] + 1)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", CALLS)
def test_killed_at_any_call_and_run_again_it_ends_as_if_nothing_had_happened(at: int, moment: Moment) -> None:
    report, target, _, files = undisturbed()
    world = a_world()
    state = world.record()
    death = DieAt(at, moment)
    world.watch(death)
    with pytest.raises(Crash):
        world.restore(state.id)
    copies = Copies()
    world.watch(copies)
    again = world.restore(state.id)
    assert outcome(again) == report
    assert world.restored() == target
    assert records(world) == files
    assert world.writes_in(TARGET) == len(target), "no object was ever copied twice"


LOCKED = Wishes(lock_days=30)


def locks(world: World) -> set[tuple[str, int]]:
    """Keys of the target, with the days for which they are locked."""
    now = world.s3.clock.now()
    return {
        (entry.version.key, (entry.version.retention.until - now).days if entry.version.retention else 0)
        for entry in world.s3.everything(TARGET)
        if entry.is_latest
    }


@functools.cache
def undisturbed_locks() -> tuple[set[tuple[str, int]], int]:
    world = a_world()
    state = world.record()
    log = CallLog()
    world.watch(log)
    world.restore(state.id, wishes=LOCKED)
    # What has no lock yet answers with an error, after which there is no second moment.
    return locks(world), sum(call.moment is Moment.AFTER for call in log.calls)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("at", range(1, undisturbed_locks()[1] + 1))
def test_killed_at_any_call_every_copy_is_locked_in_the_end(at: int, moment: Moment) -> None:
    wanted, _ = undisturbed_locks()
    assert {days for _, days in wanted} == {29}
    world = a_world()
    state = world.record()
    world.watch(DieAt(at, moment))
    with pytest.raises(Crash):
        world.restore(state.id, wishes=LOCKED)
    world.watch(Copies())
    world.restore(state.id, wishes=LOCKED)
    assert locks(world) == wanted
    assert world.writes_in(TARGET) == len(wanted), "no object was ever copied twice"


@pytest.mark.parametrize("moment", list(Moment))
def test_killed_twice_in_a_row_it_still_ends_right(moment: Moment) -> None:
    report, target, calls, _ = undisturbed()
    world = a_world()
    state = world.record()
    for at in (calls // 2, calls // 2, calls - 1):
        world.watch(DieAt(at, moment))
        with pytest.raises(Crash):
            world.restore(state.id)
    world.watch(Copies())
    assert outcome(world.restore(state.id)) == report
    assert world.restored() == target


def test_a_batch_that_is_delivered_twice_changes_nothing() -> None:
    world = a_world()
    written = world.plan(world.record().id)
    [request] = world.requests(written)
    first = world.copy(request)
    before = world.restored()
    assert world.copy(request).proven == first.proven
    assert world.restored() == before
    assert outcome(world.verify(written)) == undisturbed()[0]


def test_a_restore_begun_by_one_execution_is_finished_by_another() -> None:
    world = World()
    contents = [str(number).encode() for number in range(510)]
    world.back_up({a_pack(content): content for content in contents})
    state = world.record()
    first = world.plan(state.id)
    [one, _] = world.requests(first, "monday")
    world.copy(one)
    assert world.verify(first, "monday").outcome == "incomplete"
    copies = Copies()
    world.watch(copies)
    report = world.restore(state.id, execution=EXECUTION)
    assert len(copies.keys) == 10
    assert (report.outcome, report.copied, report.skipped) == ("restored", 10, 500)


def test_batches_in_any_order_end_the_same() -> None:
    world = World()
    contents = [str(number).encode() for number in range(510)]
    world.back_up({a_pack(content): content for content in contents})
    written = world.plan(world.record().id)
    for request in reversed(world.requests(written)):
        world.copy(request)
    assert world.verify(written).outcome == "restored"


def test_a_target_that_holds_what_a_name_promises_keeps_it_though_the_states_own_bytes_are_damaged() -> None:
    world = World()
    pack = a_pack(b"good")
    world.back_up({pack: b"evil"})
    world.s3.put(TARGET, world.target.key_prefix + pack, b"good")
    assert world.restore(world.record().id).outcome == "restored"
    assert world.restored() == {pack: b"good"}


# --- the property: identical, or refused with the target untouched ---------------------------------

odd_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda key: not key.startswith("locks/")
)
contents = st.binary(max_size=3)
objects = st.one_of(
    contents.map(lambda content: (a_pack(content), content)),
    st.tuples(contents.map(a_pack), contents),
    st.tuples(st.one_of(st.just("config"), odd_keys), contents),
)


@settings(max_examples=150, deadline=None)
@given(
    state=st.lists(objects, max_size=8).map(dict),
    held=st.data(),
    foreign=st.lists(objects, max_size=2).map(dict),
    prefix=st.sampled_from(["", "into/here"]),
)
def test_a_restore_ends_identical_or_refuses_with_the_target_untouched(
    state: dict[str, bytes], held: st.DataObject, foreign: dict[str, bytes], prefix: str
) -> None:
    world = World(target_prefix=prefix)
    world.back_up(state)
    header = world.record()
    kept = held.draw(st.sets(st.sampled_from(sorted(state)))) if state else set()
    before = {**{key: state[key] for key in kept}, **foreign}
    for key, content in before.items():
        world.s3.put(TARGET, world.target.key_prefix + key, content)
    try:
        report = world.restore(header.id)
    except RestoreRefused:
        assert world.restored() == before
        assert world.writes_in(TARGET) == len(before)
        assert world.writes_in(RECORDS) == 0
        assert any(state.get(key) != content for key, content in before.items()), "refused without a reason"
    else:
        # The one difference there may be: the target held what a name promises, and the state's own bytes are damaged.
        better = {key: content for key, content in before.items() if key == a_pack(content)}
        assert world.restored() == {**state, **better}
        damaged = {
            key for key, content in state.items() if key.startswith("data/") and key not in (a_pack(content), *better)
        }
        assert {each.key for each in report.troubles} == damaged
        assert report.outcome == ("restored-damaged" if damaged else "restored")
        sizes = ((ObjectKey(key), len(state[key])) for key in sorted(state))
        assert report.found_content_root == content_root(sizes)
