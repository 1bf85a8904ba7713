"""What a prune came to: every kept state looked for in a listing afterwards, and what is not listed any more.

Security rules:
- What was reclaimed is what was planned, and is not listed afterwards; no answer of S3's and no result is added up.
- A state counts as whole only when every version that it names is listed, and its entries proved themselves to their
  end.
- A batch without a result that holds is told.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, Literal

from pydantic import Field

from functions.domain.cut import NotInOrder
from functions.domain.documents import Document, Instant, Part
from functions.domain.findings import FindingId
from functions.domain.ledger import StateDamaged
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.named import Life, NamesReader, Piece, Run, StrandDamaged, by_base
from functions.domain.prune.plan import Phase, PrunePlan, Waiting
from functions.domain.prune.results import BatchResult, Stays
from functions.domain.state import StateHeader, Tally
from functions.domain.values import (
    Digest,
    Finding,
    ListedVersion,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    Severity,
    StateId,
    VersionId,
)

MOST_REASONS = 10
"""Why batches stopped, at most: the same thing stops most of them."""
MOST_HARMED = 100
"""States that a summary names; the report in the records bucket names all."""


class Harmed(Part):
    """A kept state that is not known to be whole."""

    state: StateId
    generation: int = Field(ge=1)
    missing: int = Field(ge=0)
    """Versions that it names, and that are not listed."""
    unproven: bool
    """What it names could not be read, or did not prove itself."""


class PruneReport(Document):
    """What was planned, what is gone, what waits, and whether every kept state is whole."""

    KIND: ClassVar[str] = "prune report"

    repository: RepositoryName
    execution: str
    plan: Digest
    verified_at: Instant
    """S3's clock, before the listing."""
    planned: Tally
    """Versions that were to go."""
    planned_markers: int = Field(ge=0)
    reclaimed: Tally
    """Of these, what is not listed any more."""
    reclaimed_markers: int = Field(ge=0)
    before: Tally
    """All object versions that were listed when the plan was drawn."""
    markers_before: int = Field(ge=0)
    after: Tally
    """And now; hosts and other uploads go on meanwhile, so the difference is not what was reclaimed."""
    markers_after: int = Field(ge=0)
    kept_states: int = Field(ge=0)
    dropped_states: int = Field(ge=0)
    """That the plan named to be dropped."""
    harmed: tuple[Harmed, ...]
    """Kept states that are not whole."""
    harmed_states: int = Field(ge=0)
    """How many there are; a summary names some."""
    batches: int = Field(ge=0)
    unfinished: int = Field(ge=0)
    """Batches without a result."""
    stopped: tuple[str, ...] = ()
    """Why batches without a result were not carried out, as far as they said so; each reason once."""
    stays: tuple[Stays, ...]
    """What of the plan is still there, why, and until when."""
    waiting: tuple[Waiting, ...]
    """What the plan let wait to begin with."""

    @property
    def kept_states_whole(self) -> int:
        return self.kept_states - self.harmed_states

    @property
    def outcome(self) -> Literal["done", "incomplete", "harmed"]:
        """`harmed`: a kept state is not whole; `incomplete`: some of the plan was not carried out."""
        if self.harmed_states:
            return "harmed"
        return "incomplete" if self.unfinished or self.failed else "done"

    @property
    def failed(self) -> int:
        """Entries that S3 did not delete, for no reason of ours or of a lock."""
        return sum(each.entries for each in self.stays if each.is_failure)

    @property
    def held_back(self) -> int:
        """Planned entries that wait after all."""
        return sum(each.entries for each in self.stays if not each.is_failure)

    def shortened(self) -> "PruneReport":
        """The same, naming so few states that it fits into an item."""
        return self.model_copy(update={"harmed": self.harmed[:MOST_HARMED]})


@dataclass(slots=True)
class Seen:
    """What one listing shows."""

    versions: Tally
    markers: int
    reclaimed: Tally
    reclaimed_markers: int
    harmed: tuple[Harmed, ...]


