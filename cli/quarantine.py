"""`rwm quarantine` and `rwm unquarantine`: deny the principals of a repository to write, and let them again.

Security rules:
- What is said to be in force was looked up after it was done, never assumed.
- Policies are attached and detached with the administrator's own credentials: no role of RWM's may.
- Only the repository's own quarantine policy is touched, and only at the repository's own principals.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from cli.deployment import Deployment
from cli.exits import ExitCode
from functions.domain.documents import Part
from functions.domain.quarantine import Principal, Quarantine
from functions.domain.values import RepositoryName
from functions.storage.aws import error_code
from functions.storage.quarantine import IamQuarantine, S3BucketStatements

LOOKS, PAUSE = 5, 1.0
"""How often it is looked whether IAM shows what was done, and seconds between two looks."""


class PrincipalStanding(Part):
    """A host of the repository, or who prunes it with restic."""

    arn: str
    quarantined: bool
    by_hand: bool
    """It is of another account: only the bucket's policy can deny it."""
    why: str = ""
    """Why IAM refused; empty where it did not."""


class QuarantineStanding(Part):
    """How it stands with a repository's quarantine after the command, as `--json` prints it."""

    repository: RepositoryName
    asked: bool
    """Whether the principals were to be in quarantine; otherwise, to be out of it."""
    policy: str
    """ARN of the managed policy that denies."""
    bucket: str
    principals: tuple[PrincipalStanding, ...]
    bucket_statement: dict[str, Any] | None
    """What a person must put into the bucket's policy, or take out of it; None: nothing is left to be done."""

    @property
    def done(self) -> bool:
        return all(each.quarantined is self.asked for each in self.principals)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE if self.done else ExitCode.FAILED


def quarantine(deployment: Deployment, name: str) -> QuarantineStanding:
    """Deny every principal of the repository to write. Again: no change. Raises Refused."""
    return _bring_about(deployment, name, asked=True)


def unquarantine(deployment: Deployment, name: str) -> QuarantineStanding:
    """Let every principal of the repository write again. Again: no change. Raises Refused."""
    return _bring_about(deployment, name, asked=False)


def _bring_about(deployment: Deployment, name: str, *, asked: bool) -> QuarantineStanding:
    repository = deployment.repository(name)
    wanted = Quarantine.of(repository, deployment.names, deployment.aws.partition, deployment.aws.account)
    iam = IamQuarantine(deployment.aws.iam)
    change = iam.attach if asked else iam.detach
    refused = {each: why for each in wanted.attachable if (why := _refused(change, each, wanted.policy))}
    missing = _missing(deployment, wanted, iam, repository.bucket, asked=asked)
    standing = tuple(
        PrincipalStanding(
            arn=each.arn,
            quarantined=each not in missing,
            by_hand=each in wanted.foreign,
            why=refused.get(each, ""),
        )
        for each in wanted.principals
    )
    by_hand = any(each.by_hand and each.quarantined is not asked for each in standing)
    return QuarantineStanding(
        repository=repository.repository,
        asked=asked,
        policy=wanted.policy,
        bucket=repository.bucket,
        principals=standing,
        bucket_statement=wanted.bucket_statement if by_hand else None,
    )


def _missing(
    deployment: Deployment, wanted: Quarantine, iam: IamQuarantine, bucket: str, *, asked: bool
) -> tuple[Principal, ...]:
    """Who is not in quarantine, as IAM and the bucket's policy show it a few seconds later at the latest."""
    # Only for whom it counts: it takes one more permission.
    statements = S3BucketStatements(deployment.aws.s3, bucket).statements() if wanted.foreign else []
    for look in range(LOOKS):
        attached = {each: iam.of(each) for each in wanted.attachable}
        missing = wanted.missing(attached, statements)
        if all((each in missing) is not asked for each in wanted.attachable):
            break
        if look + 1 < LOOKS:
            deployment.aws.pause(PAUSE)
    return missing


def _refused(change: Callable[[Principal, str], None], principal: Principal, policy: str) -> str:
    """Attach or detach, and say why it cannot be; empty: it was done. The other principals do not wait for this one."""
    try:
        change(principal, policy)
    except ClientError as error:
        match error_code(error):
            case "NoSuchEntity":
                return "IAM does not have it, or not the policy; deploy again with `make deploy`"
            case "LimitExceeded":
                return "it has as many managed policies as IAM allows; detach one that it can do without"
            case _:
                raise
    return ""
