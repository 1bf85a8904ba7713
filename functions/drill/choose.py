"""First step of a restore drill: choose the state, and how much of it is restored.

Permissions of `rwm-choose-drill`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: the states, and which of them are dropped.
- dynamodb:Query on operations: the verdicts, which say what is good.

Security rules:
- It writes nothing, and reads no bucket.
- Only the last good state is drilled, as `rwm restore REPO last-good` would choose it: whoever poisons the newest state
  decides neither what is restored nor whether a drill succeeds.
- Each drill restores beneath a prefix of its own: what an earlier one left proves nothing for it.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Self

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from functions.configuration import read_bundled
from functions.domain.documents import Part, wrong_fields
from functions.domain.keeping import kept_of
from functions.domain.ledger import NoSuchState, choose_state
from functions.domain.ports import LedgerReader, VerdictReader
from functions.domain.repositories import Configuration, Repository
from functions.domain.restore.drill import Chosen, DrillRefused, NoGoodState, NothingRecorded
from functions.domain.restore.request import ExecutionName, Location
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.verdicts import DynamoVerdictReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DrillRequest(Part):
    """What is to be drilled."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    execution: ExecutionName
    whole: bool
    """All of the state, however large it is."""

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises DrillRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise DrillRefused(f"the request is malformed ({wrong_fields(error)}); nothing was restored") from error


def choose(
    repository: Repository,
    request: DrillRequest,
    scratch_bucket: str,
    *,
    ledger: LedgerReader,
    verdicts: VerdictReader,
) -> Chosen:
    """What a drill of `repository` restores. Raises NothingRecorded, NoGoodState, UnreadableDocument."""
    name = repository.repository
    if ledger.head(name) is None:
        raise NothingRecorded(f"repository {name} has no recorded state yet; nothing was restored")
    kept = kept_of(ledger.headers(name), ledger.dropped(name))
    try:
        header = choose_state(kept, "last-good", name, verdicts.verdicts(name))
    except NoSuchState as error:
        raise NoGoodState(f"{error}; nothing was restored") from error
    whole = request.whole or header.bytes <= repository.drill_bytes
    return Chosen(
        state=header.id,
        generation=header.generation,
        cut_time=header.cut_time,
        objects=header.objects,
        bytes=header.bytes,
        content_root=header.content_root,
        target=Location(bucket=scratch_bucket, prefix=f"{name}/{request.execution}"),
        sample_bytes=None if whole else repository.drill_bytes,
        # restic's structures speak of every pack: of a sample nothing could be said.
        complete=whole and repository.restic_password_secret is not None,
    )


logger = Logger(service="choose-drill")
metrics = Metrics(namespace="RWM", service="choose-drill")


@cache
def _clients() -> "tuple[DynamoDBClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("dynamodb", config=CLIENT), read_bundled()


def _chosen(request: DrillRequest) -> Chosen:
    """Wire what `request` names, and choose. Raises DrillRefused, NothingRecorded, NoGoodState."""
    dynamodb, configuration = _clients()
    environment = Environment.read()
    repository = configuration.deployed(request.repository, DrillRefused, "nothing was restored")
    return choose(
        repository,
        request,
        configuration.names.drill_bucket_beside(environment.records),
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "execution", "whole"}` -> the fields of `Chosen`. Raises DrillRefused, NothingRecorded,
    NoGoodState."""
    try:
        request = DrillRequest.read(event)
        chosen = _chosen(request)
    except Exception:
        metrics.add_metric(name="DrillsNotBegun", unit=MetricUnit.Count, value=1)
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="DrillsBegun", unit=MetricUnit.Count, value=1)
    logger.info("drill chosen", extra={"repository": request.repository, "state": chosen.state})
    return chosen.model_dump(mode="json")
