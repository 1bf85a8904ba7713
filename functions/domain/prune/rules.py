"""What may be deleted of one key, and what waits, until when and why: the clauses of docs/design.md, as code.

Versions. A version may go only if
(a) no kept state names it;
(b) it is noncurrent, and its successor (the next newer entry in S3's order) is not multipart and is at least `grace`
    old. A multipart upload is dated by its beginning: completed today, it hides its predecessor today and says it
    did a month ago. An entry without an ETag could be one, too. Where a version is dated after its successor, the
    dates contradict the order, and the younger of the two counts;
(d) it cannot be under the bucket's default retention any more. What else S3 holds back (extended retention, legal
    holds) no listing tells: there S3 has the last word, per version, and what it refuses waits.
(c), that the fresh state passed its checks, and (e), that all this is confirmed just before the call, are in
`validity` and `confirm`.

A `null` version id does not name one version for good: where versioning can be suspended, the next write replaces it.
It goes only where Object Lock makes that impossible. Of a flooded key nothing goes.

Keys that are not restic's go by the same rules: states name them, too. Keeping them for ever would let an
attacker's junk cost for ever; that they are not restic's makes the plan wait for a person (`amounts`).

The oldest version of a restic file stays while those above it are not all alike, whatever else lets it go. The checks
take its bytes for the true ones, and call those that differ false. Were it to go first, a false version that a kept
state names would pass for the true one, what was mended would be called false, and nobody could mend or acknowledge
that: no prune would ever run again. It goes with a prune after the one that takes the false version.

Deleting what may go makes nothing undeletable that was: the next newer entry of whatever lies beneath is then an
entry that hides it as long, or the one that let this one go.

Delete markers. A marker says "absent from here on" of the versions beneath it. Removing a current one brings the
version beneath back; removing a noncurrent one makes a listing, folded at a past cut, show a version as current
where the state says absent. That matters: the checks fold the past from a listing, and an object that was hidden
and then uploaded again would look as if it had never been gone. So a marker of either kind goes only when no
version at all lies beneath it; then no fold at any cut changes. In the plan that means: none that stays. Just before
the call it means none (`confirm`), with no upload pending that could land there. A marker must also be noncurrent
with a successor of `grace`, or be `grace` old itself.

`locks/*` belong to no state, and nothing is restored from them; they have a grace of their own.

Security rules:
- `IsLatest` at listing time is never read. The order within the key says what is current.
- What cannot be decided waits, and is counted with its reason.
- Nothing here asks what time it is: `now` is S3's clock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from functions.domain.documents import Part
from functions.domain.key_history import KeyHistory
from functions.domain.prune.histories import is_flooded
from functions.domain.repositories import Duration, PositiveDuration, Repository
from functions.domain.restic import FileType, file_type, is_under_locks
from functions.domain.values import NULL_VERSION, DeleteMarker, ListedVersion, ObjectVersion, VersionId

LOCKS_GRACE = timedelta(days=1)
"""Of `locks/*`, unless `grace_days` is shorter: long enough to find out who locked what, and no state needs them."""


class PruneRules(Part):
    """A repository's settings, as far as they decide what may go. A plan is only good for those it was drawn with."""

    grace: PositiveDuration
    locks_grace: PositiveDuration
    default_retention: Duration = timedelta(0)
    """How long the bucket locks each new version; 0: not at all, or deletes bypass it."""
    object_lock: bool = False
    """Whether Object Lock is on, so that nobody can suspend versioning and `null` names one version for good."""

    @classmethod
    def of(cls, repository: Repository, *, object_lock: bool) -> Self:
        """`object_lock`: whether the bucket has it now. Of an adopted bucket the default retention is not ours."""
        locked = object_lock and not repository.adopt and not repository.bypass_governance
        return cls(
            grace=repository.grace_days,
            locks_grace=min(LOCKS_GRACE, repository.grace_days),
            default_retention=timedelta(days=repository.lock_days if locked else 0),
            object_lock=object_lock,
        )


class Reason(StrEnum):
    """Which rule lets an entry go."""

    HIDDEN = "hidden"
    """A delete marker hides it since the grace."""
    REPLACED = "replaced"
    """A newer version covers it since the grace."""
    LOCK_FILE = "lock-file"
    """A lock file of restic's that is no longer current."""
    SPENT_MARKER = "spent-marker"
    """A delete marker with nothing left to hide."""


class Waits(StrEnum):
    """Why an entry that is not simply current stays."""

    NAMED = "named"
    """A kept state names it."""
    YOUNG = "young"
    """Its successor (of a current marker: it itself) is younger than the grace."""
    UNDATED = "undated"
    """Its successor is multipart, so that nobody can tell since when it is noncurrent."""
    RETAINED = "retained"
    """The bucket's default retention still holds it."""
    NULL = "null"
    """Its version id is `null`, which could come to name another version."""
    FLOODED = "flooded"
    """Its key has too many entries to be judged."""
    FIRST = "first"
    """It is the oldest version of its name, by which the checks tell the false ones above it."""
    COVERS = "covers"
    """A marker: a version that stays, or that cannot be seen to go, lies beneath it."""
    UPLOAD_PENDING = "upload-pending"
    """A marker: an upload to its key is not completed, and could land beneath it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one entry that is not simply a current version."""

    entry: ListedVersion
    verdict: Reason | Waits
    since: datetime
    """Noncurrent (a current marker: there) since then, on S3's clock; of UNDATED and FLOODED not to be relied on."""
    until: datetime | None = None
    """Of YOUNG and RETAINED: it waits until then, if nothing else happens."""

    @property
    def goes(self) -> bool:
        return isinstance(self.verdict, Reason)


