"""What a check says of one state: a verdict, the evidence behind it, and what of it is news.

A state is judged at several levels, each time anew; every verdict is kept. At each level the newest one
counts, so that what was acknowledged or mended no longer speaks against a state.

Security rules:
- A verdict names the state by its id and is appended, never changed.
- Acknowledged evidence is left out before the outcome is told; docs/findings.md says what can be acknowledged.
- A state without a verdict is not good: nobody looked.
- A person hears of each piece of evidence once, and of new evidence under the same finding again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from functions.domain.documents import Document, Instant, Part
from functions.domain.findings import Acknowledgement, unacknowledged
from functions.domain.state import StateHeader
from functions.domain.values import Digest, Finding, RepositoryName, Severity, StateId

Outcome = Literal["pass", "hold", "fail"]

MOST_EVIDENCE = 10_000
"""Keys that one finding of a verdict names."""
_BEST_FIRST: tuple[Outcome, ...] = ("pass", "hold", "fail")

_WORST_FIRST = {Severity.FAIL: 0, Severity.HOLD: 1, Severity.NOTE: 2}


BY_RECORD = "record"
"""Who judged a state as it was recorded. No execution may have this name."""
NEWEST_SNAPSHOT = "newest_snapshot"
"""Among the figures of the verdict that record writes: when the newest snapshot file that is listed was written, hidden
since or not, in whole seconds since 1970 on S3's clock. A state without a snapshot has none."""


class CheckLevel(StrEnum):
    """How deep a check looks; each includes those before it."""

    POSTURE = "posture"
    CONSISTENT = "consistent"
    CONTENT = "content"
    COMPLETE = "complete"

    def includes(self, other: "CheckLevel") -> bool:
        order = list(CheckLevel)
        return order.index(other) <= order.index(self)


class SeenFinding(Part):
    """A finding as a verdict keeps it: without its evidence, which lies beside the verdict."""

    id: str
    severity: Severity
    since: Instant
    what: str
    remedy: str
    keys: int = Field(ge=0)
    """How many keys it speaks of."""
    more: int = Field(default=0, ge=0)
    """How many of them the evidence leaves out. They come to light as the others are acknowledged."""
    fingerprint: Digest
    """Over id, severity and all evidence: the same again is no news."""
    told: bool = True
    """False: it was news, and nobody could be told. It is news again."""


class Verdict(Document):
    """One judgement of one state at one level."""

    KIND: ClassVar[str] = "verdict"

    repository: RepositoryName
    state: StateId
    generation: int = Field(ge=1)
    cut_time: Instant
    level: CheckLevel
    judged_at: Instant
    by: str
    """The name of the check's execution, or `record`."""
    target: str | None = None
    """`bucket/prefix` of the restored copy that was judged instead of the state's own versions."""
    findings: tuple[SeenFinding, ...] = ()
    """The worst first; what was acknowledged is left out."""
    acknowledged: int = Field(default=0, ge=0)
    """Findings of which nothing is left once what a person acknowledged is taken away."""
    figures: dict[str, int] = {}
    """What was counted: objects, bytes, blobs; names as the level gives them."""

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.findings)

    @property
    def brief(self) -> list[dict[str, str | int]]:
        """Its findings as a step answers the workflow: no words, no evidence, so that it stays small."""
        return [{"severity": each.severity, "id": each.id, "keys": each.keys} for each in self.findings]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict together with its findings in full, in the verdict's order."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    def untold(self, of: Iterable[SeenFinding]) -> "Judged":
        """The same, with a note that nobody could be told `of` these findings."""
        these = {finding.fingerprint for finding in of}
        findings = tuple(
            each.model_copy(update={"told": False}) if each.fingerprint in these else each
            for each in self.verdict.findings
        )
        return replace(self, verdict=self.verdict.model_copy(update={"findings": findings}))


def outcome_of(findings: Iterable[Finding | SeenFinding]) -> Outcome:
    """What `findings` add up to; a NOTE informs and no more."""
    severities = {finding.severity for finding in findings}
    if Severity.FAIL in severities:
        return "fail"
    return "hold" if Severity.HOLD in severities else "pass"


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (_WORST_FIRST[finding.severity], finding.id)))


