"""A view shows the pinned versions and nothing else, and cannot be written to: else it would be no oracle."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from functions.domain.values import ObjectVersion
from tests.fakes.pinned_view import PinnedView
from tests.fakes.ports import FakeVersionLister
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

BUCKET, PREFIX = "backups", "alpha/"
KEYS = ["config", "data/00/a", "data/01/b", "index/c"]


@pytest.fixture
def source() -> FakeS3:
    s3 = FakeS3()
    s3.create_bucket(BUCKET, object_lock=True)
    for key in KEYS:
        s3.put(BUCKET, PREFIX + key, key.encode())
    return s3


@pytest.fixture
def view(source: FakeS3) -> Iterator[S3Client]:
    state = [
        entry for entry in FakeVersionLister(source, BUCKET, PREFIX).versions() if isinstance(entry, ObjectVersion)
    ]
    for key in KEYS[1:]:
        source.put(BUCKET, PREFIX + key, b"newer, and longer")
    source.put(BUCKET, PREFIX + "later", b"")
    source.delete(BUCKET, PREFIX + "index/c")
    with S3Server(PinnedView(source, BUCKET, PREFIX, state)) as server:
        yield boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id="owner",
            aws_secret_access_key="any",
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
        )


def test_pinned_versions_are_read_whole_and_in_part_whatever_is_current(view: S3Client) -> None:
    for key in KEYS:
        assert view.get_object(Bucket=BUCKET, Key=PREFIX + key)["Body"].read() == key.encode()
        assert view.head_object(Bucket=BUCKET, Key=PREFIX + key)["ContentLength"] == len(key)
        part = view.get_object(Bucket=BUCKET, Key=PREFIX + key, Range="bytes=1-3")["Body"].read()
        assert part == key.encode()[1:4]


def test_they_alone_are_listed_page_by_page_with_their_sizes(view: S3Client) -> None:
    pages = view.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 3})
    listed = [(each["Key"], each["Size"]) for page in pages for each in page.get("Contents", [])]
    assert listed == [(PREFIX + key, len(key)) for key in KEYS]
    below = view.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX, Delimiter="/")
    assert [each["Prefix"] for each in below["CommonPrefixes"]] == ["alpha/data/", "alpha/index/"]
    view.get_bucket_location(Bucket=BUCKET)


def test_what_no_state_pins_is_not_there_not_even_by_its_version(view: S3Client, source: FakeS3) -> None:
    current = source.get(BUCKET, PREFIX + "data/00/a").version_id
    with pytest.raises(ClientError, match="NoSuchKey"):
        view.get_object(Bucket=BUCKET, Key=PREFIX + "later")
    with pytest.raises(ClientError, match="NoSuchVersion"):
        view.get_object(Bucket=BUCKET, Key=PREFIX + "data/00/a", VersionId=current)


def test_a_pinned_version_that_was_destroyed_is_listed_and_not_found(view: S3Client, source: FakeS3) -> None:
    oldest = source.everything(BUCKET)[0].version
    source.delete_version(BUCKET, oldest.key, oldest.version_id)
    assert view.list_objects_v2(Bucket=BUCKET)["KeyCount"] == len(KEYS)
    with pytest.raises(ClientError, match="NoSuchVersion"):
        view.get_object(Bucket=BUCKET, Key=oldest.key)


WRITES: dict[str, Callable[[S3Client], object]] = {
    "put": lambda s3: s3.put_object(Bucket=BUCKET, Key=PREFIX + "locks/d", Body=b"x", ChecksumAlgorithm="SHA256"),
    "delete": lambda s3: s3.delete_object(Bucket=BUCKET, Key=PREFIX + "config"),
    "delete many": lambda s3: s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": PREFIX + "config"}]}),
    "copy": lambda s3: s3.copy_object(
        Bucket=BUCKET, Key=PREFIX + "e", CopySource={"Bucket": BUCKET, "Key": PREFIX + "config"}
    ),
    "upload in parts": lambda s3: s3.create_multipart_upload(Bucket=BUCKET, Key=PREFIX + "e"),
    "lock": lambda s3: s3.put_object_retention(
        Bucket=BUCKET,
        Key=PREFIX + "config",
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime(2100, 1, 1, tzinfo=UTC)},
    ),
    "versioning": lambda s3: s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}),
    "new bucket": lambda s3: s3.create_bucket(Bucket="another"),
}


@pytest.mark.parametrize("write", WRITES)
def test_whatever_writes_is_refused_and_changes_nothing(view: S3Client, source: FakeS3, write: str) -> None:
    before = source.everything(BUCKET)
    with pytest.raises(ClientError, match="AccessDenied"):
        WRITES[write](view)
    assert source.everything(BUCKET) == before
    assert view.list_objects_v2(Bucket=BUCKET)["KeyCount"] == len(KEYS)
