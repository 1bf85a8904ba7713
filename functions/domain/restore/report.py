"""How a restore ended. Nothing is called restored unless each object is proven and the content root is the state's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from functions.domain.documents import Document, Instant
from functions.domain.restore.plan import RestorePlan
from functions.domain.restore.proof import BatchResult, Kind, Trouble, trouble
from functions.domain.restore.request import Location
from functions.domain.roots import content_root
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId

SHOWN = 100
"""How many troubles the short report names at most."""
_SHOWN_BYTES = 200_000
"""And how many bytes of them: an item of the operations table holds 400 KB, and a key of S3 may be 6 KB of JSON."""


Outcome = Literal["restored", "restored-damaged", "incomplete"]


class RestoreReport(Document):
    """How a restore ended. `incomplete` unless everything was compared and is the state's."""

    KIND: ClassVar[str] = "restore report"
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {1: frozenset({"verified_at"}), 2: frozenset()}

    plan: Digest
    execution: str
    verified_at: Instant | None = None
    """By the clock of the function that verified; None in the first format."""
    repository: RepositoryName
    state: StateId
    source: Location
    target: Location
    outcome: Outcome
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    proven: int = Field(ge=0)
    copied: int = Field(ge=0)
    copied_bytes: int = Field(ge=0)
    skipped: int = Field(ge=0)
    unproven: int = Field(ge=0)
    missing: int = Field(ge=0)
    damaged: int = Field(ge=0)
    failed: int = Field(ge=0)
    unexpected: int = Field(ge=0)
    content_root: Digest
    """The state's."""
    found_content_root: Digest
    """The target's, from its listing at the end."""
    troubles: tuple[Trouble, ...]
    """In key order."""
    left_out: int = Field(default=0, ge=0)
    """Troubles that this copy of the report does not name; the file in the records bucket names all."""

    @model_validator(mode="after")
    def _is_earned(self) -> Self:
        same = self.content_root == self.found_content_root
        whole = self.proven == self.objects if self.outcome == "restored" else True
        exact = self.proven + self.damaged == self.objects
        if self.outcome != "incomplete" and not (same and whole and exact and not self.unexpected):
            raise ValueError(f"a report says {self.outcome} of what was not proven")
        return self

    def shortened(self) -> "RestoreReport":
        """The same with the first troubles only: as many as fit an item of the operations table, at most SHOWN."""
        room = _SHOWN_BYTES
        kept: list[Trouble] = []
        for each in self.troubles[:SHOWN]:
            room -= len(each.model_dump_json().encode())
            if room < 0:
                break
            kept.append(each)
        return self.model_copy(update={"troubles": tuple(kept), "left_out": len(self.troubles) - len(kept)})


@dataclass(frozen=True, slots=True)
class Found:
    """What the target holds at the end."""

    listed: Mapping[ObjectKey, int]
    """Sizes in bytes by key, in key order."""

    @property
    def content_root(self) -> Digest:
        return content_root(self.listed.items())


def differences(found: Found, pinned: Iterable[ObjectVersion]) -> Iterator[Trouble]:
    """Where the target's listing is not the state's: objects that are absent, of another size, or too many."""
    unseen = dict(found.listed)
    for version in pinned:
        size = unseen.pop(version.key, None)
        if size is None:
            yield trouble(version.key, Kind.FAILED, "it is not in the target")
        elif size != version.size:
            yield trouble(version.key, Kind.FAILED, f"it has {size} bytes in the target, in the state {version.size}")
    for key in unseen:
        yield trouble(key, Kind.UNEXPECTED, "it is in the target, but not in the state")


def conclude(
    plan: RestorePlan,
    execution: str,
    results: Iterable[BatchResult],
    troubles: Iterable[Trouble],
    found: Found,
    verified_at: datetime,
) -> RestoreReport:
    """The report of an execution from the `results` of its batches (those that have one that holds), what else
    is known to be wrong, and what the target holds. What a batch says of a failed object comes first."""
    given = list(results)
    by_key: dict[ObjectKey, Trouble] = {each.key: each for result in given for each in result.troubles}
    for each in troubles:
        if each.key not in by_key or by_key[each.key].kind is Kind.DAMAGED:
            by_key[each.key] = each
    counts = dict.fromkeys(Kind, 0)
    for each in by_key.values():
        counts[each.kind] += 1
    not_proven = len(by_key) - counts[Kind.UNEXPECTED]
    root = found.content_root
    return RestoreReport(
        plan=plan.digest,
        execution=execution,
        verified_at=verified_at,
        repository=plan.repository,
        state=plan.state,
        source=plan.source,
        target=plan.target,
        outcome=_outcome(counts, exact=root == plan.content_root),
        objects=plan.objects,
        bytes=plan.bytes,
        proven=plan.objects - not_proven,
        copied=sum(result.copied for result in given),
        copied_bytes=sum(result.copied_bytes for result in given),
        skipped=sum(result.skipped for result in given),
        unproven=counts[Kind.UNPROVEN],
        missing=counts[Kind.MISSING],
        damaged=counts[Kind.DAMAGED],
        failed=counts[Kind.FAILED],
        unexpected=counts[Kind.UNEXPECTED],
        content_root=plan.content_root,
        found_content_root=root,
        troubles=tuple(sorted(by_key.values(), key=lambda each: each.key.encode())),
    )


def _outcome(counts: Mapping[Kind, int], *, exact: bool) -> Outcome:
    if not exact or any(count for kind, count in counts.items() if kind is not Kind.DAMAGED):
        return "incomplete"
    return "restored-damaged" if counts[Kind.DAMAGED] else "restored"
