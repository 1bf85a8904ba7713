"""`rwm why`: the story of one object: which states name it, who keeps it, what was found, planned and deleted of it,
and what a prune would do today.

Security rules:
- What states name is proven by their headers' digests; a plan and its batches by theirs; a finding by its verdict's.
- What could not be seen is said to be unseen, never left out: S3's own list and its locks are shown only to those whose
  credentials may read them. The operator's may not: it reads no repository.
- What a prune would do is decided by the very rules that it goes by (functions/domain/prune/rules.py), on what S3
  lists. Where that was not seen, only this is certain: a version that a kept state names stays.
- Times are this machine's. A prune goes by S3's clock, and asks again just before each call.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError

from cli.deployment import Deployment
from cli.exits import Refused
from cli.states import HeldBy, Keeping, in_chain, keeping_of
from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.key_history import KeyHistory
from functions.domain.key_lives import NamedBy, Sought, key_lives
from functions.domain.ledger import StateDamaged, with_verdicts
from functions.domain.ports import LockRefused
from functions.domain.prune.approval import ShelvedPlan, Status, status_of
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.histories import is_flooded
from functions.domain.prune.named import by_base
from functions.domain.prune.plan import Phase, PlanMismatch, PruneBatch, PrunePlan, read_batch, read_plan, result_file
from functions.domain.prune.results import BatchResult
from functions.domain.prune.rules import PruneRules, Reason, Waits, decide_key
from functions.domain.repositories import Repository
from functions.domain.restic import FileType, file_type
from functions.domain.retention import Why
from functions.domain.state import StateHeader
from functions.domain.values import (
    Digest,
    ListedVersion,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    Severity,
    StateId,
    VersionGone,
    VersionId,
)
from functions.domain.verdict import CheckLevel, Verdict
from functions.storage.aws import error_code
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.legal_holds import S3LegalHolds
from functions.storage.listing import S3KeyHistories
from functions.storage.locks import S3Retentions
from functions.storage.pages import MalformedListing

_NAME = re.compile(r"[0-9a-f]{4,64}")
_NAMED_AT_MOST = 5
_DENIED = ("AccessDenied", "403")

Became = Literal["gone", "some-gone", "stays", "not-applied", "unknown"]


class StateRef(Part):
    id: StateId
    generation: int
    cut_time: Instant


class Span(Part):
    """States one after another that name the same version of the key, or none."""

    version_id: VersionId | None
    """null: they have no such object."""
    first: StateRef
    last: StateRef
    states: int
    kept: int
    """Those of them that no prune dropped."""


class Pin(StateRef):
    """A kept state that names a version: while it is kept, no prune deletes that."""

    kept: tuple[Why, ...]
    """Why it is kept; empty: the next prune drops it."""
    kept_until: Instant | None
    """At least until then; null: as long as a reason lasts, which no clock alone ends."""
    held: HeldBy | None


class LockSeen(Part):
    """What S3 says of the locks of one version."""

    mode: str | None
    """`GOVERNANCE` or `COMPLIANCE`; null: no retention."""
    until: Instant | None
    legal_hold: bool | None
    """null: it was not visible."""


class Today(Part):
    """What a prune would do with a version or a marker if it ran now and its checks passed."""

    goes: bool
    why: Reason | Waits | Literal["current"]
    until: Instant | None
    """It waits until then, if nothing else happens."""


class ObjectEntry(Part):
    """A version of the object, or a delete marker, as the ledger and S3 know it."""

    version_id: VersionId
    marker: bool
    size: int | None
    last_modified: Instant
    storage_class: str | None
    states: int
    """Recorded states that name it."""
    first_state: StateRef | None
    last_state: StateRef | None
    pins: tuple[Pin, ...]
    """Kept states that name it, the newest first."""
    listed: bool | None
    """Whether S3 lists it now; null: that was not visible."""
    current: bool | None
    locks: LockSeen | None
    """null: not visible, or a marker, which has none."""
    today: Today | None
    """null: it depends on what S3 lists, which was not visible."""


class FoundAbout(Part):
    """A finding whose evidence names the key, as the newest verdict that has it tells."""

    id: str
    severity: Severity
    what: str
    remedy: str
    since: Instant
    standing: bool
    """The state itself is wrong here: it has to be mended."""
    version_ids: tuple[VersionId, ...]
    verdict: Digest
    level: CheckLevel
    state: StateId
    judged_at: Instant
    acknowledged: bool
    """An approver laid all of these versions to rest in it."""


class PlannedHere(Part):
    """A version or marker of the key that a prune plan deletes."""

    plan: Digest
    execution: str
    status: Status
    drawn_at: Instant
    version_id: VersionId
    marker: bool
    reason: Reason
    since: Instant
    became: Became
    """`gone`: its whole batch is; `some-gone`: a part of its batch is, and which part is not written down."""


class ObjectStory(Part):
    repository: RepositoryName
    key: ObjectKey
    """Without the repository's prefix."""
    type: FileType
    states: int
    """Recorded states of the repository that were read."""
    unread: int
    """Dropped states of which nobody can tell any more what they named."""
    spans: tuple[Span, ...]
    """All states that were read, the newest first."""
    s3_seen: bool
    """Whether S3's own list of the key was visible."""
    s3_unseen: str
    """Why not."""
    s3_entries: int
    """Versions and markers that S3 lists; of a flooded key, more than are shown."""
    entries: tuple[ObjectEntry, ...]
    """The newest first."""
    findings: tuple[FoundAbout, ...]
    """The newest first."""
    plans: tuple[PlannedHere, ...]
    """The newest first."""
    plans_unread: int
    """Plans whose files could not be read, or are not those that were drawn."""


