"""Last step of a restore in place but the end: compare what is current now with the state, and report.

Permissions of `rwm-verify-in-place`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: the state that had to come back, and the one that was recorded after.
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan, and what became of each batch;
  s3:ListBucket there, so that a batch without a result is told from one that is denied.
- s3:PutObject on `restores/*`, dynamodb:PutItem on operations: the report.

Security rules:
- It judges a state that was recorded after the last write, not what put-back says of itself.
- A content root proves names and sizes alone. So each object must be the very version that the state names, or the one
  that put-back wrote or found and compared; any other is told, whatever its name and size.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, Field

from functions.domain.batches import PlannedBatch
from functions.domain.diff import differences
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ledger import StateDamaged, choose_state, stream_states
from functions.domain.ports import LedgerReader, RecordReader, RecordWriter, ReportLog
from functions.domain.restore.in_place import (
    InPlacePlan,
    PresentNotRecorded,
    PutBackResult,
    read_changes,
    read_plan,
    recorded_since,
)
from functions.domain.restore.plan import report_file, result_file
from functions.domain.restore.proof import Kind, Trouble, trouble
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import ExecutionName
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.operations import DynamoReportLog
from functions.storage.records import S3RecordReader, S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 16
AT_ONCE = 32
"""Results of batches that are held at a time."""


class VerifyRequest(Part):
    """Which restore to verify."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: ExecutionName
    since: AwareDatetime
    """When the last batch was through: an older state does not show what it did."""
    repository: str
    """An annotation of the workflow's; the plan decides."""


def verify_in_place(
    plan: InPlacePlan,
    request: VerifyRequest,
    now: datetime,
    *,
    ledger: LedgerReader,
    stored: RecordReader,
    records: RecordWriter,
    reports: ReportLog,
) -> RestoreReport:
    """Compare the newest state with the chosen one, write the report to both places, and return all of it.

    Raises PresentNotRecorded, StateDamaged.
    """
    try:
        after = recorded_since(ledger, plan.repository, request.since, "it was put back")
    except StateDamaged as error:
        raise StateDamaged(f"{error}; nothing was judged") from error
    chosen = choose_state(ledger.headers(plan.repository), plan.state, plan.repository)
    batches = _Batches(stored, plan, request.execution)
    comparison = _Comparison(frozenset(plan.revoked))
    for settled, difference in _side_by_side(batches, differences(*stream_states(ledger, after, chosen))):
        comparison.take(settled, *difference)
    report = _conclude(plan, request.execution, now, after, batches, comparison)
    records.put(report_file(plan.digest, request.execution), report.canonical())
    reports.append(plan.repository, request.execution, report.shortened().canonical())
    return report


@dataclass(frozen=True, slots=True)
class _Settled:
    """What put-back says of one key."""

    key: ObjectKey
    version_id: VersionId | None = None
    """What it compared."""
    trouble: Trouble | None = None


_UNTOUCHED = _Settled(ObjectKey(""))


class _Batches:
    """What put-back says of every key of the plan, in key order; and, once gone through, what it wrote."""

    def __init__(self, stored: RecordReader, plan: InPlacePlan, execution: str) -> None:
        self._stored = stored
        self._plan = plan
        self._execution = execution
        self.copied = 0
        self.copied_bytes = 0
        self.hidden = 0

    def __iter__(self) -> Iterator[_Settled]:
        with ThreadPoolExecutor(THREADS) as threads:
            # A few at a time: a million results are not held at once.
            for start in range(0, len(self._plan.batches), AT_ONCE):
                for settled in threads.map(self._read, self._plan.batches[start : start + AT_ONCE]):
                    yield from settled

    def _read(self, batch: PlannedBatch) -> list[_Settled]:
        try:
            result = PutBackResult.parse(
                self._stored.get(result_file(self._plan.digest, self._execution, batch.number))
            )
        except (VersionGone, UnreadableDocument) as error:
            why = f"its batch {batch.number} has no result: {error}"
        else:
            if result.is_of(self._plan, self._execution, batch):
                return self._count(result)
            why = f"the result of its batch {batch.number} speaks of something else"
        return [
            _Settled(change.key, None, trouble(change.key, Kind.FAILED, why))
            for change in read_changes(self._stored, self._plan, batch.number)
        ]

    def _count(self, result: PutBackResult) -> list[_Settled]:
        written = [each for each in result.done if each.written]
        self.copied += sum(each.version_id is not None for each in written)
        self.hidden += sum(each.version_id is None for each in written)
        self.copied_bytes += result.written_bytes
        found: dict[ObjectKey, _Settled] = {each.key: _Settled(each.key, each.version_id) for each in result.done}
        for each in result.troubles:
            before = found.get(each.key)
            found[each.key] = _Settled(each.key, before.version_id if before else None, each)
        return sorted(found.values(), key=lambda each: each.key)


Versions = tuple[ObjectVersion | None, ObjectVersion | None]
"""What is current, and what the state names; None: nothing."""


