"""The watch: one function and one schedule for the whole deployment, and the alarm that tells when it does not run."""

from datetime import timedelta

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.access import WATCHED, only_partitions, read_operations, read_states, tell_people
from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow
from infra.schedule import invokes, schedule, scheduler_role

STEP = "watch"


class Watch(Construct):
    """All of the watch, for every repository."""

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
        self.watch = Step(
            self,
            "Watch",
            step=STEP,
            handler="functions.watch.watch.handler",
            description="Tells people what begins to be wrong with a repository, and what is over",
            arns=arns,
            code=code,
            permissions=_permissions(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=1024,
            environment={
                "RWM_PRUNE_WORKFLOW": arns.state_machine(arns.names.prune_workflow),
                "RWM_DEAD_LETTERS": arns.names.dead_letters,
            },
        )
        schedule(
            self,
            "Schedule",
            name="_watch",
            expression=arns.configuration.watch_schedule,
            target=self.watch.function.function_arn,
            role=scheduler_role(
                self,
                STEP,
                arns,
                may=invokes(STEP, arns),
                group=arns.watch_schedule_group,
            ),
            event={"reason": "schedule"},
            group=schedules,
        )
        self._alarms(arns)

    def _alarms(self, arns: Arns) -> None:
        alarm(
            self,
            "WatchErrorsAlarm",
            metric=self.watch.function.metric_errors(period=EVERY, statistic="Sum"),
            description="The watch failed for a repository at least, so that what is wrong with it may be told to "
            "nobody. Its log says for which and why. What to do: docs/operations.md#the-watch-failed",
            arns=arns,
        )
        alarm(
            self,
            "WatchSilentAlarm",
            metric=self.watch.function.metric_invocations(
                period=_within(arns.configuration.watch_interval), statistic="Sum"
            ),
            description="The watch does not run: whatever is wrong, nobody is told. "
            "What to do: docs/operations.md#the-watch-does-not-run",
            arns=arns,
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )


def _within(interval: timedelta) -> cdk.Duration:
    """In which it has to run once: two intervals, as an alarm counts them, in whole minutes."""
    return cdk.Duration.minutes(max(5, int(2 * interval / timedelta(minutes=1))))


def _permissions(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="when the newest state was recorded, and of which time it is"),
        read_operations(arns, because="verdicts, postures, plans, drills, locks, and what the last watch kept"),
        allow(
            "dynamodb:PutItem",
            on=arns.operations,
            because="what it told, so that people hear of it once; never a verdict, never an approval",
            when=only_partitions(WATCHED),
        ),
        allow(
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            on=arns.dead_letters,
            because="how many events nobody could answer; it reads none of them",
        ),
        allow(
            "states:ListExecutions",
            on=arns.state_machine(arns.names.prune_workflow),
            because="which prunes ended, and how",
        ),
        allow(
            "states:DescribeExecution",
            on=arns.executions(arns.names.prune_workflow),
            because="which repository a prune was for, and why it failed",
            wildcard="Step Functions and people name executions",
        ),
        tell_people(arns),
    ]
