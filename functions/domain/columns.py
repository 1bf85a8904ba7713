"""A run of what S3 lists, or of what a state holds, field by field.

A million entries as objects take half a gigabyte, and nearly all of them are only passed on: packs that were written
once and are current ever since. So whatever sees every entry of a large repository sees columns, and makes objects of
the few that somebody has to look at.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import compress, islice, repeat
from typing import Self

from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId

MARKER = -1
"""In the place of a size: the entry is a delete marker. It has no ETag and no storage class."""
RUN = 4096
"""Entries that are worked on at once where there is a choice: they fit a processor's cache. No result depends on it."""


@dataclass(slots=True)
class Columns:
    """Entries in S3's order, as lists of one length. Nobody changes those of another."""

    keys: list[ObjectKey] = field(default_factory=list)
    version_ids: list[VersionId] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes, or MARKER."""
    times: list[int] = field(default_factory=list)
    """LastModified in whole seconds since 1970, UTC."""
    etags: list[str] = field(default_factory=list)
    """Without quotes; empty where there is none."""
    classes: list[str] = field(default_factory=list)
    """Storage classes; empty for a marker."""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, entries: Iterable[ListedVersion]) -> Self:
        """The inverse of `entries`."""
        found = list(entries)
        versions = [entry for entry in found if isinstance(entry, ObjectVersion)]
        if len(versions) == len(found):
            return cls(
                [entry.key for entry in versions],
                [entry.version_id for entry in versions],
                [entry.size for entry in versions],
                [int(entry.last_modified.timestamp()) for entry in versions],
                [entry.etag for entry in versions],
                [entry.storage_class for entry in versions],
            )
        columns = cls()
        for entry in found:
            columns.append(entry)
        return columns

    def append(self, entry: ListedVersion) -> None:
        self.keys.append(entry.key)
        self.version_ids.append(entry.version_id)
        self.times.append(int(entry.last_modified.timestamp()))
        size, etag, storage_class = MARKER, "", ""
        if isinstance(entry, ObjectVersion):
            size, etag, storage_class = entry.size, entry.etag, entry.storage_class
        self.sizes.append(size)
        self.etags.append(etag)
        self.classes.append(storage_class)

    def extend(self, other: "Columns") -> None:
        self.keys += other.keys
        self.version_ids += other.version_ids
        self.sizes += other.sizes
        self.times += other.times
        self.etags += other.etags
        self.classes += other.classes

    def part(self, start: int, stop: int) -> "Columns":
        """The entries from `start` up to `stop`, which is not among them."""
        return Columns(
            self.keys[start:stop],
            self.version_ids[start:stop],
            self.sizes[start:stop],
            self.times[start:stop],
            self.etags[start:stop],
            self.classes[start:stop],
        )

    def chosen(self, marks: bytes | bytearray) -> "Columns":
        """The entries whose mark is 1; a mark for each. Where none is 0, these columns themselves."""
        if 0 not in marks:
            return self
        return Columns(
            list(compress(self.keys, marks)),
            list(compress(self.version_ids, marks)),
            list(compress(self.sizes, marks)),
            list(compress(self.times, marks)),
            list(compress(self.etags, marks)),
            list(compress(self.classes, marks)),
        )

    def entries(self) -> Iterator[ListedVersion]:
        """Each as an object, made when it is taken."""
        if MARKER not in self.sizes:
            yield from self.versions()
            return
        rows = zip(self.keys, self.version_ids, self.sizes, self.times, self.etags, self.classes, strict=True)
        for key, version_id, size, time, etag, storage_class in rows:
            written = datetime.fromtimestamp(time, UTC)
            if size == MARKER:
                yield DeleteMarker(key, version_id, written)
            else:
                yield ObjectVersion(key, version_id, size, written, etag, storage_class)

    def version(self, place: int) -> ObjectVersion:
        """The entry at `place`, which is no delete marker."""
        written = datetime.fromtimestamp(self.times[place], UTC)
        return ObjectVersion(
            self.keys[place],
            self.version_ids[place],
            self.sizes[place],
            written,
            self.etags[place],
            self.classes[place],
        )

    def versions(self) -> Iterator[ObjectVersion]:
        """The same, where there is no delete marker among them."""
        written = map(datetime.fromtimestamp, self.times, repeat(UTC))
        return map(ObjectVersion, self.keys, self.version_ids, self.sizes, written, self.etags, self.classes)


def in_runs(entries: Iterable[ListedVersion]) -> Iterator[Columns]:
    """`entries` as columns, a few thousand at a time."""
    remaining = iter(entries)
    while run := list(islice(remaining, RUN)):
        yield Columns.of(run)