def conclude(
    header: StateHeader,
    level: CheckLevel,
    findings: Sequence[Finding],
    acknowledgements: Iterable[Acknowledgement],
    *,
    judged_at: datetime,
    by: str,
    target: str | None = None,
    figures: Mapping[str, int] | None = None,
) -> Judged:
    """The verdict on `header`'s state that `findings` lead to once the acknowledged ones are left out."""
    left = tuple(map(_bounded, worst_first(unacknowledged(findings, acknowledgements))))
    verdict = Verdict(
        repository=header.repository,
        state=header.id,
        generation=header.generation,
        cut_time=header.cut_time,
        level=level,
        judged_at=judged_at,
        by=by,
        target=target,
        findings=tuple(map(seen, left)),
        acknowledged=len(findings) - len(left),
        figures=dict(figures or {}),
    )
    return Judged(verdict, left)


def _bounded(finding: Finding) -> Finding:
    """Whoever may write could fill a repository with junk; that must not stop what judges it, nor cost a fortune."""
    more = max(0, len(finding.evidence) - MOST_EVIDENCE)
    return replace(finding, evidence=finding.evidence[:MOST_EVIDENCE], more=finding.more + more) if more else finding


def seen(finding: Finding) -> SeenFinding:
    return SeenFinding(
        id=finding.id,
        severity=finding.severity,
        since=finding.since,
        what=finding.what,
        remedy=finding.remedy,
        keys=len(finding.evidence) + finding.more,
        more=finding.more,
        fingerprint=fingerprint(finding),
    )


def fingerprint(finding: Finding) -> Digest:
    """Digest of what is found, without words and counts that change from one check to the next."""
    evidence = sorted((each.key, sorted(each.version_ids), each.standing) for each in finding.evidence)
    content = json.dumps([finding.id, finding.severity, evidence, finding.more], ensure_ascii=True)
    return Digest(hashlib.sha256(content.encode()).hexdigest())


def news(verdict: Verdict, previous: Verdict | None) -> tuple[SeenFinding, ...]:
    """FAIL and HOLD findings that the `previous` verdict of the same repository and level did not have."""
    known = {finding.fingerprint for finding in previous.findings if finding.told} if previous else set()
    return tuple(
        finding
        for finding in verdict.findings
        if finding.severity is not Severity.NOTE and finding.fingerprint not in known
    )


def newest_outcomes(header: StateHeader, verdicts: Iterable[Verdict]) -> dict[CheckLevel, Outcome]:
    """The newest outcome of each level at which `header`'s state was judged, the shallowest first.

    `verdicts` in any order; those of other states, and of restored copies, do not count. Of two of the same
    second the worse one counts.
    """
    return {level: verdict.outcome for level, verdict in newest_verdicts(header, verdicts).items()}


def newest_verdicts(header: StateHeader, verdicts: Iterable[Verdict]) -> dict[CheckLevel, Verdict]:
    """The verdicts that `newest_outcomes` is made of, the shallowest level first."""
    newest: dict[CheckLevel, tuple[datetime, int, Verdict]] = {}
    for verdict in verdicts:
        if verdict.state == header.id and verdict.target is None:
            judged = (verdict.judged_at, _BEST_FIRST.index(verdict.outcome), verdict)
            if verdict.level not in newest or judged[:2] > newest[verdict.level][:2]:
                newest[verdict.level] = judged
    return {level: newest[level][2] for level in CheckLevel if level in newest}


def is_good(header: StateHeader, verdicts: Iterable[Verdict]) -> bool:
    """Whether a state is one to go back to: quiet, judged at least `consistent`, and at each level at which it was
    judged the newest verdict has no FAIL and no HOLD. See `newest_outcomes` for which verdicts count.
    """
    outcomes = newest_outcomes(header, verdicts)
    return CheckLevel.CONSISTENT in outcomes and set(outcomes.values()) == {"pass"} and not header.busy
