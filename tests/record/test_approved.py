"""What a person approved is found no more in the states after it; what came after it is, however slowly it comes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from functions.domain.documents import UnreadableDocument
from functions.domain.prune.approval import Approval
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName
from functions.record.judging import look_back
from tests.builders import named
from tests.check.consistent_world import Check
from tests.fakes.plans import FakeApprovals
from tests.record.lived import DAY, back_up, current, lived, write
from tests.record.test_judging import CountingLedger, drop
from tests.record.world import World

MAINTAINED: dict[str, Any] = {"maintenance": "create"}
LOSS = {"snapshots-dropped", "data-dropped", "old-data-dropped", "snapshot-removed-too-young"}


def lost(share: float = 0.5) -> World:
    """A good life; then half of the snapshots and packs are gone, and the schedule has recorded it."""
    world = lived(**MAINTAINED)
    lose(world, share)
    seen(world)
    return world


def lose(world: World, share: float) -> None:
    for folder in ("snapshots/", "data/"):
        keys = current(world, folder)
        for key in keys[: round(len(keys) * share)]:
            world.hide(key)


def seen(world: World) -> set[str]:
    """What the next event's verdict says, and a check of the same state does."""
    world.clock.advance(120)
    world.event()
    said = world.said()
    assert Check(world).found() == said
    return said


def days(world: World, count: int) -> Iterator[set[str]]:
    """Honest days."""
    for number in range(count):
        world.clock.advance(DAY)
        back_up(world, f"{world.clock.now():%Y-%m-%d} {number}")
        yield seen(world)


def test_a_loss_stands_until_a_person_approves_and_is_found_no_more_after() -> None:
    world = lost()
    assert world.said() == LOSS
    assert all("snapshot-removed-too-young" in said for said in days(world, 3))
    world.approve(world.headers()[0])
    assert list(days(world, 40)) == [set()] * 40


def test_the_state_that_was_approved_is_itself_found_to_be_good_by_the_next_check() -> None:
    world = lost()
    world.approve(world.headers()[0])
    assert Check(world).found() == set()
    assert Check(world).found(world.headers()[1].id) == set()


def test_a_rejection_excuses_nothing() -> None:
    world = lost()
    world.approve(world.headers()[0], "rejected")
    assert seen(world) == LOSS


def test_an_approval_of_an_older_states_plan_excuses_nothing_that_came_after_that_state() -> None:
    """He strikes while a plan of a good state waits for its approval, which comes last of all."""
    world = lived(**MAINTAINED)
    good = world.headers()[0]
    lose(world, 0.5)
    world.clock.advance(timedelta(hours=1))
    world.approve(good)
    assert seen(world) == LOSS
    assert list(days(world, 2))[-1] >= {"snapshots-dropped", "snapshot-removed-too-young"}


def test_a_loss_between_the_approved_state_and_its_approval_adds_to_nothing_that_was_approved() -> None:
    """Half was approved; that half of the rest goes, an hour before the approval, was not."""
    world = lost()
    approved = world.headers()[0]
    lose(world, 0.5)
    world.clock.advance(timedelta(hours=1))
    world.approve(approved)
    assert seen(world) >= {"snapshots-dropped", "data-dropped"}


def test_slow_erosion_after_an_approval_shows() -> None:
    world = lost()
    world.approve(world.headers()[0])
    left = len(current(world, "snapshots/"))
    said: set[str] = set()
    for day in range(10):
        for key in sorted(current(world, "snapshots/"))[:2]:
            world.hide(key)
        write(world, named("snapshots", f"garbage {day}"))
        said = seen(world)
        if "snapshots-dropped" in said:
            break
        world.clock.advance(DAY)
    assert "snapshots-dropped" in said
    assert len(current(world, "snapshots/")) > left * 0.7


def test_erosion_slower_than_a_baseline_looks_back_shows_against_the_approved_state() -> None:
    """A snapshot a fortnight, and nothing new: no month loses a fifth of them, and the sixth of 25 is one."""
    world = lived(**MAINTAINED, minimum_snapshot_age="1m", max_state_age="9999d")
    world.clock.advance(8 * DAY)
    assert seen(world) == set()
    world.approve(world.headers()[0])
    weeks = 0
    while "snapshots-dropped" not in world.said():
        world.hide(min(current(world, "snapshots/")))
        world.clock.advance(14 * DAY)
        seen(world)
        weeks += 2
        assert weeks < 20, "it is not found"
    assert weeks == 12


def test_key_files_that_were_approved_are_known_even_when_the_approved_state_was_dropped() -> None:
    world = lived(**MAINTAINED)
    write(world, named("keys", "a second"))
    assert seen(world) == {"key-file-added"}
    world.approve(world.headers()[0])
    assert list(days(world, 3)) == [set()] * 3
    drop(world, world.headers()[3])
    assert list(days(world, 1)) == [set()]
    write(world, named("keys", "a third"))
    assert seen(world) == {"key-file-added"}


def test_approvals_that_cannot_be_read_excuse_nothing_and_keep_no_state_from_being_recorded() -> None:
    class Unreadable(FakeApprovals):
        def approvals(self, repository: RepositoryName) -> tuple[Approval, ...]:
            raise UnreadableDocument("of a newer version")

    world = lost()
    world.approve(world.headers()[0])
    world.approvals = Unreadable()
    world.clock.advance(120)
    world.event()
    assert world.said() == LOSS


# --- how far record looks back for it ----------------------------------------------------------------------


def long_lived() -> tuple[World, list[StateHeader]]:
    world = World.with_settings(thresholds={"baseline_days": 3})
    world.ledger = CountingLedger()
    write(world, "config")
    write(world, named("keys", "the owner's"))
    for day in range(40):
        back_up(world, f"day {day}")
        world.event()
        world.clock.advance(DAY)
    return world, world.headers()


def looked_back(world: World) -> list[int]:
    world.ledger.taken = 0  # type: ignore[attr-defined]
    past = look_back(world.repository, world.clock.now(), world.ledger, world.approvals)
    assert past.approved is not None
    assert past.cuts(world.clock.now())[0] == past.headers[-1].cut_time
    return [header.generation for header in past.headers]


def test_an_old_approved_state_is_read_by_its_place_and_is_what_entries_are_compared_with() -> None:
    world, headers = long_lived()
    world.approve(headers[-20])
    assert looked_back(world) == [*range(40, 30, -1), 20]
    # 3 days and a week, one before them; the approved one with the week before it; and that one once more.
    assert world.ledger.taken == 10 + 8 + 1  # type: ignore[attr-defined]


def test_where_the_approved_state_was_dropped_the_next_kept_one_is_found() -> None:
    world, headers = long_lived()
    world.approve(headers[-20])
    drop(world, headers[-20], headers[-21])
    assert looked_back(world) == [*range(40, 30, -1), 22]
