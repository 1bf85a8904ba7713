"""A restore drill: what it is asked, what it came to, and when the next one is overdue.

A drill rebuilds the last good state in a bucket that empties itself, and proves it: as a person would have to on the
day of an attack, only that nobody waits.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from functions.domain.documents import Document, Instant, Part
from functions.domain.findings import FindingId
from functions.domain.repositories import Repository
from functions.domain.restore.request import ExecutionName, Location
from functions.domain.values import Digest, Finding, RepositoryName, Severity, StateId, zulu

LONGEST_DETAIL = 1_000
"""Characters of what a step said."""


class DrillRefused(Exception):
    """A drill must not begin: nobody deployed that, or the request is malformed; nothing was restored."""


class NothingRecorded(Exception):
    """A repository so young that there is nothing to restore: its drill is no failure.

    AWS starts a `rate(…)` as soon as it is deployed.
    """


class NoGoodState(Exception):
    """There is no state that a drill could restore; nothing was restored. The message says what speaks against each."""


class DrillFailure(StrEnum):
    """Why a drill failed."""

    NO_GOOD_STATE = "no-good-state"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    """Objects are missing or not proven, or there are others."""
    DAMAGED = "damaged"
    """The copy is exactly the state, of which objects are not what their names promise."""
    NOT_COMPLETE = "not-complete"
    """The check of the copy with the restic password has a FAIL or a HOLD."""
    NOT_JUDGED = "not-judged"
    """It should have been opened, and there is no verdict."""
    BROKE = "broke"

    @property
    def meaning(self) -> str:
        """What was the case; names no key."""
        return _MEANINGS[self]

    @property
    def of_the_repository(self) -> bool:
        """Whether a true restore would have come to the same."""
        return self in (DrillFailure.INCOMPLETE, DrillFailure.DAMAGED, DrillFailure.NOT_COMPLETE)


_MEANINGS = {
    DrillFailure.NO_GOOD_STATE: "no state that is kept is known to be good",
    DrillFailure.REFUSED: "the restore refused to begin",
    DrillFailure.INCOMPLETE: "what was restored is not what the state holds, or not proven to be",
    DrillFailure.DAMAGED: "the copy is exactly the state, of which objects were damaged when it was recorded",
    DrillFailure.NOT_COMPLETE: "the check of the copy with the restic password has a FAIL or a HOLD",
    DrillFailure.NOT_JUDGED: "each object of the copy is proven, and there is no verdict by the restic password",
    DrillFailure.BROKE: "a step broke before there was a report",
}


class Chosen(Part):
    """Which state a drill restores, how much of it, and where to."""

    state: StateId
    generation: int = Field(ge=1)
    cut_time: Instant
    objects: int = Field(ge=0)
    """Of the state."""
    bytes: int = Field(ge=0)
    content_root: Digest
    target: Location
    sample_bytes: int | None = Field(ge=0)
    """About how many bytes of packs, beside everything that is no pack; None: the whole state."""
    complete: bool
    """The copy is to be opened with the restic password, too."""


class DrillReport(Document):
    """What a drill came to."""

    KIND: ClassVar[str] = "drill report"

    repository: RepositoryName
    execution: ExecutionName
    """Of the drill workflow; the restore and the check that it ran have the same name."""
    reason: Literal["schedule", "operator"]
    started_at: Instant
    """By the clock of Step Functions."""
    ended_at: Instant
    """By the clock of the function that concluded."""
    state: StateId | None
    """None: none could be chosen."""
    cut_time: Instant | None
    target: Location | None
    sample_bytes: int | None
    """None: the whole state, if any."""
    state_objects: int = Field(ge=0)
    state_bytes: int = Field(ge=0)
    objects: int = Field(ge=0)
    """That were to be restored: all of the state's, or the sample."""
    bytes: int = Field(ge=0)
    proven: int = Field(ge=0)
    """Of these objects: their SHA-256 is what it should be."""
    outcome: Literal["restored", "failed"]
    level: Literal["content", "complete"] | None
    """How deep the copy was proven to be sound; None: it was not."""
    verdict: Digest | None
    """Of the copy, by the restic password."""
    why: DrillFailure | None
    detail: str = Field(max_length=LONGEST_DETAIL)
    """What the step said that failed."""

    @model_validator(mode="after")
    def _is_earned(self) -> Self:
        proven = self.state is not None and self.level is not None and self.proven == self.objects
        whole = self.sample_bytes is not None or (self.objects, self.bytes) == (self.state_objects, self.state_bytes)
        opened = self.level != "complete" or self.verdict is not None
        if self.outcome == "restored" and not (proven and whole and opened and self.why is None):
            raise ValueError("a drill says restored of what was not proven")
        if self.outcome == "failed" and (self.why is None or self.level is not None):
            raise ValueError("a drill failed for no reason")
        return self

    @property
    def seconds(self) -> int:
        """From its start to its end."""
        return max(0, int((self.ended_at - self.started_at) / timedelta(seconds=1)))


def overdue(
    repository: Repository, first_state: datetime | None, last: datetime | None, now: datetime
) -> Finding | None:
    """What is to be said where no drill restored `repository` for longer than its `max_drill_age`.

    `first_state`: when the first state was recorded, None if there is none yet; `last`: when the last drill that
    restored it ended. A failed drill is none. What it says stays the same from day to day: it is news once.
    """
    if repository.drill_schedule is None or first_state is None:
        return None
    since = (last or first_state) + repository.max_drill_age
    if now <= since:
        return None
    never = f"no drill has restored it since its first state was recorded, at {zulu(first_state)}"
    return Finding(
        FindingId.DRILL_OVERDUE,
        Severity.NOTE,
        repository.repository,
        since,
        f"the last drill that restored it ended at {zulu(last)}" if last else never,
        f"`rwm drill {repository.name} --list` shows the drills, `rwm drill {repository.name}` begins one; where none "
        "begins by itself, look at the schedule and at the workflow",
    )
