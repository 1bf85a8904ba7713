"""Where restore drills put their copies: a bucket that empties itself.

Unversioned and without locks, so that what lifecycle deletes is gone. Nobody keeps anything here: a person's restore is
refused (functions/domain/restore/request.py).
"""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from functions.domain.bucket_policy import Statement, transport
from infra.arns import Arns
from infra.permission import acknowledge
from infra.protected_bucket import attach_policy


class DrillBucket(Construct):
    """The bucket, and who alone may write to it."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        name = arns.drills_name
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Empty",
                    expiration=cdk.Duration.days(1),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            # It cannot be deleted while anything is in it.
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "What is here is deleted after a day; the reports of drills say what was done",
        )
        attach_policy(self, self.bucket, name, _policy(arns, name))


def _policy(arns: Arns, name: str) -> list[Statement]:
    return [
        *transport(arns.bucket(name)),
        # A copy that somebody else could write would prove nothing.
        {
            "Sid": "OnlyCopyWrites",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{arns.bucket(name)}/*",
            "Condition": {
                "ArnNotEquals": {"aws:PrincipalArn": [arns.surroundings.role(arns.names.role("copy-batch"))]}
            },
        },
    ]
