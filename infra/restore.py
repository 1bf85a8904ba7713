"""Restoring, bucket to bucket: plan -> copy (a Distributed Map over the plan's batches) -> verify.

The plan decides; what is copied is the manifest that it wrote, pinned by its version id. Verify always runs
once there is a plan, whatever became of the copies, because it alone says what is missing.
"""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.arns import Arns
from infra.functions import Step, log_group, tracing
from infra.permission import Permission, allow, by_tens, deny
from infra.policy import make_role

PARALLEL_BATCHES = 20
LONGEST_RESTORE = cdk.Duration.days(7)

LAMBDA_TROUBLE = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
]
"""Lambda's own failures, which say nothing about the step."""
OUT_OF_TIME = ["Sandbox.Timedout", "States.Timeout"]
"""A step that ran out of time: run again, it does only what is missing."""


@jsii.implements(sfn.IItemReader)
class PinnedJsonReader(sfn.S3JsonItemReader):
    """An S3JsonItemReader that reads one version of its object, which CDK's own cannot."""

    def __init__(self, *, bucket: s3.IBucket, key: str, version_id: str) -> None:
        super().__init__(bucket=bucket, key=key)
        self._version_id = version_id

    def render(self, query_language: sfn.QueryLanguage | None = None) -> Any:
        rendered = dict(super().render(query_language))
        rendered["Arguments"] = {**rendered["Arguments"], "VersionId": self._version_id}
        return rendered


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
        self.workflow = sfn.StateMachine(
            self,
            "Workflow",
            state_machine_name=arns.names.restore_workflow,
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(self._definition(arns)),
            role=self._role(arns),
            timeout=LONGEST_RESTORE,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                # The prefix keeps CloudWatch's one resource policy for such logs from filling up.
                destination=log_group(self, "Logs", f"/aws/vendedlogs/states/{arns.names.restore_workflow}", arns),
                level=sfn.LogLevel.ALL,
                include_execution_data=False,
            ),
        )
        # CDK's own permissions for the map; those of the role are written below.
        self.workflow.node.try_remove_child("DistributedMapPolicy")
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
        _retry(plan, LAMBDA_TROUBLE)
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
        _retry(verify, LAMBDA_TROUBLE)
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
        copies = sfn.DistributedMap.jsonata(
            self,
            "Copy batches",
            label="copy",
            item_reader=PinnedJsonReader(
                bucket=s3.Bucket.from_bucket_name(self, "Records", arns.records_name),
                key="{% $plan.manifest.key %}",
                version_id="{% $plan.manifest.version_id %}",
            ),
            item_selector={
                "batch": "{% $states.context.Map.Item.Value %}",
                "plan": "{% $plan.plan %}",
                "plan_version": "{% $plan.plan_version %}",
                "execution": "{% $states.context.Execution.Name %}",
            },
            max_concurrency=PARALLEL_BATCHES,
            # One batch that fails must not stop the others: verify counts, and the next run copies what is missing.
            tolerated_failure_percentage=100,
            outputs="{% {} %}",
        )
        copy = tasks.LambdaInvoke.jsonata(
            self,
            "Copy batch",
            lambda_function=self.copy.function,
            # Nothing: thousands of results would exceed the 256 KiB of a state; they are in the records bucket.
            outputs="{% {} %}",
            retry_on_service_exceptions=False,
        )
        _retry(copy, LAMBDA_TROUBLE)
        copy.add_retry(
            errors=OUT_OF_TIME,
            interval=cdk.Duration.seconds(10),
            max_attempts=3,
            jitter_strategy=sfn.JitterType.FULL,
        )
        copies.item_processor(copy, mode=sfn.ProcessorMode.DISTRIBUTED, execution_type=sfn.ProcessorType.STANDARD)
        return copies

    def _role(self, arns: Arns) -> iam.IRole:
        return make_role(
            Construct(self, "WorkflowRole"),
            arns.names.role("restore-workflow"),
            trust=iam.PrincipalWithConditions(
                iam.ServicePrincipal("states.amazonaws.com"),
                {"StringEquals": {"aws:SourceAccount": arns.account}},
            ),
            description="Runs the restore workflow",
            permissions=_workflow_permissions(arns),
        )


