"""Fourth step of a restore: compare the target with the state, and report.

Permissions of `rwm-verify-restore`, and why:
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan, its batches, and what
  became of each; s3:ListBucket there, so that a batch without a result is told from one that is denied.
- s3:ListBucket on the restore targets: the content root is that of a listing.
- s3:PutObject on `restores/*`, dynamodb:PutItem on operations: the report.

A batch without a result that holds counts as failed, object by object: nothing is called restored that was
not compared.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.domain.batches import PlannedBatch
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ports import RecordReader, RecordWriter, ReportLog, TargetLister
from functions.domain.restore.plan import RestorePlan, read_batch, read_plan, report_file, result_file
from functions.domain.restore.proof import BatchResult, Kind, trouble
from functions.domain.restore.report import RestoreReport, conclude, differences, found_in
from functions.domain.restore.request import ExecutionName
from functions.domain.values import Digest, ObjectVersion, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.operations import DynamoReportLog
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.target import S3TargetLister, target_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 16
AHEAD = 2 * THREADS
"""Batches that are read before they are needed."""
Read = TypeVar("Read")


class VerifyRequest(Part):
    """Which restore to verify."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: ExecutionName
    repository: str
    """An annotation of the workflow's; the plan decides."""


def verify_restore(
    plan: RestorePlan,
    execution: str,
    now: datetime,
    *,
    lister: TargetLister,
    stored: RecordReader,
    records: RecordWriter,
    reports: ReportLog,
) -> RestoreReport:
    """Compare what the target holds with the state, write the report to both places, and return all of it."""
    found = found_in(lister.objects())
    same = found.content_root == plan.content_root
    troubles = iter(()) if same else differences(lister.objects(), _entries(stored, plan))
    report = conclude(plan, execution, _results(stored, plan, execution), troubles, found, now)
    records.put(report_file(plan.digest, execution), report.canonical())
    reports.append(plan.repository, execution, report.shortened().canonical())
    return report


def _results(stored: RecordReader, plan: RestorePlan, execution: str) -> Iterator[BatchResult]:
    """What became of each batch; of those that have no result which holds, that each of its objects failed."""

    def read(batch: PlannedBatch) -> BatchResult:
        try:
            result = BatchResult.parse(stored.get(result_file(plan.digest, execution, batch.number)))
        except (VersionGone, UnreadableDocument) as error:
            why = f"its batch {batch.number} has no result: {error}"
        else:
            if result.is_of(plan, execution, batch):
                return result
            why = f"the result of its batch {batch.number} speaks of something else"
        entries = read_batch(stored, plan, batch.number)
        return BatchResult(
            plan=plan.digest,
            execution=execution,
            number=batch.number,
            batch=batch.digest,
            proven=0,
            copied=0,
            copied_bytes=0,
            skipped=0,
            troubles=tuple(trouble(each.key, Kind.FAILED, why) for each in entries),
        )

    return _in_order(read, plan.batches)


def _entries(stored: RecordReader, plan: RestorePlan) -> Iterator[ObjectVersion]:
    for batch in _in_order(lambda planned: read_batch(stored, plan, planned.number), plan.batches):
        yield from batch


def _in_order(read: Callable[[PlannedBatch], Read], batches: Sequence[PlannedBatch]) -> Iterator[Read]:
    """What `read` makes of each batch, in their order; some are read ahead, and no more are held."""
    with ThreadPoolExecutor(THREADS) as threads:
        ahead: deque[Future[Read]] = deque()
        for batch in batches:
            ahead.append(threads.submit(read, batch))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


logger = Logger()
metrics = Metrics(namespace="RWM", service="verify-restore")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT)


@cache
def _client_of(region: str) -> "S3Client":
    return boto3.client("s3", region_name=region, config=CLIENT)


def _verify(request: VerifyRequest) -> RestoreReport:
    """Wire the restore that `request` names to its target, and verify it."""
    s3, dynamodb = _clients()
    environment = Environment.read()
    stored = S3RecordReader(s3, environment.records)
    plan = read_plan(stored, request.plan, request.plan_version)
    return verify_restore(
        plan,
        request.execution,
        datetime.now(UTC),
        lister=S3TargetLister(
            target_client(s3, plan.target.bucket, _client_of), plan.target.bucket, plan.target.key_prefix
        ),
        stored=stored,
        records=S3RecordWriter(s3, environment.records),
        reports=DynamoReportLog(dynamodb, environment.operations),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"plan", "plan_version", "execution", "repository"}` -> the report's outcome and counts, whether it is
    complete (which the workflow ends by), and where the report is."""
    report = _verify(VerifyRequest.model_validate(event))
    _measure(report)
    answer = {
        "outcome": report.outcome,
        "complete": report.outcome != "incomplete",
        **{name: getattr(report, name) for name in _COUNTS},
        "plan": report.plan,
        "report": {"bucket": Environment.read().records, "key": report_file(report.plan, report.execution)},
        "target": report.target.model_dump(mode="json"),
    }
    logger.info("restore verified", extra={"execution": report.execution, **answer})
    return answer


_COUNTS = (
    "objects",
    "bytes",
    "proven",
    "copied",
    "copied_bytes",
    "skipped",
    "unproven",
    "missing",
    "damaged",
    "failed",
    "unexpected",
)


def _measure(report: RestoreReport) -> None:
    metrics.add_dimension(name="repository", value=report.repository)
    metrics.add_metric(name="ProvenObjects", unit=MetricUnit.Count, value=report.proven)
    metrics.add_metric(name="UnprovenObjects", unit=MetricUnit.Count, value=report.objects - report.proven)
    if report.outcome != "incomplete":
        metrics.add_metric(name="RestoredObjects", unit=MetricUnit.Count, value=report.objects)
        metrics.add_metric(name="RestoredBytes", unit=MetricUnit.Bytes, value=report.bytes)
    else:
        metrics.add_metric(name="RestoresIncomplete", unit=MetricUnit.Count, value=1)
