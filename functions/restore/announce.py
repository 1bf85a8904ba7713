"""First step of every restore: choose the state, and announce that it is restored, so that no prune touches it.

Permissions of `rwm-announce-restore`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: to find the state that is asked for.
- dynamodb:ConditionCheckItem there, dynamodb:PutItem on operations, partitions `restoring#*`: to announce the restore
  of a state that is not dropped. It cannot take an announcement back, its own or another's.

Security rules:
- The restore is announced before its state and its target are read, which may take minutes: from then on no prune
  drops that state or deletes anything of the repository.
- A malformed request is refused before anything is announced.
- Refused or killed, it leaves its announcement to the workflow's last step, end-restore.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Restoring
from functions.domain.ledger import NoSuchState, choose_state
from functions.domain.ports import LedgerReader, RestoreAnnouncer, StateDropped
from functions.domain.repositories import Configuration
from functions.domain.restore.request import RestoreRefused, StepRequest, check_target, protected_repository
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.restores import DynamoRestoreAnnouncer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def announce(
    repository: RepositoryName,
    state: str,
    execution: str,
    now: datetime,
    *,
    ledger: LedgerReader,
    announcer: RestoreAnnouncer,
) -> StateHeader:
    """Announce that `execution` restores `state`, and return the state's header.

    Raises RestoreRefused: nothing was written.
    """
    try:
        header = _chosen(ledger, repository, state)
        _announce(Restoring(execution, header.id, now), header, ledger, announcer)
    except (NoSuchState, UnreadableDocument) as error:
        raise RestoreRefused(f"{error}; nothing was written") from error
    return header


def _chosen(ledger: LedgerReader, repository: RepositoryName, wanted: str) -> StateHeader:
    header = choose_state(ledger.headers(repository), wanted, repository)
    if header.repository != repository:
        raise RestoreRefused(
            f"state {header.id} is of repository {header.repository}, not of {repository}; nothing was written"
        )
    return header


def _announce(restoring: Restoring, header: StateHeader, ledger: LedgerReader, announcer: RestoreAnnouncer) -> None:
    repository = header.repository
    try:
        announcer.announce(repository, header.generation, restoring)
    except StateDropped as error:
        # What dropped it is told by the mark that the announcement met.
        dropped = next((each for each in ledger.drops(repository) if each.generation == header.generation), error)
        raise RestoreRefused(
            f"{dropped}; its versions may be gone; nothing was written; `rwm states {repository}` lists those that "
            "are kept"
        ) from error


logger = Logger()
metrics = Metrics(namespace="RWM", service="announce-restore")


@cache
def _clients() -> "tuple[DynamoDBClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("dynamodb", config=CLIENT), read_bundled()


def _announced(request: StepRequest) -> StateHeader:
    """Wire what `request` names, and announce it. Raises RestoreRefused."""
    dynamodb, configuration = _clients()
    environment = Environment.read()
    repository = protected_repository(configuration, request.repository)
    if request.target is not None:
        check_target(request.target, configuration, environment.records, drill=request.drill)
    return announce(
        repository.repository,
        request.state,
        request.execution,
        datetime.now(UTC),
        ledger=DynamoLedgerReader(dynamodb, environment.ledger),
        announcer=DynamoRestoreAnnouncer(dynamodb, environment.operations, environment.ledger),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """What was asked, with `"execution"` -> the same, with the state's full id. Raises RestoreRefused."""
    try:
        request = StepRequest.read(event)
        header = _announced(request)
    except RestoreRefused as refusal:
        metrics.add_metric(name="RestoresRefused", unit=MetricUnit.Count, value=1)
        logger.warning("restore refused", extra={"why": str(refusal)})
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="RestoresAnnounced", unit=MetricUnit.Count, value=1)
    logger.info("restore announced", extra={"repository": header.repository, "state": header.id, "to": request.to})
    return request.model_copy(update={"state": header.id}).model_dump(mode="json")