def _retry(task: tasks.LambdaInvoke, errors: Sequence[str]) -> None:
    task.add_retry(
        errors=list(errors),
        interval=cdk.Duration.seconds(2),
        backoff_rate=2,
        max_attempts=6,
        max_delay=cdk.Duration.minutes(2),
        jitter_strategy=sfn.JitterType.FULL,
    )


_ANY_TARGET = "targets are chosen at restore, among those that repositories.toml allows"


def _plan_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "dynamodb:GetItem",
            "dynamodb:Query",
            on=arns.ledger,
            because="reads the state that is to be restored",
        ),
        *_look_at_targets(arns),
        *_read_versions(
            arns, because="what a target already holds and no name proves is compared with the pinned version"
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes plan, manifest and batches",
            wildcard="a plan is named by its digest",
        ),
    ]


def _copy_permissions(arns: Arns) -> list[Permission]:
    protected = [f"{arns.bucket(name)}/*" for name in arns.configuration.buckets]
    return [
        *_read_versions(arns, because="copies the very versions that the state names"),
        *(
            allow(
                "s3:ListBucket",
                on=some,
                because="without it S3 says of a version that is gone that it is denied, not that it is missing",
            )
            for some in by_tens([arns.bucket(name) for name in arns.configuration.buckets])
        ),
        *_look_at_targets(arns),
        allow(
            "s3:PutObject",
            on=[f"{target}/*" for target in arns.restore_targets],
            because="writes the copies, into restore targets only",
            wildcard=_ANY_TARGET,
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
            wildcard=_ANY_TARGET,
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
        allow("dynamodb:PutItem", on=arns.operations, because="appends the report's summary"),
    ]


def _read_versions(arns: Arns, *, because: str) -> list[Permission]:
    repositories = arns.configuration.repositories
    keys = sorted({repository.kms_key for repository in repositories if repository.kms_key})
    objects = [arns.objects(repository) for repository in repositories]
    return [
        *(
            allow(
                "s3:GetObjectVersion",
                on=some,
                because=because,
                wildcard="a state names any object of its repository",
            )
            for some in by_tens(objects)
        ),
        *(
            allow("kms:Decrypt", on=some, because="S3 decrypts what is read in the caller's name")
            for some in by_tens(keys)
        ),
    ]


def _look_at_targets(arns: Arns) -> list[Permission]:
    because = "a target must be empty or hold a part of this same state, byte for byte"
    return [
        allow("s3:ListBucket", on=arns.restore_targets, because=because, wildcard=_ANY_TARGET),
        allow(
            "s3:GetObject",
            on=[f"{target}/*" for target in arns.restore_targets],
            because=because,
            wildcard=_ANY_TARGET,
        ),
    ]


def _workflow_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "lambda:InvokeFunction",
            on=[arns.function(step) for step in ("plan-restore", "copy-batch", "verify-restore")],
            because="its three steps",
        ),
        allow(
            "states:StartExecution",
            on=arns.restore_workflow,
            because="a Distributed Map starts each child as an execution of this same workflow",
        ),
        allow(
            "states:DescribeExecution",
            "states:StopExecution",
            on=[arns.restore_executions, arns.restore_children],
            because="a Distributed Map follows its children, and stops them when it is stopped",
            wildcard="Step Functions names the children",
        ),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records("restores/*"),
            because="reads the manifest, pinned by its version id",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
            on="*",
            because="Step Functions sets up the delivery of its log in the role's name",
            wildcard="log deliveries have no resources to name",
        ),
        allow(
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            on="*",
            because="active tracing asks which requests to sample",
            wildcard="X-Ray has no resources to name",
        ),
        tracing(),
    ]
