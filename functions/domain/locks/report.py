"""What a pass over the locks came to: how long each kept state is protected, and what has no lock.

A pass goes through every version that a kept state names, in key order. One that does not end in time is gone on with
by the next run, and the report says how far it came.

Security rules:
- It claims only what was seen: a version counts for a state when it was listed and its retention was read or set.
- What S3 refused or did not answer counts as without a lock, unless a lock was seen on it.
- What only states name that the next prune drops gets no new lock, and is counted by itself: it is nobody's fault.
- A state that did not prove what it names is told as unproven, whatever was counted of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from functions.domain.documents import Document, Instant, Part
from functions.domain.findings import FindingId
from functions.domain.locks.rules import soon
from functions.domain.values import Finding, ObjectKey, RepositoryName, Severity, StateId
from functions.domain.verdict import SeenFinding, seen

MOST_STATES = 1_000
"""That a report names, so that it fits into an item; the newest of them."""


class StateLocks(Part):
    """How long a kept state is protected."""

    state: StateId
    generation: int = Field(ge=1)
    cut_time: Instant
    versions: int = Field(ge=0)
    """That it names."""
    looked_at: int = Field(ge=0)
    """Of these. Fewer after a complete pass: they are gone, or the state was recorded while the pass was under way."""
    unlocked: int = Field(ge=0)
    """Of those looked at: without a lock, as far as is known."""
    earliest: Instant | None
    """When the first lock among those looked at ends; None: there is none."""
    unproven: bool = False
    """What it names could not be read to the end, or did not prove itself."""
    due: bool = False
    """Nothing keeps it any more: the next prune drops it, and what only it names gets no new lock."""


class Refused(Part):
    """Versions whose lock could not be read, set or lengthened, for one reason."""

    why: str
    """S3's error code, or its client's."""
    versions: int = Field(ge=1)


class LockReport(Document):
    """The newest pass over the locks of a repository, whole or as far as it came."""

    KIND: ClassVar[str] = "lock report"

    repository: RepositoryName
    begun_at: Instant
    """S3's clock, when the pass began."""
    made_at: Instant
    """S3's clock, when this run ended."""
    object_lock: bool
    """False: the bucket has no Object Lock, so there is no lock to look after."""
    lock_days: int = Field(ge=1)
    """How long a lock lasts that is set or lengthened."""
    done_until: ObjectKey | None = None
    """The last key that the pass came to when its time was over; None: it came to the end."""
    states: tuple[StateLocks, ...] = ()
    """The kept ones, the newest first."""
    more_states: int = Field(default=0, ge=0)
    """Kept ones that are not named here."""
    looked_at: int = Field(default=0, ge=0)
    """Versions that kept states name, each counted once."""
    extended: int = Field(default=0, ge=0)
    """Of these: locks set or lengthened by this pass."""
    were_unlocked: int = Field(default=0, ge=0)
    """Of these: had no lock when the pass came to them."""
    unlocked: int = Field(default=0, ge=0)
    """Of these: needed, and still without a lock, as far as is known."""
    due: int = Field(default=0, ge=0)
    """Of these: named by no state but such as the next prune drops; they get no new lock."""
    gone: int = Field(default=0, ge=0)
    """Versions that were listed and no longer there a moment later."""
    refused: tuple[Refused, ...] = ()
    findings: tuple[SeenFinding, ...] = ()
    told: tuple[str, ...] = ()
    """What people were told of and that stands, so that they hear of it once."""

    @property
    def complete(self) -> bool:
        """Whether the pass came to the end; what it says is then said of every key."""
        return self.done_until is None

    @property
    def earliest(self) -> Instant | None:
        """When the first lock of a kept state ends, as far as the pass came; not of one that the next prune drops."""
        return min((each.earliest for each in self.states if each.earliest and not each.due), default=None)


@dataclass(frozen=True, slots=True)
class _Problem:
    """A finding, and what tells it from the same one for other reasons."""

    finding: Finding
    marks: frozenset[str]


def judged(report: LockReport, before: LockReport | None) -> tuple[LockReport, tuple[SeenFinding, ...]]:
    """`report` with its findings, and which of them people have not been told of.

    What was told before stands until a complete pass does not see it any more: a pass that is under way has not looked
    everywhere.
    """
    known = frozenset(before.told if before else ())
    since = {each.id: each.since for each in before.findings} if before else {}
    problems = list(_problems(report, since))
    news = [
        problem.finding
        for problem in problems
        if problem.finding.severity is not Severity.NOTE and not problem.marks <= known
    ]
    standing = frozenset().union(*(problem.marks for problem in problems))
    told = standing if report.complete else standing | known
    findings = tuple(seen(problem.finding) for problem in problems)
    return report.model_copy(update={"findings": findings, "told": tuple(sorted(told))}), tuple(map(seen, news))


def untold(report: LockReport, before: LockReport | None) -> LockReport:
    """`report`, of which nobody could be told what is new: the next run tells it."""
    known = frozenset(before.told if before else ())
    return report.model_copy(update={"told": tuple(mark for mark in report.told if mark in known)})


def _problems(report: LockReport, since: dict[str, datetime]) -> Iterator[_Problem]:
    def problem(name: FindingId, severity: Severity, what: str, remedy: str, *whys: str) -> _Problem:
        at = since.get(name, report.made_at)
        marks = frozenset(f"{name}: {why}" for why in whys) or frozenset({str(name)})
        return _Problem(Finding(name, severity, report.repository, at, what, remedy), marks)

    if not report.object_lock:
        yield problem(
            FindingId.OBJECT_LOCK_OFF,
            Severity.NOTE,
            "the bucket has no Object Lock, so no version that a kept state names can be locked",
            "enable Object Lock on the bucket; it can be enabled at any time, and never be disabled",
        )
        return
    unproven = sum(each.unproven for each in report.states)
    if report.refused or unproven:
        whys = [f"{each.why} ({each.versions})" for each in report.refused]
        whys += [f"{unproven} kept state(s) could not be read whole"] if unproven else []
        yield problem(
            FindingId.LOCKS_MISSING,
            Severity.HOLD,
            f"{report.unlocked} version(s) that kept states name are not known to have a lock, and locks could not be "
            f"looked at, set or lengthened: {', '.join(whys)}",
            f"`rwm locks {report.repository}` shows which states it concerns; the bucket's policy has to let the role "
            "extend-retention set retention",
            *(each.why for each in report.refused),
            *(["unproven"] if unproven else []),
        )
    if report.made_at - report.begun_at > soon(report.lock_days):
        yield problem(
            FindingId.LOCKS_LATE,
            Severity.HOLD,
            "to look at every lock takes longer than half of lock_days, so that some may end before they are "
            "lengthened",
            "let lock_schedule come more often, or lengthen lock_days",
        )
