"""What `fold.observe` does by columns, done entry by entry: plain to read, and slow.

It is what record did before there were listings of ten million versions. The fold has to say the same of any listing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from functions.domain.columns import Columns
from functions.domain.consistent.fresh import Fresh, Pin, Usual, is_multipart
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.keys import IN_FLIGHT
from functions.domain.consistent.shown import FEW, PacksOfAnHour, PastCut, Shown
from functions.domain.cut import LOCK_LIFETIME, QUIET, Cut
from functions.domain.delta import Change, Removal
from functions.domain.entries import Entries
from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.restic import SMALLEST, FileType, file_type, is_under_locks
from functions.domain.state import Roots, tally
from functions.domain.values import NULL_VERSION, DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def observe_slowly(
    listing: Iterable[ListedVersion],
    at: datetime,
    *,
    usual: Usual,
    kept: Kept | None = None,
    past: Mapping[datetime, int],
) -> Fresh:
    """The same as `fold.observe` of the same entries, which are in order."""
    watch = _Watch(at, kept, past)
    return watch.fresh(_take_cut(watch.through(listing), at), usual, past)


def _take_cut(listing: Iterable[ListedVersion], at: datetime) -> Cut:
    versions: list[ObjectVersion] = []
    nulls: list[ObjectKey] = []
    edge = False
    locks = stale_locks = hidden = noncurrent = 0
    for key, entries in groupby(listing, key=attrgetter("key")):
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
        versions=Entries.of(versions),
        edge=edge,
        busy=locks > stale_locks,
        locks=locks,
        stale_locks=stale_locks,
        hidden=hidden,
        noncurrent=noncurrent,
        null_versions=tuple(nulls),
    )


class _Watch:
    """Takes notes while a listing passes through it to `_take_cut`."""

    def __init__(self, at: datetime, kept: Kept | None, past: Iterable[datetime]) -> None:
        self._at = at
        self._kept = kept
        self._pins = kept.by_key() if kept is not None else iter(())
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

    def fresh(self, cut: Cut, usual: Usual, most: Mapping[datetime, int]) -> Fresh:
        """What was noted, once the listing has passed."""
        current = list(cut.versions)
        beneath = [version for history in self._histories for version in history.versions]
        listed = {(version.key, version.version_id): version for version in (*current, *beneath)}
        return Fresh(
            cut=cut,
            roots=Roots.of([Columns.of(current)]),
            by_type=tally(current),
            few=tuple(version for version in current if file_type(version.key) in FEW),
            too_small=tuple(
                version
                for version in current
                if version.size < SMALLEST and file_type(version.key) is not FileType.ALIEN
            ),
            unusual_classes=tuple(version for version in current if version.storage_class not in usual.storage_classes),
            multipart=tuple(
                sorted(
                    (each for each in listed.values() if is_multipart(each) and not usual.multipart),
                    key=lambda version: version.key,
                )
            ),
            histories=tuple(self._histories),
            gone=tuple(self._gone),
            backdated=tuple(self._backdated),
            past={then: _past(versions, current, self._at, most[then]) for then, versions in self._past.items()},
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
        should = self._kept.first_cut_from(version.last_modified + IN_FLIGHT) if self._kept is not None else None
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


def _past(then: Sequence[ObjectVersion], now: Sequence[ObjectVersion], at: datetime, most: int) -> PastCut:
    roots = Roots.of([Columns.of(then)])
    current = {version.key: version for version in now}
    sizes: Counter[int] = Counter()
    left: Counter[int] = Counter()
    for version in then:
        if file_type(version.key) is FileType.PACK:
            sizes[(at - version.last_modified) // HOUR] += version.size
            left[(at - version.last_modified) // HOUR] += version.size * (version.key in current)
    changes: list[Change] = [Removal(version.key) for version in then if version.key not in current]
    changes += [version for version in now if version not in set(then)]
    return PastCut(
        objects=len(then),
        manifest=roots.manifest,
        attributes=roots.attributes,
        shown=Shown(
            few=tuple(version for version in then if file_type(version.key) in FEW),
            kinds=frozenset(file_type(version.key) for version in then),
            packs=tuple(PacksOfAnHour(age, size, left[age]) for age, size in sorted(sizes.items()) if size),
        ),
        changes=tuple(sorted(changes, key=lambda change: change.key)) if len(changes) <= most else None,
    )
