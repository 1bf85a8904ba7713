"""Whatever a host did and however long it waited: the plan is exactly what the definition allows, and applying it
harms no kept state and brings nothing back."""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from functions.domain.prune.plan import Phase
from functions.domain.prune.rules import PruneRules
from functions.domain.restic import is_under_locks
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion
from tests.builders import named, pack
from tests.cuts import take_cut
from tests.domain.prune.world import BUCKET, DAY, RULES, Recorded, World

KEYS = [pack("a"), named("snapshots", "s"), named("locks", "l"), "ransom.txt"]
MORE = settings(max_examples=4 * settings().max_examples)
"""One example takes some milliseconds, and few of them get to the traps."""
Action = tuple[str, str]
keys = st.sampled_from(KEYS)
host = st.one_of(
    st.tuples(st.sampled_from(["put", "hide", "put", "hide", "begin"]), keys),
    st.tuples(st.sampled_from(["complete", "record", "record"]), st.just("")),
    st.tuples(st.just("days"), st.sampled_from(["0.5", "4", "10", "11"])),
)
lives = st.tuples(st.lists(host, min_size=4, max_size=25), st.sampled_from(["11", "11", "0", "0.5", "9"])).map(
    lambda found: [*found[0], ("days", found[1])]
)
"""The last days are how long the prune comes after the host; half of the time, all is past its grace by then."""
since = st.lists(host, max_size=8)


def live(world: World, actions: Sequence[Action]) -> None:
    does: dict[str, Callable[[str], object]] = {
        "put": world.put,
        "hide": world.hide,
        "begin": world.begin_upload,
        "complete": lambda _: world.complete_upload(),
        "record": lambda _: world.record(),
        "days": lambda days: world.days(float(days)),
    }
    for name, argument in actions:
        does[name](argument)


def lived(actions: Sequence[Action], kept: set[int]) -> tuple[World, list[Recorded]]:
    """A world, and its kept states: those of these numbers, and the fresh one."""
    world = World()
    world.put("config")
    live(world, actions)
    fresh = world.record()
    return world, [each for number, each in enumerate(world.states[:-1]) if number in kept] + [fresh]


# --- the definition, said once more and slowly -----------------------------------------------------


def by_definition(world: World, kept: Sequence[Recorded], rules: PruneRules) -> set[tuple[str, str]]:
    """What DESIGN lets go, entry by entry."""
    allowed: set[tuple[str, str]] = set()
    for key, group in groupby(world.listing(), key=lambda entry: entry.key):
        entries = list(group)
        for index, entry in enumerate(entries):
            if isinstance(entry, ObjectVersion):
                goes = _version_goes(world, kept, rules, entries, index)
            else:
                beneath = [number for number in range(index + 1, len(entries)) if _is_version(entries[number])]
                goes = all(_version_goes(world, kept, rules, entries, number) for number in beneath) and _long_since(
                    world, rules, entries[index - 1] if index else entry
                )
            if goes:
                allowed.add((key, entry.version_id))
    return allowed


def _version_goes(
    world: World, kept: Sequence[Recorded], rules: PruneRules, entries: list[ListedVersion], index: int
) -> bool:
    entry = entries[index]
    named = any(
        (each.key, each.version_id) == (entry.key, entry.version_id) for state in kept for each in state.entries
    )
    noncurrent = index > 0
    return not named and noncurrent and _long_since(world, rules, entries[index - 1])


def _long_since(world: World, rules: PruneRules, successor: ListedVersion) -> bool:
    multipart = isinstance(successor, ObjectVersion) and "-" in successor.etag
    grace = rules.locks_grace if is_under_locks(successor.key) else rules.grace
    return not multipart and successor.last_modified <= world.now - grace


def _is_version(entry: ListedVersion) -> bool:
    return isinstance(entry, ObjectVersion)


# --- properties ------------------------------------------------------------------------------------


@MORE
@given(lives, st.sets(st.integers(0, 12)))
def test_the_plan_is_exactly_what_the_definition_allows(actions: list[Action], numbers: set[int]) -> None:
    world, kept = lived(actions, numbers)
    drawn = world.plan(kept)
    assert drawn.versions | drawn.markers == by_definition(world, kept, RULES)
    event(f"planned: {min(len(drawn.versions), 3)} versions, {min(len(drawn.markers), 2)} markers")


@MORE
@given(lives, st.sets(st.integers(0, 12)))
def test_nothing_named_nothing_current_and_nothing_of_a_young_or_multipart_successor_is_planned(
    actions: list[Action], numbers: set[int]
) -> None:
    world, kept = lived(actions, numbers)
    drawn = world.plan(kept)
    planned = drawn.versions
    assert planned.isdisjoint(name for state in kept for name in state.names)
    assert planned.isdisjoint(world.current().items())
    for _, group in groupby(world.listing(), key=lambda entry: entry.key):
        entries = list(group)
        for successor, entry in pairwise(entries):
            if (entry.key, entry.version_id) in planned:
                assert isinstance(successor, DeleteMarker) or "-" not in successor.etag
                assert world.now - successor.last_modified >= (DAY if is_under_locks(entry.key) else RULES.grace)


