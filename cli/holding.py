"""`rwm hold`, `rwm release`: an approver keeps a state, whatever its age, or lets its age decide again.

Security rules:
- The function is told the full id of the state that was chosen, so that `latest` means what it meant here.
- Only the function writes, and only an approver's role may call it. Who it was is what the caller says; CloudTrail
  has the proof.
"""

from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from cli.deployment import Deployment
from cli.exits import Failed, Refused
from cli.explain import APPROVER, explain
from cli.invocation import invoke, unreadable
from cli.states import find_state
from functions.domain.documents import Instant, Part
from functions.domain.values import RepositoryName, StateId

NOT_HELD = "nothing was held"
NOT_RELEASED = "nothing was released"
STEP = "hold"


class Holding(Part):
    """A state, and who keeps it, as `--json` prints it."""

    repository: RepositoryName
    state: StateId
    cut_time: Instant
    outcome: Literal["proposed", "held", "already-held", "released", "not-held"]
    """`already-held`: somebody did before, and that hold stands."""
    by: str = ""
    """Of the hold: who, when, why; of `not-held` empty."""
    at: Instant | None = None
    why: str = ""


class _Answer(BaseModel):
    """The answer of the function `hold`."""

    model_config = ConfigDict(frozen=True)

    outcome: Literal["held", "already-held", "released", "not-held", "refused"]
    message: str = ""
    state: str = ""
    by: str = ""
    at: datetime | None = None
    why: str = ""


def hold(deployment: Deployment, name: str, wanted: str, why: str) -> Holding:
    """Have a state held. Raises Refused, Failed."""
    if not why.strip():
        raise Refused(f"--why is empty; {NOT_HELD}; say why, for those who come after you")
    header = find_state(deployment, deployment.repository(name), wanted)
    asked = Holding(repository=header.repository, state=header.id, cut_time=header.cut_time, outcome="proposed")
    return _ask(deployment, asked, "hold", why, NOT_HELD)


def propose_release(deployment: Deployment, name: str, wanted: str) -> Holding:
    """The hold that would be taken away; `not-held`: there is none. Raises Refused."""
    header = find_state(deployment, deployment.repository(name), wanted)
    found = next((each for each in deployment.holds.held(header.repository) if each.state == header.id), None)
    asked = Holding(repository=header.repository, state=header.id, cut_time=header.cut_time, outcome="not-held")
    if found is None:
        return asked
    return asked.model_copy(update={"outcome": "proposed", "by": found.by, "at": found.at, "why": found.why})


def release(deployment: Deployment, proposed: Holding) -> Holding:
    """Have exactly that state released. Raises Refused, Failed."""
    return _ask(deployment, proposed, "release", "", NOT_RELEASED)


def _ask(deployment: Deployment, asked: Holding, action: str, why: str, undone: str) -> Holding:
    caller = deployment.aws.sts.get_caller_identity()["Arn"]
    try:
        said = invoke(
            deployment,
            STEP,
            asked.repository,
            f"{undone}, as far as is known",
            state=asked.state,
            action=action,
            why=why,
            by=caller,
        )
        answer = _Answer.model_validate(said)
    except ClientError as error:
        raise explain(error, deployment, undone, who=APPROVER) from error
    except ValidationError as error:
        raise unreadable(deployment, STEP, f"{undone}, as far as is known") from error
    if answer.outcome == "refused":
        raise Refused(answer.message)
    if answer.state != asked.state:
        raise Failed(
            f"the function answered of state {answer.state[:12]}, and {asked.state[:12]} was asked for; `rwm state` "
            "shows whether it is held"
        )
    return asked.model_copy(update={"outcome": answer.outcome, "by": answer.by, "at": answer.at, "why": answer.why})
