"""The lease that makes one prune at a time the only one that drops and deletes.

Security rules:
- It never ends by time alone. A prune that is slow, or that waits for a throttled service, keeps it.
- It is taken over only from an execution that has ended, and only once a function that this execution had called
  must have ended, too: FUNCTION_TIMEOUT later. Whoever still ran would delete beside the new owner.
- Each owner has a token of its own, read consistently before each call that deletes: who lost the lease stops.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.prune.plan import VALID_FOR

FUNCTION_TIMEOUT = timedelta(minutes=15)
"""The longest that Lambda lets a function run."""


class LeaseHeld(Exception):
    """Another prune has the lease; nothing was dropped and nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may drop and delete, or who could last."""

    token: str
    """Differs with each time that the lease is taken."""
    execution: str
    taken_at: datetime
    released: bool = False


def over_at(lease: Lease, ended_at: datetime | None) -> datetime:
    """When nothing of the execution that has the lease, and that is known to have ended, can run any longer.

    `ended_at` None: it is not known when. Its plan was drawn before it took the lease, and an expired plan is never
    applied.
    """
    return (ended_at or lease.taken_at + VALID_FOR) + FUNCTION_TIMEOUT
