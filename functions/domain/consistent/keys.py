"""Key by key: the entries of one, and what is noted of keys that have to be looked at.

Security rules:
- Within a key S3's own order decides, not the times: S3's fleet has many clocks, and only the order says which of two
  writes of one second came last.
- Only entries dated at or before the cut count; a pinned version exists whatever its date.
- Lock files are counted and never pinned.
- A key with more than MOST_ENTRIES entries is a flood: its newest entries and its oldest one are kept, and
  it is named, so that nothing is decided on the part that was dropped.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.consistent.fresh import Usual, is_multipart
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.shown import FEW
from functions.domain.cut import LOCK_LIFETIME, QUIET
from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.restic import SMALLEST, FileType, file_type, is_under_locks
from functions.domain.values import NULL_VERSION, DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId

DAY = timedelta(days=1)
IN_FLIGHT = timedelta(hours=1)
"""S3 may date a PUT by its beginning: one that was under way at a cut shows beneath it once it has ended. None of
restic's takes as long as this; an upload in parts may have begun weeks ago."""


class Key:
    """One key, while its entries are listed; memory has a bound however many there are."""

    __slots__ = (
        "_answers",
        "_instants",
        "_unanswered",
        "count",
        "covered",
        "edge",
        "entries",
        "key",
        "lock",
        "missing",
        "named",
    )

    def __init__(self, key: ObjectKey, instants: Sequence[datetime], named: Mapping[VersionId, datetime]) -> None:
        """`instants`: the cut, and past ones. `named`: what kept states name of it."""
        self.key = key
        self.lock = is_under_locks(key)
        self.named = named
        self.missing = set(named)
        """Pinned versions that were not listed so far."""
        self.entries: list[ListedVersion] = []
        """Those dated at or before the cut, newest first; of a flood the newest ones and the oldest."""
        self.count = 0
        """All of these."""
        self.covered = 0
        """The versions among them that a newer entry covers."""
        self.edge = False
        self._answers: list[tuple[ListedVersion, int] | None] = [None] * len(instants)
        """For each instant the newest entry dated at or before it, and its place."""
        self._instants = instants
        self._unanswered: Sequence[int] = range(len(instants))

    @property
    def now(self) -> ListedVersion | None:
        """The newest entry at the cut."""
        return self.entries[0] if self.entries else None

    @property
    def shown(self) -> list[tuple[ObjectVersion, int] | None]:
        """For each instant the version that is in a state of it, and its place; a lock file never is."""
        return [
            (answer[0], answer[1]) if answer and not self.lock and isinstance(answer[0], ObjectVersion) else None
            for answer in self._answers
        ]

    def add(self, entry: ListedVersion, place: int) -> bool:
        """The next entry; whether it is an answer."""
        at = self._instants[0]
        version = isinstance(entry, ObjectVersion)
        if version:
            self.missing.discard(entry.version_id)
        if abs(entry.last_modified - at) <= QUIET:
            self.edge = True
        if entry.last_modified > at:
            return False
        self.covered += version and self.count > 0
        self.count += 1
        if len(self.entries) < MOST_ENTRIES:
            self.entries.append(entry)
        else:
            self.entries[-1] = entry
        return bool(self._unanswered) and self._answer(entry, place)

    def _answer(self, entry: ListedVersion, place: int) -> bool:
        later = [number for number in self._unanswered if entry.last_modified > self._instants[number]]
        for number in self._unanswered:
            if number not in later:
                self._answers[number] = (entry, place)
        answered = len(later) < len(self._unanswered)
        self._unanswered = later
        return answered


