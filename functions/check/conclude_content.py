"""Last step of the check of content: what was read becomes a memory and a verdict.

gather: the plan, each batch's result, first sights, acknowledgements, the last verdict  ->  decide: the findings  ->
apply: keep first sights, remember what is damaged, remember the verified set, tell people what is news, append the
verdict.

Permissions of `rwm-conclude-content`, and why:
- dynamodb:GetItem on the ledger: the header of the state.
- s3:GetObject, s3:GetObjectVersion on `checks/*` of the records bucket: the plan by version id, and the results;
  s3:ListBucket there, so that a result that was never written reads as missing, not as denied.
- s3:GetBucketVersioning on the records bucket: S3's clock, by which the verdict is dated.
- dynamodb:GetItem, dynamodb:Query on operations: first sights, what was ever damaged, acknowledgements, the verdict
  before this one.
- dynamodb:PutItem on operations: first sights, sets, the verdict and its evidence.
- sns:Publish on the topic of alerts: news.

Security rules:
- What is damaged is remembered before any set that speaks for its neighbours: killed in between, no set ever speaks
  for a damaged version.
- Nothing is remembered of a batch without a result that holds.
- The verdict comes last: killed before, the same is concluded again, and people are told twice rather than never.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.domain.checking import VerdictPorts, pronounce, refuse_dropped
from functions.domain.content.files import NotThePlan, read_plan, result_file
from functions.domain.content.judge import MOST_SIGHTS, Read, figures, findings, sights_in_turn
from functions.domain.content.plan import ContentBatch, ContentPlan, name_of
from functions.domain.content.results import ContentResult
from functions.domain.content.sets import damaged_parts, verified_set
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ports import FirstSightLog, LedgerReader, RecordReader, VerifiedSetLog
from functions.domain.state import StateHeader
from functions.domain.values import Digest, RepositoryName, StateId, VersionGone, VersionId
from functions.domain.verdict import CheckLevel, Judged
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.content import DynamoFirstSights, DynamoVerifiedSets
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.notices import SnsNotifier
from functions.storage.records import S3RecordReader
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

THREADS = 16


class ConcludeRequest(Part):
    """Which check of content to conclude."""

    repository: Annotated[RepositoryName, Field(min_length=1, max_length=64)]
    state: Annotated[StateId, Field(pattern=r"^[0-9a-f]{64}$")]
    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]


@dataclass(frozen=True, slots=True)
class ConclusionPorts:
    """All that concluding a check of content may touch."""

    ledger: LedgerReader
    stored: RecordReader
    memory: VerifiedSetLog
    sights: FirstSightLog
    verdict: VerdictPorts


def conclude_content(request: ConcludeRequest, ports: ConclusionPorts, *, now: datetime) -> Judged:
    """Remember what was read, and give the verdict. Raises NotThePlan, CheckRefused, nothing remembered."""
    plan = read_plan(ports.stored, request.repository, request.execution, request.plan, request.plan_version)
    header = _header(ports.ledger, plan, request.state)
    read = _compare_sights(plan, _results(ports.stored, plan), ports.sights)
    _remember(plan, request.plan_version, read, ports.memory)
    return pronounce(
        header,
        CheckLevel.CONTENT,
        findings(plan, read),
        ports.verdict,
        judged_at=now,
        by=request.execution,
        figures=figures(plan, read),
    )


def _header(ledger: LedgerReader, plan: ContentPlan, state: StateId) -> StateHeader:
    header = ledger.header(plan.repository, plan.generation)
    if header is None or not header.id == plan.state == state:
        raise NotThePlan(f"the content plan is of state {plan.state}, and {state} was checked; nothing was concluded")
    # Dropped while it was read.
    refuse_dropped(header, ledger.drops(plan.repository))
    return header


def _results(stored: RecordReader, plan: ContentPlan) -> dict[int, ContentResult]:
    """The results that hold, by the number of their batch."""

    def read(batch: ContentBatch) -> ContentResult | None:
        try:
            result = ContentResult.parse(stored.get(result_file(plan.repository, plan.execution, batch.number)))
        except (VersionGone, UnreadableDocument):
            return None
        return result if result.is_of(plan, batch) else None

    with ThreadPoolExecutor(THREADS) as threads:
        return {result.number: result for result in threads.map(read, plan.batches) if result is not None}


def _compare_sights(plan: ContentPlan, results: Mapping[int, ContentResult], log: FirstSightLog) -> Read:
    """Keep what was seen for the first time, and tell what is not as it was then."""
    in_turn = sights_in_turn(results, plan.execution)
    now, left = in_turn[:MOST_SIGHTS], in_turn[MOST_SIGHTS:]
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.map(lambda sight: log.keep(plan.repository, sight), now)
        changed = [sight for sight, sha256 in zip(now, first, strict=True) if sight.sha256 != sha256]
    return Read(results=results, changed=changed, left=left)


def _remember(plan: ContentPlan, plan_version: VersionId, read: Read, memory: VerifiedSetLog) -> None:
    known = memory.damaged(plan.repository)
    for part in damaged_parts(plan.repository, {name_of(each) for each in read.held_against()} - known):
        memory.append_damaged(part)
    memory.append(verified_set(plan, plan_version, read))


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="conclude-content")
metrics = Metrics(namespace="RWM", service="conclude-content")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, SNSClient]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return (
        boto3.client("s3", config=CLIENT),
        boto3.client("dynamodb", config=CLIENT),
        boto3.client("sns", config=CLIENT),
    )


def _conclude(request: ConcludeRequest) -> Judged:
    """Wire the check that `request` names, and conclude it."""
    s3, dynamodb, sns = _clients()
    environment = Environment.read()
    operations = environment.operations
    ports = ConclusionPorts(
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        stored=S3RecordReader(s3, environment.records),
        memory=DynamoVerifiedSets(dynamodb, operations),
        sights=DynamoFirstSights(dynamodb, operations),
        verdict=VerdictPorts(
            verdicts=DynamoVerdictReader(dynamodb, operations),
            acknowledgements=DynamoAcknowledgements(dynamodb, operations),
            notifier=SnsNotifier(sns, environment.alerts),
            log=DynamoVerdictLog(dynamodb, operations),
        ),
    )
    # The records bucket's clock is S3's, too, and this step touches no protected bucket.
    return conclude_content(request, ports, now=S3BucketConfiguration(s3, environment.records).now())


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "state", "plan", "plan_version", "execution"}` -> `{"outcome", "findings": [{"severity", "id",
    "keys"}]}`."""
    request = ConcludeRequest.model_validate(event)
    verdict = _conclude(request).verdict
    extra = {"repository": request.repository, "outcome": verdict.outcome, "findings": verdict.brief, **verdict.figures}
    (logger.info if verdict.outcome == "pass" else logger.error)("content concluded", extra=extra)
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="VerifiedObjects", unit=MetricUnit.Count, value=verdict.figures["verified"])
    metrics.add_metric(name="DamagedObjects", unit=MetricUnit.Count, value=verdict.figures["damaged"])
    metrics.add_metric(name="UnreadObjects", unit=MetricUnit.Count, value=verdict.figures["not_read"])
    return {"outcome": verdict.outcome, "findings": verdict.brief}
