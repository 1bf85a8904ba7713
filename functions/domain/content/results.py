"""What the bytes of one version say, and what became of one batch.

Security rules:
- An object is proven only by the SHA-256 of its bytes: equal to its name. `config` and alien keys promise none; of
  them the hash is told, to be kept at first sight and compared ever after.
- A result counts only if it speaks of exactly the planned batch and of each object in it, once.
"""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from functions.domain.content.plan import ContentBatch, ContentPlan, name_of
from functions.domain.documents import Document, Instant, Part
from functions.domain.restic import promised_sha256
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId

LARGEST_READ = 32 << 30
"""Bytes that one function surely reads in its 15 minutes, at 70 MB/s. restic's packs have 128 MiB at most."""
_LONGEST_WHY = 80


class Kind(StrEnum):
    """What kept an object from being verified."""

    DAMAGED = "damaged"
    """Its bytes are not what its name promises, or not as many as listed."""
    GONE = "gone"
    """The version no longer exists."""
    FAILED = "failed"
    """Its bytes could not be read to the end: nothing is known of them."""


class Trouble(Part):
    """One version that was not verified, and why."""

    key: ObjectKey
    version_id: VersionId
    written: Instant
    kind: Kind
    why: str
    """An error code, or a few words; never bytes of the object."""


class Sight(Part):
    """The bytes of a version whose name promises none, as they were seen."""

    key: ObjectKey
    version_id: VersionId
    written: Instant
    sha256: Digest


def trouble(version: ObjectVersion, kind: Kind, why: str) -> Trouble:
    return Trouble(
        key=version.key,
        version_id=version.version_id,
        written=version.last_modified,
        kind=kind,
        why=why[:_LONGEST_WHY],
    )


def judge_bytes(version: ObjectVersion, found: Digest, size: int) -> Trouble | Sight | None:
    """What `size` bytes with the SHA-256 `found` say of `version`; None: they are what its name promises."""
    promised = promised_sha256(version.key)
    if size != version.size:
        return trouble(version, Kind.DAMAGED, f"{size} bytes instead of {version.size}")
    if promised is None:
        return Sight(key=version.key, version_id=version.version_id, written=version.last_modified, sha256=found)
    if found != promised:
        return trouble(version, Kind.DAMAGED, "its SHA-256 is not its name")
    return None


class ContentResult(Document):
    """What became of one batch. At most one line for each of its objects, of which there are BATCH_OBJECTS at most."""

    KIND: ClassVar[str] = "content result"

    plan: Digest
    number: int = Field(ge=0)
    batch: Digest
    verified: int = Field(ge=0)
    """Objects that hash to their names."""
    read_bytes: int = Field(ge=0)
    """Of those that were read to the end."""
    sights: tuple[Sight, ...]
    troubles: tuple[Trouble, ...]

    def count(self, kind: Kind) -> int:
        return sum(each.kind is kind for each in self.troubles)

    def is_of(self, plan: ContentPlan, batch: ContentBatch) -> bool:
        """Whether it speaks of exactly this batch, and of each object in it."""
        named = (self.plan, self.number, self.batch)
        told = {*map(name_of, self.sights), *map(name_of, self.troubles)}
        return named == (plan.digest, batch.number, batch.digest) and self.verified + len(told) == batch.objects
