"""What a person is told, once, when something is wrong or waits for them: readable as an e-mail, sortable by a machine.

Security rules:
- A notice leaves the account. It counts and names findings; it never names a key, a host's path or a version.
- A notice of a plan carries its full digest, which is what an approver has to name, and nothing that wakes a workflow:
  who reads it can approve nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from functions.domain.locks.report import LockReport
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.rules import Reason
from functions.domain.restore.drill import DrillFailure, DrillReport
from functions.domain.values import RepositoryName, Severity, zulu
from functions.domain.verdict import CheckLevel, SeenFinding

_LONGEST_SUBJECT = 100
"""SNS refuses a longer one, and anything but printable ASCII."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message."""

    subject: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    """For subscription filters: repository, severity, level."""


def notice_of(
    repository: RepositoryName, level: CheckLevel, findings: Sequence[SeenFinding], state: str | None = None
) -> Notice:
    """What is new about `repository`: at least one finding, the worst first."""
    worst = findings[0].severity
    ids = list(dict.fromkeys(each.id for each in findings))
    subject = f"RWM: {worst} {repository}: {', '.join(ids)}"
    if len(subject) > _LONGEST_SUBJECT:
        subject = f"RWM: {worst} {repository}: {ids[0]} and {len(ids) - 1} more"
    parts = [f"Something is new about repository {repository}" + (f", state {state[:12]}." if state else ".")]
    parts += [
        f"{each.severity} {each.id}, since {zulu(each.since)}"
        + (f", {each.keys} key{'s' if each.keys > 1 else ''}" if each.keys else "")
        + f"\n  {each.what}\n  What to do: {each.remedy}"
        for each in findings
    ]
    parts.append(
        f"{_MEANINGS[worst]} What each finding means: docs/findings.md.\n\n"
        f"  rwm check {repository} --level {level}\n"
        f"  rwm states {repository}"
    )
    return Notice(
        subject=subject[:_LONGEST_SUBJECT],
        body="\n\n".join(parts) + "\n",
        attributes={"repository": repository, "severity": worst, "level": level},
    )


def approval_notice(shelved: ShelvedPlan) -> Notice:
    """A plan waits for an approver: what goes and why, what looks odd, what stays, and what to run."""
    repository, digest = shelved.repository, shelved.plan
    goes = [
        f"  {each.entries:,} of {each.type}, {each.bytes:,} bytes: {_REASONS[each.reason]}" for each in shelved.totals
    ]
    odd = ["HOLD of the posture\n  What to do: `rwm check` shows it"] if shelved.posture != "pass" else []
    odd += [
        f"{each.severity} {each.id}, since {zulu(each.since)}\n  {each.what}\n  What to do: {each.remedy}"
        for each in shelved.findings
    ]
    waits = "".join(f"\n  {each.entries:,} ({each.why})" for each in shelved.waiting)
    until = zulu(shelved.valid_until)
    parts = [
        f"A prune of repository {repository} waits for an approver until {until}; without one nothing is deleted.",
        f"It would free {shelved.bytes:,} bytes: {shelved.entries:,} entries, {shelved.markers:,} of them delete "
        f"markers, that no kept state names; {shelved.drops} state(s) would be dropped and {shelved.kept} kept:\n"
        + "\n".join(goes),
        "What looks odd:\n\n" + "\n\n".join(odd) if odd else "Nothing looks odd; this repository's prunes always wait.",
        *([f"What stays for now:{waits}"] if waits else []),
        f"Plan {digest}\ndrawn at {zulu(shelved.drawn_at)} by {shelved.execution} from state {shelved.state[:12]}",
        "\n".join(f"  rwm {command} {digest}" for command in ("plan", "approve", "reject")),
    ]
    severity = Severity.HOLD if odd else Severity.NOTE
    return Notice(
        subject=f"RWM: {repository}: prune plan {digest[:12]} waits for an approver",
        body="\n\n".join(parts) + "\n",
        attributes={"repository": repository, "severity": severity, "level": "prune"},
    )


def lock_notice(report: LockReport, news: Sequence[SeenFinding]) -> Notice:
    """What is new about the locks of a repository: at least one finding."""
    parts = [f"Something is new about the locks of repository {report.repository}."]
    parts += [
        f"{each.severity} {each.id}, since {zulu(each.since)}\n  {each.what}\n  What to do: {each.remedy}"
        for each in news
    ]
    parts.append(
        "No prune waits for this. Where a lock is missing, only the bucket's policy keeps a version. What each finding "
        f"means: docs/findings.md.\n\n  rwm locks {report.repository}"
    )
    return Notice(
        subject=f"RWM: {Severity.HOLD} {report.repository}: {', '.join(each.id for each in news)}"[:_LONGEST_SUBJECT],
        body="\n\n".join(parts) + "\n",
        attributes={"repository": report.repository, "severity": Severity.HOLD, "level": "locks"},
    )


def drill_notice(report: DrillReport) -> Notice:
    """A drill failed: a person has to look."""
    repository, why = report.repository, report.why
    if why is None:
        raise ValueError("a drill that succeeded is told to nobody")
    state = (
        f"State {report.state[:12]}, cut at {zulu(report.cut_time)}" if report.state and report.cut_time else "No state"
    )
    when = f"{state}, from {zulu(report.started_at)} to {zulu(report.ended_at)}, execution {report.execution}."
    parts = [
        f"A restore drill of repository {repository} failed: {why.meaning}.\n{when}",
        f"What to do: {_AFTER_A_DRILL[why]}. No prune waits for this.",
        f"  rwm drill {repository} --list\n  rwm drill {repository}",
    ]
    severity = Severity.FAIL if why.of_the_repository else Severity.HOLD
    return Notice(
        subject=f"RWM: {severity} {repository}: restore drill failed: {why}"[:_LONGEST_SUBJECT],
        body="\n\n".join(parts) + "\n",
        attributes={"repository": repository, "severity": severity, "level": "drill"},
    )


_AFTER_A_DRILL: dict[DrillFailure, str] = {
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
    Severity.FAIL: "No prune runs until this is dealt with.",
    Severity.HOLD: "A prune waits for an approver until this is dealt with.",
    Severity.NOTE: "No prune waits for this.",
}

_REASONS: dict[Reason, str] = {
    Reason.HIDDEN: "hidden for longer than the grace",
    Reason.REPLACED: "replaced longer ago than the grace",
    Reason.LOCK_FILE: "lock files that are long gone",
    Reason.SPENT_MARKER: "delete markers with nothing left to hide",
}
