"""Months of garbage, daily upkeep and weekly prunes: no kept state's versions are ever open, and nothing that is due
waits for a lock that upkeep set.

What the prune does is marking states as dropped, as its rules say; what it would delete is looked at instead.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from functions.domain.ledger import read_state
from functions.domain.locks.rules import LATE
from functions.domain.retention import JudgedState, decide_fates
from functions.domain.values import StateId
from tests.locks.world import DAY, LOCK_DAYS, World
from tests.restore.world import REPOSITORY, a_backup, a_pack

HOUR = timedelta(hours=1)
DAYS = 75
Pinned = tuple[str, str]
"""Key and version id."""


class Life:
    """A world, and what is known of its states."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.named: dict[StateId, frozenset[Pinned]] = {}
        self.states: dict[StateId, JudgedState] = {}
        self.dropped: set[StateId] = set()

    def back_up(self, day: int) -> None:
        """One pack; each Sunday those of the week before are forgotten."""
        self.world.back_up({a_pack(f"of day {day}".encode()): b"bytes"})
        if day % 7 == 6:
            self.world.hide(*(a_pack(f"of day {old}".encode()) for old in range(max(0, day - 13), day - 6)))
        header = self.world.good()
        versions = read_state(self.world.ledger, header)
        self.named[header.id] = frozenset((str(each.key), str(each.version_id)) for each in versions)
        self.states[header.id] = JudgedState(header.id, header.generation, header.cut_time, clean=True, quiet=True)

    def kept(self) -> set[StateId]:
        """What retention keeps now."""
        states = [state for state in self.states.values() if state.id not in self.dropped]
        rules = self.world.repository
        fates = decide_fates(states, frozenset(), rules.retention, rules.grace_days, self.world.now)
        return {fate.state.id for fate in fates if fate.kept}

    def drop(self) -> None:
        """As a prune does."""
        for state in self.states.keys() - self.kept() - self.dropped:
            header = self.world.ledger.header(REPOSITORY, self.states[state].generation)
            assert header is not None
            self.world.drop(header)
            self.dropped.add(state)

    def needed(self) -> set[Pinned]:
        return {pinned for state in self.kept() for pinned in self.named[state]}

    def unneeded(self) -> set[Pinned]:
        return {pinned for named in self.named.values() for pinned in named} - self.needed()

    def locked(self) -> dict[Pinned, datetime]:
        """Until when each version is, that is."""
        found = {pinned: lock.until for pinned, lock in self.world.locks().items() if lock is not None}
        return {pinned: until for pinned, until in found.items() if until > self.world.now}


@pytest.mark.parametrize("upkeep", [1, 13], ids=["before-the-backup", "after-the-backup"])
@pytest.mark.parametrize(
    "retention",
    [
        {"keep_within": "15d", "days": 0, "weeks": 0},
        {"keep_within": "15d", "days": 3, "weeks": 2},
        {"keep_within": "20d", "days": 4, "weeks": 0},
    ],
    ids=["only-grace", "days-and-weeks", "longer-than-grace"],
)
def test_nothing_kept_is_open_and_nothing_due_waits_for_longer_than_a_day(
    retention: Mapping[str, object], upkeep: int
) -> None:
    world = World(grace_days="15d", retention={**retention, "months": 0, "years": 0})
    world.by_default(LOCK_DAYS)
    world.back_up(a_backup())
    life, midnight = Life(world), world.now
    due: dict[Pinned, datetime] = {}
    waited: dict[Pinned, timedelta] = {}
    for day in range(DAYS):
        for hour in sorted([upkeep, 8]):
            at = midnight + day * DAY + hour * HOUR
            world.s3.clock.advance(at - world.now)
            assert life.needed() <= life.locked().keys()
            if hour == upkeep:
                world.extend()
            else:
                life.back_up(day)
                if day % 7 == 6:
                    life.drop()
            for pinned in life.unneeded():
                due.setdefault(pinned, world.now)
        for pinned, until in life.locked().items():
            if pinned in due:
                waited[pinned] = until - due[pinned]
    assert len(due) > 30
    assert max(waited.values(), default=DAY) <= DAY + LATE