class Notes:
    """What the keys show that were looked at; the names are those of `Fresh` and of `Cut`."""

    def __init__(self, at: datetime, usual: Usual) -> None:
        self._at = at
        self._usual = usual
        self.objects: Counter[FileType] = Counter()
        """Current ones."""
        self.bytes: Counter[FileType] = Counter()
        self.edge = False
        self.locks = self.stale_locks = self.hidden = self.noncurrent = 0
        self.oldest_lock: datetime | None = None
        self.current_nulls: list[ObjectKey] = []
        self.few: list[ObjectVersion] = []
        self.too_small: list[ObjectVersion] = []
        self.unusual_classes: list[ObjectVersion] = []
        self.multipart: list[ObjectVersion] = []
        self.histories: list[KeyHistory] = []
        self.backdated: list[ObjectVersion] = []
        self.flooded: list[tuple[ObjectKey, int]] = []
        self.nulls: list[ObjectKey] = []
        self.snapshots: list[datetime] = []
        self.net: Counter[int] = Counter()
        self.upload_days: set[int] = set()

    def note(self, key: Key, kept: Kept) -> None:
        """All entries of a key were listed."""
        if key.count > MOST_ENTRIES:
            self.flooded.append((key.key, key.count))
        if key.lock:
            if isinstance(key.now, ObjectVersion):
                self._note_lock(key.now.last_modified)
            return
        self.edge |= key.edge
        if key.now is None:
            return
        kind = file_type(key.key)
        if isinstance(key.now, ObjectVersion):
            self._note_current(key.now, kind)
        else:
            self.hidden += 1
        self._note_history(key, kind)
        self._compare(key.entries, key.named, kept)

    def _note_lock(self, written: datetime) -> None:
        self.locks += 1
        self.stale_locks += self._at - written > LOCK_LIFETIME
        self.oldest_lock = min(self.oldest_lock or written, written)

    def _note_current(self, version: ObjectVersion, kind: FileType) -> None:
        self.objects[kind] += 1
        self.bytes[kind] += version.size
        if kind in FEW:
            self.few.append(version)
        if version.size < SMALLEST and kind is not FileType.ALIEN:
            self.too_small.append(version)
        if version.storage_class not in self._usual.storage_classes:
            self.unusual_classes.append(version)
        if version.version_id == NULL_VERSION:
            self.current_nulls.append(version.key)

    def _note_history(self, key: Key, kind: FileType) -> None:
        self.noncurrent += key.covered
        if key.count > 1 or isinstance(key.now, DeleteMarker):
            self.histories.append(KeyHistory(key.key, tuple(key.entries), key.count))
        versions = [entry for entry in key.entries if isinstance(entry, ObjectVersion)]
        if any(version.version_id == NULL_VERSION for version in versions):
            self.nulls.append(key.key)
        if not self._usual.multipart:
            self.multipart += filter(is_multipart, versions)
        if kind is FileType.SNAPSHOT:
            self.snapshots.extend(version.last_modified for version in versions)
        elif kind is FileType.PACK:
            self._weigh_history(key.entries)

    def _weigh_history(self, entries: Sequence[ListedVersion]) -> None:
        before = 0
        for entry in reversed(entries):
            day = (self._at - entry.last_modified) // DAY
            after = entry.size if isinstance(entry, ObjectVersion) else 0
            self.net[day] += after - before
            before = after
            if isinstance(entry, ObjectVersion):
                self.upload_days.add(day)

    def _compare(self, entries: Sequence[ListedVersion], named: Mapping[VersionId, datetime], kept: Kept) -> None:
        """Note versions that the first state cut after them should name, and does not."""
        covered: datetime | None = None
        for entry in entries:
            if isinstance(entry, ObjectVersion):
                should = kept.first_cut_from(entry.last_modified + IN_FLIGHT)
                if self._is_backdated(should, covered, named.get(entry.version_id)):
                    self.backdated.append(entry)
            covered = entry.last_modified

    def _is_backdated(self, should: datetime | None, covered: datetime | None, named: datetime | None) -> bool:
        """Whether a kept state was cut between a version and the entry that `covered` it, and `named` it not."""
        # What is younger than the cut that is judged does not count, and may have covered it.
        if should is None or should > self._at or (covered is not None and should >= covered):
            return False
        return named is None or named > should
