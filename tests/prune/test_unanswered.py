"""A loss that nobody answers: it must not become what is usual, and take the states before it along."""

from datetime import timedelta

from functions.domain.prune.plan import Phase
from functions.domain.repositories import Retention
from functions.prune.drop_states import drop_states
from functions.prune.lease import take_lease
from tests.builders import named, pack
from tests.domain.consistent.life import DAY
from tests.prune.life_world import World
from tests.restore.world import REPOSITORY

MONTH = 30 * DAY
HOUR = timedelta(hours=1)


def back_up(world: World, text: str, packs: int = 1) -> None:
    keys = [pack(f"{text} {number}") for number in range(packs)]
    objects: dict[str, bytes] = {key: key.encode().ljust(1000, b".") for key in keys}
    objects |= {named(folder, text): text.encode().ljust(100, b".") for folder in ("index", "snapshots")}
    world.back_up(objects)


def a_day(world: World, text: str, packs: int = 1) -> None:
    back_up(world, text, packs)
    world.recorded()
    world.s3.clock.advance(23 * HOUR)


def prune_unless_a_person_is_asked(world: World, execution: str) -> bool:
    world.s3.clock.advance(HOUR)
    world.recorded()
    world.checked(execution)
    world.s3.clock.advance(HOUR)
    planned = world.planned(execution)
    (shelved,) = [each for each in world.shelf.plans(REPOSITORY) if each.plan == planned.plan]
    if shelved.approval != "not-needed":
        return False
    now = world.s3.clock.now()
    take_lease(REPOSITORY, execution, f"token of {execution}", world._lease_ports(), now)
    drop_states(world.repository, world._to_drop(planned), world._drop_ports())
    for phase in Phase:
        world.apply_phase(planned, phase)
    return world.lease.release(REPOSITORY, execution)


def test_a_loss_that_nobody_answered_does_not_become_usual() -> None:
    """All snapshots and packs are hidden and six times as much garbage takes their place. A month later the amounts
    are what is usual: no state since has anything against it."""
    world = World(
        grace_days=MONTH,
        lock_days=14,
        retention=Retention(keep_within=MONTH, days=0, weeks=0, months=0, years=0),
    )
    world.back_up({"config": b"c" * 100, named("keys", "owner"): b"k" * 200})
    for day in range(40):
        a_day(world, f"honest {day}")
    good = {header.id for header in world.kept()}
    mine = [key for key in world.current() if key.startswith(("snapshots/", "data/", "index/"))]
    world.s3.clock.advance(2 * DAY)
    world.hide(*mine)
    for number in range(40):
        back_up(world, f"garbage {number}", packs=6)
    world.recorded()
    world.s3.clock.advance(HOUR)
    for day in range(49):
        a_day(world, f"later {day}", packs=6)
        if day % 7 == 6:
            prune_unless_a_person_is_asked(world, f"week-{day // 7}")
    assert world.approvals.stored == {}
    assert good <= {header.id for header in world.kept()}, "nobody was asked, and the good states were dropped"
