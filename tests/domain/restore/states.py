"""Headers of states, by their entries."""

from collections.abc import Iterable

from functions.domain.columns import in_runs
from functions.domain.state import Cause, ChunkSet, Roots, StateHeader, tally
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName
from tests.builders import at


def a_header(entries: Iterable[ObjectVersion], *, generation: int = 1, cut: float = 0) -> StateHeader:
    """What the header of a state of `entries`, in key order, says of them, cut `cut` seconds after noon."""
    held = list(entries)
    roots = Roots.of(in_runs(held))
    return StateHeader(
        repository=RepositoryName("beta"),
        generation=generation,
        parent=None,
        kind="base",
        cut_time=at(cut),
        recorded_at=at(cut + 3),
        chunks=ChunkSet(attempt=AttemptId("attempt-1"), count=1, digest=Digest("0" * 64)),
        manifest_root=roots.manifest,
        content_root=roots.content,
        attributes_root=roots.attributes,
        objects=len(held),
        bytes=sum(each.size for each in held),
        by_type=tally(held),
        edge=False,
        busy=False,
        locks=0,
        stale_locks=0,
        hidden=0,
        noncurrent=0,
        cause=Cause(reason="operator"),
    )
