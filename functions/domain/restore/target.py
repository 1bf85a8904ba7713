"""What keeps a restore from beginning: what S3 cannot copy, what has to be thawed, and a target that holds anything
else.

All of it is seen in passing: of a state of a million objects nothing is held but counts and a few names.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from functions.domain.columns import Columns
from functions.domain.restic import promised_sha256
from functions.domain.restore.request import Location, RestoreRefused, Tier
from functions.domain.roots import ContentRoot
from functions.domain.values import Digest, ObjectKey, ObjectVersion

LARGEST_COPY = 5 << 30
"""S3 copies no more in one call; more is copied in parts."""
MOST_PARTS = 10_000
LARGEST_OBJECT = MOST_PARTS * LARGEST_COPY
"""S3 stores no larger one: 48.8 TiB (since December 2025; before, 5 TiB)."""
_SMALLEST_PART = 512 << 20
_MIB = 1 << 20
LARGEST_READ_BACK = 32 << 30
"""What a function reads of one object, all told, to prove it: 32 GiB at 70 MB/s are 8 of its 15 minutes."""
TOO_LARGE_TO_PROVE = "too large to be read back within one function's time; S3 computes no SHA-256 of copies in parts"
LONGEST_KEY = 1024
"""Bytes of a key, as S3 bounds it."""
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Bytes in these must be thawed before they can be copied."""
_TIERS = (
    "Expedited (1 to 5 minutes; not from DEEP_ARCHIVE), Standard (3 to 5 hours; from DEEP_ARCHIVE up to 12) or Bulk (5 "
    "to 12 hours; from DEEP_ARCHIVE up to 48)"
)

_EXAMPLES = 5


