"""A strict S3 in memory: versioned, locking, on a clock that only tests move.

Rules kept (each is shown by tests/contract):
- ids are opaque; a key's entries are listed newest first, keys by their UTF-8 bytes, whole seconds;
- a DELETE without a version id only hides; with one it destroys, unless retention or a legal hold forbids;
- GOVERNANCE yields only to a bypass by who may; COMPLIANCE and legal holds to nobody; copies carry no lock;
- a multipart upload is dated, ordered and locked by its initiation;
- a batch of deletes fails key by key inside a good answer; more than 1,000 keys are refused;
- what a principal was not allowed is denied, and a missing key is not even admitted to who cannot list.

What is not modelled is refused (`NotImplementedByFake`), never ignored.
"""

import base64
import hashlib
import random
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType

from tests.fakes import s3_checksums
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Call, Hook, Moment, nothing
from tests.fakes.s3_access import OWNER, Access
from tests.fakes.s3_bucket import Bucket
from tests.fakes.s3_errors import (
    AccessDenied,
    BadDigest,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidBucketName,
    InvalidBucketState,
    InvalidDigest,
    InvalidObjectState,
    InvalidPart,
    InvalidPartOrder,
    InvalidRange,
    InvalidRequest,
    InvalidStorageClass,
    KeyTooLong,
    MalformedXML,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchObjectLockConfiguration,
    NoSuchUpload,
    NoSuchVersion,
    ObjectLockConfigurationNotFound,
    ObjectProtected,
    PreconditionFailed,
    RestoreAlreadyInProgress,
    S3Error,
)
from tests.fakes.s3_model import (
    ARCHIVE_CLASSES,
    NULL,
    STORAGE_CLASSES,
    Attributes,
    DefaultRetention,
    Deletion,
    DeletionError,
    Deletions,
    Limits,
    ListedVersion,
    LockMode,
    ObjectPage,
    Part,
    Retention,
    Upload,
    Version,
    VersioningStatus,
    VersionPage,
)

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PLAIN = Attributes()
NEEDS_INTEGRITY = (
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
)
NO_LOCK_HERE = "Bucket is missing Object Lock Configuration"
BYPASS_WITHOUT_LOCK = "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets."


@dataclass(frozen=True, slots=True)
class Integrity:
    """What a writer says about the bytes it sends, so that S3 can refuse others."""

    content_md5: str = ""
    """base64, as in the header."""
    algorithm: str = ""
    """One of `s3_checksums.ALGORITHMS`: S3 computes it and keeps it."""
    value: str = ""
    """base64; empty: nothing to compare with."""
    stated: bool = True
    """False: the request carried neither, which a locked PUT must not do."""


UNCHECKED = Integrity()


@dataclass(frozen=True, slots=True)
class Precondition:
    """Under which condition a write takes place; the default is none."""

    if_none_match: bool = False
    """`If-None-Match: *`: only when the key has no current object."""
    if_match: str = ""
    """`If-Match`: only when the current object has this ETag."""


ALWAYS = Precondition()


