"""`rwm prune`, `rwm prunes`: start the workflow that destroys data, follow it, and read what it came to.

Security rules:
- What is said of a plan is what its file says, proven by its digest; what is said of the end is the report that
  verify-prune wrote down, on this execution and this plan. A workflow that says something else proves nothing.
- Nothing is approved here. An operator learns what waits, and for whom.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from cli import checking, plans, workflow
from cli.deployment import Deployment
from cli.exits import Damaged, ExitCode, Failed, Refused, Waiting
from cli.explain import explain
from cli.plans import PlanDetails
from cli.workflow import Progress
from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.plan import Waiting as Waits
from functions.domain.prune.report import Harmed, PruneReport, report_file
from functions.domain.prune.results import Stays
from functions.domain.values import Digest, RepositoryName
from functions.domain.verdict import CheckLevel, Outcome

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

UNDONE = "nothing is known to have been pruned"
Ended = Literal["nothing-to-do", "dry-run", "pruned"]
Verified = Literal["done", "incomplete", "harmed"]


class ReportFile(Part):
    bucket: str
    key: str


class PruneResult(Part):
    """What a prune came to, as its report says."""

    repository: RepositoryName
    execution: str
    """Its name."""
    plan: Digest
    outcome: Verified
    """`incomplete`: some of the plan was not carried out; `harmed`: a kept state is not whole."""
    verified_at: Instant
    versions: int
    """Reclaimed: planned, and not listed any more. The markers are not among them."""
    markers: int
    bytes: int
    planned_versions: int
    planned_markers: int
    kept_states: int
    kept_states_whole: int
    dropped_states: int
    failed: int
    """Entries that S3 did not delete, for no reason of ours or of a lock."""
    unfinished: int
    """Batches of which nothing is known."""
    batches: int
    stays: tuple[Stays, ...]
    """What was planned and is still there: why, and until when."""
    waiting: tuple[Waits, ...]
    """What was not planned, because it stays for now."""
    harmed: tuple[Harmed, ...]
    """Kept states that are not whole; a hundred of them at most."""
    report: ReportFile


class Prunes(Part):
    """What the prunes of a repository came to, the newest first."""

    repository: RepositoryName
    prunes: tuple[PruneResult, ...]
    more: bool
    """There are older ones."""


class Prune(Part):
    """A prune that is going on or has ended, as `--json` prints it."""

    repository: RepositoryName
    execution: str
    """ARN of the execution of the prune workflow."""
    dry_run: bool
    outcome: Literal["running", "waiting", "nothing-to-do", "dry-run", "pruned", "incomplete", "harmed"] = "running"
    checks: dict[CheckLevel, Outcome] = {}
    """What the prune's own checks came to; empty until it has ended."""
    plan: PlanDetails | None = None
    result: PruneResult | None = None

    @property
    def exit_code(self) -> ExitCode:
        if self.outcome == "dry-run":
            return ExitCode.DONE if self.plan is None or self.plan.outcome == "pass" else ExitCode.WAITING
        return {
            "nothing-to-do": ExitCode.DONE,
            "pruned": ExitCode.DONE,
            "incomplete": ExitCode.FAILED,
            "running": ExitCode.WAITING,
            "waiting": ExitCode.WAITING,
            "harmed": ExitCode.FAIL,
        }[self.outcome]


class PruneRequest(Part):
    """What starts a prune: the input of the workflow."""

    repository: RepositoryName
    reason: Literal["operator"] = "operator"
    dry_run: bool


class _Planned(BaseModel):
    """The answer of plan-prune, as far as it is looked at."""

    model_config = ConfigDict(frozen=True)

    plan: Digest


class _End(BaseModel):
    """What the workflow says at its end."""

    model_config = ConfigDict(frozen=True)

    repository: RepositoryName
    outcomes: dict[CheckLevel, Outcome]
    ended: Ended
    plan: _Planned


def begin(deployment: Deployment, name: str, *, dry_run: bool) -> Prune:
    """Start the workflow. Raises Refused."""
    repository = deployment.repository(name).repository
    execution = workflow.start(
        deployment,
        deployment.names.prune_workflow,
        f"{repository}-prune-{uuid.uuid4().hex[:12]}",
        PruneRequest(repository=repository, dry_run=dry_run).model_dump_json(),
    )
    return Prune(repository=repository, execution=execution, dry_run=dry_run)


def follow(deployment: Deployment, prune: Prune) -> Iterator[Progress]:
    """Look at the workflow until it has ended. Raises Failed when AWS cannot be asked any more."""
    return workflow.follow(
        deployment,
        prune.execution,
        lambda: _progress(deployment, prune),
        goes_on="the prune goes on all the same",
        advice=how_to_look(prune),
    )


