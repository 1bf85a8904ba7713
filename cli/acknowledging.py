"""`rwm acknowledge`: an approver lays to rest what a check found and what is over.

Security rules:
- What is shown is the evidence of one verdict, and the function is told that verdict's full digest: nothing that was
  found later is laid to rest with it.
- Only the function writes, and only an approver's role may call it. Who it was is what the caller says; CloudTrail
  has the proof.
"""

from typing import Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from cli.deployment import Deployment
from cli.exits import Failed, Refused
from cli.explain import APPROVER, explain
from cli.invocation import invoke, unreadable
from functions.domain.documents import Instant, Part
from functions.domain.findings import HOST_MAY, FindingId, can_be_acknowledged, unacknowledged
from functions.domain.values import Digest, Finding, ObjectKey, RepositoryName, Severity, StateId, VersionId
from functions.domain.verdict import CheckLevel, Verdict

UNDONE = "nothing is known to have been acknowledged"
STEP = "acknowledge"
_SHORTEST_PREFIX = 4


class OverKey(Part):
    """One key with exactly the versions and delete markers that would be laid to rest."""

    key: ObjectKey
    version_ids: tuple[VersionId, ...]
    since: Instant


class Acknowledgement(Part):
    """What is to be laid to rest, or was, as `--json` prints it."""

    repository: RepositoryName
    finding: str
    severity: Severity
    since: Instant
    what: str
    verdict: Digest
    level: CheckLevel
    state: StateId
    judged_at: Instant
    outcome: Literal["proposed", "acknowledged", "already"] = "proposed"
    """`already`: somebody had laid all of it to rest before."""
    keys: int
    versions: int
    left: int
    """Keys that are wrong now: they have to be mended, and the finding stays for them."""
    more: int = 0
    """Keys that the verdict does not name, because there are so many: the next check does."""
    evidence: tuple[OverKey, ...]


class _Answer(BaseModel):
    """The answer of the function `acknowledge`."""

    model_config = ConfigDict(frozen=True)

    outcome: Literal["acknowledged", "refused"]
    message: str = ""
    verdict: str = ""
    keys: int = 0
    versions: int = 0


def propose(deployment: Deployment, name: str, finding_id: str, prefix: str | None) -> Acknowledgement:
    """What of the finding can be laid to rest, as the newest verdict that has it tells, or the verdict whose digest
    begins with `prefix`. Raises Refused.
    """
    repository = deployment.repository(name).repository
    if finding_id not in list(FindingId) and not finding_id.startswith(HOST_MAY):
        raise Refused(
            f"there is no finding {finding_id!r}; nothing was acknowledged; `rwm check {name}` names those there are"
        )
    verdict, finding = _told(deployment, repository, finding_id, prefix)
    over = tuple(each for each in finding.evidence if can_be_acknowledged(each))
    known = not any(
        can_be_acknowledged(each)
        for left in unacknowledged([finding], deployment.acknowledgements.acknowledgements(repository))
        for each in left.evidence
    )
    return Acknowledgement(
        repository=repository,
        finding=finding.id,
        severity=finding.severity,
        since=min(each.since for each in over),
        what=finding.what,
        verdict=verdict.digest,
        level=verdict.level,
        state=verdict.state,
        judged_at=verdict.judged_at,
        outcome="already" if known else "proposed",
        keys=len({each.key for each in over}),
        versions=sum(len(each.version_ids) for each in over),
        left=len({each.key for each in finding.evidence if not can_be_acknowledged(each)}),
        more=finding.more,
        evidence=tuple(OverKey(key=each.key, version_ids=each.version_ids, since=each.since) for each in over),
    )


def acknowledge(deployment: Deployment, proposed: Acknowledgement) -> Acknowledgement:
    """Have exactly what was proposed laid to rest. Raises Refused, Failed."""
    caller = deployment.aws.sts.get_caller_identity()["Arn"]
    try:
        said = invoke(
            deployment,
            STEP,
            proposed.repository,
            UNDONE,
            finding=proposed.finding,
            verdict=proposed.verdict,
            by=caller,
        )
        answer = _Answer.model_validate(said)
    except ClientError as error:
        raise explain(error, deployment, "nothing was acknowledged", who=APPROVER) from error
    except ValidationError as error:
        raise unreadable(deployment, STEP, UNDONE) from error
    if answer.outcome == "refused":
        raise Refused(answer.message)
    told = (answer.verdict, answer.keys, answer.versions)
    if told != (proposed.verdict, proposed.keys, proposed.versions):
        raise Failed(
            f"{answer.versions} versions of {answer.keys} keys were acknowledged, and {proposed.versions} of "
            f"{proposed.keys} were shown; find out who changed the operations table"
        )
    return proposed.model_copy(update={"outcome": "acknowledged"})


def _told(
    deployment: Deployment, repository: RepositoryName, finding_id: str, prefix: str | None
) -> tuple[Verdict, Finding]:
    """The verdict to acknowledge, and its finding in full. Raises Refused."""
    if prefix is not None:
        verdict = _named(deployment, repository, prefix)
        finding = _finding(deployment, verdict, finding_id)
        if finding is None:
            ids = ", ".join(each.id for each in verdict.findings) or "none"
            raise Refused(
                f"verdict {verdict.digest[:12]} has no finding {finding_id}; nothing was acknowledged; it has: {ids}"
            )
        if not any(map(can_be_acknowledged, finding.evidence)):
            raise _cannot_be(finding)
        return verdict, finding
    newest: Finding | None = None
    for verdict in deployment.verdicts.verdicts(repository):
        finding = _finding(deployment, verdict, finding_id)
        if finding is None:
            continue
        if any(map(can_be_acknowledged, finding.evidence)):
            return verdict, finding
        newest = newest or finding
    if newest is not None:
        raise _cannot_be(newest)
    raise Refused(
        f"no verdict on a state of {repository} has the finding {finding_id}; nothing was acknowledged; `rwm check "
        f"{repository}` judges the newest. What posture finds ends when its cause does"
    )


def _named(deployment: Deployment, repository: RepositoryName, prefix: str) -> Verdict:
    if len(prefix) < _SHORTEST_PREFIX:
        raise Refused(f"{prefix!r} is too short for a verdict's digest; nothing was acknowledged; give more digits")
    named = [each for each in deployment.verdicts.verdicts(repository) if each.digest.startswith(prefix)]
    if not named:
        raise Refused(f"{repository} has no verdict {prefix}; nothing was acknowledged; `rwm check --json` names them")
    if len(named) > 1:
        ids = ", ".join(each.digest[:16] for each in named[:5])
        raise Refused(
            f"{prefix} is the start of {len(named)} verdicts ({ids}); nothing was acknowledged; give more digits"
        )
    return named[0]


def _finding(deployment: Deployment, verdict: Verdict, finding_id: str) -> Finding | None:
    if not any(each.id == finding_id for each in verdict.findings):
        return None
    return next(each for each in deployment.verdicts.findings(verdict) if each.id == finding_id)


def _cannot_be(finding: Finding) -> Refused:
    why = (
        "all that it names is wrong now, and has to be mended"
        if finding.evidence
        else "it is about now and names no versions: it ends when its cause does"
    )
    return Refused(
        f"{finding.id} cannot be acknowledged: {why}; nothing was acknowledged; what to do: {finding.remedy}"
    )
