"""Which conditions are open: what is wrong with one repository, since when, and how bad. Pure.

A condition has a name, by which the next look knows it again, and marks: what of it people have to hear, each once. Who
finds something tells it at once; the watch tells what nobody told, and what is over.

Security rules:
- Only AWS's clocks count, and a condition begins no later than when it was first seen.
- What could not be read ends nothing: it stays as it was, and is told as unread.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from functions.domain.findings import FindingId
from functions.domain.locks.rules import LATE, soon
from functions.domain.notices import NoticeKind, drill_details, drill_severity, plan_details
from functions.domain.posture.news import TOLD_NOTES
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.values import Severity, zulu
from functions.domain.verdict import CheckLevel, Verdict
from functions.domain.watch.facts import Facts, PostureFinding, Prune, Source, States, Unread, Verdicts

MOST_MISSED = 3
"""So many backups in a row that ended incomplete are worth a word."""
LONG_QUARANTINE = timedelta(days=3)
"""Posture notes a quarantine at once; after so long somebody may have forgotten it."""
LAST_QUARTER = 4
"""People are reminded of a plan when less than this part of its time is left."""
DECIDED_ENDS = frozenset({"PruneRejected", "PruneExpired"})
"""How a prune ends that waited for a person: told as the end of the waiting, and no failure."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that stands open."""

    kind: NoticeKind
    name: str
    """Of this condition among those of the repository."""
    source: Source | None
    """What has to be read to know it; None: it is about reading."""
    severity: Severity
    since: datetime
    what: str
    """For a subject."""
    said: str
    """A sentence or two, without since when."""
    level: str = "watch"
    details: Mapping[str, Any] = field(default_factory=dict)
    """For machines; no keys, no paths."""
    marks: frozenset[str] = frozenset({"open"})
    """What of it people have to hear."""
    told: frozenset[str] = frozenset()
    """Of these: what they heard from whoever found it."""
    after: timedelta = timedelta(0)
    """People hear of it only when it has stood for so long."""
    remedy: str | None = None
    """What to do, where the kind alone does not say it."""


def open_conditions(repository: Repository, facts: Facts, first_seen: datetime) -> Iterator[Condition]:
    """Whatever is open, as far as it could be read. `first_seen`: when the watch saw the repository first."""
    for source, why in facts.unread.items():
        # Asked once for the whole deployment, and told once for it.
        if source is not Source.PRUNES:
            yield could_not_read(source, why, facts.now)
    if isinstance(facts.states, States):
        yield from _recording_stopped(repository, facts, facts.states, first_seen)
        yield from _backups_incomplete(facts.states)
        yield from _backup_missed(repository, facts, facts.states)
    yield from _verdict_findings(facts)
    yield from _posture_findings(facts)
    yield from _prune(facts)
    yield from _plans(facts)
    yield from _drill(facts)
    yield from _locks(repository, facts)


def is_judged(name: str, source: Source | None, facts: Facts) -> bool:
    """Whether the facts say that the condition `name` is over, where it is not open any more."""
    looked: bool = True
    if source in facts.unread:
        looked = False
    elif name == NoticeKind.BACKUP_MISSED:
        looked = facts.newest is not None and (facts.newest_snapshot is not None or not _has_snapshots(facts))
    elif isinstance(facts.verdicts, Verdicts) and source is Source.VERDICTS:
        looked = name.split("/")[1] in facts.verdicts.by_level
    elif source is Source.POSTURE:
        looked = facts.posture is not None
    elif not isinstance(facts.prunes, Unread) and source is Source.PRUNES:
        looked = any(each.ended_at is not None for each in facts.prunes)
    elif not isinstance(facts.locks, Unread) and source is Source.LOCKS:
        # A pass that is under way has not looked everywhere.
        looked = facts.locks is not None and (facts.locks.complete or name == NoticeKind.LOCKS_LAPSE)
    return looked


