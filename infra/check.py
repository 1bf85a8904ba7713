"""The check: `rwm check` and a schedule of each repository start its workflow, as deep as they ask for.

posture -> record -> consistent -> plan, hash (a Distributed Map over the plan's batches), conclude -> complete,
conclude. Each level appends its own verdict, so a level that is not reached leaves those before it as they are.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from functions.domain.repositories import Repository
from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.check_steps import CheckSteps
from infra.check_workflow import CheckWorkflow
from infra.functions import Step
from infra.permission import allow
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
        record: Step,
        schedules: scheduler.CfnScheduleGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        steps = CheckSteps(self, arns=arns, code=code)
        self.workflow = CheckWorkflow(self, "Workflow", arns=arns, steps=steps, record=record).machine
        cdk.CfnOutput(cdk.Stack.of(self), "CheckWorkflow", value=self.workflow.state_machine_arn)
        role = scheduler_role(
            self,
            "check",
            arns,
            may=allow(
                "states:StartExecution",
                on=arns.state_machine(arns.names.check_workflow),
                because="the schedule's one target",
            ),
        )
        for repository in arns.configuration.repositories:
            schedule(
                self,
                f"Schedule-{repository.name}",
                # A name that no repository can take: theirs begin with a letter or a digit.
                name=f"_check-{repository.name}",
                expression=repository.check_schedule,
                target=self.workflow.state_machine_arn,
                role=role,
                event=_scheduled(repository),
                group=schedules,
            )
        # A finding is told by the step that made it; a check that came to no conclusion has nobody else to tell.
        for how, metric in (
            ("failed", self.workflow.metric_failed(period=EVERY, statistic="Sum")),
            ("timed out", self.workflow.metric_timed_out(period=EVERY, statistic="Sum")),
        ):
            alarm(
                self,
                f"Check{how.title().replace(' ', '')}Alarm",
                metric=metric,
                description=f"A check {how}: a repository was not judged as deeply as it should be. Its execution in "
                f"{arns.names.check_workflow} says why; docs/operations.md says what to do.",
                arns=arns,
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
