"""A state is a cut, not a listing.

A listing walks keys in order, so it reads `data/` before `index/` and `snapshots/`: a backup that runs
meanwhile would look like snapshots whose packs are missing. restic writes packs, then indexes, then the
snapshot, so every *instant* of a repository is complete. A cut is the repository at one instant of S3's
clock: per key, the newest entry that is not younger than the cut time, and nothing when that entry is a
delete marker. `consistent.fold` takes it of a listing.

Security rules:
- The cut time is S3's, never the host's and never the function's.
- It is at least SETTLE after the event was sent, so that the backup the event speaks of lies before it.
- It is only listed when S3's clock has passed it by QUIET, so that nothing can still arrive beneath it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.entries import Entries
from functions.domain.values import ObjectKey, whole_second

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
    versions: Entries
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
