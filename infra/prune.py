"""The prune: `rwm prune` and a schedule of each repository start its workflow.

check (an execution of its own) -> plan -> ask an approver, where needed -> lease -> drop states -> apply, in two
Distributed Maps: versions, then markers -> release -> verify.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.alerts import alarm_without_end
from infra.arns import Arns
from infra.prune_steps import PruneSteps
from infra.prune_workflow import PruneWorkflow
from infra.schedule import schedule_workflow


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
        schedule_workflow(
            self,
            "prune",
            self.workflow,
            arns.names.prune_workflow,
            arns,
            each=[
                (each, each.prune_schedule, {"repository": each.name, "reason": "schedule", "dry_run": False})
                for each in arns.configuration.repositories
                if each.prune_schedule is not None
            ],
            group=schedules,
        )
        alarm_without_end(
            self,
            "Prune",
            self.workflow,
            lambda how: (
                f"A prune {how}: refused, rejected, not approved in time, stopped, or incomplete. Its "
                f"execution in {arns.names.prune_workflow} says which and why. "
                "What to do: docs/operations.md#how-a-prune-ends"
            ),
            arns,
        )
