"""A bucket state: its header, the chain the headers form, and the head that ends the chain.

Security rules:
- A header's id is the digest of its bytes; it names its parent's id, so that changing one header
  changes every id after it.
- The head is advanced only from the generation that was read: the chain cannot fork.
- A header describes what was seen. Verdicts and findings about it are items of their own.
- A delta names by its id the state on which it lies, so that a header's id stands for every chunk down to the base.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from functions.domain.columns import Columns
from functions.domain.cut import Cut
from functions.domain.delta import MOST_LINKS
from functions.domain.documents import Document, Instant, Part
from functions.domain.restic import FileType, file_type
from functions.domain.roots import AttributesRoot, ContentRoot, ManifestRoot
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


class DeltaOn(Part):
    """On what a delta lies, and how long the strand is that ends with it."""

    state: StateId
    """The state whose entries it changes."""
    generation: int = Field(ge=1)
    """Of that state."""
    base: ChunkSet
    """Where the entries of the base lie, which is at the beginning of the strand."""
    base_objects: int = Field(ge=0)
    links: int = Field(ge=1, le=MOST_LINKS)
    """Deltas on the base, this one included."""
    changes: int = Field(ge=1)
    """Entries put and keys removed by all of them."""


@dataclass(frozen=True, slots=True)
class Roots:
    """The digests of a state's entries."""

    manifest: Digest
    content: Digest
    attributes: Digest

    @classmethod
    def of(cls, blocks: Iterable[Columns]) -> "Roots":
        """`blocks` in key order."""
        roots = (ManifestRoot(), ContentRoot(), AttributesRoot())
        for block in blocks:
            for root in roots:
                root.update(block)
        return cls(*(root.digest() for root in roots))


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
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {1: frozenset({"attributes_root", "delta"}), 2: frozenset()}

    repository: RepositoryName
    generation: int = Field(ge=1)
    """Position in the repository's chain; the first is 1."""
    parent: StateId | None
    """The id of the state before it; None for generation 1."""
    kind: Literal["base", "delta", "same"]
    """`base` has all entries in chunks of its own, `delta` what changed; `same` has its parent's manifest root and
    names its parent's chunks."""
    cut_time: Instant
    recorded_at: Instant
    """S3's clock when it was committed."""
    chunks: ChunkSet
    delta: DeltaOn | None = None
    """None: the chunks hold all entries. Otherwise they hold a delta, which lies on this."""
    manifest_root: Digest
    content_root: Digest
    attributes_root: Digest | None = None
    """Of the entries as the chunks have them. None: recorded before there was one."""
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

    @model_validator(mode="after")
    def _is_its_kind(self) -> Self:
        if self.kind != "same" and (self.kind == "delta") != (self.delta is not None):
            raise ValueError(f"its kind is {self.kind}, and its chunks are another's")
        return self

    @property
    def id(self) -> StateId:
        return StateId(self.digest)

    @property
    def base(self) -> ChunkSet:
        """Where the entries of the base lie on which this state is built: states of one base are one strand."""
        return self.delta.base if self.delta else self.chunks

    @property
    def base_objects(self) -> int:
        """Entries of the base."""
        return self.delta.base_objects if self.delta else self.objects

    @property
    def links(self) -> int:
        """Deltas between the base and this state."""
        return self.delta.links if self.delta else 0


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
    delta: DeltaOn | None = None,
    roots: Roots | None = None,
    by_type: Mapping[FileType, Tally] | None = None,
) -> StateHeader:
    """The header of `cut` as the next link after `parent`.

    `own_chunks` is where the recorder would put the entries, or with `delta` what changed; where the parent already
    has the same entries, the parent's chunks are named instead and neither is used. `roots` and `by_type`: those of
    the cut, where they are known.
    """
    roots = roots or Roots.of(cut.versions.blocks())
    by_type = tally(cut.versions) if by_type is None else by_type
    same = parent is not None and parent.manifest_root == roots.manifest
    return StateHeader(
        repository=repository,
        generation=parent.generation + 1 if parent else 1,
        parent=parent.id if parent else None,
        kind="same" if same else "delta" if delta else "base",
        cut_time=cut.time,
        recorded_at=recorded_at,
        chunks=parent.chunks if parent is not None and same else own_chunks,
        delta=parent.delta if parent is not None and same else delta,
        manifest_root=roots.manifest,
        content_root=roots.content,
        attributes_root=parent.attributes_root if parent is not None and same else roots.attributes,
        objects=len(cut.versions),
        bytes=sum(each.bytes for each in by_type.values()),
        by_type=dict(by_type),
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
