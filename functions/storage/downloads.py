"""The bytes of pinned versions, for whoever reads very many: asked for without what boto3 does around each call.

`get_object` takes 2 ms of a processor for each call, and all threads of a process share one: 500 small objects a second
at most. So a version is asked for over connections of our own (functions/storage/wires.py). Only a plain 200 of the
right version is taken from there. Whatever else is answered, and whatever is configured that they do not know, goes to
`get_object`, with its retries, redirects and errors.

Security rules:
- The version id is in every request, and an answer of another version is none.
- An answer without a length, or shorter than its length, is a failure.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.ports import NotRead
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone
from functions.storage.aws import NO_VERSION, error_code
from functions.storage.signing import Unsignable
from functions.storage.wires import PIECE, Answer, version_query, wires_to

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_OK = 200
_DENIED = ("AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403")
_FINAL = (*_DENIED, "InvalidObjectState", "KMS.DisabledException", "KMS.NotFoundException", "NoSuchBucket")


class ReadRefused(Exception):
    """S3 or KMS does not give these bytes to these credentials; asking again changes nothing."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.is_denied = code in _DENIED
        """For want of a permission, or of credentials."""


class S3Downloads:
    """Reads versions of one repository over boto3. Needs s3:GetObjectVersion; of encrypted ones also kms:Decrypt.

    In any number of threads; connections are kept, and `close` closes all.
    """

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        """The credentials of `client` are used, and renewed as it does."""
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._wires = wires_to(client, bucket)

    @property
    def is_direct(self) -> bool:
        """Whether it has connections of its own; otherwise everything goes through boto3."""
        return self._wires is not None

    @property
    def connections(self) -> int:
        """Of its own, made so far."""
        return self._wires.made if self._wires is not None else 0

    def use_boto3(self) -> None:
        """From now on, for everything."""
        self.close()
        self._wires = None

    def close(self) -> None:
        if self._wires is not None:
            self._wires.close()

    def read(self, version: ObjectVersion, piece: int = PIECE) -> Iterator[bytes | memoryview]:
        """The bytes of exactly this version, at most `piece` at once. Each piece is gone when the next one is taken.

        Raises VersionGone; ReadRefused; and, at any piece, NotRead when it may work another time.
        """
        try:
            if (answer := self._ask(version)) is not None:
                yield from answer.pieces(piece)
            else:
                yield from self._read_by_boto3(version, piece)
        except (BotoCoreError, OSError) as error:
            raise NotRead(type(error).__name__) from error

    def _ask(self, version: ObjectVersion) -> Answer | None:
        """A plain 200 of this version, or None. Raises OSError, botocore's errors."""
        if self._wires is None:
            return None
        try:
            answer = self._wires.ask("GET", self._key_prefix + version.key, version_query(version.version_id))
        except Unsignable:
            return None
        told = answer.headers.get(b"x-amz-version-id")
        if answer.status == _OK and answer.length is not None and told == version.version_id.encode():
            return answer
        answer.drop()
        return None

    def _read_by_boto3(self, version: ObjectVersion, piece: int) -> Iterator[bytes]:
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key_prefix + version.key, VersionId=version.version_id
            )
        except ClientError as error:
            raise _meaning(error, version.key) from error
        if answer.get("VersionId", version.version_id) != version.version_id:
            raise NotRead("AnotherVersion")
        yield from answer["Body"].iter_chunks(piece)


def _meaning(error: ClientError, key: ObjectKey) -> Exception:
    code = error_code(error)
    if code in NO_VERSION:
        return VersionGone(f"the version of {key} that the state pins no longer exists")
    if code in _FINAL:
        return ReadRefused(code, str(error.response.get("Error", {}).get("Message", "")))
    return NotRead(code)
