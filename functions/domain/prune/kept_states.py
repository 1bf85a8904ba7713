"""What the ledger says is kept, read so that nothing that is kept can be missed, and no state is held in memory.

Security rules:
- The headers have to be one chain from the head down to the first: a state that is not there would be one whose
  versions go.
- The dropped ones and the head are read before the headers: what happens meanwhile can only add to what is kept.
- The names of a state stream out before they are proven. Its chunks' digest, its roots and its end are checked at
  the end, and nothing may be decided on them before.
"""

import hashlib
from collections.abc import Iterator

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.ports import LedgerReader
from functions.domain.prune.pins import PinsUnproven
from functions.domain.roots import ManifestRoot
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, RepositoryName, StateId, VersionId


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
        below = header
    return headers


def read_kept(ledger: LedgerReader, repository: RepositoryName) -> tuple[tuple[StateHeader, ...], frozenset[StateId]]:
    """The whole chain as `read_chain` gives it, and those of it that are marked dropped. Raises what it raises."""
    dropped = ledger.dropped(repository)
    return read_chain(ledger, repository), dropped


def read_names(ledger: LedgerReader, header: StateHeader) -> Iterator[tuple[ObjectKey, VersionId]]:
    """What a state names, in key order, a chunk at a time. For `PinnedVersions`, which counts them.

    Raises StateDamaged, at the latest at the end.
    """
    hashes: list[bytes] = []
    root = ManifestRoot()
    for number in range(header.chunks.count):
        chunk = ledger.chunk(header.chunks.attempt, number)
        if chunk is None:
            raise StateDamaged(f"chunk {number} of {header.chunks.count} of state {header.id[:12]} is missing")
        hashes.append(hashlib.sha256(chunk).digest())
        try:
            versions = chunks.decode(chunk)
        except UnreadableDocument as error:
            raise StateDamaged(f"state {header.id[:12]}: {error}") from error
        root.update(versions)
        for version in versions:
            yield version.key, version.version_id
    if chunks.digest_of_set(hashes) != header.chunks.digest:
        raise StateDamaged(f"the chunks of state {header.id[:12]} are not those its header names")
    if root.digest != header.manifest_root:
        raise StateDamaged(f"state {header.id[:12]}: manifest root is {root.digest}, expected {header.manifest_root}")
