"""The functions of the prune, each with its exact permissions beside it.

What destroys is torn apart: who plans cannot delete, who approves can neither plan nor delete, who drops states
touches no bucket, and the one that deletes versions writes nothing that it decides by. `approve` and `hold` are called
by approvers alone.
"""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.domain.repositories import Repository
from infra.access import (
    APPROVALS,
    DROPPED,
    HOLDS,
    PLANS,
    PRUNE_LEASE,
    RESTORES,
    TASK_TOKENS,
    append_to_operations,
    list_versions,
    only_partitions,
    read_files,
    read_operations,
    read_states,
    tell_missing_from_denied,
    tell_people,
    versioning_and_clock,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens


class PruneSteps:
    """The steps of the workflow in their order, then what approvers call; all directly beneath `scope`."""

    def __init__(self, scope: Construct, *, arns: Arns, code: lambda_.Code) -> None:
        self.plan = Step(
            scope,
            "Plan",
            step="plan-prune",
            handler="functions.prune.plan.handler",
            description="Plans which object versions may go; deletes nothing",
            arns=arns,
            code=code,
            permissions=_plan(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=3008,
        )
        self.ask_approval = Step(
            scope,
            "AskApproval",
            step="ask-approval",
            handler="functions.prune.ask_approval.handler",
            description="Tells approvers of a prune plan, and keeps what wakes its workflow",
            arns=arns,
            code=code,
            permissions=_ask_approval(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self.lease = Step(
            scope,
            "Lease",
            step="lease-prune",
            handler="functions.prune.lease.handler",
            description="Takes and releases the lease that makes one prune at a time",
            arns=arns,
            code=code,
            permissions=_lease(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
            environment={
                "RWM_PRUNE_WORKFLOW": arns.state_machine(arns.names.prune_workflow),
                "RWM_RESTORE_WORKFLOW": arns.state_machine(arns.names.restore_workflow),
                "RWM_DIRECTORY_WORKFLOW": arns.state_machine(arns.names.directory_workflow),
            },
        )
        self.drop_states = Step(
            scope,
            "DropStates",
            step="drop-states",
            handler="functions.prune.drop_states.handler",
            description="Marks states that retention keeps no longer; touches no bucket",
            arns=arns,
            code=code,
            permissions=_drop_states(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.apply = Step(
            scope,
            "Apply",
            step="apply-prune",
            handler="functions.prune.apply.handler",
            description="Deletes the object versions of one batch of an approved plan, each confirmed just before",
            arns=arns,
            code=code,
            permissions=_apply(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.verify = Step(
            scope,
            "Verify",
            step="verify-prune",
            handler="functions.prune.verify.handler",
            description="Looks whether every kept state is whole after a prune, and reports what it reclaimed",
            arns=arns,
            code=code,
            permissions=_verify(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=3008,
        )
        self.approve = Step(
            scope,
            "Approve",
            step="approve",
            handler="functions.prune.approve.handler",
            description="Writes down what an approver decided on a prune plan, once",
            arns=arns,
            code=code,
            permissions=_approve(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self.hold = Step(
            scope,
            "Hold",
            step="hold",
            handler="functions.prune.hold.handler",
            description="Holds a state so that no prune drops it, and releases it",
            arns=arns,
            code=code,
            permissions=_hold(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )


_AN_EXECUTION = "a prune's files are named by its repository and its execution"
_DECIDED_BY = "lease, holds, verdicts, the plan's place on the shelf and what was decided on it"
_CLOCK = "S3's clock, by which plans expire"


def _plan(arns: Arns) -> list[Permission]:
    return [
        *list_versions(arns, because="every version and marker, since what no kept state names may go"),
        *versioning_and_clock(arns, because="S3's clock, and whether versioning is on and stays on"),
        read_states(arns, because="what every kept state names"),
        read_operations(arns, because="verdicts, what people hold, and what they approved"),
        allow(
            "s3:PutObject",
            on=[
                arns.records(f"prunes/*/{file}") for file in ("plan.json", "versions.json", "markers.json", "batches/*")
            ],
            because="writes plan, manifests and batches; never a result or a report",
            wildcard=_AN_EXECUTION,
        ),
        _put(arns, PLANS, because="puts the plan on the shelf; never an approval or a verdict"),
    ]


def _ask_approval(arns: Arns) -> list[Permission]:
    return [
        read_operations(arns, because="the plan, and whether it was decided on"),
        _put(arns, TASK_TOKENS, because="keeps what wakes the workflow; never an approval"),
        tell_people(arns),
        _wake(arns, because="goes on at once where it was decided before"),
    ]


def _lease(arns: Arns) -> list[Permission]:
    return [
        read_operations(arns, because="who has the lease, and which restores are under way"),
        allow(
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            on=arns.operations,
            because="takes and releases the lease, and nothing else",
            when=only_partitions(PRUNE_LEASE),
        ),
        allow(
            "dynamodb:DeleteItem",
            on=arns.operations,
            because="takes away what a restore announced that ended without its last step",
            when=only_partitions(RESTORES),
        ),
        allow(
            "states:DescribeExecution",
            on=[
                arns.executions(workflow)
                for workflow in (arns.names.prune_workflow, arns.names.restore_workflow, arns.names.directory_workflow)
            ],
            because="whether the execution that has the lease, or that announced a restore, has ended",
            wildcard="an execution is named when it is started",
        ),
    ]


def _drop_states(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="the chain, and what newer states name"),
        allow(
            "dynamodb:ConditionCheckItem",
            on=arns.ledger,
            because="no state is dropped beside one that is recorded just now",
        ),
        _put(arns, DROPPED, table=arns.ledger, because="marks states dropped; never a header, a head or a chunk"),
        read_operations(arns, because=_DECIDED_BY),
        allow(
            "dynamodb:ConditionCheckItem",
            on=arns.operations,
            because="nobody holds what is dropped, and nobody else prunes",
            when=only_partitions(HOLDS, PRUNE_LEASE),
        ),
        read_files(arns, "prunes/*", because="reads the plan and its batches, by version id", wildcard=_AN_EXECUTION),
        allow("s3:GetBucketVersioning", on=arns.bucket(arns.records_name), because=_CLOCK),
    ]


def _apply(arns: Arns) -> list[Permission]:
    """The one role that destroys, so it writes nothing but what became of its batches."""
    repositories = arns.configuration.repositories
    return [
        *_on_versions(
            arns,
            repositories,
            "s3:DeleteObjectVersion",
            because="deletes what an approved plan names, once confirmed; no other role has this",
        ),
        *_on_versions(
            arns,
            [each for each in repositories if each.bypass_governance],
            "s3:BypassGovernanceRetention",
            because="only where repositories.toml says bypass_governance",
        ),
        *list_versions(arns, because="confirms each version in its key's full history, just before and after the call"),
        *_pending_uploads(arns),
        *versioning_and_clock(arns, because="S3's clock, and whether versioning and Object Lock are as planned"),
        read_states(arns, because="what every state that is kept now names"),
        read_operations(arns, because=_DECIDED_BY),
        read_files(arns, "prunes/*", because="reads the plan and its batch, by version id", wildcard=_AN_EXECUTION),
        allow(
            "s3:PutObject",
            on=arns.records("prunes/*/results/*"),
            because="writes what became of its batch; never a plan",
            wildcard=_AN_EXECUTION,
        ),
    ]


def _verify(arns: Arns) -> list[Permission]:
    return [
        *list_versions(arns, because="what is there now: it believes no one's word on what was deleted"),
        *versioning_and_clock(arns, because="S3's clock"),
        read_states(arns, because="what every kept state names must be there"),
        read_files(
            arns,
            "prunes/*",
            because="reads the plan by version id, and what became of its batches",
            wildcard=_AN_EXECUTION,
        ),
        tell_missing_from_denied(arns),
        allow(
            "s3:PutObject",
            on=arns.records("prunes/*/report.json"),
            because="writes the report; never a plan or a result",
            wildcard=_AN_EXECUTION,
        ),
        append_to_operations(arns, because="appends the report's summary"),
        tell_people(arns),
    ]


def _approve(arns: Arns) -> list[Permission]:
    return [
        allow(
            "dynamodb:Query",
            on=arns.operations,
            because="the plan, what was decided before, and what wakes the workflow",
            when=only_partitions(PLANS, APPROVALS, TASK_TOKENS),
        ),
        _put(arns, APPROVALS, because="writes down a decision; never a plan, a verdict or a token"),
        _wake(arns, because="lets the workflow that waits go on, or end"),
        allow("s3:GetBucketVersioning", on=arns.bucket(arns.records_name), because=_CLOCK),
    ]


def _hold(arns: Arns) -> list[Permission]:
    return [
        allow("dynamodb:Query", on=arns.ledger, because="the states, and which of them are dropped"),
        allow(
            "dynamodb:ConditionCheckItem",
            on=arns.ledger,
            because="a state that is dropped in this very moment is not held",
            when=only_partitions(DROPPED),
        ),
        allow(
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            on=arns.operations,
            because="holds and releases states, and nothing else",
            when=only_partitions(HOLDS),
        ),
    ]


def _on_versions(arns: Arns, repositories: Sequence[Repository], action: str, *, because: str) -> list[Permission]:
    return [
        allow(action, on=some, because=because, wildcard="a plan names any object of its repository")
        for some in by_tens([arns.objects(repository) for repository in repositories])
    ]


def _pending_uploads(arns: Arns) -> list[Permission]:
    """Of whole buckets: S3 has no condition on the prefix for this."""
    return [
        allow(
            "s3:ListBucketMultipartUploads",
            on=some,
            because="a marker stays while an upload to its key is pending",
        )
        for some in by_tens([arns.bucket(name) for name in arns.configuration.buckets])
    ]


def _put(arns: Arns, partitions: str, *, because: str, table: str | None = None) -> Permission:
    return allow("dynamodb:PutItem", on=table or arns.operations, because=because, when=only_partitions(partitions))


def _wake(arns: Arns, *, because: str) -> Permission:
    return allow(
        "states:SendTaskFailure",
        "states:SendTaskSuccess",
        on=arns.state_machine(arns.names.prune_workflow),
        because=because,
    )
