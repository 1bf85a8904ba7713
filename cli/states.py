"""`rwm states`, `rwm state`, `rwm diff`: what the ledger holds, read so that it can be trusted.

Security rules:
- A header's id is the digest of its bytes (the reader checks it), so a state chosen by id proves itself.
- `latest`, `last-good`, a time, and the list of states depend on the chain: each header must name the one
  before it, and the head must be the newest. Anything else is said, and nothing is chosen.
- `last-good` is what the verdicts in the operations table make it; a state that nobody judged is not good.
- Why a state is kept, and until when, is told by this machine's clock. A prune goes by S3's, and asks again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.deployment import Deployment
from cli.exits import Refused
from functions.domain.diff import Change, Difference, differences, totals
from functions.domain.documents import Instant, Part
from functions.domain.keeping import DroppedState, Hold
from functions.domain.ledger import NoSuchState, StateDamaged, choose_state, stream_states, with_verdicts
from functions.domain.ports import LedgerReader
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.retention import Fate, JudgedState, Why, decide_fates
from functions.domain.state import Cause, StateHeader, Tally
from functions.domain.timeline import Growth
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId
from functions.domain.verdict import CheckLevel, Outcome, Verdict, is_good, newest_outcomes


class ChainBroken(StateDamaged):
    """The headers of a repository do not form one chain that ends at its head."""


class HeldBy(Part):
    """A person's word that a state is kept."""

    by: str
    at: Instant
    why: str


class DroppedBy(Part):
    """The prune that dropped a state."""

    prune: str
    """Its execution."""
    plan: Digest
    at: Instant


class StateDetails(Part):
    """A state's header, and its change against its parent where the parent is at hand."""

    id: StateId
    repository: RepositoryName
    generation: int
    parent: StateId | None
    kind: str
    """`base`: written whole; `delta`: as the change against its parent; `same`: exactly the versions of its parent."""
    cut_time: Instant
    recorded_at: Instant
    manifest_root: Digest
    content_root: Digest
    objects: int
    bytes: int
    by_type: dict[FileType, Tally]
    edge: bool
    busy: bool
    locks: int
    stale_locks: int
    hidden: int
    noncurrent: int
    cause: Cause
    change: Growth | None
    """None for the first state."""
    checked: dict[CheckLevel, Outcome]
    """The newest outcome of each level at which it was judged."""
    good: bool
    """One to go back to: quiet, judged, and with nothing against it."""
    kept: tuple[Why, ...]
    """Why it is kept; empty: the next prune drops it, or one did."""
    kept_until: Instant | None
    """At least until then, whatever is recorded; null: as long as a reason lasts, which no clock alone ends."""
    held: HeldBy | None
    dropped: DroppedBy | None
    """A state that was dropped is restored from no more: its versions may be gone."""


class States(Part):
    repository: RepositoryName
    states: tuple[StateDetails, ...]
    """Newest first."""
    last_good: StateId | None
    """The newest good one among them."""
    more: bool
    """There are older ones."""


class Side(Part):
    """One of the two versions of a key that changed."""

    version_id: VersionId
    size: int
    last_modified: Instant
    etag: str
    storage_class: str


class KeyChange(Part):
    key: ObjectKey
    type: FileType
    change: Change
    expected: bool
    """Whether restic itself makes such a change."""
    meaning: str
    same_size: bool
    same_etag: bool
    before: Side | None
    after: Side | None


class ChangeTotals(Part):
    type: FileType
    change: Change
    objects: int
    bytes_before: int
    bytes_after: int
    unexpected: int


class StateDiff(Part):
    repository: RepositoryName
    before: StateDetails
    after: StateDetails
    same: bool
    """Both have exactly the same versions."""
    totals: tuple[ChangeTotals, ...]
    unexpected: int
    """Keys that changed in a way in which restic changes none."""
    changes: tuple[KeyChange, ...]
    """In key order."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What becomes of each state of a repository."""

    fates: Mapping[StateId, Fate]
    """Of those that are not dropped."""
    holds: Mapping[StateId, Hold]
    drops: Mapping[StateId, DroppedState]


