"""What the fake holds and answers: frozen values, in S3's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

NULL = "null"
"""The version id of what is written while versioning is off or suspended."""

STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
    }
)
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Bytes in these cannot be read or copied before they were thawed."""


class VersioningStatus(StrEnum):
    """A bucket's versioning. OFF is the answer of a bucket where it was never set."""

    OFF = "Off"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class LockMode(StrEnum):
    """How a retention binds: GOVERNANCE can be bypassed by who may, COMPLIANCE by nobody."""

    GOVERNANCE = "GOVERNANCE"
    COMPLIANCE = "COMPLIANCE"


@dataclass(frozen=True, slots=True)
class Retention:
    """A version may not be deleted before `until`."""

    mode: LockMode
    until: datetime


@dataclass(frozen=True, slots=True)
class DefaultRetention:
    """The retention a lock bucket gives to each new version that brings none."""

    mode: LockMode
    days: int

    def at(self, created: datetime) -> Retention:
        return Retention(self.mode, created + timedelta(days=self.days))


@dataclass(frozen=True, slots=True)
class Limits:
    """S3's quotas. A test may lower one to reach it with few bytes."""

    page: int = 1000
    """Entries in a page of any listing, and keys in one DeleteObjects."""
    put_bytes: int = 5 * 2**30
    copy_bytes: int = 5 * 2**30
    part_bytes: int = 5 * 2**20
    """The least size of a multipart upload's part that is not its last."""
    parts: int = 10_000
    key_bytes: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a writer says about an object besides its bytes."""

    storage_class: str = "STANDARD"
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    retention: Retention | None = None
    """None: the bucket's default, if it has one."""
    legal_hold: bool = False
    kms_key_id: str = ""
    """Not empty: SSE-KMS, and the ETag is opaque."""
    customer_key_md5: str = ""
    """Not empty: SSE-C, and only this key reads the bytes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An object version or a delete marker."""

    key: str
    version_id: str
    order: int
    """Grows with the instant at which S3 placed the version: arrival of a PUT, initiation of a multipart."""
    last_modified: datetime
    is_delete_marker: bool = False
    body: bytes = b""
    etag: str = ""
    """Without quotes. The MD5 of the bytes for a single PUT without KMS or SSE-C."""
    storage_class: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """By algorithm, base64. Only what a client asked for; S3 itself would always add CRC64NVME."""
    checksum_type: str = ""
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retention: Retention | None = None
    legal_hold: bool = False
    kms_key_id: str = ""
    customer_key_md5: str = ""
    parts: int = 0
    """How many parts a multipart upload had; 0 for a single PUT."""
    thawed_from: datetime | None = None
    """None: nobody asked for a thaw. Before it, one is under way."""
    thawed_until: datetime | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.body)

    def locked_by(self, now: datetime) -> LockMode | None:
        """The mode that protects the version at `now`; a legal hold counts as COMPLIANCE: no bypass ends it."""
        if self.legal_hold:
            return LockMode.COMPLIANCE
        if self.retention is not None and now < self.retention.until:
            return self.retention.mode
        return None

    def is_frozen(self, now: datetime) -> bool:
        """Whether its bytes are in an archive class and not thawed at `now`."""
        if self.storage_class not in ARCHIVE_CLASSES:
            return False
        if self.thawed_from is None or self.thawed_until is None:
            return True
        return not self.thawed_from <= now < self.thawed_until


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """An entry of ListObjectVersions."""

    version: Version
    is_latest: bool


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A page of ListObjectVersions. The markers are where it ended, and empty on the last page."""

    entries: list[ListedVersion]
    common_prefixes: list[str]
    is_truncated: bool
    next_key_marker: str
    next_version_id_marker: str


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """A page of ListObjects or ListObjectsV2: current objects only."""

    objects: list[Version]
    common_prefixes: list[str]
    is_truncated: bool
    next_marker: str
    """The last key or common prefix of the page: the next one starts after it. Empty on the last page."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a DELETE did. Deleting what does not exist is reported the same way."""

    key: str
    version_id: str = ""
    """The version that the request named."""
    is_delete_marker: bool = False
    """A marker was added, or the deleted version was one."""
    marker_version_id: str = ""


@dataclass(frozen=True, slots=True)
class DeletionError:
    """One key that DeleteObjects did not delete."""

    key: str
    version_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Deletions:
    """The answer of DeleteObjects: a 200 even when every key failed."""

    deleted: list[Deletion]
    errors: list[DeletionError]


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part."""

    number: int
    body: bytes
    etag: str
    checksums: Mapping[str, str]
    last_modified: datetime


@dataclass(slots=True)
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    upload_id: str
    key: str
    order: int
    initiated: datetime
    attributes: Attributes
    checksum_algorithm: str
    checksum_type: str
    parts: dict[int, Part] = field(default_factory=dict)
