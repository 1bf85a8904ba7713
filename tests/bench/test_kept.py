"""What is put into the canned S3 under a name comes back, by version, with the SHA-256 of its bytes; and at leisure."""

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from bench.buckets import client
from bench.canned_s3 import canned_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def s3(tmp_path: Path) -> Iterator["S3Client"]:
    with canned_s3(tmp_path) as environment:
        yield client(environment)


def sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_each_version_is_read_and_copied_by_its_id(s3: "S3Client") -> None:
    key = "data/a b+c%/ü"
    first, second = (s3.put_object(Bucket="source", Key=key, Body=body)["VersionId"] for body in (b"one", b"two"))
    assert s3.get_object(Bucket="source", Key=key)["Body"].read() == b"two"
    assert s3.get_object(Bucket="source", Key=key, VersionId=first)["Body"].read() == b"one"
    source = {"Bucket": "source", "Key": key, "VersionId": first}
    copied = s3.copy_object(Bucket="target", Key=key, CopySource=source, ChecksumAlgorithm="SHA256")  # type: ignore[arg-type]
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == sha256(b"one")
    head = s3.head_object(Bucket="target", Key=key, ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumSHA256"], head["ChecksumType"]) == (3, sha256(b"one"), "FULL_OBJECT")
    assert "ChecksumSHA256" not in s3.head_object(Bucket="target", Key=key)
    assert s3.get_object(Bucket="target", Key=key)["Body"].read() == b"one"
    assert second != first


def test_what_is_not_there_is_not_found(s3: "S3Client") -> None:
    s3.put_object(Bucket="source", Key="a", Body=b"")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="source", Key="b")
    with pytest.raises(ClientError, match="NoSuchVersion"):
        s3.copy_object(Bucket="target", Key="a", CopySource={"Bucket": "source", "Key": "a", "VersionId": "never"})
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="target", Key="a")


def test_a_bucket_lists_its_keys_by_pages_and_one_without_any_is_empty(s3: "S3Client") -> None:
    assert s3.list_objects_v2(Bucket="target")["KeyCount"] == 0
    keys = [f"data/{number:03} ü" for number in range(7)]
    for key in reversed(keys):
        s3.put_object(Bucket="target", Key=key, Body=b"x")
    s3.put_object(Bucket="target", Key="config", Body=b"xy")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="target", Prefix="data/", StartAfter=keys[0], PaginationConfig={"PageSize": 4}
    )
    found = [[(each["Key"], each["Size"]) for each in page["Contents"]] for page in pages]
    assert found == [[(key, 1) for key in keys[1:5]], [(key, 1) for key in keys[5:]]]


def test_each_answer_takes_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    with canned_s3(tmp_path, latency=0.05) as environment:
        s3 = client(environment)
        s3.put_object(Bucket="source", Key="a", Body=b"one")
        began = time.perf_counter()
        for _ in range(4):
            s3.head_object(Bucket="source", Key="a")
        assert time.perf_counter() - began >= 0.2
