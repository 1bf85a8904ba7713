"""Second step of a restore into a bucket: decide whether it may begin, and write down what to copy.

Permissions of `rwm-plan-restore`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: to read the state.
- s3:ListBucket, s3:GetObject on the restore targets: to see that the target holds nothing else; kms:Decrypt on the
  keys that restore_kms_keys names, where the target encrypts with one.
- s3:GetBucketObjectLockConfiguration on them: whether copies can be locked.
- s3:GetObjectVersion in the repositories: only for what a target already holds and whose name does not
  prove it (`config`): it must be the pinned version's bytes.
- s3:PutObject on `restores/*` of the records bucket: to write the plan.

Security rules:
- The restore was announced before: no prune drops its state or deletes anything of its repository meanwhile.
- Key files that were removed since the state are left out, unless a person asks for them; they are named either way.
- Everything is checked before anything is written. The files are named by the plan's digest, so running again
  writes the same ones.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem, PlannedBatch, encode_manifest, sha256_of
from functions.domain.columns import Columns
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ledger import NoSuchState, StateDamaged, choose_state, stream_state
from functions.domain.ports import (
    Archived,
    LedgerReader,
    PinnedReader,
    RecordWriter,
    TargetDenied,
    TargetFacts,
    TargetGone,
    TargetLister,
    TargetMissing,
    TargetReader,
)
from functions.domain.repositories import Configuration
from functions.domain.restic import FileType, promised_sha256
from functions.domain.restore.forecast import Amount, Forecast, foresee
from functions.domain.restore.plan import (
    Choice,
    PlanMismatch,
    RestorePlan,
    Sample,
    Wishes,
    batch_file,
    draw_plan,
    draw_sample,
    manifest_file,
    plan_file,
    planned_batches,
)
from functions.domain.restore.proof import Comparison, compare
from functions.domain.restore.request import (
    Location,
    RestoreRefused,
    StepRequest,
    Tier,
    check_target,
    protected_repository,
)
from functions.domain.restore.revoked import check_known, check_openable, keys_of_today
from functions.domain.restore.target import (
    COMPARED_BYTES,
    Examples,
    Holdings,
    Survey,
    check_copyable,
    refuse_strangers,
)
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectVersion, RepositoryName, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.records import S3RecordWriter
from functions.storage.target import S3TargetFacts, S3TargetLister, S3TargetReader, target_client
from functions.storage.thawing import S3ThawedReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

THREADS = 16
AS_IT_IS = Wishes()


class WrittenPlan(Part):
    """Where the plan was written: what the copies and the verification are given."""

    plan: Digest
    plan_version: VersionId
    manifest_version: VersionId
    objects: int
    bytes: int
    batches: int
    thaw: Tier | None = None
    """At which tier archived versions are brought back; None: none may be."""
    archived: Amount = Field(default=Amount(objects=0, bytes=0))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plan that nothing speaks against; nothing was written yet."""

    header: StateHeader
    plan: RestorePlan
    survey: Survey
    choice: Choice
    there: int
    """Objects that the target seems to hold already."""
    compared: int
    """Of these, those whose bytes were looked at."""


def plan_restore(
    repository: RepositoryName,
    state: str,
    *,
    source: Location,
    target: Location,
    ledger: LedgerReader,
    lister: TargetLister,
    reader: TargetReader,
    pinned: PinnedReader,
    records: RecordWriter,
    wishes: Wishes = AS_IT_IS,
) -> WrittenPlan:
    """Check that `state` can be restored to `target`, and write its plan. Memory holds a few thousand entries.

    Raises RestoreRefused: nothing was written. PlanMismatch, StateDamaged: the ledger changed while it was read;
    nothing was copied.
    """
    drawn = draw(
        repository,
        state,
        source=source,
        target=target,
        ledger=ledger,
        lister=lister,
        reader=reader,
        pinned=pinned,
        wishes=wishes,
    )
    return _write(drawn, ledger, records)


def draw(
    repository: RepositoryName,
    state: str,
    *,
    source: Location,
    target: Location,
    ledger: LedgerReader,
    lister: TargetLister,
    reader: TargetReader,
    pinned: PinnedReader,
    wishes: Wishes = AS_IT_IS,
) -> Drawn:
    """The plan, after all that can be checked. Raises RestoreRefused: nothing was written."""
    survey = Survey(target.key_prefix)
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            header, choice = _choose(ledger, repository, state, wishes, threads)
            holdings = Holdings(lister.objects(), target)
            blocks = _passing(stream_state(ledger, header, threads), choice, holdings)
            batches = [batch for batch, _ in planned_batches(_surveyed(blocks, survey))]
        except (NoSuchState, StateDamaged, UnreadableDocument) as error:
            raise RestoreRefused(f"{error}; nothing was written") from error
        except (TargetMissing, TargetDenied) as error:
            raise _unusable(error) from error
        check_openable(choice.left_out, choice.key_files)
        check_copyable(survey, target, wishes.thaw)
        holdings.finish()
        try:
            refuse_strangers(_strangers(holdings.to_compare, reader, pinned, threads), target)
        except (TargetMissing, TargetDenied) as error:
            raise _unusable(error) from error
    plan = draw_plan(header, source, target, batches=batches, survey=survey, choice=choice, wishes=wishes)
    return Drawn(header, plan, survey, choice, holdings.objects, len(holdings.to_compare))


