"""The prune plan: an immutable proposal of exactly these versions and markers, named by the digest of its bytes.

The plan covers the digest of each batch, and each batch names every entry with the rule that lets it go. Versions and
markers have batches of their own: all of the first phase comes before any of the second.

Security rules:
- The state that the plan was drawn from is among the kept ones; what is held is kept; nothing is both kept and to be
  dropped; nothing is planned on a state that failed its checks.
- A plan is believed only by the digest that was approved, and a batch only by the digest in the plan; so both are
  what the approver saw.
- A plan is good for VALID_FOR. One that expired deletes nothing.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from functions.domain.batches import PlannedBatch
from functions.domain.documents import Document, Instant, Part
from functions.domain.prune.entries import PlannedEntry, batch_digest, decode_batch
from functions.domain.prune.rules import PruneRules, Reason, Waits
from functions.domain.repositories import Retention
from functions.domain.restic import FileType
from functions.domain.state import Tally
from functions.domain.values import Digest, RepositoryName, StateId, VersionId
from functions.domain.verdict import Outcome, SeenFinding, outcome_of

if TYPE_CHECKING:
    # The ports speak of plans, so that this cannot be imported before they are.
    from functions.domain.ports import RecordReader

VALID_FOR = timedelta(hours=24)


class PlanMismatch(Exception):
    """What is stored is not the plan or the batch that was approved; nothing was deleted."""


class Phase(StrEnum):
    """Markers go after the versions beneath them, never with them."""

    VERSIONS = "versions"
    MARKERS = "markers"


class PruneBatch(PlannedBatch):
    """One batch file: a run of entries in key order; `bytes` are what deleting them frees."""

    phase: Phase


class Total(Part):
    """What goes for one reason, of one type of file."""

    reason: Reason
    type: FileType
    entries: int = Field(ge=1)
    bytes: int = Field(ge=0)


class Waiting(Part):
    """What waits for one reason. Of flooded keys, `bytes` counts the versions that were looked at."""

    why: Waits
    entries: int = Field(ge=1)
    bytes: int = Field(ge=0)
    first: Instant | None
    """When the first of them can go, if nothing else happens; None: not by waiting alone."""
    last: Instant | None
    """When the last of them can."""


class PrunePlan(Document):
    """What to delete, of which repository, and everything that it relies on."""

    KIND: ClassVar[str] = "prune plan"

    repository: RepositoryName
    execution: str
    """The prune's execution, which names the folder of its files."""
    state: StateId
    """The fresh state that it was drawn from."""
    generation: int = Field(ge=1)
    head: Digest
    """The head that ended the chain then."""
    drawn_at: Instant
    """S3's clock."""
    rules: PruneRules
    retention: Retention
    kept: tuple[StateId, ...]
    """The states it relied on, sorted: nothing that they name is planned."""
    dropped: tuple[StateId, ...]
    """The states to be marked dropped before anything is deleted, sorted."""
    holds: tuple[StateId, ...]
    """What was held then, sorted."""
    check: Outcome
    """What this execution's checks say of the fresh state."""
    findings: tuple[SeenFinding, ...]
    """What is odd about the plan itself."""
    listed: Tally
    """All object versions of the repository when it was listed."""
    markers: int = Field(ge=0)
    """And all delete markers."""
    totals: tuple[Total, ...]
    waiting: tuple[Waiting, ...]
    flooded: int = Field(ge=0)
    """Keys of which nothing is planned, because they have too many entries."""
    batches: tuple[PruneBatch, ...]

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        kept = set(self.kept)
        if self.state not in kept or not kept.issuperset(self.holds) or not kept.isdisjoint(self.dropped):
            raise ValueError("its fresh state and all held states have to be kept, and none both kept and dropped")
        if self.check == "fail":
            raise ValueError("its fresh state did not pass the checks")
        if [batch.number for batch in self.batches] != list(range(len(self.batches))):
            raise ValueError("its batches are not numbered in order")
        counted = (sum(each.entries for each in self.totals), sum(each.bytes for each in self.totals))
        if counted != (sum(each.objects for each in self.batches), sum(each.bytes for each in self.batches)):
            raise ValueError("its totals are not those of its batches")
        return self

    @property
    def kept_digest(self) -> Digest:
        """Over the ids of the kept states."""
        return states_digest(self.kept)

    @property
    def valid_until(self) -> datetime:
        return self.drawn_at + VALID_FOR

    @property
    def freed(self) -> Tally:
        """What deleting all of it frees."""
        return Tally(
            objects=sum(batch.objects for batch in self.batches if batch.phase is Phase.VERSIONS),
            bytes=sum(batch.bytes for batch in self.batches),
        )

    @property
    def outcome(self) -> Outcome:
        """`hold` where the check or the plan itself wants a person to look."""
        return "pass" if (self.check, outcome_of(self.findings)) == ("pass", "pass") else "hold"

    def of_phase(self, phase: Phase) -> tuple[PruneBatch, ...]:
        return tuple(batch for batch in self.batches if batch.phase is phase)


def states_digest(states: Iterable[StateId]) -> Digest:
    """The digest of a set of states, whatever their order."""
    content = json.dumps(sorted(set(states)), separators=(",", ":")).encode()
    return Digest(hashlib.sha256(b"rwm set of states 1\0" + content).hexdigest())


# --- its files in the records bucket ---------------------------------------------------------------


def plan_file(repository: RepositoryName, execution: str) -> str:
    return f"prunes/{repository}/{execution}/plan.json"


def manifest_file(repository: RepositoryName, execution: str, phase: Phase) -> str:
    return f"prunes/{repository}/{execution}/{phase}.json"


def batch_file(repository: RepositoryName, execution: str, number: int) -> str:
    return f"prunes/{repository}/{execution}/batches/{number:05d}.jsonl"


def result_file(repository: RepositoryName, execution: str, number: int) -> str:
    return f"prunes/{repository}/{execution}/results/{number:05d}.json"


def read_plan(records: "RecordReader", file: str, version_id: VersionId, approved: Digest) -> PrunePlan:
    """The plan whose digest was approved. Raises PlanMismatch, UnreadableDocument, VersionGone."""
    plan = PrunePlan.parse(records.get(file, version_id))
    if plan.digest != approved:
        raise PlanMismatch(f"prune plan is {plan.digest}, approved was {approved}; nothing was deleted")
    return plan


def read_batch(
    records: "RecordReader", plan: PrunePlan, number: int, version_id: VersionId | None = None
) -> tuple[PlannedEntry, ...]:
    """The entries of a batch, proven by the digest in the plan.

    Raises PlanMismatch, UnreadableDocument, VersionGone.
    """
    if not 0 <= number < len(plan.batches):
        raise PlanMismatch(f"the prune plan has {len(plan.batches)} batches, and none numbered {number}")
    content = records.get(batch_file(plan.repository, plan.execution, number), version_id)
    if (actual := batch_digest(content)) != plan.batches[number].digest:
        raise PlanMismatch(
            f"batch {number} is {actual}, expected {plan.batches[number].digest}; nothing was deleted of it"
        )
    return decode_batch(content)
