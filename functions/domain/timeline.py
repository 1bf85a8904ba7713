"""How a repository went from state to state: what came, what went, what was found, and where it went wrong.

Only headers and verdicts are looked at, no entries: what came and what went is told by type, as the difference of two
counts.

Security rules:
- Whoever asks proves first that the headers are one unbroken chain.
- `last-good` is the newest good state that no prune dropped: what `rwm restore REPO last-good` restores.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from functions.domain.documents import Instant, Part
from functions.domain.keeping import DroppedState, Hold
from functions.domain.prune.approval import Approval
from functions.domain.restic import FileType
from functions.domain.state import StateHeader, Tally
from functions.domain.values import RepositoryName, Severity, StateId
from functions.domain.verdict import CheckLevel, Outcome, Verdict, is_good, newest_outcomes, newest_verdicts

Mark = Literal["quiet", "busy", "edge", "held", "dropped", "approved", "last-good"]

PRECIOUS = (FileType.CONFIG, FileType.KEY, FileType.SNAPSHOT, FileType.PACK)
"""Nothing else is lost when it becomes fewer: restic itself makes one index of many."""
_WORST: tuple[Outcome, ...] = ("fail", "hold", "pass")


class Growth(Part):
    """Difference of two states' counts."""

    objects: int
    bytes: int


class TypeChange(Part):
    """How many more of one of restic's types there are than in the state before; less than nothing: fewer."""

    type: FileType
    objects: int
    bytes: int


class Found(Part):
    id: str
    severity: Severity


class Moment(Part):
    """One state, and what became of the repository since the one before."""

    id: StateId
    generation: int
    cut_time: Instant
    objects: int
    bytes: int
    change: Growth | None
    """None: it is the first state."""
    by_type: tuple[TypeChange, ...]
    """Only what changed."""
    same: bool
    """Exactly the versions of the state before."""
    fell: bool
    """Config, key files, snapshots or packs became fewer, or the bytes of packs."""
    hidden: int
    """Keys that a delete marker hides at the cut."""
    outcome: Outcome | None
    """The worst that was said at any level; None: it was never judged."""
    findings: tuple[Found, ...]
    """Of the newest verdict of each level, the worst first, each id once."""
    marks: tuple[Mark, ...]


class Turn(Part):
    """Between which two states a repository went from good to bad."""

    last_good: StateId | None
    """None: no state before it is known to be good."""
    after: Instant | None
    first_bad: StateId
    by: Instant
    findings: tuple[Found, ...]


class Timeline(Part):
    repository: RepositoryName
    moments: tuple[Moment, ...]
    """Newest first."""
    last_good: StateId | None
    """Also where it is older than what is shown."""
    last_good_at: Instant | None
    turn: Turn | None
    """None: nothing speaks against any state after the last good one."""
    more: bool
    """There are older states."""


