"""The page of each repository, written to the records bucket on a schedule, where repositories.toml asks for it."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.access import read_operations, read_states
from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow
from infra.schedule import invokes, schedule, scheduler_role

STEP = "publish-pages"


class Page(Construct):
    """The function and its schedule; nothing without a `report_schedule`."""

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
        expression = arns.configuration.report_schedule
        if expression is None:
            return
        publish = Step(
            self,
            "PublishPages",
            step=STEP,
            handler="functions.page.publish.handler",
            description="Writes the page of each repository to the records bucket; reads the two tables only",
            arns=arns,
            code=code,
            permissions=_permissions(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=3008,
        )
        schedule(
            self,
            "Schedule",
            name="_publish-pages",
            expression=expression,
            target=publish.function.function_arn,
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
        alarm(
            self,
            "PublishPagesErrorsAlarm",
            metric=publish.function.metric_errors(period=EVERY, statistic="Sum"),
            description="The page of a repository at least was not written; an older one may be there. Its log says "
            "why. What to do: docs/operations.md#the-page-was-not-written",
            arns=arns,
        )


def _permissions(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="states and their entries, and which are dropped"),
        read_operations(arns, because="verdicts, holds, plans, and what prunes, drills and lock upkeep came to"),
        allow(
            "s3:PutObject",
            on=arns.records("pages/*"),
            because="the pages, and nothing else",
            wildcard="a page is named by its repository",
        ),
    ]
