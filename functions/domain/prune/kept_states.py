"""What the ledger says is kept, read so that nothing that is kept can be missed, and no state is held in memory.

Security rules:
- The headers have to be one chain from the head down to the first: a state that is not there would be one whose
  versions go.
- The dropped ones and the head are read before the headers: what happens meanwhile can only add to what is kept.
- The names of a state stream out before they are proven. Its chunks' digest, its roots and its end are checked at
  the end, and nothing may be decided on them before.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.ports import LedgerReader
from functions.domain.prune.pins import PinsUnproven
from functions.domain.roots import ManifestRoot
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, RepositoryName, StateId, VersionId

AHEAD = 4
"""Chunks of one state that are fetched before they are needed."""


def read_chain(ledger: LedgerReader, repository: RepositoryName) -> tuple[StateHeader, ...]:
    """Every header of `repository`, newest first, proven to be one chain that leads to the head.

    Raises PinsUnproven, UnreadableDocument.
    """
    head = ledger.head(repository)
    headers = tuple(ledger.headers(repository))
    undone = "nothing was decided"
    if head is None or not headers:
        raise PinsUnproven(f"the ledger has no whole chain of {repository}; {undone}; `rwm record` begins one")
    if not any((each.generation, each.id) == (head.generation, head.state) for each in headers):
        raise PinsUnproven(f"state {head.state[:12]}, which the head names, is not in the ledger; {undone}")
    below: StateHeader | None = None
    for header in reversed(headers):
        place = (below.generation + 1, below.id) if below else (1, None)
        if header.repository != repository or (header.generation, header.parent) != place:
            raise PinsUnproven(
                f"state {header.id[:12]} of {repository} does not follow the one before it: the ledger was changed; "
                f"{undone}; `rwm check` names what is missing"
            )
        if below is not None and header.cut_time <= below.cut_time:
            raise PinsUnproven(
                f"state {header.id[:12]} of {repository} is not cut after the one before it: the ledger was changed; "
                f"{undone}; `rwm check` names what is missing"
            )
        below = header
    return headers


def read_kept(ledger: LedgerReader, repository: RepositoryName) -> tuple[tuple[StateHeader, ...], frozenset[StateId]]:
    """The whole chain as `read_chain` gives it, and those of it that are marked dropped. Raises what it raises."""
    dropped = ledger.dropped(repository)
    return read_chain(ledger, repository), dropped


def read_names(
    ledger: LedgerReader, header: StateHeader, threads: Executor | None = None
) -> Iterator[tuple[ObjectKey, VersionId]]:
    """What a state names, in key order, a chunk at a time. For `PinnedVersions`, which counts them.

    With `threads`, which states may share, chunks are fetched ahead. Raises StateDamaged, at the latest at the end.
    """
    hashes: list[bytes] = []
    root = ManifestRoot()
    for number, chunk in enumerate(_chunks(ledger, header, threads)):
        if chunk is None:
            raise StateDamaged(f"chunk {number} of {header.chunks.count} of state {header.id[:12]} is missing")
        hashes.append(hashlib.sha256(chunk).digest())
        try:
            pins = chunks.decode_pins(chunk)
        except UnreadableDocument as error:
            raise StateDamaged(f"state {header.id[:12]}: {error}") from error
        root.update_pins(pins)
        for key, version_id, _ in pins:
            yield key, version_id
    if chunks.digest_of_set(hashes) != header.chunks.digest:
        raise StateDamaged(f"the chunks of state {header.id[:12]} are not those its header names")
    if root.digest != header.manifest_root:
        raise StateDamaged(f"state {header.id[:12]}: manifest root is {root.digest}, expected {header.manifest_root}")


def _chunks(ledger: LedgerReader, header: StateHeader, threads: Executor | None) -> Iterator[bytes | None]:
    """All that the header counts, in order; None: it is not there."""
    attempt, count = header.chunks.attempt, header.chunks.count
    if threads is None:
        yield from (ledger.chunk(attempt, number) for number in range(count))
        return
    fetched: deque[Future[bytes | None]] = deque()
    for number in range(count):
        fetched.append(threads.submit(ledger.chunk, attempt, number))
        if len(fetched) > AHEAD:
            yield fetched.popleft().result()
    while fetched:
        yield fetched.popleft().result()
