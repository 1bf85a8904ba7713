"""Last step of a prune: is every kept state whole, what is gone, and what waits.

gather: the plan and what became of its batches, the chain of states, a fresh listing  ->  decide: the report  ->
apply: write it to the records bucket, tell people of any harm, and append its summary to operations.

Permissions of `rwm-verify-prune`, and why:
- s3:GetObject, s3:GetObjectVersion on `prunes/*` of the records bucket: the plan by version id, its batches, and what
  became of each; s3:ListBucket there, so that a result that was never written reads as missing, not as denied.
- dynamodb:GetItem, dynamodb:Query on the ledger: what every state that is kept now names.
- s3:ListBucketVersions in the repositories: what is there now; s3:GetBucketVersioning: S3's clock.
- s3:PutObject on `prunes/*/report.json`, dynamodb:PutItem on operations: the report, and its summary.
- sns:Publish on the topic of alerts: a kept state that is not whole.

Security rules:
- It can delete nothing, and believes nobody who can: what is reclaimed, and what is whole, is told by its own listing.
- People are told before the summary says that it is over.
- It runs also after a map that failed, and after one that was stopped.

Killed at any point and run again, it says what is so then; the summary that was written first stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.documents import UnreadableDocument
from functions.domain.notices import notice_of
from functions.domain.ports import (
    BucketConfiguration,
    LedgerReader,
    Notifier,
    PruneReportLog,
    RecordReader,
    RecordWriter,
    VersionLister,
)
from functions.domain.prune.approved import PlanRequest, read_named
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.kept_states import read_kept
from functions.domain.prune.named import StoredNames
from functions.domain.prune.plan import (
    Phase,
    PruneBatch,
    PrunePlan,
    read_batch,
    result_file,
)
from functions.domain.prune.report import PruneReport, harm, look_after, report_file, report_on
from functions.domain.prune.results import BatchResult, BatchStopped, stopped_file
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import VersionGone
from functions.domain.verdict import CheckLevel, seen
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.listing import S3VersionLister
from functions.storage.notices import SnsNotifier
from functions.storage.prunes import DynamoPruneReports
from functions.storage.records import S3RecordReader, S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

THREADS = 16


@dataclass(frozen=True, slots=True)
class VerifyPorts:
    """All that verifying a prune may touch."""

    configuration: BucketConfiguration
    lister: VersionLister
    ledger: LedgerReader
    stored: RecordReader
    records: RecordWriter
    notifier: Notifier
    reports: PruneReportLog


def verify_prune(request: PlanRequest, repository: Repository, ports: VerifyPorts) -> PruneReport:
    """Write the report to both places, and return all of it. Raises PlanMismatch, PinsUnproven, UnreadableDocument,
    NotInOrder, NotTold: then there is no summary."""
    name = repository.repository
    plan = read_named(request, repository, ports.stored)
    now = ports.configuration.now()
    headers, dropped = read_kept(ports.ledger, name)
    kept = [header for header in headers if header.id not in dropped]
    listed = look_after(
        ports.lister.versions(),
        kept,
        StoredNames(ports.ledger),
        {phase: _planned(plan, phase, ports.stored) for phase in Phase},
    )
    results = _results(plan, ports.stored)
    report = report_on(plan, results, listed, kept, now, _stopped(plan, results, ports.stored))
    ports.records.put(report_file(name, plan.execution), report.canonical())
    if (finding := harm(report)) is not None:
        ports.notifier.notify(notice_of(name, CheckLevel.CONSISTENT, [seen(finding)]))
    ports.reports.append(name, plan.execution, report.shortened().canonical())
    return report


def _planned(plan: PrunePlan, phase: Phase, stored: RecordReader) -> Iterator[PlannedEntry]:
    for batch in plan.of_phase(phase):
        yield from read_batch(stored, plan, batch.number)


def _results(plan: PrunePlan, stored: RecordReader) -> list[BatchResult]:
    """The results that hold, in the order of the batches."""

    def read(batch: PruneBatch) -> BatchResult | None:
        try:
            result = BatchResult.parse(stored.get(result_file(plan.repository, plan.execution, batch.number)))
        except (VersionGone, UnreadableDocument):
            return None
        return result if result.is_of(plan, batch) else None

    with ThreadPoolExecutor(THREADS) as threads:
        return [result for result in threads.map(read, plan.batches) if result is not None]


def _stopped(plan: PrunePlan, results: Sequence[BatchResult], stored: RecordReader) -> list[str]:
    """What batches of this plan that have no result said of themselves."""
    finished = {result.number for result in results}

    def read(batch: PruneBatch) -> str | None:
        try:
            told = BatchStopped.parse(stored.get(stopped_file(plan.repository, plan.execution, batch.number)))
        except (VersionGone, UnreadableDocument):
            return None
        return told.why if (told.plan, told.number) == (plan.digest, batch.number) else None

    with ThreadPoolExecutor(THREADS) as threads:
        unfinished = [batch for batch in plan.batches if batch.number not in finished]
        return [why for why in threads.map(read, unfinished) if why is not None]


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="verify-prune")
metrics = Metrics(namespace="RWM", service="verify-prune")


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was verified."""


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, SNSClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return (
        boto3.client("s3", config=CLIENT),
        boto3.client("dynamodb", config=CLIENT),
        boto3.client("sns", config=CLIENT),
        read_bundled(),
    )


