"""A state is a cut, not a listing.

A listing walks keys in order, so it reads `data/` before `index/` and `snapshots/`: a backup that runs
meanwhile would look like snapshots whose packs are missing. restic writes packs, then indexes, then the
snapshot, so every *instant* of a repository is complete. A cut is the repository at one instant of S3's
clock: per key, the newest entry that is not younger than the cut time, and nothing when that entry is a
delete marker.

Security rules:
- The cut time is S3's, never the host's and never the function's.
- It is at least SETTLE after the event was sent, so that the backup the event speaks of lies before it.
- It is only listed when S3's clock has passed it by QUIET, so that nothing can still arrive beneath it.
- Lock files are counted and never pinned.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from functions.domain.restic import is_under_locks
from functions.domain.values import NULL_VERSION, ListedVersion, ObjectKey, ObjectVersion, whole_second

SETTLE = timedelta(seconds=3)
"""How long after the event a cut may be taken: LastModified has whole seconds and S3's fleet has many clocks."""
QUIET = timedelta(seconds=2)
"""How far S3's clock must have passed the cut, and how still the repository should be on either side of it."""
LOCK_LIFETIME = timedelta(minutes=30)
"""restic's `staleLockTimeout`: a younger lock file means that some restic may be at work."""


class NotInOrder(Exception):
    """A listing broke S3's order, so that no cut can be trusted; nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The repository at `time`: each current object version, in key order, and how still it was."""

    time: datetime
    versions: tuple[ObjectVersion, ...]
    edge: bool
    """Something outside `locks/` is dated within QUIET of the cut: on which side of it, is a matter of luck."""
    busy: bool
    """A lock file younger than LOCK_LIFETIME was current: some restic was at work."""
    locks: int
    """Current lock files of any age."""
    stale_locks: int
    """Those older than LOCK_LIFETIME."""
    hidden: int
    """Keys outside `locks/` whose newest entry at the cut is a delete marker."""
    noncurrent: int
    """Object versions outside `locks/`, dated at or before the cut, that a newer entry covers."""
    null_versions: tuple[ObjectKey, ...]
    """Current keys whose version id is `null`: another write could replace them."""


def cut_time(event_sent: datetime, now: datetime) -> datetime:
    """The earliest trustworthy cut that answers an event: at least SETTLE after it, and not in the past.

    Both arguments and the result are instants of AWS's clocks; the result has whole seconds.
    """
    settled = event_sent + SETTLE
    rounded = whole_second(settled)
    return max(rounded if rounded == settled else rounded + timedelta(seconds=1), whole_second(now))


def may_list(cut: datetime, now: datetime) -> bool:
    """Whether S3's clock has passed `cut` by more than QUIET, so that the listing holds all that lies before it."""
    return now > cut + QUIET


def take_cut(listing: Iterable[ListedVersion], at: datetime) -> Cut:
    """Fold `listing` (S3's order, complete) into the cut at `at`; memory grows with the cut, not with its history.

    Raises NotInOrder when the keys do not strictly ascend. Within a key S3's own order decides, not the
    times: S3's fleet has many clocks, and only the order says which of two writes of one second came last.
    """
    versions: list[ObjectVersion] = []
    nulls: list[ObjectKey] = []
    edge = False
    locks = stale_locks = hidden = noncurrent = 0
    for key, entries in _by_key(listing):
        lock = is_under_locks(key)
        answer: ListedVersion | None = None
        for entry in entries:
            if not lock and abs(entry.last_modified - at) <= QUIET:
                edge = True
            if entry.last_modified > at:
                continue
            if answer is None:
                answer = entry
            elif not lock and isinstance(entry, ObjectVersion):
                noncurrent += 1
        if answer is None:
            continue
        if lock:
            if isinstance(answer, ObjectVersion):
                locks += 1
                stale_locks += at - answer.last_modified > LOCK_LIFETIME
        elif isinstance(answer, ObjectVersion):
            versions.append(answer)
            if answer.version_id == NULL_VERSION:
                nulls.append(key)
        else:
            hidden += 1
    return Cut(
        time=at,
        versions=tuple(versions),
        edge=edge,
        busy=locks > stale_locks,
        locks=locks,
        stale_locks=stale_locks,
        hidden=hidden,
        noncurrent=noncurrent,
        null_versions=tuple(nulls),
    )


def _by_key(listing: Iterable[ListedVersion]) -> Iterator[tuple[ObjectKey, Iterator[ListedVersion]]]:
    previous: ObjectKey | None = None
    for key, entries in groupby(listing, key=attrgetter("key")):
        if previous is not None and key.encode() <= previous.encode():
            raise NotInOrder(f"{key!r} was listed after {previous!r}; nothing was recorded")
        previous = key
        yield key, entries
