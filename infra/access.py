"""Permissions that several steps have, each written once, with the reason that they share."""

from collections.abc import Mapping, Sequence
from typing import Any

from functions.domain.repositories import Repository
from infra.arns import Arns
from infra.permission import Permission, allow, by_tens

ANY_TARGET = "targets are chosen at restore, among those that repositories.toml allows"
ACKNOWLEDGEMENTS = "ack#*"
"""Partitions of the operations table that hold what approvers laid to rest (functions/storage/verdicts.py)."""
PLANS, APPROVALS, TASK_TOKENS = "plan#*", "approval#*", "plan-token#*"
"""Those of prune plans, what people decided on them, and what wakes the workflow (functions/storage/plans.py)."""
DROPPED = "dropped#*"
"""Partition of the ledger that holds which states were dropped (functions/storage/ledger.py)."""
HOLDS, RESTORES, PRUNE_LEASE = "hold#*", "restoring#*", "prune-lease#*"
"""Those that stop a prune (functions/storage/holds.py)."""
LOCKS = "locks#*"
"""Those of what lock upkeep came to, and where it goes on (functions/storage/locks.py)."""
DRILLS = "drill#*"
"""Those of what restore drills came to (functions/storage/drills.py)."""
WATCHED = "watch#*"
"""Those of what the watch found open and told (functions/storage/watch.py)."""
NOT_FOR_WHO_APPENDS = [
    *(ACKNOWLEDGEMENTS, APPROVALS, HOLDS, PLANS, TASK_TOKENS, PRUNE_LEASE, RESTORES, LOCKS, DRILLS, WATCHED),
]
"""Who can append findings and verdicts could else forge an approval, lift a hold, take the lease, make lock upkeep
go on where nothing is left to lock, say that a drill succeeded which nobody made, or silence the watch."""


def list_versions(arns: Arns, *, because: str) -> list[Permission]:
    """List every version and marker of each repository, and nothing beside its prefix."""
    return [
        allow(
            "s3:ListBucketVersions",
            on=arns.bucket(repository.bucket),
            because=because,
            when={"StringLike": {"s3:prefix": f"{repository.key_prefix}*"}} if repository.prefix else None,
        )
        for repository in arns.configuration.repositories
    ]


def versioning_and_clock(arns: Arns, *, because: str) -> list[Permission]:
    """Ask how versions are kept; the answer also carries S3's clock."""
    return [
        allow("s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", on=some, because=because)
        for some in by_tens([arns.bucket(name) for name in arns.configuration.buckets])
    ]


def read_versions(arns: Arns, repositories: Sequence[Repository], *, because: str) -> list[Permission]:
    """Read any version of `repositories`, encrypted or not."""
    keys = sorted({repository.kms_key for repository in repositories if repository.kms_key})
    return [
        *(
            allow(
                "s3:GetObjectVersion",
                on=some,
                because=because,
                wildcard="a state names any object of its repository",
            )
            for some in by_tens([arns.objects(repository) for repository in repositories])
        ),
        *(
            allow("kms:Decrypt", on=some, because="S3 decrypts what is read in the caller's name")
            for some in by_tens(keys)
        ),
    ]


def tell_gone_from_denied(arns: Arns, repositories: Sequence[Repository]) -> list[Permission]:
    """Goes with `read_versions`."""
    return [
        allow(
            "s3:ListBucket",
            on=some,
            because="without it S3 says of a version that is gone that it is denied, not that it is missing",
        )
        for some in by_tens([arns.bucket(name) for name in dict.fromkeys(each.bucket for each in repositories)])
    ]


def read_states(arns: Arns, *, because: str) -> Permission:
    """Read the ledger: headers, chunks, and which states are dropped."""
    return allow("dynamodb:GetItem", "dynamodb:Query", on=arns.ledger, because=because)


def read_files(arns: Arns, beneath: str, *, because: str, wildcard: str) -> Permission:
    """Read what a workflow's steps hand on to one another in the records bucket."""
    return allow("s3:GetObject", "s3:GetObjectVersion", on=arns.records(beneath), because=because, wildcard=wildcard)


def tell_missing_from_denied(arns: Arns) -> Permission:
    """Goes with `read_files`. Without a condition on the prefix: when an object is asked for, none is named."""
    return allow(
        "s3:ListBucket",
        on=arns.bucket(arns.records_name),
        because="what was never written must read as missing, not as denied",
    )


def look_at_targets(arns: Arns, *, because: str) -> list[Permission]:
    """List and read the buckets that restores may write to."""
    return [
        allow("s3:ListBucket", on=arns.restore_targets, because=because, wildcard=ANY_TARGET),
        allow(
            "s3:GetObject",
            on=[f"{target}/*" for target in arns.restore_targets],
            because=because,
            wildcard=ANY_TARGET,
        ),
    ]


def append_to_operations(arns: Arns, *, because: str) -> Permission:
    """Append to the operations table, but nothing by which people or the prune decide."""
    return allow("dynamodb:PutItem", on=arns.operations, because=because, when=all_partitions_but(*NOT_FOR_WHO_APPENDS))


def read_operations(arns: Arns, *actions: str, because: str) -> Permission:
    """Read the operations table, but not what wakes a workflow that waits for an approver.

    `actions`: more than queries.
    """
    return allow("dynamodb:Query", *actions, on=arns.operations, because=because, when=all_partitions_but(TASK_TOKENS))


def only_partitions(*patterns: str) -> Mapping[str, Mapping[str, Any]]:
    """Condition of a permission on a table: every partition key of the request is like one of `patterns`."""
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)},
        # ForAllValues is also true of a request without the key.
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def all_partitions_but(*patterns: str) -> Mapping[str, Mapping[str, Any]]:
    """Condition of a permission on a table: no partition key of the request is like one of `patterns`."""
    return {
        "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": list(patterns)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def tell_people(arns: Arns) -> Permission:
    """Publish to the topic of alerts."""
    return allow("sns:Publish", on=arns.alerts, because="tells people of a FAIL or HOLD that is new")
