"""Hold a state, or release it: an approver's word that it stays, whatever its age, or that it need not.

gather: the state's header, whether it is dropped  ->  apply: put or take away the hold, if the state is not dropped
meanwhile.

Permissions of `rwm-hold`, and why:
- dynamodb:Query on the ledger: which states there are, and which are dropped.
- dynamodb:ConditionCheckItem on the ledger: a hold is put in one transaction with the state not being dropped.
- dynamodb:Query, dynamodb:PutItem, dynamodb:DeleteItem on operations, partitions `hold#*` only: the holds.
Only the approver's role may call it.

Security rules:
- A state is named by its full id.
- What is dropped cannot be held: its versions may be gone, and a hold would promise what nobody can keep.
- Who released what is kept. `by` is what the caller says of itself; CloudTrail has the proof of who called, where
  it logs calls of functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from functions.configuration import read_bundled
from functions.domain.documents import Instant, Part, wrong_fields
from functions.domain.keeping import Hold
from functions.domain.ports import HoldLog, LedgerReader, StateDropped
from functions.domain.repositories import Configuration
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName, StateId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.holds import DynamoHoldLog
from functions.storage.ledger import DynamoLedgerReader

UNDONE = "nothing was held or released"
_LONGEST_NAME = 2048
"""Of an ARN."""


class HoldRefused(Exception):
    """Nothing was held or released; the message says why, and what to do instead."""


class Asked(Part):
    """What an approver asks for."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    state: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    action: Literal["hold", "release"]
    why: Annotated[str, Field(max_length=500)] = ""
    """For people to read; a hold needs one."""
    by: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=r"^[\x21-\x7e]+$")]

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises HoldRefused naming each wrong field."""
        try:
            asked = cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
            raise HoldRefused(f"the request is malformed ({wrong}); {UNDONE}") from error
        if asked.action == "hold" and not asked.why.strip():
            raise HoldRefused(f"a hold needs a reason, for those who come after you; {UNDONE}")
        return asked


class Answer(Part):
    """What was done."""

    outcome: Literal["held", "already-held", "released", "not-held"]
    state: StateId
    by: str = ""
    """Who held it, when and why: of `already-held` and `released`, the hold that was there."""
    at: Instant | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class HoldPorts:
    """All that holding a state may touch."""

    ledger: LedgerReader
    holds: HoldLog


def hold(repository: RepositoryName, asked: Asked, ports: HoldPorts, now: datetime) -> Answer:
    """Hold a state; one that is held stays held as it is. Raises HoldRefused."""
    header = _kept_state(repository, asked, ports.ledger)
    wanted = Hold(header.id, asked.by, now.replace(microsecond=0), asked.why.strip())
    try:
        stands = ports.holds.hold(repository, header.generation, wanted)
    except StateDropped as error:
        raise HoldRefused(f"{error}; `rwm states {repository}` lists those that are kept") from error
    return _answer("held" if stands == wanted else "already-held", stands)


def release(repository: RepositoryName, asked: Asked, ports: HoldPorts, now: datetime) -> Answer:
    """Release a state; of one that nobody holds, say so. Raises HoldRefused."""
    # First of all, so that a hold can be taken away of which the ledger knows no state.
    released = ports.holds.release(repository, StateId(asked.state), asked.by, now)
    if released is not None:
        return _answer("released", released)
    return Answer(outcome="not-held", state=_kept_state(repository, asked, ports.ledger).id)


def _answer(outcome: Literal["held", "already-held", "released"], of: Hold) -> Answer:
    return Answer(outcome=outcome, state=of.state, by=of.by, at=of.at, why=of.why)


def _kept_state(repository: RepositoryName, asked: Asked, ledger: LedgerReader) -> StateHeader:
    header = next((each for each in ledger.headers(repository) if each.id == asked.state), None)
    if header is None:
        raise HoldRefused(f"{repository} has no state {asked.state}; {UNDONE}; `rwm states {repository}` lists them")
    dropped = next((each for each in ledger.drops(repository) if each.state == header.id), None)
    if dropped is not None:
        raise HoldRefused(f"{dropped}, and its versions may be gone; {UNDONE}")
    return header


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="hold")


@dataclass(frozen=True, slots=True)
class HoldFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: HoldPorts
    now: Callable[[], datetime]

    def on_request(self, event: object) -> dict[str, Any]:
        """Answer an approver: what was done, or why nothing was."""
        try:
            asked = Asked.read(event)
            act = hold if asked.action == "hold" else release
            done = act(self._deployed(asked), asked, self.ports, self.now())
        except HoldRefused as error:
            logger.warning("nothing was held or released", extra={"why": str(error)})
            return {"outcome": "refused", "message": str(error)}
        # Without the reason, which is a person's own words.
        extra = {"repository": asked.repository, "state": done.state, "outcome": done.outcome, "by": asked.by}
        logger.info("hold answered", extra=extra)
        return {"repository": asked.repository, **done.model_dump(mode="json")}

    def _deployed(self, asked: Asked) -> RepositoryName:
        return self.configuration.deployed(asked.repository, HoldRefused, UNDONE).repository


@cache
def _function() -> HoldFunction:
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = HoldPorts(
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        holds=DynamoHoldLog(dynamodb, environment.operations, environment.ledger),
    )
    return HoldFunction(read_bundled(), ports, lambda: datetime.now(UTC))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """`{"repository", "state": full id, "action": "hold" | "release", "why", "by": the caller's ARN}` ->
    `{"outcome": "held" | "already-held" | "released" | "not-held", "repository", "state", "by", "at", "why"}`, or
    `{"outcome": "refused", "message"}`."""
    return _function().on_request(event)