def decide_key(
    history: KeyHistory, named: frozenset[VersionId], rules: PruneRules, now: datetime
) -> tuple[Decision, ...]:
    """What becomes of each entry of `history` but a current version, newest first.

    `history` has every entry of the key, or says by its count that it has not; `named` are all of its versions that
    kept states name. A marker goes if all versions beneath it do.
    """
    return _decide(history, named, rules, now, all_cover=False)


def decide_markers(history: KeyHistory, rules: PruneRules, now: datetime) -> tuple[Decision, ...]:
    """What becomes of the markers of a key that was listed again: one goes only if no version lies beneath it."""
    found = _decide(history, frozenset(), rules, now, all_cover=True)
    return tuple(each for each in found if isinstance(each.entry, DeleteMarker))


def grace_of(history: KeyHistory, rules: PruneRules) -> timedelta:
    return rules.locks_grace if is_under_locks(history.key) else rules.grace


def _decide(
    history: KeyHistory, named: frozenset[VersionId], rules: PruneRules, now: datetime, *, all_cover: bool
) -> tuple[Decision, ...]:
    """`all_cover`: a version keeps the markers above it even if it goes."""
    if is_flooded(history):
        # The entries that were dropped from it could be anywhere between those that were kept.
        return tuple([Decision(entry, Waits.FLOODED, entry.last_modified) for entry in history.entries])
    grace = grace_of(history, rules)
    oldest_first: list[Decision] = []
    covers = False
    first = _tells_the_others(history)
    for index in range(len(history.entries) - 1, -1, -1):
        entry = history.entries[index]
        successor = history.entries[index - 1] if index else None
        if isinstance(entry, DeleteMarker):
            oldest_first.append(_decide_marker(entry, successor, covers, grace, rules, now))
        elif successor is not None:
            decision = _decide_version(entry, successor, named, grace, rules, now)
            if entry is first and decision.goes:
                decision = Decision(entry, Waits.FIRST, decision.since)
            covers = covers or all_cover or not decision.goes
            oldest_first.append(decision)
    return tuple(reversed(oldest_first))


def _tells_the_others(history: KeyHistory) -> ObjectVersion | None:
    """The oldest version, where the checks still need it to tell the others."""
    if len(history.entries) < 3:
        return None
    versions = [entry for entry in history.entries if isinstance(entry, ObjectVersion)]
    bytes_above = {(version.size, version.etag) for version in versions[:-1]}
    if len(bytes_above) < 2 or file_type(history.key) in (FileType.LOCK, FileType.ALIEN):
        return None
    return versions[-1]


def _decide_version(
    version: ObjectVersion,
    successor: ListedVersion,
    named: frozenset[VersionId],
    grace: timedelta,
    rules: PruneRules,
    now: datetime,
) -> Decision:
    since = max(version.last_modified, successor.last_modified)
    if version.version_id in named:
        return Decision(version, Waits.NAMED, since)
    if version.version_id == NULL_VERSION and not rules.object_lock:
        return Decision(version, Waits.NULL, since)
    if is_undated(successor):
        return Decision(version, Waits.UNDATED, since)
    if now - since < grace:
        return Decision(version, Waits.YOUNG, since, since + grace)
    retained_until = version.last_modified + rules.default_retention
    if now < retained_until:
        return Decision(version, Waits.RETAINED, since, retained_until)
    return Decision(version, _reason(version, successor), since)


def _decide_marker(
    marker: DeleteMarker,
    successor: ListedVersion | None,
    covers: bool,
    grace: timedelta,
    rules: PruneRules,
    now: datetime,
) -> Decision:
    since = max(marker.last_modified, successor.last_modified) if successor else marker.last_modified
    if covers:
        return Decision(marker, Waits.COVERS, since)
    if marker.version_id == NULL_VERSION and not rules.object_lock:
        return Decision(marker, Waits.NULL, since)
    if successor is not None and is_undated(successor):
        return Decision(marker, Waits.UNDATED, since)
    if now - since < grace:
        return Decision(marker, Waits.YOUNG, since, since + grace)
    return Decision(marker, Reason.SPENT_MARKER, since)


def is_undated(entry: ListedVersion) -> bool:
    """Whether an entry's date may be long before it was there: a multipart upload, or what cannot be told from one."""
    return isinstance(entry, ObjectVersion) and (not entry.etag or "-" in entry.etag)


def _reason(version: ObjectVersion, successor: ListedVersion) -> Reason:
    if is_under_locks(version.key):
        return Reason.LOCK_FILE
    return Reason.HIDDEN if isinstance(successor, DeleteMarker) else Reason.REPLACED
