"""`rwm record`: record a repository's state now, whatever its host publishes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.deployment import Deployment
from cli.exits import ExitCode
from cli.invocation import invoke, unreadable
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
    try:
        return Recording.model_validate(invoke(deployment, "record", name, UNDONE))
    except ValidationError as error:
        raise unreadable(deployment, "record", UNDONE) from error
