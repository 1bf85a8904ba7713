"""Restoring, on demand: the workflow that a person starts, and its functions."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.arns import Arns
from infra.restore_steps import RestoreSteps
from infra.restore_workflow import RestoreDefinition
from infra.workflow import state_machine

LONGEST_RESTORE = cdk.Duration.days(7)


class Restore(Construct):
    """The restore workflow and its functions."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        steps = RestoreSteps(self, arns=arns, code=code)
        self.workflow = state_machine(
            self,
            name=arns.names.restore_workflow,
            step="restore",
            definition=RestoreDefinition(self, steps, arns).start,
            invokes=("announce-restore", "plan-restore", "copy-batch", "verify-restore", "end-restore"),
            manifests="restores/*",
            arns=arns,
            timeout=LONGEST_RESTORE,
        )
        cdk.CfnOutput(cdk.Stack.of(self), "RestoreWorkflow", value=self.workflow.state_machine_arn)
