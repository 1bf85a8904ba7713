"""RWM's own bucket: head digests, restore plans, reports. What it once wrote there, nobody takes away."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from functions.domain.bucket_policy import bucket_policy
from infra.arns import Arns
from infra.protected_bucket import attach_policy, worm_bucket

LOCK_DAYS = 90
"""Longer than any plan is valid; the policy below keeps versions beyond it."""


class Records(Construct):
    """The records bucket, with the denials of a protected bucket and two of its own."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        where = arns.surroundings
        self.bucket: s3.Bucket = worm_bucket(self, arns.records_name, lock_days=LOCK_DAYS)
        # Of use for an hour, and as large as what they list. Nothing goes before its lock ends.
        self.bucket.add_lifecycle_rule(
            id="ForgetListings",
            prefix="recordings/",
            expiration=cdk.Duration.days(1),
            noncurrent_version_expiration=cdk.Duration.days(1),
        )
        # Each is replaced by the next one, daily where people wish; nobody looks at last month's.
        self.bucket.add_lifecycle_rule(
            id="ForgetPages", prefix="pages/", noncurrent_version_expiration=cdk.Duration.days(1)
        )
        attach_policy(
            self,
            self.bucket,
            arns.records_name,
            [
                *bucket_policy(arns.records_name, [], where),
                # A head digest that another role could write would prove nothing about the ledger.
                _deny_but(
                    "OnlyRecordWritesHeads",
                    "s3:PutObject",
                    arns.records("heads/*"),
                    [where.role(arns.names.role(step)) for step in ("record", "close-recording")],
                ),
                # What is recorded of a large repository is what these say that it holds.
                _deny_but(
                    "OnlyListRangeWritesParts",
                    "s3:PutObject",
                    arns.records("recordings/*/parts/*"),
                    [where.role(arns.names.role("list-range"))],
                ),
                # A page that says "all is well" is believed.
                _deny_but(
                    "OnlyPublishPagesWritesPages",
                    "s3:PutObject",
                    arns.records("pages/*"),
                    [where.role(arns.names.role("publish-pages"))],
                ),
                # Hiding a head digest would make a truncated chain look whole.
                _deny_but("DenyHiding", "s3:DeleteObject", arns.records("*"), where.break_glass),
            ],
        )


def _deny_but(sid: str, action: str, resource: str, exempt: list[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    if exempt:
        statement["Condition"] = {"ArnNotEquals": {"aws:PrincipalArn": exempt}}
    return statement
