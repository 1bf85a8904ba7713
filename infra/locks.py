"""Lock upkeep: a schedule of each repository starts `extend-retention`, which keeps what kept states name locked.

It has nothing to do with a prune or a check, and waits for neither: a lock ends whatever they say.
"""

from collections.abc import Iterator

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.access import (
    LOCKS,
    list_versions,
    only_partitions,
    read_operations,
    read_states,
    tell_people,
    versioning_and_clock,
)
from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens
from infra.schedule import invokes, schedule, scheduler_role


class Locks(Construct):
    """All of lock upkeep, for every repository."""

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
        self.extend_retention = Step(
            self,
            "ExtendRetention",
            step="extend-retention",
            handler="functions.locks.extend_retention.handler",
            description="Keeps what kept states name under Object Lock; deletes nothing and bypasses nothing",
            arns=arns,
            code=code,
            permissions=_permissions(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        role = scheduler_role(self, "extend-retention", arns, may=invokes("extend-retention", arns))
        for repository in arns.configuration.repositories:
            if repository.lock_schedule is None:
                continue
            schedule(
                self,
                f"Schedule-{repository.name}",
                # A name that no repository can take: theirs begin with a letter or a digit.
                name=f"_locks-{repository.name}",
                expression=repository.lock_schedule,
                target=self.extend_retention.function.function_arn,
                role=role,
                event={"repository": repository.name, "reason": "schedule"},
                group=schedules,
            )
        alarm(
            self,
            "ExtendRetentionErrorsAlarm",
            metric=self.extend_retention.function.metric_errors(period=EVERY, statistic="Sum"),
            description="extend-retention failed as a whole: locks were not looked at, and end when they end. Its log "
            "says why. What to do: docs/operations.md#lock-upkeep-failed",
            arns=arns,
        )


def _permissions(arns: Arns) -> list[Permission]:
    repositories = arns.configuration.repositories
    return [
        *list_versions(arns, because="what there is of what kept states name, noncurrent versions too"),
        *versioning_and_clock(arns, because="S3's clock, and whether there are locks at all"),
        *(
            allow(
                "s3:GetObjectRetention",
                on=some,
                because="a lock that lasts is left alone",
                wildcard="a state names any object of its repository",
            )
            for some in by_tens([arns.objects(repository) for repository in repositories])
        ),
        *_lock(arns),
        read_states(arns, because="what every kept state names"),
        read_operations(arns, because="how long states are kept (verdicts, holds), and what the last run came to"),
        allow(
            "dynamodb:PutItem",
            on=arns.operations,
            because="what this run came to; never a verdict, never an approval",
            when=only_partitions(LOCKS),
        ),
        tell_people(arns),
    ]


def _lock(arns: Arns) -> Iterator[Permission]:
    """Lock objects in governance mode, and for no longer than `lock_days` of their repository."""
    by_days: dict[int, list[str]] = {}
    for repository in arns.configuration.repositories:
        by_days.setdefault(repository.lock_days, []).append(arns.objects(repository))
    for days, objects in sorted(by_days.items()):
        for some in by_tens(objects):
            yield allow(
                "s3:PutObjectRetention",
                on=some,
                because="what a kept state names stays locked: in governance mode, and no longer than lock_days. To "
                "shorten a lock, or to end one, takes a bypass, which it may not",
                wildcard="a state names any object of its repository",
                # Both have to be in the request: a positive condition does not hold for a key that is not there.
                when={
                    "StringEquals": {"s3:object-lock-mode": "GOVERNANCE"},
                    "NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": str(days)},
                },
            )