@MORE
@given(lives, st.sets(st.integers(0, 12)), since, since)
def test_applying_a_plan_harms_no_state_and_changes_nothing_that_anybody_sees(
    actions: list[Action], numbers: set[int], meanwhile: list[Action], in_between: list[Action]
) -> None:
    """The host goes on between plan and apply, and between the phases; what it uploads in parts may land at the very
    end. A twin in which nothing was pruned shows the same current versions throughout."""
    world, kept = lived(actions, numbers)
    twin, _ = lived(actions, numbers)
    drawn = world.plan(kept)
    before = len(world.states)
    live(world, meanwhile)
    live(twin, meanwhile)
    kept = [*kept, *world.states[before:]]

    world.apply(drawn, kept, between=lambda: live(world, in_between))

    live(twin, in_between)
    assert world.current() == twin.current()
    there = {(entry.key, entry.version_id) for entry in world.listing()}
    for state in [*kept, *world.states[before:]]:
        assert there.issuperset(state.names), "a version that a kept state names was deleted"
        if fold(twin, state) == state.names:
            assert fold(world, state) == state.names, "the past looks different now"
    while world.uploads:
        world.complete_upload()
        twin.complete_upload()
    assert world.current() == twin.current(), "a hidden object came back"


def fold(world: World, state: Recorded) -> list[tuple[str, str]]:
    """What a listing says today of the instant that `state` describes."""
    return [(each.key, each.version_id) for each in take_cut(world.listing(), state.header.cut_time).versions]


@given(lives, st.sets(st.integers(0, 12)))
def test_a_prune_that_runs_again_finds_nothing_more_and_nothing_less(actions: list[Action], numbers: set[int]) -> None:
    """Deleting what may go makes nothing undeletable; what becomes deletable by it goes with the next prune."""
    world, kept = lived(actions, numbers)
    first = world.plan(kept)
    world.apply(first, kept)
    there = {(entry.key, entry.version_id) for entry in world.listing()}
    pending = {upload.key for upload in world.s3.list_multipart_uploads(BUCKET)}
    assert there.isdisjoint(first.versions)
    assert {key for key, _ in there & first.markers} <= pending
    for _ in range(len(there) + 1):
        again = world.plan(kept)
        if not again.versions:
            break
        world.apply(again, kept)
    assert not world.plan(kept).versions


@given(lives, st.sets(st.integers(0, 12)), st.data())
def test_a_crash_anywhere_loses_nothing_and_running_again_finishes(
    actions: list[Action], numbers: set[int], data: st.DataObject
) -> None:
    world, kept = lived(actions, numbers)
    twin, _ = lived(actions, numbers)
    drawn = world.plan(kept)
    done = data.draw(st.sets(st.sampled_from(sorted(drawn.versions)))) if drawn.versions else set()
    for key, version_id in sorted(done):
        world.s3.delete_version(BUCKET, key, version_id)
    for each in (world, twin):
        each.apply(drawn, kept)
    assert world.listing() == twin.listing()


# --- by hand: the traps that random lives rarely find -----------------------------------------------


@pytest.fixture
def world() -> World:
    world = World()
    world.put("config")
    return world


def test_a_month_old_upload_that_is_completed_under_a_marker_does_not_come_back(world: World) -> None:
    world.begin_upload(pack("a"))
    world.put(pack("a"))
    world.hide(pack("a"))
    world.days(30)
    kept = [world.record()]
    drawn = world.plan(kept)
    assert len(drawn.markers) == 1
    world.apply(drawn, kept)
    world.complete_upload()
    assert pack("a") not in world.current()


def test_an_upload_that_is_completed_between_the_phases_keeps_its_marker(world: World) -> None:
    world.begin_upload(pack("a"))
    world.put(pack("a"))
    world.hide(pack("a"))
    world.days(30)
    kept = [world.record()]
    world.apply(world.plan(kept), kept, between=world.complete_upload)
    assert pack("a") not in world.current()


def test_an_old_upload_that_is_completed_over_the_only_good_version_hides_it_today(world: World) -> None:
    world.put(pack("a"))
    world.begin_upload(pack("a"))
    world.days(30)
    world.complete_upload()
    kept = [world.record()]
    assert world.plan(kept).versions == set()


def test_an_object_that_was_hidden_and_uploaded_again_shows_its_absence_for_as_long_as_its_first_version_stays(
    world: World,
) -> None:
    world.put(pack("a"))
    first = world.record()
    world.hide(pack("a"))
    absent = world.record()
    world.days(20)
    world.put(pack("a"))
    world.days(20)
    kept = [first, absent, world.record()]
    drawn = world.plan(kept)
    assert (drawn.versions, drawn.markers) == (set(), set())
    drawn = world.plan([absent, kept[-1]])
    assert (len(drawn.versions), len(drawn.markers)) == (1, 1)


def test_an_object_that_came_back_and_was_recorded_after_the_plan_was_drawn_stays(world: World) -> None:
    """Only who may delete versions can bring one back; RWM does not finish that one's work."""
    world.put(pack("a"))
    marker = world.hide(pack("a"))
    world.days(20)
    kept = [world.record()]
    drawn = world.plan(kept)
    world.s3.delete_version(BUCKET, pack("a"), marker)
    back = world.record()
    world.hide(pack("a"))
    world.days(20)
    world.apply(drawn, [*kept, back])
    assert {(entry.key, entry.version_id) for entry in world.listing()}.issuperset(back.names)
    assert ObjectKey(pack("a")) in {key for key, _ in back.names}


def test_phases_in_order_are_what_keeps_hidden_objects_hidden(world: World) -> None:
    world.put(pack("a"))
    world.hide(pack("a"))
    world.days(20)
    drawn = world.plan([world.record()])
    assert [batch.planned.phase for batch in drawn.batches] == [Phase.VERSIONS, Phase.MARKERS]
