"""The plan of a restore into a bucket, its batches, and its files in the records bucket.

A plan is data, named by the digest of its bytes, and holds no time: the same state and the same target always give the
same plan, so that running again resumes it. It covers the digest of every batch.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from functions.domain.batches import PlannedBatch, cut_runs, decode_batch, encode_batch
from functions.domain.documents import Document
from functions.domain.ports import RecordReader
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectVersion, RepositoryName, StateId, VersionId

BATCH_OBJECTS = 500
"""A batch is one page of the target's listing, and some 30 s of copying; a million objects are 2,000 batches."""
BATCH_BYTES = 8 << 30
"""What can be hashed twice (the source and the copy) within half of a function's 15 minutes at 70 MB/s, when S3
gives no checksum at all. 500 of restic's packs of 16 MiB stay just below."""


class PlanMismatch(Exception):
    """What is stored is not the plan or the batch that was announced; nothing was copied from it."""


class RestorePlan(Document):
    """What to copy, from where and to where. It is named by its digest, and so is the folder of its files."""

    KIND: ClassVar[str] = "restore plan"

    repository: RepositoryName
    state: StateId
    manifest_root: Digest
    content_root: Digest
    source: Location
    target: Location
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    batches: tuple[PlannedBatch, ...]


def draw_plan(
    header: StateHeader, versions: Iterable[ObjectVersion], source: Location, target: Location
) -> RestorePlan:
    """The plan that copies `versions` (the proven entries of `header`, in key order) from `source` to `target`."""
    batches = tuple(
        PlannedBatch(
            number=number,
            digest=batch_digest(encode_batch(batch)),
            objects=len(batch),
            bytes=sum(version.size for version in batch),
        )
        for number, batch in enumerate(cut_batches(versions))
    )
    return RestorePlan(
        repository=header.repository,
        state=header.id,
        manifest_root=header.manifest_root,
        content_root=header.content_root,
        source=source,
        target=target,
        objects=header.objects,
        bytes=header.bytes,
        batches=batches,
    )


def cut_batches(versions: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, ...]]:
    """`versions` in runs of at most BATCH_OBJECTS objects and BATCH_BYTES bytes, in order.

    No versions are one empty batch, so that every restore runs the same steps and leaves a result.
    """
    runs = cut_runs(versions, objects=BATCH_OBJECTS, size=BATCH_BYTES)
    yield next(runs, ())
    yield from runs


def batch_digest(content: bytes) -> Digest:
    """The digest of a batch file's bytes, as the plan states it."""
    return Digest(hashlib.sha256(b"rwm restore batch 1\0" + content).hexdigest())


def plan_file(plan: Digest) -> str:
    return f"restores/{plan}/plan.json"


def manifest_file(plan: Digest) -> str:
    return f"restores/{plan}/manifest.json"


def batch_file(plan: Digest, number: int) -> str:
    return f"restores/{plan}/batches/{number:05d}.jsonl"


def result_file(plan: Digest, execution: str, number: int) -> str:
    return f"restores/{plan}/results/{execution}/{number:05d}.json"


def report_file(plan: Digest, execution: str) -> str:
    return f"restores/{plan}/report-{execution}.json"


def read_plan(records: RecordReader, digest: Digest, version_id: VersionId) -> RestorePlan:
    """The plan of that digest. Raises PlanMismatch, UnreadableDocument, VersionGone."""
    plan = RestorePlan.parse(records.get(plan_file(digest), version_id))
    if plan.digest != digest:
        raise PlanMismatch(f"restore plan is {plan.digest}, expected {digest}; nothing was copied")
    return plan


def read_batch(
    records: RecordReader, plan: RestorePlan, number: int, version_id: VersionId | None = None
) -> tuple[ObjectVersion, ...]:
    """The entries of a batch, proven by the digest in the plan. Raises PlanMismatch, VersionGone."""
    if number >= len(plan.batches):
        raise PlanMismatch(f"the restore plan has {len(plan.batches)} batches, and none numbered {number}")
    content = records.get(batch_file(plan.digest, number), version_id)
    if (actual := batch_digest(content)) != plan.batches[number].digest:
        raise PlanMismatch(
            f"batch {number} is {actual}, expected {plan.batches[number].digest}; nothing was copied from it"
        )
    return decode_batch(content)
