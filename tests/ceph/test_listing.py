"""Listing on Ceph, whose dialect and markers are its own: every page by its rows, and nothing lost between pages."""

from typing import TYPE_CHECKING, Any

import pytest

from functions.domain.ranges import SMALLEST
from functions.domain.restic import FileType
from functions.domain.values import DeleteMarker
from functions.storage.listing import S3VersionLister
from functions.storage.pages import by_elements, by_rows
from tests.ceph.gateway import Gateway
from tests.ceph.test_wall import client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, PREFIX = "many-entries", "repo/"
KEYS = sorted(
    [f"data/{number % 256:02x}/a+b {number:04}%" for number in range(1500)] + ["data/80/80000000", "\u00e9", "x&<y>"]
)


@pytest.fixture(scope="module")
def s3(ceph: Gateway) -> "S3Client":
    """A bucket of two pages of delete markers, which are written quickest, and a few versions."""
    s3 = client(ceph, ceph.admin)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for start in range(0, len(KEYS), 1000):
        objects: Any = [{"Key": PREFIX + key} for key in KEYS[start : start + 1000]]
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})
    for key in KEYS[:3]:
        s3.put_object(Bucket=BUCKET, Key=PREFIX + key, Body=b"bytes")
    return s3


@pytest.mark.parametrize("expected", [None, {FileType.PACK: 7 * SMALLEST}])
def test_every_entry_is_listed_once(s3: "S3Client", expected: dict[FileType, int] | None) -> None:
    entries = [entry for block in S3VersionLister(s3, BUCKET, PREFIX).blocks(expected) for entry in block.entries()]
    assert [entry.key for entry in entries if isinstance(entry, DeleteMarker)] == KEYS
    assert [entry.key for entry in entries if not isinstance(entry, DeleteMarker)] == KEYS[:3]


def test_its_pages_are_read_by_their_rows(ceph: Gateway, s3: "S3Client") -> None:
    pages: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        pages.append(response_dict["body"])

    reading = client(ceph, ceph.admin)
    reading.meta.events.register("before-parse.s3.ListObjectVersions", keep)
    reading.list_object_versions(Bucket=BUCKET, Prefix=PREFIX, EncodingType="url")
    assert len(pages) == 1
    assert by_rows(pages[0], PREFIX) == by_elements(pages[0], PREFIX)
    assert by_rows(pages[0], PREFIX) is not None
