"""`rwm drill`: restore the last good state to where it is proven and thrown away, and what such drills came to.

Security rules:
- What is said of a drill is the report that its last step wrote down; a workflow that ended well without one is a
  failure.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from cli import checking, workflow
from cli.deployment import Deployment
from cli.exits import ExitCode, Failed, Refused, Waiting
from cli.workflow import Progress
from functions.domain.documents import Instant, Part
from functions.domain.restore.drill import DrillFailure, DrillReport, overdue
from functions.domain.restore.request import Location
from functions.domain.values import Digest, RepositoryName, StateId

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

UNDONE = "nothing was drilled"


class DrillResult(Part):
    """What a drill came to, as its report says."""

    repository: RepositoryName
    execution: str
    """Its name; the restore and the check that it ran have the same."""
    reason: Literal["schedule", "operator"]
    started_at: Instant
    ended_at: Instant
    seconds: int
    """What a restore of this takes."""
    outcome: Literal["restored", "failed"]
    level: Literal["content", "complete"] | None
    """How deep the copy was shown to be sound: each object's bytes, or all that the snapshots need, too."""
    state: StateId | None
    cut_time: Instant | None
    target: Location | None
    """Emptied within two days."""
    sample_bytes: int | None
    """About how many bytes of packs were drawn; null: the state was restored whole."""
    state_objects: int
    state_bytes: int
    objects: int
    bytes: int
    proven: int
    verdict: Digest | None
    why: DrillFailure | None
    detail: str

    @classmethod
    def of(cls, report: DrillReport) -> "DrillResult":
        return cls(**report.model_dump(), seconds=report.seconds)


class DrillRequest(Part):
    """What starts a drill: the input of the workflow."""

    repository: RepositoryName
    reason: Literal["operator"] = "operator"
    whole: bool


class Drill(Part):
    """A drill that is going on or has ended, as `--json` prints it."""

    repository: RepositoryName
    execution: str
    """ARN of the execution of the drill workflow."""
    outcome: Literal["running", "restored", "failed"] = "running"
    result: DrillResult | None = None

    @property
    def exit_code(self) -> ExitCode:
        if self.result is None:
            return ExitCode.WAITING
        if self.result.why is None:
            return ExitCode.DONE
        return ExitCode.FAIL if self.result.why.of_the_repository else ExitCode.FAILED


class Drills(Part):
    """What the drills of a repository came to, the newest first."""

    repository: RepositoryName
    drills: tuple[DrillResult, ...]
    more: bool
    """There are older ones."""
    overdue_since: Instant | None
    """Since when one should have succeeded; by this machine's clock."""


def begin(deployment: Deployment, name: str, *, whole: bool) -> Drill:
    """Start the workflow. Raises Refused."""
    repository = deployment.repository(name).repository
    if deployment.ledger.head(repository) is None:
        raise Refused(f"repository {repository} has no recorded state yet; {UNDONE}; run `rwm record {repository}`")
    execution = workflow.start(
        deployment,
        deployment.names.drill_workflow,
        f"{repository}-drill-{uuid.uuid4().hex[:12]}",
        DrillRequest(repository=repository, whole=whole).model_dump_json(),
    )
    return Drill(repository=repository, execution=execution)


def follow(deployment: Deployment, drill: Drill) -> Iterator[Progress]:
    """Look at the workflow until it has ended. Raises Failed when AWS cannot be asked any more."""
    return workflow.follow(
        deployment,
        drill.execution,
        lambda: _progress(deployment, drill),
        goes_on="the drill goes on all the same",
        advice=how_to_look(drill),
    )


def finish(deployment: Deployment, drill: Drill) -> Drill:
    """What it came to. Raises Refused where nothing was drilled, Failed where it broke, Waiting where it goes on."""
    ended = workflow.describe(deployment, drill.execution)
    if ended["status"] == "RUNNING":
        raise Waiting(f"the drill is still going on. {how_to_look(drill)}")
    if ended["status"] != "SUCCEEDED":
        _ended_badly(ended, drill)
    report = deployment.drills.find(drill.repository, workflow.name_of(drill.execution))
    if report is None:
        raise Failed(
            "the workflow ended without a report; nothing proves that the repository can be restored. Look at it with "
            f"{workflow.look_at(drill.execution)}"
        )
    return drill.model_copy(update={"outcome": report.outcome, "result": DrillResult.of(report)})


def drills(deployment: Deployment, name: str, limit: int, now: datetime) -> Drills:
    """What the drills of a repository came to. Raises Refused, UnreadableDocument."""
    repository = deployment.repository(name)
    reports = list(islice(deployment.drills.reports(repository.repository), limit + 1))
    first = deployment.ledger.header(repository.repository, 1)
    last = deployment.drills.last_restored(repository.repository)
    late = overdue(repository, first.recorded_at if first else None, last.ended_at if last else None, now)
    return Drills(
        repository=repository.repository,
        drills=tuple(map(DrillResult.of, reports[:limit])),
        more=len(reports) > limit,
        overdue_since=late and late.since,
    )


def how_to_look(drill: Drill) -> str:
    return f"Look at it with {workflow.look_at(drill.execution)}; `rwm drill {drill.repository} --list` shows its end"


def _progress(deployment: Deployment, drill: Drill) -> Progress:
    name = workflow.name_of(drill.execution)
    try:
        step = (workflow.entered(deployment, drill.execution) or "").lower()
        if step.startswith("check"):
            execution = deployment.arn("states", f"execution:{deployment.names.check_workflow}:{name}")
            found = checking.progress(deployment, execution)
            return Progress(f"checking the copy: {found.stage}", found.done, found.total, found.failed)
        if step.startswith("restore"):
            execution = deployment.arn("states", f"execution:{deployment.names.restore_workflow}:{name}")
            batches = workflow.batches(deployment, execution)
            if batches is not None:
                return Progress("restoring", batches.done, batches.total, batches.failed)
            return Progress("restoring")
    except (BotoCoreError, ClientError):
        # Only a decoration: whether the drill is still going on was answered already.
        return Progress("going on")
    return Progress("concluding" if step.startswith("conclude") else "choosing")


def _ended_badly(ended: "DescribeExecutionOutputTypeDef", drill: Drill) -> NoReturn:
    error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
    if error == "DrillRefused":
        raise Refused(cause or f"the drill of {drill.repository} was refused; {UNDONE}")
    raise Failed(
        f"the drill ended without a conclusion: {error}{': ' + cause if cause else ''}. Execution "
        f"{workflow.name_of(drill.execution)} of the workflow has the details; `rwm drill {drill.repository}` begins "
        "another one"
    )
