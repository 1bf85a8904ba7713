"""Buckets of the bench: packs that are current and stay, and packs that were hidden and may go."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3

from functions.domain.repositories import Repository
from functions.domain.values import ObjectVersion
from functions.storage.aws import CLIENT
from functions.storage.listing import S3VersionLister

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_THREADS = 16
_BODY = b"a pack"


def client(environment: Mapping[str, str]) -> "S3Client":
    """As the product makes its own, for the server and the key that `environment` names."""
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
        config=CLIENT,
    )


def repository(bucket: str) -> Repository:
    """In which what was hidden a second ago may go, and nobody is asked."""
    return Repository.model_validate(
        {
            "name": "bench",
            "bucket": bucket,
            "adopt": True,
            "grace_days": "1s",
            "lock_days": 1,
            "approval": "never",
            "unsafe_short_times": True,
        }
    )


def create(s3: "S3Client", bucket: str, current: int) -> None:
    """A bucket with Object Lock, as RWM makes them, and so many packs that stay."""
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    _each(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=_BODY), _packs("stays", current))


def hide(s3: "S3Client", bucket: str, what: str, count: int) -> None:
    """So many further packs, each hidden by a delete marker, for longer than their grace."""
    keys = _packs(what, count)
    _each(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=_BODY), keys)
    _each(lambda key: s3.delete_object(Bucket=bucket, Key=key), keys)
    time.sleep(2.5)


def listed(s3: "S3Client", bucket: str) -> tuple[int, int]:
    """How many versions and how many markers there are."""
    entries = list(S3VersionLister(s3, bucket, "").versions())
    versions = sum(isinstance(entry, ObjectVersion) for entry in entries)
    return versions, len(entries) - versions


def _packs(what: str, count: int) -> list[str]:
    """Keys as restic names them, the same each time."""
    names = [hashlib.sha256(f"{what} {number}".encode()).hexdigest() for number in range(count)]
    return [f"data/{name[:2]}/{name}" for name in names]


def _each(call: Callable[[str], object], keys: Sequence[str]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(call, keys):
            pass
