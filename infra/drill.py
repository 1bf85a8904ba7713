"""Restore drills: `rwm drill` and a schedule of each repository start the workflow.

choose -> the restore workflow, into the bucket of drills -> the check workflow on the copy, where there is a password
-> conclude. Conclude runs whatever became of the others. A drill that was concluded ends well, whatever it came to:
people were told. One that could not be concluded fails, and its alarm tells.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.domain.verdict import CheckLevel
from infra.access import DRILLS, only_partitions, read_operations, read_states, tell_people
from infra.alerts import alarm_without_end
from infra.arns import Arns
from infra.functions import Step
from infra.permission import allow
from infra.schedule import schedule_workflow
from infra.workflow import EXECUTION, NOTHING, NULL, REMEMBERED, retry_lambda_trouble, state_machine

LONGEST_DRILL = cdk.Duration.days(15)
"""A restore's seven days, and a check's."""
_REFUSED = "DrillRefused"


class Drill(Construct):
    """All of the drills, for every repository."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        arns: Arns,
        code: lambda_.Code,
        restore: sfn.IStateMachine,
        check: sfn.IStateMachine,
        schedules: scheduler.CfnScheduleGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self._restore, self._check = restore, check
        self._choose_step = Step(
            self,
            "Choose",
            step="choose-drill",
            handler="functions.drill.choose.handler",
            description="Chooses the state that a restore drill rebuilds, and how much of it",
            arns=arns,
            code=code,
            permissions=[
                read_states(arns, because="finds the last good state that is kept"),
                read_operations(arns, because="verdicts say which states are good"),
            ],
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self._conclude_step = Step(
            self,
            "Conclude",
            step="conclude-drill",
            handler="functions.drill.conclude.handler",
            description="Writes down what a restore drill came to, and tells people if it failed",
            arns=arns,
            code=code,
            permissions=[
                read_operations(arns, because="the restore's report and the verdict on its copy, as they were written"),
                allow(
                    "dynamodb:PutItem",
                    on=arns.operations,
                    because="appends the drill's report, and nothing else",
                    when=only_partitions(DRILLS),
                ),
                tell_people(arns),
            ],
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self.workflow = state_machine(
            self,
            name=arns.names.drill_workflow,
            step="drill",
            definition=self._definition(),
            invokes=("choose-drill", "conclude-drill"),
            arns=arns,
            timeout=LONGEST_DRILL,
            runs=(arns.names.restore_workflow, arns.names.check_workflow),
        )
        cdk.CfnOutput(cdk.Stack.of(self), "DrillWorkflow", value=self.workflow.state_machine_arn)
        schedule_workflow(
            self,
            "drill",
            self.workflow,
            arns.names.drill_workflow,
            arns,
            each=[
                (each, each.drill_schedule, {"repository": each.name, "reason": "schedule", "whole": False})
                for each in arns.configuration.repositories
                if each.drill_schedule is not None
            ],
            group=schedules,
        )
        alarm_without_end(
            self,
            "Drill",
            self.workflow,
            lambda how: (
                f"A restore drill {how} before it was concluded, so nobody was told what it came to. Its execution in "
                f"{arns.names.drill_workflow} says why. What to do: docs/operations.md#restore-drills"
            ),
            arns,
        )

    def _definition(self) -> sfn.IChainable:
        conclude = self._conclude()
        refused = sfn.Fail.jsonata(
            self,
            "Refused",
            error=_REFUSED,
            # Lambda gives the exception as JSON; people want its message.
            cause="{% $parse($failure.Cause).errorMessage %}",
        )
        # The schedule fires when it is deployed, which is before the first backup.
        too_early = sfn.Pass.jsonata(self, "Nothing recorded yet", outputs=NOTHING)
        begin = sfn.Pass.jsonata(
            self,
            "Begin",
            assign={"asked": "{% $states.input %}", "chosen": NULL, "failure": NULL},
            outputs=NOTHING,
        )
        choose = tasks.LambdaInvoke.jsonata(
            self,
            "Choose drill",
            lambda_function=self._choose_step.function,
            payload=sfn.TaskInput.from_object(
                {"repository": "{% $asked.repository %}", "execution": EXECUTION, "whole": "{% $asked.whole %}"}
            ),
            assign={"chosen": "{% $states.result.Payload %}"},
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(choose)
        choose.add_catch(refused, errors=[_REFUSED], assign=dict(REMEMBERED), outputs=NOTHING)
        choose.add_catch(too_early, errors=["NothingRecorded"], outputs=NOTHING)
        choose.add_catch(conclude, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        opened = self._opened(conclude)
        restore = self._run(
            "Restore",
            self._restore,
            {
                "repository": "{% $asked.repository %}",
                "state": "{% $chosen.state %}",
                "target": "{% $chosen.target %}",
                # The whole state is what is proven. Nobody uses the copy, and it is gone within two days.
                "with_revoked_keys": True,
                "sample_bytes": "{% $chosen.sample_bytes %}",
                "drill": True,
            },
            conclude,
        )
        begin.next(choose)
        choose.next(restore)
        restore.next(
            sfn.Choice.jsonata(self, "Is it opened, too?")
            .when(sfn.Condition.jsonata("{% $chosen.complete %}"), opened)
            .otherwise(conclude)
        )
        return begin

    def _opened(self, conclude: sfn.IChainable) -> sfn.IChainable:
        check = self._run(
            "Check copy",
            self._check,
            {
                "repository": "{% $asked.repository %}",
                "level": str(CheckLevel.COMPLETE),
                "state": "{% $chosen.state %}",
                "all": False,
                "read_data": True,
                "reason": "{% $asked.reason %}",
                "target": "{% $chosen.target %}",
            },
            conclude,
        )
        check.next(conclude)
        return check

    def _run(
        self, name: str, workflow: sfn.IStateMachine, asked: dict[str, object], conclude: sfn.IChainable
    ) -> tasks.StepFunctionsStartExecution:
        """Another workflow, under this execution's own name, by which its report is found."""
        run = tasks.StepFunctionsStartExecution.jsonata(
            self,
            name,
            state_machine=workflow,
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            name=EXECUTION,
            input=sfn.TaskInput.from_object(asked),
            outputs=NOTHING,
        )
        run.add_catch(conclude, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        return run

    def _conclude(self) -> sfn.IChainable:
        failed = sfn.Fail.jsonata(
            self, "Not concluded", error="DrillFailed", cause="{% $failure.Error & ': ' & $failure.Cause %}"
        )
        conclude = tasks.LambdaInvoke.jsonata(
            self,
            "Conclude drill",
            lambda_function=self._conclude_step.function,
            payload=sfn.TaskInput.from_object(
                {
                    "repository": "{% $asked.repository %}",
                    "execution": EXECUTION,
                    "reason": "{% $asked.reason %}",
                    "started_at": "{% $states.context.Execution.StartTime %}",
                    "chosen": "{% $chosen %}",
                    "failure": "{% $failure %}",
                }
            ),
            assign={"report": "{% $states.result.Payload %}"},
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(conclude)
        conclude.add_catch(failed, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        conclude.next(sfn.Pass.jsonata(self, "Concluded", outputs="{% $report %}"))
        return conclude
