"""Which versions of a state a check reads, in batches that one function each can read.

Security rules:
- Every version of the state that is not known to be verified is in the plan, exactly once.
- The plan covers the digest of every batch, and names its file by version id: a child reads what was planned.
- What is read again as a sample is drawn from the name of the execution: known only when it runs, and the same
  however often that execution plans.
"""

import hashlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import Field

from functions.domain.batches import PlannedBatch, cut_runs
from functions.domain.documents import Document, Instant
from functions.domain.state import StateHeader, Tally
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId

BATCH_OBJECTS = 5_000
"""16 at a time and 50 ms each, they are 16 s of waiting; a state of a million small files is 200 batches."""
BATCH_BYTES = 8 << 30
"""Two minutes at 70 MB/s, which is what one function hashes; four times slower, it still ends within 15 minutes. 500
of restic's packs of 16 MiB stay just below."""

VersionName = tuple[ObjectKey, VersionId]
"""What names exactly one version of a repository."""


class Named(Protocol):
    """Whatever has a key and a version id."""

    @property
    def key(self) -> ObjectKey: ...

    @property
    def version_id(self) -> VersionId: ...


def name_of(version: Named) -> VersionName:
    return version.key, version.version_id


class ContentBatch(PlannedBatch):
    """One batch file, and which version of it."""

    version_id: VersionId


class ContentPlan(Document):
    """What one check of content reads of one state."""

    KIND: ClassVar[str] = "content plan"

    repository: RepositoryName
    state: StateId
    generation: int = Field(ge=1)
    cut_time: Instant
    execution: str
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    """All of the state."""
    verified_before: Tally
    """Not read again: a remembered set speaks for them."""
    sampled: Tally
    """Verified before, and read again."""
    batches: tuple[ContentBatch, ...]
    """The rest of the state, and the sample."""

    @property
    def to_read(self) -> Tally:
        return Tally(
            objects=sum(batch.objects for batch in self.batches), bytes=sum(batch.bytes for batch in self.batches)
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What to read of a state, in key order, and what of it was verified before."""

    to_read: tuple[ObjectVersion, ...]
    verified_before: Tally
    sampled: Tally


def choose(
    versions: Sequence[ObjectVersion],
    verified: Container[VersionName],
    *,
    execution: str,
    percent: float,
    everything: bool = False,
) -> Choice:
    """What a check reads of `versions`: what is not `verified`, and `percent` of the rest, or `everything`."""
    to_read: list[ObjectVersion] = []
    before: list[ObjectVersion] = []
    sampled: list[ObjectVersion] = []
    for version in versions:
        if name_of(version) not in verified:
            to_read.append(version)
        elif everything or is_drawn(version, percent, execution):
            to_read.append(version)
            sampled.append(version)
        else:
            before.append(version)
    return Choice(tuple(to_read), tally_of(before), tally_of(sampled))


def is_drawn(version: Named, percent: float, execution: str) -> bool:
    """Whether `version` is in this execution's sample. Each is with the same probability, so that the sample has
    `percent` of the objects and of the bytes, and each version's turn comes."""
    return draw(version, execution) < percent / 100 * 2**64


def draw(version: Named, execution: str) -> int:
    """A number of 64 bits that nobody knows before the execution has its name."""
    said = "\0".join((execution, version.key, version.version_id))
    return int.from_bytes(hashlib.sha256(b"rwm scrub 1\0" + said.encode()).digest()[:8])


def tally_of(versions: Iterable[ObjectVersion]) -> Tally:
    sizes = [version.size for version in versions]
    return Tally(objects=len(sizes), bytes=sum(sizes))


def cut_batches(versions: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, ...]]:
    """`versions` in runs that one function can read, in order; none, if there are none."""
    return cut_runs(versions, objects=BATCH_OBJECTS, size=BATCH_BYTES)


def draw_plan(header: StateHeader, choice: Choice, execution: str, batches: Iterable[ContentBatch]) -> ContentPlan:
    """The plan to read `choice` of `header`'s state, whose `batches` are written."""
    return ContentPlan(
        repository=header.repository,
        state=header.id,
        generation=header.generation,
        cut_time=header.cut_time,
        execution=execution,
        objects=header.objects,
        bytes=header.bytes,
        verified_before=choice.verified_before,
        sampled=choice.sampled,
        batches=tuple(batches),
    )


def batch_digest(content: bytes) -> Digest:
    """The digest of a batch file's bytes, as the plan states it."""
    return Digest(hashlib.sha256(b"rwm content batch 1\0" + content).hexdigest())