Judged = tuple[StateHeader, tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Said:
    """What people and prunes said of the states of a repository."""

    dropped: frozenset[StateId] = frozenset()
    held: frozenset[StateId] = frozenset()
    approved: frozenset[StateId] = frozenset()
    """A person approved a prune that was planned from it."""

    @classmethod
    def of(cls, drops: Iterable[DroppedState], holds: Iterable[Hold], approvals: Iterable[Approval]) -> "Said":
        return cls(
            frozenset(each.state for each in drops),
            frozenset(each.state for each in holds),
            frozenset(each.state for each in approvals if each.decision == "approved"),
        )

    def is_good(self, header: StateHeader, verdicts: Sequence[Verdict]) -> bool:
        return header.id not in self.dropped and is_good(header, verdicts)

    def of_state(self, header: StateHeader, good: StateHeader | None) -> tuple[Mark, ...]:
        told: list[tuple[Mark, bool]] = [
            ("quiet", not header.busy and not header.edge),
            ("busy", header.busy),
            ("edge", header.edge),
            ("held", header.id in self.held),
            ("dropped", header.id in self.dropped),
            ("approved", header.id in self.approved),
            ("last-good", good is not None and header.id == good.id),
        ]
        return tuple(mark for mark, there in told if there)


def tell(repository: RepositoryName, judged: Iterable[Judged], said: Said, limit: int) -> Timeline:
    """The newest `limit` states. `judged`: one chain, newest first, and read no further than needed."""
    chain = list(_until_known(iter(judged), limit, said))
    good = next((header for header, verdicts in chain if said.is_good(header, verdicts)), None)
    shown = chain[:limit]
    parents: Sequence[StateHeader | None] = [header for header, _ in chain[1 : limit + 1]]
    moments = tuple(
        _moment(header, verdicts, parent, said.of_state(header, good))
        for (header, verdicts), parent in zip(shown, [*parents, None], strict=False)
    )
    return Timeline(
        repository=repository,
        moments=moments,
        last_good=good and good.id,
        last_good_at=good and good.cut_time,
        turn=_turn(chain, good),
        more=len(chain) > limit,
    )


def _until_known(judged: Iterator[Judged], limit: int, said: Said) -> Iterator[Judged]:
    """Those to be shown, one more, and on until a good one is among them: no more is read."""
    good = False
    for number, (header, verdicts) in enumerate(judged):
        if number > limit and good:
            return
        good = good or said.is_good(header, verdicts)
        yield header, verdicts


def _moment(
    header: StateHeader, verdicts: Sequence[Verdict], parent: StateHeader | None, marks: tuple[Mark, ...]
) -> Moment:
    changes = _changes(header, parent) if parent else ()
    outcomes = newest_outcomes(header, verdicts)
    return Moment(
        id=header.id,
        generation=header.generation,
        cut_time=header.cut_time,
        objects=header.objects,
        bytes=header.bytes,
        change=parent and Growth(objects=header.objects - parent.objects, bytes=header.bytes - parent.bytes),
        by_type=changes,
        same=parent is not None and header.manifest_root == parent.manifest_root,
        fell=any(_fell(each) for each in changes),
        hidden=header.hidden,
        outcome=_worst(outcomes),
        findings=_findings(header, verdicts),
        marks=marks,
    )


def _changes(header: StateHeader, parent: StateHeader) -> tuple[TypeChange, ...]:
    nothing = Tally(objects=0, bytes=0)
    before, after = parent.by_type, header.by_type
    return tuple(
        TypeChange(type=kind, objects=now.objects - then.objects, bytes=now.bytes - then.bytes)
        for kind in FileType
        if (now := after.get(kind, nothing)) != (then := before.get(kind, nothing))
    )


def _fell(change: TypeChange) -> bool:
    lighter = change.type is FileType.PACK and change.bytes < 0
    return change.type in PRECIOUS and (change.objects < 0 or lighter)


def _worst(outcomes: Mapping[CheckLevel, Outcome]) -> Outcome | None:
    return next((each for each in _WORST if each in outcomes.values()), None)


def _findings(header: StateHeader, verdicts: Sequence[Verdict]) -> tuple[Found, ...]:
    found = {
        (each.severity, each.id): Found(id=each.id, severity=each.severity)
        for verdict in newest_verdicts(header, verdicts).values()
        for each in verdict.findings
    }
    order = list(Severity)
    return tuple(sorted(found.values(), key=lambda each: (order.index(each.severity), each.id)))


def _turn(chain: Sequence[Judged], good: StateHeader | None) -> Turn | None:
    """The first state after the last good one that has a FAIL or a HOLD."""
    for header, verdicts in reversed(chain):
        after = good is None or header.generation > good.generation
        if after and _worst(newest_outcomes(header, verdicts)) in ("fail", "hold"):
            return Turn(
                last_good=good and good.id,
                after=good and good.cut_time,
                first_bad=header.id,
                by=header.cut_time,
                findings=_findings(header, verdicts),
            )
    return None