def states(deployment: Deployment, name: str, limit: int, now: datetime) -> States:
    """The newest `limit` states, checked to be one chain. Raises ChainBroken."""
    repository = deployment.repository(name)
    chain = list(
        with_verdicts(
            in_chain(deployment.ledger, repository.repository), deployment.verdicts.verdicts(repository.repository)
        )
    )
    keeping = keeping_of(deployment, repository, chain, now)
    parents = [header for header, _ in chain[1 : limit + 1]]
    shown = tuple(
        details(header, judged, parent, keeping)
        for (header, judged), parent in zip(chain[:limit], [*parents, None], strict=False)
    )
    return States(
        repository=repository.repository,
        states=shown,
        last_good=next((each.id for each in shown if each.good and each.dropped is None), None),
        more=len(chain) > limit,
    )


def state(deployment: Deployment, name: str, wanted: str, now: datetime) -> StateDetails:
    repository = deployment.repository(name)
    header = find_state(deployment, repository, wanted)
    return _details(deployment, repository, header, now)


def diff(deployment: Deployment, name: str, before: str, after: str, now: datetime) -> StateDiff:
    """What changed from one state to another, both proven against their headers. Raises StateDamaged."""
    repository = deployment.repository(name)
    old, new = (find_state(deployment, repository, wanted) for wanted in (before, after))
    ledger = deployment.ledger
    same = old.manifest_root == new.manifest_root
    # Both go to the end, where they are proven, before anything is told.
    found = [] if same else list(differences(*stream_states(ledger, old, new)))
    return StateDiff(
        repository=repository.repository,
        before=_details(deployment, repository, old, now),
        after=_details(deployment, repository, new, now),
        same=same,
        totals=_totals(found),
        unexpected=sum(not difference.meaning.expected for difference in found),
        changes=tuple(_key_change(difference) for difference in found),
    )


_ID = re.compile(r"[0-9a-f]{4,64}")


def find_state(deployment: Deployment, repository: Repository, wanted: str) -> StateHeader:
    """The state that a person means by `wanted` (see `choose_state`).

    Raises NoSuchState; Refused for a state of another repository; ChainBroken.
    """
    ledger, name = deployment.ledger, repository.repository
    by_id = _ID.fullmatch(wanted) is not None
    try:
        headers = ledger.headers(name) if by_id else in_chain(ledger, name)
        return choose_state(headers, wanted, name, deployment.verdicts.verdicts(name))
    except NoSuchState:
        if by_id:
            _refuse_foreign(deployment, name, wanted)
        raise


def in_chain(ledger: LedgerReader, repository: RepositoryName) -> Iterator[StateHeader]:
    """The headers, newest first, each given only once its place in the chain is certain.

    Raises ChainBroken: a header was taken away, put in, or is newer than the head.
    """
    # The head first: what is recorded meanwhile only adds headers above it.
    head = ledger.head(repository)
    headers = ledger.headers(repository)
    newest = next(headers, None)
    if newest is None:
        if head is not None:
            raise _broken(repository, f"the head is state {head.state[:12]} and there are no states")
        return
    if head is None and (head := ledger.head(repository)) is None:
        raise _broken(repository, "there are states and no head")
    if newest.generation < head.generation:
        raise _broken(repository, f"it ends at generation {newest.generation} and the head is {head.generation}")
    yield from _linked(repository, newest, headers, head.generation, head.state)


def _linked(
    repository: RepositoryName, newest: StateHeader, older: Iterator[StateHeader], generation: int, state: StateId
) -> Iterator[StateHeader]:
    header: StateHeader | None = newest
    while header is not None:
        if header.generation == generation and header.id != state:
            raise _broken(repository, f"state {header.id[:12]} is in the place of state {state[:12]}")
        parent = next(older, None)
        if header.parent != (parent.id if parent else None):
            raise _broken(
                repository, f"generation {header.generation} is state {header.id[:12]}, whose parent is missing"
            )
        yield header
        header = parent