def could_not_read(source: Source, why: str, now: datetime) -> Condition:
    """What cannot be read is a condition of its own, and never "all is well"."""
    return Condition(
        kind=NoticeKind.UNREAD,
        name=f"{NoticeKind.UNREAD}/{source}",
        source=None,
        severity=Severity.HOLD,
        since=now,
        what=f"the watch could not read {source}",
        said=f"The watch could not read the {source} ({why}), so it cannot tell whether all is well with them.",
        details={"source": source, "why": why},
    )


def _recording_stopped(
    repository: Repository, facts: Facts, states: States, first_seen: datetime
) -> Iterator[Condition]:
    newest = next(iter(states.newest), None)
    since = (newest.cut_time if newest else first_seen) + repository.max_state_age
    if facts.now <= since:
        return
    last = f"the newest state is of {zulu(newest.cut_time)}" if newest else "no state was ever recorded"
    yield Condition(
        kind=NoticeKind.RECORDING_STOPPED,
        name=NoticeKind.RECORDING_STOPPED,
        source=Source.STATES,
        severity=Severity.FAIL,
        since=since,
        what="no state is recorded any more",
        said=f"No state of repository {repository.name} is recorded any more: {last}.",
        details={
            "newest_cut": zulu(newest.cut_time) if newest else None,
            "max_seconds": _seconds(repository.max_state_age),
        },
    )


def _backups_incomplete(states: States) -> Iterator[Condition]:
    told = [each for each in states.newest if each.cause.outcome is not None]
    in_a_row = list(takewhile(lambda each: each.cause.outcome == "incomplete", told))
    if len(in_a_row) < MOST_MISSED:
        return
    yield Condition(
        kind=NoticeKind.BACKUPS_INCOMPLETE,
        name=NoticeKind.BACKUPS_INCOMPLETE,
        source=Source.STATES,
        severity=Severity.NOTE,
        since=in_a_row[-1].cut_time,
        what="backups end incomplete",
        # How many there are changes with each backup, and is no news.
        said=f"The newest {MOST_MISSED} backups or more were published as incomplete: restic could not read everything "
        "that it was to back up.",
        details={"newest_state": in_a_row[0].id, "at_least": MOST_MISSED},
    )


def _has_snapshots(facts: Facts) -> bool:
    return facts.newest is not None and FileType.SNAPSHOT in facts.newest.by_type


def _backup_missed(repository: Repository, facts: Facts, states: States) -> Iterator[Condition]:
    """Where nobody knows of when the newest snapshot is, the next recording says it; without one, recording stopped."""
    limit = repository.max_backup_age
    if limit is None or facts.newest is None:
        return
    written = facts.newest_snapshot
    if written is None and _has_snapshots(facts):
        return
    begin = written or (states.first or facts.newest).recorded_at
    if facts.now <= begin + limit:
        return
    yield Condition(
        kind=NoticeKind.BACKUP_MISSED,
        name=NoticeKind.BACKUP_MISSED,
        source=Source.STATES,
        severity=Severity.HOLD,
        since=begin + limit,
        what="a backup was missed",
        said=(
            f"The newest snapshot of repository {repository.name} was written at {zulu(written)}."
            if written
            else f"Repository {repository.name} has no snapshot, though its first state was recorded at {zulu(begin)}."
        )
        + f" By max_backup_age the next was due at {zulu(begin + limit)}.",
        details={"newest_snapshot": zulu(written) if written else None, "max_seconds": _seconds(limit)},
    )


def _verdict_findings(facts: Facts) -> Iterator[Condition]:
    if isinstance(facts.verdicts, Unread):
        return
    for verdict in facts.verdicts.by_level.values():
        yield from _of_verdict(verdict)


def passed(facts: Facts, looked_at: datetime) -> Iterator[Condition]:
    """Findings of verdicts that came after the last look, and after which others came; some of them stand still."""
    if isinstance(facts.verdicts, Unread):
        return
    for verdict in facts.verdicts.earlier:
        # The newest is that of the newest state: a check of an old one may have come after it.
        if looked_at < verdict.judged_at < facts.verdicts.by_level[verdict.level].judged_at:
            yield from _of_verdict(verdict)


