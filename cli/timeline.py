"""`rwm timeline`: how a repository went from state to state, so that the moment of an attack is plain to see.

Only headers and verdicts are read, no entries: what came and what went is told by type, as the difference of two
counts. `rwm diff` names the keys.

Security rules:
- The states are those of one unbroken chain (cli/states.py); a broken one is said, and nothing is shown.
- `last-good` is what `rwm restore REPO last-good` restores: the newest good state, which no prune dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from cli.deployment import Deployment
from cli.states import Growth, in_chain
from functions.domain.documents import Instant, Part
from functions.domain.ledger import with_verdicts
from functions.domain.restic import FileType
from functions.domain.state import StateHeader, Tally
from functions.domain.values import RepositoryName, Severity, StateId
from functions.domain.verdict import CheckLevel, Outcome, Verdict, is_good, newest_outcomes, newest_verdicts

Mark = Literal["quiet", "busy", "edge", "held", "dropped", "approved", "last-good"]

PRECIOUS = (FileType.CONFIG, FileType.KEY, FileType.SNAPSHOT, FileType.PACK)
"""Nothing else is lost when it becomes fewer: restic itself makes one index of many."""
_WORST: tuple[Outcome, ...] = ("fail", "hold", "pass")


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


def timeline(deployment: Deployment, name: str, limit: int) -> Timeline:
    """The newest `limit` states, checked to be one chain. Raises ChainBroken."""
    repository = deployment.repository(name).repository
    marks = _Marks(deployment, repository)
    judged = with_verdicts(in_chain(deployment.ledger, repository), deployment.verdicts.verdicts(repository))
    chain = list(_until_known(judged, limit, marks))
    good = next((header for header, verdicts in chain if marks.is_good(header, verdicts)), None)
    shown = chain[:limit]
    parents: Sequence[StateHeader | None] = [header for header, _ in chain[1 : limit + 1]]
    moments = tuple(
        _moment(header, verdicts, parent, marks.of(header, good))
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


Judged = tuple[StateHeader, tuple[Verdict, ...]]


class _Marks:
    """What people and prunes said of the states of a repository."""

    def __init__(self, deployment: Deployment, repository: RepositoryName) -> None:
        self._dropped = {each.state for each in deployment.ledger.drops(repository)}
        self._held = {each.state for each in deployment.holds.held(repository)}
        approvals = deployment.approvals.approvals(repository)
        self._approved = {each.state for each in approvals if each.decision == "approved"}

    def is_good(self, header: StateHeader, verdicts: Sequence[Verdict]) -> bool:
        return header.id not in self._dropped and is_good(header, verdicts)

    def of(self, header: StateHeader, good: StateHeader | None) -> tuple[Mark, ...]:
        told: list[tuple[Mark, bool]] = [
            ("quiet", not header.busy and not header.edge),
            ("busy", header.busy),
            ("edge", header.edge),
            ("held", header.id in self._held),
            ("dropped", header.id in self._dropped),
            ("approved", header.id in self._approved),
            ("last-good", good is not None and header.id == good.id),
        ]
        return tuple(mark for mark, there in told if there)


def _until_known(judged: Iterator[Judged], limit: int, marks: _Marks) -> Iterator[Judged]:
    """Those to be shown, one more, and on until a good one is among them: no more is read."""
    good = False
    for number, (header, verdicts) in enumerate(judged):
        if number > limit and good:
            return
        good = good or marks.is_good(header, verdicts)
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
