"""A bucket's clock, and parts of one version."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from mypy_boto3_s3 import S3Client

from functions.domain.values import ObjectKey, VersionGone, VersionId
from functions.storage.bucket import S3BucketConfiguration, S3RangedReader
from tests.storage.canned import canned


def test_the_clock_is_the_date_of_the_answer_and_not_this_machines() -> None:
    with canned("<VersioningConfiguration/>", date="Sat, 29 Feb 2020 12:34:56 GMT") as (client, _):
        now = S3BucketConfiguration(client, "bucket").now()
    assert now == datetime(2020, 2, 29, 12, 34, 56, tzinfo=UTC)
    assert (now.tzinfo, now.microsecond) == (UTC, 0)


# --- parts of a version ----------------------------------------------------------------------------


def a_range(client: S3Client, length: int = 10) -> bytes:
    return S3RangedReader(client, "bucket", "p/").read_range(ObjectKey("config"), VersionId("v"), 5, length)


@contextmanager
def stubbed() -> Iterator[tuple[S3Client, Stubber]]:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
    with Stubber(client) as answers:
        yield client, answers


def body(content: bytes, announced: int | None = None) -> dict[str, Any]:
    length = len(content) if announced is None else announced
    return {"Body": StreamingBody(io.BytesIO(content), length), "ContentRange": f"bytes 5-{4 + length}/1000"}


def test_a_range_is_asked_of_the_pinned_version() -> None:
    expected = {"Bucket": "bucket", "Key": "p/config", "VersionId": "v", "Range": "bytes=5-14"}
    with stubbed() as (client, answers):
        answers.add_response("get_object", body(b"abc"), expected)
        assert a_range(client) == b"abc", "a short answer is the caller's to judge"


def test_of_a_server_that_sends_everything_the_range_is_taken() -> None:
    with stubbed() as (client, answers):
        answers.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"0123456789abcdefgh"), 18)})
        assert a_range(client) == b"56789abcde"


def test_no_bytes_are_not_asked_for() -> None:
    with stubbed() as (client, _):
        assert a_range(client, length=0) == b""


@pytest.mark.parametrize("code", ["NoSuchVersion", "NoSuchKey", "MethodNotAllowed", "404", "405"])
def test_what_no_longer_exists_is_gone(code: str) -> None:
    with stubbed() as (client, answers):
        answers.add_client_error("get_object", code)
        with pytest.raises(VersionGone):
            a_range(client)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SlowDown", "InvalidObjectState", "500"])
def test_any_other_error_is_not_taken_for_a_version_that_is_gone(code: str) -> None:
    with stubbed() as (client, answers):
        answers.add_client_error("get_object", code)
        with pytest.raises(ClientError, match=code):
            a_range(client)


def test_a_connection_that_is_cut_is_no_short_answer() -> None:
    with stubbed() as (client, answers):
        answers.add_response("get_object", body(b"abc", announced=10))
        with pytest.raises((IncompleteReadError, ResponseStreamingError)):
            a_range(client)
