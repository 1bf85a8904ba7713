"""The plan of a restore into a bucket, its batches, and its files in the records bucket.

A plan is data, named by the digest of its bytes, and holds no time: the same state, the same target and the same wishes
always give the same plan, so that running again resumes it. It covers the digest of every batch.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain
from typing import Annotated, ClassVar

from pydantic import Field

from functions.domain.batches import PlannedBatch, cut_columns, decode_batch, encode_columns
from functions.domain.columns import Columns
from functions.domain.documents import Document
from functions.domain.ports import RecordReader
from functions.domain.restic import FileType, file_type
from functions.domain.restore.request import Location, Tier
from functions.domain.restore.revoked import key_files
from functions.domain.restore.target import Survey
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId

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
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {
        1: frozenset({"lock_days", "thaw", "revoked", "reinstated", "sample", "unproven"}),
        2: frozenset(),
    }

    repository: RepositoryName
    state: StateId
    manifest_root: Digest
    """The state's."""
    content_root: Digest
    """Of what is restored: the state's, where nothing is left out."""
    source: Location
    target: Location
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    batches: tuple[PlannedBatch, ...]
    lock_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Governance retention of each copy, from the day on which it is made; None: what the target does by itself."""
    thaw: Tier | None = None
    """At which tier archived versions are brought back first; None: none may be."""
    revoked: Annotated[tuple[ObjectKey, ...], Field(min_length=1)] | None = None
    """Key files that are left out, since they were removed since the state; None: none is."""
    reinstated: Annotated[tuple[ObjectKey, ...], Field(min_length=1)] | None = None
    """Key files that were removed since the state, and come back as was asked for; None: none does."""
    sample: Annotated[int, Field(ge=1)] | None = None
    """Packs that a drill leaves out, chosen at random; None: none is."""
    unproven: Annotated[tuple[ObjectKey, ...], Field(min_length=1)] | None = None
    """Objects that are too large to be proven; None: there is none."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a state is restored, beside where to."""

    lock_days: int | None = None
    thaw: Tier | None = None
    with_revoked_keys: bool = False
    sample_bytes: int | None = None
    """Of a drill: at most about so many bytes of packs; None: all."""
    seed: str = ""
    """By which they are chosen: the same chooses the same."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Packs that are chosen at random: those whose number is at most `highest`."""

    seed: str
    highest: int

    def has(self, key: ObjectKey) -> bool:
        return _number(self.seed, key) <= self.highest


_NUMBERS = 1 << 64


def _number(seed: str, key: ObjectKey) -> int:
    """Below 2**64; nobody who cannot choose the seed can choose it."""
    return int.from_bytes(hashlib.sha256(f"rwm sample\0{seed}\0{key}".encode()).digest()[:8])


def draw_sample(blocks: Iterable[Columns], seed: str, most_bytes: int) -> Sample:
    """As many packs as have `most_bytes` together, and one in any case; goes through all of `blocks`."""
    chosen: list[tuple[int, int]] = []
    total = 0
    # What was too much once is so for good: else a smaller one, drawn later, would bring it back in.
    below = _NUMBERS
    for block in blocks:
        for key, size in zip(block.keys, block.sizes, strict=True):
            if not key.startswith("data/") or file_type(key) is not FileType.PACK:
                continue
            number = _number(seed, key)
            if number >= below:
                continue
            heappush(chosen, (-number, size))
            total += size
            while total > most_bytes and len(chosen) > 1:
                highest, its_size = heappop(chosen)
                below, total = -highest, total - its_size
    return Sample(seed, -chosen[0][0] if chosen else 0)


@dataclass(slots=True)
class Choice:
    """Which entries of a state are restored, and what is known of the others once all have passed."""

    keys_of_today: frozenset[ObjectKey] | None = None
    """The key files of the newest state; None: none was removed since."""
    with_revoked_keys: bool = False
    sample: Sample | None = None
    """None: all packs."""
    revoked: list[ObjectKey] = field(default_factory=list)
    """Key files that were removed since, left out or not."""
    key_files: int = 0
    """The others."""
    sampled_out: int = 0
    """Packs that are left out."""

    def of(self, block: Columns) -> Columns:
        """Those of the next entries that are restored."""
        left_out: set[ObjectKey] = set()
        if self.keys_of_today is not None:
            for key in key_files((block,)):
                if key in self.keys_of_today:
                    self.key_files += 1
                    continue
                self.revoked.append(key)
                if not self.with_revoked_keys:
                    left_out.add(key)
        if self.sample is not None:
            missed = {key for key in block.keys if file_type(key) is FileType.PACK and not self.sample.has(key)}
            self.sampled_out += len(missed)
            left_out |= missed
        if not left_out:
            return block
        return block.chosen(bytes(key not in left_out for key in block.keys))

    @property
    def left_out(self) -> tuple[ObjectKey, ...]:
        """Key files."""
        return () if self.with_revoked_keys else tuple(self.revoked)

    @property
    def reinstated(self) -> tuple[ObjectKey, ...]:
        return tuple(self.revoked) if self.with_revoked_keys else ()


def draw_plan(
    header: StateHeader,
    source: Location,
    target: Location,
    *,
    batches: Iterable[PlannedBatch],
    survey: Survey,
    choice: Choice,
    wishes: Wishes,
) -> RestorePlan:
    """The plan that copies what `choice` takes of the proven entries of `header`, from `source` to `target`; all of it
    has passed `survey`."""
    return RestorePlan(
        repository=header.repository,
        state=header.id,
        manifest_root=header.manifest_root,
        content_root=survey.content_root,
        source=source,
        target=target,
        objects=survey.objects,
        bytes=survey.bytes,
        batches=tuple(batches),
        lock_days=wishes.lock_days,
        # Also where nothing is archived as far as the state knows: lifecycle may have moved versions since.
        thaw=wishes.thaw,
        revoked=choice.left_out or None,
        reinstated=choice.reinstated or None,
        sample=choice.sampled_out or None,
        unproven=tuple(survey.unproven) or None,
    )


def planned_batches(blocks: Iterable[Columns]) -> Iterator[tuple[PlannedBatch, bytes]]:
    """Each batch of these entries with the bytes of its file, in order: at most BATCH_OBJECTS objects and BATCH_BYTES
    bytes.

    No entries are one empty batch, so that every restore runs the same steps and leaves a result.
    """
    runs = cut_columns(blocks, objects=BATCH_OBJECTS, size=BATCH_BYTES)
    for number, batch in enumerate(chain([next(runs, Columns())], runs)):
        content = encode_columns(batch)
        yield (
            PlannedBatch(number=number, digest=batch_digest(content), objects=len(batch), bytes=sum(batch.sizes)),
            content,
        )


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
    return decode_batch(
        proven_batch(records, plan.digest, plan.batches, number, version_id, batch_digest, "nothing was copied from it")
    )


def proven_batch(
    records: RecordReader,
    plan: Digest,
    batches: Sequence[PlannedBatch],
    number: int,
    version_id: VersionId | None,
    digest_of: Callable[[bytes], Digest],
    undone: str,
) -> bytes:
    """The bytes of a batch file of `plan`, which has these `batches`: those of the digest that it states.

    Raises PlanMismatch, whose message says that `undone`; VersionGone.
    """
    if number >= len(batches):
        raise PlanMismatch(f"the restore plan has {len(batches)} batches, and none numbered {number}")
    content = records.get(batch_file(plan, number), version_id)
    if (actual := digest_of(content)) != batches[number].digest:
        raise PlanMismatch(f"batch {number} is {actual}, expected {batches[number].digest}; {undone}")
    return content
