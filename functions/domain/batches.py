"""A plan's batches: runs of a state's entries, each a file in the records bucket that one child works through.

A batch's format is that of its plan, which covers its digest: a child believes a batch only by that digest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator

from pydantic import Field

from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId


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


class _Line(Part):
    """One line of a batch file: an entry of the state, whole."""

    key: ObjectKey
    version_id: VersionId
    size: int = Field(ge=0)
    last_modified: Instant
    etag: str
    storage_class: str


def encode_batch(batch: Iterable[ObjectVersion]) -> bytes:
    """A batch file: one line of JSON per entry."""
    return b"".join(_encode_line(version) for version in batch)


def _encode_line(version: ObjectVersion) -> bytes:
    line = _Line(
        key=version.key,
        version_id=version.version_id,
        size=version.size,
        last_modified=version.last_modified,
        etag=version.etag,
        storage_class=version.storage_class,
    )
    # ASCII, so that nothing but "\n" can be taken for the end of a line.
    return json.dumps(line.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def decode_batch(content: bytes) -> tuple[ObjectVersion, ...]:
    """The entries of a batch file. Raises UnreadableDocument."""
    try:
        lines = [_Line.model_validate(json.loads(line)) for line in content.splitlines()]
    except ValueError as error:
        raise UnreadableDocument(f"a stored batch is malformed: {error}") from error
    return tuple(
        ObjectVersion(
            key=line.key,
            version_id=line.version_id,
            size=line.size,
            last_modified=line.last_modified,
            etag=line.etag,
            storage_class=line.storage_class,
        )
        for line in lines
    )


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
