"""Starting a workflow."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsRanges:
    """RangesWorkflow over boto3."""

    def __init__(self, client: "Callable[[], SFNClient]", workflow: str) -> None:
        """`client`: made when it is needed, which is for few repositories. `workflow`: the ARN of the state machine."""
        self._client = client
        self._workflow = workflow

    def start(self, execution: str, document: str) -> None:
        # Step Functions takes the same name with the same input for the same start.
        self._client().start_execution(stateMachineArn=self._workflow, name=execution, input=document)
