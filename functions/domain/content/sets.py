"""What is remembered of the versions that were read: sets, never a watermark, and what was wrong for ever.

A version never changes, so one that was read and hashes to its name is proven as long as it lies there. A set
says it of all versions of one state at once, whatever the state's size: only exceptions are listed.

Security rules:
- A version is verified if any set speaks for it and nothing was ever held against it. What was damaged, changed or
  gone once is remembered apart, beats every set, earlier or later, and so is read again by every check.
- A set speaks for exact keys and version ids. What it does not surely speak for is read again.
- A set that leans on a state or on batches that can no longer be read proves nothing.
"""

import json
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field

from functions.domain.content.judge import Read
from functions.domain.content.plan import ContentPlan, VersionName, name_of
from functions.domain.content.results import Kind
from functions.domain.documents import Document, Instant
from functions.domain.values import Digest, RepositoryName, StateId, VersionId

EXCEPTIONS_BYTES = 100_000
"""How much a set lists one by one; more makes whole batches exceptions. An item of DynamoDB holds 400 KB."""
PART_BYTES = 200_000
"""How much one document of damaged versions names."""


class VerifiedSet(Document):
    """All versions of one state were read and are proven, by this check or one before it, but for the exceptions.

    Damaged versions are no exceptions of a set: `DamagedVersions` holds against every set.
    """

    KIND: ClassVar[str] = "verified set"

    repository: RepositoryName
    state: StateId
    generation: int = Field(ge=1)
    cut_time: Instant
    """The state's: nothing in the set was written later."""
    execution: str
    plan: Digest
    plan_version: VersionId
    """Of the plan that names the batches."""
    unread: tuple[int, ...] = ()
    """Batches of the plan, by number, for none of whose versions the set speaks."""
    but: tuple[VersionName, ...] = ()
    """Further versions for which it does not speak."""


class DamagedVersions(Document):
    """Versions that were once found damaged, changed or gone: whatever a set says of them counts no more."""

    KIND: ClassVar[str] = "damaged versions"

    repository: RepositoryName
    versions: tuple[VersionName, ...]


def verified_set(plan: ContentPlan, plan_version: VersionId, read: Read) -> VerifiedSet:
    """What may be remembered once a check of `plan` came to `read`."""
    not_kept = frozenset(map(name_of, read.left))
    unread: list[int] = []
    but: list[VersionName] = []
    room = EXCEPTIONS_BYTES
    for batch in plan.batches:
        result = read.results.get(batch.number)
        if result is None:
            unread.append(batch.number)
            continue
        exceptions = [name_of(each) for each in result.troubles if each.kind is Kind.FAILED]
        exceptions += [name for name in map(name_of, result.sights) if name in not_kept]
        weight = sum(map(_weight, exceptions))
        if weight > room:
            unread.append(batch.number)
        else:
            room -= weight
            but += exceptions
    return VerifiedSet(
        repository=plan.repository,
        state=plan.state,
        generation=plan.generation,
        cut_time=plan.cut_time,
        execution=plan.execution,
        plan=plan.digest,
        plan_version=plan_version,
        unread=tuple(unread),
        but=tuple(sorted(but)),
    )


def damaged_parts(repository: RepositoryName, versions: Iterable[VersionName]) -> Iterator[DamagedVersions]:
    """`versions` in documents that each fit into an item."""
    pending: list[VersionName] = []
    weight = 0
    for name in sorted(versions):
        if pending and weight + _weight(name) > PART_BYTES:
            yield DamagedVersions(repository=repository, versions=tuple(pending))
            pending, weight = [], 0
        pending.append(name)
        weight += _weight(name)
    if pending:
        yield DamagedVersions(repository=repository, versions=tuple(pending))


def _weight(name: VersionName) -> int:
    # ASCII, where a character takes the most bytes that JSON can give it: a bound.
    return len(json.dumps(name)) + 2
