"""`rwm restore`: start the restore workflow, follow it, and read its report.

Security rules:
- What is said at the end is the report that the verify step wrote down, for this state and this target; a
  workflow that ended well without one is a failure.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from cli import restore_options, workflow
from cli.deployment import Deployment
from cli.exits import ExitCode, Failed, Refused, Waiting
from cli.restore_options import Asked
from cli.workflow import Progress
from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.restore.directory import DirectoryReport
from functions.domain.restore.gone import Gone, trace
from functions.domain.restore.owner import bucket_statements, key_statement
from functions.domain.restore.plan import report_file
from functions.domain.restore.proof import Kind, Trouble
from functions.domain.restore.report import Outcome, RestoreReport
from functions.domain.restore.request import Location
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId

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
    before: StateId | None = None
    """Of a restore in place: the state that was recorded just before, which undoes it."""
    hidden: int | None = None
    """Of a restore in place: keys that the state does not have, and that were hidden."""
    lock_days: int | None = None
    """For how long each copy is under governance."""
    revoked: tuple[ObjectKey, ...] | None = None
    """Key files that were removed since the state, and are not in the result."""
    reinstated: tuple[ObjectKey, ...] | None = None
    """Key files that were removed since the state, and came back as was asked for."""
    sample: int | None = None
    """Packs that a drill left out."""
    gone: Gone | None = None
    """Of what is missing: since when, and which states do without it."""
    gone_unknown: str | None = None
    """Why that could not be told."""
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


def begin(deployment: Deployment, asked: Asked) -> Restore:
    """Start a restore to a bucket. Raises Refused for another kind; nothing was started then."""
    header = asked.header
    if (target := asked.request.target) is None:
        raise Refused(f"this is no restore to a bucket; {restore_options.UNDONE}")
    return Restore(
        repository=asked.repository.repository,
        state=header.id,
        cut_time=header.cut_time,
        execution=restore_options.start(deployment, asked),
        target=target,
        outcome="running",
        environment={
            "AWS_DEFAULT_REGION": deployment.aws.region,
            "RESTIC_REPOSITORY": deployment.restic_url(target.bucket, target.prefix),
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
    gone, gone_unknown = what_is_gone(deployment, report)
    return Restore.model_validate(
        {
            **restore.model_dump(),
            **counts,
            "gone": gone,
            "gone_unknown": gone_unknown,
            "report": ReportFile(bucket=deployment.records_bucket, key=report_file(report.plan, report.execution)),
            "troubles": report.troubles,
        }
    )


def what_is_gone(deployment: Deployment, report: RestoreReport | DirectoryReport) -> tuple[Gone | None, str | None]:
    """What the ledger says of what is missing, or why it says nothing."""
    keys = {each.key for each in report.troubles if each.kind is Kind.MISSING}
    if not keys:
        return None, None
    ledger = deployment.ledger
    try:
        dropped = ledger.dropped(report.repository)
        kept = [each for each in ledger.headers(report.repository, oldest_first=True) if each.id not in dropped]
        chosen = next((each for each in kept if each.id == report.state), None)
        if chosen is None:
            return None, f"state {report.state[:12]} is no longer kept"
        return trace(ledger, kept, chosen, keys), None
    except (StateDamaged, UnreadableDocument) as error:
        # What was restored and what was not is known all the same.
        return None, str(error)


def how_to_look(restore: Restore) -> str:
    return (
        f"Look at it with {workflow.look_at(restore.execution)}, or run the same `rwm restore` again: it copies only "
        "what is missing"
    )


def how_to_go_on(restore: Restore) -> str:
    """The command that asks for the same again."""
    return f"rwm restore --resume {workflow.name_of(restore.execution)}"


class TargetRefuses(Refused):
    """S3 denies what a restore needs of its target; nothing was written."""


DENIED = "S3 denies "
"""How every such refusal of a step begins, or goes on."""


def refused(cause: str, otherwise: str) -> Refused:
    """What the workflow refused to do, in its words, or in those if it has none."""
    return TargetRefuses(cause) if DENIED in cause else Refused(cause or otherwise)


class OwnerMustAllow(Part):
    """What the target's owner has to allow, where it belongs to another account."""

    bucket_policy: tuple[dict[str, Any], ...]
    key_policy: dict[str, Any]


def owner_must_allow(deployment: Deployment, asked: Asked) -> OwnerMustAllow:
    """For whoever owns the target that is asked for."""
    target = asked.request.target
    if target is None:
        raise Refused(f"this is no restore to a bucket; {restore_options.UNDONE}")
    ours: dict[str, str] = {"partition": deployment.aws.partition, "account": deployment.aws.account}
    lock = asked.request.lock_days is not None
    return OwnerMustAllow(
        bucket_policy=tuple(dict(each) for each in bucket_statements(target, deployment.names, lock=lock, **ours)),
        key_policy=dict(key_statement(deployment.names, **ours)),
    )


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
        raise refused(cause, "the restore was refused; nothing was written")
    raise Failed(
        f"the restore failed: {error}{': ' + cause if cause else ''}; what was copied stays in {restore.target}. "
        f"To go on: `{how_to_go_on(restore)}`; execution {workflow.name_of(restore.execution)} of the workflow has the "
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
