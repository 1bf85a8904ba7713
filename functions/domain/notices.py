"""What a person is told: when something begins to be wrong, or waits for them, and when it is over. Readable as an
e-mail, sortable by a machine. docs/messages.md has each kind with an example.

Every body says in this order: what it is and since when; what it means; what to do, with the command; where to read on.

Security rules:
- A notice leaves the account. It counts and names findings; it never names a key, a host's path or a version.
- A notice of a plan carries its full digest, which is what an approver has to name, and nothing that wakes a workflow:
  who reads it can approve nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from functions.domain.findings import HOST_MAY
from functions.domain.locks.report import LockReport
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.rules import Reason
from functions.domain.restore.drill import DrillFailure, DrillReport
from functions.domain.values import RepositoryName, Severity, zulu
from functions.domain.verdict import CheckLevel, SeenFinding

_LONGEST_SUBJECT = 100
"""SNS refuses a longer one, and anything but printable ASCII."""
_MOST_FINDINGS = 50
"""That `details` names: a message has 256 KB."""

OVER = "OVER"
"""In place of the severity, in the subject of what is over."""
EVERY_REPOSITORY = RepositoryName("*")
"""In place of a repository's name, in what is told of the deployment as a whole."""

Event = Literal["opened", "over"]


class NoticeKind(StrEnum):
    """What a notice is about: stable, because people filter by it."""

    FINDINGS = "findings"
    """A check, a recording or a posture found something; `level` says which."""
    LOCKS = "locks"
    """Lock upkeep could not keep what kept states name under Object Lock, or comes too late."""
    LOCKS_LAPSE = "locks-lapse"
    """Lock upkeep does not run any more."""
    APPROVAL = "approval"
    """A prune's plan waits for an approver."""
    APPROVAL_REMINDER = "approval-reminder"
    """It still does, and less than a quarter of its time is left."""
    PRUNE = "prune"
    """The newest prune failed, timed out or was aborted."""
    DRILL = "drill"
    """The newest restore drill failed."""
    BACKUP_MISSED = "backup-missed"
    BACKUPS_INCOMPLETE = "backups-incomplete"
    RECORDING_STOPPED = "recording-stopped"
    DEAD_LETTERS = "dead-letters"
    QUARANTINE = "quarantine"
    """A repository is in quarantine for days."""
    UNREAD = "unread"
    """The watch could not tell how things stand."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message."""

    subject: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    """For subscription filters: repository, severity, level, kind, event, and details as JSON."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What every notice says, whoever tells it."""

    kind: NoticeKind
    repository: RepositoryName
    severity: Severity
    """Of what is over: how bad it was, so that a filter passes both ends of it."""
    what: str
    """For the subject."""
    said: Sequence[str]
    """Paragraphs: what it is, and since when."""
    meaning: str
    to_do: str
    commands: Sequence[str]
    """Each as it is typed."""
    page: str
    """Of docs/, with its heading."""
    details: Mapping[str, Any]
    """For machines; no keys, no paths."""
    level: str
    event: Event = "opened"

    def notice(self) -> Notice:
        where = "all repositories" if self.repository == EVERY_REPOSITORY else self.repository
        how = OVER if self.event == "over" else self.severity
        parts = [*self.said, f"What it means: {self.meaning}", f"What to do: {self.to_do}"]
        if self.commands:
            parts.append("\n".join(f"  {command}" for command in self.commands))
        parts.append(f"More: docs/{self.page}")
        return Notice(
            subject=f"RWM: {how} {where}: {self.what}"[:_LONGEST_SUBJECT],
            body="\n\n".join(parts) + "\n",
            attributes={
                "repository": self.repository,
                "severity": self.severity,
                "level": self.level,
                "kind": self.kind,
                "event": self.event,
                "details": json.dumps(self.details, sort_keys=True, ensure_ascii=True),
            },
        )


