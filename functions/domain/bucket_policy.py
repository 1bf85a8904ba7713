"""The policy that makes a bucket a protected one.

The threat: whoever takes the host, or any other principal of the account, uses what its identity policy
allows to destroy versions, to switch protection off, to lock what nobody needs, or to re-encrypt with a key
nobody else has. A bucket policy denies it to everyone, whatever identity policies say; only the account's
root, by deleting the policy, or the principals exempted here can get past it.

Principals are matched by `aws:PrincipalArn` on `Principal: *` instead of being named as principals: S3
refuses a policy that names a user who does not exist yet, and rewrites one whose user was deleted. For a
role it is the role's ARN, not the session's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.domain.names import Names
from functions.domain.repositories import Configuration, Repository

Statement = Mapping[str, Any]

VERSION_DELETE = "s3:DeleteObjectVersion"
BYPASS = "s3:BypassGovernanceRetention"

LOCKS = ("s3:PutObjectLegalHold", "s3:PutObjectRetention")
"""Also what a PUT needs that brings a lock of its own. The bucket's default retention asks nobody for it."""

WORM_CONFIGURATION = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
"""What decides whether versions last: for the deployment role and break-glass only."""

HOST_ACTIONS = ("s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject")
"""All that a host's or a maintenance principal's request may be. DeleteObject only hides; where is decided below."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the policy will stand: what CloudFormation knows as pseudo parameters, or their real values."""

    partition: str
    account: str
    configuration: Configuration

    @property
    def names(self) -> Names:
        return self.configuration.names

    def role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    def user(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:user/{name}"

    def hosts(self, repository: Repository) -> list[str]:
        """ARNs of the principals that back up to `repository`."""
        return [self.user(self.names.host(repository.name)) if host == "create" else host for host in repository.hosts]

    def maintenance(self, repository: Repository) -> list[str]:
        """ARN of the principal that runs `restic forget --prune`, if there is one."""
        if repository.maintenance is None:
            return []
        if repository.maintenance == "create":
            return [self.user(self.names.maintenance(repository.name))]
        return [repository.maintenance]

    @property
    def pruner(self) -> str:
        """ARN of the one role that deletes versions."""
        return self.role(self.names.role("apply-prune"))

    @property
    def lock_keeper(self) -> str:
        """ARN of the one role that sets locks."""
        return self.role(self.names.role("extend-retention"))

    @property
    def break_glass(self) -> list[str]:
        return [self.configuration.break_glass] if self.configuration.break_glass else []


def bucket_policy(bucket: str, repositories: Sequence[Repository], where: Surroundings) -> list[Statement]:
    """The statements for `bucket`, which holds `repositories`."""
    arn = f"arn:{where.partition}:s3:::{bucket}"
    return [
        *transport(arn),
        # One role destroys versions of repositories: promise P3. Of which, its own policy says.
        _deny_but(
            "DenyVersionDeletes",
            [VERSION_DELETE],
            [f"{arn}/*"],
            [*([where.pruner] if repositories else []), *where.break_glass],
        ),
        _deny_but(
            "DenyBypass",
            [BYPASS],
            [f"{arn}/*"],
            [*([where.pruner] if any(each.bypass_governance for each in repositories) else []), *where.break_glass],
        ),
        # A planted lock is paid for until it ends, and a prune waits for it: in compliance mode, whoever asks.
        _deny_but(
            "DenyLocks",
            LOCKS,
            [f"{arn}/*"],
            [*([where.lock_keeper] if repositories else []), *where.break_glass],
        ),
        _deny_but(
            "DenyConfiguration",
            WORM_CONFIGURATION,
            [arn],
            [where.role(where.configuration.deployer), *where.break_glass],
        ),
        *(
            statement
            for number, repository in enumerate(repositories)
            for statement in _host_walls(arn, repository, where, str(number) if number else "")
        ),
    ]


def transport(arn: str) -> Iterable[Statement]:
    """Nobody without TLS 1.2, to a bucket or anything in it."""
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    yield {"Sid": "DenyPlainHttp", **everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    yield {"Sid": "DenyOldTls", **everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}}


def _deny_but(sid: str, actions: Sequence[str], resources: Sequence[str], exempt: Sequence[str]) -> Statement:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": list(resources),
    }
    if exempt:
        statement["Condition"] = {"ArnNotLike": {"aws:PrincipalArn": list(exempt)}}
    return statement


def _host_walls(arn: str, repository: Repository, where: Surroundings, suffix: str) -> Iterable[Statement]:
    """What a host of `repository` may not do in its bucket, even where an identity policy allows it."""
    hosts, maintenance = where.hosts(repository), where.maintenance(repository)
    inside = f"{arn}/{repository.key_prefix}*"

    def deny(
        name: str, principals: Sequence[str], condition: Mapping[str, Any] | None = None, **what: Any
    ) -> Statement:
        return {
            "Sid": f"{name}{suffix}",
            "Effect": "Deny",
            "Principal": "*",
            **what,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": list(principals)}, **(condition or {})},
        }

    both = [*hosts, *maintenance]
    put: dict[str, Any] = {"Action": "s3:PutObject", "Resource": f"{arn}/*"}
    # Versions, locks, ACLs, tags, configuration: everything that is not a host's daily work, named or yet to come.
    yield deny("HostOnlyBacksUp", both, NotAction=list(HOST_ACTIONS), Resource=[arn, f"{arn}/*"])
    if not repository.host_may_hide:
        yield deny("HostHidesOnlyLocks", hosts, Action="s3:DeleteObject", NotResource=f"{inside[:-1]}locks/*")
    if repository.prefix:
        yield deny(
            "HostStaysInPrefix",
            both,
            Action=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            NotResource=inside,
        )
    # An upload is as old as its initiation: begun a month ago, completed today, it would lie beneath recorded cuts.
    yield deny("HostNoMultipart", both, {"Bool": {"s3:ObjectCreationOperation": "false"}}, **put)
    # A negated condition also matches a request without the header: Null lets only one that is there be wrong.
    yield deny(
        "HostStorageClass",
        both,
        {
            "StringNotEquals": {"s3:x-amz-storage-class": list(repository.storage_classes)},
            "Null": {"s3:x-amz-storage-class": "false"},
        },
        **put,
    )
    yield deny(
        "HostNoCustomerKey",
        both,
        {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
        **put,
    )
    key = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    foreign: dict[str, Any] = {"Null": {key: "false"}}
    if repository.kms_key:
        foreign["StringNotEquals"] = {key: repository.kms_key}
    yield deny("HostNoForeignKey", both, foreign, **put)