def part_size(size: int) -> int:
    """Bytes of each part but the last in which an object is copied: as many parts as S3 allows at most."""
    least = -(-size // MOST_PARTS)
    return max(_SMALLEST_PART, -(-least // _MIB) * _MIB)


def can_be_proven(key: ObjectKey, size: int) -> bool:
    """Whether a copy can be compared within a function's time. Up to LARGEST_COPY S3 computes its SHA-256; beyond, the
    copy is read back, and where no name says what it must be, the pinned version too."""
    if size <= LARGEST_COPY:
        return True
    return size * (1 if promised_sha256(key) else 2) <= LARGEST_READ_BACK


@dataclass(slots=True)
class Examples:
    """Counts things, and holds the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.count += 1
        if len(self.first) < _EXAMPLES:
            self.first.append(what)

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
        return ", ".join(self.first) + more


@dataclass(slots=True)
class Tally:
    """Objects of one storage class."""

    objects: int = 0
    bytes: int = 0


class Survey:
    """What there is to know of the entries that are restored, once all have passed."""

    def __init__(self, key_prefix: str = "") -> None:
        """`key_prefix` precedes each key where they are copied to."""
        self._prefix = key_prefix
        self._root = ContentRoot()
        self.objects = 0
        self.bytes = 0
        self.classes: dict[str, Tally] = {}
        self.archived = Examples()
        self.archived_bytes = 0
        self.deep = 0
        """Of these, those in DEEP_ARCHIVE."""
        self.too_large = Examples()
        self.misfits = Examples()
        """Without a possible key."""
        self.unproven: list[ObjectKey] = []
        self.in_parts: list[int] = []
        """Sizes of what is copied in parts."""
        self.unnamed = Tally()
        """What no name promises the bytes of, and is proven by reading the pinned version."""

    @property
    def content_root(self) -> Digest:
        return self._root.digest()

    def add(self, block: Columns) -> None:
        """The next entries in key order."""
        self._root.update(block)
        self.objects += len(block)
        self.bytes += sum(block.sizes)
        self._count_classes(block)
        self._look_at_keys(block)
        if max(block.sizes, default=0) > LARGEST_COPY:
            for key, size in zip(block.keys, block.sizes, strict=True):
                if size > LARGEST_COPY:
                    self._look_at_large(key, size)

    def _count_classes(self, block: Columns) -> None:
        for storage_class in set(block.classes):
            of_class = [place for place, each in enumerate(block.classes) if each == storage_class]
            tally = self.classes.setdefault(storage_class, Tally())
            tally.objects += len(of_class)
            in_class = sum(block.sizes[place] for place in of_class)
            tally.bytes += in_class
            if storage_class in ARCHIVE_CLASSES:
                self.archived_bytes += in_class
                self.deep += len(of_class) if storage_class == "DEEP_ARCHIVE" else 0
                for place in of_class:
                    self.archived.note(f"{block.keys[place]} ({storage_class})")

    def _look_at_keys(self, block: Columns) -> None:
        for key, size in zip(block.keys, block.sizes, strict=True):
            # Packs, which nearly all are: this is asked of each of a million.
            if not key.startswith("data/") and promised_sha256(key) is None:
                self.unnamed.objects += 1
                self.unnamed.bytes += size
        longest = max(map(len, block.keys), default=0)
        if 4 * (longest + len(self._prefix)) > LONGEST_KEY or "" in block.keys:
            for key in block.keys:
                if not 1 <= len((self._prefix + key).encode()) <= LONGEST_KEY:
                    self.misfits.note(repr(key))

    def _look_at_large(self, key: ObjectKey, size: int) -> None:
        self.in_parts.append(size)
        if size > LARGEST_OBJECT:
            self.too_large.note(f"{key} ({size} bytes)")
        if not can_be_proven(key, size):
            self.unproven.append(key)


def check_copyable(survey: Survey, target: Location, thaw: Tier | None) -> None:
    """Raises RestoreRefused where S3 could not copy an object to its key in the target."""
    _refuse_if_any(
        survey.too_large,
        "over 48.8 TiB, which S3 does not store",
        "no such object can be in the bucket: `rwm ledger verify` says whether the ledger is whole",
    )
    check_thawed(survey, thaw)
    _refuse_if_any(
        survey.misfits,
        f"without a possible key under {target}: a key has 1 to {LONGEST_KEY} bytes",
        "choose another prefix",
    )


def check_thawed(survey: Survey, thaw: Tier | None) -> None:
    """Raises RestoreRefused where something lies in an archive class and `thaw` does not bring it back."""
    if thaw is None:
        _refuse_if_any(
            survey.archived,
            "in an archive class, which cannot be read before it is thawed",
            f"pass --thaw TIER, which asks S3 for it and waits, at its price: {_TIERS}",
        )
    if thaw == "Expedited" and survey.deep:
        raise RestoreRefused(
            f"{survey.deep} object(s) of the state are in DEEP_ARCHIVE, which S3 does not thaw at the tier Expedited; "
            "nothing was written; pass --thaw Standard (up to 12 hours) or --thaw Bulk (up to 48)"
        )


def _refuse_if_any(found: Examples, what: str, remedy: str) -> None:
    if found.count:
        raise RestoreRefused(f"{found.count} object(s) of the state are {what}: {found}; nothing was written; {remedy}")


COMPARED = 10_000
"""Objects that a target holds already whose bytes are looked at before the first copy: some seconds of asking."""
COMPARED_BYTES = 8 << 30
"""And what is read of them for it."""


class Holdings:
    """What a target holds of a state, both gone through side by side in key order.

    What looks like the state's is compared by its bytes before the first copy: first what no name promises the bytes
    of, since that is what two repositories have in common, up to COMPARED and COMPARED_BYTES of each. The copies
    compare everything, and put right what differs.
    """

    def __init__(self, listed: Iterable[tuple[ObjectKey, int]], target: Location) -> None:
        self._listed = iter(listed)
        self._target = target
        self._last: ObjectKey | None = None
        self._next = self._take()
        self.objects = 0
        """That seem to be the state's, by key and size."""
        self.to_compare: list[ObjectVersion] = []
        self._named = 0
        self._unnamed = 0
        self._unnamed_bytes = 0
        self.strange = Examples()

    def _take(self) -> tuple[ObjectKey, int] | None:
        found = next(self._listed, None)
        if found is not None:
            if self._last is not None and found[0] <= self._last:
                raise RestoreRefused(
                    f"{self._target} is not listed in key order, so that nobody can say what it holds; nothing was "
                    "written; name a bucket that is, which those of S3 Express One Zone are not"
                )
            self._last = found[0]
        return found

    def beside(self, block: Columns, until: ObjectKey, revoked: Collection[ObjectKey] = ()) -> None:
        """The next entries that are restored, and up to which key they go; `revoked` are left out of these."""
        places: dict[ObjectKey, int] | None = None
        while self._next is not None and self._next[0] <= until:
            key, size = self._next
            if places is None:
                places = {each: place for place, each in enumerate(block.keys)}
            self._see(key, size, block, places.get(key), revoked)
            self._next = self._take()

    def _see(
        self, key: ObjectKey, size: int, block: Columns, place: int | None, revoked: Collection[ObjectKey]
    ) -> None:
        if place is None:
            why = " (a key file that was removed since this state; --with-revoked-keys restores it)"
            self.strange.note(f"{key!r}{why if key in revoked else ''}")
        elif block.sizes[place] != size:
            self.strange.note(f"{key!r} ({size} bytes, in the state {block.sizes[place]})")
        else:
            self.objects += 1
            self._choose(block.version(place))

    def _choose(self, version: ObjectVersion) -> None:
        if promised_sha256(version.key):
            if self._named < COMPARED:
                self._named += 1
                self.to_compare.append(version)
        elif self._unnamed < COMPARED and self._unnamed_bytes + version.size <= COMPARED_BYTES:
            self._unnamed += 1
            self._unnamed_bytes += version.size
            self.to_compare.append(version)

    def finish(self) -> None:
        """All entries have passed: what the target holds beyond them is strange. Raises RestoreRefused if any is."""
        while self._next is not None:
            self.strange.note(repr(self._next[0]))
            self._next = self._take()
        refuse_strangers(self.strange, self._target)


def refuse_strangers(strange: Examples, target: Location) -> None:
    """Raises RestoreRefused if there is any: the target holds what this state does not."""
    if strange.count:
        raise RestoreRefused(
            f"{target} holds {strange.count} object(s) that are not part of this state: {strange}; "
            "nothing was written; name an empty target, or the one where a restore of this state was begun"
        )
