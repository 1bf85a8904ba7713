"""The target of a restore: its objects, their checksums and bytes, and the server-side copy into it."""

import base64
import binascii
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.ports import TargetChanged, TargetDenied, TargetGone, TargetMissing
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.aws import error_code
from functions.storage.bucket import PIECE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})
_GONE = frozenset({"NoSuchKey", "404", "NotFound", "MethodNotAllowed"})
_CHANGED = frozenset({"PreconditionFailed", "412"})
_TOO_SHORT = frozenset({"InvalidRange", "416"})


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

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def stored_sha256(self, key: ObjectKey) -> Digest | None:
        with _translated(self._bucket, "s3:GetObject", key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._key_prefix + key, ChecksumMode="ENABLED")
        return _whole(answer.get("ChecksumSHA256"), answer.get("ChecksumType"))

    def read(self, key: ObjectKey) -> Iterator[bytes]:
        with _translated(self._bucket, "s3:GetObject", key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key_prefix + key)
        return answer["Body"].iter_chunks(PIECE)


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


class S3VersionCopier:
    """VersionCopier over boto3. A copy carries no lock: the target's default retention, if any, applies to it."""

    def __init__(
        self,
        client: "S3Client",
        *,
        source_bucket: str,
        source_key_prefix: str,
        target_bucket: str,
        target_key_prefix: str,
    ) -> None:
        self._client = client
        self._source_bucket = source_bucket
        self._source_key_prefix = source_key_prefix
        self._target_bucket = target_bucket
        self._target_key_prefix = target_key_prefix

    def copy(self, version: ObjectVersion) -> Digest | None:
        try:
            with _translated(self._target_bucket, "s3:PutObject (or s3:GetObjectVersion on the source)"):
                answer = self._client.copy_object(
                    Bucket=self._target_bucket,
                    Key=self._target_key_prefix + version.key,
                    CopySource={
                        "Bucket": self._source_bucket,
                        "Key": self._source_key_prefix + version.key,
                        "VersionId": version.version_id,
                    },
                    # S3 hashes the bytes it writes: the proof that the copy is what restic named it.
                    ChecksumAlgorithm="SHA256",
                    MetadataDirective="COPY",
                    # Copying tags would need s3:GetObjectVersionTagging and s3:PutObjectTagging; restic sets none.
                    TaggingDirective="REPLACE",
                )
        except ClientError as error:
            if error_code(error) in ("NoSuchVersion", "NoSuchKey") or _is_of_a_marker(error):
                raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
            raise
        result = answer.get("CopyObjectResult", {})
        return _whole(result.get("ChecksumSHA256"), result.get("ChecksumType"))


def _is_of_a_marker(error: ClientError) -> bool:
    """S3 answers a copy from a delete marker's version id with 400 InvalidRequest, which has other causes too."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return error_code(error) == "InvalidRequest" and "delete marker" in message


def _whole(checksum: str | None, kind: str | None) -> Digest | None:
    """A full object's SHA-256. A multipart object's is a hash of hashes (`…-3`, COMPOSITE), which proves no name."""
    if checksum is None or kind == "COMPOSITE":
        return None
    try:
        raw = base64.b64decode(checksum, validate=True)
    except binascii.Error:
        return None
    return Digest(raw.hex()) if len(raw) == 32 else None


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
        if key is not None and code in _GONE:
            raise TargetGone(f"{key} is no longer in {bucket}") from error
        raise
