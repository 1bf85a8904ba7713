"""`rwm restores`: which restores are under way, and what those that ended came to.

A restore that is under way stops every prune of its repository. What one announced that ended without its last step,
the next prune takes away.
"""

from typing import Literal

from cli.deployment import Deployment
from cli.restoring import ReportFile
from functions.domain.documents import Instant, Part
from functions.domain.keeping import Restoring
from functions.domain.ports import NotAnswered, UnknownExecution
from functions.domain.restore.plan import report_file
from functions.domain.restore.report import Outcome, RestoreReport
from functions.domain.restore.request import Location
from functions.domain.values import RepositoryName, StateId

Status = Literal["running", "ended", "unknown"]


class UnderWay(Part):
    """A restore that announced itself, and has not taken that back."""

    execution: str
    """Name of the execution; what begins with `to-directory-` is of rwm-restore-to-directory."""
    state: StateId
    since: Instant
    status: Status
    """What Step Functions says; `unknown`: it does not know the execution, or does not tell."""


class Past(Part):
    """A restore that was verified."""

    execution: str
    verified_at: Instant | None
    """None: by a version of RWM that did not write it down."""
    state: StateId
    target: Location
    outcome: Outcome
    objects: int
    bytes: int
    proven: int
    report: ReportFile


class Restores(Part):
    """Those under way, the first one first; and what is past, the newest first."""

    repository: RepositoryName
    under_way: tuple[UnderWay, ...]
    restores: tuple[Past, ...]
    more: bool
    """There are older ones."""


def restores(deployment: Deployment, name: str, limit: int) -> Restores:
    """The restores of a repository. Raises Refused, UnreadableDocument."""
    repository = deployment.repository(name).repository
    announced = deployment.announced_restores.under_way(repository)
    reports = deployment.restore_reports.reports(repository)
    return Restores(
        repository=repository,
        under_way=tuple(_under_way(deployment, each) for each in announced),
        restores=tuple(_past(deployment, report) for report in reports[:limit]),
        more=len(reports) > limit,
    )


def _under_way(deployment: Deployment, restoring: Restoring) -> UnderWay:
    return UnderWay(
        execution=restoring.execution,
        state=restoring.state,
        since=restoring.since,
        status=_status(deployment, restoring.execution),
    )


def _status(deployment: Deployment, execution: str) -> Status:
    try:
        return "running" if deployment.restore_executions.ended(execution) is None else "ended"
    except (UnknownExecution, NotAnswered):
        return "unknown"


def _past(deployment: Deployment, report: RestoreReport) -> Past:
    return Past(
        execution=report.execution,
        verified_at=report.verified_at,
        state=report.state,
        target=report.target,
        outcome=report.outcome,
        objects=report.objects,
        bytes=report.bytes,
        proven=report.proven,
        report=ReportFile(bucket=deployment.records_bucket, key=report_file(report.plan, report.execution)),
    )