def _unusable(error: TargetMissing | TargetDenied) -> RestoreRefused:
    return RestoreRefused(f"{error}; nothing was written; create the bucket, or name one that restore_targets covers")


def check_lockable(facts: TargetFacts, target: Location) -> None:
    """Raises RestoreRefused where copies cannot be locked: nothing was written."""
    try:
        enabled = facts.lock().enabled
    except (TargetMissing, TargetDenied) as error:
        raise _unusable(error) from error
    if not enabled:
        raise RestoreRefused(
            f"{target.bucket} has no Object Lock, without which no copy can be locked; nothing was written; restore "
            "without --lock, or name a bucket with Object Lock"
        )


def _choose(
    ledger: LedgerReader, repository: RepositoryName, state: str, wishes: Wishes, threads: Executor
) -> tuple[StateHeader, Choice]:
    """The state, and what of it is left out. Raises NoSuchState, StateDamaged, UnreadableDocument, RestoreRefused."""
    headers = list(ledger.headers(repository))
    header = choose_state(headers, state, repository)
    try:
        today = keys_of_today(ledger, header, headers[0])
    except (StateDamaged, UnreadableDocument) as error:
        check_known(error, with_revoked_keys=wishes.with_revoked_keys)
        today = None
    return header, Choice(today, wishes.with_revoked_keys, _sample(ledger, header, wishes, threads))


def _sample(ledger: LedgerReader, header: StateHeader, wishes: Wishes, threads: Executor) -> Sample | None:
    packs = header.by_type.get(FileType.PACK)
    if wishes.sample_bytes is None or packs is None or packs.bytes <= wishes.sample_bytes:
        return None
    return draw_sample(stream_state(ledger, header, threads), wishes.seed, wishes.sample_bytes)


def _passing(blocks: Iterable[Columns], choice: Choice, holdings: Holdings) -> Iterator[Columns]:
    """What of a state is restored, while the target's listing goes by beside it."""
    for block in blocks:
        chosen = choice.of(block)
        if len(block):
            holdings.beside(chosen, block.keys[-1], choice.left_out)
        yield chosen


def _surveyed(blocks: Iterable[Columns], survey: Survey) -> Iterator[Columns]:
    for block in blocks:
        survey.add(block)
        yield block


def _strangers(
    there: Sequence[ObjectVersion], reader: TargetReader, pinned: PinnedReader, threads: Executor
) -> Examples:
    """Which objects that look like the state's by key and size are not, by their bytes."""
    stored = list(threads.map(lambda version: reader.stored_sha256(version.key), there))
    room = COMPARED_BYTES
    seen: list[tuple[ObjectVersion, Digest | None]] = []
    for version, sha256 in zip(there, stored, strict=True):
        if sha256 is None:
            # What S3 has no digest of has to be read. Beyond some it is left to the copies, which read all of it.
            room -= version.size
            if room < 0 and promised_sha256(version.key):
                continue
        seen.append((version, sha256))

    def is_strange(each: tuple[ObjectVersion, Digest | None]) -> bool:
        version, sha256 = each
        try:
            found = sha256 or sha256_of(reader.read(version.key))
            comparison = compare(version.key, found, lambda: sha256_of(pinned.read(version.key, version.version_id)))
        except TargetGone:
            return False
        except (VersionGone, Archived):
            # Nothing is there to compare with. Other bytes than the name promises are not shown to be the state's;
            # a name that promises none shows nothing, and the copy will report its version as missing, or thaw it.
            return promised_sha256(version.key) is not None
        return comparison is Comparison.DIFFERENT

    strange = Examples()
    for (version, _), is_so in zip(seen, threads.map(is_strange, seen), strict=True):
        if is_so:
            strange.note(f"{version.key!r} (other bytes)")
    return strange


def foresee_restore(drawn: Drawn) -> Forecast:
    """What the restore would do."""
    return foresee(
        drawn.header,
        drawn.plan,
        survey=drawn.survey,
        choice=drawn.choice,
        there=drawn.there,
        compared=drawn.compared,
    )


