"""What record says of a state before it commits it: the rules of level `consistent`, from the same listing.

gather: the headers of kept states, what people approved, the last verdict, what was acknowledged  ->  decide: the
rules, the verdict, what of it is news  ->  apply: tell people the news, then append the verdict.

Security rules:
- No state is committed without a verdict. A verdict names its state by id, so that of a state which was never
  committed speaks of nothing.
- News is told before the verdict that makes it old is appended: killed in between, it is told twice, never not.
- What only the ledger's entries show, record cannot see: what the last check found stands until another check.
- Nothing that was written down before keeps a new state from being recorded: what of it cannot be read counts
  as nothing known, so that more is found and told, and the check says what is wrong with it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.checking import VerdictPorts
from functions.domain.consistent.baseline import WEEK, Approved, Comparands, baseline, comparands
from functions.domain.consistent.case import Case, decided
from functions.domain.consistent.check import NEED_THE_LEDGER, judge
from functions.domain.consistent.fresh import Fresh
from functions.domain.consistent.shown import NOTHING_SHOWN, Shown
from functions.domain.documents import UnreadableDocument
from functions.domain.findings import Acknowledgement, FindingId
from functions.domain.keeping import kept_of
from functions.domain.ledger import StateDamaged, stream_state
from functions.domain.notices import notice_of
from functions.domain.ports import (
    AcknowledgementReader,
    ApprovalReader,
    LedgerReader,
    NotTold,
    VerdictReader,
    VerifiedMemory,
)
from functions.domain.prune.approval import last_approved
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.state import StateHeader
from functions.domain.values import Finding, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId
from functions.domain.verdict import BY_RECORD, NEWEST_SNAPSHOT, CheckLevel, Verdict, conclude, news


@dataclass(frozen=True, slots=True)
class Past:
    """The states that a new one is compared with."""

    headers: tuple[StateHeader, ...]
    """In any order: all that a baseline looks at, and the oldest kept since the approved one that has key files."""
    dropped: frozenset[StateId]
    """Of these and others: their amounts count, and their entries do not."""
    days: int
    """How far back a baseline looks."""
    approved: Approved | None

    def cuts(self, at: datetime) -> list[datetime]:
        """The instants that a state cut at `at` is compared with, entry by entry."""
        wanted = self.comparands(at)
        return [header.cut_time for header in (wanted.reference, wanted.old) if header is not None]

    def comparands(self, at: datetime) -> Comparands:
        """The kept states that a state cut at `at` is compared with, entry by entry."""
        return comparands(kept_of(self.headers, self.dropped), self.approved, at, self.days)


def look_back(repository: Repository, now: datetime, ledger: LedgerReader, approvals: ApprovalReader) -> Past:
    """Reads headers only, and however many states there are, only the newest ones, a few of the oldest (since the one
    that was approved), and a week of them before that one."""
    days = repository.thresholds.baseline_days
    begin = now - timedelta(days=days) - WEEK
    found: list[StateHeader] = []
    dropped = _dropped(repository.repository, ledger)
    approved = _approved(repository.repository, now, ledger, approvals)
    # An old header that cannot be read is the check's to report; what was read until then counts.
    with suppress(UnreadableDocument):
        for header in ledger.headers(repository.repository):
            found.append(header)
            if header.cut_time < begin:
                break
        else:
            return Past(tuple(found), dropped, days, approved)
        start = approved.header.generation if approved else None
        for header in kept_of(ledger.headers(repository.repository, oldest_first=True, start=start), dropped):
            if found and header.generation >= found[-1].generation:
                break
            if FileType.KEY in header.by_type:
                found.append(header)
                break
    return Past(tuple(found), dropped, days, approved)


def _approved(name: RepositoryName, now: datetime, ledger: LedgerReader, approvals: ApprovalReader) -> Approved | None:
    """What cannot be read of it excuses nothing."""
    with suppress(UnreadableDocument):
        return last_approved(approvals.approvals(name), lambda start: ledger.headers(name, start=start), now)
    return None


def _dropped(name: RepositoryName, ledger: LedgerReader) -> frozenset[StateId]:
    with suppress(UnreadableDocument):
        return ledger.dropped(name)
    return frozenset()


def judge_listing(
    repository: Repository,
    fresh: Fresh,
    past: Past,
    ledger: LedgerReader,
    memory: VerifiedMemory,
    *,
    object_lock: bool,
) -> tuple[Finding, ...]:
    """What the rules find in a listing that was folded for `past.cuts`."""
    wanted = past.comparands(fresh.cut.time)
    known = baseline(
        past.headers,
        past.approved,
        reference=_shown(wanted.reference, fresh, ledger),
        old=_shown(wanted.old, fresh, ledger),
    )
    case = Case(repository=repository, fresh=fresh, baseline=known, object_lock=object_lock)
    return judge(decided(case, lambda doubtful: _proven(doubtful, past, memory)))


def judge_state(header: StateHeader, fresh: Fresh, findings: Sequence[Finding], ports: VerdictPorts) -> Verdict:
    """Conclude from `findings` what is to be said of a state that is about to be committed; tell and append it.

    `fresh`: the listing that the state was made of.
    """
    name = header.repository
    previous = _previous(name, ports.verdicts)
    judged = conclude(
        header,
        CheckLevel.CONSISTENT,
        [*findings, *_checks_findings(previous, ports.verdicts)],
        _acknowledged(name, ports.acknowledgements),
        judged_at=header.recorded_at,
        by=BY_RECORD,
        figures={"objects": header.objects, "bytes": header.bytes, **_newest_snapshot(fresh)},
    )
    if untold := news(judged.verdict, previous):
        try:
            ports.notifier.notify(notice_of(name, CheckLevel.CONSISTENT, untold, header.id))
        except NotTold:
            # A backup that is not recorded is lost, and a notice that comes late is late. So the state is recorded,
            # and the verdict says who was not told: to the next one, of the next event or of the schedule, these
            # findings are news again. Until then the log and a metric say it.
            judged = judged.untold(untold)
    ports.log.append(judged)
    return judged.verdict


def _newest_snapshot(fresh: Fresh) -> dict[str, int]:
    """So that the watch need not read the entries of a state to know when the last backup was."""
    there = fresh.tally(FileType.SNAPSHOT).objects > 0 and fresh.snapshot_uploads
    return {NEWEST_SNAPSHOT: int(fresh.snapshot_uploads[-1].timestamp())} if there else {}


def damaged_states(name: RepositoryName, verdicts: VerdictReader) -> frozenset[StateId]:
    """Those of which the last check found that the ledger does not hold them any more."""
    found = _checks_findings(_previous(name, verdicts), verdicts)
    return frozenset(
        StateId(state)
        for finding in found
        if finding.id == FindingId.STATE_DAMAGED
        for each in finding.evidence
        for state in each.version_ids
    )


def _proven(
    doubtful: Sequence[ObjectVersion], past: Past, memory: VerifiedMemory
) -> frozenset[tuple[ObjectKey, VersionId]]:
    """What the checks of content have read already."""
    newest = max(past.headers, key=lambda header: header.generation, default=None)
    return memory.proven_among(doubtful, newest) if newest is not None else frozenset()


def _shown(header: StateHeader | None, fresh: Fresh, ledger: LedgerReader) -> Shown:
    """A kept state: what the listing shows as of its cut where that is proven to be the state, else the ledger's."""
    if header is None:
        return NOTHING_SHOWN
    past = fresh.past[header.cut_time]
    if past.manifest == header.manifest_root:
        return past.shown
    # Dropped since the headers were read: what is gone of it, a prune took.
    if header.id in _dropped(header.repository, ledger):
        return past.shown
    # Something in the bucket is gone or backdated: the recorded entries count, not what is made of them.
    try:
        return Shown.of(stream_state(ledger, header), fresh.cut)
    except StateDamaged:
        return past.shown


def _previous(name: RepositoryName, verdicts: VerdictReader) -> Verdict | None:
    with suppress(UnreadableDocument):
        return next((each for each in verdicts.verdicts(name) if each.level is CheckLevel.CONSISTENT), None)
    return None


def _checks_findings(previous: Verdict | None, verdicts: VerdictReader) -> list[Finding]:
    """What the last verdict has from a check."""
    if previous is None or not any(each.id in NEED_THE_LEDGER for each in previous.findings):
        return []
    with suppress(UnreadableDocument):
        return [finding for finding in verdicts.findings(previous) if finding.id in NEED_THE_LEDGER]
    return []


def _acknowledged(name: RepositoryName, acknowledgements: AcknowledgementReader) -> tuple[Acknowledgement, ...]:
    with suppress(UnreadableDocument):
        return acknowledgements.acknowledgements(name)
    return ()
