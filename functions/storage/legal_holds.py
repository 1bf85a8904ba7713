"""Legal holds of object versions, for whoever looks at them: nothing of RWM sets one or takes one away."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.values import ObjectKey, VersionId
from functions.storage.aws import error_code
from functions.storage.locks import NO_LOCK, refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3LegalHolds:
    """Reads over boto3. Needs s3:GetObjectLegalHold, which no function has."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def is_held(self, key: ObjectKey, version_id: VersionId) -> bool:
        """Whether exactly this version is under a legal hold. Raises VersionGone, LockRefused."""
        try:
            answer = self._client.get_object_legal_hold(
                Bucket=self._bucket, Key=self._key_prefix + key, VersionId=version_id
            )
        except ClientError as error:
            if error_code(error) in NO_LOCK:
                return False
            raise refused(error) from error
        return answer.get("LegalHold", {}).get("Status") == "ON"