def _of_verdict(verdict: Verdict) -> Iterator[Condition]:
    ids = dict.fromkeys(each.id for each in verdict.findings if each.severity is not Severity.NOTE)
    for name in ids:
        found = [each for each in verdict.findings if each.id == name and each.severity is not Severity.NOTE]
        yield Condition(
            kind=NoticeKind.FINDINGS,
            name=f"{NoticeKind.FINDINGS}/{verdict.level}/{name}",
            source=Source.VERDICTS,
            severity=found[0].severity,
            since=min(each.since for each in found),
            what=name,
            said=" ".join(_sentence(each.what) for each in found),
            level=verdict.level,
            details={"finding": name, "state": verdict.state, "keys": sum(each.keys for each in found)},
            marks=frozenset(each.fingerprint for each in found),
            told=frozenset(each.fingerprint for each in found if each.told),
            remedy=found[0].remedy,
        )


def _posture_findings(facts: Facts) -> Iterator[Condition]:
    if facts.posture is None or isinstance(facts.posture, Unread):
        return
    by_id: dict[str, list[PostureFinding]] = {}
    for each in facts.posture:
        by_id.setdefault(each.id, []).append(each)
    for name, found in by_id.items():
        if name == FindingId.QUARANTINED:
            yield Condition(
                kind=NoticeKind.QUARANTINE,
                name=NoticeKind.QUARANTINE,
                source=Source.POSTURE,
                severity=Severity.NOTE,
                since=facts.now,
                what="still in quarantine",
                said=f"{_sentence(found[0].what)} That is so for days now.",
                after=LONG_QUARANTINE,
            )
        # Drift is found once, and is no condition that could be over.
        elif name != FindingId.DRIFT and (found[0].severity is not Severity.NOTE or name in TOLD_NOTES):
            yield Condition(
                kind=NoticeKind.FINDINGS,
                name=f"{NoticeKind.FINDINGS}/{CheckLevel.POSTURE}/{name}",
                source=Source.POSTURE,
                severity=found[0].severity,
                since=min(each.since for each in found),
                what=name,
                said=" ".join(_sentence(each.what) for each in found),
                level=CheckLevel.POSTURE,
                details={"finding": name, "state": None, "keys": 0},
                told=frozenset({"open"}),
                remedy=found[0].remedy,
            )


def _prune(facts: Facts) -> Iterator[Condition]:
    if isinstance(facts.prunes, Unread):
        return
    newest = next((each for each in facts.prunes if each.ended_at is not None), None)
    if newest is None or not _failed(newest):
        return
    how = newest.error or newest.status
    yield Condition(
        kind=NoticeKind.PRUNE,
        name=NoticeKind.PRUNE,
        source=Source.PRUNES,
        severity=Severity.FAIL if how == "PruneHarmed" else Severity.HOLD,
        since=newest.ended_at or facts.now,
        what=f"the newest prune ended as {how}",
        said=f"The newest prune of this repository, execution {newest.execution}, ended as {how}.",
        level="prune",
        details={"execution": newest.execution, "status": newest.status, "error": newest.error},
        marks=frozenset({how}),
    )


def _failed(prune: Prune) -> bool:
    return prune.status != "SUCCEEDED" and prune.error not in DECIDED_ENDS


