"""Bytes in an archive class: asking S3 to bring them back, and telling them from what is gone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.ports import Archived, Thaw, ThawRefused
from functions.domain.restore.request import Tier
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.aws import NO_VERSION, error_code
from functions.storage.bucket import S3PinnedReader

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import RestoreRequestTypeDef

FROZEN = "InvalidObjectState"
"""What S3 says where bytes are asked for that lie in an archive class, and where a thaw is asked for that do not."""
KEPT_DAYS = 7
"""How long S3 keeps what it brought back: a restore lasts no longer."""
_TIERING = "INTELLIGENT_TIERING"


class S3Thawer:
    """Thawer over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str, tier: Tier) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._tier: Tier = tier

    def thaw(self, version: ObjectVersion) -> Thaw:
        request: RestoreRequestTypeDef = {"GlacierJobParameters": {"Tier": self._tier}}
        # What Intelligent-Tiering brings back moves to another tier, and stays: S3 refuses to be told for how long.
        if version.storage_class != _TIERING:
            request["Days"] = KEPT_DAYS
        try:
            answer = self._client.restore_object(
                Bucket=self._bucket,
                Key=self._key_prefix + version.key,
                VersionId=version.version_id,
                RestoreRequest=request,
            )
        except ClientError as error:
            return self._refused(error, version)
        # 202: it was asked for now. 200: it was back already, and stays for the same number of days from now on.
        return Thaw.BACK if answer["ResponseMetadata"]["HTTPStatusCode"] == 200 else Thaw.UNDER_WAY

    def _refused(self, error: ClientError, version: ObjectVersion) -> Thaw:
        code = error_code(error)
        if code == "RestoreAlreadyInProgress":
            return Thaw.UNDER_WAY
        if code == FROZEN:
            return Thaw.NOT_ARCHIVED
        if code in NO_VERSION:
            raise VersionGone(f"{version.key} version {version.version_id} no longer exists") from error
        if code == "GlacierExpeditedRetrievalNotAvailable":
            raise ThawRefused("S3 has no capacity for Expedited now; ask again with --thaw Standard") from error
        if code in ("AccessDenied", "403"):
            raise ThawRefused(f"S3 denies s3:RestoreObject on {self._bucket}") from error
        if code == "InvalidArgument" and self._tier == "Expedited":
            raise ThawRefused("S3 knows no Expedited for its class; ask again with --thaw Standard") from error
        raise error


class S3ThawedReader:
    """PinnedReader over boto3 that tells what lies in an archive class from what failed."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._reader = S3PinnedReader(client, bucket, key_prefix)

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        """Raises VersionGone, Archived."""
        try:
            return self._reader.read(key, version_id)
        except ClientError as error:
            if error_code(error) == FROZEN:
                raise Archived(f"{key} lies in an archive class") from error
            raise
