"""Lay a finding to rest: an approver says that exactly these keys and versions are known and dealt with.

gather: the verdict that the approver was shown, with its evidence  ->  decide: what of it can be laid to rest
->  apply: append it.

Permissions of `rwm-acknowledge`, and why:
- dynamodb:Query on operations: the verdict and its evidence, exactly as they were told.
- dynamodb:PutItem on operations, partitions `ack#…` only: to append what was acknowledged; never a verdict.
Only the approver's role may call it.

Security rules:
- What is laid to rest is the evidence of one verdict, named by its full digest: what came after it is not covered.
- What is wrong now (standing evidence, findings without evidence) is refused: it has to be mended.
- `by` is what the caller says of itself, for people to read. CloudTrail, where it logs calls of functions, has the
  proof of who called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from functions.configuration import read_bundled
from functions.domain.documents import Part, wrong_fields
from functions.domain.findings import can_be_acknowledged
from functions.domain.ports import AcknowledgementLog, VerdictReader
from functions.domain.repositories import Configuration
from functions.domain.values import Digest, Finding, RepositoryName
from functions.domain.verdict import Verdict
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictReader

_LONGEST_NAME = 2048
"""Of an ARN."""


class AcknowledgeRefused(Exception):
    """Nothing was acknowledged; the message says why, and what to do instead."""


class Asked(Part):
    """What an approver asks for."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    finding: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,127}$")]
    verdict: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    by: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME, pattern=r"^[\x21-\x7e]+$")]

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises AcknowledgeRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
            raise AcknowledgeRefused(f"the request is malformed ({wrong}); nothing was acknowledged") from error


class Acknowledged(Part):
    """What was laid to rest, and what of the finding was not."""

    finding: str
    verdict: Digest
    keys: int
    versions: int
    """Object versions and delete markers."""
    left: int
    """Keys that are wrong now: they have to be mended, and the finding stays for them."""


@dataclass(frozen=True, slots=True)
class AcknowledgePorts:
    """All that an acknowledgement may touch."""

    verdicts: VerdictReader
    log: AcknowledgementLog


def acknowledge(repository: RepositoryName, asked: Asked, ports: AcknowledgePorts, now: datetime) -> Acknowledged:
    """Write down that the finding's evidence in that verdict is dealt with; the same again changes nothing.

    Raises AcknowledgeRefused.
    """
    verdict, finding = _told(repository, asked, ports.verdicts)
    over = tuple(filter(can_be_acknowledged, finding.evidence))
    if not over:
        raise AcknowledgeRefused(f"{_why_not(finding)}; nothing was acknowledged")
    ports.log.append(verdict, finding.id, over, asked.by, now)
    return Acknowledged(
        finding=finding.id,
        verdict=verdict.digest,
        keys=len({each.key for each in over}),
        versions=sum(len(each.version_ids) for each in over),
        left=len({each.key for each in finding.evidence if not can_be_acknowledged(each)}),
    )


def _told(repository: RepositoryName, asked: Asked, verdicts: VerdictReader) -> tuple[Verdict, Finding]:
    undone = "nothing was acknowledged"
    verdict = next((each for each in verdicts.verdicts(repository) if each.digest == asked.verdict), None)
    if verdict is None:
        raise AcknowledgeRefused(
            f"no verdict on {repository} is {asked.verdict[:12]}; {undone}; `rwm check {repository}` makes one"
        )
    found = next((each for each in verdicts.findings(verdict) if each.id == asked.finding), None)
    if found is None:
        ids = ", ".join(each.id for each in verdict.findings) or "none"
        raise AcknowledgeRefused(
            f"verdict {verdict.digest[:12]} on {repository} has no finding {asked.finding}; {undone}; it has: {ids}"
        )
    return verdict, found


def _why_not(finding: Finding) -> str:
    if not finding.evidence:
        return f"{finding.id} is about now and names no versions: it ends when its cause does ({finding.remedy})"
    return (
        f"all that {finding.id} names is wrong now, and has to be mended ({finding.remedy}); what is over afterwards "
        "can be acknowledged"
    )


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="acknowledge")


@dataclass(frozen=True, slots=True)
class AcknowledgeFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: AcknowledgePorts
    now: Callable[[], datetime]

    def on_request(self, event: object) -> dict[str, Any]:
        """Answer an approver: what was acknowledged, or why nothing was."""
        try:
            asked = Asked.read(event)
            done = acknowledge(self._deployed(asked), asked, self.ports, self.now())
        except AcknowledgeRefused as error:
            logger.warning("nothing was acknowledged", extra={"why": str(error)})
            return {"outcome": "refused", "message": str(error)}
        extra = {"repository": asked.repository, "by": asked.by, **done.model_dump()}
        logger.info("acknowledged", extra=extra)
        return {"outcome": "acknowledged", "repository": asked.repository, **done.model_dump()}

    def _deployed(self, asked: Asked) -> RepositoryName:
        return self.configuration.deployed(asked.repository, AcknowledgeRefused, "nothing was acknowledged").repository


@cache
def _function() -> AcknowledgeFunction:
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ports = AcknowledgePorts(
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
        log=DynamoAcknowledgements(dynamodb, environment.operations),
    )
    return AcknowledgeFunction(read_bundled(), ports, lambda: datetime.now(UTC))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: `{"repository", "finding", "verdict": full digest, "by": the caller's ARN}`."""
    return _function().on_request(event)
