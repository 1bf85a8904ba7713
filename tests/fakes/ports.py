"""The ports that touch S3, over the strict fake: what a step sees is what boto3 would have told it.

Each is bound to one principal (`by`), so that a test can take a permission away. tests/contract runs the
same rules over these and over functions/storage.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from functions.domain.batches import sha256_of
from functions.domain.columns import Columns
from functions.domain.ports import (
    Anchor,
    Archived,
    TargetChanged,
    TargetDenied,
    TargetGone,
    TargetLock,
    TargetMissing,
    Thaw,
    ThawRefused,
)
from functions.domain.restic import FileType
from functions.domain.restore.request import Tier
from functions.domain.state import Head
from functions.domain.values import (
    DeleteMarker,
    Digest,
    Listing,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    StateId,
    VersionGone,
    VersionId,
    Versioning,
    VersioningSeen,
)
from tests.fakes.s3 import FakeS3, Integrity, Precondition, paged
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_checksums import FULL_OBJECT, decoded
from tests.fakes.s3_errors import (
    AccessDenied,
    InvalidArgument,
    InvalidObjectState,
    InvalidRange,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    ObjectLockConfigurationNotFound,
    PreconditionFailed,
    RestoreAlreadyInProgress,
)
from tests.fakes.s3_model import Attributes, LockMode, Retention, Version

SHA256 = Integrity(algorithm="SHA256")


@dataclass(frozen=True, slots=True)
class FakeBucketConfiguration:
    """BucketConfiguration."""

    s3: FakeS3
    bucket: str
    by: str = OWNER

    def now(self) -> datetime:
        return self.versioning().at

    def versioning(self) -> VersioningSeen:
        status = Versioning(self.s3.get_versioning(self.bucket, by=self.by).value)
        return VersioningSeen(status, self.s3.clock.second())

    def object_lock(self) -> bool:
        try:
            self.s3.get_lock_configuration(self.bucket, by=self.by)
        except ObjectLockConfigurationNotFound:
            return False
        return True


@dataclass(frozen=True, slots=True)
class FakeVersionLister:
    """VersionLister. `key_prefix` is empty or ends with a slash."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Iterator[Columns]:
        # Blocks so short that the entries of most keys go over from one to the next.
        entries = self.versions()
        while few := list(islice(entries, 3)):
            yield Columns.of(few)

    def versions(self) -> Listing:
        for entry in paged(self.s3, self.bucket, self.key_prefix, self.by):
            version = entry.version
            key = ObjectKey(version.key[len(self.key_prefix) :])
            version_id = VersionId(version.version_id)
            if version.is_delete_marker:
                yield DeleteMarker(key, version_id, version.last_modified)
            else:
                yield ObjectVersion(
                    key, version_id, version.size, version.last_modified, version.etag, version.storage_class
                )


@dataclass(frozen=True, slots=True)
class FakePinnedReader:
    """PinnedReader."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        try:
            version = self.s3.get(self.bucket, self.key_prefix + key, version_id, by=self.by)
        except (NoSuchVersion, NoSuchKey, MethodNotAllowed) as error:
            raise VersionGone(f"{key} version {version_id} no longer exists") from error
        return _pieces(version.body)


@dataclass(frozen=True, slots=True)
class FakeThawedReader:
    """PinnedReader that says what lies in an archive class."""

    pinned: FakePinnedReader

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        try:
            return self.pinned.read(key, version_id)
        except InvalidObjectState as error:
            raise Archived(f"{key} lies in an archive class") from error


@dataclass(frozen=True, slots=True)
class FakeRangedReader:
    """RangedReader of pinned versions."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        name, last = self.key_prefix + key, offset + length - 1
        try:
            return self.s3.get_range(self.bucket, name, offset, last, version_id, by=self.by)[2]
        except (NoSuchVersion, NoSuchKey, MethodNotAllowed) as error:
            raise VersionGone(f"{key} version {version_id} no longer exists") from error
        except InvalidRange:
            return b""


