"""Restoring, bucket to bucket: plan -> copy (a Distributed Map over the plan's batches) -> verify -> end.

The plan announces the restore and decides; what is copied is the manifest that it wrote, pinned by its version id.
Verify always runs once there is a plan, whatever became of the copies, because it alone says what is missing.

End runs last, however it went: until then no prune of the repository drops or deletes. So each failure is remembered,
and told after it. What fails ends in a Fail state, which a redrive of Step Functions only enters again.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.access import (
    ANY_TARGET,
    DROPPED,
    RESTORES,
    append_to_operations,
    look_at_targets,
    only_partitions,
    read_states,
    read_versions,
    tell_gone_from_denied,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens, deny
from infra.workflow import (
    EXECUTION,
    NOTHING,
    NULL,
    REMEMBERED,
    for_each_batch,
    retry_lambda_trouble,
    retry_out_of_time,
    state_machine,
)

PARALLEL_BATCHES = 20
LONGEST_RESTORE = cdk.Duration.days(7)


class Restore(Construct):
    """The restore workflow and its four functions."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        self.plan = Step(
            self,
            "Plan",
            step="plan-restore",
            handler="functions.restore.plan.handler",
            description="Announces a restore and plans it: which object versions go where, or why it is refused",
            arns=arns,
            code=code,
            permissions=_plan_permissions(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=1024,
        )
        self.copy = Step(
            self,
            "Copy",
            step="copy-batch",
            handler="functions.restore.copy.handler",
            description="Copies one batch of a restore plan by version id and proves each copy",
            arns=arns,
            code=code,
            permissions=_copy_permissions(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=1024,
        )
        self.verify = Step(
            self,
            "Verify",
            step="verify-restore",
            handler="functions.restore.verify.handler",
            description="Compares a restored repository with its state and reports",
            arns=arns,
            code=code,
            permissions=_verify_permissions(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=1024,
        )
        self.end = Step(
            self,
            "End",
            step="end-restore",
            handler="functions.restore.end.handler",
            description="Takes back that a restore is under way, so that prunes go on",
            arns=arns,
            code=code,
            permissions=_end_permissions(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self.workflow = state_machine(
            self,
            name=arns.names.restore_workflow,
            step="restore",
            definition=self._definition(arns),
            invokes=("plan-restore", "copy-batch", "verify-restore", "end-restore"),
            manifests="restores/*",
            arns=arns,
            timeout=LONGEST_RESTORE,
        )
        cdk.CfnOutput(cdk.Stack.of(self), "RestoreWorkflow", value=self.workflow.state_machine_arn)

    def _definition(self, arns: Arns) -> sfn.IChainable:
        end = self._end()
        verify = tasks.LambdaInvoke.jsonata(
            self,
            "Verify restore",
            lambda_function=self.verify.function,
            payload=sfn.TaskInput.from_object(
                {
                    "plan": "{% $plan.plan %}",
                    "plan_version": "{% $plan.plan_version %}",
                    "repository": "{% $asked.repository %}",
                    "execution": EXECUTION,
                }
            ),
            assign={"report": "{% $states.result.Payload %}"},
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(verify)
        verify.add_catch(end, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        verify.next(end)

        copies = self._copies(arns)
        # Also when the map itself failed: what is missing, only verify can say.
        copies.add_catch(verify, errors=["States.ALL"])

        plan = tasks.LambdaInvoke.jsonata(
            self,
            "Plan restore",
            lambda_function=self.plan.function,
            # Whatever else was asked goes along, so that plan can refuse it by its name.
            payload=sfn.TaskInput.from_text("{% $merge([$asked, {'execution': $states.context.Execution.Name}]) %}"),
            assign={"plan": "{% $states.result.Payload %}"},
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(plan)
        plan.add_catch(end, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        plan.next(
            sfn.Choice.jsonata(self, "Anything to copy?")
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), copies.next(verify))
            .otherwise(verify)
        )
        return sfn.Pass.jsonata(
            self,
            "Begin",
            assign={"asked": "{% $states.input %}", "failure": NULL, "report": NULL},
            outputs=NOTHING,
        ).next(plan)

    def _end(self) -> sfn.IChainable:
        """What everything leads to: the announcement is taken back, then it is told how the restore went."""
        refused = sfn.Fail.jsonata(
            self,
            "Refused",
            error="RestoreRefused",
            # Lambda gives the exception as JSON; people want its message.
            cause="{% $parse($failure.Cause).errorMessage %}",
        )
        failed = sfn.Fail.jsonata(self, "Failed", error="{% $failure.Error %}", cause="{% $failure.Cause %}")
        restored = sfn.Pass.jsonata(self, "Restored", outputs="{% $report %}")
        incomplete = sfn.Fail.jsonata(
            self,
            "Incomplete",
            error="RestoreIncomplete",
            cause="{% $string($report) %}",
        )
        how = (
            sfn.Choice.jsonata(self, "How did it go?")
            .when(sfn.Condition.jsonata("{% $failure != null and $failure.Error = 'RestoreRefused' %}"), refused)
            .when(sfn.Condition.jsonata("{% $failure != null %}"), failed)
            .when(sfn.Condition.jsonata("{% $report.complete = true %}"), restored)
            .otherwise(incomplete)
        )
        end = tasks.LambdaInvoke.jsonata(
            self,
            "End restore",
            lambda_function=self.end.function,
            payload=sfn.TaskInput.from_object({"repository": "{% $asked.repository %}", "execution": EXECUTION}),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(end)
        # The next prune takes the announcement of an execution away that has ended.
        end.add_catch(how, errors=["States.ALL"], outputs=NOTHING)
        end.next(how)
        return end

    def _copies(self, arns: Arns) -> sfn.DistributedMap:
        copy = tasks.LambdaInvoke.jsonata(
            self,
            "Copy batch",
            lambda_function=self.copy.function,
            # Nothing: thousands of results would exceed the 256 KiB of a state; they are in the records bucket.
            outputs="{% {} %}",
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(copy)
        retry_out_of_time(copy)
        return for_each_batch(
            self,
            "Copy batches",
            label="copy",
            do=copy,
            parallel=PARALLEL_BATCHES,
            records=arns.records_name,
        )


_RESUMABLE = "a target must be empty or hold a part of this same state, byte for byte"


def _plan_permissions(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="reads the state that is to be restored"),
        *look_at_targets(arns, because=_RESUMABLE),
        *read_versions(
            arns,
            arns.configuration.repositories,
            because="what a target already holds and no name proves is compared with the pinned version",
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes plan, manifest and batches",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "dynamodb:PutItem",
            on=arns.operations,
            because="announces the restore, so that no prune drops or deletes; takes nothing back",
            when=only_partitions(RESTORES),
        ),
        allow(
            "dynamodb:ConditionCheckItem",
            on=arns.ledger,
            because="no restore is announced of a state that is dropped in this very moment",
            when=only_partitions(DROPPED),
        ),
    ]


def _copy_permissions(arns: Arns) -> list[Permission]:
    repositories = arns.configuration.repositories
    protected = [f"{arns.bucket(name)}/*" for name in arns.configuration.buckets]
    return [
        *read_versions(arns, repositories, because="copies the very versions that the state names"),
        *tell_gone_from_denied(arns, repositories),
        *look_at_targets(arns, because=_RESUMABLE),
        allow(
            "s3:PutObject",
            on=[f"{target}/*" for target in arns.restore_targets],
            because="writes the copies, into restore targets only",
            wildcard=ANY_TARGET,
        ),
        *(
            deny(
                "s3:PutObject",
                on=some,
                because="a protected bucket is never a target, whatever restore_targets matches",
            )
            for some in by_tens(protected)
        ),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records("restores/*"),
            because="reads its batch, by version id",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*/results/*"),
            because="writes what it copied and proved; never a plan",
            wildcard="results lie beneath their plan, by execution",
        ),
    ]


def _verify_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "s3:ListBucket",
            on=arns.restore_targets,
            because="compares the target with the state",
            wildcard=ANY_TARGET,
        ),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records("restores/*"),
            because="reads the plan by version id, and the copies' results",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "s3:ListBucket",
            on=arns.bucket(arns.records_name),
            because="finds the copies' results",
            when={"StringLike": {"s3:prefix": "restores/*"}},
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes the report",
            wildcard="a report lies beside its plan, which is named by its digest",
        ),
        append_to_operations(arns, because="appends the report's summary"),
    ]


def _end_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "dynamodb:DeleteItem",
            on=arns.operations,
            because="takes back that a restore is under way, and nothing else",
            when=only_partitions(RESTORES),
        ),
    ]