def _verify(request: PlanRequest) -> PruneReport:
    """Wire the prune that `request` names to its repository, and verify it."""
    s3, dynamodb, sns, configuration = _clients()
    environment = Environment.read()
    repository = configuration.deployed(request.repository, UnknownRepository, "nothing was verified")
    return verify_prune(
        request,
        repository,
        VerifyPorts(
            configuration=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            stored=S3RecordReader(s3, environment.records),
            records=S3RecordWriter(s3, environment.records),
            notifier=SnsNotifier(sns, environment.alerts),
            reports=DynamoPruneReports(dynamodb, environment.operations),
        ),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "execution", "plan", "plan_version"}` -> outcome and counts, and where the report is."""
    report = _verify(PlanRequest.read(event))
    _measure(report)
    answer = {
        "outcome": report.outcome,
        "versions": report.reclaimed.objects,
        "markers": report.reclaimed_markers,
        "bytes": report.reclaimed.bytes,
        "kept_states": report.kept_states,
        "kept_states_whole": report.kept_states_whole,
        "waiting": report.held_back,
        "failed": report.failed,
        "batches": report.batches,
        "unfinished": report.unfinished,
        "stopped": list(report.stopped),
        "plan": report.plan,
        "report": {
            "bucket": Environment.read().records,
            "key": report_file(report.repository, report.execution),
        },
    }
    logger.info("prune verified", extra={"execution": report.execution, **answer})
    return answer


def _measure(report: PruneReport) -> None:
    metrics.add_dimension(name="repository", value=report.repository)
    metrics.add_metric(name="PrunedVersions", unit=MetricUnit.Count, value=report.reclaimed.objects)
    metrics.add_metric(name="PrunedMarkers", unit=MetricUnit.Count, value=report.reclaimed_markers)
    metrics.add_metric(name="ReclaimedBytes", unit=MetricUnit.Bytes, value=report.reclaimed.bytes)
    metrics.add_metric(name="PruneWaiting", unit=MetricUnit.Count, value=report.held_back)
    metrics.add_metric(name="KeptStates", unit=MetricUnit.Count, value=report.kept_states)
    metrics.add_metric(name="HarmedStates", unit=MetricUnit.Count, value=report.harmed_states)
    if report.outcome == "incomplete":
        metrics.add_metric(name="PrunesIncomplete", unit=MetricUnit.Count, value=1)
