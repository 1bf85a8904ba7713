"""Last step of a restore drill, whatever became of the others: say what it came to, and tell people if it failed.

gather: the restore's report and the verdict on its copy  ->  decide: the drill's report  ->  apply: tell people of a
failure, then append the report.

Permissions of `rwm-conclude-drill`, and why:
- dynamodb:Query on operations: the restore's report, the verdict on the copy, and what was concluded before.
- dynamodb:PutItem on operations, partitions `drill#*`: the report, and nothing else.
- sns:Publish on the topic of alerts.

Security rules:
- It believes the reports that the restore and the check wrote down, not what the workflow says of them.
- People are told before the report is there: killed in between, they hear of it twice rather than never. Where nobody
  could be told, the step fails, and the workflow's alarm tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, Field, ValidationError

from functions.configuration import read_bundled
from functions.domain.documents import Part, wrong_fields
from functions.domain.notices import drill_notice
from functions.domain.ports import DrillReportLog, Notifier, RestoreReports, VerdictReader
from functions.domain.repositories import Configuration, Repository
from functions.domain.restore.drill import Chosen, DrillRefused, DrillReport
from functions.domain.restore.drilled import Drill, Failure, conclude
from functions.domain.restore.request import ExecutionName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.drills import DynamoDrillReports
from functions.storage.notices import SnsNotifier
from functions.storage.restores import DynamoRestoreReports
from functions.storage.verdicts import DynamoVerdictReader


class ConcludeRequest(Part):
    """Which drill has ended, and how as far as the workflow knows."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    execution: ExecutionName
    reason: Literal["schedule", "operator"]
    started_at: AwareDatetime
    chosen: Chosen | None
    failure: Any
    """`{"Error", "Cause"}` of the step that failed; null where none did."""

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises DrillRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise DrillRefused(f"the request is malformed ({wrong_fields(error)}); nothing was concluded") from error


@dataclass(frozen=True, slots=True)
class DrillPorts:
    """All that a conclusion may touch."""

    restores: RestoreReports
    verdicts: VerdictReader
    notifier: Notifier
    log: DrillReportLog


def conclude_drill(repository: Repository, request: ConcludeRequest, ports: DrillPorts, now: datetime) -> DrillReport:
    """Write down what a drill came to, and tell people if it failed. Raises NotTold: then nothing was written."""
    name = repository.repository
    drill = Drill(
        repository=name,
        execution=request.execution,
        reason=request.reason,
        started_at=request.started_at,
        chosen=request.chosen,
        failure=Failure.of(request.failure) if request.failure is not None else None,
        restored=ports.restores.of(name, request.execution),
        verdict=next((each for each in ports.verdicts.copy_verdicts(name) if each.by == request.execution), None),
    )
    report = conclude(drill, now)
    if report.outcome == "failed":
        ports.notifier.notify(drill_notice(report))
    ports.log.append(report)
    return report


logger = Logger(service="conclude-drill")
metrics = Metrics(namespace="RWM", service="conclude-drill")


@cache
def _ports() -> tuple[DrillPorts, Configuration]:
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = DrillPorts(
        restores=DynamoRestoreReports(dynamodb, environment.operations),
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
        notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
        log=DynamoDrillReports(dynamodb, environment.operations),
    )
    return ports, read_bundled()


def _concluded(request: ConcludeRequest) -> DrillReport:
    """Wire what `request` names, and conclude it. Raises DrillRefused, NotTold."""
    ports, configuration = _ports()
    repository = configuration.deployed(request.repository, DrillRefused, "nothing was concluded")
    return conclude_drill(repository, request, ports, datetime.now(UTC))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "execution", "reason", "started_at", "chosen", "failure"}` -> `{"repository", "state", "outcome",
    "level", "why", "seconds"}`. Raises DrillRefused."""
    try:
        request = ConcludeRequest.read(event)
        report = _concluded(request)
    except Exception:
        metrics.add_metric(name="DrillsNotConcluded", unit=MetricUnit.Count, value=1)
        raise
    answer = {
        **report.model_dump(mode="json", include={"repository", "state", "outcome", "level", "why"}),
        "seconds": report.seconds,
    }
    (logger.info if report.outcome == "restored" else logger.error)("drill concluded", extra=answer)
    metrics.add_dimension(name="repository", value=report.repository)
    metrics.add_metric(name="DrillSeconds", unit=MetricUnit.Seconds, value=report.seconds)
    metrics.add_metric(name="DrillFailed", unit=MetricUnit.Count, value=report.outcome == "failed")
    return answer