def _side_by_side(batches: Iterable[_Settled], found: Iterable[Any]) -> Iterator[tuple[_Settled, Versions]]:
    """Each key that put-back speaks of or on which the states differ. Both in key order, each gone through once.

    Of a key on which they do not differ nothing is known but that, which is all that counts.
    """
    remaining = iter(batches)
    settled = next(remaining, None)
    for difference in found:
        while settled is not None and settled.key < difference.key:
            yield settled, (None, None)
            settled = next(remaining, None)
        own = settled if settled is not None and settled.key == difference.key else None
        yield own or _Settled(difference.key), (difference.before, difference.after)
        if own is not None:
            settled = next(remaining, None)
    while settled is not None:
        yield settled, (None, None)
        settled = next(remaining, None)


@dataclass(slots=True)
class _Comparison:
    """What is wrong with the present state."""

    revoked: frozenset[ObjectKey]
    troubles: list[Trouble] = field(default_factory=list)
    right: int = 0
    """Keys at which another version than the state's is current, and proven."""

    def take(self, settled: _Settled, now: ObjectVersion | None, wanted: ObjectVersion | None) -> None:
        key = settled.key
        if now is None and wanted is None:
            # The very version that the state names is current, or neither has the key. Whatever put-back met is over.
            return
        if wanted is None or key in self.revoked:
            if now is not None:
                self._add(settled, Kind.UNEXPECTED, "it is current, but not in the state")
        elif now is None:
            self._add(settled, Kind.FAILED, "it is not there")
        elif settled.version_id == now.version_id:
            self.right += 1
            if settled.trouble is not None:
                self.troubles.append(settled.trouble)
        elif settled.version_id is not None:
            self._add(settled, Kind.FAILED, "it was written over after it was put back")
        else:
            self._add(settled, Kind.FAILED, "another version is current than the state names")

    def _add(self, settled: _Settled, kind: Kind, why: str) -> None:
        """What put-back says of the key says more; but it must not make an object of what there should be none of."""
        said = settled.trouble
        if said is not None and (said.kind is Kind.UNEXPECTED) is (kind is Kind.UNEXPECTED):
            self.troubles.append(said)
        else:
            self.troubles.append(trouble(settled.key, kind, f"{why}; {said.why}" if said else why))


def _conclude(
    plan: InPlacePlan,
    execution: str,
    now: datetime,
    after: StateHeader,
    batches: _Batches,
    comparison: _Comparison,
) -> RestoreReport:
    counts = dict.fromkeys(Kind, 0)
    for each in comparison.troubles:
        counts[each.kind] += 1
    not_proven = len(comparison.troubles) - counts[Kind.UNEXPECTED]
    exact = after.content_root == plan.content_root
    wrong = not exact or any(count for kind, count in counts.items() if kind is not Kind.DAMAGED)
    proven = max(0, plan.objects - not_proven)
    return RestoreReport(
        plan=plan.digest,
        execution=execution,
        verified_at=now,
        repository=plan.repository,
        state=plan.state,
        source=plan.source,
        target=plan.source,
        outcome="incomplete" if wrong else "restored-damaged" if counts[Kind.DAMAGED] else "restored",
        objects=plan.objects,
        bytes=plan.bytes,
        proven=proven,
        copied=batches.copied,
        copied_bytes=batches.copied_bytes,
        skipped=max(0, proven + counts[Kind.DAMAGED] - batches.copied),
        unproven=counts[Kind.UNPROVEN],
        missing=counts[Kind.MISSING],
        damaged=counts[Kind.DAMAGED],
        failed=counts[Kind.FAILED],
        unexpected=counts[Kind.UNEXPECTED],
        content_root=plan.content_root,
        found_content_root=after.content_root,
        troubles=tuple(comparison.troubles),
        revoked=plan.revoked or None,
        reinstated=plan.reinstated or None,
        before=plan.before,
        hidden=batches.hidden,
    )


logger = Logger()
metrics = Metrics(namespace="RWM", service="verify-in-place")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT)


def _verify(request: VerifyRequest) -> RestoreReport:
    """Wire the restore that `request` names, and verify it."""
    s3, dynamodb = _clients()
    environment = Environment.read()
    stored = S3RecordReader(s3, environment.records)
    return verify_in_place(
        read_plan(stored, request.plan, request.plan_version),
        request,
        datetime.now(UTC),
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        stored=stored,
        records=S3RecordWriter(s3, environment.records),
        reports=DynamoReportLog(dynamodb, environment.operations),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"plan", "plan_version", "execution", "since", "repository"}` -> the report's outcome and counts, whether it is
    complete (which the workflow ends by), which state undoes it, and where the report is. Raises PresentNotRecorded."""
    try:
        report = _verify(VerifyRequest.model_validate(event))
    except PresentNotRecorded as early:
        metrics.add_metric(name="RestoresWaiting", unit=MetricUnit.Count, value=1)
        logger.info("verifying waits", extra={"why": str(early)})
        raise
    _measure(report)
    answer = {
        "outcome": report.outcome,
        "complete": report.outcome != "incomplete",
        **{name: getattr(report, name) for name in _COUNTS},
        "before": report.before,
        "plan": report.plan,
        "report": {"bucket": Environment.read().records, "key": report_file(report.plan, report.execution)},
        "target": report.target.model_dump(mode="json"),
    }
    logger.info("restore in place verified", extra={"execution": report.execution, **answer})
    return answer


_COUNTS = (
    *("objects", "bytes", "proven", "copied", "copied_bytes", "hidden", "skipped"),
    *("unproven", "missing", "damaged", "failed", "unexpected"),
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
