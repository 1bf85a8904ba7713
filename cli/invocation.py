"""One call of a function of RWM, by an operator who waits for its answer."""

import json
from typing import Any

from cli.deployment import Deployment
from cli.exits import Failed


def invoke(deployment: Deployment, step: str, name: str, undone: str, **more: str) -> dict[str, Any]:
    """What the function of `step` answers for the deployed repository `name`; `undone` says what did not happen.

    It is asked in the operator's name, or what `more` says instead. Raises Refused for an unknown repository, Failed
    for anything but a document.
    """
    repository = deployment.repository(name).repository
    asked = {"repository": repository, **(more or {"reason": "operator"})}
    function = deployment.names.function(step)
    answer = deployment.aws.lambda_.invoke(
        FunctionName=function,
        InvocationType="RequestResponse",
        Payload=json.dumps(asked).encode(),
    )
    payload = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise Failed(f"{function} failed: {_failure(payload)}; {undone}; its log /aws/lambda/{function} says more")
    try:
        return {**json.loads(payload), "repository": repository}
    except (ValueError, TypeError) as error:
        raise unreadable(deployment, step, undone) from error


def unreadable(deployment: Deployment, step: str, undone: str) -> Failed:
    """The end for an answer of another version of RWM."""
    return Failed(
        f"{deployment.names.function(step)} gave an answer this version of RWM cannot read; {undone}; use the version "
        "that is deployed"
    )


def _failure(payload: bytes) -> str:
    try:
        said = json.loads(payload)
        return f"{said.get('errorType', 'error')}: {said['errorMessage']}"
    except (ValueError, KeyError, AttributeError):
        return payload.decode(errors="replace")[:300] or "without a word"
