"""`rwm check`: judge a repository now, whatever its schedule."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.deployment import Deployment
from cli.exits import ExitCode, Refused
from cli.invocation import invoke, unreadable
from cli.recording import SeenFinding
from functions.domain.documents import Instant
from functions.domain.values import RepositoryName

UNDONE = "nothing is known to have been checked"
LEVELS = ("posture", "consistent", "content", "complete")
THERE_ARE = LEVELS[:1]
STEP = "check-posture"


class CheckFinding(SeenFinding):
    since: Instant


class Check(BaseModel):
    """The answer of the function `check-posture`."""

    model_config = ConfigDict(frozen=True)

    repository: RepositoryName
    level: Literal["posture"]
    outcome: Literal["pass", "hold", "fail"]
    findings: tuple[CheckFinding, ...]
    """The worst first."""
    unread: Mapping[str, str]
    """What could not be read, and why."""

    @property
    def exit_code(self) -> ExitCode:
        return {"pass": ExitCode.DONE, "hold": ExitCode.WAITING, "fail": ExitCode.FAIL}[self.outcome]


def check(deployment: Deployment, name: str, level: str) -> Check:
    """Ask for a check and wait for its verdict. Raises Refused for a level that there is not."""
    if level not in LEVELS:
        raise Refused(f"there is no level {level!r}; nothing was checked; there is: {', '.join(THERE_ARE)}")
    if level not in THERE_ARE:
        raise Refused(
            f"this version of RWM checks {', '.join(THERE_ARE)} only, not {level}; nothing was checked; run it "
            "without --level"
        )
    try:
        return Check.model_validate(invoke(deployment, STEP, name, UNDONE))
    except ValidationError as error:
        raise unreadable(deployment, STEP, UNDONE) from error
