"""The target of a restore: its objects, their checksums and bytes, and the server-side copy into it."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.batches import sha256_of
from functions.domain.locks.rules import GOVERNANCE
from functions.domain.ports import Archived, TargetChanged, TargetDenied, TargetGone, TargetLock, TargetMissing
from functions.domain.restore.target import LARGEST_COPY, part_size
from functions.domain.values import NULL_VERSION, Digest, ObjectKey, ObjectVersion, VersionGone, VersionId, zulu
from functions.storage.aws import NO_VERSION, error_code
from functions.storage.bucket import PIECE
from functions.storage.checksums import whole_sha256
from functions.storage.direct import Direct, copy_source
from functions.storage.thawing import FROZEN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopyObjectOutputTypeDef, CopySourceTypeDef

_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})
_GONE = frozenset({"NoSuchKey", "404", "NotFound", "MethodNotAllowed"})
"""MethodNotAllowed: the version is a delete marker."""
_CHANGED = frozenset({"PreconditionFailed", "412"})
_TOO_SHORT = frozenset({"InvalidRange", "416"})
_ELSEWHERE = frozenset(
    {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_COPY = "s3:PutObject (or s3:GetObjectVersion on the source)"
_SAID = re.compile(r"perform: (s3:\w+) on resource: \"?arn:[\w-]+:s3:::([^\"\s]+)")
"""How S3 says what it denies, where it does."""


_COPY_HEADERS = {
    # S3 hashes the bytes it writes: the proof that the copy is what restic named it.
    "x-amz-checksum-algorithm": "SHA256",
    "x-amz-metadata-directive": "COPY",
    # Copying tags would need s3:GetObjectVersionTagging and s3:PutObjectTagging; restic sets none.
    "x-amz-tagging-directive": "REPLACE",
}
"""The same as `_copy_whole` asks boto3 to send."""


class _Where(TypedDict):
    Bucket: str
    Key: str


class _Lock(TypedDict, total=False):
    ObjectLockMode: Literal["GOVERNANCE"]
    ObjectLockRetainUntilDate: datetime


class S3TargetLister:
    """TargetLister over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def objects(self, first: ObjectKey | None = None, last: ObjectKey | None = None) -> Iterator[tuple[ObjectKey, int]]:
        after = {"StartAfter": self._key_prefix + _before(first)} if first else {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=self._key_prefix,
            **after,  # type: ignore[arg-type]
        )
        with _translated(self._bucket, "s3:ListBucket"):
            for page in pages:
                for entry in page.get("Contents", ()):
                    key = ObjectKey(entry["Key"][len(self._key_prefix) :])
                    if first is not None and key.encode() < first.encode():
                        continue
                    if last is not None and key.encode() > last.encode():
                        return
                    yield key, entry["Size"]


def _before(key: ObjectKey) -> str:
    """A string that sorts before `key` with little between: S3's StartAfter excludes what it names.

    What does lie between is dropped from the listing.
    """
    rest, final = key[:-1], key[-1]
    return f"{rest}{chr(ord(final) - 1)}~" if "!" < final <= "~" else rest


class S3TargetReader:
    """TargetReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str, direct: Direct | None = None) -> None:
        """`direct` asks the same bucket; None: boto3 is asked for everything."""
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._direct = direct

    def stored_sha256(self, key: ObjectKey) -> Digest | None:
        with _translated(self._bucket, "s3:GetObject", key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._key_prefix + key, ChecksumMode="ENABLED")
        return whole_sha256(answer.get("ChecksumSHA256"), answer.get("ChecksumType"))

    def read(self, key: ObjectKey) -> Iterator[bytes]:
        with _translated(self._bucket, "s3:GetObject", key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key_prefix + key)
        return answer["Body"].iter_chunks(PIECE)

    def sha256(self, key: ObjectKey) -> Digest:
        found = self._direct.sha256(self._key_prefix + key) if self._direct else None
        return found or sha256_of(self.read(key))

    def version(self, key: ObjectKey) -> VersionId:
        with _translated(self._bucket, "s3:GetObject", key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._key_prefix + key)
        return VersionId(answer.get("VersionId", NULL_VERSION))


class S3TargetRangedReader:
    """RangedReader over boto3, of a target's current objects: needs s3:GetObject on the target.

    What was read first of an object fixes its ETag; from then on no other bytes are taken for the same object's.
    """

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._etags: dict[ObjectKey, str] = {}
        self._lock = threading.Lock()

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:  # noqa: ARG002
        """`version_id` is not used: no state pins a version of a copy.

        Raises VersionGone, TargetChanged, TargetMissing, TargetDenied.
        """
        if length == 0:
            return b""  # HTTP has no range of no bytes
        with self._lock:
            known = self._etags.get(key)
        same = {"IfMatch": known} if known else {}
        try:
            with _translated(self._bucket, "s3:GetObject", key):
                answer = self._client.get_object(
                    Bucket=self._bucket,
                    Key=self._key_prefix + key,
                    Range=f"bytes={offset}-{offset + length - 1}",
                    **same,  # type: ignore[arg-type]
                )
        except TargetGone as error:
            raise VersionGone(f"{key} is no longer in {self._bucket}") from error
        except ClientError as error:
            if error_code(error) in _CHANGED:
                raise self._changed() from error
            if error_code(error) in _TOO_SHORT:
                return b""
            raise
        with self._lock:
            first = self._etags.setdefault(key, answer["ETag"])
        if answer["ETag"] != first:
            raise self._changed()
        body = answer["Body"].read()
        # A server need not know ranges: then it sends everything, and no Content-Range.
        return body if answer.get("ContentRange") else body[offset : offset + length]

    def _changed(self) -> TargetChanged:
        return TargetChanged(f"{self._bucket} was written to while it was read; let nobody use it, and check again")


class S3TargetFacts:
    """TargetFacts over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def lock(self) -> TargetLock:
        try:
            with _translated(self._bucket, "s3:GetBucketObjectLockConfiguration"):
                answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error_code(error) == "ObjectLockConfigurationNotFoundError":
                return TargetLock(enabled=False)
            raise
        found = answer["ObjectLockConfiguration"]
        default = found.get("Rule", {}).get("DefaultRetention", {})
        # S3 gives days or years; a year is at least 365 of them.
        days = default.get("Days", 0) + 365 * default.get("Years", 0)
        return TargetLock(enabled=found.get("ObjectLockEnabled") == "Enabled", default_days=days)