def look_after(
    listing: Iterable[ListedVersion],
    kept: Sequence[StateHeader],
    names: NamesReader,
    planned: Mapping[Phase, Iterable[PlannedEntry]],
) -> Seen:
    """Fold `listing` (S3's order, complete) once. `planned`: in key order. Raises NotInOrder, and whatever reading the
    plan raises."""
    states = [_States(headers, names) for headers in by_base(kept)]
    plans = [_Planned(iter(entries)) for entries in planned.values()]
    counts = [0, 0, 0]
    last: ObjectKey | None = None
    for key, entries in groupby(listing, key=attrgetter("key")):
        if last is not None and key < last:
            raise NotInOrder(f"{key!r} was listed after {last!r}; nothing was verified")
        last = key
        versions: set[VersionId] = set()
        markers: set[VersionId] = set()
        for entry in entries:
            if isinstance(entry, ObjectVersion):
                versions.add(entry.version_id)
                counts[0] += 1
                counts[1] += entry.size
            else:
                markers.add(entry.version_id)
                counts[2] += 1
        for state in states:
            state.pass_by(key, versions)
        for plan in plans:
            plan.pass_by(key, versions | markers)
    for state in states:
        state.finish()
    for plan in plans:
        plan.finish()
    return Seen(
        versions=Tally(objects=counts[0], bytes=counts[1]),
        markers=counts[2],
        reclaimed=Tally(objects=sum(each.versions for each in plans), bytes=sum(each.bytes for each in plans)),
        reclaimed_markers=sum(each.markers for each in plans),
        harmed=tuple(_harmed(kept, states)),
    )


class _States:
    """A place in what states of one base name. One that cannot be read costs the others no proof, unless they lie on
    it."""

    def __init__(self, headers: Sequence[StateHeader], names: NamesReader) -> None:
        self._headers = headers
        self._places: Sequence[int] = ()
        self._missing = [0] * len(headers)
        self._missing_in_all = 0
        self._proven: float = math.inf
        """Places before it are."""
        self._pieces: Iterator[Piece] = iter(())
        self._piece: Piece | None = None
        self._at = 0
        """Within a run."""
        try:
            states = names.find(headers)
            self._headers, self._places = states.headers, states.places
            self._pieces = iter(names.read(states))
        except StateDamaged:
            self._places, self._proven = [0] * len(headers), 0
        self._advance()

    @property
    def harmed(self) -> Iterator[Harmed]:
        for header, place, missing in zip(self._headers, self._places, self._missing, strict=True):
            gone, unproven = missing + self._missing_in_all, place >= self._proven
            if gone or unproven:
                yield Harmed(state=header.id, generation=header.generation, missing=gone, unproven=unproven)

    def pass_by(self, key: ObjectKey, listed: Collection[VersionId]) -> None:
        while (piece := self._piece) is not None:
            if isinstance(piece, Run):
                if not self._pass_run(piece, key, listed):
                    return
            elif piece.key > key:
                return
            else:
                self._lose(life for life in piece.lives if piece.key < key or life.version_id not in listed)
            self._advance()

    def finish(self) -> None:
        while (piece := self._piece) is not None:
            if isinstance(piece, Run):
                self._missing_in_all += len(piece.keys) - self._at
            else:
                self._lose(piece.lives)
            self._advance()

    def _pass_run(self, run: Run, key: ObjectKey, listed: Collection[VersionId]) -> bool:
        """Whether it has passed by to its end."""
        for at in range(self._at, len(run.keys)):
            if run.keys[at] > key:
                self._at = at
                return False
            if run.keys[at] < key or run.version_ids[at] not in listed:
                self._missing_in_all += 1
        return True

    def _lose(self, lives: Iterable[Life]) -> None:
        for life in lives:
            for number, place in enumerate(self._places):
                self._missing[number] += life.first <= place < life.end

    def _advance(self) -> None:
        self._at = 0
        try:
            self._piece = next(self._pieces, None)
        except StateDamaged as error:
            self._proven = error.place if isinstance(error, StrandDamaged) else 0
            self._piece = None


