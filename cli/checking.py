"""`rwm check`: judge a repository now, whatever its schedule, or a state of it, or a restored copy.

Security rules:
- The workflow is given the full id of the state that was found here, never what the person typed.
- What is said at the end are the verdicts that the workflow wrote down, for this state and by this execution; a
  workflow that ended well without one of them is a failure, and so is one that says something else.
- No more is claimed of a state than was judged and passed, and nothing that rests on a level that did not.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from cli import workflow
from cli.deployment import Deployment
from cli.exits import ExitCode, Failed, Refused, Waiting
from cli.invocation import invoke, unreadable
from cli.recording import SeenFinding
from cli.states import find_state
from cli.workflow import Progress
from functions.domain.documents import Instant, Part
from functions.domain.repositories import Repository
from functions.domain.restore.request import Location
from functions.domain.values import Digest, Finding, ObjectKey, RepositoryName, Severity, StateId, VersionId
from functions.domain.verdict import CheckLevel, Outcome, Verdict

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

UNDONE = "nothing is known to have been checked"
STEP = "check-posture"
NEWEST = "latest"

Claim = Literal["consistent", "content verified", "complete"]
CLAIMS: Mapping[CheckLevel, Claim] = {
    CheckLevel.CONSISTENT: "consistent",
    CheckLevel.CONTENT: "content verified",
    CheckLevel.COMPLETE: "complete",
}


class KeyEvidence(Part):
    """One key of which a finding speaks."""

    key: ObjectKey
    version_ids: tuple[VersionId, ...]
    since: Instant
    standing: bool
    """It is wrong now: it has to be mended, and cannot be acknowledged."""


class CheckFinding(Part):
    level: CheckLevel
    id: str
    severity: Severity
    since: Instant
    what: str
    remedy: str
    evidence: tuple[KeyEvidence, ...] = ()
    more: int = 0
    """Keys that the evidence leaves out, because there are so many."""


class LevelVerdict(Part):
    """What one level came to."""

    level: CheckLevel
    outcome: Outcome
    verdict: Digest | None = None
    """None for posture, which judges no state."""
    judged_at: Instant | None = None
    acknowledged: int = 0
    """Findings that people laid to rest, every bit of them."""
    figures: dict[str, int] = {}


class Check(Part):
    """A check that is going on or has ended, as `--json` prints it."""

    repository: RepositoryName
    level: CheckLevel
    outcome: Outcome | Literal["running"] = "running"
    findings: tuple[CheckFinding, ...] = ()
    """The worst first; of one severity, those of the shallower level first."""
    unread: dict[str, str] = {}
    """What posture could not read, and why."""
    state: StateId | None = None
    """None: posture judges no state."""
    generation: int | None = None
    cut_time: Instant | None = None
    target: Location | None = None
    """The restored copy that was judged instead of the state's own versions."""
    execution: str | None = None
    """ARN of the execution of the check workflow; None where there was none."""
    levels: tuple[LevelVerdict, ...] = ()
    """The shallowest first."""
    claim: Claim | None = None
    """What may be said of the state, or of the copy."""

    @property
    def exit_code(self) -> ExitCode:
        return {
            "pass": ExitCode.DONE,
            "hold": ExitCode.WAITING,
            "fail": ExitCode.FAIL,
            "running": ExitCode.WAITING,
        }[self.outcome]


class CheckRequest(Part):
    """What starts a check: the input of the workflow."""

    repository: RepositoryName
    level: CheckLevel
    state: StateId | Literal[""]
    """Empty: a new one is recorded, or the newest there is."""
    all: bool
    read_data: bool
    reason: Literal["operator"] = "operator"
    target: Location | None

    @property
    def of_configuration(self) -> bool:
        """Only the bucket's configuration is judged."""
        return self.level is CheckLevel.POSTURE


class _PostureFinding(SeenFinding):
    since: Instant


