"""States written into a ledger as record writes them, but as a base or a delta as a test wants it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from functions.domain import chunks
from functions.domain.columns import in_runs
from functions.domain.cut import Cut
from functions.domain.delta import MOST_LINKS, changes_of, unlike
from functions.domain.entries import Entries
from functions.domain.ledger import stream_state
from functions.domain.state import Cause, ChunkSet, DeltaOn, Head, StateHeader, describe
from functions.domain.values import AttemptId, ObjectVersion, RepositoryName
from tests.builders import NOON
from tests.fakes.ledger import FakeLedger

ALPHA = RepositoryName("alpha")
Item = TypeVar("Item")


def cut_of(entries: Sequence[ObjectVersion]) -> Cut:
    """A cut of exactly `entries` (in key order)."""
    return Cut(
        time=NOON,
        versions=Entries.of(entries),
        edge=False,
        busy=False,
        locks=0,
        stale_locks=0,
        hidden=0,
        noncurrent=0,
        null_versions=(),
    )


def packed(
    ledger: FakeLedger,
    parent: StateHeader | None,
    entries: Iterable[ObjectVersion],
    *,
    base: bool = False,
    size: int = 0,
) -> tuple[list[bytes], DeltaOn | None]:
    """The chunks of a state of `entries` after `parent`, and on what they lie: as a delta wherever there may be one,
    however large, and not if a `base` is asked for. `size`: how many entries or changes to a chunk; 0: as many as fit.
    """
    if parent is None or base or parent.links == MOST_LINKS:
        return _chunked(list(entries), size, chunks.encode), None
    changes = list(changes_of(unlike(stream_state(ledger, parent), in_runs(entries))))
    if not changes:
        return [], None
    before = parent.delta.changes if parent.delta else 0
    on = DeltaOn(
        state=parent.id,
        generation=parent.generation,
        base=parent.base,
        base_objects=parent.base_objects,
        links=parent.links + 1,
        changes=before + len(changes),
    )
    return _chunked(changes, size, chunks.encode_delta), on


def _chunked(items: Sequence[Item], size: int, encode: Callable[[Sequence[Item]], Iterable[bytes]]) -> list[bytes]:
    runs = [items[start : start + size] for start in range(0, len(items), size)] if size else [items]
    return [chunk for run in runs for chunk in encode(run)]


def write(
    ledger: FakeLedger,
    cut: Cut | Sequence[ObjectVersion],
    *,
    repository: RepositoryName = ALPHA,
    base: bool = False,
    size: int = 0,
) -> StateHeader:
    """The next state of a repository, all at once."""
    cut = cut if isinstance(cut, Cut) else cut_of(cut)
    head = ledger.head(repository)
    parent = ledger.header(repository, head.generation) if head else None
    attempt = AttemptId(f"{repository} {head.generation + 1 if head else 1}")
    content, delta = packed(ledger, parent, cut.versions, base=base, size=size)
    header = describe(
        cut,
        repository=repository,
        parent=parent,
        own_chunks=ChunkSet(attempt=attempt, count=len(content), digest=chunks.digest(content)),
        recorded_at=cut.time,
        cause=Cause(reason="schedule"),
        delta=delta,
    )
    if header.kind != "same":
        ledger.chunks.update({(attempt, number): chunk for number, chunk in enumerate(content)})
    ledger.stored_headers[repository, header.generation] = (header.id, header.canonical())
    ledger.heads[repository] = Head.of(header).canonical()
    return header