def follow_until_asked(deployment: Deployment, prune: Prune) -> Iterator[Progress]:
    """Look at the workflow until it has ended, or waits for an approver. Raises Failed."""
    for step in follow(deployment, prune):
        yield step
        try:
            if _waiting(deployment, prune) is not None:
                return
        except (BotoCoreError, ClientError) as error:
            raise Failed(
                f"{explain(error, deployment, 'the prune goes on all the same')}. {how_to_look(prune)}"
            ) from error
        except UnreadableDocument as error:
            raise Failed(f"{error}; the prune goes on all the same. {how_to_look(prune)}") from error


def look(deployment: Deployment, prune: Prune, now: datetime) -> Prune:
    """What the workflow waits for, or came to.

    Raises Refused where nothing was planned, Damaged where that was because of a FAIL, Failed where it stopped or
    broke, Waiting where it is still going on.
    """
    ended = workflow.describe(deployment, prune.execution)
    if ended["status"] == "RUNNING":
        asked = _waiting(deployment, prune)
        if asked is None:
            raise Waiting(f"the prune is still going on. {how_to_look(prune)}")
        return prune.model_copy(update={"outcome": "waiting", "plan": plans.details(deployment, asked, now)})
    if ended["status"] == "SUCCEEDED":
        return _succeeded(deployment, ended, prune, now)
    verified: dict[str, Verified] = {"PruneIncomplete": "incomplete", "PruneHarmed": "harmed"}
    error = ended.get("error") or ""
    if error not in verified:
        _ended_badly(ended, prune)
    result = _result(deployment, prune, verified[error])
    plan = _plan(deployment, prune, result.plan, now)
    return prune.model_copy(update={"outcome": result.outcome, "plan": plan, "result": result})


def prunes(deployment: Deployment, name: str, limit: int) -> Prunes:
    """What the prunes of a repository came to. Raises Refused, UnreadableDocument."""
    repository = deployment.repository(name).repository
    reports = deployment.prunes.reports(repository)
    return Prunes(
        repository=repository,
        prunes=tuple(_told(deployment, report) for report in reports[:limit]),
        more=len(reports) > limit,
    )


def how_to_look(prune: Prune) -> str:
    return (
        f"Look at it with {workflow.look_at(prune.execution)}; `rwm plans {prune.repository}` shows its plan, `rwm "
        f"prunes {prune.repository}` what became of it"
    )


# --- how far it is -----------------------------------------------------------------------------------------

_STAGES = {
    "check": "checking",
    "plan": "planning",
    "approv": "waiting for an approver",
    "take lease": "taking the lease",
    "drop": "dropping states",
    "release": "giving the lease back",
    "verify": "verifying",
}
"""What a step's name speaks of, and what a person is told."""


def _progress(deployment: Deployment, prune: Prune) -> Progress:
    try:
        step = (workflow.entered(deployment, prune.execution) or "").lower()
        stage = next((told for word, told in _STAGES.items() if word in step), "started")
        if stage == "checking":
            return _checking(deployment, prune)
        batches = workflow.batches(deployment, prune.execution)
    except (BotoCoreError, ClientError):
        # Only a decoration: whether the prune is still going on was answered already.
        return Progress("going on")
    if batches is None or not batches.running:
        return Progress(stage)
    # No step is entered for a map: the last one was that before it.
    return Progress("deleting", batches.done, batches.total, batches.failed)


def _checking(deployment: Deployment, prune: Prune) -> Progress:
    """The check is an execution of its own workflow, of the same name."""
    name = workflow.name_of(prune.execution)
    execution = deployment.arn("states", f"execution:{deployment.names.check_workflow}:{name}")
    found = checking.progress(deployment, execution)
    return Progress(f"checking: {found.stage}", found.done, found.total, found.failed)


def _waiting(deployment: Deployment, prune: Prune) -> ShelvedPlan | None:
    """The plan of this execution, if it waits for a person."""
    name = workflow.name_of(prune.execution)
    shelved = next((each for each in deployment.plans.plans(prune.repository) if each.execution == name), None)
    if shelved is None or shelved.dry_run or shelved.approval != "needed":
        return None
    return shelved if deployment.approvals.decided(prune.repository, shelved.plan) is None else None


# --- what it came to ---------------------------------------------------------------------------------------

_A_FAIL = re.compile(r"\bFAIL\b")
"""Each refusal that a FAIL is the reason for says so, and no other does (functions/domain/prune/validity.py)."""


