"""A workflow of RWM as an operator sees it: started, looked at less and less often, and how far it is."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployment import Deployment
from cli.exits import Failed
from cli.explain import explain

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two looks: quick for a small repository, rare for one that takes hours."""
_LAST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a workflow is."""

    stage: str
    done: int = 0
    """Batches."""
    total: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Batches:
    """How far a workflow's Distributed Map is."""

    running: bool
    done: int
    """With those that failed."""
    total: int
    failed: int


def start(deployment: Deployment, workflow: str, name: str, request: str) -> str:
    """The ARN of a new execution."""
    started = deployment.aws.stepfunctions.start_execution(
        stateMachineArn=deployment.arn("states", f"stateMachine:{workflow}"), name=name, input=request
    )
    return started["executionArn"]


def name_of(execution: str) -> str:
    """An execution's name, of its ARN."""
    return execution.rpartition(":")[2]


def describe(deployment: Deployment, execution: str) -> "DescribeExecutionOutputTypeDef":
    return deployment.aws.stepfunctions.describe_execution(executionArn=execution)


def look_at(execution: str) -> str:
    """The command that shows an execution."""
    return f"`aws stepfunctions describe-execution --execution-arn {execution}`"


def follow(
    deployment: Deployment, execution: str, progress: Callable[[], Progress], *, goes_on: str, advice: str
) -> Iterator[Progress]:
    """Look at the workflow until it has ended, less and less often.

    Raises Failed when AWS cannot be asked any more: `goes_on` says that the workflow does, `advice` how to look.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            if describe(deployment, execution)["status"] != "RUNNING":
                return
        except (BotoCoreError, ClientError) as error:
            raise Failed(f"{explain(error, deployment, goes_on)}. {advice}") from error
        yield progress()
        deployment.aws.pause(pause)
        pause = min(LONGEST_PAUSE, pause * 1.3)


def batches(deployment: Deployment, execution: str) -> Batches | None:
    """How far the map is, of several the one that runs; None: none has begun."""
    workflows = deployment.aws.stepfunctions
    listed = workflows.list_map_runs(executionArn=execution)["mapRuns"]
    if not listed:
        return None
    runs = [workflows.describe_map_run(mapRunArn=each["mapRunArn"]) for each in listed]
    run = next((each for each in runs if each["status"] == "RUNNING"), runs[0])
    counts = run["itemCounts"]
    bad = counts["failed"] + counts["timedOut"] + counts["aborted"]
    return Batches(
        running=run["status"] == "RUNNING", done=counts["succeeded"] + bad, total=counts["total"], failed=bad
    )


def entered(deployment: Deployment, execution: str) -> str | None:
    """The step that the workflow entered last."""
    events = deployment.aws.stepfunctions.get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=_LAST_EVENTS, includeExecutionData=False
    )["events"]
    steps = (event["stateEnteredEventDetails"]["name"] for event in events if event["type"] == "TaskStateEntered")
    return next(steps, None)


def message(cause: str) -> str:
    """A function's error reaches the workflow as JSON, also behind its name; a person wants its message."""
    name, colon, rest = cause.partition(": ") if not cause.startswith("{") else ("", "", cause)
    try:
        said: Any = json.loads(rest)
        return f"{name}{colon}{said['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return cause
