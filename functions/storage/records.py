"""The records bucket: versioned, locked, written once per name."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain.ports import Anchor
from functions.domain.state import Head
from functions.domain.values import RepositoryName, StateId, VersionGone, VersionId
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_ANCHOR = re.compile(r"([0-9]{10})-([0-9a-f]{64})\.json")
_AT_ONCE = 16
"""Heads that are read at once; they are small, and there are as many as states."""


class S3HeadAnchor:
    """HeadAnchor over boto3: a head's file is named by its generation and its state, and is never replaced."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def anchor(self, head: Head) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=anchor_name(head),
                Body=head.canonical(),
                ContentType="application/json",
                # A bucket with a default retention takes no PUT without a checksum.
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) not in ("PreconditionFailed", "412"):
                raise


def anchor_name(head: Head) -> str:
    """`heads/alpha/0000000007-<state id>.json`."""
    return f"heads/{head.repository}/{head.generation:010d}-{head.state}.json"


class S3AnchorReader:
    """AnchorReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def anchors(self, repository: RepositoryName) -> Iterator[Anchor]:
        prefix = f"heads/{repository}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        # Whole, before it is read any further: what is anchored from now on belongs to newer states.
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        reader = S3RecordReader(self._client, self._bucket)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return iter(list(threads.map(lambda key: _anchor(key, prefix, reader.get(key)), keys)))


def _anchor(key: str, prefix: str, content: bytes) -> Anchor:
    named = _ANCHOR.fullmatch(key.removeprefix(prefix))
    # What has another name is no state's: it belongs to none, and is found as such.
    return Anchor(int(named[1]), StateId(named[2]), content) if named else Anchor(0, StateId(key), content)


class S3RecordWriter:
    """RecordWriter over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, content: bytes) -> VersionId:
        answer = self._client.put_object(Bucket=self._bucket, Key=name, Body=content, ChecksumAlgorithm="SHA256")
        return VersionId(answer["VersionId"])


class S3RecordReader:
    """RecordReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        pinned = {"VersionId": version_id} if version_id else {}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=name, **pinned)  # type: ignore[arg-type]
        except ClientError as error:
            if error_code(error) in ("NoSuchKey", "NoSuchVersion", "404"):
                raise VersionGone(f"the records bucket has no {name}") from error
            raise
        return answer["Body"].read()