def notice_of(
    repository: RepositoryName, level: CheckLevel, findings: Sequence[SeenFinding], state: str | None = None
) -> Notice:
    """What is new about `repository`: at least one finding, the worst first."""
    worst = findings[0].severity
    begin = f"Something is new about repository {repository}" + (f", state {state[:12]}." if state else ".")
    return Letter(
        kind=NoticeKind.FINDINGS,
        repository=repository,
        severity=worst,
        what=_ids(f"RWM: {worst} {repository}: ", findings),
        said=[begin, *map(_found, findings)],
        meaning=f"{_MEANINGS[worst]} docs/findings.md has what each finding means.",
        to_do="what stands beside each finding; `rwm check` tells whether it is mended.",
        commands=(f"rwm check {repository} --level {level}", f"rwm states {repository}"),
        page=finding_page(findings[0].id),
        details={"state": state, "findings": _details(findings)},
        level=level,
    ).notice()


def finding_page(finding: str) -> str:
    """Where docs/findings.md has it."""
    return f"findings.md#{'host-may-action' if finding.startswith(HOST_MAY) else finding}"


def approval_notice(shelved: ShelvedPlan) -> Notice:
    """A plan waits for an approver: what goes and why, what looks odd, what stays, and what to run."""
    repository, digest = shelved.repository, shelved.plan
    goes = [
        f"  {each.entries:,} of {each.type}, {each.bytes:,} bytes: {_REASONS[each.reason]}" for each in shelved.totals
    ]
    odd = ["HOLD of the posture\n  What to do: `rwm check` shows it"] if shelved.posture != "pass" else []
    odd += list(map(_found, shelved.findings))
    waits = "".join(f"\n  {each.entries:,} ({each.why})" for each in shelved.waiting)
    said = [
        f"A prune of repository {repository} waits for an approver, since {zulu(shelved.drawn_at)}.",
        f"It would free {shelved.bytes:,} bytes: {shelved.entries:,} entries, {shelved.markers:,} of them delete "
        f"markers, that no kept state names; {shelved.drops} state(s) would be dropped and {shelved.kept} kept:\n"
        + "\n".join(goes),
        "What looks odd:\n\n" + "\n\n".join(odd) if odd else "Nothing looks odd; this repository's prunes always wait.",
        *([f"What stays for now:{waits}"] if waits else []),
        f"Plan {digest}\ndrawn by {shelved.execution} from state {shelved.state[:12]}",
    ]
    return Letter(
        kind=NoticeKind.APPROVAL,
        repository=repository,
        severity=Severity.HOLD if odd else Severity.NOTE,
        what=f"prune plan {digest[:12]} waits for an approver",
        said=said,
        meaning=f"an approver has time until {zulu(shelved.valid_until)}; without one nothing is deleted, and the next "
        "prune draws a new plan.",
        to_do="look at the plan, and then, as an approver, approve or reject it.",
        commands=plan_commands(digest),
        page="operations.md#approve",
        details=plan_details(shelved),
        level="prune",
    ).notice()


def plan_commands(digest: str) -> tuple[str, ...]:
    """What to do with a plan that waits."""
    return tuple(f"rwm {command} {digest}" for command in ("plan", "approve", "reject"))


def plan_details(shelved: ShelvedPlan) -> dict[str, Any]:
    """A plan that waits, for machines."""
    counted = ("entries", "bytes", "markers", "drops", "kept", "outcome", "execution", "state", "plan")
    return {
        **{name: getattr(shelved, name) for name in counted},
        "drawn_at": zulu(shelved.drawn_at),
        "valid_until": zulu(shelved.valid_until),
        "findings": _details(shelved.findings),
    }


def lock_notice(report: LockReport, news: Sequence[SeenFinding]) -> Notice:
    """What is new about the locks of a repository: at least one finding."""
    return Letter(
        kind=NoticeKind.LOCKS,
        repository=report.repository,
        severity=Severity.HOLD,
        what=_ids(f"RWM: {Severity.HOLD} {report.repository}: ", news),
        said=[f"Something is new about the locks of repository {report.repository}.", *map(_found, news)],
        meaning="where a lock is missing, only the bucket's policy keeps a version. No prune waits for this.",
        to_do="what stands beside each finding; the next lock upkeep tells whether it is mended.",
        commands=(f"rwm locks {report.repository}",),
        page=finding_page(news[0].id),
        details={"findings": _details(news), "unlocked": report.unlocked, "looked_at": report.looked_at},
        level="locks",
    ).notice()