def why(deployment: Deployment, name: str, wanted: str, now: datetime) -> ObjectStory:
    """The story of the object that `wanted` means: a key (with the repository's prefix or without), or four or more hex
    digits with which one name begins.

    Raises Refused for none or several, StateDamaged where a kept state cannot be read.
    """
    repository = deployment.repository(name)
    headers = list(in_chain(deployment.ledger, repository.repository))
    judged = list(with_verdicts(headers, deployment.verdicts.verdicts(repository.repository)))
    keeping = keeping_of(deployment, repository, judged, now)
    read, found = _named(deployment, headers, keeping, _sought(repository, wanted))
    key = _the_one(repository, wanted, found)
    named = found.get(key, {})
    pins = _pins(read, keeping, named)
    listed = _list(deployment, repository, key)
    planned, plans_unread = _plans(deployment, repository.repository, key, now)
    story = ObjectStory(
        repository=repository.repository,
        key=key,
        type=file_type(key),
        states=len(read),
        unread=len(headers) - len(read),
        spans=tuple(_spans(read, keeping, named)),
        s3_seen=not listed.unseen,
        s3_unseen=listed.unseen,
        s3_entries=listed.history.count if listed.history else 0,
        entries=tuple(_entries(read, named, pins, listed, now)),
        findings=tuple(_findings(deployment, repository.repository, key)),
        plans=tuple(planned),
        plans_unread=plans_unread,
    )
    if not (story.entries or story.findings or story.plans):
        unseen = "" if story.s3_seen else f"; what S3 lists was not visible: {story.s3_unseen}"
        raise Refused(
            f"no state, no finding and no prune plan of {repository.name} names {key!r}{unseen}. Give the whole key, "
            "as `rwm diff` shows it, or the first digits of its name"
        )
    return story


# --- which object ----------------------------------------------------------------------------------------


def _sought(repository: Repository, wanted: str) -> Sought:
    key = ObjectKey(wanted.removeprefix(repository.key_prefix))
    return Sought(key=key, name=wanted if _NAME.fullmatch(wanted) else None)


def _the_one(repository: Repository, wanted: str, found: Mapping[ObjectKey, NamedBy]) -> ObjectKey:
    key = ObjectKey(wanted.removeprefix(repository.key_prefix))
    if key in found or not _NAME.fullmatch(wanted):
        return key
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise Refused(
            f"no recorded state of {repository.name} names an object whose name begins with {wanted}; nothing was "
            "looked up; give its whole key if no state was ever recorded with it"
        )
    some = ", ".join(sorted(found)[:_NAMED_AT_MOST])
    raise Refused(f"{wanted} is the start of {len(found)} names ({some}); nothing was looked up; give more digits")


