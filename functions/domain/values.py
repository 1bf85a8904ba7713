"""The words of the system as types: what S3 lists, and what a bucket state is made of.

Source of the semantics: the S3 API's ListObjectVersions, and DESIGN's vocabulary in docs/design.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

_ZULU = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

RepositoryName = NewType("RepositoryName", str)
ObjectKey = NewType("ObjectKey", str)
"""A key within its repository: the bucket's key without the repository's prefix."""
VersionId = NewType("VersionId", str)
"""Opaque, up to 1,024 bytes; compared exactly, never parsed."""
Digest = NewType("Digest", str)
"""A SHA-256 as 64 lower-case hex digits."""
StateId = NewType("StateId", str)
"""The digest of a state header's canonical bytes: it names the state, and nothing in it can change."""
AttemptId = NewType("AttemptId", str)

NULL_VERSION = VersionId("null")
"""S3's version id for what was written while versioning was off or suspended; a later such write replaces it."""


class Versioning(StrEnum):
    """A bucket's versioning, as GetBucketVersioning answers; OFF is S3's empty answer."""

    OFF = "Off"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class VersioningSeen:
    """One answer of S3's: a bucket's versioning, and when that was so."""

    status: Versioning
    at: datetime
    """S3's clock: the `Date` of the answer, whole seconds, UTC."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, as listed."""

    key: ObjectKey
    version_id: VersionId
    size: int
    """Bytes."""
    last_modified: datetime
    """S3's clock, whole seconds, UTC. For a multipart upload: when it was initiated."""
    etag: str
    """Without quotes. The MD5 of the bytes only for a single PUT without KMS; empty when S3 gave none."""
    storage_class: str


@dataclass(frozen=True, slots=True)
class DeleteMarker:
    """What a DELETE without a version id leaves: the key is hidden, its versions are all still there."""

    key: ObjectKey
    version_id: VersionId
    last_modified: datetime


ListedVersion = ObjectVersion | DeleteMarker
Listing = Iterator[ListedVersion]
"""In S3's order: keys by their UTF-8 bytes, and the newest entry of a key first."""


class Severity(StrEnum):
    """FAIL stops a prune; HOLD needs a person's approval; NOTE informs."""

    FAIL = "FAIL"
    HOLD = "HOLD"
    NOTE = "NOTE"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One key of which a finding speaks, and exactly the versions or delete markers that it holds against it."""

    key: ObjectKey
    version_ids: tuple[VersionId, ...]
    since: datetime
    """When the earliest of them was written, on S3's clock."""
    standing: bool = False
    """The fresh state itself is wrong here: it has to be mended, and cannot be acknowledged away."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed: what, where, since when, and what to do."""

    id: str
    severity: Severity
    repository: RepositoryName
    since: datetime
    what: str
    """A sentence that counts and names no key: `evidence` does, and gets shorter as a person acknowledges it."""
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    more: int = 0
    """Keys that it speaks of and `evidence` leaves out, because there are so many."""


class VersionGone(Exception):
    """A pinned version no longer exists (or is a delete marker)."""


def whole_second(instant: datetime) -> datetime:
    """`instant` in UTC without its fraction: the resolution of S3's LastModified.

    Raises ValueError for a naive datetime, which names no instant.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return instant.astimezone(UTC).replace(microsecond=0)


def zulu(instant: datetime) -> str:
    """`instant` as it is stored and printed everywhere: `2026-11-21T23:25:47Z`."""
    return whole_second(instant).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_zulu(text: str) -> datetime:
    """The inverse of `zulu`. Raises ValueError for anything else."""
    # Not strptime: it takes 40 times as long, and plans have a time in each of a million lines.
    if _ZULU.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no time like 2026-11-21T23:25:47Z")
    return datetime.fromisoformat(text)


def from_hex(digits: str) -> bytes | None:
    """The bytes that lower-case hex digits write; None for anything else, of which `bytes.fromhex` reads some."""
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return None
    return found if found.hex() == digits else None
