"""Restoring, on demand: the two workflows that people start, and their functions."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.arns import Arns
from infra.functions import Step
from infra.restore_in_place import STEPS as IN_PLACE
from infra.restore_in_place import InPlace, InPlaceSteps
from infra.restore_steps import RestoreSteps
from infra.restore_to_directory import DirectoryDefinition
from infra.restore_workflow import RestoreDefinition
from infra.workflow import state_machine

LONGEST_RESTORE = cdk.Duration.days(7)


class Restore(Construct):
    """The workflows and their functions."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code, record: Step) -> None:
        super().__init__(scope, construct_id)
        steps = RestoreSteps(self, arns=arns, code=code)
        in_place = InPlaceSteps(self, arns=arns, code=code)
        self.workflow = state_machine(
            self,
            name=arns.names.restore_workflow,
            step="restore",
            definition=RestoreDefinition(
                self,
                steps,
                arns,
                in_place=lambda end: InPlace(self, in_place, record, arns, end=end).start,
            ).start,
            invokes=(
                "announce-restore",
                "plan-restore",
                "thaw-batch",
                "copy-batch",
                "verify-restore",
                "end-restore",
                *IN_PLACE,
            ),
            manifests="restores/*",
            arns=arns,
            timeout=LONGEST_RESTORE,
        )
        to_directory = Construct(self, "ToDirectory")
        state_machine(
            to_directory,
            name=arns.names.directory_workflow,
            step="restore-to-directory",
            definition=DirectoryDefinition(to_directory, steps, LONGEST_RESTORE).start,
            invokes=("announce-restore", "end-restore"),
            arns=arns,
            timeout=LONGEST_RESTORE,
        )
        cdk.CfnOutput(cdk.Stack.of(self), "RestoreWorkflow", value=self.workflow.state_machine_arn)
