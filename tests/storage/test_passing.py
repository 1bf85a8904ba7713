"""Which failures pass: S3 was busy or broke, or a connection did. All others stay what they are."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)

from functions.domain.values import VersionGone
from functions.storage.aws import is_passing


def an_error(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "CopyObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        an_error("SlowDown", 503),
        an_error("ServiceUnavailable", 503),
        an_error("503", 503),
        an_error("500", 500),
        an_error("InternalError", 500),
        # As botocore tells an error that came within a 200.
        an_error("InternalError", 200),
        an_error("RequestTimeout", 400),
        an_error("", 504),
        ReadTimeoutError(endpoint_url="http://s3"),
        ConnectTimeoutError(endpoint_url="http://s3"),
        EndpointConnectionError(endpoint_url="http://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
    ids=str,
)
def test_what_passes(error: Exception) -> None:
    assert is_passing(error)


@pytest.mark.parametrize(
    "error",
    [
        an_error("AccessDenied", 403),
        an_error("NoSuchVersion", 404),
        an_error("NoSuchKey", 404),
        an_error("InvalidRequest", 400),
        an_error("InvalidObjectState", 403),
        an_error("PreconditionFailed", 412),
        an_error("NotImplemented", 501),
        an_error("ExpiredToken", 400),
        VersionGone("gone"),
        NoCredentialsError(),
        ValueError("no"),
    ],
    ids=str,
)
def test_what_does_not(error: Exception) -> None:
    assert not is_passing(error)
