"""What the rules read from a server: listings as sent, error codes, times."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of ListObjectVersions, in the order in which the server sent it."""

    key: str
    version_id: str
    is_marker: bool
    is_latest: bool
    last_modified: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of ListObjectVersions. boto3's answer has lost the order between versions and markers."""

    entries: list[Entry]
    is_truncated: bool
    markers: dict[str, str]
    """The parameters of the next page."""


def page(s3: "S3Client", bucket: str, **parameters: Any) -> Page:
    """One page, decoded from the XML itself."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        bodies.append(response_dict["body"])

    s3.meta.events.register("before-parse.s3.ListObjectVersions", keep)
    try:
        s3.list_object_versions(Bucket=bucket, EncodingType="url", **parameters)
    finally:
        s3.meta.events.unregister("before-parse.s3.ListObjectVersions", keep)
    root = ET.fromstring(bodies[0])  # noqa: S314 - a server on this machine
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    entries = [
        Entry(
            unquote_plus(element.findtext("Key", "")),
            element.findtext("VersionId", ""),
            element.tag == "DeleteMarker",
            element.findtext("IsLatest") == "true",
            element.findtext("LastModified", ""),
        )
        for element in root
        if element.tag in ("Version", "DeleteMarker")
    ]
    markers = {"KeyMarker": unquote_plus(root.findtext("NextKeyMarker", ""))}
    if version_id := root.findtext("NextVersionIdMarker"):
        markers["VersionIdMarker"] = version_id
    return Page(entries, root.findtext("IsTruncated") == "true", markers)


def entries(s3: "S3Client", bucket: str, **parameters: Any) -> list[Entry]:
    """All pages together."""
    found: list[Entry] = []
    markers: dict[str, str] = {}
    while True:
        one = page(s3, bucket, **parameters, **markers)
        found += one.entries
        if not one.is_truncated:
            return found
        assert one.markers != markers, "the listing does not advance"
        markers = one.markers


def put(s3: "S3Client", bucket: str, key: str, body: bytes = b"") -> str:
    """PUT `body` and return its version id."""
    # A lock bucket with a default retention takes no PUT without a checksum.
    return s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")["VersionId"]


def body_of(s3: "S3Client", bucket: str, key: str, version_id: str | None = None) -> bytes:
    pinned: dict[str, Any] = {"VersionId": version_id} if version_id else {}
    answer = s3.get_object(Bucket=bucket, Key=key, **pinned)
    with answer["Body"] as stream:
        return bytes(stream.read())


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    """The server answers with one of these error codes. HEAD has no body: its code is the status."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] in codes, caught.value


def date_of(answer: Any) -> datetime:
    """The `Date` of an answer: the server's clock."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)


def server_now(s3: "S3Client", bucket: str) -> datetime:
    """The server's clock, whole seconds."""
    return date_of(s3.get_bucket_versioning(Bucket=bucket))
