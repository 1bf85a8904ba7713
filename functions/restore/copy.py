"""Third step of a restore into a bucket: copy one batch, and prove each object of it. A child of the Distributed Map.

Permissions of `rwm-copy-batch`, and why:
- s3:GetObjectVersion in the repositories: the copy's source is a pinned version.
- s3:RestoreObject there: what went into an archive class after its state was recorded is thawed when it is met.
- s3:PutObject on the restore targets: to write the copy; s3:AbortMultipartUpload: to take back its own upload.
- s3:PutObjectRetention, s3:GetObjectRetention, s3:GetBucketObjectLockConfiguration there: `--lock`, governance alone.
- s3:ListBucket, s3:GetObject on the restore targets: to skip what is there, and to read back what S3 did
  not hash.
- kms:GenerateDataKey, kms:Decrypt on `restore_kms_keys`: targets that encrypt with these.
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan and the batch, pinned.
- s3:PutObject on `restores/*/results/*`: to say what became of the batch.

Security rules:
- Killed at any point and run again, it copies only what is not there yet, and ends the same.
- No lock is ever shortened or softened: none of its requests asks to bypass anything.
- Before the first copy the same function, given no batch, tries whether it may: it is its own role that counts.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from pydantic import Field

from functions.domain.batches import ManifestItem
from functions.domain.documents import Part
from functions.domain.locks.rules import lock_until
from functions.domain.ports import (
    Archived,
    CopyRehearsal,
    RecordReader,
    RecordWriter,
    TargetDenied,
    TargetFacts,
    TargetLister,
    TargetMissing,
)
from functions.domain.restore.plan import PlanMismatch, RestorePlan, read_batch, read_plan, result_file
from functions.domain.restore.proof import BatchResult, Kind
from functions.domain.restore.request import RestoreRefused
from functions.domain.restore.target import ARCHIVE_CLASSES
from functions.domain.values import Digest, ObjectVersion, VersionGone, VersionId
from functions.environment import Environment
from functions.restore.settling import Locking, ObjectCopier, Rounds, StillFrozen
from functions.storage.aws import CLIENT, is_passing
from functions.storage.direct import Direct
from functions.storage.locks import S3Retentions
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.target import (
    Copying,
    S3TargetFacts,
    S3TargetLister,
    S3TargetReader,
    S3VersionCopier,
    target_client,
)
from functions.storage.thawing import S3ThawedReader, S3Thawer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class TryRequest(Part):
    """What the function is given before the first copy."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]
    """Name of the whole restore's execution, not of the child's."""


class CopyRequest(TryRequest):
    """What a child of the Distributed Map is given."""

    batch: ManifestItem


def read_announced(request: CopyRequest, stored: RecordReader) -> tuple[RestorePlan, tuple[ObjectVersion, ...]]:
    """The plan and the batch that `request` pins, proven by their digests. Raises PlanMismatch, VersionGone."""
    plan = read_plan(stored, request.plan, request.plan_version)
    versions = read_batch(stored, plan, request.batch.number, request.batch.version_id)
    if request.batch.digest != plan.batches[request.batch.number].digest:
        raise PlanMismatch(f"the manifest's batch {request.batch.number} is not the plan's; nothing was copied from it")
    return plan, versions


def try_target(versions: Sequence[ObjectVersion], rehearsal: CopyRehearsal) -> None:
    """Try whether S3 would let one of `versions` be copied. Raises RestoreRefused: nothing was written.

    Only who is denied is refused. Whatever else is wrong with this one object, its copy tells.
    """
    readable = [each for each in versions if each.storage_class not in ARCHIVE_CLASSES]
    if not readable:
        return
    try:
        # The smallest: S3 copies no large one in a single call.
        rehearsal.rehearse(min(readable, key=lambda each: each.size))
    except (TargetDenied, TargetMissing) as error:
        raise _refusal(error) from error
    except (VersionGone, Archived):
        return


def _refusal(error: TargetDenied | TargetMissing) -> RestoreRefused:
    return RestoreRefused(
        f"{error}; nothing was written; restore_targets has to cover the bucket, restore_kms_keys its key, and where "
        "its owner is another account, its policy and its key's must allow what docs/restoring.md says"
    )


def locked_until(plan: RestorePlan, facts: TargetFacts, now: datetime) -> datetime | None:
    """Until when copies are locked that are made `now`. None: nobody asked for locks, or the target itself locks what
    comes in for as long, which a lock that comes with a copy would replace."""
    if plan.lock_days is None or facts.lock().default_days >= plan.lock_days:
        return None
    return lock_until(now, plan.lock_days)


def copy_batch(
    plan: RestorePlan,
    number: int,
    versions: Sequence[ObjectVersion],
    execution: str,
    *,
    lister: TargetLister,
    copier: ObjectCopier,
    records: RecordWriter,
    rounds: Rounds,
) -> BatchResult:
    """Bring the entries of batch `number` into the target, prove each, and write down what became of them.

    Raises StillFrozen: some are on their way back from an archive class; ask again.
    """
    bounds = (versions[0].key, versions[-1].key) if versions else None
    there = dict(lister.objects(*bounds)) if bounds else {}
    settled = rounds.settle(copier, versions, there)
    troubles = tuple(each.trouble for each in settled if each.trouble is not None)
    copied = [version for version, each in zip(versions, settled, strict=True) if each.copied]
    untouched = sum(not each.copied and (each.trouble is None or each.trouble.kind is Kind.DAMAGED) for each in settled)
    result = BatchResult(
        plan=plan.digest,
        execution=execution,
        number=number,
        batch=plan.batches[number].digest,
        proven=len(versions) - len(troubles),
        copied=len(copied),
        copied_bytes=sum(version.size for version in copied),
        skipped=untouched,
        troubles=troubles,
    )
    records.put(result_file(plan.digest, execution, number), result.canonical())
    return result