# --- what the ledger says --------------------------------------------------------------------------------


def _named(
    deployment: Deployment, headers: Sequence[StateHeader], keeping: Keeping, sought: Sought
) -> tuple[list[StateHeader], dict[ObjectKey, dict[StateId, ObjectVersion]]]:
    """The states that could be read, and what they name. Of dropped states the chunks may be gone."""
    read: set[StateId] = set()
    found: dict[ObjectKey, dict[StateId, ObjectVersion]] = {}
    for on_one_base in by_base(headers):
        for some in (on_one_base, [each for each in on_one_base if each.id not in keeping.drops]):
            try:
                lives = key_lives(deployment.ledger, some, sought)
            except StateDamaged:
                if len(some) == len(on_one_base) and any(each.id in keeping.drops for each in some):
                    continue
                raise
            read.update(each.id for each in some)
            for key, by_state in lives.items():
                found.setdefault(key, {}).update(by_state)
            break
    return [each for each in headers if each.id in read], found


def _spans(read: Sequence[StateHeader], keeping: Keeping, named: NamedBy) -> Iterator[Span]:
    spans: list[list[StateHeader]] = []
    for header in read:
        if spans and _version_id(named, spans[-1][-1]) == _version_id(named, header):
            spans[-1].append(header)
        else:
            spans.append([header])
    for span in spans:
        yield Span(
            version_id=_version_id(named, span[0]),
            first=_ref(span[-1]),
            last=_ref(span[0]),
            states=len(span),
            kept=sum(each.id not in keeping.drops for each in span),
        )


def _version_id(named: NamedBy, header: StateHeader) -> VersionId | None:
    version = named.get(header.id)
    return version.version_id if version else None


def _pins(read: Sequence[StateHeader], keeping: Keeping, named: NamedBy) -> dict[VersionId, list[Pin]]:
    found: dict[VersionId, list[Pin]] = {}
    for header in read:
        version = named.get(header.id)
        if version is None or header.id in keeping.drops:
            continue
        fate, hold = keeping.fates.get(header.id), keeping.holds.get(header.id)
        pin = Pin(
            **dict(_ref(header)),
            kept=fate.why if fate else (),
            kept_until=fate.until if fate else None,
            held=hold and HeldBy(by=hold.by, at=hold.at, why=hold.why),
        )
        found.setdefault(version.version_id, []).append(pin)
    return found


def _ref(header: StateHeader) -> StateRef:
    return StateRef(id=header.id, generation=header.generation, cut_time=header.cut_time)


# --- what S3 says, and what a prune would do ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listed:
    """S3's own list of the key, where it is visible."""

    history: KeyHistory | None
    unseen: str = ""
    rules: PruneRules | None = None
    locks: S3Retentions | None = None
    holds: S3LegalHolds | None = None


def _list(deployment: Deployment, repository: Repository, key: ObjectKey) -> _Listed:
    # A client of its own: whoever lists versions in this way leaves it unable to list them in any other.
    s3 = deployment.aws.s3_over(1)
    try:
        history = next(iter(S3KeyHistories(s3, repository.bucket, repository.key_prefix).of([key])), None)
    except ClientError as error:
        if (code := error_code(error)) in _DENIED:
            return _Listed(None, f"{deployment.aws.profile} may not s3:ListBucketVersions on {repository.bucket}")
        return _Listed(None, f"S3 answered {code} for {repository.bucket}")
    except MalformedListing as error:
        return _Listed(None, str(error))
    try:
        object_lock = S3BucketConfiguration(s3, repository.bucket).object_lock()
    except ClientError:
        # A bucket that RWM created has it; of another nobody can tell, and then less goes.
        object_lock = not repository.adopt
    return _Listed(
        history,
        rules=PruneRules.of(repository, object_lock=object_lock),
        locks=S3Retentions(s3, repository.bucket, repository.key_prefix),
        holds=S3LegalHolds(s3, repository.bucket, repository.key_prefix),
    )


