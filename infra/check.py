"""The check: `check-posture` by a daily schedule of each repository, and by `rwm check`.

It looks at every bucket and at every host's rights, so it must not be able to change any of them: it reads
configuration, and appends what it found.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens
from infra.schedule import schedule, scheduler_role


class Check(Construct):
    """All of the check, for every repository."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        arns: Arns,
        code: lambda_.Code,
        schedules: scheduler.CfnScheduleGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self.posture = Step(
            self,
            "Posture",
            step="check-posture",
            handler="functions.check.posture.handler",
            description="Judges how a repository's bucket is configured and what its hosts may do",
            arns=arns,
            code=code,
            permissions=_posture_permissions(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=512,
        )
        role = scheduler_role(self, "check-posture", arns)
        for repository in arns.configuration.repositories:
            schedule(
                self,
                f"Schedule-{repository.name}",
                # A name that no repository can take: theirs begin with a letter or a digit.
                name=f"_check-posture-{repository.name}",
                expression="rate(1 day)",
                function=self.posture.function,
                role=role,
                event={"repository": repository.name, "reason": "schedule"},
                group=schedules,
            )
        cloudwatch.Alarm(
            self,
            "PostureErrorsAlarm",
            alarm_description="check-posture failed: a repository's configuration was not judged. Its log says why.",
            metric=self.posture.function.metric_errors(period=cdk.Duration.minutes(5), statistic="Sum"),
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def _posture_permissions(arns: Arns) -> list[Permission]:
    where = arns.surroundings
    buckets = [arns.bucket(name) for name in arns.configuration.buckets]
    principals = dict.fromkeys(
        principal
        for repository in arns.configuration.repositories
        for principal in (*where.hosts(repository), *where.maintenance(repository))
    )
    return [
        *(
            allow(
                "s3:GetBucketAcl",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketPolicy",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetReplicationConfiguration",
                on=some,
                because="how the bucket is configured, all of which it judges; no object and no listing",
            )
            for some in by_tens(buckets)
        ),
        *(
            allow(
                "iam:SimulatePrincipalPolicy",
                on=some,
                because="whether a host holds a right to destroy versions or to end their protection",
            )
            for some in by_tens(list(principals))
        ),
        allow("dynamodb:GetItem", on=arns.ledger, because="findings say at which state of the chain they were made"),
        allow("dynamodb:Query", on=arns.operations, because="what the last posture kept: drift is told against it"),
        allow("dynamodb:PutItem", on=arns.operations, because="findings and verdicts are appended"),
    ]
