"""Second step of the check of content: read one batch, and say of each version what its bytes are. A child of the
Distributed Map.

Permissions of `rwm-hash-content`, and why:
- s3:GetObjectVersion in the repositories: it reads pinned versions, and no others; kms:Decrypt where they have keys.
- s3:ListBucket there: without it S3 says of a version that is gone that it is denied.
- s3:GetObject, s3:GetObjectVersion on `checks/*` of the records bucket: the plan and the batch, pinned.
- s3:PutObject on `checks/*/results/*`: to say what became of the batch.

Security rules:
- It knows nothing but the batch: what was seen before is compared by `conclude_content`.
- One object that cannot be read costs no other its proof, and time that runs out costs none that was read before.
- An object is hashed as it comes, in pieces, whatever its size.

Killed at any point and run again, it says the same of the same bytes.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.batches import ManifestItem
from functions.domain.content.files import NotThePlan, read_batch, read_plan, result_file
from functions.domain.content.plan import ContentPlan
from functions.domain.content.results import (
    LARGEST_READ,
    ContentResult,
    Kind,
    Sight,
    Trouble,
    judge_bytes,
    trouble,
)
from functions.domain.documents import Part
from functions.domain.ports import NotRead, PinnedReader, RecordReader, RecordWriter
from functions.domain.repositories import Configuration
from functions.domain.values import Digest, ObjectVersion, RepositoryName, VersionGone, VersionId
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.content import S3ContentReader
from functions.storage.records import S3RecordReader, S3RecordWriter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 16
"""Most of the time is waiting for S3; one processor hashes faster than one function reads."""
ATTEMPTS = 3
"""Of one object: a connection that breaks in the middle of a body is no client's to retry."""
TIME_TO_TELL = 60.0
"""Seconds that are kept for writing the result: a function that is stopped before says nothing of what it read."""


class HashRequest(Part):
    """What a child of the Distributed Map is given."""

    repository: str = Field(min_length=1, max_length=64)
    plan: Annotated[Digest, Field(pattern=r"^[0-9a-f]{64}$")]
    plan_version: VersionId
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]
    """Name of the whole check's execution, not of the child's."""
    batch: ManifestItem


class OutOfTime(Exception):
    """The function is about to be stopped; the object was not read to its end."""


@dataclass(frozen=True, slots=True)
class ObjectHasher:
    """Reads versions of one repository and judges their bytes."""

    reader: PinnedReader
    time_left: Callable[[], float]
    """Seconds until the function is stopped."""

    def judge(self, version: ObjectVersion) -> Trouble | Sight | None:
        """What the bytes of `version` say; None: they are what its name promises."""
        if version.size > LARGEST_READ:
            return trouble(version, Kind.FAILED, "TooLarge")
        for _ in range(ATTEMPTS):
            said = self._read(version)
            if not (isinstance(said, Trouble) and said.kind is Kind.FAILED):
                break
        return said

    def _read(self, version: ObjectVersion) -> Trouble | Sight | None:
        """Whatever goes wrong with one object is told in its result: it must not cost the proof of the others."""
        hasher = hashlib.sha256()
        size = 0
        try:
            self._check_time()
            for piece in self.reader.read(version.key, version.version_id):
                hasher.update(piece)
                size += len(piece)
                self._check_time()
        except VersionGone:
            return trouble(version, Kind.GONE, "the version no longer exists")
        except NotRead as error:
            return trouble(version, Kind.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - see the docstring
            return trouble(version, Kind.FAILED, type(error).__name__)
        return judge_bytes(version, Digest(hasher.hexdigest()), size)

    def _check_time(self) -> None:
        if self.time_left() < TIME_TO_TELL:
            raise OutOfTime


def read_announced(request: HashRequest, stored: RecordReader) -> tuple[ContentPlan, tuple[ObjectVersion, ...]]:
    """The plan and the batch that `request` pins, proven by their digests. Raises NotThePlan, VersionGone."""
    plan = read_plan(stored, RepositoryName(request.repository), request.execution, request.plan, request.plan_version)
    versions = read_batch(stored, plan, request.batch.number)
    if request.batch.digest != plan.batches[request.batch.number].digest:
        raise NotThePlan(f"the manifest's batch {request.batch.number} is not the plan's; nothing was read for it")
    return plan, versions


def hash_content(
    plan: ContentPlan,
    number: int,
    versions: Sequence[ObjectVersion],
    *,
    hasher: ObjectHasher,
    records: RecordWriter,
    threads: int = THREADS,
) -> ContentResult:
    """Read the entries of batch `number`, judge each, and write down what became of them."""
    with ThreadPoolExecutor(threads) as pool:
        said = list(pool.map(hasher.judge, versions))
    troubles = tuple(each for each in said if isinstance(each, Trouble))
    unread = {(each.key, each.version_id) for each in troubles if each.kind is not Kind.DAMAGED}
    result = ContentResult(
        plan=plan.digest,
        number=number,
        batch=plan.batches[number].digest,
        verified=sum(each is None for each in said),
        read_bytes=sum(each.size for each in versions if (each.key, each.version_id) not in unread),
        sights=tuple(each for each in said if isinstance(each, Sight)),
        troubles=troubles,
    )
    records.put(result_file(plan.repository, plan.execution, number), result.canonical())
    return result


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="hash-content")
metrics = Metrics(namespace="RWM", service="hash-content")


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was read."""


@cache
def _clients() -> "tuple[S3Client, Configuration]":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("s3", config=CLIENT), read_bundled()


def _hash(request: HashRequest, time_left: Callable[[], float]) -> ContentResult:
    """Wire the batch that `request` names to its repository, and read it."""
    s3, configuration = _clients()
    environment = Environment.read()
    repository = configuration.deployed(request.repository, UnknownRepository, "nothing was read")
    plan, versions = read_announced(request, S3RecordReader(s3, environment.records))
    return hash_content(
        plan,
        request.batch.number,
        versions,
        hasher=ObjectHasher(S3ContentReader(s3, repository.bucket, repository.key_prefix), time_left),
        records=S3RecordWriter(s3, environment.records),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    """`{"repository", "plan", "plan_version", "execution", "batch": one of manifest.json}` -> counts of the batch."""
    request = HashRequest.model_validate(event)
    result = _hash(request, lambda: context.get_remaining_time_in_millis() / 1000)
    metrics.add_dimension(name="repository", value=request.repository)
    metrics.add_metric(name="HashedBytes", unit=MetricUnit.Bytes, value=result.read_bytes)
    counts = {
        "number": result.number,
        "verified": result.verified,
        "sights": len(result.sights),
        **{kind.value: result.count(kind) for kind in Kind},
    }
    logger.info("batch read", extra={"execution": request.execution, **counts})
    return counts
