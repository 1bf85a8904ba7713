"""List some ranges of a large repository's keys, and write down what is there. A child of the Distributed Map.

gather: every version and delete marker of its ranges  ->  apply: one file in the records bucket.

Permissions of `rwm-list-range`, and why:
- s3:ListBucketVersions in the repositories, within their prefixes.
- s3:PutObject on `recordings/*/parts/*` of the records bucket; the bucket's policy lets nobody else write there.

It decides nothing. Run again it lists again; the workflow only goes on once every range is written down.
"""

from collections.abc import Mapping
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.documents import Part
from functions.domain.ports import RangeLister, RecordWriter
from functions.domain.repositories import Configuration, Repository
from functions.domain.staging import StagedRange, encode_part, part_file
from functions.domain.values import AttemptId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.listing import S3VersionLister
from functions.storage.records import S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = Logger(service="list-range")
metrics = Metrics(namespace="RWM", service="list-range")


class RangeRequest(Part):
    """Which ranges, of which recording."""

    repository: str
    attempt: Annotated[AttemptId, Field(pattern=r"^[0-9a-f]{32}$")]
    range: StagedRange


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was listed."""


def list_range(request: RangeRequest, repository: Repository, lister: RangeLister, records: RecordWriter) -> int:
    """Write the part, and return its size in bytes. Raises what the listing raises; nothing was written then."""
    with closing(lister.within(request.range.ranges)) as blocks:
        part = encode_part(blocks)
    records.put(part_file(repository.repository, request.attempt, request.range.number), part)
    return len(part)


@cache
def _clients() -> "tuple[S3Client, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), read_bundled()


def _list(request: RangeRequest) -> int:
    """Wire the ranges that `request` names to their repository, and list them."""
    s3, configuration = _clients()
    repository = configuration.deployed(request.repository, UnknownRepository, "nothing was listed")
    return list_range(
        request,
        repository,
        S3VersionLister(s3, repository.bucket, repository.key_prefix),
        S3RecordWriter(s3, Environment.read().records),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"repository", "attempt", "range": one of the manifest}` -> `{"number", "bytes"}`."""
    request = RangeRequest.model_validate(event)
    size = _list(request)
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="RangesListed", unit=MetricUnit.Count, value=1)
    counts = {"number": request.range.number, "bytes": size}
    logger.info("range listed", extra={"repository": request.repository, "attempt": request.attempt, **counts})
    return counts
