"""What the ledger says is kept, read so that nothing that is kept can be missed, and no state is held in memory.

Security rules:
- The headers have to be one chain from the head down to the first: a state that is not there would be one whose
  versions go.
- The dropped ones and the head are read before the headers: what happens meanwhile can only add to what is kept.
- The names of a state stream out before they are proven (`named`); nothing may be decided on them before the end.
"""

from collections.abc import Iterator
from concurrent.futures import Executor

from functions.domain.ports import LedgerReader
from functions.domain.prune.named import Run, find_states, read_pieces
from functions.domain.prune.pins import PinsUnproven, pinned
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
    """What a state names, in key order, with memory for a chunk of each delta. Raises StateDamaged, at the latest at
    the end."""
    states = find_states(ledger, [header])
    for piece in read_pieces(ledger, states, threads):
        if isinstance(piece, Run):
            yield from zip(piece.keys, piece.version_ids, strict=True)
        else:
            yield from ((piece.key, version_id) for version_id in pinned(piece.lives, states.places))
