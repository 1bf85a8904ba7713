"""Adding up what was seen of the locks, over all runs of one pass."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from functions.domain.locks.names import Namers
from functions.domain.locks.report import MOST_STATES, LockReport, Refused, StateLocks
from functions.domain.locks.rules import Lock
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, StateId


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one version that kept states name."""

    by: tuple[Namers, ...]
    """The states that name it."""
    lock: Lock | None = None
    """What it is under now, as far as is known; None: nothing."""
    was_unlocked: bool = False
    """It had no lock before."""
    extended: bool = False
    """Its lock was set or lengthened."""
    refused: str | None = None
    """Why its lock could not be read, set or lengthened."""
    due: bool = False
    """Nothing needs it any more: it is no fault that it has no lock."""
    gone: bool = False
    """It is not there any more."""


@dataclass(slots=True)
class _Figures:
    looked_at: int = 0
    unlocked: int = 0
    earliest: datetime | None = None

    def add(self, other: "_Figures") -> None:
        self.looked_at += other.looked_at
        self.unlocked += other.unlocked
        ends = (each for each in (self.earliest, other.earliest) if each is not None)
        self.earliest = min(ends, default=None)


class Tally:
    """The figures of one pass over the states of `kept`, newest first."""

    def __init__(self, kept: Sequence[StateHeader], begun: LockReport | None = None) -> None:
        """`begun`: the report of the run that this one goes on from."""
        self._kept = kept
        self._before: dict[StateId, StateLocks] = {each.state: each for each in begun.states} if begun else {}
        """A state that was recorded since the pass began is looked at from here on only, and says so."""
        self._by: dict[Namers, _Figures] = {}
        self._looked_at = begun.looked_at if begun else 0
        self._extended = begun.extended if begun else 0
        self._were_unlocked = begun.were_unlocked if begun else 0
        self._unlocked = begun.unlocked if begun else 0
        self._due = begun.due if begun else 0
        self._gone = begun.gone if begun else 0
        self._refused = Counter({each.why: each.versions for each in begun.refused} if begun else {})

    def add(self, looked: Looked, now: datetime) -> None:
        if looked.gone:
            self._gone += 1
            return
        lock = looked.lock if looked.lock is not None and looked.lock.holds(now) else None
        self._looked_at += 1
        self._extended += looked.extended
        self._were_unlocked += looked.was_unlocked
        self._due += looked.due
        self._unlocked += lock is None and not looked.due
        if looked.refused is not None:
            self._refused[looked.refused] += 1
        for namers in looked.by:
            figures = self._by.setdefault(namers, _Figures())
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
        unproven: AbstractSet[StateId],
        due: AbstractSet[StateId] = frozenset(),
    ) -> LockReport:
        """All that was counted since the pass of `began` began. `due`: states that the next prune drops."""
        return began.model_copy(
            update={
                "made_at": made_at,
                "done_until": done_until,
                "states": tuple(self._states(unproven, due)),
                "more_states": max(0, len(self._kept) - MOST_STATES),
                "looked_at": self._looked_at,
                "extended": self._extended,
                "were_unlocked": self._were_unlocked,
                "unlocked": self._unlocked,
                "due": self._due,
                "gone": self._gone,
                "refused": tuple(Refused(why=why, versions=count) for why, count in sorted(self._refused.items())),
            }
        )

    def _states(self, unproven: AbstractSet[StateId], due: AbstractSet[StateId]) -> Iterator[StateLocks]:
        found: dict[StateId, _Figures] = defaultdict(_Figures)
        for state, so_far in self._before.items():
            found[state].add(_Figures(so_far.looked_at, so_far.unlocked, so_far.earliest))
        for namers, figures in self._by.items():
            for state in namers.states:
                found[state].add(figures)
        for header in self._kept[:MOST_STATES]:
            figures = found[header.id]
            before = self._before.get(header.id)
            yield StateLocks(
                state=header.id,
                generation=header.generation,
                cut_time=header.cut_time,
                versions=header.objects,
                looked_at=figures.looked_at,
                unlocked=figures.unlocked,
                earliest=figures.earliest,
                unproven=header.id in unproven or (before is not None and before.unproven),
                due=header.id in due,
            )
