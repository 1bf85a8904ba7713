"""Which findings of a posture a person has not heard of yet.

A finding of posture is about now, is made anew by every check and has no evidence, so what it says is what
tells it from another: the policy's second missing statement is news though its first one was told.

Security rules:
- A note is told to who asks, but for those that nobody would ever ask for: a drill that does not come is silent.
- Drift is always news: it is found once, and the same fact may change every day.
- What was once away is news when it is back.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from functions.domain.findings import FindingId
from functions.domain.values import Digest, Finding, Severity

TOLD_NOTES = frozenset({FindingId.DRILL_OVERDUE})
"""They stop no prune, and people hear of them once all the same."""


@dataclass(frozen=True, slots=True)
class LastPosture:
    """What the newest posture of a repository kept."""

    digests: Mapping[str, Digest]
    """Of each fact, when it was last read."""
    findings: frozenset[str]
    """The `mark` of each finding."""


def mark(finding: Finding) -> str:
    """A finding's id, `#`, and a digest of how severe it is and what it says: the same again is no news."""
    said = json.dumps([finding.severity, finding.what])
    return f"{finding.id}#{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def news(findings: Iterable[Finding], before: LastPosture | None) -> tuple[Finding, ...]:
    """Findings that people have to hear of and that the last posture did not have, in their order."""
    told = before.findings if before else frozenset()
    return tuple(
        finding
        for finding in findings
        if (finding.severity is not Severity.NOTE or finding.id in TOLD_NOTES)
        and (finding.id == FindingId.DRIFT or mark(finding) not in told)
    )