def _entries(
    read: Sequence[StateHeader],
    named: NamedBy,
    pins: Mapping[VersionId, Sequence[Pin]],
    listed: _Listed,
    now: datetime,
) -> Iterator[ObjectEntry]:
    in_states: dict[VersionId, list[StateHeader]] = {}
    for header in read:
        if (version := named.get(header.id)) is not None:
            in_states.setdefault(version.version_id, []).append(header)
    by_s3 = listed.history.entries if listed.history else ()
    current = {by_s3[0].version_id} if by_s3 and isinstance(by_s3[0], ObjectVersion) else set()
    today = _today(listed, pins, now)
    known: dict[VersionId, ListedVersion] = {each.version_id: each for each in by_s3}
    of_ledger = {each.version_id: each for each in named.values()}
    for entry in (*by_s3, *_newest_first(each for each in of_ledger.values() if each.version_id not in known)):
        states = in_states.get(entry.version_id, [])
        version = entry if isinstance(entry, ObjectVersion) else None
        seen = not listed.unseen
        yield ObjectEntry(
            version_id=entry.version_id,
            marker=version is None,
            size=version.size if version else None,
            last_modified=entry.last_modified,
            storage_class=version.storage_class if version else None,
            states=len(states),
            first_state=_ref(states[-1]) if states else None,
            last_state=_ref(states[0]) if states else None,
            pins=tuple(pins.get(entry.version_id, ())),
            listed=entry.version_id in known if seen else None,
            current=entry.version_id in current if seen else None,
            locks=_locks(listed, entry) if version and entry.version_id in known else None,
            today=today.get(entry.version_id) if seen else _named_only(pins.get(entry.version_id, ())),
        )


def _newest_first(versions: Iterator[ObjectVersion]) -> list[ObjectVersion]:
    return sorted(versions, key=lambda each: (each.last_modified, each.version_id), reverse=True)


def _today(listed: _Listed, pins: Mapping[VersionId, Sequence[Pin]], now: datetime) -> dict[VersionId, Today]:
    """What the rules of a prune say of each entry that S3 lists."""
    if listed.history is None or listed.rules is None:
        return {}
    # A prune drops first what nothing keeps.
    named = frozenset(version_id for version_id, its in pins.items() if any(pin.kept for pin in its))
    said = {
        each.entry.version_id: Today(goes=each.goes, why=each.verdict, until=each.until)
        for each in decide_key(listed.history, named, listed.rules, now)
    }
    newest = listed.history.entries[0]
    if isinstance(newest, ObjectVersion) and not is_flooded(listed.history):
        said[newest.version_id] = Today(goes=False, why="current", until=None)
    return said


def _named_only(pins: Sequence[Pin]) -> Today | None:
    return Today(goes=False, why=Waits.NAMED, until=None) if any(pin.kept for pin in pins) else None


def _locks(listed: _Listed, entry: ListedVersion) -> LockSeen | None:
    if listed.locks is None or listed.holds is None:
        return None
    try:
        lock = listed.locks.retention(entry.key, entry.version_id)
    except (LockRefused, VersionGone):
        return None
    try:
        legal_hold: bool | None = listed.holds.is_held(entry.key, entry.version_id)
    except (LockRefused, VersionGone):
        legal_hold = None
    return LockSeen(mode=lock.mode if lock else None, until=lock.until if lock else None, legal_hold=legal_hold)


# --- what was found, planned and deleted -------------------------------------------------------------------


def _findings(deployment: Deployment, repository: RepositoryName, key: ObjectKey) -> Iterator[FoundAbout]:
    at_rest: dict[str, set[VersionId]] = {}
    for each in deployment.acknowledgements.acknowledgements(repository):
        if each.key == key:
            at_rest.setdefault(each.finding, set()).update(each.version_ids)
    known: set[Digest] = set()
    for verdict in deployment.verdicts.verdicts(repository):
        new = {each.fingerprint for each in verdict.findings if each.keys} - known
        if not new:
            # The same evidence as a newer verdict's.
            continue
        known |= new
        yield from _about(deployment, verdict, key, new, at_rest)


