"""A plan's batches: runs of a state's entries, each a file in the records bucket that one child works through.

A batch's format is that of its plan, which covers its digest: a child believes a batch only by that digest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from pydantic import Field

from functions.domain.columns import Columns
from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId, from_zulu, zulu


class PlannedBatch(Part):
    """One batch file: a run of the state's entries in key order."""

    number: int = Field(ge=0)
    digest: Digest
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)


class ManifestItem(Part):
    """One item of manifest.json: what a child of the Distributed Map is given."""

    batch: str
    """The batch file's name in the records bucket."""
    version_id: VersionId
    digest: Digest
    number: int = Field(ge=0)


def cut_runs(versions: Iterable[ObjectVersion], *, objects: int, size: int) -> Iterator[tuple[ObjectVersion, ...]]:
    """`versions` in runs of at most `objects` objects and `size` bytes, in order; a larger one is alone in its run."""
    pending: list[ObjectVersion] = []
    weight = 0
    for version in versions:
        if pending and (len(pending) == objects or weight + version.size > size):
            yield tuple(pending)
            pending, weight = [], 0
        pending.append(version)
        weight += version.size
    if pending:
        yield tuple(pending)


def cut_columns(blocks: Iterable[Columns], *, objects: int, size: int) -> Iterator[Columns]:
    """The runs of `cut_runs`, of entries that come a few thousand at a time."""
    pending, weight = Columns(), 0
    for block in blocks:
        start = 0
        while start < len(block):
            taken = _that_fit(block.sizes[start : start + objects - len(pending)], size - weight)
            if not taken and not len(pending):
                taken = 1
            if taken:
                pending.extend(block.part(start, start + taken))
                weight += sum(block.sizes[start : start + taken])
                start += taken
            else:
                yield pending
                pending, weight = Columns(), 0
    if len(pending):
        yield pending


def _that_fit(sizes: list[int], room: int) -> int:
    """How many of the first of them have at most `room` bytes together."""
    if sum(sizes) <= room:
        return len(sizes)
    return sum(each <= room for each in accumulate(sizes))


class _Line(Part):
    """One line of a batch file: an entry of the state, whole."""

    key: ObjectKey
    version_id: VersionId
    size: int = Field(ge=0)
    last_modified: Instant
    etag: str
    storage_class: str

    def version(self) -> ObjectVersion:
        return ObjectVersion(
            key=self.key,
            version_id=self.version_id,
            size=self.size,
            last_modified=self.last_modified,
            etag=self.etag,
            storage_class=self.storage_class,
        )


_LINE = '{"etag":%s,"key":%s,"last_modified":"%s","size":%d,"storage_class":%s,"version_id":%s}\n'
"""What JSON makes of a line with sorted keys. ASCII, so that nothing but "\\n" can be taken for the end of one."""
_FIELDS = frozenset(_Line.model_fields)


@lru_cache(maxsize=1 << 14)
def _second(time: int) -> str:
    # Packs of one backup share their second; writing it out anew is a third of the work.
    return zulu(datetime.fromtimestamp(time, UTC))


_instant = lru_cache(maxsize=1 << 14)(from_zulu)


def encode_batch(batch: Iterable[ObjectVersion]) -> bytes:
    """A batch file: one line of JSON per entry."""
    return encode_columns(Columns.of(batch))


def encode_columns(batch: Columns) -> bytes:
    """The same of columns. Raises ValueError for a delete marker."""
    if min(batch.sizes, default=0) < 0:
        raise ValueError("a delete marker is no entry of a batch")
    rows = zip(
        map(_quoted, batch.etags),
        map(_quoted, batch.keys),
        map(_second, batch.times),
        batch.sizes,
        map(_quoted, batch.classes),
        map(_quoted, batch.version_ids),
        strict=True,
    )
    return "".join([_LINE % row for row in rows]).encode()


def decode_batch(content: bytes) -> tuple[ObjectVersion, ...]:
    """The entries of a batch file. Raises UnreadableDocument."""
    try:
        return tuple(map(_version, map(json.loads, content.splitlines())))
    except ValueError as error:
        raise UnreadableDocument(f"a stored batch is malformed: {error}") from error


def _version_slowly(line: Any) -> ObjectVersion:
    return _Line.model_validate(line).version()


def _version(line: Any) -> ObjectVersion:
    """The same, at once where nothing has to be converted: a model for each of a million lines takes minutes."""
    if type(line) is not dict or line.keys() != _FIELDS:
        return _version_slowly(line)
    key, version_id, size, written = line["key"], line["version_id"], line["size"], line["last_modified"]
    etag, storage_class = line["etag"], line["storage_class"]
    if not (
        type(size) is int
        and size >= 0
        and all(type(each) is str for each in (key, version_id, written, etag, storage_class))
    ):
        return _version_slowly(line)
    return ObjectVersion(key, version_id, size, _instant(written), etag, storage_class)


def encode_manifest(items: Iterable[ManifestItem]) -> bytes:
    """manifest.json: a JSON array, as the Distributed Map's ItemReader takes it."""
    content = [item.model_dump(mode="json") for item in items]
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sha256_of(pieces: Iterable[bytes]) -> Digest:
    """The SHA-256 of bytes that come in pieces; none of them is kept."""
    hasher = hashlib.sha256()
    for piece in pieces:
        hasher.update(piece)
    return Digest(hasher.hexdigest())
