"""A bucket state: its header, the chain the headers form, and the head that ends the chain.

Security rules:
- A header's id is the digest of its bytes; it names its parent's id, so that changing one header
  changes every id after it.
- The head is advanced only from the generation that was read: the chain cannot fork.
- A header describes what was seen. Verdicts and findings about it are items of their own.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from functions.domain.cut import Cut
from functions.domain.documents import Document, Instant, Part
from functions.domain.restic import FileType, file_type
from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName, StateId


class Tally(Part):
    """How many objects, and how many bytes."""

    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)


class ChunkSet(Part):
    """Where a state's entries lie: chunks 0 to count - 1 of one attempt, in key order."""

    attempt: AttemptId
    count: int = Field(ge=0)
    digest: Digest
    """SHA-256 over the chunks' own SHA-256 digests, in order."""


class Cause(Part):
    """Why a state was recorded: annotations, which decide nothing."""

    reason: Literal["event", "schedule", "operator"]
    sent: Instant | None = None
    sender: str | None = None
    snapshot: str | None = None
    outcome: Literal["complete", "incomplete"] | None = None


class StateHeader(Document):
    """Everything about a state but its entries."""

    KIND: ClassVar[str] = "state header"

    repository: RepositoryName
    generation: int = Field(ge=1)
    """Position in the repository's chain; the first is 1."""
    parent: StateId | None
    """The id of the state before it; None for generation 1."""
    kind: Literal["base", "same"]
    """`base` has chunks of its own; `same` has its parent's manifest root and names its parent's chunks."""
    cut_time: Instant
    recorded_at: Instant
    """S3's clock when it was committed."""
    chunks: ChunkSet
    manifest_root: Digest
    content_root: Digest
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    by_type: dict[FileType, Tally]
    edge: bool
    busy: bool
    locks: int = Field(ge=0)
    stale_locks: int = Field(ge=0)
    hidden: int = Field(ge=0)
    noncurrent: int = Field(ge=0)
    cause: Cause

    @property
    def id(self) -> StateId:
        return StateId(self.digest)


class Head(Document):
    """The end of a repository's chain, and what is anchored in the records bucket for each generation."""

    KIND: ClassVar[str] = "head"

    repository: RepositoryName
    generation: int = Field(ge=1)
    state: StateId
    cut_time: Instant
    recorded_at: Instant
    busy: bool

    @classmethod
    def of(cls, header: StateHeader) -> "Head":
        return cls(
            repository=header.repository,
            generation=header.generation,
            state=header.id,
            cut_time=header.cut_time,
            recorded_at=header.recorded_at,
            busy=header.busy,
        )


def describe(
    cut: Cut,
    *,
    repository: RepositoryName,
    parent: StateHeader | None,
    own_chunks: ChunkSet,
    recorded_at: Instant,
    cause: Cause,
) -> StateHeader:
    """The header of `cut` as the next link after `parent`.

    `own_chunks` is where the recorder would put the entries; where the parent already has the same ones,
    the parent's chunks are named instead and `own_chunks` is not used.
    """
    root = manifest_root(cut.versions)
    same = parent is not None and parent.manifest_root == root
    return StateHeader(
        repository=repository,
        generation=parent.generation + 1 if parent else 1,
        parent=parent.id if parent else None,
        kind="same" if same else "base",
        cut_time=cut.time,
        recorded_at=recorded_at,
        chunks=parent.chunks if parent is not None and same else own_chunks,
        manifest_root=root,
        content_root=content_root(content_of(cut.versions)),
        objects=len(cut.versions),
        bytes=sum(version.size for version in cut.versions),
        by_type=tally(cut.versions),
        edge=cut.edge,
        busy=cut.busy,
        locks=cut.locks,
        stale_locks=cut.stale_locks,
        hidden=cut.hidden,
        noncurrent=cut.noncurrent,
        cause=cause,
    )


def tally(versions: Iterable[ObjectVersion]) -> dict[FileType, Tally]:
    """Objects and bytes by restic's type of file; types that do not occur are left out."""
    objects: dict[FileType, int] = {}
    sizes: dict[FileType, int] = {}
    for version in versions:
        kind = file_type(version.key)
        objects[kind] = objects.get(kind, 0) + 1
        sizes[kind] = sizes.get(kind, 0) + version.size
    return {kind: Tally(objects=count, bytes=sizes[kind]) for kind, count in objects.items()}
