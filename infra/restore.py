"""Restoring, bucket to bucket: plan -> copy (a Distributed Map over the plan's batches) -> verify.

The plan decides; what is copied is the manifest that it wrote, pinned by its version id. Verify always runs
once there is a plan, whatever became of the copies, because it alone says what is missing.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.access import (
    ANY_TARGET,
    append_to_operations,
    look_at_targets,
    read_states,
    read_versions,
    tell_gone_from_denied,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens, deny
from infra.workflow import for_each_batch, retry_lambda_trouble, retry_out_of_time, state_machine

PARALLEL_BATCHES = 20
LONGEST_RESTORE = cdk.Duration.days(7)


class Restore(Construct):
    """The restore workflow and its three functions."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        self.plan = Step(
            self,
            "Plan",
            step="plan-restore",
            handler="functions.restore.plan.handler",
            description="Plans a restore: which object versions go where, or why it is refused",
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
        self.workflow = state_machine(
            self,
            name=arns.names.restore_workflow,
            step="restore",
            definition=self._definition(arns),
            invokes=("plan-restore", "copy-batch", "verify-restore"),
            manifests="restores/*",
            arns=arns,
            timeout=LONGEST_RESTORE,
        )
        cdk.CfnOutput(cdk.Stack.of(self), "RestoreWorkflow", value=self.workflow.state_machine_arn)

    def _definition(self, arns: Arns) -> sfn.IChainable:
        failed = sfn.Fail.jsonata(self, "Failed", error="{% $failure.Error %}", cause="{% $failure.Cause %}")
        remember = {"failure": "{% $states.errorOutput %}"}

        plan = tasks.LambdaInvoke.jsonata(
            self,
            "Plan restore",
            lambda_function=self.plan.function,
            assign={"plan": "{% $states.result.Payload %}", "repository": "{% $states.input.repository %}"},
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(plan)
        refused = sfn.Fail.jsonata(
            self,
            "Refused",
            error="RestoreRefused",
            # Lambda gives the exception as JSON; people want its message.
            cause="{% $parse($failure.Cause).errorMessage %}",
        )
        plan.add_catch(refused, errors=["RestoreRefused"], assign=remember)
        plan.add_catch(failed, errors=["States.ALL"], assign=remember)

        verify = tasks.LambdaInvoke.jsonata(
            self,
            "Verify restore",
            lambda_function=self.verify.function,
            payload=sfn.TaskInput.from_object(
                {
                    "plan": "{% $plan.plan %}",
                    "plan_version": "{% $plan.plan_version %}",
                    "repository": "{% $repository %}",
                    "execution": "{% $states.context.Execution.Name %}",
                }
            ),
            outputs="{% $states.result.Payload %}",
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(verify)
        verify.add_catch(failed, errors=["States.ALL"], assign=remember)

        copies = self._copies(arns)
        # Also when the map itself failed: what is missing, only verify can say.
        copies.add_catch(verify, errors=["States.ALL"])

        restored = sfn.Pass.jsonata(self, "Restored")
        incomplete = sfn.Fail.jsonata(
            self,
            "Incomplete",
            error="RestoreIncomplete",
            cause="{% $string($states.input) %}",
        )
        plan.next(
            sfn.Choice.jsonata(self, "Anything to copy?")
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), copies.next(verify))
            .otherwise(verify)
        )
        verify.next(
            sfn.Choice.jsonata(self, "Complete?")
            .when(sfn.Condition.jsonata("{% $states.input.complete = true %}"), restored)
            .otherwise(incomplete)
        )
        return plan

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
