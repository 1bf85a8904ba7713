"""A repository's own objects, as put-back sees and changes them: what is current, a pinned version copied over it, a
marker that hides it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from functions.domain.ports import Archived, TargetDenied
from functions.domain.restore.current import NOTHING, Current
from functions.domain.restore.target import ARCHIVE_CLASSES, LARGEST_COPY
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.aws import NO_VERSION, error_code
from functions.storage.checksums import whole_sha256
from functions.storage.target import Copying, S3VersionCopier
from functions.storage.thawing import FROZEN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import StorageClassType

_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})
_NOTHING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3CurrentReader:
    """CurrentReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def current(self, key: ObjectKey) -> Current:
        try:
            with _translated(self._bucket, "s3:GetObject (or s3:ListBucket)"):
                answer = self._client.head_object(
                    Bucket=self._bucket, Key=self._key_prefix + key, ChecksumMode="ENABLED"
                )
        except ClientError as error:
            if error_code(error) in _NOTHING:
                return NOTHING
            raise
        return Current(
            VersionId(answer["VersionId"]),
            answer["ContentLength"],
            whole_sha256(answer.get("ChecksumSHA256"), answer.get("ChecksumType")),
        )


class S3VersionReturner:
    """VersionReturner over boto3. What it writes gets the bucket's own default retention and encryption."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str, largest: int = LARGEST_COPY) -> None:
        """`largest`: bytes; what is larger is copied in parts."""
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._largest = largest

    def put(self, version: ObjectVersion) -> Current:
        if version.size > self._largest:
            return self._put_in_parts(version)
        try:
            with _translated(self._bucket, "s3:PutObject (or s3:GetObjectVersion)"):
                answer = self._client.copy_object(
                    Bucket=self._bucket,
                    Key=self._key_prefix + version.key,
                    CopySource={
                        "Bucket": self._bucket,
                        "Key": self._key_prefix + version.key,
                        "VersionId": version.version_id,
                    },
                    # S3 hashes the bytes it writes: the proof that they are what restic named them.
                    ChecksumAlgorithm="SHA256",
                    MetadataDirective="COPY",
                    # Copying tags would need s3:GetObjectVersionTagging and s3:PutObjectTagging; restic sets none.
                    TaggingDirective="REPLACE",
                    # CopyObject would choose STANDARD, and a check would ask who changed it.
                    StorageClass=_class_of(version),
                )
        except ClientError as error:
            code, message = error_code(error), str(error.response.get("Error", {}).get("Message", ""))
            if code in NO_VERSION or (code == "InvalidRequest" and "delete marker" in message):
                raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
            if code == FROZEN:
                raise Archived(f"{version.key} lies in an archive class") from error
            raise
        if not (version_id := answer.get("VersionId")):
            # Not every server names the version that a copy became. Whatever is current now is compared.
            return self._written(version)
        result = answer.get("CopyObjectResult", {})
        found = whole_sha256(result.get("ChecksumSHA256"), result.get("ChecksumType"))
        return Current(VersionId(version_id), version.size, found)

    def _put_in_parts(self, version: ObjectVersion) -> Current:
        copier = S3VersionCopier(
            self._client,
            source_bucket=self._bucket,
            source_key_prefix=self._key_prefix,
            target_bucket=self._bucket,
            target_key_prefix=self._key_prefix,
            copying=Copying(largest=self._largest),
        )
        copier.copy(version)
        return self._written(version)

    def _written(self, version: ObjectVersion) -> Current:
        return S3CurrentReader(self._client, self._bucket, self._key_prefix).current(version.key)


def _class_of(version: ObjectVersion) -> "StorageClassType":
    """As it was; but what was thawed must not be frozen again, where restic could not read it."""
    if not version.storage_class or version.storage_class in ARCHIVE_CLASSES:
        return "STANDARD"
    return cast("StorageClassType", version.storage_class)


class S3ObjectHider:
    """ObjectHider over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def hide(self, key: ObjectKey) -> None:
        with _translated(self._bucket, "s3:DeleteObject"):
            # Never with a version id: that would delete it.
            self._client.delete_object(Bucket=self._bucket, Key=self._key_prefix + key)


@contextmanager
def _translated(bucket: str, action: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) in _DENIED:
            raise TargetDenied(f"S3 denies {action} on {bucket}") from error
        raise
