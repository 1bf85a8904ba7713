"""A protected repository's bucket: its configuration and clock, and the bytes of one version."""

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.values import ObjectKey, VersionGone, VersionId, Versioning, VersioningSeen, whole_second
from functions.storage.aws import NO_VERSION, error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE = 1 << 20
"""Bytes read at a time."""


class S3BucketConfiguration:
    """BucketConfiguration over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def now(self) -> datetime:
        return self.versioning().at

    def versioning(self) -> VersioningSeen:
        answer = self._client.get_bucket_versioning(Bucket=self._bucket)
        at = whole_second(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]))
        return VersioningSeen(Versioning(answer.get("Status", Versioning.OFF)), at)

    def object_lock(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error_code(error) == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"


_BEYOND = ("InvalidRange", "416")


class S3PinnedReader:
    """PinnedReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key_prefix + key, VersionId=version_id)
        except ClientError as error:
            if error_code(error) in NO_VERSION:
                raise VersionGone(f"{key} version {version_id} no longer exists") from error
            raise
        return answer["Body"].iter_chunks(PIECE)


class S3RangedReader:
    """RangedReader over boto3: needs s3:GetObjectVersion."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        """A connection that is cut raises botocore's error: it never passes for a short version, which is damage."""
        if length == 0:
            return b""  # HTTP has no range of no bytes
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._key_prefix + key,
                VersionId=version_id,
                Range=f"bytes={offset}-{offset + length - 1}",
            )
        except ClientError as error:
            if error_code(error) in NO_VERSION:
                raise VersionGone(f"{key} version {version_id} no longer exists") from error
            if error_code(error) in _BEYOND:
                return b""
            raise
        body = answer["Body"].read()
        # A server need not know ranges (RFC 9110, 14.2): then it sends everything, and no Content-Range.
        return body if answer.get("ContentRange") else body[offset : offset + length]
