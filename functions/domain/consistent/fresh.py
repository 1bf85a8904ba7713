"""A fresh listing, folded once: the cut, and what only the history of a key can tell.

`Watch` sits between a listing and `take_cut`, so that one pass over S3's answer yields both. Memory grows
with the cuts and with the keys that have a history, never with the length of a key's history.

The same pass shows what was current at past cuts. Versions that kept states name are never destroyed, so an
old state is still in the listing, and record compares with it without reading a chunk of the ledger. Two things
can spoil that picture: a version that was destroyed after all, and one that came later and is dated earlier. So
whoever uses it compares its manifest root with the state's header; and a check, which reads the ledger's own
entries, finds the first as `gone` and the second as `backdated`.

Security rules:
- Only entries dated at or before the cut count, as in the cut itself; a pinned version exists whatever its date.
- A key with more than MOST_ENTRIES entries is a flood: its newest entries and its oldest one are kept, and
  it is named, so that nothing is decided on the part that was dropped.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from functions.domain.consistent.kept import Kept
from functions.domain.cut import Cut, take_cut
from functions.domain.restic import FileType, file_type, is_under_locks
from functions.domain.values import (
    NULL_VERSION,
    DeleteMarker,
    ListedVersion,
    ObjectKey,
    ObjectVersion,
    VersionId,
)

MOST_ENTRIES = 200
"""Of one key. restic writes a name once, and hides it once; a retried PUT adds one."""
DAY = timedelta(days=1)
IN_FLIGHT = timedelta(hours=1)
"""S3 may date a PUT by its beginning: one that was under way at a cut shows beneath it once it has ended. None of
restic's takes as long as this; an upload in parts may have begun weeks ago."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """A key outside `locks/` that is hidden, or was, or has more than one version."""

    key: ObjectKey
    entries: tuple[ListedVersion, ...]
    """Newest first; of a flood the newest ones and the oldest."""
    count: int
    """All of them."""

    @property
    def current(self) -> ObjectVersion | None:
        return self.entries[0] if isinstance(self.entries[0], ObjectVersion) else None

    @property
    def versions(self) -> tuple[ObjectVersion, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, ObjectVersion))

    @property
    def markers(self) -> tuple[DeleteMarker, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, DeleteMarker))


