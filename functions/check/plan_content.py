"""First step of the check of content: which versions of a state to read, in batches.

gather: the state's proven entries, what is remembered as verified  ->  decide: what to read  ->  apply: write the
batches, the plan that pins them, and the manifest that the Distributed Map reads.

Permissions of `rwm-plan-content`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: to read the state, and those that remembered sets are of.
- dynamodb:Query on operations: the remembered sets, and what was ever damaged.
- s3:GetObject, s3:GetObjectVersion on `checks/*` of the records bucket: the batches that a set excepts; s3:ListBucket
  there, so that one that is gone is told from one that is denied.
- s3:PutObject on `plan.json`, `manifest.json` and `batches/*` beneath `checks/*`: the plan; never a result.

Run again, it plans again: each plan is pinned by version ids and is whole.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ConfigDict, Field

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem, encode_batch, encode_manifest
from functions.domain.checking import CheckRefused, CheckRequest, state_to_judge
from functions.domain.content.files import batch_file, manifest_file, plan_file
from functions.domain.content.known import Memory
from functions.domain.content.plan import ContentBatch, ContentPlan, batch_digest, choose, cut_batches, draw_plan
from functions.domain.documents import Part
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.ports import LedgerReader, RecordWriter
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectVersion, RepositoryName, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.content import DynamoVerifiedSets
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.records import S3RecordReader, S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 16


class PlanRequest(CheckRequest):
    """Which state to read."""

    model_config = ConfigDict(populate_by_name=True)

    repository: str = Field(min_length=1, max_length=64)
    state: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    """Its id; empty: the newest."""
    everything: bool = Field(alias="all")
    """Read what was verified before, too."""
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]


class WrittenPlan(Part):
    """Where the plan was written: what the children and the conclusion are given."""

    plan: Digest
    plan_version: VersionId
    manifest_version: VersionId
    batches: int
    objects: int
    """To be read, and their bytes."""
    bytes: int


def plan_content(
    repository: Repository,
    state: str,
    execution: str,
    *,
    everything: bool,
    ledger: LedgerReader,
    memory: Memory,
    records: RecordWriter,
) -> WrittenPlan:
    """Plan what to read of `state`, and write the plan. Raises CheckRefused, nothing written."""
    header, versions = _proven_state(ledger, repository.repository, state)
    verified = memory.verified_among(versions, header)
    choice = choose(versions, verified, execution=execution, percent=repository.scrub_percent, everything=everything)
    batches = _write_batches(header, execution, choice.to_read, records)
    return _write(draw_plan(header, choice, execution, batches), records)


def _proven_state(
    ledger: LedgerReader, repository: RepositoryName, wanted: str
) -> tuple[StateHeader, Sequence[ObjectVersion]]:
    header = state_to_judge(ledger, repository, wanted)
    try:
        return header, read_state(ledger, header)
    except StateDamaged as error:
        raise CheckRefused(f"{error}; nothing was read") from error


def _write_batches(
    header: StateHeader, execution: str, to_read: Sequence[ObjectVersion], records: RecordWriter
) -> list[ContentBatch]:
    def put(numbered: tuple[int, Sequence[ObjectVersion]]) -> ContentBatch:
        number, batch = numbered
        content = encode_batch(batch)
        return ContentBatch(
            number=number,
            digest=batch_digest(content),
            objects=len(batch),
            bytes=sum(version.size for version in batch),
            version_id=records.put(batch_file(header.repository, execution, number), content),
        )

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(put, enumerate(cut_batches(to_read))))


def _write(plan: ContentPlan, records: RecordWriter) -> WrittenPlan:
    """The plan, then the manifest: neither speaks of a file that is not there."""
    plan_version = records.put(plan_file(plan.repository, plan.execution), plan.canonical())
    manifest = encode_manifest(
        ManifestItem(
            batch=batch_file(plan.repository, plan.execution, batch.number),
            version_id=batch.version_id,
            digest=batch.digest,
            number=batch.number,
        )
        for batch in plan.batches
    )
    return WrittenPlan(
        plan=plan.digest,
        plan_version=plan_version,
        manifest_version=records.put(manifest_file(plan.repository, plan.execution), manifest),
        batches=len(plan.batches),
        objects=plan.to_read.objects,
        bytes=plan.to_read.bytes,
    )


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="plan-content")
metrics = Metrics(namespace="RWM", service="plan-content")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT), read_bundled()


def _plan(request: PlanRequest) -> WrittenPlan:
    """Wire what `request` names, and plan it. Raises CheckRefused."""
    s3, dynamodb, configuration = _clients()
    environment = Environment.read()
    repository = configuration.deployed(request.repository, CheckRefused, "nothing was judged")
    ledger = DynamoLedgerReader(dynamodb, environment.ledger)
    return plan_content(
        repository,
        request.state,
        request.execution,
        everything=request.everything,
        ledger=ledger,
        memory=Memory(
            DynamoVerifiedSets(dynamodb, environment.operations), ledger, S3RecordReader(s3, environment.records)
        ),
        records=S3RecordWriter(s3, environment.records),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "state", "all", "execution"}` -> `{"batches", "objects", "bytes", "plan", "plan_version",
    "manifest": {"bucket", "key", "version_id"}}`, objects and bytes of what is to be read. Raises CheckRefused."""
    try:
        request = PlanRequest.read(event)
        written = _plan(request)
    except CheckRefused as refusal:
        metrics.add_metric(name="ChecksRefused", unit=MetricUnit.Count, value=1)
        logger.warning("check refused", extra={"why": str(refusal)})
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="BytesToRead", unit=MetricUnit.Bytes, value=written.bytes)
    logger.info("content planned", extra=written.model_dump(mode="json"))
    return {
        "batches": written.batches,
        "objects": written.objects,
        "bytes": written.bytes,
        "plan": written.plan,
        "plan_version": written.plan_version,
        "manifest": {
            "bucket": Environment.read().records,
            "key": manifest_file(RepositoryName(request.repository), request.execution),
            "version_id": written.manifest_version,
        },
    }