def target_client(client: "S3Client", bucket: str, make: "Callable[[str], S3Client]") -> "S3Client":
    """The client to reach `bucket` with: `client`, or what `make` makes for the region that the bucket lies in.

    S3 says in which region a bucket is to whoever asks, even where it denies all else. Raises TargetMissing.
    """
    try:
        headers = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        if error_code(error) in ("404", "NoSuchBucket"):
            raise TargetMissing(f"there is no bucket {bucket}") from error
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    region = headers.get("x-amz-bucket-region") or client.meta.region_name
    return client if region == client.meta.region_name else make(region)


@dataclass(frozen=True, slots=True)
class Copying:
    """How copies are made. The default is what S3 bounds them by, and no lock: the target's default, if any, holds."""

    locked_until: datetime | None = None
    """Governance retention of each copy; None: what the target gives by itself."""
    largest: int = LARGEST_COPY
    """Bytes. What is larger is copied in parts."""
    part: Callable[[int], int] = part_size
    """Bytes of a part, by those of the whole."""
    parts_at_once: int = 16


_NO_SUCH_ETAG = "00000000000000000000000000000000"


class S3VersionCopier:
    """VersionCopier and CopyRehearsal over boto3.

    A copy carries no lock of its source's, and is encrypted with what the target encrypts with by default.
    """

    def __init__(
        self,
        client: "S3Client",
        *,
        source_bucket: str,
        source_key_prefix: str,
        target_bucket: str,
        target_key_prefix: str,
        copying: Copying | None = None,
        direct: Direct | None = None,
    ) -> None:
        """`direct` asks the target; None: boto3 is asked for everything."""
        self._client = client
        self._source_bucket = source_bucket
        self._source_key_prefix = source_key_prefix
        self._target_bucket = target_bucket
        self._target_key_prefix = target_key_prefix
        self._copying = copying or Copying()
        self._direct = direct
        self._locked: _Lock = {}
        self._headers = dict(_COPY_HEADERS)
        if until := self._copying.locked_until:
            self._locked = {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": until}
            self._headers["x-amz-object-lock-mode"] = GOVERNANCE
            self._headers["x-amz-object-lock-retain-until-date"] = zulu(until)

    def copy(self, version: ObjectVersion) -> Digest | None:
        if version.size > self._copying.largest:
            with _of_the_source(version), _translated(self._target_bucket, _COPY):
                self._copy_in_parts(version)
            # Of a hash over the hashes of parts nothing is proven.
            return None
        if (found := self._copy_directly(version)) is None:
            with _of_the_source(version), _translated(self._target_bucket, _COPY):
                result = self._copy_whole(version).get("CopyObjectResult", {})
            return whole_sha256(result.get("ChecksumSHA256"), result.get("ChecksumType"))
        return whole_sha256(found.get("ChecksumSHA256"), found.get("ChecksumType"))

    def _copy_directly(self, version: ObjectVersion) -> Mapping[str, str] | None:
        if self._direct is None:
            return None
        source = copy_source(self._source_bucket, self._source_key_prefix + version.key, version.version_id)
        return self._direct.copied(self._target_key_prefix + version.key, source, self._headers)

    def rehearse(self, version: ObjectVersion) -> None:
        """The condition is an ETag that no bytes have. Were S3 to copy all the same, it were this restore's copy."""
        try:
            with _of_the_source(version):
                self._copy_whole(version, CopySourceIfMatch=_NO_SUCH_ETAG)
        except ClientError as error:
            if error_code(error) in _CHANGED:
                return
            if error_code(error) in _DENIED:
                raise TargetDenied(self._denied(error, version)) from error
            if error_code(error) == "NoSuchBucket":
                raise TargetMissing(f"there is no bucket {self._target_bucket}") from error
            raise

    def _denied(self, error: ClientError, version: ObjectVersion) -> str:
        """Which action S3 denies, and on which bucket: it says so, or it is found out."""
        said = _SAID.search(str(error.response.get("Error", {}).get("Message", "")))
        if said:
            return f"S3 denies {said[1]} on {said[2].partition('/')[0]}"
        try:
            self._client.head_object(
                Bucket=self._source_bucket, Key=self._source_key_prefix + version.key, VersionId=version.version_id
            )
        except ClientError as another:
            if error_code(another) in _DENIED:
                return f"S3 denies s3:GetObjectVersion on {self._source_bucket}"
        locks = " or s3:PutObjectRetention" if self._locked else ""
        return f"S3 denies s3:PutObject{locks} on {self._target_bucket}"

    def _copy_whole(self, version: ObjectVersion, **condition: str) -> "CopyObjectOutputTypeDef":
        return self._client.copy_object(
            Bucket=self._target_bucket,
            Key=self._target_key_prefix + version.key,
            CopySource=self._source(version),
            ChecksumAlgorithm="SHA256",
            MetadataDirective="COPY",
            TaggingDirective="REPLACE",
            **self._locked,
            **condition,  # type: ignore[arg-type]
        )

    def _copy_in_parts(self, version: ObjectVersion) -> None:
        """An upload that nobody completes is aborted, and no other upload is ever looked at."""
        source = self._client.head_object(
            Bucket=self._source_bucket, Key=self._source_key_prefix + version.key, VersionId=version.version_id
        )
        where: _Where = {"Bucket": self._target_bucket, "Key": self._target_key_prefix + version.key}
        upload = self._client.create_multipart_upload(
            **where,
            ChecksumAlgorithm="SHA256",
            # CopyObject carries both along, an upload neither.
            ContentType=source["ContentType"],
            Metadata=source["Metadata"],
            **self._locked,
        )["UploadId"]
        try:
            parts = self._copy_parts(version, where, upload)
            self._client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**where, UploadId=upload)
            raise

    def _copy_parts(self, version: ObjectVersion, where: "_Where", upload: str) -> "list[CompletedPartTypeDef]":
        size = self._copying.part(version.size)
        same = {"CopySourceIfMatch": version.etag} if version.etag else {}

        def copy(number: int) -> "CompletedPartTypeDef":
            first = (number - 1) * size
            result = self._client.upload_part_copy(
                **where,
                UploadId=upload,
                PartNumber=number,
                CopySource=self._source(version),
                CopySourceRange=f"bytes={first}-{min(first + size, version.size) - 1}",
                **same,  # type: ignore[arg-type]
            )["CopyPartResult"]
            part: CompletedPartTypeDef = {"PartNumber": number, "ETag": result["ETag"]}
            # Who asked for checksums has to repeat each; a server that knows none gives none.
            if checksum := result.get("ChecksumSHA256"):
                part["ChecksumSHA256"] = checksum
            return part

        with ThreadPoolExecutor(self._copying.parts_at_once) as threads:
            copies = [threads.submit(copy, number) for number in range(1, -(-version.size // size) + 1)]
            try:
                return [each.result() for each in copies]
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    def _source(self, version: ObjectVersion) -> "CopySourceTypeDef":
        return {
            "Bucket": self._source_bucket,
            "Key": self._source_key_prefix + version.key,
            "VersionId": version.version_id,
        }


@contextmanager
def _of_the_source(version: ObjectVersion) -> Iterator[None]:
    """Raises VersionGone, Archived."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in NO_VERSION or _is_of_a_marker(error):
            raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
        if error_code(error) == FROZEN:
            raise Archived(f"{version.key} lies in an archive class") from error
        raise


def _is_of_a_marker(error: ClientError) -> bool:
    """S3 answers a copy from a delete marker's version id with 400 InvalidRequest, which has other causes too."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return error_code(error) == "InvalidRequest" and "delete marker" in message


def _where(error: ClientError) -> str:
    """Of a bucket of another region or partition, as S3 tells it."""
    told = error.response.get("Error", {})
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = told.get("Region") or told.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return f"in region {region}" if region else "in another region"


@contextmanager
def _translated(bucket: str, action: str, key: ObjectKey | None = None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code == "NoSuchBucket":
            raise TargetMissing(f"there is no bucket {bucket}") from error
        if code in _DENIED:
            raise TargetDenied(f"S3 denies {action} on {bucket}") from error
        if code in _ELSEWHERE:
            raise TargetDenied(f"{bucket} lies {_where(error)}, which cannot be reached from here") from error
        if key is not None and code in _GONE:
            raise TargetGone(f"{key} is no longer in {bucket}") from error
        raise