def _write(drawn: Drawn, ledger: LedgerReader, records: RecordWriter) -> WrittenPlan:
    """Batches first, then what names them: a manifest never speaks of a file that is not there.

    The folder of the batches is named by the plan's digest, which covers theirs: so the state is read once more, and
    must give the same batches.
    """
    plan = drawn.plan
    digest = plan.digest

    def put(planned: PlannedBatch, content: bytes) -> ManifestItem:
        name = batch_file(digest, planned.number)
        version_id = records.put(name, content)
        return ManifestItem(batch=name, version_id=version_id, digest=planned.digest, number=planned.number)

    with ThreadPoolExecutor(THREADS) as readers, ThreadPoolExecutor(THREADS) as writers:
        choice = Choice(drawn.choice.keys_of_today, drawn.choice.with_revoked_keys, drawn.choice.sample)
        again = planned_batches(map(choice.of, stream_state(ledger, drawn.header, readers)))
        items: list[ManifestItem] = []
        writing: deque[Future[ManifestItem]] = deque()
        for number, (planned, content) in enumerate(again):
            if number >= len(plan.batches) or planned != plan.batches[number]:
                raise PlanMismatch(f"batch {number} is not the plan's when it is drawn again; nothing was copied")
            writing.append(writers.submit(put, planned, content))
            if len(writing) > 2 * THREADS:
                items.append(writing.popleft().result())
        items += [each.result() for each in writing]
    if len(items) != len(plan.batches):
        raise PlanMismatch(f"the plan has {len(plan.batches)} batches, drawn again {len(items)}; nothing was copied")
    plan_version = records.put(plan_file(digest), plan.canonical())
    manifest_version = records.put(manifest_file(digest), encode_manifest(items))
    return WrittenPlan(
        plan=digest,
        plan_version=plan_version,
        manifest_version=manifest_version,
        objects=plan.objects,
        bytes=plan.bytes,
        batches=len(plan.batches),
        thaw=plan.thaw,
        archived=Amount(objects=drawn.survey.archived.count, bytes=drawn.survey.archived_bytes),
    )


logger = Logger()
metrics = Metrics(namespace="RWM", service="plan-restore")


_S3 = CLIENT.merge(Config(max_pool_connections=2 * THREADS))


@cache
def _clients() -> "tuple[S3Client, DynamoDBClient, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=_S3), boto3.client("dynamodb", config=_S3), read_bundled()


@cache
def _s3_in(region: str) -> "S3Client":
    return boto3.client("s3", region_name=region, config=_S3)


def _target_client(bucket: str) -> "S3Client":
    return target_client(_clients()[0], bucket, _s3_in)


def _drawn(request: StepRequest) -> tuple[Drawn, LedgerReader, RecordWriter]:
    """Wire what `request` names, and draw its plan. Raises RestoreRefused."""
    s3, dynamodb, configuration = _clients()
    environment = Environment.read()
    repository = protected_repository(configuration, request.repository)
    if (target := request.target) is None:
        raise RestoreRefused("a restore to a bucket needs a target; nothing was written")
    check_target(target, configuration, environment.records, drill=request.drill)
    ledger = DynamoLedgerReader(dynamodb, environment.ledger)
    try:
        there = _target_client(target.bucket)
    except TargetMissing as error:
        raise _unusable(error) from error
    if request.lock_days is not None:
        check_lockable(S3TargetFacts(there, target.bucket), target)
    drawn = draw(
        repository.repository,
        request.state,
        source=Location(bucket=repository.bucket, prefix=repository.prefix),
        target=target,
        ledger=ledger,
        lister=S3TargetLister(there, target.bucket, target.key_prefix),
        reader=S3TargetReader(there, target.bucket, target.key_prefix),
        pinned=S3ThawedReader(s3, repository.bucket, repository.key_prefix),
        wishes=_wishes(request),
    )
    return drawn, ledger, S3RecordWriter(s3, environment.records)


def _wishes(request: StepRequest) -> Wishes:
    return Wishes(
        lock_days=request.lock_days,
        thaw=request.thaw,
        with_revoked_keys=request.with_revoked_keys,
        sample_bytes=request.sample_bytes,
        # Chosen by its name, so that a step that is run again chooses the same, and nobody knows beforehand which.
        seed=request.execution,
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """What the announcing step answered -> `{"plan", "plan_version", "manifest": {"bucket", "key", "version_id"},
    "objects", "bytes", "batches", "thaw", "archived"}`; with `dry_run`, `{"forecast"}`. Raises RestoreRefused."""
    try:
        request = StepRequest.read(event)
        drawn, ledger, records = _drawn(request)
    except RestoreRefused as refusal:
        metrics.add_metric(name="RestoresRefused", unit=MetricUnit.Count, value=1)
        logger.warning("restore refused", extra={"why": str(refusal)})
        raise
    metrics.add_dimension(name="repository", value=request.repository)
    if request.dry_run:
        metrics.add_metric(name="RestoresForeseen", unit=MetricUnit.Count, value=1)
        return {"forecast": foresee_restore(drawn).model_dump(mode="json")}
    written = _write(drawn, ledger, records)
    metrics.add_metric(name="RestoresPlanned", unit=MetricUnit.Count, value=1)
    logger.info("restore planned", extra=written.model_dump(mode="json"))
    return {
        "plan": written.plan,
        "plan_version": written.plan_version,
        "manifest": {
            "bucket": Environment.read().records,
            "key": manifest_file(written.plan),
            "version_id": written.manifest_version,
        },
        **written.model_dump(mode="json", include={"objects", "bytes", "batches", "thaw", "archived"}),
    }