@dataclass(frozen=True, slots=True)
class Pin:
    """The versions of one key that kept states name."""

    key: ObjectKey
    version_ids: frozenset[VersionId]


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one listing shows."""

    cut: Cut
    by_type: Mapping[FileType, tuple[ObjectVersion, ...]]
    """The cut's versions by restic's type of file, told apart once; types that do not occur are left out."""
    histories: tuple[KeyHistory, ...]
    """In key order."""
    gone: tuple[Pin, ...]
    """Pinned versions that were not listed."""
    backdated: tuple[ObjectVersion, ...]
    """Versions that the listing shows as current at a kept state's cut, and which that state, recorded then, does not
    name: each came later than it is dated. In key order."""
    past: Mapping[datetime, tuple[ObjectVersion, ...]]
    """By the past cut times that were asked for: what the listing shows as current then, in key order."""
    flooded: tuple[tuple[ObjectKey, int], ...]
    """Keys with more than MOST_ENTRIES entries, `locks/` included, and how many each has."""
    nulls: tuple[ObjectKey, ...]
    """Keys with a version whose id is `null`, current or not."""
    snapshot_uploads: tuple[datetime, ...]
    """When each version of a snapshot file was written, in time order."""
    net_bytes: tuple[tuple[int, int], ...]
    """(days before the cut, bytes by which current packs grew on that day), ascending; 0 is the last 24 hours."""
    upload_days: frozenset[int]
    """Days before the cut on which a pack was written."""
    oldest_lock: datetime | None
    """When the oldest current lock file was written."""

    def of(self, kind: FileType) -> tuple[ObjectVersion, ...]:
        """Current versions of one type of file, in key order."""
        return self.by_type.get(kind, ())

    def history(self, key: ObjectKey) -> KeyHistory | None:
        """Linear: for the few keys that a finding names."""
        return next((each for each in self.histories if each.key == key), None)


def observe(
    listing: Iterable[ListedVersion], at: datetime, kept: Kept | None = None, past: Iterable[datetime] = ()
) -> Fresh:
    """Fold a whole listing. Raises NotInOrder.

    `kept`: what is to be looked for; `past`: for which cut times before `at` to tell what was current.
    """
    watch = Watch(at, kept or Kept(), past)
    return watch.fresh(take_cut(watch.through(listing), at))


class Watch:
    """Takes notes while a listing passes through it to `take_cut`."""

    def __init__(self, at: datetime, kept: Kept, past: Iterable[datetime]) -> None:
        self._at = at
        self._kept = kept
        self._pins = kept.by_key()
        self._pin = next(self._pins, None)
        self._past: dict[datetime, list[ObjectVersion]] = {then: [] for then in past}
        self._backdated: list[ObjectVersion] = []
        self._by_type: dict[FileType, list[ObjectVersion]] = {}
        self._gone: list[Pin] = []
        self._histories: list[KeyHistory] = []
        self._flooded: list[tuple[ObjectKey, int]] = []
        self._nulls: list[ObjectKey] = []
        self._snapshots: list[datetime] = []
        self._net: Counter[int] = Counter()
        self._upload_days: set[int] = set()
        self._oldest_lock: datetime | None = None

    def through(self, listing: Iterable[ListedVersion]) -> Iterator[ListedVersion]:
        """The same entries, in the same order."""
        for key, entries in groupby(listing, key=attrgetter("key")):
            yield from self._through_key(key, entries)
        while self._pin is not None:
            self._lose(*self._pin)

    def fresh(self, cut: Cut) -> Fresh:
        """What was noted, once the listing has passed."""
        return Fresh(
            cut=cut,
            by_type={kind: tuple(versions) for kind, versions in self._by_type.items()},
            histories=tuple(self._histories),
            gone=tuple(self._gone),
            backdated=tuple(self._backdated),
            past={then: tuple(versions) for then, versions in self._past.items()},
            flooded=tuple(self._flooded),
            nulls=tuple(self._nulls),
            snapshot_uploads=tuple(sorted(self._snapshots)),
            net_bytes=tuple(sorted(self._net.items())),
            upload_days=frozenset(self._upload_days),
            oldest_lock=self._oldest_lock,
        )

    def _through_key(self, key: ObjectKey, entries: Iterable[ListedVersion]) -> Iterator[ListedVersion]:
        while self._pin is not None and self._pin[0] < key:
            self._lose(*self._pin)
        named = self._pin[1] if self._pin is not None and self._pin[0] == key else {}
        missing = set(named)
        lock = is_under_locks(key)
        unanswered = [] if lock else list(self._past.items())
        kept: list[ListedVersion] = []
        count = 0
        for entry in entries:
            yield entry
            if isinstance(entry, ObjectVersion):
                missing.discard(entry.version_id)
            if entry.last_modified > self._at:
                continue
            unanswered = _answered(unanswered, entry)
            count += 1
            if len(kept) < MOST_ENTRIES:
                kept.append(entry)
            else:
                kept[-1] = entry
        if named:
            self._pin = next(self._pins, None)
        if missing:
            self._gone.append(Pin(key, frozenset(missing)))
        if kept:
            self._note(key, kept, count)
            if not lock:
                self._compare(kept, named)

    def _lose(self, key: ObjectKey, named: Iterable[VersionId]) -> None:
        self._gone.append(Pin(key, frozenset(named)))
        self._pin = next(self._pins, None)

    def _compare(self, entries: Sequence[ListedVersion], named: Mapping[VersionId, datetime]) -> None:
        """Note versions that the first state cut after them should name, and does not."""
        covered: datetime | None = None
        for entry in entries:
            if isinstance(entry, ObjectVersion) and self._is_backdated(entry, covered, named.get(entry.version_id)):
                self._backdated.append(entry)
            covered = entry.last_modified

    def _is_backdated(self, version: ObjectVersion, covered: datetime | None, named: datetime | None) -> bool:
        """Whether a kept state was cut between a version and the entry that `covered` it, and `named` it not."""
        should = self._kept.first_cut_from(version.last_modified + IN_FLIGHT)
        # What is younger than the cut that is judged does not count, and may have covered it.
        if should is None or should > self._at or (covered is not None and should >= covered):
            return False
        return named is None or named > should

    def _note(self, key: ObjectKey, entries: list[ListedVersion], count: int) -> None:
        if count > MOST_ENTRIES:
            self._flooded.append((key, count))
        if is_under_locks(key):
            if isinstance(entries[0], ObjectVersion):
                written = entries[0].last_modified
                self._oldest_lock = min(self._oldest_lock or written, written)
            return
        kind = file_type(key)
        if isinstance(entries[0], ObjectVersion):
            self._by_type.setdefault(kind, []).append(entries[0])
        if len(entries) > 1 or isinstance(entries[0], DeleteMarker):
            self._histories.append(KeyHistory(key, tuple(entries), count))
        versions = [entry for entry in entries if isinstance(entry, ObjectVersion)]
        if any(version.version_id == NULL_VERSION for version in versions):
            self._nulls.append(key)
        if kind is FileType.SNAPSHOT:
            self._snapshots.extend(version.last_modified for version in versions)
        elif kind is FileType.PACK:
            self._weigh(entries)

    def _weigh(self, entries: list[ListedVersion]) -> None:
        before = 0
        for entry in reversed(entries):
            day = (self._at - entry.last_modified) // DAY
            after = entry.size if isinstance(entry, ObjectVersion) else 0
            self._net[day] += after - before
            before = after
            if isinstance(entry, ObjectVersion):
                self._upload_days.add(day)


def _answered(
    unanswered: list[tuple[datetime, list[ObjectVersion]]], entry: ListedVersion
) -> list[tuple[datetime, list[ObjectVersion]]]:
    """The past cuts for which `entry` does not decide what was current; for the others it is noted."""
    left = []
    for then, shown in unanswered:
        if entry.last_modified > then:
            left.append((then, shown))
        elif isinstance(entry, ObjectVersion):
            shown.append(entry)
    return left
