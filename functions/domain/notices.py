"""What a person is told, once, when something is wrong: readable as an e-mail, sortable by a machine.

Security rule: a notice leaves the account. It counts and names findings; it never names a key, a host's path
or a version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    """What is new about `repository`: FAIL and HOLD findings, at least one, the worst first."""
    worst = Severity.FAIL if any(each.severity is Severity.FAIL for each in findings) else Severity.HOLD
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
    meaning = "No prune runs" if worst is Severity.FAIL else "A prune waits for an approver"
    parts.append(
        f"{meaning} until this is dealt with. What each finding means: docs/findings.md.\n\n"
        f"  rwm check {repository} --level {level}\n"
        f"  rwm states {repository}"
    )
    return Notice(
        subject=subject[:_LONGEST_SUBJECT],
        body="\n\n".join(parts) + "\n",
        attributes={"repository": repository, "severity": worst, "level": level},
    )
