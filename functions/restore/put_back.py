"""Third step of a restore in place: make one batch of changes, and prove each. A child of the Distributed Map.

Permissions of `rwm-put-back`, and why:
- s3:GetObject, s3:ListBucket on the repositories: what is current just before each write; what is hidden reads as
  denied to who may not list.
- s3:GetObjectVersion there: a copy's source is a pinned version, and what S3 did not hash is read back.
- s3:RestoreObject there: what lies in an archive class is thawed first.
- s3:PutObject there: the copy that becomes current; s3:AbortMultipartUpload: one in parts that failed.
- s3:DeleteObject there: a marker hides a key.
- kms:Decrypt, kms:GenerateDataKey on the repositories' keys: S3 uses them in the caller's name.
- s3:GetObject, s3:GetObjectVersion on `restores/*` of the records bucket: the plan and the batch, pinned.
- s3:PutObject on `restores/*/results/*`: what became of the batch.

Security rules:
- It cannot delete a version, nor set or shorten a lock: all that was current before stays beneath.
- Just before each write it looks what is current. What the plan did not see there was written meanwhile: the key is
  left alone, and told.
- Nothing is called done before its bytes were compared: by S3's own SHA-256 of what it wrote, or by reading exactly the
  version that was written.

Killed at any point and run again, it writes only what is not right yet, and ends the same.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from pydantic import Field

from functions.domain.batches import ManifestItem, sha256_of
from functions.domain.documents import Part
from functions.domain.ports import (
    Archived,
    CurrentReader,
    ObjectHider,
    PinnedReader,
    RecordReader,
    RecordWriter,
    Thawer,
    VersionReturner,
)
from functions.domain.restore.current import Current
from functions.domain.restore.in_place import Change, Done, InPlacePlan, PutBackResult, read_changes, read_plan
from functions.domain.restore.plan import PlanMismatch, result_file
from functions.domain.restore.proof import Comparison, Kind, Trouble, compare, trouble
from functions.domain.restore.request import ExecutionName
from functions.domain.restore.target import LARGEST_COPY, TOO_LARGE_TO_PROVE, can_be_proven
from functions.domain.values import Digest, ObjectVersion, VersionGone, VersionId
from functions.environment import RESTORE_THREADS, Environment
from functions.restore.settling import ROUNDS, StillFrozen
from functions.restore.thaw import thaw_batch
from functions.storage.aws import CLIENT, is_passing
from functions.storage.putting_back import S3CurrentReader, S3ObjectHider, S3VersionReturner
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.thawing import S3ThawedReader, S3Thawer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LONGEST_PAUSE = 4.0
"""Seconds before what failed is tried again; twice as long before each further time."""
DAMAGED = "damaged in the state: its bytes do not have the SHA-256 of its name; what is current is exactly the state's"


class PutBackRequest(Part):
    """What a child of the Distributed Map is given."""

    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: ExecutionName
    """Name of the whole restore's execution, not of the child's."""
    batch: ManifestItem
    thaw: bool = False
    """Only ask for what lies in an archive class, before anything of any batch is written."""


class NotProven(Exception):
    """What was written cannot be compared."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one change."""

    done: Done | None = None
    trouble: Trouble | None = None
    size: int = 0
    """Bytes that were written."""
    passing: bool = False
    """Nothing is known to have been written, and what troubles it may pass."""
    frozen: bool = False
    """It is on its way back from an archive class; there is nothing to tell of it yet."""


