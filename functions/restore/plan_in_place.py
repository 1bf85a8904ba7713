"""Second step of a restore in place: decide what has to be written, or refuse. It writes nothing to the repository.

Permissions of `rwm-plan-in-place`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: the state that is to come back, and the present one.
- iam:ListAttachedUserPolicies, iam:ListAttachedRolePolicies on the repositories' own principals, s3:GetBucketPolicy on
  their buckets: whether the quarantine is in force.
- s3:PutObject on `restores/*` of the records bucket: plan, manifest and batches.

Security rules:
- Nothing is planned while any principal of the repository may write there, unless a person insists.
- The present state is one that was recorded after the restore began: it is what undoes the restore.
- Both states are read twice, and proven each time: the batches that are written are those that the plan names.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem, PlannedBatch, encode_manifest
from functions.domain.columns import Columns
from functions.domain.diff import Difference, differences
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ledger import NoSuchState, StateDamaged, choose_state, stream_state, stream_states
from functions.domain.ports import AttachedPolicies, BucketStatements, LedgerReader, NotListed, RecordWriter
from functions.domain.quarantine import Quarantine
from functions.domain.repositories import Configuration, Repository
from functions.domain.restic import FileType
from functions.domain.restore.forecast import NAMED, NAMED_KEY_FILES, Amount, ClassAmount, Forecast, Unproven
from functions.domain.restore.in_place import (
    Changes,
    InPlacePlan,
    PresentNotRecorded,
    content_root_without,
    cut_batches,
    encode_changes,
    expected,
    planned,
    recorded_since,
    requests,
)
from functions.domain.restore.plan import PlanMismatch, batch_file, manifest_file, plan_file
from functions.domain.restore.request import Location, RestoreRefused, StepRequest, Tier, protected_repository
from functions.domain.restore.revoked import check_openable
from functions.domain.restore.target import TOO_LARGE_TO_PROVE, Survey, check_thawed
from functions.domain.state import StateHeader
from functions.domain.values import Digest, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.quarantine import IamAttachedPolicies, S3BucketStatements
from functions.storage.records import S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

THREADS = 16


class InPlaceRequest(StepRequest):
    """What the workflow asks for."""

    since: AwareDatetime
    """When the restore began: an older state is not the present one."""


class WrittenPlan(Part):
    """Where the plan was written, and what it comes to."""

    plan: Digest
    plan_version: VersionId
    manifest_version: VersionId
    before: str
    put: int
    put_bytes: int
    hide: int
    batches: int
    archived: int
    thaw: Tier | None


@dataclass(frozen=True, slots=True)
class PlanPorts:
    """All that planning may touch."""

    ledger: LedgerReader
    attached: AttachedPolicies
    bucket: BucketStatements
    records: RecordWriter


def plan_in_place(
    repository: Repository, request: InPlaceRequest, quarantine: Quarantine, ports: PlanPorts
) -> WrittenPlan | Forecast:
    """Draw the plan and write it; of a dry run, what it comes to, and nothing is written.

    Raises RestoreRefused, PresentNotRecorded.
    """
    at_large = _at_large(quarantine, ports)
    if at_large and not request.insist:
        raise RestoreRefused(
            f"{', '.join(at_large)} may write to {repository.name} while it is put back; nothing was written; run "
            f"`rwm quarantine {repository.name}` first (IAM shows it after a few seconds), or pass --insist"
        )
    try:
        before = recorded_since(ports.ledger, repository.repository, request.since, "the restore began")
        chosen = choose_state(ports.ledger.headers(repository.repository), request.state, repository.repository)
        drawn = _draw(repository, chosen, before, request, ports.ledger, quarantined=not at_large)
    except (NoSuchState, StateDamaged, UnreadableDocument) as error:
        raise RestoreRefused(f"{error}; nothing was written") from error
    _check(drawn, request)
    if request.dry_run:
        return _forecast(drawn)
    return _write(drawn, ports)


def _at_large(quarantine: Quarantine, ports: PlanPorts) -> list[str]:
    """ARNs of the principals that may write."""
    try:
        attached = {each: ports.attached.of(each) for each in quarantine.attachable}
    except NotListed as error:
        raise RestoreRefused(f"{error}, so that it is not known who may write; nothing was written") from error
    statements = ports.bucket.statements() if quarantine.foreign else ()
    return [each.arn for each in quarantine.missing(attached, statements)]


@dataclass(frozen=True, slots=True)
class _Drawn:
    plan: InPlacePlan
    chosen: StateHeader
    changes: Changes
    survey: Survey
    """Of what is put back."""
    differences: Callable[[], Iterator[Difference]]
    """From the present state to the chosen one; read and proven each time."""


def _draw(
    repository: Repository,
    chosen: StateHeader,
    before: StateHeader,
    request: InPlaceRequest,
    ledger: LedgerReader,
    *,
    quarantined: bool,
) -> _Drawn:
    def differ() -> Iterator[Difference]:
        return differences(*stream_states(ledger, before, chosen))

    changes, survey = Changes(request.with_revoked_keys), Survey()
    batches: list[PlannedBatch] = []
    for number, batch in enumerate(cut_batches(changes.of(differ()))):
        batches.append(planned(number, batch, encode_changes(batch)))
        survey.add(Columns.of(change.put for change in batch if change.put))
    root = chosen.content_root
    if changes.left_out:
        root = content_root_without(stream_state(ledger, chosen), changes.left_out)
    objects, size = expected(chosen, changes)
    plan = InPlacePlan(
        repository=repository.repository,
        state=chosen.id,
        manifest_root=chosen.manifest_root,
        source=Location(bucket=repository.bucket, prefix=repository.prefix),
        before=before.id,
        before_generation=before.generation,
        content_root=root,
        objects=objects,
        bytes=size,
        unchanged=objects - changes.put,
        put=changes.put,
        put_bytes=changes.put_bytes,
        hide=changes.hide,
        revoked=changes.left_out,
        reinstated=changes.reinstated,
        archived=survey.archived.count,
        thaw=request.thaw,
        quarantined=quarantined,
        batches=tuple(batches),
    )
    return _Drawn(plan, chosen, changes, survey, differ)


def _check(drawn: _Drawn, request: InPlaceRequest) -> None:
    """Raises RestoreRefused for what cannot be put back, or would be of no use."""
    check_thawed(drawn.survey, request.thaw)
    keys = drawn.chosen.by_type.get(FileType.KEY)
    check_openable(drawn.plan.revoked, (keys.objects if keys else 0) - len(drawn.plan.revoked))


def _forecast(drawn: _Drawn) -> Forecast:
    plan, survey = drawn.plan, drawn.survey
    return Forecast(
        repository=plan.repository,
        state=plan.state,
        cut_time=drawn.chosen.cut_time,
        to="in-place",
        where=str(plan.source),
        objects=plan.objects,
        bytes=plan.bytes,
        there=plan.unchanged,
        classes=tuple(
            ClassAmount(storage_class=name, objects=tally.objects, bytes=tally.bytes)
            for name, tally in sorted(survey.classes.items())
        ),
        requests=requests(plan),
        unproven=len(survey.unproven),
        unproven_first=tuple(Unproven(key=key, why=TOO_LARGE_TO_PROVE) for key in survey.unproven[:NAMED]),
        archived=Amount(objects=plan.archived, bytes=survey.archived_bytes),
        thaw=plan.thaw,
        revoked=len(drawn.changes.revoked),
        revoked_first=tuple(drawn.changes.revoked[:NAMED_KEY_FILES]),
        with_revoked_keys=drawn.changes.with_revoked_keys,
    )


def _write(drawn: _Drawn, ports: PlanPorts) -> WrittenPlan:
    """Batches first, then what names them: a manifest never speaks of a file that is not there."""
    plan = drawn.plan
    digest = plan.digest

    def put(batch: PlannedBatch, content: bytes) -> ManifestItem:
        name = batch_file(digest, batch.number)
        version_id = ports.records.put(name, content)
        return ManifestItem(batch=name, version_id=version_id, digest=batch.digest, number=batch.number)

    items: list[ManifestItem] = []
    writing: deque[Future[ManifestItem]] = deque()
    again = cut_batches(Changes(drawn.changes.with_revoked_keys).of(drawn.differences()))
    with ThreadPoolExecutor(THREADS) as threads:
        for planned_batch, batch in zip(plan.batches, again, strict=True):
            content = encode_changes(batch)
            if planned(planned_batch.number, batch, content) != planned_batch:
                raise PlanMismatch(f"the states read otherwise the second time; nothing of {plan.repository} changed")
            writing.append(threads.submit(put, planned_batch, content))
            if len(writing) > 2 * THREADS:
                items.append(writing.popleft().result())
        items += [each.result() for each in writing]
    plan_version = ports.records.put(plan_file(digest), plan.canonical())
    manifest_version = ports.records.put(manifest_file(digest), encode_manifest(items))
    return WrittenPlan(
        plan=digest,
        plan_version=plan_version,
        manifest_version=manifest_version,
        before=plan.before,
        put=plan.put,
        put_bytes=plan.put_bytes,
        hide=plan.hide,
        batches=len(plan.batches),
        archived=plan.archived,
        thaw=plan.thaw,
    )


logger = Logger()
metrics = Metrics(namespace="RWM", service="plan-in-place")


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, IAMClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    s3, dynamodb = boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT)
    return s3, dynamodb, boto3.client("iam", config=CLIENT), read_bundled()


def _plan(request: InPlaceRequest, function_arn: str) -> WrittenPlan | Forecast:
    """Wire what `request` names, and plan it. Raises RestoreRefused, PresentNotRecorded."""
    s3, dynamodb, iam, configuration = _clients()
    environment = Environment.read()
    repository = protected_repository(configuration, request.repository)
    if request.to != "in-place":
        raise RestoreRefused(f"this step is for restores in place, not for one to a {request.to}; nothing was written")
    # A function's own ARN says in which partition and account it is.
    _, partition, _, _, account, *_ = function_arn.split(":")
    return plan_in_place(
        repository,
        request,
        Quarantine.of(repository, configuration.names, partition, account),
        PlanPorts(
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            attached=IamAttachedPolicies(iam),
            bucket=S3BucketStatements(s3, repository.bucket),
            records=S3RecordWriter(s3, environment.records),
        ),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """What was announced, with `"since"` -> `{"plan", "plan_version", "manifest": {"bucket", "key", "version_id"},
    "before", "put", "put_bytes", "hide", "batches", "archived", "thaw"}`; of a dry run `{"forecast"}`.

    Raises RestoreRefused, PresentNotRecorded.
    """
    try:
        request = InPlaceRequest.read(event)
        drawn = _plan(request, context.invoked_function_arn)
    except RestoreRefused as refusal:
        metrics.add_metric(name="RestoresRefused", unit=MetricUnit.Count, value=1)
        logger.warning("restore in place refused", extra={"why": str(refusal)})
        raise
    except PresentNotRecorded as early:
        # The workflow counts how often; this is only to see where one waits.
        metrics.add_metric(name="RestoresWaiting", unit=MetricUnit.Count, value=1)
        logger.info("restore in place waits", extra={"why": str(early)})
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    if isinstance(drawn, Forecast):
        metrics.add_metric(name="RestoresForeseen", unit=MetricUnit.Count, value=1)
        return {"forecast": drawn.model_dump(mode="json")}
    metrics.add_metric(name="RestoresPlanned", unit=MetricUnit.Count, value=1)
    logger.info("restore in place planned", extra=drawn.model_dump(mode="json"))
    return {
        **drawn.model_dump(mode="json", exclude={"manifest_version"}),
        "manifest": {
            "bucket": Environment.read().records,
            "key": manifest_file(drawn.plan),
            "version_id": drawn.manifest_version,
        },
    }