def _about(
    deployment: Deployment,
    verdict: Verdict,
    key: ObjectKey,
    new: set[Digest],
    at_rest: Mapping[str, set[VersionId]],
) -> Iterator[FoundAbout]:
    for finding, kept in zip(deployment.verdicts.findings(verdict), verdict.findings, strict=True):
        for evidence in finding.evidence:
            if evidence.key == key and kept.fingerprint in new:
                yield FoundAbout(
                    id=finding.id,
                    severity=finding.severity,
                    what=finding.what,
                    remedy=finding.remedy,
                    since=evidence.since,
                    standing=evidence.standing,
                    version_ids=evidence.version_ids,
                    verdict=verdict.digest,
                    level=verdict.level,
                    state=verdict.state,
                    judged_at=verdict.judged_at,
                    acknowledged=bool(evidence.version_ids)
                    and at_rest.get(finding.id, set()).issuperset(evidence.version_ids),
                )


def _plans(
    deployment: Deployment, repository: RepositoryName, key: ObjectKey, now: datetime
) -> tuple[list[PlannedHere], int]:
    decided = {each.plan: each for each in deployment.approvals.approvals(repository)}
    applied = {each.plan for each in deployment.prunes.reports(repository)}
    found: list[PlannedHere] = []
    unread = 0
    for shelved in deployment.plans.plans(repository):
        if not shelved.entries:
            continue
        status = status_of(shelved, decided.get(shelved.plan), shelved.plan in applied, now)
        try:
            found += _of_plan(deployment, shelved, status, key)
        except (VersionGone, PlanMismatch, UnreadableDocument):
            unread += 1
        except ClientError as error:
            if error_code(error) not in _DENIED:
                raise
            unread += 1
    return found, unread


def _of_plan(deployment: Deployment, shelved: ShelvedPlan, status: Status, key: ObjectKey) -> list[PlannedHere]:
    plan = read_plan(deployment.records, shelved.file, shelved.version_id, shelved.plan)
    return [
        PlannedHere(
            plan=shelved.plan,
            execution=shelved.execution,
            status=status,
            drawn_at=plan.drawn_at,
            version_id=entry.version_id,
            marker=entry.size is None,
            reason=entry.reason,
            since=entry.since,
            became=_became(deployment, plan, batch, status),
        )
        for phase in Phase
        for batch, entry in _in_phase(deployment, plan, phase, key)
    ]


def _in_phase(
    deployment: Deployment, plan: PrunePlan, phase: Phase, key: ObjectKey
) -> Iterator[tuple[PruneBatch, PlannedEntry]]:
    """Batches of a phase are in key order, and all entries of a key are in one: few have to be read."""
    batches = plan.of_phase(phase)
    low, high = 0, len(batches)
    while low < high:
        middle = (low + high) // 2
        entries = read_batch(deployment.records, plan, batches[middle].number)
        if key < entries[0].key:
            high = middle
        elif key > entries[-1].key:
            low = middle + 1
        else:
            yield from ((batches[middle], entry) for entry in entries if entry.key == key)
            return


def _became(deployment: Deployment, plan: PrunePlan, batch: PruneBatch, status: Status) -> Became:
    try:
        stored = deployment.records.get(result_file(plan.repository, plan.execution, batch.number))
        result = BatchResult.parse(stored)
    except VersionGone:
        return "unknown" if status == "applied" else "not-applied"
    except UnreadableDocument:
        return "unknown"
    except ClientError as error:
        # Whoever may not list a bucket is told so of what is not there, too.
        if error_code(error) not in _DENIED:
            raise
        return "unknown" if status == "applied" else "not-applied"
    if not result.is_of(plan, batch):
        return "unknown"
    if result.gone.objects == batch.objects:
        return "gone"
    return "some-gone" if result.gone.objects else "stays"