def _plans(facts: Facts) -> Iterator[Condition]:
    if isinstance(facts.plans, Unread):
        return
    prunes = () if isinstance(facts.prunes, Unread) else facts.prunes
    ended = {each.execution for each in prunes if each.ended_at is not None}
    for each in facts.plans:
        plan = each.plan
        if each.decided is not None or not plan.is_good_at(facts.now) or plan.execution in ended:
            continue
        waits = Condition(
            kind=NoticeKind.APPROVAL,
            name=f"{NoticeKind.APPROVAL}/{plan.plan[:12]}",
            source=Source.PLANS,
            severity=Severity.HOLD if plan.outcome != "pass" else Severity.NOTE,
            since=plan.drawn_at,
            what=f"prune plan {plan.plan[:12]} waits for an approver",
            said=f"Prune plan {plan.plan} waits for an approver until {zulu(plan.valid_until)}.",
            level="prune",
            details=plan_details(plan),
            told=frozenset({"open"}),
        )
        yield waits
        if plan.valid_until - facts.now < (plan.valid_until - plan.drawn_at) / LAST_QUARTER:
            yield Condition(
                kind=NoticeKind.APPROVAL_REMINDER,
                name=f"{NoticeKind.APPROVAL_REMINDER}/{plan.plan[:12]}",
                source=Source.PLANS,
                severity=waits.severity,
                since=waits.since,
                what=f"prune plan {plan.plan[:12]} still waits for an approver",
                said=f"{waits.said} Less than a quarter of its time is left, and nobody decided.",
                level="prune",
                details=waits.details,
            )


def _drill(facts: Facts) -> Iterator[Condition]:
    report = facts.drill
    if report is None or isinstance(report, Unread) or report.why is None:
        return
    yield Condition(
        kind=NoticeKind.DRILL,
        name=NoticeKind.DRILL,
        source=Source.DRILLS,
        severity=drill_severity(report),
        since=report.ended_at,
        what=f"restore drill failed: {report.why}",
        said=f"The newest restore drill failed: {report.why.meaning}.",
        level="drill",
        details=drill_details(report),
        told=frozenset({"open"}),
    )


def _locks(repository: Repository, facts: Facts) -> Iterator[Condition]:
    report = facts.locks
    if isinstance(report, Unread):
        return
    if report is not None:
        for each in report.findings:
            if each.severity is Severity.NOTE:
                continue
            was_told = any(mark.partition(":")[0] == each.id for mark in report.told)
            yield Condition(
                kind=NoticeKind.LOCKS,
                name=f"{NoticeKind.LOCKS}/{each.id}",
                source=Source.LOCKS,
                severity=each.severity,
                since=each.since,
                what=each.id,
                said=_sentence(each.what),
                level="locks",
                details={"finding": each.id, "unlocked": report.unlocked, "looked_at": report.looked_at},
                told=frozenset({"open"} if was_told else ()),
                remedy=each.remedy,
            )
    yield from _locks_lapse(repository, facts)


def _locks_lapse(repository: Repository, facts: Facts) -> Iterator[Condition]:
    """Lock upkeep leaves half of lock_days at least on what is needed, so locks lapse only where it does not run."""
    report = facts.locks
    if repository.lock_schedule is None or isinstance(report, Unread):
        return
    if report is not None and not report.object_lock:
        return
    first = facts.states.first if isinstance(facts.states, States) else None
    last = report.made_at if report is not None else first.recorded_at if first is not None else None
    if last is None:
        return
    since = last + min(2 * repository.lock_interval + LATE, soon(repository.lock_days))
    if facts.now <= since:
        return
    earliest = report.earliest if report is not None else None
    near = earliest is not None and earliest <= facts.now + soon(repository.lock_days) / 2
    ran = f"Lock upkeep ran last at {zulu(last)}" if report is not None else "Lock upkeep has never run"
    ends = f" As far as it saw, the first lock of a kept state ends at {zulu(earliest)}." if earliest else ""
    yield Condition(
        kind=NoticeKind.LOCKS_LAPSE,
        name=NoticeKind.LOCKS_LAPSE,
        source=Source.LOCKS,
        severity=Severity.FAIL if near else Severity.HOLD,
        since=since,
        what="locks are about to lapse" if near else "lock upkeep does not run",
        said=f"{ran}, and lock_schedule of repository {repository.name} is {repository.lock_schedule}.{ends}",
        level="locks",
        details={
            "last_run": zulu(last) if report is not None else None,
            "first_lock_ends": zulu(earliest) if earliest else None,
        },
        # That it comes near is worth a second word.
        marks=frozenset({"open", "near"} if near else {"open"}),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _seconds(duration: timedelta) -> int:
    return int(duration / timedelta(seconds=1))
