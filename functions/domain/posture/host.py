"""Whether a host holds any right with which it could administer WORM: destroy versions, or end their protection.

Two sources, of which one suffices: what SimulatePrincipalPolicy decided per action and resource, and the
documents themselves (identity policies of the host, and the bucket's policy). The simulation wins, since it
knows boundaries and service control policies; where neither answered an action, that is a finding. Without
either, the bucket's policy still says what it denies a host whatever else that holds, and what it allows.

A right is judged by resource: `allowed` anywhere counts, so read `ResourceSpecificResults`. A condition on
an Allow is not believed to stop anybody. A Deny of the bucket's policy counts only when it covers the host
without further conditions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from functions.domain.bucket_policy import Statement, Surroundings
from functions.domain.findings import FindingId, host_may
from functions.domain.posture.policy import allowed, denied
from functions.domain.repositories import Repository
from functions.domain.values import Finding, Severity

ON_OBJECTS = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    "s3:GetObjectVersion",
    "s3:ObjectOwnerOverrideToBucketOwner",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
    "s3:RestoreObject",
    "s3:UpdateObjectEncryption",
)
ON_THE_BUCKET = (
    "s3:CreateBucketMetadataTableConfiguration",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:ListBucketVersions",
    "s3:PutAnalyticsConfiguration",
    "s3:PutBucketAbac",
    "s3:PutBucketAcl",
    "s3:PutBucketCORS",
    "s3:PutBucketLogging",
    "s3:PutBucketNotification",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketRequestPayment",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutBucketWebsite",
    "s3:PutEncryptionConfiguration",
    "s3:PutIntelligentTieringConfiguration",
    "s3:PutInventoryConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
ELSEWHERE = (
    "s3:CreateAccessGrant",
    "s3:CreateAccessGrantsInstance",
    "s3:CreateAccessPoint",
    "s3:CreateJob",
    "s3:DeleteAccessPointPolicy",
    "s3:InitiateReplication",
    "s3:PauseReplication",
    "s3:PutAccessPointPolicy",
    "s3:PutAccountPublicAccessBlock",
    "s3:TagResource",
    "s3:UntagResource",
    "s3:UpdateJobPriority",
    "s3:UpdateJobStatus",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:UpdateAlias",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreatePolicyVersion",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:UpdateAssumeRolePolicy",
    "sts:AssumeRole",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "states:StartExecution",
    "states:UpdateStateMachine",
    "scheduler:CreateSchedule",
    "scheduler:UpdateSchedule",
    "scheduler:DeleteSchedule",
    "events:PutRule",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:DeleteTable",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "cloudformation:DeleteStack",
    "cloudformation:UpdateStack",
    "cloudtrail:DeleteTrail",
    "cloudtrail:StopLogging",
    "logs:DeleteLogGroup",
    "logs:PutRetentionPolicy",
)
"""Where a family of actions is forbidden, its members that do the harm by themselves."""


class Decision(StrEnum):
    """IAM's own words."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


@dataclass(frozen=True, slots=True)
class Simulated:
    """One result of SimulatePrincipalPolicy, for one resource."""

    action: str
    resource: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRights:
    """What could be learned of one principal."""

    principal: str
    """ARN."""
    read_at: datetime
    simulated: tuple[Simulated, ...] = ()
    documents: tuple[Statement, ...] | None = None
    """Statements of all its identity policies, groups' included; None: could not be fetched."""


def questions(repository: Repository, where: Surroundings) -> list[tuple[str, str]]:
    """Every WORM-administration action with the resource on which a host of `repository` must not have it."""
    bucket = f"arn:{where.partition}:s3:::{repository.bucket}"
    return [
        *((action, f"{bucket}/{repository.key_prefix}*") for action in ON_OBJECTS),
        *((action, bucket) for action in ON_THE_BUCKET),
        *((action, "*") for action in ELSEWHERE),
    ]


def host_may_administer(
    rights: HostRights, repository: Repository, where: Surroundings, bucket_statements: tuple[Statement, ...] | None
) -> Iterable[Finding]:
    """A FAIL for each action that is allowed; its id names the action."""
    for action, resource in questions(repository, where):
        if _is_allowed(rights, action, resource, bucket_statements):
            yield Finding(
                host_may(action),
                Severity.FAIL,
                repository.repository,
                rights.read_at,
                f"{rights.principal} is allowed {action} on {resource}: a stolen host key could use it against the "
                "backups",
                "take it from the host's policies and groups; `rwm connect` shows all that a host needs",
            )


def host_rights_not_judged(
    rights: HostRights, repository: Repository, where: Surroundings, bucket_statements: tuple[Statement, ...] | None
) -> Iterable[Finding]:
    """A HOLD for all actions together that no simulation and no identity policy answered.

    The bucket's policy answers for what it denies in any case, and for what it allows by itself; that it allows
    nothing answers nothing, since an identity policy may.
    """
    if rights.documents is not None:
        return
    answered = {each.action.lower() for each in rights.simulated}
    silent = [
        action
        for action, resource in questions(repository, where)
        if action.lower() not in answered
        and not denied(_about(resource, bucket_statements), rights.principal, action, resource)
        and not _is_allowed(rights, action, resource, bucket_statements)
    ]
    if silent:
        yield Finding(
            FindingId.HOST_RIGHTS_NOT_JUDGED,
            Severity.HOLD,
            repository.repository,
            rights.read_at,
            f"nothing could tell whether {rights.principal} is allowed {_few(silent)}",
            "allow the check's role iam:SimulatePrincipalPolicy, or run `rwm doctor` on the host",
        )


def judge_host(
    rights: HostRights,
    repository: Repository,
    where: Surroundings,
    bucket_statements: tuple[Statement, ...] | None = None,
) -> tuple[Finding, ...]:
    """Everything that is known of one host's rights; `bucket_statements` are those of the bucket's policy."""
    return (
        *host_may_administer(rights, repository, where, bucket_statements),
        *host_rights_not_judged(rights, repository, where, bucket_statements),
    )


def weighed(
    simulated: Iterable[Simulated], principal: str, bucket_statements: Sequence[Statement]
) -> tuple[Simulated, ...]:
    """`simulated` with the bucket's policy, which IAM does not weigh for a role: what it denies is denied, and what
    it allows is allowed where nothing else said no."""
    return tuple(replace(each, decision=_with_policy(each, principal, bucket_statements)) for each in simulated)


def _with_policy(simulated: Simulated, principal: str, bucket_statements: Sequence[Statement]) -> Decision:
    statements = _about(simulated.resource, bucket_statements)
    if denied(statements, principal, simulated.action, simulated.resource):
        return Decision.EXPLICIT_DENY
    if simulated.decision is Decision.IMPLICIT_DENY and allowed(
        statements, principal, simulated.action, simulated.resource
    ):
        return Decision.ALLOWED
    return simulated.decision


def _about(resource: str, bucket_statements: Sequence[Statement] | None) -> Sequence[Statement]:
    """The bucket's policy where it has a say: it neither grants nor denies anything elsewhere."""
    return bucket_statements or () if resource != "*" else ()


def _is_allowed(
    rights: HostRights, action: str, resource: str, bucket_statements: tuple[Statement, ...] | None
) -> bool:
    simulated = [each.decision for each in rights.simulated if each.action.lower() == action.lower()]
    if simulated:
        return Decision.ALLOWED in simulated
    theirs = (*(rights.documents or ()), *_about(resource, bucket_statements))
    if not allowed(theirs, rights.principal, action, resource):
        return False
    return not denied(theirs, rights.principal, action, resource)


def _few(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