def _harmed(kept: Iterable[StateHeader], states: Iterable[_States]) -> Iterator[Harmed]:
    """In the order of `kept`."""
    found = {harmed.state: harmed for each in states for harmed in each.harmed}
    return (found[header.id] for header in kept if header.id in found)


@dataclass(slots=True)
class _Planned:
    """A place in what was planned, in key order."""

    entries: Iterator[PlannedEntry]
    versions: int = 0
    bytes: int = 0
    markers: int = 0
    _next: PlannedEntry | None = field(default=None)

    def __post_init__(self) -> None:
        self._next = next(self.entries, None)

    def pass_by(self, key: ObjectKey, listed: Collection[VersionId]) -> None:
        while self._next is not None and self._next.key <= key:
            if self._next.key < key or self._next.version_id not in listed:
                self._gone(self._next)
            self._next = next(self.entries, None)

    def finish(self) -> None:
        while self._next is not None:
            self._gone(self._next)
            self._next = next(self.entries, None)

    def _gone(self, entry: PlannedEntry) -> None:
        if entry.size is None:
            self.markers += 1
        else:
            self.versions += 1
            self.bytes += entry.size


def report_on(
    plan: PrunePlan,
    results: Sequence[BatchResult],
    seen: Seen,
    kept: Sequence[StateHeader],
    now: datetime,
    stopped: Iterable[str] = (),
) -> PruneReport:
    """`results`: those that hold, one of each batch at most; `stopped`: why there is none of others."""
    return PruneReport(
        repository=plan.repository,
        execution=plan.execution,
        plan=plan.digest,
        verified_at=now,
        planned=plan.freed,
        planned_markers=sum(batch.objects for batch in plan.of_phase(Phase.MARKERS)),
        reclaimed=seen.reclaimed,
        reclaimed_markers=seen.reclaimed_markers,
        before=plan.listed,
        markers_before=plan.markers,
        after=seen.versions,
        markers_after=seen.markers,
        kept_states=len(kept),
        dropped_states=len(plan.dropped),
        harmed=seen.harmed,
        harmed_states=len(seen.harmed),
        batches=len(plan.batches),
        unfinished=len(plan.batches) - len(results),
        stopped=tuple(sorted(set(stopped)))[:MOST_REASONS],
        stays=_added_up(each for result in results for each in result.stays),
        waiting=plan.waiting,
    )


def _added_up(stays: Iterable[Stays]) -> tuple[Stays, ...]:
    """One for each reason."""
    by_reason: dict[tuple[str, str], list[Stays]] = {}
    for each in stays:
        by_reason.setdefault((each.by, each.why), []).append(each)
    return tuple(
        Stays(
            by=by,
            why=why,
            words=found[0].words,
            entries=sum(each.entries for each in found),
            bytes=sum(each.bytes for each in found),
            first=min((each.first for each in found if each.first), default=None),
            last=max((each.last for each in found if each.last), default=None),
        )
        for (by, why), found in sorted(by_reason.items())
    )


def harm(report: PruneReport) -> Finding | None:
    """What people are told of kept states that are not whole."""
    if not report.harmed_states:
        return None
    missing = max(each.missing for each in report.harmed)
    return Finding(
        FindingId.PINNED_VERSION_GONE,
        Severity.FAIL,
        report.repository,
        report.verified_at,
        f"after prune {report.execution}, {report.harmed_states} of {report.kept_states} kept states are not whole: "
        f"up to {missing} version(s) that one names are not listed",
        "let no prune run, restore from a state that is whole, and find out who deletes versions",
    )


def report_file(repository: RepositoryName, execution: str) -> str:
    return f"prunes/{repository}/{execution}/report.json"
