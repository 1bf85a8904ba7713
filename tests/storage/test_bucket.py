"""Reading S3's listings: every page whole, in S3's own order, or not at all. And the bytes of one version."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from mypy_boto3_s3 import S3Client

from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.bucket import MalformedListing, S3BucketConfiguration, S3RangedReader, S3VersionLister

HEAD = '<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
URL = "<EncodingType>url</EncodingType>"
TAIL = "<IsTruncated>false</IsTruncated></ListVersionsResult>"


def entry(key: str, version_id: str = "v", *, tag: str = "Version", **elements: str) -> str:
    content = {"LastModified": "2026-11-21T12:00:00.000Z", **elements}
    if tag == "Version":
        content = {"Size": "7", "ETag": "&quot;abc&quot;", "StorageClass": "STANDARD", **content}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in content.items())
    return f"<{tag}><Key>{key}</Key><VersionId>{version_id}</VersionId>{inner}</{tag}>"


def page(*entries: str, tail: str = TAIL) -> str:
    return HEAD + URL + "".join(entries) + tail


def truncated(*entries: str, key: str, version_id: str = "") -> str:
    markers = f"<NextKeyMarker>{key}</NextKeyMarker>"
    if version_id:
        markers += f"<NextVersionIdMarker>{version_id}</NextVersionIdMarker>"
    return page(*entries, tail=f"<IsTruncated>true</IsTruncated>{markers}</ListVersionsResult>")


@contextmanager
def canned(
    *answers: str, status: int = 200, date: str | None = None
) -> Iterator[tuple[S3Client, list[dict[str, list[str]]]]]:
    """A server that gives these answers, one a request, and the queries it was asked."""
    queries: list[dict[str, list[str]]] = []
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            queries.append(parse_qs(urlsplit(self.path).query, keep_blank_values=True))
            body = (waiting.pop(0) if len(waiting) > 1 else waiting[0]).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return date or super().date_time_string(timestamp)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
        )
        try:
            yield client, queries
        finally:
            client.close()
            server.shutdown()
            thread.join()


def listed(*answers: str, key_prefix: str = "") -> list[ListedVersion]:
    with canned(*answers) as (client, _):
        return list(S3VersionLister(client, "bucket", key_prefix).versions())


def test_versions_and_markers_come_in_the_order_in_which_s3_sent_them() -> None:
    entries = listed(page(entry("a", "3"), entry("a", "2", tag="DeleteMarker"), entry("a", "1")))
    assert [(type(each), each.version_id) for each in entries] == [
        (ObjectVersion, "3"),
        (DeleteMarker, "2"),
        (ObjectVersion, "1"),
    ]


def test_an_entry_keeps_what_s3_said_of_it() -> None:
    (version,) = listed(page(entry("a", "null", StorageClass="GLACIER", Size="5497558138880")))
    assert isinstance(version, ObjectVersion)
    assert (version.version_id, version.size, version.etag, version.storage_class) == (
        "null",
        5 * 2**40,
        "abc",
        "GLACIER",
    )


@pytest.mark.parametrize(
    ("encoded", "key"),
    [("a+b", "a b"), ("a%2Bb", "a+b"), ("a%25b", "a%b"), ("%C3%BC", "ü"), ("a%0Ab", "a\nb"), ("%26amp%3B", "&amp;")],
)
def test_keys_are_decoded_as_s3_encodes_them(encoded: str, key: str) -> None:
    assert [each.key for each in listed(page(entry(encoded)))] == [key]


def test_keys_are_relative_to_the_prefix_and_one_outside_it_stops_the_listing() -> None:
    assert [each.key for each in listed(page(entry("p/config")), key_prefix="p/")] == ["config"]
    with pytest.raises(MalformedListing, match="left its prefix; nothing was recorded"):
        listed(page(entry("q/config")), key_prefix="p/")


def test_paging_goes_on_in_the_middle_of_a_key() -> None:
    pages = (truncated(entry("a+b", "2"), key="a%20b", version_id="2"), page(entry("a+b", "1")))
    with canned(*pages) as (client, queries):
        entries = list(S3VersionLister(client, "bucket", "").versions())
    assert [each.version_id for each in entries] == ["2", "1"]
    assert "key-marker" not in queries[0]
    assert (queries[1]["key-marker"], queries[1]["version-id-marker"]) == (["a b"], ["2"])


def test_two_listers_may_share_a_client() -> None:
    with canned(page(entry("a"))) as (client, _):
        for _ in range(2):
            assert len(list(S3VersionLister(client, "bucket", "").versions())) == 1


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (("",), "no XML"),
        (("<html/>",), "<html>"),
        ((page(entry("a"), tail="</ListVersionsResult>"),), "<ListVersionsResult>"),
        ((truncated(entry("a"), key=""),), "names no next key"),
        ((truncated(entry("a"), key="a"), truncated(entry("a"), key="a")), "does not advance"),
        ((page(entry("", "v")),), "has no <Key>"),
        ((page(entry("a", "")),), "has no <VersionId>"),
        ((page(entry("a", Size="")),), "has no <Size>"),
    ],
)
def test_a_page_that_cannot_be_read_whole_stops_the_listing(answers: tuple[str, ...], why: str) -> None:
    with pytest.raises(MalformedListing, match=why):
        listed(*answers)


def test_a_page_that_is_cut_short_is_asked_for_again_and_then_an_error() -> None:
    with canned(page(entry("a"))[:-20]) as (client, queries), pytest.raises(ClientError, match="500"):
        list(S3VersionLister(client, "bucket", "").versions())
    assert len(queries) == 2


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_error_stays_an_error_even_with_status_200(status: int) -> None:
    body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>m</Message></Error>'
    with canned(body, status=status) as (client, _), pytest.raises(ClientError, match="InternalError"):
        list(S3VersionLister(client, "bucket", "").versions())


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
