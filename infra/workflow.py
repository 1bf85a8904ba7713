"""What every workflow has: retries, a manifest that nobody can swap, a log, a trace, and the role it runs as."""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.arns import Arns
from infra.functions import Step, log_group, tracing
from infra.permission import Permission, allow
from infra.policy import make_role

_LAMBDA_TROUBLE = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
]
"""Lambda's own failures, which say nothing about the step."""
_OUT_OF_TIME = ["Sandbox.Timedout", "States.Timeout"]


EXECUTION = "{% $states.context.Execution.Name %}"
NOTHING = "{% {} %}"
NULL = "{% null %}"
"""As an expression: jsii leaves out a None."""
OF_THE_PLAN: Mapping[str, str] = {
    "plan": "{% $plan.plan %}",
    "plan_version": "{% $plan.plan_version %}",
    "execution": EXECUTION,
}
REMEMBERED: Mapping[str, str] = {"failure": "{% $states.errorOutput %}"}
"""What a Catch assigns, so that the end it leads to can tell."""


def invoke(
    scope: Construct,
    name: str,
    step: Step,
    payload: Mapping[str, str],
    *,
    assign: Mapping[str, str],
    ends: Mapping[str, sfn.IChainable],
) -> tasks.LambdaInvoke:
    """A step that must succeed: any error ends the workflow, at the first of `ends` that has its name."""
    task = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=step.function,
        payload=sfn.TaskInput.from_object(dict(payload)),
        assign=dict(assign),
        outputs=NOTHING,
        retry_on_service_exceptions=False,
    )
    retry_lambda_trouble(task)
    for error, end in ends.items():
        task.add_catch(end, errors=[error], assign=dict(REMEMBERED))
    return task


def retry_lambda_trouble(task: tasks.LambdaInvoke) -> None:
    """Try again when Lambda itself fails."""
    task.add_retry(
        errors=_LAMBDA_TROUBLE,
        interval=cdk.Duration.seconds(2),
        backoff_rate=2,
        max_attempts=6,
        max_delay=cdk.Duration.minutes(2),
        jitter_strategy=sfn.JitterType.FULL,
    )


def retry_out_of_time(task: tasks.LambdaInvoke) -> None:
    """Try a batch again that ran out of time: it does only what is missing."""
    task.add_retry(
        errors=_OUT_OF_TIME,
        interval=cdk.Duration.seconds(10),
        max_attempts=3,
        jitter_strategy=sfn.JitterType.FULL,
    )


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


def batch_step(scope: Construct, name: str, step: Step) -> tasks.LambdaInvoke:
    """What a map does for each batch: it may be run again, and what came of it is in the records bucket."""
    task = tasks.LambdaInvoke.jsonata(
        scope,
        name,
        lambda_function=step.function,
        # Nothing: thousands of results would exceed the 256 KiB of a state.
        outputs=NOTHING,
        retry_on_service_exceptions=False,
    )
    retry_lambda_trouble(task)
    retry_out_of_time(task)
    return task


def for_each_batch(
    scope: Construct,
    name: str,
    *,
    label: str,
    do: tasks.LambdaInvoke,
    parallel: int,
    records: str,
    manifest: str = "$plan.manifest",
    item: str = "batch",
    gives: Mapping[str, str] = OF_THE_PLAN,
    more: Mapping[str, str] | None = None,
    all_needed: bool = False,
) -> sfn.DistributedMap:
    """`do` for each item of a manifest, which is that of the plan in variable `$plan` unless said otherwise, `parallel`
    at a time.

    `do` is given the `item` by that name, and what `gives` and `more` select. `all_needed`: one that fails fails all.
    """
    batches = sfn.DistributedMap.jsonata(
        scope,
        name,
        label=label,
        item_reader=PinnedJsonReader(
            bucket=s3.Bucket.from_bucket_name(scope, f"Records-{label}", records),
            key=f"{{% {manifest}.key %}}",
            version_id=f"{{% {manifest}.version_id %}}",
        ),
        item_selector={
            item: "{% $states.context.Map.Item.Value %}",
            **gives,
            **(more or {}),
        },
        max_concurrency=parallel,
        # Else one that fails must not stop the others: the step that follows tells what is missing.
        tolerated_failure_percentage=0 if all_needed else 100,
        # Nothing: thousands of results would exceed the 256 KiB of a state; they are in the records bucket.
        outputs="{% {} %}",
    )
    batches.item_processor(do, mode=sfn.ProcessorMode.DISTRIBUTED, execution_type=sfn.ProcessorType.STANDARD)
    return batches