@dataclass(frozen=True, slots=True)
class FakeTargetLister:
    """TargetLister."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def objects(self, first: ObjectKey | None = None, last: ObjectKey | None = None) -> Iterator[tuple[ObjectKey, int]]:
        after = ""
        while True:
            with _translated(self.bucket, "s3:ListBucket"):
                page = self.s3.list_objects(self.bucket, self.key_prefix, after=after, by=self.by)
            for version in page.objects:
                key = ObjectKey(version.key[len(self.key_prefix) :])
                if (first is None or key >= first) and (last is None or key <= last):
                    yield key, version.size
            if not page.is_truncated:
                return
            after = page.next_marker


@dataclass(frozen=True, slots=True)
class FakeTargetReader:
    """TargetReader."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def stored_sha256(self, key: ObjectKey) -> Digest | None:
        with _translated(self.bucket, "s3:GetObject", key):
            return _whole_sha256(self.s3.head(self.bucket, self.key_prefix + key, by=self.by))

    def read(self, key: ObjectKey) -> Iterator[bytes]:
        with _translated(self.bucket, "s3:GetObject", key):
            return _pieces(self.s3.get(self.bucket, self.key_prefix + key, by=self.by).body)

    def sha256(self, key: ObjectKey) -> Digest:
        return sha256_of(self.read(key))

    def version(self, key: ObjectKey) -> VersionId:
        with _translated(self.bucket, "s3:GetObject", key):
            return VersionId(self.s3.head(self.bucket, self.key_prefix + key, by=self.by).version_id)


@dataclass(frozen=True, slots=True)
class FakeTargetFacts:
    """TargetFacts."""

    s3: FakeS3
    bucket: str
    by: str = OWNER

    def lock(self) -> TargetLock:
        try:
            with _translated(self.bucket, "s3:GetBucketObjectLockConfiguration"):
                default = self.s3.get_lock_configuration(self.bucket, by=self.by)
        except ObjectLockConfigurationNotFound:
            return TargetLock(enabled=False)
        return TargetLock(enabled=True, default_days=default.days if default else 0)


@dataclass(frozen=True, slots=True)
class FakeThawer:
    """Thawer."""

    s3: FakeS3
    bucket: str
    key_prefix: str
    tier: Tier
    by: str = OWNER

    def thaw(self, version: ObjectVersion) -> Thaw:
        name = self.key_prefix + version.key
        try:
            back = self.s3.thaw(self.bucket, name, version.version_id, days=7, tier=self.tier, by=self.by)
        except RestoreAlreadyInProgress:
            return Thaw.UNDER_WAY
        except InvalidObjectState:
            return Thaw.NOT_ARCHIVED
        except (NoSuchVersion, NoSuchKey, MethodNotAllowed) as error:
            raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
        except AccessDenied as error:
            raise ThawRefused(f"S3 denies s3:RestoreObject on {self.bucket}") from error
        except InvalidArgument as error:
            raise ThawRefused("S3 knows no Expedited for its class; ask again with --thaw Standard") from error
        return Thaw.BACK if back else Thaw.UNDER_WAY