logger = Logger()
metrics = Metrics(namespace="RWM", service="copy-batch")


@cache
def _client(region: str | None = None) -> "S3Client":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    config = CLIENT.merge(Config(max_pool_connections=2 * Environment.read().restore_threads))
    return boto3.client("s3", region_name=region, config=config)


if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
    # While a function begins Lambda gives it whole processors, and later a part of one: making a client takes 60 ms.
    _client()


@cache
def _target_client(bucket: str) -> "S3Client":
    return target_client(_client(), bucket, _client)


@cache
def _direct(bucket: str) -> Direct:
    return Direct(_target_client(bucket), bucket)


def _copier(plan: RestorePlan, now: datetime) -> S3VersionCopier:
    """Wire a plan's source and target."""
    source, target = plan.source, plan.target
    s3 = _target_client(target.bucket)
    threads = Environment.read().restore_threads
    return S3VersionCopier(
        s3,
        source_bucket=source.bucket,
        source_key_prefix=source.key_prefix,
        target_bucket=target.bucket,
        target_key_prefix=target.key_prefix,
        copying=Copying(locked_until=locked_until(plan, S3TargetFacts(s3, target.bucket), now), parts_at_once=threads),
        direct=_direct(target.bucket),
    )


def _try(request: TryRequest) -> None:
    """Wire the target that is tried. Raises RestoreRefused."""
    stored = S3RecordReader(_client(), Environment.read().records)
    plan = read_plan(stored, request.plan, request.plan_version)
    versions = read_batch(stored, plan, 0)
    try:
        copier = _copier(plan, datetime.now(UTC))
    except (TargetDenied, TargetMissing) as error:
        raise _refusal(error) from error
    try_target(versions, copier)


def _copy(request: CopyRequest) -> tuple[RestorePlan, BatchResult]:
    """Wire the batch that `request` names to its source and target, and copy it."""
    now = datetime.now(UTC)
    environment = Environment.read()
    s3 = _client()
    plan, versions = read_announced(request, S3RecordReader(s3, environment.records))
    source, target = plan.source, plan.target
    there = _target_client(target.bucket)
    reader = S3TargetReader(there, target.bucket, target.key_prefix, _direct(target.bucket))
    retentions = S3Retentions(there, target.bucket, target.key_prefix)
    result = copy_batch(
        plan,
        request.batch.number,
        versions,
        request.execution,
        lister=S3TargetLister(there, target.bucket, target.key_prefix),
        copier=ObjectCopier(
            pinned=S3ThawedReader(s3, source.bucket, source.key_prefix),
            reader=reader,
            copier=_copier(plan, now),
            thawer=S3Thawer(s3, source.bucket, source.key_prefix, plan.thaw) if plan.thaw else None,
            locking=Locking(now, lock_until(now, plan.lock_days), reader, retentions, retentions)
            if plan.lock_days
            else None,
            passes=is_passing,
        ),
        records=S3RecordWriter(s3, environment.records),
        rounds=Rounds(environment.restore_threads),
    )
    return plan, result


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"plan", "plan_version", "execution", "batch": one of manifest.json}` -> its counts. Raises StillFrozen.

    Without a batch, nothing is copied, but tried whether it could be -> `{}`. Raises RestoreRefused.
    """
    if "batch" not in event:
        return _tried(TryRequest.model_validate(event))
    request = CopyRequest.model_validate(event)
    try:
        plan, result = _copy(request)
    except StillFrozen:
        metrics.add_metric(name="BatchesStillFrozen", unit=MetricUnit.Count, value=1)
        logger.info("batch waits for a thaw", extra={"plan": request.plan, "number": request.batch.number})
        raise
    metrics.add_dimension(name="repository", value=plan.repository)
    metrics.add_metric(name="CopiedObjects", unit=MetricUnit.Count, value=result.copied)
    metrics.add_metric(name="CopiedBytes", unit=MetricUnit.Bytes, value=result.copied_bytes)
    counts = {
        "number": result.number,
        "proven": result.proven,
        "copied": result.copied,
        "skipped": result.skipped,
        **{kind.value: result.count(kind) for kind in Kind if kind is not Kind.UNEXPECTED},
    }
    logger.info("batch copied", extra={"plan": plan.digest, "execution": request.execution, **counts})
    return counts


def _tried(request: TryRequest) -> dict[str, int]:
    try:
        _try(request)
    except RestoreRefused as refusal:
        metrics.add_metric(name="RestoresRefused", unit=MetricUnit.Count, value=1)
        logger.warning("restore refused", extra={"why": str(refusal)})
        raise
    metrics.add_metric(name="RestoreTargetsTried", unit=MetricUnit.Count, value=1)
    logger.info("target tried", extra={"plan": request.plan})
    return {}
