"""`rwm restore`: start the restore workflow, follow it, and read its report.

Security rules:
- The workflow is given the full id of the state that was found here, never what the person typed.
- What is said at the end is the report that the verify step wrote down, for this state and this target; a
  workflow that ended well without one is a failure.
"""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from cli import workflow
from cli.deployment import Deployment
from cli.exits import ExitCode, Failed, Refused, Waiting
from cli.states import find_state
from cli.workflow import Progress
from functions.domain.documents import Instant, Part
from functions.domain.repositories import Repository
from functions.domain.restore.plan import report_file
from functions.domain.restore.proof import Trouble
from functions.domain.restore.report import Outcome, RestoreReport
from functions.domain.restore.request import Location, RestoreRefused, RestoreRequest
from functions.domain.values import Digest, RepositoryName, StateId

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef


class ReportFile(Part):
    bucket: str
    key: str


class Restore(Part):
    """A restore that is going on or has ended, as `--json` prints it."""

    repository: RepositoryName
    state: StateId
    cut_time: Instant
    execution: str
    """ARN of the execution of the restore workflow."""
    target: Location
    outcome: Outcome | Literal["running"]
    environment: dict[str, str]
    """For restic to use the result."""
    objects: int
    bytes: int
    proven: int = 0
    copied: int = 0
    copied_bytes: int = 0
    skipped: int = 0
    unproven: int = 0
    missing: int = 0
    damaged: int = 0
    failed: int = 0
    unexpected: int = 0
    content_root: Digest
    """The state's."""
    found_content_root: Digest | None = None
    """The target's."""
    report: ReportFile | None = None
    troubles: tuple[Trouble, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return {
            "restored": ExitCode.DONE,
            "restored-damaged": ExitCode.FAIL,
            "incomplete": ExitCode.FAILED,
            "running": ExitCode.WAITING,
        }[self.outcome]


def begin(deployment: Deployment, name: str, wanted: str, bucket: str, prefix: str) -> Restore:
    """Start a restore of the state that `wanted` means. Raises Refused, NoSuchState; nothing was started then."""
    repository = deployment.repository(name)
    header = find_state(deployment, repository, wanted)
    request = _request(repository, header.id, bucket, prefix)
    execution = workflow.start(
        deployment,
        deployment.names.restore_workflow,
        # A name of its own each time: a restore that is run again resumes by its plan, not by its execution.
        f"{repository.name}-{header.id[:12]}-{uuid.uuid4().hex[:8]}",
        request.model_dump_json(),
    )
    return Restore(
        repository=repository.repository,
        state=header.id,
        cut_time=header.cut_time,
        execution=execution,
        target=request.target,
        outcome="running",
        environment={
            "AWS_DEFAULT_REGION": deployment.aws.region,
            "RESTIC_REPOSITORY": deployment.restic_url(request.target.bucket, request.target.prefix),
        },
        objects=header.objects,
        bytes=header.bytes,
        content_root=header.content_root,
    )


def follow(deployment: Deployment, restore: Restore) -> Iterator[Progress]:
    """Look at the workflow until it has ended, less and less often.

    Raises Failed when AWS cannot be asked any more: the restore goes on without us.
    """
    return workflow.follow(
        deployment,
        restore.execution,
        lambda: _progress(deployment, restore),
        goes_on="the restore goes on all the same",
        advice=how_to_look(restore),
    )


def finish(deployment: Deployment, restore: Restore) -> Restore:
    """How the workflow ended. Raises Refused when it refused before writing anything, Failed when it broke."""
    ended = workflow.describe(deployment, restore.execution)
    if ended["status"] == "RUNNING":
        raise Waiting(f"the restore is still going on. {how_to_look(restore)}")
    if ended["status"] != "SUCCEEDED" and ended.get("error") != "RestoreIncomplete":
        _ended_badly(ended, restore)
    report = _report(deployment, restore)
    if (report.state, report.target) != (restore.state, restore.target):
        raise Failed(
            f"the report of {workflow.name_of(restore.execution)} is about state {report.state[:12]} in "
            f"{report.target}, which is not what was asked for; trust nothing in the target; find out who changed "
            "the operations table"
        )
    if ended["status"] != "SUCCEEDED" and report.outcome != "incomplete":
        raise Failed(f"the workflow failed and its report says {report.outcome}; trust nothing in {report.target}")
    # The report knows its execution by name, the document by ARN.
    counts = report.model_dump(include=set(Restore.model_fields) - {"execution", "troubles"})
    return Restore.model_validate(
        {
            **restore.model_dump(),
            **counts,
            "report": ReportFile(bucket=deployment.records_bucket, key=report_file(report.plan, report.execution)),
            "troubles": report.troubles,
        }
    )


def how_to_look(restore: Restore) -> str:
    return (
        f"Look at it with {workflow.look_at(restore.execution)}, or run the same `rwm restore` again: it copies only "
        "what is missing"
    )


def _request(repository: Repository, state: StateId, bucket: str, prefix: str) -> RestoreRequest:
    asked = {
        "repository": repository.name,
        "state": state,
        "target": {"bucket": bucket, "prefix": prefix.strip("/")},
    }
    try:
        return RestoreRequest.read(asked)
    except RestoreRefused as error:
        raise Refused(str(error)) from error


def _progress(deployment: Deployment, restore: Restore) -> Progress:
    try:
        batches = workflow.batches(deployment, restore.execution)
    except (BotoCoreError, ClientError):
        # Only a decoration: whether the restore is still going on was answered already.
        return Progress("copying")
    if batches is None:
        return Progress("planning")
    return Progress("copying" if batches.running else "verifying", batches.done, batches.total, batches.failed)


def _ended_badly(ended: "DescribeExecutionOutputTypeDef", restore: Restore) -> NoReturn:
    error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
    if error == "RestoreRefused":
        raise Refused(cause or "the restore was refused; nothing was written")
    raise Failed(
        f"the restore failed: {error}{': ' + cause if cause else ''}; what was copied stays in {restore.target}. "
        f"Run the same command again to go on; execution {workflow.name_of(restore.execution)} of the workflow has the "
        "details"
    )


def _report(deployment: Deployment, restore: Restore) -> RestoreReport:
    item = deployment.aws.dynamodb.get_item(
        TableName=deployment.names.operations,
        Key={"pk": {"S": restore.repository}, "sk": {"S": f"restore#{workflow.name_of(restore.execution)}"}},
        ConsistentRead=True,
    ).get("Item")
    if item is None:
        raise Failed(
            f"the workflow ended without a report; nothing proves what {restore.target} holds. Run the same again"
        )
    report = RestoreReport.parse(bytes(item["report"]["B"]))
    if not report.left_out:
        return report
    return RestoreReport.parse(deployment.records.get(report_file(report.plan, report.execution)))