class _Posture(BaseModel):
    """The answer of the function `check-posture`."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    findings: tuple[_PostureFinding, ...]
    unread: dict[str, str]


class _End(BaseModel):
    """What the workflow says at its end."""

    model_config = ConfigDict(frozen=True)

    repository: RepositoryName
    state: StateId | None
    generation: int | None
    level: CheckLevel
    outcomes: dict[CheckLevel, Outcome]
    posture: _Posture | None


def requested(
    deployment: Deployment,
    name: str,
    wanted: str,
    level: str | None,
    *,
    everything: bool,
    read_data: bool,
    bucket: str | None,
    prefix: str,
) -> CheckRequest:
    """What a person asks for, with STATE found. Raises Refused, NoSuchState; nothing was started then."""
    repository = deployment.repository(name)
    target = _target(bucket, prefix)
    depth = _level(repository, level, target)
    for needed, option, there in (
        (CheckLevel.CONTENT, "--all", everything),
        (CheckLevel.COMPLETE, "--read-data", read_data),
    ):
        if there and (target or not depth.includes(needed)):
            raise Refused(f"{option} is for --level {needed} of a state; nothing was checked; leave it out")
    if wanted != NEWEST and depth is CheckLevel.POSTURE:
        raise Refused(
            "posture judges how the bucket is configured now, not a state; nothing was checked; leave STATE out, or "
            "ask for --level consistent"
        )
    return CheckRequest(
        repository=repository.repository,
        level=depth,
        state="" if wanted == NEWEST else find_state(deployment, repository, wanted).id,
        all=everything,
        read_data=read_data,
        target=target,
    )


def check_posture(deployment: Deployment, name: str) -> Check:
    """Ask for a verdict on the configuration alone, and wait for it."""
    try:
        posture = _Posture.model_validate(invoke(deployment, STEP, name, UNDONE))
    except ValidationError as error:
        raise unreadable(deployment, STEP, UNDONE) from error
    level = LevelVerdict(level=CheckLevel.POSTURE, outcome=posture.outcome)
    begun = Check(repository=RepositoryName(name), level=CheckLevel.POSTURE)
    return _concluded(begun, [level], _of_posture(posture), posture.unread)


def begin(deployment: Deployment, request: CheckRequest) -> Check:
    """Start the workflow."""
    execution = workflow.start(
        deployment,
        deployment.names.check_workflow,
        f"{request.repository}-{request.level}-{uuid.uuid4().hex[:12]}",
        request.model_dump_json(),
    )
    return Check(
        repository=request.repository,
        level=request.level,
        state=request.state or None,
        target=request.target,
        execution=execution,
    )


def follow(deployment: Deployment, check: Check) -> Iterator[Progress]:
    """Look at the workflow until it has ended. Raises Failed when AWS cannot be asked any more."""
    return workflow.follow(
        deployment,
        _execution(check),
        lambda: progress(deployment, _execution(check)),
        goes_on="the check goes on all the same",
        advice=how_to_look(check),
    )


def finish(deployment: Deployment, check: Check) -> Check:
    """What the workflow came to. Raises Refused when nothing was judged, Failed when it broke."""
    ended = workflow.describe(deployment, _execution(check))
    if ended["status"] == "RUNNING":
        raise Waiting(f"the check is still going on. {how_to_look(check)}")
    if ended["status"] != "SUCCEEDED":
        _ended_badly(ended, check)
    end = _end(deployment, ended, check)
    verdicts = _verdicts(deployment, check, end)
    levels = [
        LevelVerdict(
            level=level,
            outcome=verdict.outcome,
            verdict=verdict.digest,
            judged_at=verdict.judged_at,
            acknowledged=verdict.acknowledged,
            figures=verdict.figures,
        )
        for level, verdict in sorted(verdicts.items(), key=lambda each: _depth(each[0]))
    ]
    found = [
        _finding(level, finding)
        for level, verdict in verdicts.items()
        for finding in deployment.verdicts.findings(verdict)
    ]
    if end.posture is not None:
        levels.insert(0, LevelVerdict(level=CheckLevel.POSTURE, outcome=end.posture.outcome))
        found += _of_posture(end.posture)
    judged = next(iter(verdicts.values()), None)
    about = {"state": judged.state, "generation": judged.generation, "cut_time": judged.cut_time} if judged else {}
    return _concluded(check.model_copy(update=about), levels, found, end.posture.unread if end.posture else {})


def how_to_look(check: Check) -> str:
    return (
        f"Look at it with {workflow.look_at(_execution(check))}; `rwm states {check.repository}` shows its verdicts "
        "when it has ended"
    )


# --- what is asked -----------------------------------------------------------------------------------------


def _target(bucket: str | None, prefix: str) -> Location | None:
    if bucket is None:
        if prefix:
            raise Refused("--in-prefix goes with --in-bucket; nothing was checked")
        return None
    try:
        return Location(bucket=bucket, prefix=prefix.strip("/"))
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors(include_url=False))
        raise Refused(f"there is no such place ({wrong}); nothing was checked") from error


def _level(repository: Repository, level: str | None, target: Location | None) -> CheckLevel:
    if level is not None and level not in list(CheckLevel):
        raise Refused(f"there is no level {level!r}; nothing was checked; there is: {', '.join(CheckLevel)}")
    if target is not None and level not in (None, CheckLevel.COMPLETE):
        raise Refused(
            f"a restored copy is judged as a whole, at the level complete, not {level}; nothing was checked; leave "
            "--level out"
        )
    depth = CheckLevel.COMPLETE if target is not None else CheckLevel(level or repository.check_level)
    if depth is CheckLevel.COMPLETE and repository.restic_password_secret is None:
        raise Refused(
            f"the level complete needs a restic password, and {repository.name} has no restic_password_secret; nothing "
            "was checked; set it in repositories.toml and deploy" + ("" if target else ", or ask for --level content")
        )
    return depth


# --- how far it is -----------------------------------------------------------------------------------------

_STEPS: Mapping[str, str] = {
    "posture": "posture",
    "record": "recording a state",
    "consistent": "consistent",
    "content": "content",
    "complete": "complete",
}
"""What a step's name speaks of, and what a person is told."""