@dataclass(frozen=True, slots=True)
class PuttingBack:
    """Makes one change, and proves it. Whatever goes wrong with one key is told, and costs no other."""

    reader: CurrentReader
    pinned: PinnedReader
    returner: VersionReturner
    hider: ObjectHider
    passes: Callable[[BaseException], bool] = lambda _error: False
    """Whether a failure is of a kind that passes."""
    thawer: Thawer | None = None
    """None: nobody asked to thaw anything."""

    def settle(self, change: Change) -> Settled:
        try:
            return self._hide(change) if change.put is None else self._put(change, change.put)
        except VersionGone as gone:
            return Settled(trouble=trouble(change.key, Kind.MISSING, gone))
        except Archived:
            return self._thaw(change)
        except Exception as error:  # noqa: BLE001 - see the docstring
            kind = Kind.UNEXPECTED if change.put is None else Kind.FAILED
            return Settled(trouble=trouble(change.key, kind, error), passing=self.passes(error))

    def _hide(self, change: Change) -> Settled:
        now = self.reader.current(change.key)
        if now.version_id is None:
            return Settled(Done(key=change.key, version_id=None, written=False))
        if now.version_id != change.over:
            return Settled(trouble=trouble(change.key, Kind.UNEXPECTED, _changed(change, now)))
        self.hider.hide(change.key)
        return Settled(Done(key=change.key, version_id=None, written=True))

    def _put(self, change: Change, pinned: ObjectVersion) -> Settled:
        now = self.reader.current(change.key)
        there = self._judge_current(pinned, now)
        if there is not Comparison.DIFFERENT:
            return _exact(change, now, there, written=0)
        if now.version_id != change.over:
            return Settled(trouble=trouble(change.key, Kind.FAILED, _changed(change, now)))
        written = self.returner.put(pinned)
        try:
            found = self._hash(pinned, written)
            comparison = self._compare(pinned, found)
        except Exception as error:  # noqa: BLE001 - it is current, and only not compared
            return Settled(trouble=trouble(change.key, Kind.UNPROVEN, error), size=pinned.size)
        if comparison is Comparison.DIFFERENT:
            why = f"the SHA-256 of what was written is {found}, which is not that of the pinned version"
            return Settled(trouble=trouble(change.key, Kind.FAILED, why), size=pinned.size)
        return _exact(change, written, comparison, written=pinned.size, wrote=True)

    def _thaw(self, change: Change) -> Settled:
        if self.thawer is None or change.put is None:
            why = "it lies in an archive class, where nobody can copy it; ask for the restore again with --thaw"
            return Settled(trouble=trouble(change.key, Kind.FAILED, why))
        try:
            # Also of what was asked for before the first write: S3 says so, and it costs nothing.
            self.thawer.thaw(change.put)
        except Exception as error:  # noqa: BLE001 - as in settle
            why = f"it lies in an archive class, and does not come back: {error}"
            return Settled(trouble=trouble(change.key, Kind.FAILED, why), passing=self.passes(error))
        return Settled(frozen=True)

    def _judge_current(self, pinned: ObjectVersion, now: Current) -> Comparison:
        """Whether what is current is right already: the pinned version itself, or what S3 hashed as an earlier run
        wrote it. Anything else is copied over, which reads no byte; only what S3 copies in parts, and so without a
        SHA-256 of the whole, is worth reading."""
        if now.version_id == pinned.version_id:
            return Comparison.PROVEN
        if now.version_id is None or now.size != pinned.size:
            return Comparison.DIFFERENT
        if now.sha256 is None and (pinned.size <= LARGEST_COPY or not can_be_proven(pinned.key, pinned.size)):
            return Comparison.DIFFERENT
        return self._compare(pinned, self._hash(pinned, now))

    def _hash(self, pinned: ObjectVersion, current: Current) -> Digest:
        if current.sha256 is not None:
            return current.sha256
        if current.version_id is None:
            raise NotProven("it was written, and hidden before it was compared")
        if not can_be_proven(pinned.key, pinned.size):
            raise NotProven(TOO_LARGE_TO_PROVE)
        return sha256_of(self.pinned.read(pinned.key, current.version_id))

    def _compare(self, pinned: ObjectVersion, found: Digest) -> Comparison:
        return compare(pinned.key, found, lambda: sha256_of(self.pinned.read(pinned.key, pinned.version_id)))


def _exact(change: Change, now: Current, comparison: Comparison, *, written: int, wrote: bool = False) -> Settled:
    damage = trouble(change.key, Kind.DAMAGED, DAMAGED) if comparison is Comparison.DAMAGED else None
    return Settled(Done(key=change.key, version_id=now.version_id, written=wrote), damage, written)


def _changed(change: Change, now: Current) -> str:
    saw = f"version {change.over}" if change.over else "nothing"
    found = f"version {now.version_id}" if now.version_id else "nothing"
    return f"changed meanwhile: the plan saw {saw} current and now {found} is; nothing was written"


def read_announced(request: PutBackRequest, stored: RecordReader) -> tuple[InPlacePlan, tuple[Change, ...]]:
    """The plan and the batch that `request` pins, proven by their digests. Raises PlanMismatch, VersionGone."""
    plan = read_plan(stored, request.plan, request.plan_version)
    changes = read_changes(stored, plan, request.batch.number, request.batch.version_id)
    if request.batch.digest != plan.batches[request.batch.number].digest:
        raise PlanMismatch(f"the manifest's batch {request.batch.number} is not the plan's; nothing of it was put back")
    return plan, changes


