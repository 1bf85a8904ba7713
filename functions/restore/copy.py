"""Second step of a restore: copy one batch, and prove each object of it. A child of the Distributed Map.

Permissions of `rwm-copy-batch`, and why:
- s3:GetObjectVersion in the repositories: the copy's source is a pinned version.
- s3:PutObject on the restore targets: to write the copy.
- s3:ListBucket, s3:GetObject on the restore targets: to skip what is there, and to read back what S3 did
  not hash.
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan and the batch, pinned.
- s3:PutObject on `restores/*/results/*`: to say what became of the batch.

Killed at any point and run again, it copies only what is not there yet, and ends the same.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.domain.batches import ManifestItem, sha256_of
from functions.domain.documents import Part
from functions.domain.ports import (
    PinnedReader,
    RecordReader,
    RecordWriter,
    TargetGone,
    TargetLister,
    TargetReader,
    VersionCopier,
)
from functions.domain.restore.plan import PlanMismatch, RestorePlan, read_batch, read_plan, result_file
from functions.domain.restore.proof import BatchResult, Comparison, Kind, Trouble, compare, trouble
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3PinnedReader
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.target import S3TargetLister, S3TargetReader, S3VersionCopier

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 16
"""A copy is all waiting: 16 at a time in each of many children is as much as a prefix of S3 likes."""


class CopyRequest(Part):
    """What a child of the Distributed Map is given."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]
    """Name of the whole restore's execution, not of the child's."""
    batch: ManifestItem


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one object."""

    copied: bool
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class ObjectCopier:
    """Brings one object of a state into the target, and proves it."""

    pinned: PinnedReader
    reader: TargetReader
    copier: VersionCopier

    def settle(self, version: ObjectVersion, size_there: int | None) -> Settled:
        """`size_there` is the size of what the target holds under this key, None where it holds nothing.

        Whatever goes wrong with one object is told in its result: it must not cost the proof of the others.
        """
        try:
            if size_there == version.size:
                there = self._compare(version, self._read_back(version.key))
                if there is not Comparison.DIFFERENT:
                    return Settled(copied=False, trouble=_damage(version, there))
        except TargetGone:
            pass
        except VersionGone as gone:
            return Settled(copied=False, trouble=trouble(version.key, Kind.MISSING, gone))
        except Exception as error:  # noqa: BLE001 - see the docstring
            return Settled(copied=False, trouble=trouble(version.key, Kind.FAILED, error))
        return self._copy(version)

    def _copy(self, version: ObjectVersion) -> Settled:
        try:
            computed = self.copier.copy(version)
        except VersionGone as gone:
            return Settled(copied=False, trouble=trouble(version.key, Kind.MISSING, gone))
        except Exception as error:  # noqa: BLE001 - as in settle
            return Settled(copied=False, trouble=trouble(version.key, Kind.FAILED, error))
        try:
            found = computed or self._read_back(version.key)
            comparison = self._compare(version, found)
        except Exception as error:  # noqa: BLE001 - as in settle
            return Settled(copied=True, trouble=trouble(version.key, Kind.UNPROVEN, error))
        if comparison is Comparison.DIFFERENT:
            why = f"the copy's SHA-256 is {found}, which is not that of the pinned version"
            return Settled(copied=True, trouble=trouble(version.key, Kind.FAILED, why))
        return Settled(copied=True, trouble=_damage(version, comparison))

    def _read_back(self, key: ObjectKey) -> Digest:
        return self.reader.stored_sha256(key) or sha256_of(self.reader.read(key))

    def _compare(self, version: ObjectVersion, found: Digest) -> Comparison:
        return compare(version.key, found, lambda: sha256_of(self.pinned.read(version.key, version.version_id)))


def _damage(version: ObjectVersion, comparison: Comparison) -> Trouble | None:
    if comparison is not Comparison.DAMAGED:
        return None
    why = "damaged in the state: its bytes do not have the SHA-256 of its name; the copy is exact"
    return trouble(version.key, Kind.DAMAGED, why)


def read_announced(request: CopyRequest, stored: RecordReader) -> tuple[RestorePlan, tuple[ObjectVersion, ...]]:
    """The plan and the batch that `request` pins, proven by their digests. Raises PlanMismatch, VersionGone."""
    plan = read_plan(stored, request.plan, request.plan_version)
    versions = read_batch(stored, plan, request.batch.number, request.batch.version_id)
    if request.batch.digest != plan.batches[request.batch.number].digest:
        raise PlanMismatch(f"the manifest's batch {request.batch.number} is not the plan's; nothing was copied from it")
    return plan, versions


def copy_batch(
    plan: RestorePlan,
    number: int,
    versions: Sequence[ObjectVersion],
    execution: str,
    *,
    lister: TargetLister,
    copier: ObjectCopier,
    records: RecordWriter,
    threads: int = THREADS,
) -> BatchResult:
    """Bring the entries of batch `number` into the target, prove each, and write down what became of them."""
    bounds = (versions[0].key, versions[-1].key) if versions else None
    there = dict(lister.objects(*bounds)) if bounds else {}
    with ThreadPoolExecutor(threads) as pool:
        settled = list(pool.map(lambda version: copier.settle(version, there.get(version.key)), versions))
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
def _client() -> "S3Client":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT)


def _copy(request: CopyRequest) -> tuple[RestorePlan, BatchResult]:
    """Wire the batch that `request` names to its source and target, and copy it."""
    s3 = _client()
    environment = Environment.read()
    plan, versions = read_announced(request, S3RecordReader(s3, environment.records))
    source, target = plan.source, plan.target
    result = copy_batch(
        plan,
        request.batch.number,
        versions,
        request.execution,
        lister=S3TargetLister(s3, target.bucket, target.key_prefix),
        copier=ObjectCopier(
            pinned=S3PinnedReader(s3, source.bucket, source.key_prefix),
            reader=S3TargetReader(s3, target.bucket, target.key_prefix),
            copier=S3VersionCopier(
                s3,
                source_bucket=source.bucket,
                source_key_prefix=source.key_prefix,
                target_bucket=target.bucket,
                target_key_prefix=target.key_prefix,
            ),
        ),
        records=S3RecordWriter(s3, environment.records),
    )
    return plan, result


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"plan", "plan_version", "execution", "batch": one of manifest.json}` -> counts of the batch."""
    request = CopyRequest.model_validate(event)
    plan, result = _copy(request)
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
