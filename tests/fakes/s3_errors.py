"""S3's errors as exceptions: the code and HTTP status are S3's, so any client can be told the same.

Source: the S3 API reference, "Error responses".
"""

from collections.abc import Mapping
from typing import ClassVar


class S3Error(Exception):
    """An operation that S3 refused. Unless a subclass says otherwise, nothing was changed."""

    code: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "We encountered an internal error. Please try again."

    def __init__(self, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.message = message or self.default_message
        self.headers = dict(headers or {})
        super().__init__(f"{self.code}: {self.message}")


class InternalError(S3Error):
    """Transient: the client should try again."""


class SlowDown(S3Error):
    """Throttled: the client should wait and try again."""

    code = "SlowDown"
    status = 503
    default_message = "Please reduce your request rate."


class AccessDenied(S3Error):
    """The principal may not, or a lock forbids it."""

    code = "AccessDenied"
    status = 403
    default_message = "Access Denied"


class ObjectProtected(AccessDenied):
    """A retention or legal hold forbids it. S3 gives it no code of its own."""

    default_message = "Access Denied because object protected by object lock."


class InvalidAccessKeyId(S3Error):
    code = "InvalidAccessKeyId"
    status = 403
    default_message = "The AWS Access Key Id you provided does not exist in our records."


class NoSuchBucket(S3Error):
    code = "NoSuchBucket"
    status = 404
    default_message = "The specified bucket does not exist"


class NoSuchKey(S3Error):
    code = "NoSuchKey"
    status = 404
    default_message = "The specified key does not exist."


class NoSuchVersion(S3Error):
    code = "NoSuchVersion"
    status = 404
    default_message = "The specified version does not exist."


class NoSuchUpload(S3Error):
    code = "NoSuchUpload"
    status = 404
    default_message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
        "been aborted or completed."
    )


class NoSuchObjectLockConfiguration(S3Error):
    code = "NoSuchObjectLockConfiguration"
    status = 404
    default_message = "The specified object does not have a ObjectLock configuration"


class ObjectLockConfigurationNotFound(S3Error):
    code = "ObjectLockConfigurationNotFoundError"
    status = 404
    default_message = "Object Lock configuration does not exist for this bucket"


class MethodNotAllowed(S3Error):
    code = "MethodNotAllowed"
    status = 405
    default_message = "The specified method is not allowed against this resource."


class BucketAlreadyOwnedByYou(S3Error):
    code = "BucketAlreadyOwnedByYou"
    status = 409
    default_message = "Your previous request to create the named bucket succeeded and you already own it."


class BucketNotEmpty(S3Error):
    code = "BucketNotEmpty"
    status = 409
    default_message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."


class InvalidBucketState(S3Error):
    code = "InvalidBucketState"
    status = 409
    default_message = (
        "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
    )


class PreconditionFailed(S3Error):
    code = "PreconditionFailed"
    status = 412
    default_message = "At least one of the pre-conditions you specified did not hold"


class InvalidRange(S3Error):
    code = "InvalidRange"
    status = 416
    default_message = "The requested range is not satisfiable"


class InvalidObjectState(S3Error):
    code = "InvalidObjectState"
    status = 403
    default_message = "The operation is not valid for the object's storage class"


class RestoreAlreadyInProgress(S3Error):
    code = "RestoreAlreadyInProgress"
    status = 409
    default_message = "Object restore is already in progress"


class GlacierExpeditedRetrievalNotAvailable(S3Error):
    code = "GlacierExpeditedRetrievalNotAvailable"
    status = 503
    default_message = "Glacier expedited retrievals are currently not available, please try again later"


class InvalidRequest(S3Error):
    code = "InvalidRequest"
    status = 400
    default_message = "Invalid Request"


class InvalidArgument(S3Error):
    code = "InvalidArgument"
    status = 400
    default_message = "Invalid Argument"


class InvalidBucketName(S3Error):
    code = "InvalidBucketName"
    status = 400
    default_message = "The specified bucket is not valid."


class InvalidStorageClass(S3Error):
    code = "InvalidStorageClass"
    status = 400
    default_message = "The storage class you specified is not valid"


class MalformedXML(S3Error):
    code = "MalformedXML"
    status = 400
    default_message = "The XML you provided was not well-formed or did not validate against our published schema"


class KeyTooLong(S3Error):
    code = "KeyTooLongError"
    status = 400
    default_message = "Your key is too long"


class BadDigest(S3Error):
    code = "BadDigest"
    status = 400
    default_message = "The Content-MD5 or checksum value that you specified did not match what the server received."


class InvalidDigest(S3Error):
    code = "InvalidDigest"
    status = 400
    default_message = "The Content-MD5 or checksum value that you specified is not valid."


class ContentSha256Mismatch(S3Error):
    code = "XAmzContentSHA256Mismatch"
    status = 400
    default_message = "The provided 'x-amz-content-sha256' header does not match what was computed."


class IncompleteBody(S3Error):
    code = "IncompleteBody"
    status = 400
    default_message = "You did not provide the number of bytes specified by the Content-Length HTTP header."


class EntityTooLarge(S3Error):
    code = "EntityTooLarge"
    status = 400
    default_message = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    code = "EntityTooSmall"
    status = 400
    default_message = "Your proposed upload is smaller than the minimum allowed size"


class InvalidPart(S3Error):
    code = "InvalidPart"
    status = 400
    default_message = (
        "One or more of the specified parts could not be found. The part may not have been uploaded, "
        "or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartOrder(S3Error):
    code = "InvalidPartOrder"
    status = 400
    default_message = "The list of parts was not in ascending order. Parts must be ordered by part number."


class NotImplementedByFake(S3Error):
    """Neither modelled nor ignored: a fake that ignored it would let a test prove nothing."""

    code = "NotImplemented"
    status = 501
    default_message = "The fake does not model this"