@dataclass(frozen=True, slots=True)
class Turns:
    """Goes through a batch, and again through what failed for a passing reason, after all others had their turn.

    What was written though S3's answer was lost is found by its SHA-256 then.
    """

    threads: int = RESTORE_THREADS
    pause: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """From 0 to 1."""

    def settle(self, work: PuttingBack, changes: Sequence[Change]) -> list[Settled]:
        """What became of each, in their order."""
        settled: dict[int, Settled] = {}
        waiting = list(range(len(changes)))
        with ThreadPoolExecutor(self.threads) as pool:
            for turn in range(ROUNDS + 1):
                if turn and waiting:
                    self.pause(self.chance() * LONGEST_PAUSE * 2 ** (turn - 1))
                settled.update(zip(waiting, pool.map(work.settle, [changes[each] for each in waiting]), strict=True))
                waiting = [each for each in waiting if settled[each].passing]
        return [settled[place] for place in range(len(changes))]


def put_back(
    plan: InPlacePlan,
    number: int,
    changes: Sequence[Change],
    execution: str,
    *,
    work: PuttingBack,
    records: RecordWriter,
    turns: Turns,
) -> PutBackResult:
    """Make the changes of batch `number`, prove each, and write down what became of them.

    Raises StillFrozen: what could be done is, and the rest is on its way back from an archive class.
    """
    settled = turns.settle(work, changes)
    if any(each.frozen for each in settled):
        raise StillFrozen("objects are still on their way back from their archive class; nothing is told of them")
    result = PutBackResult(
        plan=plan.digest,
        execution=execution,
        number=number,
        batch=plan.batches[number].digest,
        written_bytes=sum(each.size for each in settled),
        done=tuple(each.done for each in settled if each.done is not None),
        troubles=tuple(each.trouble for each in settled if each.trouble is not None),
    )
    records.put(result_file(plan.digest, execution, number), result.canonical())
    return result


logger = Logger()
metrics = Metrics(namespace="RWM", service="put-back")


@cache
def _client() -> "S3Client":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    config = CLIENT.merge(Config(max_pool_connections=2 * Environment.read().restore_threads))
    return boto3.client("s3", config=config)


def _put_back(request: PutBackRequest) -> tuple[InPlacePlan, PutBackResult | None]:
    """Wire the batch that `request` names to its repository, and put it back; or ask for what is archived, and no more.

    Raises StillFrozen.
    """
    s3 = _client()
    environment = Environment.read()
    plan, changes = read_announced(request, S3RecordReader(s3, environment.records))
    bucket, key_prefix = plan.source.bucket, plan.source.key_prefix
    thawer = S3Thawer(s3, bucket, key_prefix, plan.thaw) if plan.thaw else None
    if request.thaw:
        if thawer is not None:
            thaw_batch([change.put for change in changes if change.put], thawer, environment.restore_threads)
        return plan, None
    result = put_back(
        plan,
        request.batch.number,
        changes,
        request.execution,
        work=PuttingBack(
            reader=S3CurrentReader(s3, bucket, key_prefix),
            pinned=S3ThawedReader(s3, bucket, key_prefix),
            returner=S3VersionReturner(s3, bucket, key_prefix),
            hider=S3ObjectHider(s3, bucket, key_prefix),
            passes=is_passing,
            thawer=thawer,
        ),
        records=S3RecordWriter(s3, environment.records),
        turns=Turns(environment.restore_threads),
    )
    return plan, result


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, int]:
    """`{"plan", "plan_version", "execution", "batch": one of manifest.json}` -> counts of the batch; with `"thaw":
    true` nothing is written. Raises StillFrozen."""
    request = PutBackRequest.model_validate(event)
    try:
        plan, result = _put_back(request)
    except StillFrozen:
        metrics.add_metric(name="BatchesWaitingForThaw", unit=MetricUnit.Count, value=1)
        raise
    if result is None:
        metrics.add_metric(name="BatchesAskedToThaw", unit=MetricUnit.Count, value=1)
        return {"number": request.batch.number}
    written = [each for each in result.done if each.written]
    counts = {
        "number": result.number,
        "put": sum(each.version_id is not None for each in written),
        "hidden": sum(each.version_id is None for each in written),
        "right_already": len(result.done) - len(written),
        "troubles": len(result.troubles),
    }
    metrics.add_dimension(name="repository", value=plan.repository)
    metrics.add_metric(name="PutBackObjects", unit=MetricUnit.Count, value=counts["put"])
    metrics.add_metric(name="HiddenObjects", unit=MetricUnit.Count, value=counts["hidden"])
    logger.info("batch put back", extra={"plan": plan.digest, "execution": request.execution, **counts})
    return counts