class FakeS3:
    """All buckets of one account. Safe for threads: one operation at a time."""

    def __init__(
        self,
        clock: FakeClock | None = None,
        *,
        seed: int = 0,
        limits: Limits | None = None,
        denied_batches_fail_whole: bool = False,
    ) -> None:
        """`seed` fixes the version ids. `denied_batches_fail_whole`: a denied DeleteObjects is one AccessDenied,
        as some servers answer, instead of AWS's error per key."""
        self.clock = clock or FakeClock()
        self.limits = limits or Limits()
        self.access = Access()
        self.hook: Hook = nothing
        self.thaw_takes = timedelta(0)
        """From a RestoreObject until the bytes can be read; minutes to two days on AWS."""
        self._denied_batches_fail_whole = denied_batches_fail_whole
        self._random = random.Random(seed)
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.RLock()
        self._order = 0
        self._calls = 0

    # --- buckets ---------------------------------------------------------------------------------------

    def create_bucket(
        self, name: str, *, object_lock: bool = False, region: str = "us-east-1", by: str = OWNER
    ) -> None:
        """Object Lock at creation enables versioning, as on S3."""
        with self._operation("CreateBucket", name, by=by):
            self._authorize(by, "s3:CreateBucket", name)
            if not _BUCKET_NAME.fullmatch(name):
                raise InvalidBucketName
            if name in self._buckets:
                raise BucketAlreadyOwnedByYou
            versioning = VersioningStatus.ENABLED if object_lock else VersioningStatus.OFF
            self._buckets[name] = Bucket(name, region, lock_enabled=object_lock, versioning=versioning)

    def delete_bucket(self, name: str, *, by: str = OWNER) -> None:
        with self._operation("DeleteBucket", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:DeleteBucket", name)
            if not bucket.is_empty:
                raise BucketNotEmpty
            del self._buckets[name]

    def head_bucket(self, name: str, *, by: str = OWNER) -> str:
        """The bucket's region."""
        with self._operation("HeadBucket", name, by=by):
            bucket = self._bucket(name)
            if not self.access.permits(by, "s3:ListBucket", name):
                # Where a bucket is, S3 tells everybody.
                raise AccessDenied(headers={"x-amz-bucket-region": bucket.region})
            return bucket.region

    def get_location(self, name: str, *, by: str = OWNER) -> str:
        """The bucket's region."""
        with self._operation("GetBucketLocation", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:GetBucketLocation", name)
            return bucket.region

    def list_buckets(self, *, by: str = OWNER) -> list[str]:
        with self._operation("ListBuckets", "", by=by):
            self._authorize(by, "s3:ListAllMyBuckets", "")
            return sorted(self._buckets)

    def put_versioning(self, name: str, status: VersioningStatus, *, by: str = OWNER) -> None:
        """Versioning is never off again once it was on, and stays enabled on a lock bucket."""
        with self._operation("PutBucketVersioning", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:PutBucketVersioning", name)
            if status is VersioningStatus.OFF:
                raise MalformedXML
            if bucket.lock_enabled and status is not VersioningStatus.ENABLED:
                raise InvalidBucketState
            bucket.versioning = status

    def get_versioning(self, name: str, *, by: str = OWNER) -> VersioningStatus:
        with self._operation("GetBucketVersioning", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:GetBucketVersioning", name)
            return bucket.versioning

    def put_lock_configuration(self, name: str, default: DefaultRetention | None, *, by: str = OWNER) -> None:
        """Enable Object Lock for good, and set or remove the default retention."""
        with self._operation("PutObjectLockConfiguration", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:PutBucketObjectLockConfiguration", name)
            if bucket.versioning is not VersioningStatus.ENABLED:
                raise InvalidBucketState(
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
                )
            if default is not None and default.days < 1:
                raise InvalidArgument("Default retention period must be a positive integer value.")
            bucket.lock_enabled = True
            bucket.default_retention = default

    def get_lock_configuration(self, name: str, *, by: str = OWNER) -> DefaultRetention | None:
        """The default retention of a lock bucket. Raises ObjectLockConfigurationNotFound without Object Lock."""
        with self._operation("GetObjectLockConfiguration", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:GetBucketObjectLockConfiguration", name)
            if not bucket.lock_enabled:
                raise ObjectLockConfigurationNotFound
            return bucket.default_retention

    def put_encryption(
        self, name: str, *, kms_key_id: str = "", blocks_customer_keys: bool = False, by: str = OWNER
    ) -> None:
        """What new objects are encrypted with by default, and whether SSE-C is refused."""
        with self._operation("PutBucketEncryption", name, by=by):
            bucket = self._bucket(name)
            self._authorize(by, "s3:PutEncryptionConfiguration", name)
            bucket.kms_key_id = kms_key_id
            bucket.blocks_customer_keys = blocks_customer_keys

    # --- writing ---------------------------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes = b"",
        attributes: Attributes = PLAIN,
        *,
        integrity: Integrity = UNCHECKED,
        when: Precondition = ALWAYS,
        by: str = OWNER,
    ) -> Version:
        """Store `body` as the key's new current version (or in place of its null version)."""
        with self._operation("PutObject", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize_write(by, target, key, attributes)
            self._check_attributes(target, key, attributes)
            if len(body) > self.limits.put_bytes:
                raise EntityTooLarge
            checksums = verified(body, integrity)
            if (attributes.retention or attributes.legal_hold or target.default_retention) and not integrity.stated:
                raise InvalidRequest(NEEDS_INTEGRITY)
            self._check_precondition(target, key, when)
            return self._store(target, key, body, attributes, checksums)

    def copy(
        self,
        source: tuple[str, str, str],
        bucket: str,
        key: str,
        attributes: Attributes = PLAIN,
        *,
        replace_metadata: bool = False,
        checksum_algorithm: str = "",
        source_etag: str = "",
        when: Precondition = ALWAYS,
        by: str = OWNER,
    ) -> Version:
        """Copy `source` (bucket, key, version id or empty for the current one) on the server side.

        Locks and the storage class are not carried along. `checksum_algorithm` makes S3 compute that checksum
        of the bytes; without it a copy keeps the source's.
        """
        with self._operation("CopyObject", bucket, key, by):
            target = self._bucket(bucket)
            # Who may not write learns nothing of the source, not even whether it meets a condition.
            self._authorize_write(by, target, key, attributes)
            original = self._copy_source(by, source, source_etag)
            self._check_attributes(target, key, attributes)
            if original.size > self.limits.copy_bytes:
                raise InvalidRequest(
                    "The specified copy source is larger than the maximum allowable size for a copy source: "
                    f"{self.limits.copy_bytes}"
                )
            onto_itself = source == (bucket, key, "")
            if onto_itself and not replace_metadata and attributes.storage_class == original.storage_class:
                raise InvalidRequest(
                    "This copy request is illegal because it is trying to copy an object to itself without changing "
                    "the object's metadata, storage class, website redirect location or encryption attributes."
                )
            self._check_precondition(target, key, when)
            if not replace_metadata:
                attributes = replace(attributes, content_type=original.content_type, metadata=original.metadata)
            algorithms = [checksum_algorithm] if checksum_algorithm else list(original.checksums)
            checksums = {name: s3_checksums.encoded(name, original.body) for name in algorithms}
            return self._store(target, key, original.body, attributes, checksums)

    def delete(self, bucket: str, key: str, *, by: str = OWNER) -> Deletion:
        """Hide `key` under a delete marker; without versioning, destroy its null version."""
        with self._operation("DeleteObject", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:DeleteObject", bucket, key)
            return self._hide(target, key)

    def delete_version(
        self, bucket: str, key: str, version_id: str, *, bypass_governance: bool = False, by: str = OWNER
    ) -> Deletion:
        """Destroy exactly this version or marker. Raises ObjectProtected while it is locked."""
        with self._operation("DeleteObject", bucket, key, by):
            target = self._bucket(bucket)
            self._check_bypass(by, target, key, bypass_governance)
            self._authorize(by, "s3:DeleteObjectVersion", bucket, key)
            return self._destroy(target, key, version_id, bypass_governance)

    def delete_objects(
        self,
        bucket: str,
        items: Sequence[tuple[str, str]],
        *,
        bypass_governance: bool = False,
        by: str = OWNER,
    ) -> Deletions:
        """Hide or destroy up to 1,000 (key, version id or empty). What is refused is an error of its key."""
        with self._operation("DeleteObjects", bucket, by=by):
            target = self._bucket(bucket)
            if not 1 <= len(items) <= self.limits.page:
                raise MalformedXML
            if bypass_governance and not target.lock_enabled:
                raise InvalidRequest(BYPASS_WITHOUT_LOCK)
            if self._denied_batches_fail_whole:
                for key, version_id in items:
                    self._check_bypass(by, target, key, bypass_governance)
                    self._authorize(by, _delete_action(version_id), bucket, key)
            deleted: list[Deletion] = []
            errors: list[DeletionError] = []
            for key, version_id in items:
                try:
                    deleted.append(self._delete_one(target, key, version_id, bypass_governance, by))
                except S3Error as error:
                    errors.append(DeletionError(key, version_id, error.code, error.message))
            return Deletions(deleted, errors)

    # --- reading ---------------------------------------------------------------------------------------

    def get(
        self, bucket: str, key: str, version_id: str = "", *, customer_key_md5: str = "", by: str = OWNER
    ) -> Version:
        """The current version, or exactly `version_id`, with its bytes.

        Raises NoSuchKey, NoSuchVersion, MethodNotAllowed for a marker, InvalidObjectState for archived bytes.
        """
        with self._operation("GetObject", bucket, key, by):
            version = self._read(by, self._bucket(bucket), key, version_id)
            if version.is_frozen(self.clock.now()):
                raise InvalidObjectState
            _check_customer_key(version, customer_key_md5)
            return version

    def get_range(
        self, bucket: str, key: str, first: int | None, last: int | None, version_id: str = "", *, by: str = OWNER
    ) -> tuple[Version, int, bytes]:
        """The bytes from `first` to `last`, both included, with the offset at which they really begin.

        `first` None: the last `last` bytes. `last` None or too large: to the end. Raises InvalidRange.
        """
        version = self.get(bucket, key, version_id, by=by)
        start = max(0, version.size - (last or 0)) if first is None else first
        end = version.size if first is None or last is None else min(last + 1, version.size)
        if start >= end:
            raise InvalidRange
        return version, start, version.body[start:end]

    def head(
        self, bucket: str, key: str, version_id: str = "", *, customer_key_md5: str = "", by: str = OWNER
    ) -> Version:
        """As `get`, but archived objects answer too. Needs the same permission as reading."""
        with self._operation("HeadObject", bucket, key, by):
            version = self._read(by, self._bucket(bucket), key, version_id)
            _check_customer_key(version, customer_key_md5)
            return version

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        max_keys: int = 1000,
        by: str = OWNER,
    ) -> VersionPage:
        """One page of ListObjectVersions: at most 1,000 entries, whatever `max_keys` asks."""
        with self._operation("ListObjectVersions", bucket, prefix, by):
            source = self._bucket(bucket)
            self._authorize(by, "s3:ListBucketVersions", bucket, prefix)
            size = self._page_size(max_keys)
            if version_id_marker and not key_marker:
                raise InvalidArgument("A version-id marker cannot be specified without a key marker.")
            if version_id_marker and not source.knows(key_marker, version_id_marker):
                raise InvalidArgument("Invalid version id specified")
            if size == 0:
                return VersionPage([], [], False, "", "")
            return source.version_page(prefix, delimiter, key_marker, version_id_marker, size)

    def list_objects(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "",
        after: str = "",
        max_keys: int = 1000,
        by: str = OWNER,
    ) -> ObjectPage:
        """One page of ListObjectsV2 (`after`: its StartAfter, or where its token points) or of V1 (its Marker)."""
        with self._operation("ListObjectsV2", bucket, prefix, by):
            source = self._bucket(bucket)
            self._authorize(by, "s3:ListBucket", bucket, prefix)
            size = self._page_size(max_keys)
            if size == 0:
                return ObjectPage([], [], False, "")
            return source.object_page(prefix, delimiter, after, size)

    def shows_version_ids(self, bucket: str) -> bool:
        """Whether answers about this bucket carry version ids: not before versioning was first set."""
        with self._lock:
            return self._bucket(bucket).versioning is not VersioningStatus.OFF

    def everything(self, bucket: str) -> list[ListedVersion]:
        """Every entry of the bucket in S3's order, for assertions: no operation, no hook, no permission."""
        with self._lock:
            return list(self._bucket(bucket).versions())

    # --- locks -----------------------------------------------------------------------------------------

    def put_retention(
        self,
        bucket: str,
        key: str,
        retention: Retention | None,
        version_id: str = "",
        *,
        bypass_governance: bool = False,
        by: str = OWNER,
    ) -> None:
        """Set, extend or harden a version's retention; None removes it. To shorten it takes a bypass."""
        with self._operation("PutObjectRetention", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:PutObjectRetention", bucket, key)
            self._check_bypass(by, target, key, bypass_governance)
            version = self._lockable(target, key, version_id)
            if retention is not None and retention.until <= self.clock.now():
                raise InvalidArgument("The retain until date must be in the future!")
            self._check_weakening(version, retention, bypass_governance)
            target.replace(version, replace(version, retention=retention))

    def get_retention(self, bucket: str, key: str, version_id: str = "", *, by: str = OWNER) -> Retention:
        """Raises NoSuchObjectLockConfiguration when the version has none."""
        with self._operation("GetObjectRetention", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:GetObjectRetention", bucket, key)
            version = self._lockable(target, key, version_id)
            if version.retention is None:
                raise NoSuchObjectLockConfiguration
            return version.retention

    def put_legal_hold(self, bucket: str, key: str, on: bool, version_id: str = "", *, by: str = OWNER) -> None:
        with self._operation("PutObjectLegalHold", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:PutObjectLegalHold", bucket, key)
            version = self._lockable(target, key, version_id)
            target.replace(version, replace(version, legal_hold=on))

    def get_legal_hold(self, bucket: str, key: str, version_id: str = "", *, by: str = OWNER) -> bool:
        with self._operation("GetObjectLegalHold", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:GetObjectLegalHold", bucket, key)
            return self._lockable(target, key, version_id).legal_hold

    def thaw(
        self, bucket: str, key: str, version_id: str, days: int, *, tier: str = "Standard", by: str = OWNER
    ) -> bool:
        """RestoreObject: make archived bytes readable for `days` once `thaw_takes` is over. True: they were already,
        and their days begin anew."""
        with self._operation("RestoreObject", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:RestoreObject", bucket, key)
            version, now = self._find(by, target, key, version_id), self.clock.now()
            if version.storage_class not in ARCHIVE_CLASSES:
                raise InvalidObjectState("Restore is not allowed for the object's current storage class")
            if tier not in ("Expedited", "Standard", "Bulk"):
                raise MalformedXML
            if tier == "Expedited" and version.storage_class == "DEEP_ARCHIVE":
                raise InvalidArgument("Retrieval option is not supported by this storage class")
            if version.thawed_from is not None and now < version.thawed_from:
                raise RestoreAlreadyInProgress
            back = not version.is_frozen(now)
            begins = now if back else now + self.thaw_takes
            thawed = replace(version, thawed_from=begins, thawed_until=begins + timedelta(days=days))
            target.replace(version, thawed)
            return back

    def transition(self, bucket: str, key: str, storage_class: str) -> None:
        """What a lifecycle rule does to the current version: the same version, in another class."""
        target = self._bucket(bucket)
        version = self._find(OWNER, target, key, "")
        target.replace(version, replace(version, storage_class=storage_class))

    # --- multipart uploads -----------------------------------------------------------------------------

    def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        attributes: Attributes = PLAIN,
        *,
        checksum_algorithm: str = "",
        checksum_type: str = s3_checksums.COMPOSITE,
        by: str = OWNER,
    ) -> Upload:
        """Begin an upload. What it becomes is dated and ordered by this instant, however late it is completed."""
        with self._operation("CreateMultipartUpload", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize_write(by, target, key, attributes)
            self._check_attributes(target, key, attributes)
            upload = Upload(
                upload_id=self._opaque_id() + self._opaque_id(),
                key=key,
                order=self._next_order(),
                initiated=self.clock.second(),
                attributes=attributes,
                checksum_algorithm=checksum_algorithm,
                checksum_type=checksum_type if checksum_algorithm else "",
            )
            target.uploads[upload.upload_id] = upload
            return upload

    def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        body: bytes,
        *,
        integrity: Integrity = UNCHECKED,
        by: str = OWNER,
    ) -> Part:
        """Store a part; the same number again replaces it."""
        with self._operation("UploadPart", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:PutObject", bucket, key)
            return self._add_part(target, key, upload_id, number, body, verified(body, integrity))

    def upload_part_copy(
        self,
        source: tuple[str, str, str],
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        first: int = 0,
        last: int | None = None,
        source_etag: str = "",
        by: str = OWNER,
    ) -> Part:
        """A part whose bytes are `source`'s from `first` to `last`, both included."""
        with self._operation("UploadPartCopy", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:PutObject", bucket, key)
            original = self._copy_source(by, source, source_etag)
            if last is not None and last >= original.size:
                raise InvalidRange
            body = original.body[first : None if last is None else last + 1]
            if len(body) > self.limits.copy_bytes:
                raise InvalidRequest("The specified copy source is larger than the maximum allowable size")
            upload = self._upload(target, key, upload_id)
            names = [upload.checksum_algorithm] if upload.checksum_algorithm else []
            checksums = {name: s3_checksums.encoded(name, body) for name in names}
            return self._add_part(target, key, upload_id, number, body, checksums)

    def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        *,
        checksums: Mapping[int, str] | None = None,
        when: Precondition = ALWAYS,
        by: str = OWNER,
    ) -> Version:
        """Make the listed (number, ETag) parts one version, placed where the initiation says.

        `checksums`: those of the parts as the writer repeats them; None: not compared.
        """
        with self._operation("CompleteMultipartUpload", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:PutObject", bucket, key)
            upload = self._upload(target, key, upload_id)
            chosen = self._chosen_parts(upload, parts)
            if checksums is not None:
                _check_part_checksums(upload, chosen, checksums)
            self._check_precondition(target, key, when)
            del target.uploads[upload_id]
            bodies = [part.body for part in chosen]
            return self._store(
                target, key, b"".join(bodies), upload.attributes, _upload_checksums(upload, bodies), upload, bodies
            )

    def abort_multipart_upload(self, bucket: str, key: str, upload_id: str, *, by: str = OWNER) -> None:
        with self._operation("AbortMultipartUpload", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:AbortMultipartUpload", bucket, key)
            del target.uploads[self._upload(target, key, upload_id).upload_id]

    def list_parts(self, bucket: str, key: str, upload_id: str, *, by: str = OWNER) -> list[Part]:
        with self._operation("ListParts", bucket, key, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:ListMultipartUploadParts", bucket, key)
            upload = self._upload(target, key, upload_id)
            return [upload.parts[number] for number in sorted(upload.parts)]

    def list_multipart_uploads(self, bucket: str, prefix: str = "", *, by: str = OWNER) -> list[Upload]:
        """Uploads in progress by key, then initiation."""
        with self._operation("ListMultipartUploads", bucket, prefix, by):
            target = self._bucket(bucket)
            self._authorize(by, "s3:ListBucketMultipartUploads", bucket, prefix)
            found = [upload for upload in target.uploads.values() if upload.key.startswith(prefix)]
            return sorted(found, key=lambda upload: (upload.key, upload.order))

    # --- deciding --------------------------------------------------------------------------------------

    def _operation(self, name: str, bucket: str, key: str = "", by: str = OWNER) -> AbstractContextManager[None]:
        with self._lock:
            self._calls += 1
            call = Call(self._calls, Moment.BEFORE, name, f"{bucket}/{key}" if key else bucket, by)
        return _Operation(self, call)

    def _bucket(self, name: str) -> Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            raise NoSuchBucket
        return bucket

    def _authorize(self, by: str, action: str, bucket: str, key: str = "") -> None:
        if not self.access.permits(by, action, bucket, key):
            resource = f"{bucket}/{key}" if key else bucket
            raise AccessDenied(
                f"User: {by} is not authorized to perform: {action} on resource: arn:aws:s3:::{resource}"
            )

    def _authorize_write(self, by: str, target: Bucket, key: str, attributes: Attributes) -> None:
        self._authorize(by, "s3:PutObject", target.name, key)
        if attributes.retention is not None:
            self._authorize(by, "s3:PutObjectRetention", target.name, key)
        if attributes.legal_hold:
            self._authorize(by, "s3:PutObjectLegalHold", target.name, key)

    def _check_attributes(self, target: Bucket, key: str, attributes: Attributes) -> None:
        if not key or len(key.encode()) > self.limits.key_bytes:
            raise KeyTooLong
        if attributes.storage_class not in STORAGE_CLASSES:
            raise InvalidStorageClass
        if attributes.customer_key_md5 and target.blocks_customer_keys:
            raise AccessDenied("SSE-C is blocked for this bucket")
        if attributes.retention is None and not attributes.legal_hold:
            return
        if not target.lock_enabled:
            raise InvalidRequest(NO_LOCK_HERE)
        if attributes.retention is not None and attributes.retention.until <= self.clock.now():
            raise InvalidArgument("The retain until date must be in the future!")

    @staticmethod
    def _check_precondition(target: Bucket, key: str, when: Precondition) -> None:
        current = target.current(key)
        exists = current is not None and not current.is_delete_marker
        if when.if_none_match and exists:
            raise PreconditionFailed
        if when.if_match:
            if current is None or current.is_delete_marker:
                raise NoSuchKey
            if current.etag != when.if_match:
                raise PreconditionFailed

    def _check_bypass(self, by: str, target: Bucket, key: str, bypass: bool) -> None:
        if not bypass:
            return
        if not target.lock_enabled:
            raise InvalidRequest(BYPASS_WITHOUT_LOCK)
        self._authorize(by, "s3:BypassGovernanceRetention", target.name, key)

    def _check_weakening(self, version: Version, retention: Retention | None, bypass: bool) -> None:
        """Refuse what would protect the version less than it is protected now."""
        now, held = self.clock.now(), version.retention
        if held is None or held.until <= now:
            return
        weaker = retention is None or retention.until < held.until
        softer = retention is None or (held.mode, retention.mode) == (LockMode.COMPLIANCE, LockMode.GOVERNANCE)
        if (weaker or softer) and (held.mode is LockMode.COMPLIANCE or not bypass):
            raise ObjectProtected

    def _read(self, by: str, source: Bucket, key: str, version_id: str) -> Version:
        self._authorize(by, "s3:GetObjectVersion" if version_id else "s3:GetObject", source.name, key)
        return self._find(by, source, key, version_id)

    def _find(self, by: str, source: Bucket, key: str, version_id: str) -> Version:
        """The object that a request means, or the error that S3 gives for what is there instead."""
        version = source.find(key, version_id) if version_id else source.current(key)
        if version is not None and not version.is_delete_marker:
            return version
        marker = {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id} if version else {}
        if version is not None and version_id:
            raise MethodNotAllowed(headers=marker)
        if not self.access.permits(by, "s3:ListBucket", source.name):
            raise AccessDenied
        if version_id:
            if not _is_version_id(version_id):
                raise InvalidArgument("Invalid version id specified")
            raise NoSuchVersion
        raise NoSuchKey(headers=marker)

    def _copy_source(self, by: str, source: tuple[str, str, str], etag: str) -> Version:
        bucket, key, version_id = source
        try:
            original = self._read(by, self._bucket(bucket), key, version_id)
        except MethodNotAllowed:
            raise InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by version id."
            ) from None
        if original.is_frozen(self.clock.now()):
            raise InvalidObjectState("Operation is not valid for the source object's storage class")
        if original.customer_key_md5:
            raise InvalidRequest("The object was stored using a form of Server Side Encryption.")
        if etag and etag != original.etag:
            raise PreconditionFailed
        return original

    def _lockable(self, target: Bucket, key: str, version_id: str) -> Version:
        if not target.lock_enabled:
            raise InvalidRequest(NO_LOCK_HERE)
        return self._find(OWNER, target, key, version_id)

    def _page_size(self, max_keys: int) -> int:
        if max_keys < 0:
            raise InvalidArgument("Argument maxKeys must be an integer between 0 and 2147483647")
        return min(max_keys, self.limits.page)

    def _upload(self, target: Bucket, key: str, upload_id: str) -> Upload:
        upload = target.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NoSuchUpload
        return upload

    def _chosen_parts(self, upload: Upload, parts: Sequence[tuple[int, str]]) -> list[Part]:
        if not parts:
            raise MalformedXML
        numbers = [number for number, _ in parts]
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder
        chosen = []
        for number, etag in parts:
            part = upload.parts.get(number)
            if part is None or part.etag != etag.strip('"'):
                raise InvalidPart
            chosen.append(part)
        if any(len(part.body) < self.limits.part_bytes for part in chosen[:-1]):
            raise EntityTooSmall
        return chosen

    # --- effects ---------------------------------------------------------------------------------------

    def _store(
        self,
        target: Bucket,
        key: str,
        body: bytes,
        attributes: Attributes,
        checksums: dict[str, str],
        upload: Upload | None = None,
        parts: Sequence[bytes] = (),
    ) -> Version:
        created = upload.initiated if upload else self.clock.second()
        retention = attributes.retention
        if retention is None and target.default_retention is not None:
            retention = target.default_retention.at(created)
        kms_key_id = attributes.kms_key_id or ("" if attributes.customer_key_md5 else target.kms_key_id)
        version = Version(
            key=key,
            version_id=self._opaque_id() if target.versioning is VersioningStatus.ENABLED else NULL,
            order=upload.order if upload else self._next_order(),
            last_modified=created,
            body=body,
            etag=self._etag(body, parts, opaque=bool(kms_key_id or attributes.customer_key_md5)),
            storage_class=attributes.storage_class,
            checksums=checksums,
            checksum_type=(upload.checksum_type if upload else s3_checksums.FULL_OBJECT) if checksums else "",
            content_type=attributes.content_type,
            metadata=attributes.metadata,
            retention=retention,
            legal_hold=attributes.legal_hold,
            kms_key_id=kms_key_id,
            customer_key_md5=attributes.customer_key_md5,
            parts=len(parts),
        )
        target.insert(version)
        return version

    def _hide(self, target: Bucket, key: str) -> Deletion:
        if target.versioning is VersioningStatus.OFF:
            if (version := target.find(key, NULL)) is not None:
                target.remove(version)
            return Deletion(key)
        enabled = target.versioning is VersioningStatus.ENABLED
        marker = Version(
            key=key,
            version_id=self._opaque_id() if enabled else NULL,
            order=self._next_order(),
            last_modified=self.clock.second(),
            is_delete_marker=True,
        )
        target.insert(marker)
        return Deletion(key, is_delete_marker=True, marker_version_id=marker.version_id)

    def _destroy(self, target: Bucket, key: str, version_id: str, bypass: bool) -> Deletion:
        version = target.find(key, version_id)
        if version is None:
            if not _is_version_id(version_id):
                raise InvalidArgument("Invalid version id specified")
            return Deletion(key, version_id)
        mode = version.locked_by(self.clock.now())
        if mode is LockMode.COMPLIANCE or (mode is LockMode.GOVERNANCE and not bypass):
            raise ObjectProtected
        target.remove(version)
        marker = version.is_delete_marker
        return Deletion(key, version_id, marker, version_id if marker else "")

    def _delete_one(self, target: Bucket, key: str, version_id: str, bypass: bool, by: str) -> Deletion:
        if version_id:
            self._check_bypass(by, target, key, bypass)
        self._authorize(by, _delete_action(version_id), target.name, key)
        if not version_id:
            return self._hide(target, key)
        return self._destroy(target, key, version_id, bypass)

    def _add_part(
        self, target: Bucket, key: str, upload_id: str, number: int, body: bytes, checksums: dict[str, str]
    ) -> Part:
        upload = self._upload(target, key, upload_id)
        if not 1 <= number <= self.limits.parts:
            raise InvalidArgument(f"Part number must be an integer between 1 and {self.limits.parts}, inclusive")
        part = Part(number, body, _md5(body).hex(), checksums, self.clock.second())
        upload.parts[number] = part
        return part

    def _etag(self, body: bytes, parts: Sequence[bytes], *, opaque: bool) -> str:
        suffix = f"-{len(parts)}" if parts else ""
        if opaque:
            return self._random.randbytes(16).hex() + suffix
        digest = _md5(b"".join(_md5(part) for part in parts)) if parts else _md5(body)
        return digest.hex() + suffix

    def _opaque_id(self) -> str:
        """32 characters, like S3's version ids."""
        return base64.b64encode(self._random.randbytes(24), altchars=b"._").decode()

    def _next_order(self) -> int:
        self._order += 1
        return self._order

    def _enter(self) -> None:
        self._lock.acquire()

    def _leave(self) -> None:
        self._lock.release()


class _Operation(AbstractContextManager[None]):
    """One operation: the hook before it, the lock around it, the hook after it when it took effect."""

    __slots__ = ("_call", "_fake")

    def __init__(self, fake: FakeS3, call: Call) -> None:
        self._fake = fake
        self._call = call

    def __enter__(self) -> None:
        self._fake.hook(self._call)
        self._fake._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fake._leave()
        if kind is None:
            self._fake.hook(replace(self._call, moment=Moment.AFTER))


def _delete_action(version_id: str) -> str:
    return "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"


def _is_version_id(text: str) -> bool:
    return text == NULL or len(text) == 32


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def verified(body: bytes, integrity: Integrity) -> dict[str, str]:
    """The checksums to keep. Raises BadDigest when the writer announced other bytes, InvalidDigest for none."""
    if integrity.content_md5:
        announced = s3_checksums.decoded(integrity.content_md5, 16)
        if announced is None:
            raise InvalidDigest("The Content-MD5 you specified is not valid.")
        if announced != _md5(body):
            raise BadDigest("The Content-MD5 you specified did not match what we received.")
    if not integrity.algorithm:
        return {}
    if integrity.algorithm not in s3_checksums.ALGORITHMS:
        raise InvalidRequest("Checksum algorithm provided is unsupported.")
    actual = s3_checksums.encoded(integrity.algorithm, body)
    if integrity.value and integrity.value != actual:
        raise BadDigest(f"The {integrity.algorithm} you specified did not match the calculated checksum.")
    return {integrity.algorithm: actual}


def _check_part_checksums(upload: Upload, parts: Sequence[Part], repeated: Mapping[int, str]) -> None:
    """Who asked for a checksum of the parts' checksums has to repeat each of them."""
    name = upload.checksum_algorithm
    if not name or upload.checksum_type == s3_checksums.FULL_OBJECT:
        return
    for part in parts:
        if part.number not in repeated:
            raise InvalidRequest(
                f"The upload was created using a {name.lower()} checksum. The complete request must include the "
                "checksum for each part. It was missing for part "
                f"{part.number} in the request."
            )
        if repeated[part.number] != part.checksums.get(name):
            raise InvalidPart


def _upload_checksums(upload: Upload, bodies: Sequence[bytes]) -> dict[str, str]:
    if not upload.checksum_algorithm:
        return {}
    if upload.checksum_type == s3_checksums.FULL_OBJECT:
        return {upload.checksum_algorithm: s3_checksums.encoded(upload.checksum_algorithm, b"".join(bodies))}
    return {upload.checksum_algorithm: s3_checksums.composite(upload.checksum_algorithm, bodies)}


def _check_customer_key(version: Version, key_md5: str) -> None:
    if version.customer_key_md5 == key_md5:
        return
    if version.customer_key_md5 and not key_md5:
        raise InvalidRequest("The object was stored using a form of Server Side Encryption.")
    raise AccessDenied


def paged(fake: FakeS3, bucket: str, prefix: str = "", by: str = OWNER) -> Iterable[ListedVersion]:
    """Every entry under `prefix`, page by page, as a client reads them."""
    key_marker = version_id_marker = ""
    while True:
        page = fake.list_versions(bucket, prefix, key_marker=key_marker, version_id_marker=version_id_marker, by=by)
        yield from page.entries
        if not page.is_truncated:
            return
        key_marker, version_id_marker = page.next_key_marker, page.next_version_id_marker
