"""A bucket whose object versions last: created here, with the policy of functions/domain/bucket_policy.py.

An adopted bucket is somebody else's to configure: nothing is created for it, permissions only name it, and
`rwm connect` prints the same policy.
"""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from functions.domain.bucket_policy import Statement, Surroundings, bucket_policy
from functions.domain.repositories import Repository
from infra.permission import acknowledge
from infra.policy import BUCKET_POLICY_LIMIT, refuse_too_large


class ProtectedBucket(Construct):
    """One bucket and the repositories in it, which agree on whatever is the bucket's."""

    def __init__(
        self, scope: Construct, construct_id: str, *, repositories: Sequence[Repository], where: Surroundings
    ) -> None:
        super().__init__(scope, construct_id)
        shared = repositories[0]
        self.bucket = worm_bucket(self, shared.bucket, lock_days=shared.lock_days, kms_key=shared.kms_key)
        attach_policy(self, self.bucket, shared.bucket, bucket_policy(shared.bucket, repositories, where))
        # With an account number instead of its placeholder, which is longer.
        deployed = Surroundings("aws-us-gov", "0" * 12, where.configuration)
        refuse_too_large(
            f"the policy of bucket {shared.bucket}",
            _document(bucket_policy(shared.bucket, repositories, deployed)),
            BUCKET_POLICY_LIMIT,
            "give its repositories fewer hosts, or buckets of their own",
        )


def worm_bucket(scope: Construct, name: str, *, lock_days: int, kms_key: str | None = None) -> s3.Bucket:
    """A versioned bucket, each new version of which is under governance retention for `lock_days`."""
    key = kms.Key.from_key_arn(scope, "Key", kms_key) if kms_key else None
    bucket = s3.Bucket(
        scope,
        "Bucket",
        bucket_name=name,
        versioned=True,
        object_lock_enabled=True,
        # Governance, not compliance: a mistake with compliance is paid for until it ends.
        object_lock_default_retention=s3.ObjectLockRetention.governance(cdk.Duration.days(lock_days)),
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        bucket_key_enabled=True if key else None,
        # Ransomware re-encrypts in place with a key that nobody else has.
        blocked_encryption_types=[s3.BlockedEncryptionType.SSE_C],
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        # An upload is as old as its initiation: an old one completed later would lie beneath recorded cuts.
        lifecycle_rules=[
            s3.LifecycleRule(id="AbortIncompleteUploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(1))
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    acknowledge(
        bucket,
        "AwsSolutions-S1",
        "Server access logs are best effort and need a bucket of their own; CloudTrail data events, which an "
        "administrator turns on for the account, are the record of who asked for what",
    )
    return bucket


def attach_policy(
    scope: Construct, bucket: s3.Bucket, name: str, statements: Sequence[Statement]
) -> s3.CfnBucketPolicy:
    """Exactly these statements: CDK's own would be merged and reordered, and `rwm connect` prints them, too."""
    policy = s3.CfnBucketPolicy(scope, "Policy", bucket=name, policy_document=_document(statements))
    # By name, as its statements have it; so CloudFormation must be told what comes first.
    policy.node.add_dependency(bucket)
    # A bucket that outlives its stack keeps its protection.
    policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return policy


def _document(statements: Sequence[Statement]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
