"""When an event is answered by what is already recorded, when it must wait, and when to record; and what came of it.

Security rules:
- A message is a hint. It decides nothing but that the repository of its queue is looked at, and not more
  often than `min_interval`: a flood of events costs a host's owner nothing and expires nothing.
- An event is answered only by a cut that lies after it, never by a recording that merely ended after it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.cut import SETTLE
from functions.domain.state import Cause, Head, StateHeader
from functions.domain.values import Finding
from functions.domain.verdict import Verdict

DELIVERIES = 10
"""How often a queue gives a message out before it is a dead letter. Five waits outlast any recording in flight, one
the interval, two ask for a quiet state; what nobody can answer comes back at once and is through in seconds."""
IN_FLIGHT_PATIENCE = timedelta(seconds=30)
"""How soon to look again while another recording is in flight, doubled with every delivery of the message."""
QUIET_DELIVERIES = 3
"""How often an event may come back for a state without restic at work, before a busy one answers it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Why somebody wants a state."""

    cause: Cause
    sent: datetime | None = None
    """When the event was sent, on AWS's clock; None: now."""
    newest_sent: datetime | None = None
    """When the newest event that the same state can answer was sent."""
    deliveries: int = 1
    at_once: bool = False
    """However short ago the last recording was."""

    def interval(self, usual: timedelta) -> timedelta:
        """How far from the last recording it has to keep; `usual` is the repository's `min_interval`."""
        return timedelta(0) if self.at_once else usual

    @property
    def wants_quiet(self) -> bool:
        return self.cause.reason == "event" and self.deliveries < QUIET_DELIVERIES


@dataclass(frozen=True, slots=True)
class Answered:
    """The newest state already shows all that the event speaks of."""

    by: Head


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing may be recorded before `until`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class HandedOver(NotYet):
    """A workflow records it, and has the lease."""


@dataclass(frozen=True, slots=True)
class Due:
    """Record now."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A new state is the head, and was judged."""

    header: StateHeader
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Refused:
    """No state can be trusted here; the finding says why."""

    finding: Finding


Outcome = Recorded | Answered | NotYet | Refused
"""What came of a wish."""


def decide(
    *,
    sent: datetime,
    head: Head | None,
    now: datetime,
    min_interval: timedelta,
    wants_quiet: bool,
) -> Answered | NotYet | Due:
    """What to do about an event that was sent at `sent`, all times on AWS's clocks.

    `wants_quiet`: a state that was recorded while restic was at work does not answer the event.
    """
    if head is not None and head.cut_time >= sent + SETTLE and not (head.busy and wants_quiet):
        return Answered(by=head)
    if head is not None and now < (earliest := head.recorded_at + min_interval):
        return NotYet(until=earliest, why=f"the last recording was less than {min_interval.total_seconds():.0f} s ago")
    return Due()


def look_again(now: datetime, lease_until: datetime, deliveries: int) -> datetime:
    """When to look again while another recording holds the lease until `lease_until`."""
    return min(lease_until, now + IN_FLIGHT_PATIENCE * (1 << min(deliveries - 1, 10)))
