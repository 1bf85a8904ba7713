"""What a backup host, and whoever runs `restic forget --prune` for it, may do.

The threat is the host itself. Its permissions are restic's daily work and one message; the bucket's policy
denies the rest a second time. It may never read or list noncurrent versions: what was hidden cannot be read
back with a stolen key. Access keys are never in a template: `rwm connect --create-key` makes one.
"""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from functions.domain.quarantine import DENIED
from functions.domain.repositories import Repository
from infra.arns import Arns
from infra.permission import Permission, allow, deny
from infra.policy import only_managed_policy


class Identity(Construct):
    """The managed policy `name`, and the user `name` if RWM is to make one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        permissions: Sequence[Permission],
        create_user: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        policy = only_managed_policy(self, name, permissions)
        if create_user:
            iam.User(self, "User", user_name=name, managed_policies=[policy])


def host(scope: Construct, repository: Repository, arns: Arns) -> Identity:
    """The identity of the machine that backs up to `repository`."""
    return Identity(
        scope,
        f"Host-{repository.name}",
        name=arns.names.host(repository.name),
        permissions=_daily_work(repository, arns, hides_everywhere=repository.host_may_hide),
        create_user="create" in repository.hosts,
    )


def maintenance(scope: Construct, repository: Repository, arns: Arns) -> Identity:
    """The identity that runs `restic forget --prune`; its key stays off the host."""
    return Identity(
        scope,
        f"Maintenance-{repository.name}",
        name=arns.names.maintenance(repository.name),
        permissions=_daily_work(repository, arns, hides_everywhere=True),
        create_user=repository.maintenance == "create",
    )


def quarantine(scope: Construct, repository: Repository, arns: Arns) -> Identity:
    """What `rwm quarantine` attaches to both. Attached to nobody here: each deployment would end the quarantine."""
    return Identity(
        scope,
        f"Quarantine-{repository.name}",
        name=arns.names.quarantine(repository.name),
        permissions=[
            deny(
                *DENIED,
                on=arns.objects(repository),
                because="while it is attached, nothing is written to the repository or hidden in it: neither by who "
                "has the host's key, nor by a backup in the middle of a restore in place",
            )
        ],
        create_user=False,
    )


def _daily_work(repository: Repository, arns: Arns, *, hides_everywhere: bool) -> list[Permission]:
    bucket = arns.bucket(repository.bucket)
    # IfExists: `restic init` asks whether the bucket exists, which is a ListBucket without a prefix. The price: a host
    # may see the names, not the bytes, of what others keep in a shared bucket.
    inside = {"StringLikeIfExists": {"s3:prefix": f"{repository.key_prefix}*"}} if repository.prefix else {}
    permissions = [
        allow(
            "s3:GetObject",
            "s3:PutObject",
            on=arns.objects(repository),
            because="restic reads and writes its repository; current versions only: what was hidden stays unreadable",
            wildcard="restic chooses its object names",
        ),
        allow(
            "s3:DeleteObject",
            on=arns.objects(repository, "" if hides_everywhere else "locks/"),
            because="restic forget and prune hide what they remove; it stays, as a noncurrent version"
            if hides_everywhere
            else "restic removes its lock files; without it each run ends with a minute and a half of retries",
            wildcard="restic chooses its object names",
        ),
        allow("s3:ListBucket", on=bucket, because="restic lists its files, current ones only", when=inside),
        allow("s3:GetBucketLocation", on=bucket, because="restic asks for the region to sign for"),
        allow("sqs:SendMessage", on=arns.queue(repository), because="the host says when a backup is done"),
    ]
    if repository.kms_key:
        permissions.append(
            allow(
                "kms:Decrypt",
                "kms:GenerateDataKey",
                on=repository.kms_key,
                because="S3 encrypts and decrypts with the repository's key in the caller's name",
            )
        )
    return permissions