def details(
    header: StateHeader, verdicts: Sequence[Verdict], parent: StateHeader | None, keeping: Keeping
) -> StateDetails:
    fate, hold, drop = keeping.fates.get(header.id), keeping.holds.get(header.id), keeping.drops.get(header.id)
    told = {
        **header.model_dump(exclude={"chunks", "delta", "attributes_root"}),
        "id": header.id,
        "change": parent and Growth(objects=header.objects - parent.objects, bytes=header.bytes - parent.bytes),
        "checked": newest_outcomes(header, verdicts),
        "good": is_good(header, verdicts),
        "kept": fate.why if fate else (),
        "kept_until": fate.until if fate else None,
        "held": hold and HeldBy(by=hold.by, at=hold.at, why=hold.why),
        "dropped": drop and DroppedBy(prune=drop.execution, plan=drop.plan, at=drop.at),
    }
    return StateDetails.model_validate(told)


def _details(deployment: Deployment, repository: Repository, header: StateHeader, now: datetime) -> StateDetails:
    # All the others decide with it what becomes of a state; a chain that is broken elsewhere does not hide this one.
    judged = dict[StateId, tuple[StateHeader, Sequence[Verdict]]]()
    for each, verdicts in with_verdicts(
        deployment.ledger.headers(header.repository), deployment.verdicts.verdicts(header.repository)
    ):
        judged[each.id] = (each, verdicts)
    keeping = keeping_of(deployment, repository, list(judged.values()), now)
    return details(header, judged[header.id][1], _parent(deployment.ledger, header), keeping)


def keeping_of(
    deployment: Deployment,
    repository: Repository,
    judged: Sequence[tuple[StateHeader, Sequence[Verdict]]],
    now: datetime,
) -> Keeping:
    """What becomes of each of these states, which are all that the repository has."""
    drops = {each.state: each for each in deployment.ledger.drops(repository.repository)}
    holds = {each.state: each for each in deployment.holds.held(repository.repository)}
    fates = decide_fates(
        [JudgedState.of(header, verdicts) for header, verdicts in judged if header.id not in drops],
        holds,
        repository.retention,
        repository.grace_days,
        now,
    )
    return Keeping({fate.state.id: fate for fate in fates}, holds, drops)


def _parent(ledger: LedgerReader, header: StateHeader) -> StateHeader | None:
    return ledger.header(header.repository, header.generation - 1) if header.generation > 1 else None


def _refuse_foreign(deployment: Deployment, repository: RepositoryName, wanted: str) -> None:
    """Say whose state it is: a person who mixes up two repositories must not go on searching in the wrong one."""
    for other in deployment.repositories():
        if other.repository == repository:
            continue
        for header in deployment.ledger.headers(other.repository):
            if header.id.startswith(wanted):
                raise Refused(f"state {wanted} belongs to {other.name}, not to {repository}; nothing was done")


def _broken(repository: RepositoryName, why: str) -> ChainBroken:
    return ChainBroken(
        f"the chain of states of {repository} is broken: {why}; somebody changed the ledger. A state chosen by its "
        f"full id still proves itself; the records bucket has the digest of each head under heads/{repository}/"
    )


def _totals(found: Sequence[Difference]) -> tuple[ChangeTotals, ...]:
    added_up = totals(found)
    return tuple(
        ChangeTotals(
            type=kind,
            change=change,
            objects=sums.objects,
            bytes_before=sums.bytes_before,
            bytes_after=sums.bytes_after,
            unexpected=sums.unexpected,
        )
        for kind in FileType
        for change in Change
        if (sums := added_up.get((kind, change)))
    )


def _key_change(difference: Difference) -> KeyChange:
    return KeyChange(
        key=difference.key,
        type=difference.file_type,
        change=difference.change,
        expected=difference.meaning.expected,
        meaning=difference.meaning.what,
        same_size=difference.same_size,
        same_etag=difference.same_etag,
        before=_side(difference.before),
        after=_side(difference.after),
    )


def _side(version: ObjectVersion | None) -> Side | None:
    if version is None:
        return None
    return Side(
        version_id=version.version_id,
        size=version.size,
        last_modified=version.last_modified,
        etag=version.etag,
        storage_class=version.storage_class,
    )
