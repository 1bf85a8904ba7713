"""The stack that watches: who tells people that something stopped must not fall with what stopped.

It refers to the other stacks by name only, holds no data, and can be deleted and deployed again like the flows.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from functions.domain.repositories import Configuration
from infra import functions
from infra.arns import Arns
from infra.dashboard import Dashboard
from infra.page import Page
from infra.watch import Watch


class WatchStack(cdk.Stack):
    """The watch, the page and the dashboard: what people see without asking."""

    def __init__(self, scope: Construct, configuration: Configuration, **stack: Any) -> None:
        super().__init__(
            scope,
            configuration.names.watch_stack,
            description="RWM: watches every repository and tells people; holds no data",
            **stack,
        )
        arns = Arns.of(self, configuration)
        code = functions.code(configuration)
        schedules = scheduler.CfnScheduleGroup(self, "Schedules", name=arns.names.watch_schedule_group)
        Watch(self, "Watch", arns=arns, code=code, schedules=schedules)
        Page(self, "Page", arns=arns, code=code, schedules=schedules)
        Dashboard(self, "Dashboard", arns=arns)
