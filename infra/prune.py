"""The prune: `rwm prune` and a schedule of each repository start its workflow.

check (an execution of its own) -> plan -> ask an approver, where needed -> lease -> drop states -> apply, in two
Distributed Maps: versions, then markers -> release -> verify.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.permission import allow
from infra.prune_steps import PruneSteps
from infra.prune_workflow import PruneWorkflow
from infra.schedule import schedule, scheduler_role


class Prune(Construct):
    """All of the prune, for every repository."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        arns: Arns,
        code: lambda_.Code,
        check: sfn.IStateMachine,
        schedules: scheduler.CfnScheduleGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        steps = PruneSteps(self, arns=arns, code=code)
        self.workflow = PruneWorkflow(self, "Workflow", arns=arns, steps=steps, check=check).machine
        cdk.CfnOutput(cdk.Stack.of(self), "PruneWorkflow", value=self.workflow.state_machine_arn)
        role = scheduler_role(
            self,
            "prune",
            arns,
            may=allow(
                "states:StartExecution",
                on=arns.state_machine(arns.names.prune_workflow),
                because="the schedule's one target",
            ),
        )
        for repository in arns.configuration.repositories:
            if repository.prune_schedule is None:
                continue
            schedule(
                self,
                f"Schedule-{repository.name}",
                # A name that no repository can take: theirs begin with a letter or a digit.
                name=f"_prune-{repository.name}",
                expression=repository.prune_schedule,
                target=self.workflow.state_machine_arn,
                role=role,
                event={"repository": repository.name, "reason": "schedule", "dry_run": False},
                group=schedules,
            )
        for how, metric in (
            ("failed", self.workflow.metric_failed(period=EVERY, statistic="Sum")),
            ("timed out", self.workflow.metric_timed_out(period=EVERY, statistic="Sum")),
        ):
            alarm(
                self,
                f"Prune{how.title().replace(' ', '')}Alarm",
                metric=metric,
                description=f"A prune {how}: refused, rejected, not approved in time, stopped, or incomplete. Its "
                f"execution in {arns.names.prune_workflow} says which and why; docs/operations.md says what to do.",
                arns=arns,
            )
