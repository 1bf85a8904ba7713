"""The check: `rwm check` and a schedule of each repository start its workflow, as deep as they ask for.

posture -> record -> consistent -> plan, hash (a Distributed Map over the plan's batches), conclude -> complete,
conclude. Each level appends its own verdict, so a level that is not reached leaves those before it as they are.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from functions.domain.repositories import Repository
from infra.alerts import alarm_without_end
from infra.arns import Arns
from infra.check_steps import CheckSteps
from infra.check_workflow import CheckWorkflow
from infra.functions import Step
from infra.schedule import schedule_workflow


class Check(Construct):
    """All of the check, for every repository."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        arns: Arns,
        code: lambda_.Code,
        record: Step,
        schedules: scheduler.CfnScheduleGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        steps = CheckSteps(self, arns=arns, code=code)
        self.workflow = CheckWorkflow(self, "Workflow", arns=arns, steps=steps, record=record).machine
        cdk.CfnOutput(cdk.Stack.of(self), "CheckWorkflow", value=self.workflow.state_machine_arn)
        schedule_workflow(
            self,
            "check",
            self.workflow,
            arns.names.check_workflow,
            arns,
            each=[(each, each.check_schedule, _scheduled(each)) for each in arns.configuration.repositories],
            group=schedules,
        )
        # A finding is told by the step that made it; a check that came to no conclusion has nobody else to tell.
        alarm_without_end(
            self,
            "Check",
            self.workflow,
            lambda how: (
                f"A check {how}: a repository was not judged as deeply as it should be. Its execution in "
                f"{arns.names.check_workflow} says why. What to do: docs/operations.md#a-check-came-to-no-conclusion"
            ),
            arns,
        )


def _scheduled(repository: Repository) -> dict[str, object]:
    """All fields, as the workflow expects them: JSONata refuses what is not there."""
    return {
        "repository": repository.name,
        "level": repository.check_level,
        "state": "",
        "all": False,
        "read_data": False,
        "reason": "schedule",
        "target": None,
    }
