"""`rwm record`: record a repository's state now, whatever its host publishes."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.deployment import Deployment
from cli.exits import ExitCode, Failed
from functions.domain.documents import Instant
from functions.domain.values import RepositoryName, Severity, StateId

UNDONE = "nothing is known to have been recorded"


class SeenFinding(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    severity: Severity
    what: str
    remedy: str


class Recording(BaseModel):
    """The answer of the function `record` to a direct request."""

    model_config = ConfigDict(frozen=True)

    repository: RepositoryName
    outcome: Literal["recorded", "answered", "not-yet", "refused"]
    state: StateId | None = None
    """The newest state, where there is one."""
    generation: int | None = None
    until: Instant | None = None
    """When it can be recorded, if not yet."""
    findings: tuple[SeenFinding, ...] = ()
    message: str = ""

    @property
    def exit_code(self) -> ExitCode:
        if self.outcome == "not-yet":
            return ExitCode.WAITING
        return ExitCode.FAIL if self.outcome == "refused" else ExitCode.DONE


def record(deployment: Deployment, name: str) -> Recording:
    """Ask the function `record` for a state of the repository and wait for its answer."""
    repository = deployment.repository(name).repository
    function = deployment.names.function("record")
    answer = deployment.aws.lambda_.invoke(
        FunctionName=function,
        InvocationType="RequestResponse",
        Payload=json.dumps({"repository": repository, "reason": "operator"}).encode(),
    )
    payload = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise Failed(f"{function} failed: {_failure(payload)}; {UNDONE}; its log /aws/lambda/{function} says more")
    try:
        return Recording.model_validate({**json.loads(payload), "repository": repository})
    except (ValueError, TypeError, ValidationError) as error:
        raise Failed(
            f"{function} gave an answer this version of RWM cannot read; {UNDONE}; use the version that is deployed"
        ) from error


def _failure(payload: bytes) -> str:
    try:
        said = json.loads(payload)
        return f"{said.get('errorType', 'error')}: {said['errorMessage']}"
    except (ValueError, KeyError, AttributeError):
        return payload.decode(errors="replace")[:300] or "without a word"
