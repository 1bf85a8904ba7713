"""What the watch keeps between two looks, and what of the present one people have to hear. Pure.

gather (facts.py)  ->  which conditions are open (conditions.py)  ->  here: what is news, what is over, what to keep.

What people heard is a set of marks for each condition. A look tells the marks that nobody told yet, and the end of
whatever was told. It is kept only after it was told: killed in between, people hear of it twice rather than never.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from functions.domain.documents import Document, Instant, Part
from functions.domain.notices import EVERY_REPOSITORY, NoticeKind
from functions.domain.repositories import Repository
from functions.domain.values import RepositoryName, Severity, zulu
from functions.domain.watch.conditions import Condition, could_not_read, is_judged, open_conditions, passed
from functions.domain.watch.facts import Facts, Source, Unread

ENDS_SILENTLY = frozenset({NoticeKind.APPROVAL_REMINDER})
"""Whose end another condition tells."""
LONGEST_SAID = 500
"""Characters that are kept of what a condition says."""
MOST_OPEN = 300
"""Conditions of one repository that are kept, so that they fit into an item; the worst of them."""


class KeptCondition(Part):
    """A condition as it stood at the last look."""

    kind: NoticeKind
    name: str
    source: Source | None
    severity: Severity
    since: Instant
    what: str
    said: str
    level: str
    details: dict[str, Any] = {}
    told: tuple[str, ...] = ()
    """The marks that people heard, sorted; none: they do not know of it."""


class WatchReport(Document):
    """What the newest look at one repository, or at the deployment, came to."""

    KIND: ClassVar[str] = "watch report"

    repository: RepositoryName
    """`*`: the deployment as a whole."""
    first_seen: Instant
    """When the watch looked first."""
    looked_at: Instant
    """AWS's clock."""
    open: tuple[KeptCondition, ...] = ()
    """The worst first."""


