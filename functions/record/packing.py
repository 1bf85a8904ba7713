"""What of a state is written: the change against its parent, or all of it.

A delta costs what changed. It is written only on a parent whose entries are known and proven, and only while the
strand stays short (`delta`). Otherwise the state is a base, which needs nothing but itself, and whose chunks are the
cut's own: nothing is packed twice.

What changed, the listing that the cut was taken of shows: versions that states name are never destroyed, so what was
current at the parent's cut is still in it. Where that is not what was recorded, since something is gone, backdated, or
has another storage class by now, the ledger's own entries count, read beside the cut's.

Security rules:
- The parent's entries are proven, in all that is stored of them, by the roots of its header: a delta on others would
  read back as a state that never was.
- No delta lies on a strand of which a header is gone, or on a state that a check found damaged: it could not be read
  either. The chunks beneath are not read each time; checks read them.
- A delta is read back before anything is written: it holds the changes, or it is not used. The changes are taken from
  the very entries that the roots of parent and cut are taken from, so that they make the one of the other
  (tests/domain/consistent/test_fold.py shows it of any listing). Making the cut once more of ten million entries would
  cost as much as listing them; a check proves what was stored by its roots.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from functions.domain import chunks
from functions.domain.consistent.fresh import Fresh
from functions.domain.delta import LARGEST_SHARE, Change, changes_of, fits_a_strand, unlike
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, read_strand, stream_state
from functions.domain.ports import LedgerReader
from functions.domain.state import ChunkSet, DeltaOn, StateHeader
from functions.domain.values import AttemptId, StateId


@dataclass(frozen=True, slots=True)
class Packed:
    """Chunks to be written."""

    chunks: tuple[bytes, ...] = ()
    """None for a state that has its parent's entries."""
    delta: DeltaOn | None = None
    """What they lie on, where they hold a delta."""

    def set_of(self, attempt: AttemptId) -> ChunkSet:
        return ChunkSet(attempt=attempt, count=len(self.chunks), digest=chunks.digest(self.chunks))


def most_changes(parent: StateHeader) -> int:
    """How many changes a delta on `parent` may have."""
    return max(0, parent.base_objects // LARGEST_SHARE - _changes_before(parent))


def pack(fresh: Fresh, parent: StateHeader | None, ledger: LedgerReader, damaged: Collection[StateId] = ()) -> Packed:
    """The cut's entries as chunks after `parent`.

    `damaged`: states of which a check found that the ledger does not hold them any more.
    """
    if parent is not None:
        if parent.manifest_root == fresh.roots.manifest:
            return Packed()
        if parent.id not in damaged and (delta := _delta(fresh, parent, ledger)) is not None:
            return delta
    return Packed(fresh.cut.versions.chunks)


def _delta(fresh: Fresh, parent: StateHeader, ledger: LedgerReader) -> Packed | None:
    """None: the state is to be a base."""
    links, before = parent.links + 1, _changes_before(parent)
    # So many changes at least: to know this, nothing has to be read.
    at_least = abs(len(fresh.cut.versions) - parent.objects)
    if not fits_a_strand(parent.base_objects, links, before + at_least):
        return None
    try:
        read_strand(ledger, parent)
        changes = _changes(fresh, parent, ledger)
    except StateDamaged:
        return None
    if changes is None or not fits_a_strand(parent.base_objects, links, before + len(changes)):
        return None
    packed = tuple(chunks.encode_delta(changes))
    if not _hold(packed, changes):
        return None
    on = DeltaOn(
        state=parent.id,
        generation=parent.generation,
        base=parent.base,
        base_objects=parent.base_objects,
        links=links,
        changes=before + len(changes),
    )
    return Packed(packed, on)


def _changes_before(parent: StateHeader) -> int:
    return parent.delta.changes if parent.delta else 0


def _changes(fresh: Fresh, parent: StateHeader, ledger: LedgerReader) -> Sequence[Change] | None:
    """What makes the cut of the parent's entries, proven; None: more than a delta may have. Raises StateDamaged where
    nothing proves itself to be these entries."""
    past = fresh.past.get(parent.cut_time)
    if past and (past.manifest, past.attributes) == (parent.manifest_root, parent.attributes_root):
        return past.changes
    unequal = unlike(stream_state(ledger, parent), fresh.cut.versions.blocks())
    changes = list(islice(changes_of(unequal), most_changes(parent) + 1))
    if len(changes) > most_changes(parent):
        return None
    return changes


def _hold(packed: Sequence[bytes], changes: Sequence[Change]) -> bool:
    try:
        return [change for chunk in packed for change in chunks.decode_delta(chunk)] == list(changes)
    except UnreadableDocument:
        return False
