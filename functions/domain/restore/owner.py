"""What the owner of a target has to allow, where it is not ours: for its bucket's policy, and for its key's.

Only what the steps need, for exactly the roles that need it. A bucket of this same account needs none of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from functions.domain.names import Names
from functions.domain.restore.request import Location

LOOKS = ("plan-restore", "copy-batch", "verify-restore")
READS = ("plan-restore", "copy-batch")
WRITES = ("copy-batch",)
"""The steps that touch a target, and how."""

Statement = Mapping[str, Any]


def bucket_statements(
    target: Location, names: Names, *, partition: str, account: str, lock: bool = False
) -> tuple[Statement, ...]:
    """For the policy of the target's bucket; with `lock`, so that copies can be locked, too."""
    bucket = f"arn:{partition}:s3:::{target.bucket}"
    objects = f"{bucket}/{target.key_prefix}*"

    def allow(sid: str, steps: Sequence[str], actions: Sequence[str], resource: str) -> Statement:
        roles = [_role(step, names, partition, account) for step in steps]
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": roles},
            "Action": list(actions),
            "Resource": resource,
        }

    locking = ("s3:GetObjectRetention", "s3:PutObjectRetention") if lock else ()
    return (
        allow("RwmRestoreLists", LOOKS, ["s3:ListBucket"], bucket),
        *([allow("RwmRestoreSeesTheLock", READS, ["s3:GetBucketObjectLockConfiguration"], bucket)] if lock else ()),
        allow("RwmRestoreCompares", READS, ["s3:GetObject"], objects),
        allow("RwmRestoreCopies", WRITES, ["s3:PutObject", "s3:AbortMultipartUpload", *locking], objects),
    )


def key_statement(names: Names, *, partition: str, account: str) -> Statement:
    """For the policy of the KMS key that the target encrypts with, if there is one; restore_kms_keys must name it."""
    return {
        "Sid": "RwmRestoreEncrypts",
        "Effect": "Allow",
        "Principal": {"AWS": [_role(step, names, partition, account) for step in READS]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
    }


def _role(step: str, names: Names, partition: str, account: str) -> str:
    return f"arn:{partition}:iam::{account}:role/{names.role(step)}"
