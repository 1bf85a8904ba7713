"""A listing, folded once into what it shows.

Every entry passes here, and of a large repository there are ten million. So a block of them is taken by columns: each
step is one pass over a list. What has to be looked at, goes key by key: whatever is no pack, was hidden or written more
than once, is dated about the cut or later, or is stored in another way than usual. Of all others, an instant shows
those that were written by then: a mark for each entry says so.

Memory grows with the cut's entries, packed, and with the keys that have a history; never with the length of one.

Security rules:
- A listing is believed only in S3's order, which is proven of every key.
- No entry is taken for plain that a rule or a cut could see otherwise: the two ways show the same of any listing
  (tests/domain/consistent/test_fold.py).
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, pairwise
from operator import and_, eq, gt, le

from functions.domain.columns import Columns
from functions.domain.consistent.fresh import RESTICS, Fresh, Usual
from functions.domain.consistent.kept import Kept, Sought
from functions.domain.consistent.keys import Key, Notes
from functions.domain.consistent.shown import HOUR, Gathered, PastCut, hours_until
from functions.domain.cut import QUIET, Cut, NotInOrder
from functions.domain.delta import Change, DoesNotFit, Overlay, Removal
from functions.domain.entries import EntriesBuilder
from functions.domain.restic import SMALLEST, FileType, digests_of_packs, file_type
from functions.domain.roots import AttributesRoot, ContentRoot, ManifestRoot
from functions.domain.state import Roots, Tally
from functions.domain.values import NULL_VERSION, ObjectKey


def observe(
    blocks: Iterable[Columns],
    at: datetime,
    *,
    usual: Usual = RESTICS,
    kept: Kept | None = None,
    past: Mapping[datetime, int] | None = None,
) -> Fresh:
    """Fold a whole listing, whose blocks may go over from one key's entries to the next anywhere. Raises NotInOrder.

    `kept`: what is to be looked for. `past`: for which cut times before `at` to tell what was current, and how many
    changes from then until `at` to keep at most.
    """
    fold = _Fold(at, usual, kept or Kept(), past or {})
    for block in blocks:
        fold.add(block)
    return fold.fresh()


class _Past:
    """What was current at one past cut."""

    def __init__(self, then: datetime, at: datetime, most_changes: int) -> None:
        self.then = then
        self.second = int(then.timestamp())
        self.age = (at - then) // HOUR
        self.gathered = Gathered(at)
        """Without plain packs, which are weighed for all cuts at once."""
        self._partial = 0
        self._objects = 0
        self._manifest, self._attributes = ManifestRoot(), AttributesRoot()
        self._most = most_changes
        self._changes: list[Change] | None = []

    def add(self, current: Columns) -> None:
        self._objects += len(current)
        self._manifest.update(current)
        self._attributes.update(current)

    def compare(self, run: Columns, then: bytes | bytearray, now: bytes | bytearray) -> None:
        """Keep what makes those that are marked `now` of those that were marked `then`, proven by making it."""
        if self._changes is None or then == now:
            return
        changed: dict[ObjectKey, Change] = {key: Removal(key) for key in run.chosen(bytes(map(gt, then, now))).keys}
        changed.update((version.key, version) for version in run.chosen(bytes(map(gt, now, then))).versions())
        changes = [changed[key] for key in sorted(changed)]
        self._changes += changes
        if len(self._changes) > self._most or not _make(changes, run.chosen(then), run.chosen(now)):
            self._changes = None

    def weigh(self, ages: Sequence[int], plain: Columns) -> None:
        """Of plain packs, those of the hour in which this cut was: what came after it, it does not show."""
        if self.age in ages:
            rows = zip(ages, plain.times, plain.sizes, strict=True)
            self._partial += sum(size for age, time, size in rows if age == self.age and time <= self.second)

    def cut(self, hours: Mapping[int, int], oldest: float) -> PastCut:
        """`hours`: the bytes of plain packs by age, of which the `oldest` was written then. All of them are still
        there."""
        if oldest <= self.second:
            self.gathered.kinds.add(FileType.PACK)
        self.gathered.weigh(self.age, self._partial)
        for age, size in hours.items():
            if age > self.age:
                self.gathered.weigh(age, size)
        return PastCut(
            objects=self._objects,
            manifest=self._manifest.digest(),
            attributes=self._attributes.digest(),
            shown=self.gathered.shown(),
            changes=None if self._changes is None else tuple(self._changes),
        )


class _Fold:
    """Takes a listing block by block."""

    def __init__(self, at: datetime, usual: Usual, kept: Kept, past: Mapping[datetime, int]) -> None:
        self._at = at
        self._still = int((at - QUIET).timestamp())
        """What was written before this second lies before the cut and far from its edge."""
        self._usual = usual
        self._kept = kept
        self._sought = Sought(kept)
        self._notes = Notes(at, usual)
        self._past = [_Past(then, at, most) for then, most in past.items()]
        self._instants = [at, *past]
        self._last = ObjectKey("")
        self._open: Key | None = None
        """The last key: more of its entries may follow."""
        self._answers = Columns()
        """Its entries that some cut shows."""
        self._entries = EntriesBuilder()
        self._roots = (ManifestRoot(), ContentRoot(), AttributesRoot())
        self._hours: Counter[int] = Counter()
        """Bytes of plain packs by whole hours before the cut."""
        self._oldest = float("inf")
        """When the first of these was written."""

    def add(self, block: Columns) -> None:
        """The next entries. Raises NotInOrder."""
        keys = block.keys
        self._prove_order(keys)
        self._sought.reach(keys[-1])
        begin = 0
        if self._open is not None:
            begin = bisect_right(keys, self._open.key)
            self._read_on(self._open, block.part(0, begin))
            if begin == len(keys):
                return
            self._close(self._open)
        end = bisect_left(keys, keys[-1], begin)
        if begin < end:
            self._take(block.part(begin, end))
        self._open = self._begin(keys[-1])
        self._read_on(self._open, block.part(end, len(keys)))
        self._sought.leave()

    def fresh(self) -> Fresh:
        """What all blocks show."""
        if self._open is not None:
            self._close(self._open)
        notes = self._notes
        net = notes.net.copy()
        for age, size in self._hours.items():
            net[age // 24] += size
        return Fresh(
            cut=Cut(
                time=self._at,
                versions=self._entries.build(),
                edge=notes.edge,
                busy=notes.locks > notes.stale_locks,
                locks=notes.locks,
                stale_locks=notes.stale_locks,
                hidden=notes.hidden,
                noncurrent=notes.noncurrent,
                null_versions=tuple(notes.current_nulls),
            ),
            roots=Roots(*(root.digest() for root in self._roots)),
            by_type={kind: Tally(objects=count, bytes=notes.bytes[kind]) for kind, count in notes.objects.items()},
            few=tuple(notes.few),
            too_small=tuple(notes.too_small),
            unusual_classes=tuple(notes.unusual_classes),
            multipart=tuple(notes.multipart),
            histories=tuple(notes.histories),
            gone=self._sought.gone(),
            backdated=tuple(notes.backdated),
            past={past.then: past.cut(self._hours, self._oldest) for past in self._past},
            flooded=tuple(notes.flooded),
            nulls=tuple(notes.nulls),
            snapshot_uploads=tuple(sorted(notes.snapshots)),
            net_bytes=tuple(sorted(net.items())),
            upload_days=frozenset(notes.upload_days.union(age // 24 for age in self._hours)),
            oldest_lock=notes.oldest_lock,
        )

    def _prove_order(self, keys: Sequence[ObjectKey]) -> None:
        # Python orders text by code points, as UTF-8 and S3 do.
        if self._last <= keys[0] and all(map(le, keys, islice(keys, 1, None))):
            self._last = keys[-1]
            return
        earlier, later = next(pair for pair in pairwise([self._last, *keys]) if pair[0] > pair[1])
        raise NotInOrder(f"{later!r} was listed after {earlier!r}; nothing was recorded")

    # --- by columns ----------------------------------------------------------------------------------------

    def _take(self, run: Columns) -> None:
        """All entries of some keys."""
        odd = list(self._odd(run))
        plain = bytearray(b"\1") * len(run)
        for start, stop in odd:
            plain[start:stop] = bytes(stop - start)
        once = run.chosen(plain)
        self._weigh(once)
        for name in once.keys:
            self._sought.take(name)
        marks = [plain, *(_written_by(past.second, run.times, plain) for past in self._past)]
        for start, stop in odd:
            key = self._begin(run.keys[start])
            for place, entry in enumerate(run.part(start, stop).entries(), start):
                key.add(entry, place)
            self._end(key)
            _mark(key, marks)
        self._show(run, marks)

    def _odd(self, run: Columns) -> Iterator[tuple[int, int]]:
        """The entries of each key that is to be looked at, from the first up to the last one."""
        keys = run.keys
        stop = 0
        for row in sorted(self._odd_rows(run)):
            if row < stop:
                continue
            start, stop = bisect_left(keys, keys[row], 0, row), bisect_right(keys, keys[row], row)
            yield start, stop

    def _odd_rows(self, run: Columns) -> set[int]:
        keys, usual = run.keys, self._usual
        odd = {row for row, again in enumerate(map(eq, keys, islice(keys, 1, None))) if again}
        if digests_of_packs(keys) is None:
            odd.update(row for row, key in enumerate(keys) if file_type(key) is not FileType.PACK)
        # Among them are delete markers.
        if min(run.sizes) < SMALLEST:
            odd.update(row for row, size in enumerate(run.sizes) if size < SMALLEST)
        if max(run.times) >= self._still:
            odd.update(row for row, time in enumerate(run.times) if time >= self._still)
        if NULL_VERSION in run.version_ids:
            odd.update(row for row, version_id in enumerate(run.version_ids) if version_id == NULL_VERSION)
        if not usual.storage_classes.issuperset(run.classes):
            odd.update(row for row, each in enumerate(run.classes) if each not in usual.storage_classes)
        if not usual.multipart and "-" in "".join(run.etags):
            odd.update(row for row, etag in enumerate(run.etags) if "-" in etag)
        odd.update(self._sought.unvouched(run))
        return odd

    def _weigh(self, plain: Columns) -> None:
        """Packs that were written once, and are current from then on."""
        if not plain:
            return
        self._notes.objects[FileType.PACK] += len(plain)
        self._notes.bytes[FileType.PACK] += sum(plain.sizes)
        self._oldest = min(self._oldest, *plain.times)
        ages = list(hours_until(self._at, plain.times))
        for age, size in zip(ages, plain.sizes, strict=True):
            self._hours[age] += size
        for past in self._past:
            past.weigh(ages, plain)

    def _show(self, run: Columns, marks: Sequence[bytearray]) -> None:
        """Entries, of which each cut shows those with its marks."""
        now, *thens = marks
        if current := run.chosen(now):
            self._entries.add(current)
            for root in self._roots:
                root.update(current)
        for past, then in zip(self._past, thens, strict=True):
            past.add(current if then == now else run.chosen(then))
            past.compare(run, then, now)

    # --- key by key ----------------------------------------------------------------------------------------

    def _begin(self, key: ObjectKey) -> Key:
        return Key(key, self._instants, self._sought.take(key))

    def _read_on(self, key: Key, more: Columns) -> None:
        for entry in more.entries():
            if key.add(entry, len(self._answers)):
                self._answers.append(entry)

    def _close(self, key: Key) -> None:
        """No more entries follow of the last key."""
        run, self._answers, self._open = self._answers, Columns(), None
        self._end(key)
        marks = [bytearray(len(run)) for _ in self._instants]
        _mark(key, marks)
        self._show(run, marks)

    def _end(self, key: Key) -> None:
        """All entries of a key were listed."""
        self._sought.miss(key.key, key.missing)
        self._notes.note(key, self._kept)
        now, *thens = key.shown
        for past, then in zip(self._past, thens, strict=True):
            if then is not None:
                past.gathered.add(then[0])
                if now is None:
                    past.gathered.lose(then[0])


def _make(changes: Iterable[Change], before: Columns, after: Columns) -> bool:
    overlay, made = Overlay(), Columns()
    try:
        overlay.add(changes)
        for block in overlay.over([before]):
            made.extend(block)
    except DoesNotFit:
        return False
    return made == after


def _written_by(second: int, times: Sequence[int], plain: bytearray) -> bytearray:
    """The marks of those plain entries that were written until then."""
    if max(times, default=0) <= second:
        return bytearray(plain)
    return bytearray(map(and_, plain, map(second.__ge__, times)))


def _mark(key: Key, marks: Sequence[bytearray]) -> None:
    """Of a key, each instant shows at most one version."""
    for shown, mark in zip(key.shown, marks, strict=True):
        if shown is not None:
            mark[shown[1]] = 1
