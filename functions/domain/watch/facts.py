"""What the watch gathers of one repository, before it decides anything.

Each fact is there, or is `Unread` with the reason: what could not be read is never taken for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Literal

from functions.domain.locks.report import LockReport
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.restore.drill import DrillReport
from functions.domain.state import StateHeader
from functions.domain.values import Severity, StateId
from functions.domain.verdict import NEWEST_SNAPSHOT, CheckLevel, Verdict

MOST_HEADERS = 20
"""Of the newest states: enough to see whether backups keep ending incomplete."""
MOST_VERDICTS = 500
"""Of the newest states: a level at which none of them was judged stays as the watch knew it."""
MOST_PLANS = 3
"""Of the newest plans that needed an approval."""


class Source(StrEnum):
    """Where facts come from; each is read, or is not, by itself."""

    STATES = "states"
    VERDICTS = "verdicts"
    POSTURE = "posture"
    PLANS = "plans"
    PRUNES = "prunes"
    DRILLS = "drills"
    LOCKS = "locks"
    DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True)
class Unread:
    """A fact that could not be read."""

    why: str
    """The kind of error, or what a stored document has against it; no key, no path."""


@dataclass(frozen=True, slots=True)
class States:
    """The chain's two ends."""

    newest: tuple[StateHeader, ...]
    """Newest first, MOST_HEADERS at most; none before the first is recorded."""
    first: StateHeader | None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the newest states were judged to be."""

    by_level: Mapping[CheckLevel, Verdict]
    """The newest of each level at which any of the newest states was judged."""
    snapshot: tuple[StateId, datetime] | None = None
    """The newest state of which it is known when its newest snapshot was written, and when that was."""
    earlier: tuple[Verdict, ...] = ()
    """All others that were read."""


def newest_of_each_level(verdicts: Iterable[Verdict]) -> Verdicts:
    """`verdicts` as a VerdictReader gives them: those of the newest state first."""
    by_level: dict[CheckLevel, Verdict] = {}
    snapshot = None
    read = list(islice(verdicts, MOST_VERDICTS))
    for verdict in read:
        known = by_level.setdefault(verdict.level, verdict)
        # Of two of the same second the worse one counts.
        if (known.generation, known.judged_at) == (verdict.generation, verdict.judged_at) and _worse(verdict, known):
            by_level[verdict.level] = verdict
        seconds = verdict.figures.get(NEWEST_SNAPSHOT)
        if snapshot is None and seconds is not None:
            snapshot = (verdict.state, datetime.fromtimestamp(seconds, UTC))
    return Verdicts(by_level, snapshot, tuple(each for each in read if by_level[each.level] != each))


def _worse(one: Verdict, other: Verdict) -> bool:
    order = ("pass", "hold", "fail")
    return order.index(one.outcome) > order.index(other.outcome)


@dataclass(frozen=True, slots=True)
class PostureFinding:
    """What the newest posture found. It was told when it was found, or there would be no such posture."""

    id: str
    severity: Severity
    since: datetime
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DecidedPlan:
    """A plan that needed an approver, and what was decided on it."""

    plan: ShelvedPlan
    decided: Approval | None


PruneStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]


@dataclass(frozen=True, slots=True)
class Prune:
    """One execution of the prune workflow that was no dry run."""

    execution: str
    status: PruneStatus
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    """The name that the workflow ended by; its cause may name objects, and is not told."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered of one repository."""

    now: datetime
    """AWS's clock."""
    states: States | Unread
    verdicts: Verdicts | Unread
    posture: tuple[PostureFinding, ...] | Unread | None
    """None: none was made yet."""
    plans: tuple[DecidedPlan, ...] | Unread
    prunes: tuple[Prune, ...] | Unread
    """Newest first, as far as Step Functions was asked."""
    drill: DrillReport | Unread | None
    """The newest."""
    locks: LockReport | Unread | None
    """Of the newest lock upkeep."""

    @property
    def unread(self) -> Mapping[Source, str]:
        """Which could not be read, and why."""
        read = {
            Source.STATES: self.states,
            Source.VERDICTS: self.verdicts,
            Source.POSTURE: self.posture,
            Source.PLANS: self.plans,
            Source.PRUNES: self.prunes,
            Source.DRILLS: self.drill,
            Source.LOCKS: self.locks,
        }
        return {source: fact.why for source, fact in read.items() if isinstance(fact, Unread)}

    @property
    def newest(self) -> StateHeader | None:
        """The newest state, as far as it could be read."""
        return next(iter(self.states.newest), None) if isinstance(self.states, States) else None

    @property
    def newest_snapshot(self) -> datetime | None:
        """When the newest snapshot was written, as of the newest state; None: it has none, or nobody knows."""
        newest = self.newest
        if newest is None or isinstance(self.verdicts, Unread) or self.verdicts.snapshot is None:
            return None
        state, written = self.verdicts.snapshot
        return written if state == newest.id else None
