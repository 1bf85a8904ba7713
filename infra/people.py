"""The roles of people: an operator starts things, an approver decides, a downloader fetches backups; nobody is two of
them by one role.

A role is made only when repositories.toml says who may assume it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from functions.domain.restore.request import TO_DIRECTORY
from infra.access import read_operations, read_states, read_versions, tell_gone_from_denied
from infra.arns import Arns
from infra.permission import Permission, allow
from infra.policy import TRUST_LIMIT, make_role, refuse_too_large

_TRUST_FRAME = 80
"""Characters of a trust policy that are the same for all: version, effect, action."""


class People(Construct):
    """`operator`, `downloader` and, with MFA, `approver`."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        configuration = arns.configuration
        if configuration.operators:
            self._role(
                "operator",
                arns,
                trust=_trusting(configuration.operators),
                permissions=[*_reading(arns), *_operating(arns)],
                description="Starts recordings, checks, prunes and restores, and reads what came of them",
            )
        if configuration.approvers:
            self._role(
                "approver",
                arns,
                trust=_trusting(configuration.approvers, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
                permissions=[*_reading(arns), *_approving(arns)],
                description="Reads what is to be approved, approves it, holds states, and lays findings to rest",
            )

        if configuration.downloaders:
            self._role(
                "downloader",
                arns,
                trust=_trusting(configuration.downloaders),
                permissions=_downloading(arns),
                description="Restores a repository to a directory: reads its versions, and keeps prunes away meanwhile",
            )

    def _role(
        self, person: str, arns: Arns, *, trust: iam.IPrincipal, permissions: list[Permission], description: str
    ) -> None:
        scope = Construct(self, person.capitalize())
        name = arns.names.role(person)
        role = make_role(scope, name, trust=trust, permissions=permissions, description=description)
        cdk.CfnOutput(cdk.Stack.of(self), f"{person.capitalize()}Role", value=role.role_arn, description=description)


class _AnyOf(iam.PrincipalBase):
    """Several people in one statement: CDK's CompositePrincipal repeats the statement for each."""

    def __init__(self, arns: Sequence[str], conditions: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._fragment = iam.PrincipalPolicyFragment({"AWS": list(arns)}, conditions)

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        return self._fragment

    def dedupe_string(self) -> str | None:
        return None


def _trusting(people: Sequence[str], conditions: Mapping[str, Any] | None = None) -> iam.IPrincipal:
    refuse_too_large(
        "the trust policy of operators or approvers or downloaders",
        {"Statement": [{"Principal": {"AWS": list(people)}, "Condition": conditions, "": "x" * _TRUST_FRAME}]},
        TRUST_LIMIT,
        "let fewer people assume the role, or one role that they share",
    )
    return _AnyOf(people, conditions)


def _reading(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="states are shown from the ledger"),
        read_operations(arns, "dynamodb:GetItem", because="findings, plans, holds and reports are shown from there"),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records("prunes/*"),
            because="what a prune plan would delete, and what a prune deleted, is shown from the records bucket",
            wildcard="a prune's files are named by its repository and its execution",
        ),
        allow(
            "s3:GetObject",
            on=arns.records("pages/*"),
            because="the published pages are fetched from there",
            wildcard="a page is named by its repository",
        ),
        allow(
            "ssm:GetParametersByPath",
            on=[arns.repository_parameters, f"{arns.repository_parameters}/*"],
            because="the rwm command learns here what is deployed",
            wildcard="the path's parameters, one for each repository",
        ),
    ]


def _operating(arns: Arns) -> list[Permission]:
    names = arns.names
    workflows = (names.check_workflow, names.prune_workflow, names.restore_workflow, names.drill_workflow)
    return [
        allow(
            "lambda:InvokeFunction",
            on=arns.function("record"),
            because="`rwm record` asks for a recording now",
        ),
        allow(
            "lambda:InvokeFunction",
            on=arns.function("check-posture"),
            because="`rwm check --level posture` waits for one function's answer, without the workflow",
        ),
        allow(
            "states:StartExecution",
            on=[arns.state_machine(workflow) for workflow in workflows],
            because="`rwm check`, `rwm prune`, `rwm restore` and `rwm drill` start their workflow",
        ),
        allow(
            "states:DescribeExecution",
            "states:GetExecutionHistory",
            "states:ListMapRuns",
            on=[arns.executions(workflow) for workflow in (*workflows, names.directory_workflow)],
            because="they follow it to its end; `rwm restores` says which downloads are going on",
            wildcard="an execution is named when it is started",
        ),
        allow(
            "states:DescribeMapRun",
            on=[arns.map_runs(workflow) for workflow in workflows],
            because="the progress bar counts batches",
            wildcard="Step Functions names map runs",
        ),
        allow(
            "s3:GetObject",
            on=arns.records("heads/*"),
            because="`rwm ledger verify` compares the ledger with the heads that were written down beside it",
            wildcard="heads are named by repository, generation and state",
        ),
        allow(
            "s3:ListBucket",
            on=arns.bucket(arns.records_name),
            when={"StringLike": {"s3:prefix": "heads/*"}},
            because="`rwm ledger verify` looks for heads of states that the ledger has no more",
        ),
        allow(
            "s3:GetObject",
            on=arns.records("restores/*"),
            because="the report of a restore is shown from the records bucket",
            wildcard="plans and reports are named by their digest",
        ),
        allow(
            "sqs:ReceiveMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            on=arns.dead_letters,
            # No redrive: a message is a hint, and `rwm record` gives the same.
            because="`rwm dead-letters` shows what nobody could answer, and deletes what is laid to rest",
        ),
    ]


def _downloading(arns: Arns) -> list[Permission]:
    workflow = arns.names.directory_workflow
    executions = arns.executions(workflow)
    return [
        read_states(arns, because="reads the state that is to be restored"),
        read_operations(
            arns,
            "dynamodb:GetItem",
            because="which state is good, which restores are announced, and what a check of content saw first",
        ),
        allow(
            "ssm:GetParametersByPath",
            on=[arns.repository_parameters, f"{arns.repository_parameters}/*"],
            because="the rwm command learns here what is deployed",
            wildcard="the path's parameters, one for each repository",
        ),
        *read_versions(
            arns, arns.configuration.repositories, because="downloads the very versions that the state names"
        ),
        *tell_gone_from_denied(arns, arns.configuration.repositories),
        allow(
            "states:StartExecution",
            on=arns.state_machine(workflow),
            # IAM sees no input. So it is a workflow of its own, which refuses every other kind of restore.
            because="announces the restore, so that no prune drops the state meanwhile; it starts no other restore",
        ),
        allow(
            "states:DescribeExecution",
            on=executions,
            because="learns whether it was announced, and takes up what an earlier try left",
            wildcard="an execution is named when it is started",
        ),
        allow(
            "states:StopExecution",
            on=f"{executions.removesuffix('*')}{TO_DIRECTORY}*",
            because="says that the download has ended: of restores to a directory only, by their names",
            wildcard="an execution is named by repository, state and a digest of the place",
        ),
    ]


def _approving(arns: Arns) -> list[Permission]:
    return [
        allow(
            "lambda:InvokeFunction",
            on=[arns.function(step) for step in ("acknowledge", "approve", "hold")],
            because="`rwm acknowledge`, `approve`, `reject`, `hold` and `release`; an operator cannot",
        ),
    ]
