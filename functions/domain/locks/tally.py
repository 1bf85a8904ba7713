"""Adding up what was seen of the locks, over all runs of one pass."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from functions.domain.locks.report import MOST_STATES, LockReport, Refused, StateLocks
from functions.domain.locks.rules import Lock
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one version that kept states name."""

    roots: tuple[Digest, ...]
    """Manifest roots of the states that name it."""
    lock: Lock | None = None
    """What it is under now, as far as is known; None: nothing."""
    was_unlocked: bool = False
    """It had no lock before."""
    extended: bool = False
    """Its lock was set or lengthened."""
    refused: str | None = None
    """Why its lock could not be read, set or lengthened."""
    gone: bool = False
    """It is not there any more."""


@dataclass(slots=True)
class _OfRoot:
    looked_at: int = 0
    unlocked: int = 0
    earliest: datetime | None = None


class Tally:
    """The figures of one pass over the states of `kept`, newest first."""

    def __init__(self, kept: Sequence[StateHeader], begun: LockReport | None = None) -> None:
        """`begun`: the report of the run that this one goes on from."""
        self._kept = kept
        self._roots = {header.manifest_root: _OfRoot() for header in kept}
        self._looked_at = begun.looked_at if begun else 0
        self._extended = begun.extended if begun else 0
        self._were_unlocked = begun.were_unlocked if begun else 0
        self._unlocked = begun.unlocked if begun else 0
        self._gone = begun.gone if begun else 0
        self._refused = Counter({each.why: each.versions for each in begun.refused} if begun else {})
        self._unproven: set[Digest] = set()
        self._begin_from(begun)

    def _begin_from(self, begun: LockReport | None) -> None:
        """A state that was recorded since the pass began is looked at from here on only, and says so."""
        counted = {each.state: each for each in begun.states} if begun else {}
        for header in self._kept:
            if (before := counted.get(header.id)) is not None:
                figures = _OfRoot(before.looked_at, before.unlocked, before.earliest)
                self._roots[header.manifest_root] = figures
                if before.unproven:
                    self._unproven.add(header.manifest_root)

    def add(self, looked: Looked, now: datetime) -> None:
        if looked.gone:
            self._gone += 1
            return
        lock = looked.lock if looked.lock is not None and looked.lock.holds(now) else None
        self._looked_at += 1
        self._extended += looked.extended
        self._were_unlocked += looked.was_unlocked
        self._unlocked += lock is None
        if looked.refused is not None:
            self._refused[looked.refused] += 1
        for root in looked.roots:
            figures = self._roots[root]
            figures.looked_at += 1
            if lock is None:
                figures.unlocked += 1
            else:
                figures.earliest = min(figures.earliest or lock.until, lock.until)

    def report(
        self,
        began: LockReport,
        *,
        made_at: datetime,
        done_until: ObjectKey | None,
        unproven: AbstractSet[Digest],
    ) -> LockReport:
        """All that was counted since the pass of `began` began."""
        return began.model_copy(
            update={
                "made_at": made_at,
                "done_until": done_until,
                "states": tuple(self._states(self._unproven | unproven)),
                "more_states": max(0, len(self._kept) - MOST_STATES),
                "looked_at": self._looked_at,
                "extended": self._extended,
                "were_unlocked": self._were_unlocked,
                "unlocked": self._unlocked,
                "gone": self._gone,
                "refused": tuple(Refused(why=why, versions=count) for why, count in sorted(self._refused.items())),
            }
        )

    def _states(self, unproven: AbstractSet[Digest]) -> Iterator[StateLocks]:
        for header in self._kept[:MOST_STATES]:
            figures = self._roots[header.manifest_root]
            yield StateLocks(
                state=header.id,
                generation=header.generation,
                cut_time=header.cut_time,
                versions=header.objects,
                looked_at=figures.looked_at,
                unlocked=figures.unlocked,
                earliest=figures.earliest,
                unproven=header.manifest_root in unproven,
            )