def progress(deployment: Deployment, execution: str) -> Progress:
    """How far an execution of the check's workflow is, as far as that can be read."""
    try:
        step = (workflow.entered(deployment, execution) or "").lower()
        stage = next((told for word, told in _STEPS.items() if word in step), "started")
        batches = workflow.batches(deployment, execution) if stage == "content" else None
    except (BotoCoreError, ClientError):
        # Only a decoration: whether the check is still going on was answered already.
        return Progress("going on")
    if batches is None:
        return Progress(stage)
    return Progress(stage, batches.done, batches.total, batches.failed)


# --- what it came to ---------------------------------------------------------------------------------------


def _ended_badly(ended: "DescribeExecutionOutputTypeDef", check: Check) -> NoReturn:
    error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
    if error == "CheckRefused":
        raise Refused(cause or f"the check of {check.repository} was refused; nothing was judged")
    raise Failed(
        f"the check failed: {error}{': ' + cause if cause else ''}; levels that were judged before keep their verdict "
        f"(`rwm states {check.repository}`). Execution {workflow.name_of(_execution(check))} of the workflow has the "
        "details; run the same command again"
    )


def _end(deployment: Deployment, ended: "DescribeExecutionOutputTypeDef", check: Check) -> _End:
    """The workflow's output, which must be about what was asked for."""
    try:
        end = _End.model_validate_json(ended.get("output") or "")
    except ValidationError as error:
        raise Failed(
            f"the workflow {deployment.names.check_workflow} gave an answer this version of RWM cannot read; {UNDONE}; "
            "use the version that is deployed"
        ) from error
    asked = (
        {CheckLevel.COMPLETE}
        if check.target is not None
        else {level for level in CheckLevel if check.level.includes(level)}
    )
    if end.repository != check.repository or set(end.outcomes) != asked or check.state not in (None, end.state):
        raise Failed(
            f"the workflow judged {', '.join(end.outcomes) or 'nothing'} of state {(end.state or 'none')[:12]} of "
            f"{end.repository}, which is not what was asked for; trust none of it; run the same command again"
        )
    return end