@dataclass(frozen=True, slots=True)
class Over:
    """A condition that people know of, and that is over."""

    condition: KeptCondition
    how: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to."""

    repository: RepositoryName
    now: datetime
    first_seen: datetime
    standing: tuple[Condition, ...]
    """The worst first; each with since when it stands, and with what people heard before."""
    carried: tuple[KeptCondition, ...]
    """Of which nobody knows whether they are over."""
    over: tuple[Over, ...]
    """That people have to hear of."""

    @property
    def news(self) -> tuple[Condition, ...]:
        """What people have to hear of."""
        return tuple(each for each in self.standing if each.marks - each.told and self.now >= each.since + each.after)

    def report(self, heard: Sequence[Condition], ended: Sequence[Over]) -> WatchReport:
        """What to keep when people `heard` of that news, and of the end of `ended`. What they did not hear of, the next
        look tells."""
        names = {each.name for each in heard}
        kept = [_kept(each, each.marks if each.name in names else each.told) for each in self.standing]
        kept += [*self.carried, *(each.condition for each in self.over if each not in ended)]
        worst = sorted(kept, key=lambda each: (_ORDER[each.severity], each.name))
        return WatchReport(
            repository=self.repository,
            first_seen=self.first_seen,
            looked_at=self.now,
            open=tuple(worst[:MOST_OPEN]),
        )

    def count(self, severity: Severity) -> int:
        """How many conditions of that severity are open, as far as anybody knows."""
        severities = [*(each.severity for each in self.standing), *(each.severity for each in self.carried)]
        return severities.count(severity)


def look_at(repository: Repository, facts: Facts, before: WatchReport | None) -> Look:
    """Compare what is so now with what was kept."""
    first_seen = before.first_seen if before is not None else facts.now
    look = _compare(
        repository.repository,
        facts.now,
        first_seen,
        list(open_conditions(repository, facts, first_seen)),
        before,
        lambda kept: is_judged(kept.name, kept.source, facts),
        lambda kept: how_it_ended(kept, facts),
    )
    if before is None:
        return look
    # Begun and over since the last look: people were told of it by who found it.
    known = {each.name for each in look.standing} | {each.name for each in before.open}
    gone = {each.name: each for each in passed(facts, before.looked_at) if each.told and each.name not in known}
    ended = (_kept(each, each.told) for each in gone.values())
    return replace(look, over=(*look.over, *(Over(each, how_it_ended(each, facts)) for each in ended)))


def look_at_deployment(
    now: datetime, dead_letters: int | Unread, prunes: Unread | None, before: WatchReport | None
) -> Look:
    """The same of what all repositories share. `prunes`: why Step Functions did not tell of them, if it did not."""
    found = [
        could_not_read(source, unread.why, now)
        for source, unread in ((Source.DEAD_LETTERS, dead_letters), (Source.PRUNES, prunes))
        if isinstance(unread, Unread)
    ]
    if isinstance(dead_letters, int) and dead_letters:
        found.append(
            Condition(
                kind=NoticeKind.DEAD_LETTERS,
                name=NoticeKind.DEAD_LETTERS,
                source=Source.DEAD_LETTERS,
                severity=Severity.HOLD,
                since=now,
                what="messages wait in the dead-letter queue",
                said=f"{dead_letters} message(s) could not be answered and wait in the dead-letter queue, which all "
                "repositories share.",
                details={"messages": dead_letters},
            )
        )
    return _compare(
        EVERY_REPOSITORY,
        now,
        before.first_seen if before is not None else now,
        found,
        before,
        lambda kept: not (kept.source is Source.DEAD_LETTERS and isinstance(dead_letters, Unread)),
        lambda kept: _ENDS.get(kept.kind, "It stands no more."),
    )


def _compare(
    name: RepositoryName,
    now: datetime,
    first_seen: datetime,
    found: Sequence[Condition],
    before: WatchReport | None,
    judged: Callable[[KeptCondition], bool],
    how: Callable[[KeptCondition], str],
) -> Look:
    known = {each.name: each for each in before.open} if before is not None else {}
    standing = [_since_then(each, known.get(each.name), now) for each in found]
    gone = [each for each in known.values() if each.name not in {condition.name for condition in standing}]
    return Look(
        repository=name,
        now=now,
        first_seen=first_seen,
        standing=tuple(sorted(standing, key=lambda each: (_ORDER[each.severity], each.name))),
        carried=tuple(each for each in gone if not judged(each)),
        over=tuple(
            Over(each, how(each)) for each in gone if judged(each) and each.told and each.kind not in ENDS_SILENTLY
        ),
    )


def _since_then(condition: Condition, before: KeptCondition | None, now: datetime) -> Condition:
    # What a clock that goes a little ahead wrote down is so now.
    since = min(condition.since, now)
    if before is None:
        return replace(condition, since=since)
    told = (condition.told | frozenset(before.told)) & condition.marks
    return replace(condition, since=min(since, before.since), told=told)


def _kept(condition: Condition, told: frozenset[str]) -> KeptCondition:
    return KeptCondition(
        kind=condition.kind,
        name=condition.name,
        source=condition.source,
        severity=condition.severity,
        since=condition.since,
        what=condition.what,
        said=condition.said[:LONGEST_SAID],
        level=condition.level,
        details=dict(condition.details),
        told=tuple(sorted(told)),
    )


def how_it_ended(kept: KeptCondition, facts: Facts) -> str:
    """A sentence on why a condition stands no more."""
    if kept.kind is NoticeKind.APPROVAL and not isinstance(facts.plans, Unread):
        for each in facts.plans:
            if each.plan.plan == kept.details.get("plan") and each.decided is not None:
                return f"It was {each.decided.decision} at {zulu(each.decided.at)}."
        return "Nobody decided in time, or the prune was stopped; nothing was deleted."
    newest = facts.newest
    if kept.kind is NoticeKind.RECORDING_STOPPED and newest is not None:
        return f"The newest state is of {zulu(newest.cut_time)}."
    if kept.kind is NoticeKind.BACKUP_MISSED and facts.newest_snapshot is not None:
        return f"The newest snapshot was written at {zulu(facts.newest_snapshot)}."
    return _ENDS.get(kept.kind, "It stands no more.")


_ENDS = {
    NoticeKind.FINDINGS: "The newest judgement at this level does not have it any more.",
    NoticeKind.LOCKS: "The newest lock upkeep does not have it any more.",
    NoticeKind.LOCKS_LAPSE: "Lock upkeep runs again.",
    NoticeKind.PRUNE: "The newest prune did not fail.",
    NoticeKind.DRILL: "The newest restore drill rebuilt the repository, and proved it.",
    NoticeKind.BACKUPS_INCOMPLETE: "The newest backup was published as complete.",
    NoticeKind.DEAD_LETTERS: "The dead-letter queue is empty.",
    NoticeKind.QUARANTINE: "The hosts may write again.",
    NoticeKind.UNREAD: "It could be read again.",
}
_ORDER = {severity: number for number, severity in enumerate((Severity.FAIL, Severity.HOLD, Severity.NOTE))}
