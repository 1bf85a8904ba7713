"""For how long what kept states name is needed: no lock goes beyond that, or a prune waits for it.

Security rules:
- What a prune would drop now gets no new lock. All others are locked at least until they are looked at again, unless
  the states that there are say today already that they go before: nothing but a hold, another verdict or another
  configuration keeps them then, and the next run sees it.
- Of states that no clock alone ends, what they name is locked for as long as may be.
- What is named by several is needed for as long as by the one that lasts longest.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.locks.names import Namers
from functions.domain.retention import Fate
from functions.domain.values import StateId

INSTANT = timedelta(seconds=1)
"""A state is kept at the instant at which it is certain for the last time; a lock that ends then has ended."""

Until = datetime | None
"""Needed until then; None: for as long as can be told."""


class Lasting:
    """Until when each of the kept states is needed. A state that nothing is known of is needed for good."""

    def __init__(self, now: datetime, untils: Mapping[StateId, Until]) -> None:
        self.now = now
        self._untils = untils
        self._found: dict[tuple[Namers, ...], Until] = {}

    def state(self, state: StateId) -> Until:
        return self._untils.get(state)

    def of(self, namers: tuple[Namers, ...]) -> Until:
        """Until when a version is needed that these name."""
        if namers not in self._found:
            self._found[namers] = _latest([self.state(state) for each in namers for state in each.states])
        return self._found[namers]

    def is_due(self, until: Until) -> bool:
        """Whether it is not needed any more: the next prune drops the last state that names it."""
        return until is not None and until <= self.now


def lasting(fates: Callable[[datetime], Iterable[Fate]], now: datetime, next_look: datetime) -> Lasting:
    """`fates`: what becomes of the states that there are now, at an instant; `next_look`: when all is looked at again,
    at the latest."""
    then = {fate.state.id for fate in fates(next_look) if fate.kept}
    untils: dict[StateId, Until] = {}
    for fate in fates(now):
        if not fate.kept:
            untils[fate.state.id] = now
        elif fate.until is None:
            untils[fate.state.id] = None
        else:
            until = fate.until + INSTANT
            # Where it is kept at the next look, less is certain, and more is likely.
            untils[fate.state.id] = max(until, next_look) if fate.state.id in then else until
    return Lasting(now, untils)


def _latest(untils: Sequence[Until]) -> Until:
    known = [until for until in untils if until is not None]
    return max(known) if known and len(known) == len(untils) else None