def _verdicts(deployment: Deployment, check: Check, end: _End) -> dict[CheckLevel, Verdict]:
    """The verdicts that this execution wrote down, one for each level of `end`; they, not it, are believed."""
    wanted = {level: outcome for level, outcome in end.outcomes.items() if level is not CheckLevel.POSTURE}
    stored = deployment.verdicts.copy_verdicts if check.target is not None else deployment.verdicts.verdicts
    found: dict[CheckLevel, Verdict] = {}
    verdicts = stored(check.repository)
    while wanted.keys() - found.keys() and (verdict := next(verdicts, None)):
        if (verdict.by, verdict.state) == (workflow.name_of(_execution(check)), end.state):
            found.setdefault(verdict.level, verdict)
    for level, outcome in wanted.items():
        if level not in found:
            raise Failed(
                f"the workflow ended without a verdict of the level {level}; nothing proves its {outcome}. Run the "
                "same command again"
            )
        if found[level].outcome != outcome:
            raise Failed(
                f"the workflow says {outcome} of the level {level} and its verdict {found[level].outcome}; trust "
                "neither; find out who changed the operations table"
            )
    return {level: found[level] for level in wanted}


def _concluded(
    check: Check, levels: list[LevelVerdict], found: Iterable[CheckFinding], unread: Mapping[str, str]
) -> Check:
    outcomes = {each.level: each.outcome for each in levels}
    worst: tuple[Outcome, ...] = ("fail", "hold", "pass")
    severities = list(Severity)
    return check.model_copy(
        update={
            "outcome": next(outcome for outcome in worst if outcome in outcomes.values()),
            "levels": tuple(levels),
            "findings": tuple(
                sorted(found, key=lambda each: (severities.index(each.severity), _depth(each.level), each.id))
            ),
            "unread": dict(unread),
            "claim": claim(outcomes, of_copy=check.target is not None),
        }
    )


def claim(outcomes: Mapping[CheckLevel, Outcome], *, of_copy: bool = False) -> Claim | None:
    """What may be said once these levels came to this: no level counts that did not pass, or rests on one that did not.

    Posture is about the bucket, and a restored copy is judged at one level.
    """
    shown: Claim | None = None
    for level, said in CLAIMS.items():
        if of_copy and level is not CheckLevel.COMPLETE:
            continue
        if outcomes.get(level) != "pass":
            break
        shown = said
    return shown


def _of_posture(posture: _Posture) -> list[CheckFinding]:
    return [
        CheckFinding(
            level=CheckLevel.POSTURE,
            id=each.id,
            severity=each.severity,
            since=each.since,
            what=each.what,
            remedy=each.remedy,
        )
        for each in posture.findings
    ]


def _finding(level: CheckLevel, finding: Finding) -> CheckFinding:
    return CheckFinding(
        level=level,
        id=finding.id,
        severity=finding.severity,
        since=finding.since,
        what=finding.what,
        remedy=finding.remedy,
        evidence=tuple(
            KeyEvidence(key=each.key, version_ids=each.version_ids, since=each.since, standing=each.standing)
            for each in finding.evidence
        ),
        more=finding.more,
    )


def _depth(level: CheckLevel) -> int:
    return list(CheckLevel).index(level)


def _execution(check: Check) -> str:
    if check.execution is None:
        raise ValueError(f"the check of {check.repository} was not made by the workflow; there is nothing to follow")
    return check.execution