def _ended_badly(ended: "DescribeExecutionOutputTypeDef", prune: Prune) -> NoReturn:
    error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
    repository = prune.repository
    if error == "PruneRefused":
        cause = cause or f"the prune of {repository} was refused; nothing was planned, and nothing was deleted"
        raise Damaged(cause) if _A_FAIL.search(cause) else Refused(cause)
    if error in ("PruneRejected", "PruneExpired", "PruneStopped"):
        why = {"PruneRejected": "an approver rejected it", "PruneExpired": "nobody approved it in time"}
        raise Failed(
            f"the prune of {repository} ended: {cause or why.get(error, 'it was stopped')}. `rwm plans {repository}` "
            f"shows its plan; `rwm prune {repository}` draws a new one"
        )
    raise Failed(
        f"the prune failed: {error}{': ' + cause if cause else ''}; it may have deleted a part of its plan. Execution "
        f"{workflow.name_of(prune.execution)} of the workflow has the details; `rwm check {repository}` judges what is "
        f"there, and `rwm prune {repository}` plans anew"
    )


def _succeeded(deployment: Deployment, ended: "DescribeExecutionOutputTypeDef", prune: Prune, now: datetime) -> Prune:
    try:
        end = _End.model_validate_json(ended.get("output") or "")
    except ValidationError as error:
        raise Failed(
            f"the workflow {deployment.names.prune_workflow} gave an answer this version of RWM cannot read; {UNDONE}; "
            "use the version that is deployed"
        ) from error
    plan = _plan(deployment, prune, end.plan.plan, now)
    goes = plan.versions + plan.markers + plan.drops
    fits = {"nothing-to-do": not goes, "dry-run": prune.dry_run, "pruned": goes > 0 and not prune.dry_run}
    if end.repository != prune.repository or not fits[end.ended]:
        raise Failed(
            f"the workflow says {end.ended} of {end.repository}, which is not what was asked for, or not what its plan "
            f"says; find out who changed it; `rwm check {prune.repository}` judges what is there"
        )
    told = {"checks": end.outcomes, "plan": plan}
    if end.ended != "pruned":
        return prune.model_copy(update={**told, "outcome": end.ended})
    result = _result(deployment, prune, "done")
    if result.plan != plan.plan:
        raise Failed(
            f"the report of {workflow.name_of(prune.execution)} is on plan {result.plan[:12]}, and the workflow says "
            f"{plan.plan[:12]}; trust neither; find out who changed the operations table"
        )
    return prune.model_copy(update={**told, "outcome": "pruned", "result": result})


def _plan(deployment: Deployment, prune: Prune, digest: Digest, now: datetime) -> PlanDetails:
    """The plan of that digest, which has to be this execution's."""
    shelved = deployment.plans.find(prune.repository, digest)
    if shelved is None or shelved.execution != workflow.name_of(prune.execution):
        raise Failed(
            f"the workflow speaks of plan {digest[:12]}, which is not on the shelf as its own; trust nothing that it "
            f"says; `rwm check {prune.repository}` judges what is there"
        )
    return plans.details(deployment, shelved, now)


def _result(deployment: Deployment, prune: Prune, said: Verified) -> PruneResult:
    """The report that was written down on this execution; it, not the workflow, is believed."""
    name = workflow.name_of(prune.execution)
    report = next((each for each in deployment.prunes.reports(prune.repository) if each.execution == name), None)
    if report is None:
        raise (Damaged if said == "harmed" else Failed)(
            f"the workflow says {said} and ended without a report; nothing proves that every kept state is whole. `rwm "
            f"check {prune.repository}` judges what is there"
        )
    if report.outcome != said:
        raise (Damaged if "harmed" in (report.outcome, said) else Failed)(
            f"the workflow says {said} and its report {report.outcome}; trust neither; `rwm check {prune.repository}` "
            "judges what is there"
        )
    return _told(deployment, report)


def _told(deployment: Deployment, report: PruneReport) -> PruneResult:
    return PruneResult(
        repository=report.repository,
        execution=report.execution,
        plan=report.plan,
        outcome=report.outcome,
        verified_at=report.verified_at,
        versions=report.reclaimed.objects,
        markers=report.reclaimed_markers,
        bytes=report.reclaimed.bytes,
        planned_versions=report.planned.objects,
        planned_markers=report.planned_markers,
        kept_states=report.kept_states,
        kept_states_whole=report.kept_states_whole,
        dropped_states=report.dropped_states,
        failed=report.failed,
        unfinished=report.unfinished,
        batches=report.batches,
        stays=report.stays,
        waiting=report.waiting,
        harmed=report.harmed,
        report=ReportFile(bucket=deployment.records_bucket, key=report_file(report.repository, report.execution)),
    )