def drill_notice(report: DrillReport) -> Notice:
    """A drill failed: a person has to look."""
    repository, why = report.repository, report.why
    if why is None:
        raise ValueError("a drill that succeeded is told to nobody")
    state = (
        f"State {report.state[:12]}, cut at {zulu(report.cut_time)}" if report.state and report.cut_time else "No state"
    )
    begun = f"begun at {zulu(report.started_at)}, execution {report.execution}"
    when = f"So since {zulu(report.ended_at)}. {state}; {begun}."
    return Letter(
        kind=NoticeKind.DRILL,
        repository=repository,
        severity=drill_severity(report),
        what=f"restore drill failed: {why}",
        said=[f"A restore drill of repository {repository} failed: {why.meaning}.\n{when}"],
        meaning=(
            "a true restore of this state would have come to the same. No prune waits for this."
            if why.of_the_repository
            else "whether the repository can be restored was not shown. No prune waits for this."
        ),
        to_do=f"{AFTER_A_DRILL[why]}.",
        commands=(f"rwm drill {repository} --list", f"rwm drill {repository}"),
        page="operations.md#restore-drills",
        details=drill_details(report),
        level="drill",
    ).notice()


def drill_severity(report: DrillReport) -> Severity:
    """Of a drill that failed."""
    return Severity.FAIL if report.why is not None and report.why.of_the_repository else Severity.HOLD


def drill_details(report: DrillReport) -> dict[str, Any]:
    """A drill, for machines."""
    return {
        "execution": report.execution,
        "outcome": report.outcome,
        "why": report.why,
        "state": report.state,
        "started_at": zulu(report.started_at),
        "ended_at": zulu(report.ended_at),
    }


def _ids(before: str, findings: Sequence[SeenFinding]) -> str:
    """Each once, as far as they fit behind `before`."""
    ids = list(dict.fromkeys(each.id for each in findings))
    named = ", ".join(ids)
    return named if len(before + named) <= _LONGEST_SUBJECT else f"{ids[0]} and {len(ids) - 1} more"


def _found(finding: SeenFinding) -> str:
    keys = f", {finding.keys} key{'s' if finding.keys > 1 else ''}" if finding.keys else ""
    begin = f"{finding.severity} {finding.id}, since {zulu(finding.since)}{keys}"
    return f"{begin}\n  {finding.what}\n  What to do: {finding.remedy}"


def _details(findings: Sequence[SeenFinding]) -> list[dict[str, Any]]:
    return [
        {"id": each.id, "severity": each.severity, "since": zulu(each.since), "keys": each.keys}
        for each in findings[:_MOST_FINDINGS]
    ]


AFTER_A_DRILL: dict[DrillFailure, str] = {
    DrillFailure.NO_GOOD_STATE: "`rwm timeline` shows what speaks against each; deal with the findings, then let "
    "`rwm check` judge the newest",
    DrillFailure.REFUSED: "the drill's report says why; the same would stop a true restore",
    DrillFailure.INCOMPLETE: "the restore's report names each object: what is missing is gone from the repository, "
    "what is unproven has to be looked at; `rwm check` judges the repository",
    DrillFailure.DAMAGED: "`rwm check --level content` names them; back up anew, and restore an older state if "
    "you need them",
    DrillFailure.NOT_COMPLETE: "`rwm check --level complete` judges the repository in the same way; restore an older "
    "state if you need it",
    DrillFailure.NOT_JUDGED: "look at the execution of that name of the check workflow",
    DrillFailure.BROKE: "look at the execution in Step Functions, and drill again",
}

_MEANINGS = {
    Severity.FAIL: "no prune runs until this is dealt with.",
    Severity.HOLD: "a prune waits for an approver until this is dealt with.",
    Severity.NOTE: "no prune waits for this.",
}

_REASONS: dict[Reason, str] = {
    Reason.HIDDEN: "hidden for longer than the grace",
    Reason.REPLACED: "replaced longer ago than the grace",
    Reason.LOCK_FILE: "lock files that are long gone",
    Reason.SPENT_MARKER: "delete markers with nothing left to hide",
}
