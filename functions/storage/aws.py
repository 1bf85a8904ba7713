"""How clients are made: once, at import of a handler, with retries that back off with jitter."""

from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError  # noqa: A004

CLIENT = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    user_agent_extra="rwm",
    # Path-style would be refused by S3 in new regions; botocore falls back to it where the endpoint is an address.
    s3={"addressing_style": "auto"},
)


def error_code(error: ClientError) -> str:
    """S3's or DynamoDB's own word for what went wrong, e.g. `NoSuchVersion`."""
    return str(error.response.get("Error", {}).get("Code", ""))


NO_VERSION = frozenset({"NoSuchVersion", "NoSuchKey", "MethodNotAllowed", "404", "405"})
"""S3's words for a version that is not there to be read. MethodNotAllowed: it is a delete marker."""
_PASSING = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "KMS.ThrottlingException",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_PASSING_STATUS = frozenset({429, 500, 502, 503, 504})


def is_passing(error: BaseException) -> bool:
    """Whether what failed may succeed when it is asked again: S3 was busy or broke, or a connection did.

    botocore asks eight times by itself, within a minute or so, and never again once an answer has begun.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return error_code(error) in _PASSING or status in _PASSING_STATUS
    return isinstance(error, (HTTPClientError, ConnectionError, IncompleteReadError))
