"""Read a state with the restic password, every byte of it or its structure, and say what was found.

gather: the state's proven entries, the password  ->  decide: everything in functions/domain/structure, which reads
through a port  ->  answer with a bounded report. `conclude_complete` makes a verdict of it.

Permissions of `rwm-check-complete`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: to read the state.
- secretsmanager:GetSecretValue on the secrets that repositories.toml names: the password.
- s3:GetObjectVersion in the repositories that have one: the versions that the state names, and no others.
- s3:ListBucket, s3:GetObject on the restore targets: to read a restored copy instead.

Security rules:
- It writes nothing: who holds the password could make a repository that verifies.
- The password is in no log, error, answer or repr, is read anew at each call, and is forgotten with it.
- A copy is read only where its listing is the state's, and only in a bucket that restores may write to.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.checking import CheckRefused, CheckRequest, state_to_judge
from functions.domain.completeness import CompletenessReport, figures_of
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.ports import LedgerReader, PasswordReader, TargetDenied, TargetLister, TargetMissing
from functions.domain.repositories import Configuration, Repository
from functions.domain.restic import is_under_locks
from functions.domain.restore.report import differences
from functions.domain.restore.request import Location, RestoreRefused, check_target
from functions.domain.state import StateHeader
from functions.domain.structure.check import check_structure
from functions.domain.structure.reading import RangedReader
from functions.domain.structure.report import Level, Tally, Troubles
from functions.domain.values import ObjectVersion
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3RangedReader
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.patience import PatientReader
from functions.storage.secrets import SecretsManagerPassword
from functions.storage.target import S3TargetLister, S3TargetRangedReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

THREADS = 16


class CompleteRequest(CheckRequest):
    """Which state to read, and how much of it."""

    repository: str = Field(min_length=1, max_length=64)
    state: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    """Its id; empty: the newest."""
    read_data: bool
    target: Location | None
    """Where a restored copy is to be read instead; all of it is, since its bytes are nobody's names yet."""

    @property
    def level(self) -> Level:
        return Level.READ_DATA if self.read_data or self.target is not None else Level.STRUCTURE


@dataclass(frozen=True, slots=True)
class State:
    """A recorded state with its entries, proven against its header."""

    header: StateHeader
    entries: Sequence[ObjectVersion]


def recorded_state(ledger: LedgerReader, repository: Repository, wanted: str) -> State:
    """The state of that id, or the newest. Raises CheckRefused."""
    header = state_to_judge(ledger, repository.repository, wanted)
    try:
        return State(header, read_state(ledger, header))
    except (StateDamaged, UnreadableDocument) as error:
        raise CheckRefused(f"{error}; nothing was judged") from error


def check_complete(
    state: State, reader: RangedReader, password: PasswordReader, threads: Executor, level: Level
) -> CompletenessReport:
    """Read the versions that `state` names. Raises PasswordUnavailable, and what `reader` raises."""
    structure = check_structure(state.entries, reader, password.password().get_secret_value(), threads, level=level)
    return CompletenessReport(state=state.header.id, structure=structure).bounded()


def check_copy(
    state: State,
    target: Location,
    lister: TargetLister,
    reader: RangedReader,
    password: PasswordReader,
    threads: Executor,
) -> CompletenessReport:
    """Read the copy in `target`, where it has exactly the keys and sizes of `state`; `reader` reads what is current.

    Raises CheckRefused, PasswordUnavailable, and what `reader` raises.
    """
    different = _differences(state, lister)
    if different:
        return CompletenessReport(state=state.header.id, target=target, differences=different).bounded()
    read = check_complete(state, reader, password, threads, Level.READ_DATA)
    return CompletenessReport(state=state.header.id, target=target, structure=read.structure).bounded()


def _differences(state: State, lister: TargetLister) -> Troubles:
    try:
        # Whoever used the copy with restic left lock files, which belong to no state.
        listed = ((key, size) for key, size in lister.objects() if not is_under_locks(key))
        return _tally((each.key, each.why) for each in differences(listed, state.entries))
    except (TargetMissing, TargetDenied) as error:
        raise CheckRefused(f"{error}; nothing was judged; name the target of a restore") from error