def state_machine(
    scope: Construct,
    *,
    name: str,
    step: str,
    definition: sfn.IChainable,
    invokes: Sequence[str],
    manifests: str = "",
    arns: Arns,
    timeout: cdk.Duration,
    runs: Sequence[str] = (),
) -> sfn.StateMachine:
    """The state machine `name`, which runs as role `<step>-workflow`.

    It may invoke the steps `invokes`, and read the manifests of its map, `manifests` in the records bucket; without
    any it has no map. It may run the workflows `runs`, and wait for their ends.
    """
    machine = sfn.StateMachine(
        scope,
        "Workflow",
        state_machine_name=name,
        query_language=sfn.QueryLanguage.JSONATA,
        definition_body=sfn.DefinitionBody.from_chainable(definition),
        role=make_role(
            Construct(scope, "WorkflowRole"),
            arns.names.role(f"{step}-workflow"),
            trust=iam.PrincipalWithConditions(
                iam.ServicePrincipal("states.amazonaws.com"),
                {"StringEquals": {"aws:SourceAccount": arns.account}},
            ),
            description=f"Runs the {step} workflow",
            permissions=[
                allow("lambda:InvokeFunction", on=[arns.function(step) for step in invokes], because="its steps"),
                *(_map(arns, name, manifests) if manifests else ()),
                *_log_and_trace(),
                *(_run_others(arns, runs) if runs else ()),
            ],
        ),
        timeout=timeout,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            # The prefix keeps CloudWatch's one resource policy for such logs from filling up.
            destination=log_group(scope, "Logs", f"/aws/vendedlogs/states/{name}", arns),
            level=sfn.LogLevel.ALL,
            include_execution_data=False,
        ),
    )
    # CDK's own permissions for the map; those of the role are written below.
    machine.node.try_remove_child("DistributedMapPolicy")
    return machine


def _run_others(arns: Arns, workflows: Sequence[str]) -> list[Permission]:
    return [
        allow(
            "states:StartExecution",
            on=[arns.state_machine(each) for each in workflows],
            because="runs it as a part of this one",
        ),
        allow(
            "states:DescribeExecution",
            "states:StopExecution",
            on=[arns.executions(each) for each in workflows],
            because="waits for its end, and stops it when it is stopped itself",
            wildcard="an execution is named when it is started",
        ),
        allow(
            "events:DescribeRule",
            "events:PutRule",
            "events:PutTargets",
            on=arns.end_of_executions,
            because="Step Functions learns of the end by a rule that it makes in the role's name",
        ),
    ]


def _map(arns: Arns, name: str, manifests: str) -> list[Permission]:
    return [
        allow(
            "states:StartExecution",
            on=arns.state_machine(name),
            because="a Distributed Map starts each child as an execution of this same workflow",
        ),
        allow(
            "states:DescribeExecution",
            "states:StopExecution",
            on=[arns.executions(name), arns.map_children(name)],
            because="a Distributed Map follows its children, and stops them when it is stopped",
            wildcard="Step Functions names the children",
        ),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records(manifests),
            because="reads the manifest, pinned by its version id",
            wildcard="a manifest lies beside its plan, which is named when it is made",
        ),
    ]


def _log_and_trace() -> list[Permission]:
    return [
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
