"""Until when a version that a kept state names has to be locked.

Security rules:
- A lock is never shortened: one that lasts is left alone, and one that ends soon gets a later end.
- Only governance is set, and only where there is no lock or one of governance: compliance binds its owner too, and is
  somebody else's word. Once it has ended there is none.
- No lock is set for longer than `lock_days`: whoever takes this over can make a prune wait for so long, and no longer.
- No lock is set that ends after the last state that names the version is certain to be kept (`lasting`): a prune waits
  for every lock, and what waits for weeks looks like a flood when it goes.
  This leaves no version of a lasting state without a lock: how long a state lasts is asked anew on every run, a lock is
  set until the next run at least as long as the state is kept then, by all that is known now, and what the run finds
  that lasts longer than it was said to, it locks for longer. Only a person's hold, another verdict or another
  configuration can keep a state that would have gone before the next run, and that run sees it.
- A legal hold is no retention: it ends when somebody ends it, so it counts for nothing here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

GOVERNANCE: Final = "GOVERNANCE"

SLACK = timedelta(minutes=1)
"""What a lock lacks of `lock_days`. The role's maximum is told in days, how S3 rounds a part of one is not documented,
and its clocks differ by seconds: so `lock_days` is never passed, however it counts."""


LATE = timedelta(hours=1)
"""So much later than its schedule says a run may look at a version."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A version's retention, as S3 tells it; it may have ended."""

    mode: str
    """`GOVERNANCE` or `COMPLIANCE`."""
    until: datetime

    def holds(self, now: datetime) -> bool:
        return now < self.until


def soon(lock_days: int) -> timedelta:
    """A lock that lasts for less than this ends soon.

    Half: every pass that ends in time then finds each lock before its end, and a version is not asked for a new one on
    every pass, which costs ten times what looking costs.
    """
    return timedelta(days=lock_days) / 2


def next_look(now: datetime, lock_days: int, interval: timedelta, last_pass: timedelta) -> datetime:
    """When a version that is looked at now is looked at again, at the latest. `interval`: between two runs;
    `last_pass`: how long it took to look at all versions."""
    # Later than soon is told (`locks-late`), and would make everything wait.
    return now + min(interval + last_pass + LATE, soon(lock_days))


def lock_until(now: datetime, lock_days: int) -> datetime:
    """When a lock that is set now ends."""
    return now + timedelta(days=lock_days) - SLACK


def needed(lock: Lock | None, now: datetime, lock_days: int, kept_until: datetime | None) -> datetime | None:
    """Until when a version under `lock` has to be locked anew; None: it is to be left as it is.

    `kept_until`: for how long a state that names it is certain to be kept; None: for good.
    """
    until = lock_until(now, lock_days) if kept_until is None else min(lock_until(now, lock_days), kept_until)
    if until <= now:
        return None
    if lock is not None and lock.holds(now):
        if lock.mode != GOVERNANCE:
            return None
        if lock.until >= until or lock.until - now >= soon(lock_days):
            return None
    return until