def _tally(troubles: Iterable[tuple[str, str]]) -> Troubles:
    tally = Tally()
    for subject, why in troubles:
        tally.note(subject, why)
    return tally.total()


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="check-complete")
metrics = Metrics(namespace="RWM", service="check-complete")


@dataclass(frozen=True, slots=True)
class _Clients:
    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    secrets: "SecretsManagerClient"


@cache
def _clients() -> tuple[_Clients, Configuration]:
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    clients = _Clients(
        s3=boto3.client("s3", config=CLIENT),
        dynamodb=boto3.client("dynamodb", config=CLIENT),
        secrets=boto3.client("secretsmanager", config=CLIENT),
    )
    return clients, read_bundled()


def _check(request: CompleteRequest) -> tuple[StateHeader, CompletenessReport]:
    """Wire what `request` names, and read it. Raises CheckRefused."""
    clients, configuration = _clients()
    environment = Environment.read()
    repository, secret = readable_repository(configuration, request.repository)
    if request.target is not None:
        check_readable(request.target, configuration, environment.records)
    state = recorded_state(DynamoLedgerReader(clients.dynamodb, environment.ledger), repository, request.state)
    password = SecretsManagerPassword(clients.secrets, secret)
    with ThreadPoolExecutor(THREADS) as threads:
        if (target := request.target) is None:
            reader = PatientReader(S3RangedReader(clients.s3, repository.bucket, repository.key_prefix))
            return state.header, check_complete(state, reader, password, threads, request.level)
        place = (clients.s3, target.bucket, target.key_prefix)
        current = PatientReader(S3TargetRangedReader(*place))
        return state.header, check_copy(state, target, S3TargetLister(*place), current, password, threads)


def readable_repository(configuration: Configuration, name: str) -> tuple[Repository, str]:
    """The repository of that name, and the ARN of its password's secret. Raises CheckRefused."""
    if (repository := configuration.find(name)) is None:
        known = ", ".join(each.name for each in configuration.repositories)
        raise CheckRefused(f"there is no repository {name!r}, only {known}; nothing was judged")
    if (secret := repository.restic_password_secret) is None:
        raise CheckRefused(
            f"the level complete needs restic_password_secret, and repository {name} has none; nothing was judged; set "
            "it in repositories.toml and deploy"
        )
    return repository, secret


def check_readable(target: Location, configuration: Configuration, records_bucket: str) -> None:
    """Raises CheckRefused for a target that no restore and no drill writes to: there is no restored copy in it."""
    drilled = target.bucket == configuration.names.drill_bucket_beside(records_bucket)
    try:
        check_target(target, configuration, records_bucket, drill=drilled)
    except RestoreRefused as refusal:
        raise CheckRefused(f"{target} holds no restored copy: {refusal}; nothing was judged") from refusal


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "state", "read_data", "target"}` -> `{"state", "generation", "report"}`, the report of at most
    200 KB. Raises CheckRefused; any other error means that the state could not be judged."""
    try:
        request = CompleteRequest.read(event)
        header, report = _check(request)
    except CheckRefused as refusal:
        metrics.add_metric(name="ChecksRefused", unit=MetricUnit.Count, value=1)
        logger.warning("check refused", extra={"why": str(refusal)})
        raise
    except Exception:
        metrics.add_metric(name="ChecksFailed", unit=MetricUnit.Count, value=1)
        raise
    _tell(request, header, report)
    return {"state": header.id, "generation": header.generation, "report": report.payload}


def _tell(request: CompleteRequest, header: StateHeader, report: CompletenessReport) -> None:
    """Log counts, and nothing that a key or a blob is named by."""
    read = report.structure
    counts = {"complete": read is not None and read.complete, **figures_of(report)}
    about = {"repository": request.repository, "state": header.id, "level": request.level}
    logger.info("state read with its password", extra={**about, **counts})
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="ReadBlobs", unit=MetricUnit.Count, value=read.blobs + read.trees if read else 0)
