"""Until when a version that a kept state names has to be locked.

Security rules:
- A lock is never shortened: one that lasts is left alone, and one that ends soon gets a later end.
- Only governance is set, and only where there is no lock or one of governance: compliance binds its owner too, and is
  somebody else's word. Once it has ended there is none.
- No lock is set for longer than `lock_days`: whoever takes this over can make a prune wait for so long, and no longer.
- A legal hold is no retention: it ends when somebody ends it, so it counts for nothing here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

GOVERNANCE: Final = "GOVERNANCE"

SLACK = timedelta(minutes=1)
"""What a lock lacks of `lock_days`. The role's maximum is told in days, how S3 rounds a part of one is not documented,
and its clocks differ by seconds: so `lock_days` is never passed, however it counts."""


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


def lock_until(now: datetime, lock_days: int) -> datetime:
    """When a lock that is set now ends."""
    return now + timedelta(days=lock_days) - SLACK


def needed(lock: Lock | None, now: datetime, lock_days: int) -> datetime | None:
    """Until when a version under `lock` has to be locked anew; None: it is to be left as it is."""
    if lock is not None and lock.holds(now):
        if lock.mode != GOVERNANCE:
            return None
        if lock.until - now >= soon(lock_days):
            return None
    return lock_until(now, lock_days)
