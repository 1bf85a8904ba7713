"""Make a verdict of what was read with the restic password.

gather: the report, the state's header, the entries of the keys it names, what was acknowledged, the last verdict
->  decide: findings, the verdict, what of it is news  ->  apply: tell people, then append the verdict.

Permissions of `rwm-conclude-complete`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: version ids of evidence are the state's, not the report's.
- dynamodb:Query on operations: acknowledgements and the last verdict.
- dynamodb:PutItem on operations: the verdict and its evidence.
- sns:Publish on the topic of alerts.

Security rules:
- It never sees the password, and who sees the password never writes: a report cannot do more than be wrong.
- Without a report that can be read, of just this state and copy, the verdict is a HOLD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.domain.checking import CheckRefused, CheckRequest, VerdictPorts, pronounce, state_to_judge
from functions.domain.completeness import (
    CompletenessReport,
    figures_of,
    findings_of,
    keys_named,
    not_judged,
    why_it_failed,
)
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, stream_state
from functions.domain.ports import LedgerReader
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.values import Finding, ObjectKey, ObjectVersion, RepositoryName, Severity
from functions.domain.verdict import CheckLevel, Judged, Verdict
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.notices import SnsNotifier
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader


class ConcludeRequest(CheckRequest):
    """What became of a reading."""

    repository: RepositoryName
    state: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    """Its id; empty: the newest, when the reading failed before it said which."""
    target: Location | None
    """Where the restored copy is that was read."""
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]
    report: Any
    """Of `check_complete`; null where it failed."""
    error: str | None
    """The name of the error that it failed with."""


@dataclass(frozen=True, slots=True)
class ConcludePorts:
    """All that a conclusion may touch."""

    ledger: LedgerReader
    verdict: VerdictPorts


def conclude_complete(request: ConcludeRequest, ports: ConcludePorts, now: datetime) -> Judged:
    """Judge the state, tell what is new, and append the verdict. Raises CheckRefused for a state that is not there."""
    header = state_to_judge(ports.ledger, request.repository, request.state)
    findings, figures = _found(request, header, ports.ledger)
    target = str(request.target) if request.target is not None else None
    return pronounce(
        header,
        CheckLevel.COMPLETE,
        findings,
        ports.verdict,
        judged_at=now,
        by=request.execution,
        target=target,
        figures=figures,
    )


def _found(
    request: ConcludeRequest, header: StateHeader, ledger: LedgerReader
) -> tuple[Sequence[Finding], dict[str, int]]:
    """The findings, and what was counted."""
    if request.error:
        return [not_judged(header, why_it_failed(request.error))], {}
    try:
        report = CompletenessReport.of_payload(request.report)
    except UnreadableDocument as error:
        return [not_judged(header, f"check-complete left no report that can be read: {error}")], {}
    if (report.state, report.target) != (header.id, request.target):
        return [not_judged(header, "the report is of another state or copy")], {}
    return findings_of(header, report, _pinned(ledger, header, keys_named(report))), figures_of(report)


def _pinned(ledger: LedgerReader, header: StateHeader, keys: frozenset[ObjectKey]) -> Mapping[ObjectKey, ObjectVersion]:
    """The state's entries of these keys; a sound state's are not even read."""
    if not keys:
        return {}
    try:
        return {
            key: run.version(place)
            for run in stream_state(ledger, header)
            for place, key in enumerate(run.keys)
            if key in keys
        }
    except (StateDamaged, UnreadableDocument) as error:
        raise CheckRefused(f"{error}; nothing was judged") from error


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="conclude-complete")
metrics = Metrics(namespace="RWM", service="conclude-complete")


@cache
def _ports() -> ConcludePorts:
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    return ConcludePorts(
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        verdict=VerdictPorts(
            verdicts=DynamoVerdictReader(dynamodb, environment.operations),
            acknowledgements=DynamoAcknowledgements(dynamodb, environment.operations),
            notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
            log=DynamoVerdictLog(dynamodb, environment.operations),
        ),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "state", "target", "execution", "report", "error"}` -> `{"outcome", "findings": [{"severity",
    "id", "keys"}]}`. Raises CheckRefused."""
    try:
        judged = conclude_complete(ConcludeRequest.read(event), _ports(), datetime.now(UTC))
    except Exception:
        metrics.add_metric(name="ChecksFailed", unit=MetricUnit.Count, value=1)
        raise
    _tell(judged.verdict)
    return {"outcome": judged.verdict.outcome, "findings": judged.verdict.brief}


def _tell(verdict: Verdict) -> None:
    """Log and count."""
    ids = [f"{finding.severity} {finding.id}" for finding in verdict.findings]
    extra = {"repository": verdict.repository, "state": verdict.state, "outcome": verdict.outcome, "findings": ids}
    (logger.info if verdict.outcome == "pass" else logger.error)("complete checked", extra={**extra, **verdict.figures})
    metrics.add_dimension(name="repository", value=verdict.repository)
    for severity in Severity:
        count = sum(finding.severity is severity for finding in verdict.findings)
        metrics.add_metric(name=f"Complete{severity.capitalize()}s", unit=MetricUnit.Count, value=count)
