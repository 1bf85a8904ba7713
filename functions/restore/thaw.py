"""Between the plan and the first copy of a restore into a bucket: ask S3 to bring back what lies in an archive class.

A child of the Distributed Map, for one batch. Permissions of `rwm-thaw-batch`, and why:
- s3:RestoreObject in the repositories: for exactly the versions that the batch pins. It brings bytes back for a week,
  at S3's price; it neither changes nor removes anything.
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan and the batch, pinned.

All batches are asked for before any is copied, so that S3 brings them back at the same time. What it refuses here is
not lost: the copy of that object meets it again, and tells.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from functions.domain.ports import Thaw, Thawer
from functions.domain.restore.target import ARCHIVE_CLASSES
from functions.domain.values import ObjectVersion
from functions.environment import RESTORE_THREADS, Environment
from functions.restore.copy import CopyRequest, read_announced
from functions.storage.aws import CLIENT
from functions.storage.records import S3RecordReader
from functions.storage.thawing import S3Thawer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFUSED = "refused"


def thaw_batch(versions: Sequence[ObjectVersion], thawer: Thawer, threads: int = RESTORE_THREADS) -> Mapping[str, int]:
    """Ask for each of `versions` that lies in an archive class; how many are under way, back, or refused."""

    def thaw(version: ObjectVersion) -> str:
        try:
            return thawer.thaw(version)
        except Exception:  # noqa: BLE001 - its copy asks again, and tells why it cannot be had
            return REFUSED

    archived = [version for version in versions if version.storage_class in ARCHIVE_CLASSES]
    with ThreadPoolExecutor(threads) as pool:
        counted = Counter(pool.map(thaw, archived))
    return {outcome: counted[outcome] for outcome in (*Thaw, REFUSED)}


logger = Logger()
metrics = Metrics(namespace="RWM", service="thaw-batch")


@cache
def _client() -> "S3Client":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT.merge(Config(max_pool_connections=Environment.read().restore_threads)))


def _thaw(request: CopyRequest) -> Mapping[str, int]:
    """Wire the batch that `request` names, and ask for it."""
    s3, environment = _client(), Environment.read()
    plan, versions = read_announced(request, S3RecordReader(s3, environment.records))
    if plan.thaw is None:
        return {}
    source = plan.source
    return thaw_batch(versions, S3Thawer(s3, source.bucket, source.key_prefix, plan.thaw), environment.restore_threads)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"plan", "plan_version", "execution", "batch": one of manifest.json}` -> counts by how far each object is."""
    request = CopyRequest.model_validate(event)
    counts = dict(_thaw(request))
    metrics.add_metric(name="ThawedObjects", unit=MetricUnit.Count, value=sum(counts.values()))
    logger.info("batch asked for", extra={"plan": request.plan, "number": request.batch.number, **counts})
    return counts
