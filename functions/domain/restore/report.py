"""How a restore ended. Nothing is called restored unless each object is proven and the content root is the state's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
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
NAMED = 100_000
"""How many the whole report names: that of a restore of which nothing went well has to fit a function's memory, too.
The results of the batches, which lie beside it, name the others."""
_SHOWN_BYTES = 200_000
"""And how many bytes of them: an item of the operations table holds 400 KB, and a key of S3 may be 6 KB of JSON."""


_SINCE_3 = ("lock_days", "revoked", "reinstated", "sample", "before", "hidden")
Outcome = Literal["restored", "restored-damaged", "incomplete"]


class RestoreReport(Document):
    """How a restore ended. `incomplete` unless everything was compared and is the state's."""

    KIND: ClassVar[str] = "restore report"
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {
        1: frozenset({"verified_at", *_SINCE_3}),
        2: frozenset(_SINCE_3),
        3: frozenset(),
    }

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
    """Of what was planned: the state's, where nothing was left out."""
    found_content_root: Digest
    """The target's, from its listing at the end."""
    troubles: tuple[Trouble, ...]
    """In key order."""
    left_out: int = Field(default=0, ge=0)
    """Troubles and key files that this copy of the report does not name; the file in the records bucket names all, or
    NAMED."""
    lock_days: int | None = None
    """For how long each copy is under governance, from the day on which it was made; None: as the target does it."""
    revoked: tuple[ObjectKey, ...] | None = None
    """Key files that were removed since the state, and are not in the target; None: there were none."""
    reinstated: tuple[ObjectKey, ...] | None = None
    """Key files that were removed since the state, and came back as was asked for."""
    sample: int | None = None
    """Packs that a drill left out: what is told of everything is told of the others. None: none was."""
    before: StateId | None = None
    """Of a restore in place: the state that was recorded just before, which undoes it."""
    hidden: int | None = None
    """Of a restore in place: keys that the state does not have, and that this execution hid."""

    @model_validator(mode="after")
    def _is_earned(self) -> Self:
        same = self.content_root == self.found_content_root
        whole = self.proven == self.objects if self.outcome == "restored" else True
        exact = self.proven + self.damaged == self.objects
        if self.outcome != "incomplete" and not (same and whole and exact and not self.unexpected):
            raise ValueError(f"a report says {self.outcome} of what was not proven")
        return self

    def shortened(self) -> "RestoreReport":
        """The same with the first troubles and key files only: as many as fit an item of the operations table, at most
        SHOWN of each."""
        room = _SHOWN_BYTES
        kept: list[Trouble] = []
        for each in self.troubles[:SHOWN]:
            room -= len(each.model_dump_json().encode())
            if room < 0:
                break
            kept.append(each)
        revoked, reinstated = (keys and keys[:SHOWN] for keys in (self.revoked, self.reinstated))
        named = len(kept) + len(revoked or ()) + len(reinstated or ())
        everything = len(self.troubles) + len(self.revoked or ()) + len(self.reinstated or ())
        return self.model_copy(
            update={
                "troubles": tuple(kept),
                "revoked": revoked,
                "reinstated": reinstated,
                "left_out": self.left_out + everything - named,
            }
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What the target holds at the end."""

    content_root: Digest
    objects: int


def found_in(listed: Iterable[tuple[ObjectKey, int]]) -> Found:
    """What a listing in key order comes to, as (key, size in bytes); nothing of it is held."""
    count = 0

    def counted() -> Iterator[tuple[ObjectKey, int]]:
        nonlocal count
        for each in listed:
            count += 1
            yield each

    root = content_root(counted())
    return Found(root, count)


def differences(listed: Iterable[tuple[ObjectKey, int]], pinned: Iterable[ObjectVersion]) -> Iterator[Trouble]:
    """Where a target's listing is not what was planned, both in key order: objects that are absent, of another size, or
    too many. Both are gone through side by side, and nothing of them is held."""
    remaining = iter(listed)
    found = next(remaining, None)
    for version in pinned:
        while found is not None and found[0] < version.key:
            yield _unexpected(found[0])
            found = next(remaining, None)
        if found is None or found[0] != version.key:
            yield trouble(version.key, Kind.FAILED, "it is not in the target")
            continue
        if found[1] != version.size:
            yield trouble(
                version.key, Kind.FAILED, f"it has {found[1]} bytes in the target, in the state {version.size}"
            )
        found = next(remaining, None)
    if found is not None:
        yield from (_unexpected(key) for key, _ in chain([found], remaining))


def _unexpected(key: ObjectKey) -> Trouble:
    return trouble(key, Kind.UNEXPECTED, "it is in the target, but not in the state")


def conclude(
    plan: RestorePlan,
    execution: str,
    results: Iterable[BatchResult],
    troubles: Iterable[Trouble],
    found: Found,
    verified_at: datetime,
) -> RestoreReport:
    """The report of an execution from the `results` of its batches in their order, what else is known to be wrong in
    key order, and what the target holds. What a batch says of a failed object comes first.

    All of it is gone through once: a restore of which nothing went well is told in bounded memory.
    """
    sums, counts, named = _Sums(), dict.fromkeys(Kind, 0), list[Trouble]()
    for each in _joined(sums.troubles(results), iter(troubles)):
        counts[each.kind] += 1
        if len(named) < NAMED:
            named.append(each)
    not_proven = sum(counts.values()) - counts[Kind.UNEXPECTED]
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
        copied=sums.copied,
        copied_bytes=sums.copied_bytes,
        skipped=sums.skipped,
        unproven=counts[Kind.UNPROVEN],
        missing=counts[Kind.MISSING],
        damaged=counts[Kind.DAMAGED],
        failed=counts[Kind.FAILED],
        unexpected=counts[Kind.UNEXPECTED],
        content_root=plan.content_root,
        found_content_root=root,
        troubles=tuple(named),
        left_out=sum(counts.values()) - len(named),
        lock_days=plan.lock_days,
        revoked=plan.revoked,
        reinstated=plan.reinstated,
        sample=plan.sample,
    )


@dataclass(slots=True)
class _Sums:
    """What batches did, all together, once all their troubles were told."""

    copied: int = 0
    copied_bytes: int = 0
    skipped: int = 0

    def troubles(self, results: Iterable[BatchResult]) -> Iterator[Trouble]:
        for result in results:
            self.copied += result.copied
            self.copied_bytes += result.copied_bytes
            self.skipped += result.skipped
            by_key = {each.key: each for each in result.troubles}
            yield from (by_key[key] for key in sorted(by_key))


def _joined(told: Iterator[Trouble], seen: Iterator[Trouble]) -> Iterator[Trouble]:
    """Both in key order, one for each key: that of `told` if there are two, unless it said that all else was well."""
    one, other = next(told, None), next(seen, None)
    while one is not None and other is not None:
        if one.key < other.key:
            yield one
            one = next(told, None)
        elif other.key < one.key:
            yield other
            other = next(seen, None)
        else:
            yield other if one.kind is Kind.DAMAGED else one
            one, other = next(told, None), next(seen, None)
    for rest, others in ((one, told), (other, seen)):
        if rest is not None:
            yield rest
            yield from others


def _outcome(counts: Mapping[Kind, int], *, exact: bool) -> Outcome:
    if not exact or any(count for kind, count in counts.items() if kind is not Kind.DAMAGED):
        return "incomplete"
    return "restored-damaged" if counts[Kind.DAMAGED] else "restored"
