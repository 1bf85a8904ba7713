"""A schedule of EventBridge Scheduler that invokes one function, and the role with which it does."""

import json
from collections.abc import Mapping

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.arns import Arns
from infra.permission import allow
from infra.policy import make_role


def scheduler_role(scope: Construct, step: str, arns: Arns) -> iam.IRole:
    """Lets the deployment's schedules invoke `step`, and nothing else."""
    only_ours = {
        "StringEquals": {"aws:SourceAccount": arns.account},
        "ArnEquals": {"aws:SourceArn": arns.schedule_group},
    }
    return make_role(
        Construct(scope, f"SchedulerRole-{step}"),
        arns.names.role(f"{step}-schedule"),
        trust=iam.PrincipalWithConditions(iam.ServicePrincipal("scheduler.amazonaws.com"), only_ours),
        description=f"Lets EventBridge Scheduler invoke {step}",
        permissions=[
            allow("lambda:InvokeFunction", on=arns.function(step), because="the schedule's one target"),
        ],
    )


def schedule(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    expression: str,
    function: lambda_.Function,
    role: iam.IRole,
    event: Mapping[str, str],
    group: scheduler.CfnScheduleGroup,
) -> scheduler.CfnSchedule:
    """The schedule `name` in the deployment's group."""
    made = scheduler.CfnSchedule(
        scope,
        construct_id,
        name=name,
        group_name=group.name,
        schedule_expression=expression,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=function.function_arn,
            role_arn=role.role_arn,
            input=json.dumps(dict(event)),
            # The next one comes soon enough: no tail of late runs after an outage.
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=3600, maximum_retry_attempts=5
            ),
        ),
    )
    # By name only, so CloudFormation cannot know what comes first.
    made.add_resource_dependency(group)
    return made
