"""Second step of a restore into a bucket: decide whether it may begin, and write down what to copy.

Permissions of `rwm-plan-restore`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: to read the state.
- s3:ListBucket, s3:GetObject on the restore targets: to see that the target holds nothing else.
- s3:GetObjectVersion in the repositories: only for what a target already holds and whose name does not
  prove it (`config`): it must be the pinned version's bytes.
- s3:PutObject on `restores/*` of the records bucket: to write the plan.

Security rules:
- The restore was announced before: no prune drops its state or deletes anything of its repository meanwhile.
- Everything is checked before anything is written. The files are named by the plan's digest, so running again
  writes the same ones.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem, encode_batch, encode_manifest, sha256_of
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ledger import NoSuchState, StateDamaged, choose_state, read_state
from functions.domain.ports import (
    LedgerReader,
    PinnedReader,
    RecordWriter,
    TargetDenied,
    TargetLister,
    TargetMissing,
    TargetReader,
)
from functions.domain.repositories import Configuration
from functions.domain.restic import promised_sha256
from functions.domain.restore.plan import RestorePlan, batch_file, cut_batches, draw_plan, manifest_file, plan_file
from functions.domain.restore.proof import Comparison, compare
from functions.domain.restore.request import Location, RestoreRefused, StepRequest, check_target, protected_repository
from functions.domain.restore.target import already_there, check_copyable, refuse_strangers
from functions.domain.values import Digest, ObjectVersion, RepositoryName, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3PinnedReader
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.records import S3RecordWriter
from functions.storage.target import S3TargetLister, S3TargetReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 16


class WrittenPlan(Part):
    """Where the plan was written: what the copies and the verification are given."""

    plan: Digest
    plan_version: VersionId
    manifest_version: VersionId
    objects: int
    bytes: int
    batches: int


def plan_restore(
    repository: RepositoryName,
    state: str,
    *,
    source: Location,
    target: Location,
    ledger: LedgerReader,
    lister: TargetLister,
    reader: TargetReader,
    pinned: PinnedReader,
    records: RecordWriter,
) -> WrittenPlan:
    """Check that `state` can be restored to `target`, and write its plan.

    Raises RestoreRefused: nothing was written.
    """
    try:
        header = choose_state(ledger.headers(repository), state, repository)
        versions = read_state(ledger, header)
    except (NoSuchState, StateDamaged, UnreadableDocument) as error:
        raise RestoreRefused(f"{error}; nothing was written") from error
    check_copyable(versions, target)
    try:
        there = already_there(versions, lister.objects(), target)
        refuse_strangers(_strangers(there, reader, pinned), target)
    except (TargetMissing, TargetDenied) as error:
        raise RestoreRefused(
            f"{error}; nothing was written; create the bucket, or name one that restore_targets covers"
        ) from error
    return _write(draw_plan(header, versions, source, target), versions, records)


def _strangers(there: Sequence[ObjectVersion], reader: TargetReader, pinned: PinnedReader) -> list[str]:
    """Which objects that look like the state's by key and size are not, by their bytes."""

    def is_strange(version: ObjectVersion) -> bool:
        found = reader.stored_sha256(version.key) or sha256_of(reader.read(version.key))
        try:
            comparison = compare(version.key, found, lambda: sha256_of(pinned.read(version.key, version.version_id)))
        except VersionGone:
            # Nothing is left to compare with. Other bytes than the name promises are not shown to be the state's;
            # a name that promises none shows nothing, and the copy will report its version as missing.
            return promised_sha256(version.key) is not None
        return comparison is Comparison.DIFFERENT

    with ThreadPoolExecutor(THREADS) as threads:
        strange = threads.map(is_strange, there)
        return [f"{each.key!r} (other bytes)" for each, is_so in zip(there, strange, strict=True) if is_so]


def _write(plan: RestorePlan, versions: Sequence[ObjectVersion], records: RecordWriter) -> WrittenPlan:
    """Batches first, then what names them: a manifest never speaks of a file that is not there."""
    digest = plan.digest

    def put(numbered: tuple[int, Sequence[ObjectVersion]]) -> ManifestItem:
        number, batch = numbered
        name = batch_file(digest, number)
        version_id = records.put(name, encode_batch(batch))
        return ManifestItem(batch=name, version_id=version_id, digest=plan.batches[number].digest, number=number)

    with ThreadPoolExecutor(THREADS) as threads:
        items = list(threads.map(put, enumerate(cut_batches(versions))))
    plan_version = records.put(plan_file(digest), plan.canonical())
    manifest_version = records.put(manifest_file(digest), encode_manifest(items))
    return WrittenPlan(
        plan=digest,
        plan_version=plan_version,
        manifest_version=manifest_version,
        objects=plan.objects,
        bytes=plan.bytes,
        batches=len(plan.batches),
    )


logger = Logger()
metrics = Metrics(namespace="RWM", service="plan-restore")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT), read_bundled()


def _plan(request: StepRequest) -> WrittenPlan:
    """Wire what `request` names, and plan it. Raises RestoreRefused."""
    s3, dynamodb, configuration = _clients()
    environment = Environment.read()
    repository = protected_repository(configuration, request.repository)
    if (target := request.target) is None:
        raise RestoreRefused("a restore to a bucket needs a target; nothing was written")
    check_target(target, configuration, environment.records)
    return plan_restore(
        repository.repository,
        request.state,
        source=Location(bucket=repository.bucket, prefix=repository.prefix),
        target=target,
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        lister=S3TargetLister(s3, target.bucket, target.key_prefix),
        reader=S3TargetReader(s3, target.bucket, target.key_prefix),
        pinned=S3PinnedReader(s3, repository.bucket, repository.key_prefix),
        records=S3RecordWriter(s3, environment.records),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "state", "target": {"bucket", "prefix"}, "execution"}` -> `{"plan", "plan_version", "manifest":
    {"bucket", "key", "version_id"}, "objects", "bytes", "batches"}`. Raises RestoreRefused."""
    try:
        request = StepRequest.read(event)
        written = _plan(request)
    except RestoreRefused as refusal:
        metrics.add_metric(name="RestoresRefused", unit=MetricUnit.Count, value=1)
        logger.warning("restore refused", extra={"why": str(refusal)})
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="RestoresPlanned", unit=MetricUnit.Count, value=1)
    logger.info("restore planned", extra=written.model_dump(mode="json"))
    return {
        "plan": written.plan,
        "plan_version": written.plan_version,
        "manifest": {
            "bucket": Environment.read().records,
            "key": manifest_file(written.plan),
            "version_id": written.manifest_version,
        },
        "objects": written.objects,
        "bytes": written.bytes,
        "batches": written.batches,
    }