@dataclass(frozen=True, slots=True)
class FakeTargetRangedReader:
    """RangedReader of a target's current objects."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER
    etags: dict[ObjectKey, str] = field(default_factory=dict)
    """Of what was read first."""

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        name, last = self.key_prefix + key, offset + length - 1
        try:
            with _translated(self.bucket, "s3:GetObject", key):
                version, _, content = self.s3.get_range(self.bucket, name, offset, last, by=self.by)
        except TargetGone as error:
            raise VersionGone(f"{key} is no longer in {self.bucket}") from error
        except InvalidRange:
            return b""
        if self.etags.setdefault(key, version.etag) != version.etag:
            raise TargetChanged(f"{self.bucket} was written to while it was read")
        return content


@dataclass(frozen=True, slots=True)
class FakeVersionCopier:
    """VersionCopier and CopyRehearsal."""

    s3: FakeS3
    source_bucket: str
    target_bucket: str
    source_key_prefix: str = ""
    target_key_prefix: str = ""
    by: str = OWNER
    locked_until: datetime | None = None

    def copy(self, version: ObjectVersion) -> Digest | None:
        with _translated(self.target_bucket, "s3:PutObject (or s3:GetObjectVersion on the source)"):
            return _whole_sha256(self._copy(version))

    def rehearse(self, version: ObjectVersion) -> None:
        with suppress(PreconditionFailed), _translated(self.target_bucket, "s3:PutObject"):
            self._copy(version, source_etag="no such ETag")

    def _copy(self, version: ObjectVersion, source_etag: str = "") -> Version:
        source = (self.source_bucket, self.source_key_prefix + version.key, version.version_id)
        locked = Retention(LockMode.GOVERNANCE, self.locked_until) if self.locked_until else None
        try:
            return self.s3.copy(
                source,
                self.target_bucket,
                self.target_key_prefix + version.key,
                Attributes(retention=locked),
                checksum_algorithm="SHA256",
                source_etag=source_etag,
                by=self.by,
            )
        except (NoSuchVersion, NoSuchKey) as error:
            raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
        except InvalidObjectState as error:
            raise Archived(f"{version.key} lies in an archive class") from error
        except InvalidRequest as error:
            if "delete marker" not in error.message:
                raise
            raise VersionGone(f"{version.key} version {version.version_id} is a delete marker") from error


@dataclass(frozen=True, slots=True)
class FakeHeadAnchor:
    """HeadAnchor."""

    s3: FakeS3
    bucket: str
    by: str = OWNER

    def anchor(self, head: Head) -> None:
        name = f"heads/{head.repository}/{head.generation:010d}-{head.state}.json"
        once = Precondition(if_none_match=True)
        try:
            self.s3.put(self.bucket, name, head.canonical(), integrity=SHA256, when=once, by=self.by)
        except PreconditionFailed:
            return


@dataclass(frozen=True, slots=True)
class FakeAnchorReader:
    """AnchorReader."""

    s3: FakeS3
    bucket: str

    def anchors(self, repository: RepositoryName) -> Iterator[Anchor]:
        found = []
        for entry in self.s3.everything(self.bucket):
            if entry.is_latest and entry.version.key.startswith(f"heads/{repository}/"):
                generation, _, state = entry.version.key.removesuffix(".json").rpartition("/")[2].partition("-")
                found.append(Anchor(int(generation), StateId(state), entry.version.body))
        return iter(found)


@dataclass(frozen=True, slots=True)
class FakeRecordWriter:
    """RecordWriter."""

    s3: FakeS3
    bucket: str
    by: str = OWNER

    def put(self, name: str, content: bytes) -> VersionId:
        return VersionId(self.s3.put(self.bucket, name, content, integrity=SHA256, by=self.by).version_id)


@dataclass(frozen=True, slots=True)
class FakeRecordReader:
    """RecordReader."""

    s3: FakeS3
    bucket: str
    by: str = OWNER

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        try:
            return self.s3.get(self.bucket, name, version_id or "", by=self.by).body
        except (NoSuchKey, NoSuchVersion) as error:
            raise VersionGone(f"the records bucket has no {name}") from error


@dataclass(slots=True)
class FakeMessageDelay:
    """MessageDelay: remembers what was asked."""

    delays: list[tuple[str, str, int]] = field(default_factory=list)
    """(queue ARN, receipt handle, seconds), in order."""

    def delay(self, queue_arn: str, receipt_handle: str, seconds: int) -> None:
        if not 0 <= seconds <= 43_200:
            raise ValueError(f"SQS knows no visibility timeout of {seconds} s; nothing was changed")
        self.delays.append((queue_arn, receipt_handle, seconds))


def _whole_sha256(version: Version) -> Digest | None:
    """A full object's SHA-256; a COMPOSITE one proves no bytes."""
    if version.checksum_type != FULL_OBJECT or "SHA256" not in version.checksums:
        return None
    raw = decoded(version.checksums["SHA256"], 32)
    return Digest(raw.hex()) if raw else None


def _pieces(body: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


@contextmanager
def _translated(bucket: str, action: str, key: ObjectKey | None = None) -> Iterator[None]:
    try:
        yield
    except NoSuchBucket as error:
        raise TargetMissing(f"there is no bucket {bucket}") from error
    except AccessDenied as error:
        raise TargetDenied(f"S3 denies {action} on {bucket}") from error
    except NoSuchKey as error:
        if key is None:
            raise
        raise TargetGone(f"{key} is no longer in {bucket}") from error
