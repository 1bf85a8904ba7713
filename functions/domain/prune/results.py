"""What became of one batch: what is not listed any more, and what is, why and until when.

Security rules:
- A result counts what a listing shows after the calls, never what the answers said.
- It is believed only of the plan and the batch whose digests it names.
- It holds no keys; S3's words, which may, are kept of one entry for each reason and shown to nobody but its readers.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from functions.domain.documents import Document, Instant, Part
from functions.domain.prune.confirm import Left
from functions.domain.prune.deleting import Answer, Doomed, Refusal
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.plan import Phase, PruneBatch, PrunePlan
from functions.domain.state import Tally
from functions.domain.values import Digest, RepositoryName

RULES = "rules"
"""Who keeps an entry that S3 was never asked to delete."""
CHANGED = "changed"
"""Why the rules keep an entry that is current, or not what was planned."""
LONGEST_WORDS = 300


class Stays(Part):
    """Entries of a batch that are still there for one reason."""

    by: str
    """`rules`, or what S3's refusal means: `waits`, `again` or `failed`."""
    why: str
    """A reason of the rules (`Waits`, or `changed`), or S3's error code."""
    words: str = ""
    """What S3 says of one of them."""
    entries: int = Field(ge=1)
    bytes: int = Field(ge=0)
    first: Instant | None = None
    """When the first of them can go, if nothing else happens; None: nobody can tell."""
    last: Instant | None = None

    @property
    def is_failure(self) -> bool:
        """Whether neither the rules nor a lock or a policy explain it."""
        return self.by in (Answer.AGAIN, Answer.FAILED)


class BatchResult(Document):
    """What became of one batch. A rerun says the same, but for when."""

    KIND: ClassVar[str] = "prune result"

    repository: RepositoryName
    execution: str
    plan: Digest
    number: int = Field(ge=0)
    phase: Phase
    batch: Digest
    done_at: Instant
    """S3's clock when the batch was begun."""
    gone: Tally
    """Planned entries that are not there any more, whichever run deleted them."""
    stays: tuple[Stays, ...]

    def is_of(self, plan: PrunePlan, batch: PruneBatch) -> bool:
        """Whether it speaks of exactly this batch of this plan, and of all of it."""
        mine = (self.plan, self.number, self.phase, self.batch)
        counted = self.gone.objects + sum(each.entries for each in self.stays)
        return mine == (plan.digest, batch.number, batch.phase, batch.digest) and counted == batch.objects

    @property
    def waiting(self) -> int:
        """Entries that stay by the rules, or that S3 protects."""
        return sum(each.entries for each in self.stays if not each.is_failure)

    @property
    def failed(self) -> int:
        return sum(each.entries for each in self.stays if each.is_failure)

    @model_validator(mode="after")
    def _names_each_reason_once(self) -> Self:
        reasons = [(each.by, each.why) for each in self.stays]
        if len(set(reasons)) != len(reasons):
            raise ValueError("a reason is counted twice")
        return self


class BatchStopped(Document):
    """Why a batch was not carried out to its end. It decides nothing: a batch without a result is unfinished."""

    KIND: ClassVar[str] = "stopped prune batch"

    repository: RepositoryName
    execution: str
    plan: Digest
    number: int = Field(ge=0)
    why: str = Field(max_length=LONGEST_WORDS)
    """A sentence for people, which names no key."""


def stopped_file(repository: RepositoryName, execution: str, number: int) -> str:
    return f"prunes/{repository}/{execution}/results/{number:05d}.stopped.json"


@dataclass(frozen=True, slots=True)
class Applied:
    """A batch after its calls."""

    asked: Sequence[PlannedEntry]
    """What S3 was asked to delete."""
    gone: Sequence[PlannedEntry]
    """What had not been there."""
    left: Sequence[Left]
    """What the rules let stay."""
    refusals: Iterable[Refusal]
    """S3's last word on entries that it did not delete."""
    listed: Collection[Doomed]
    """Which of those that S3 was asked to delete are listed after the calls."""


def result_of(plan: PrunePlan, batch: PruneBatch, applied: Applied, begun: datetime) -> BatchResult:
    """What to write down of `batch`."""
    refused = {refusal.entry: refusal for refusal in applied.refusals}
    gone = [*applied.gone]
    sums: dict[tuple[str, str], list[tuple[PlannedEntry, datetime | None, str]]] = {}
    for left in applied.left:
        sums.setdefault((RULES, left.why or CHANGED), []).append((left.entry, left.until, ""))
    for entry in applied.asked:
        name = Doomed(entry.key, entry.version_id)
        if name not in applied.listed:
            gone.append(entry)
            continue
        refusal = refused.get(name, Refusal(name, "StillListed", "S3 said that it was deleted"))
        sums.setdefault((refusal.answer, refusal.code), []).append((entry, None, refusal.message))
    return BatchResult(
        repository=plan.repository,
        execution=plan.execution,
        plan=plan.digest,
        number=batch.number,
        phase=batch.phase,
        batch=batch.digest,
        done_at=begun,
        gone=Tally(objects=len(gone), bytes=sum(entry.size or 0 for entry in gone)),
        stays=tuple(_stays(by, why, found) for (by, why), found in sorted(sums.items())),
    )


def _stays(by: str, why: str, found: Sequence[tuple[PlannedEntry, datetime | None, str]]) -> Stays:
    until = [instant for _, instant, _ in found if instant is not None]
    return Stays(
        by=by,
        why=why,
        words=found[0][2][:LONGEST_WORDS],
        entries=len(found),
        bytes=sum(entry.size or 0 for entry, _, _ in found),
        first=min(until, default=None),
        last=max(until, default=None),
    )
