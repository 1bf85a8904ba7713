"""Everything that a page is made of, read for one repository.

Security rules:
- The headers have to be one chain from the head down to the first; otherwise the page says so, and tells of no state.
- Entries are proven by their digests before anything is told of them. What cannot be read is told as unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import DroppedState, Hold
from functions.domain.ledger import StateDamaged, stream_state, with_verdicts
from functions.domain.locks.report import LockReport
from functions.domain.page.needs import Needs, needs_of
from functions.domain.page.survey import Survey, survey
from functions.domain.ports import (
    ApprovalReader,
    DrillReportReader,
    Holds,
    LedgerReader,
    LockReportReader,
    PlanReader,
    PruneReportReader,
    VerdictReader,
)
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.prune.kept_states import read_chain
from functions.domain.prune.pins import PinsUnproven
from functions.domain.prune.report import PruneReport
from functions.domain.repositories import Repository
from functions.domain.restore.drill import DrillReport
from functions.domain.state import StateHeader
from functions.domain.timeline import Judged


@dataclass(frozen=True, slots=True)
class PagePorts:
    """All that a page may read: the two tables."""

    ledger: LedgerReader
    verdicts: VerdictReader
    holds: Holds
    plans: PlanReader
    approvals: ApprovalReader
    prunes: PruneReportReader
    locks: LockReportReader
    drills: DrillReportReader


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a repository."""

    repository: Repository
    chain: Sequence[Judged] = ()
    """Every state with the verdicts on it, the newest first."""
    trouble: str = ""
    """Why the chain cannot be believed."""
    drops: Sequence[DroppedState] = ()
    holds: Sequence[Hold] = ()
    plans: Sequence[ShelvedPlan] = ()
    """The newest first."""
    approvals: Sequence[Approval] = ()
    prunes: Sequence[PruneReport] = ()
    """The newest first."""
    locks: LockReport | None = None
    newest_drill: DrillReport | None = None
    last_restored: DrillReport | None = None
    survey: Survey | None = None
    """Of the newest state; None: it could not be read."""
    needs: Needs | None = None
    unread: str = ""
    """Why what states need is not known."""


def gather(repository: Repository, ports: PagePorts, *, needs: bool = True) -> Known:
    """Read it; `needs`: also what each kept state needs, which takes longest.

    Raises UnreadableDocument where an item other than a state cannot be understood.
    """
    name = repository.repository
    known = Known(
        repository,
        plans=tuple(sorted(ports.plans.plans(name), key=lambda plan: (plan.drawn_at, plan.plan), reverse=True)),
        approvals=ports.approvals.approvals(name),
        prunes=ports.prunes.reports(name),
        locks=ports.locks.newest(name),
        newest_drill=ports.drills.newest(name),
        last_restored=ports.drills.last_restored(name),
    )
    if ports.ledger.head(name) is None and next(iter(ports.ledger.headers(name)), None) is None:
        return known
    try:
        # Before the headers: what is dropped meanwhile is told as kept, never the other way round.
        drops = ports.ledger.drops(name)
        headers = read_chain(ports.ledger, name)
    except (PinsUnproven, UnreadableDocument) as error:
        return replace(known, trouble=str(error))
    dropped = {each.state for each in drops}
    kept = [header for header in headers if header.id not in dropped] if needs else None
    seen, needed, unread = _entries(ports.ledger, headers[0], kept)
    return replace(
        known,
        chain=tuple(with_verdicts(headers, ports.verdicts.verdicts(name))),
        drops=drops,
        holds=ports.holds.held(name),
        survey=seen,
        needs=needed,
        unread=unread,
    )


def _entries(
    ledger: LedgerReader, newest: StateHeader, kept: Sequence[StateHeader] | None
) -> tuple[Survey | None, Needs | None, str]:
    """What the entries of states tell, or why they do not."""
    try:
        seen = survey(stream_state(ledger, newest))
    except StateDamaged as error:
        return None, None, str(error)
    if kept is None:
        return seen, None, "there was no time to read what they name"
    try:
        needs = needs_of(ledger, kept)
    except StateDamaged as error:
        return seen, None, str(error)
    return seen, needs, "" if needs else "there are too many entries to read them all for this"
