"""The proof of each object, and what became of a batch.

An object is proven by the SHA-256 of the bytes in the target: equal to its name, or, where its name promises none,
equal to that of the pinned version. A listing proves no bytes. So a target that held what a name promises keeps it,
even where the state's own version is damaged.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from functions.domain.batches import PlannedBatch
from functions.domain.documents import Document, Part
from functions.domain.restic import promised_sha256
from functions.domain.restore.plan import RestorePlan
from functions.domain.values import Digest, ObjectKey


class Comparison(StrEnum):
    """How the bytes in the target compare with what the state pins."""

    PROVEN = "proven"
    """They are what their name promises; or, where it promises nothing, the state's."""
    DAMAGED = "damaged"
    """They are exactly the state's; but the state's own bytes are not what their name promises."""
    DIFFERENT = "different"


def compare(key: ObjectKey, found: Digest, pinned: Callable[[], Digest]) -> Comparison:
    """Judge the bytes under `key` in the target by their SHA-256.

    `pinned` hashes the bytes of the pinned version; it is called only where the name does not settle it.
    """
    promised = promised_sha256(key)
    if found == promised:
        return Comparison.PROVEN
    if found != pinned():
        return Comparison.DIFFERENT
    return Comparison.DAMAGED if promised else Comparison.PROVEN


class Kind(StrEnum):
    """What kept an object from being proven."""

    UNPROVEN = "unproven"
    """Copied, but its bytes could not be compared."""
    MISSING = "missing"
    """The version that the state pins no longer exists."""
    DAMAGED = "damaged"
    """Copied exactly; the state's own bytes are not what their name promises."""
    FAILED = "failed"
    """Not copied, or copied wrongly."""
    UNEXPECTED = "unexpected"
    """In the target, but not in the state."""


class Trouble(Part):
    """One object that is not proven, and why."""

    key: ObjectKey
    kind: Kind
    why: str


_LONGEST_WHY = 300


def trouble(key: ObjectKey, kind: Kind, why: object) -> Trouble:
    return Trouble(key=key, kind=kind, why=str(why)[:_LONGEST_WHY])


class BatchResult(Document):
    """What became of one batch in one execution."""

    KIND: ClassVar[str] = "restore batch result"

    plan: Digest
    execution: str
    number: int = Field(ge=0)
    batch: Digest
    proven: int = Field(ge=0)
    copied: int = Field(ge=0)
    copied_bytes: int = Field(ge=0)
    skipped: int = Field(ge=0)
    """Already there and compared: nothing was written for them."""
    troubles: tuple[Trouble, ...]
    """In key order, at most one for a key."""

    def count(self, kind: Kind) -> int:
        return sum(each.kind is kind for each in self.troubles)

    def is_of(self, plan: RestorePlan, execution: str, batch: PlannedBatch) -> bool:
        """Whether it speaks of exactly this batch, and of each object in it."""
        named = (self.plan, self.execution, self.number, self.batch)
        counted = self.proven + len({each.key for each in self.troubles})
        return named == (plan.digest, execution, batch.number, batch.digest) and counted == batch.objects
