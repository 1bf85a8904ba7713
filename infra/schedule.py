"""A schedule of EventBridge Scheduler with its one target, and the role with which it calls it."""

import json
from collections.abc import Iterable, Mapping

from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from functions.domain.repositories import Repository
from infra.arns import Arns
from infra.permission import Permission, allow
from infra.policy import make_role

_ONE_TARGET = "the schedule's one target"


def scheduler_role(scope: Construct, step: str, arns: Arns, *, may: Permission, group: str | None = None) -> iam.IRole:
    """Lets the schedules of `group`, an ARN, do the one thing that they `may`, which `step` names.

    `group` is that of the flows unless another is given.
    """
    only_ours = {
        "StringEquals": {"aws:SourceAccount": arns.account},
        "ArnEquals": {"aws:SourceArn": group or arns.schedule_group},
    }
    return make_role(
        Construct(scope, f"SchedulerRole-{step}"),
        arns.names.role(f"{step}-schedule"),
        trust=iam.PrincipalWithConditions(iam.ServicePrincipal("scheduler.amazonaws.com"), only_ours),
        description=f"Lets EventBridge Scheduler start {step}",
        permissions=[may],
    )


def invokes(step: str, arns: Arns) -> Permission:
    """What the schedules of a function may."""
    return allow("lambda:InvokeFunction", on=arns.function(step), because=_ONE_TARGET)


def schedule_workflow(
    scope: Construct,
    step: str,
    workflow: sfn.IStateMachine,
    name: str,
    arns: Arns,
    *,
    each: Iterable[tuple[Repository, str, Mapping[str, object]]],
    group: scheduler.CfnScheduleGroup,
) -> None:
    """A schedule `_<step>-<repository>` of `workflow`, which is called `name`, for `each` (repository, expression,
    input)."""
    role = scheduler_role(
        scope,
        step,
        arns,
        may=allow("states:StartExecution", on=arns.state_machine(name), because=_ONE_TARGET),
    )
    for repository, expression, event in each:
        schedule(
            scope,
            f"Schedule-{repository.name}",
            # A name that no repository can take: theirs begin with a letter or a digit.
            name=f"_{step}-{repository.name}",
            expression=expression,
            target=workflow.state_machine_arn,
            role=role,
            event=event,
            group=group,
        )


def schedule(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    expression: str,
    target: str,
    role: iam.IRole,
    event: Mapping[str, object],
    group: scheduler.CfnScheduleGroup,
) -> scheduler.CfnSchedule:
    """The schedule `name` in the deployment's group; it gives `event` to `target`, an ARN."""
    made = scheduler.CfnSchedule(
        scope,
        construct_id,
        name=name,
        group_name=group.name,
        schedule_expression=expression,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=target,
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
