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
- A delta is read back before anything is written, and made on the parent's entries: it gives the cut, or it is not
  used. Of what the listing shows, the fold makes it block by block as it passes; of what the ledger holds, it is made
  here, and has to have the cut's roots. Memory never holds a whole state but packed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from functions.domain import chunks
from functions.domain.consistent.fresh import Fresh
from functions.domain.consistent.shown import PastCut
from functions.domain.delta import LARGEST_SHARE, Change, DoesNotFit, Overlay, changes_of, fits_a_strand, unlike
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, read_strand, stream_state
from functions.domain.ports import LedgerReader
from functions.domain.state import ChunkSet, DeltaOn, Roots, StateHeader
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
        if (changes := _changes(fresh, parent, ledger)) is None:
            return None
        if not fits_a_strand(parent.base_objects, links, before + len(changes)):
            return None
        packed = tuple(chunks.encode_delta(changes))
        if not _gives(fresh, packed, changes, parent, ledger):
            return None
    except StateDamaged:
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
    """What makes the cut of the parent's entries; None: more than a delta may have. Raises StateDamaged where nothing
    proves itself to be these entries."""
    if (past := _shown(fresh, parent)) is not None:
        return past.changes
    unequal = unlike(stream_state(ledger, parent), fresh.cut.versions.blocks())
    changes = list(islice(changes_of(unequal), most_changes(parent) + 1))
    return changes if len(changes) <= most_changes(parent) else None


def _shown(fresh: Fresh, parent: StateHeader) -> PastCut | None:
    """What the listing shows as of the parent's cut, where that is proven to be the parent."""
    past = fresh.past.get(parent.cut_time)
    if past and (past.manifest, past.attributes) == (parent.manifest_root, parent.attributes_root):
        return past
    return None


def _gives(
    fresh: Fresh, packed: Iterable[bytes], changes: Sequence[Change], parent: StateHeader, ledger: LedgerReader
) -> bool:
    """Whether the delta holds the changes, and these make the cut of the parent's entries. Raises StateDamaged."""
    overlay = Overlay()
    try:
        if not _holds(packed, changes):
            return False
        if _shown(fresh, parent) is not None:
            return True
        overlay.add(changes)
        return Roots.of(overlay.over(stream_state(ledger, parent))) == fresh.roots
    except (UnreadableDocument, DoesNotFit):
        return False


def _holds(packed: Iterable[bytes], changes: Sequence[Change]) -> bool:
    """One chunk after another: all changes twice, as objects, would be more than all else that memory holds."""
    done = 0
    for chunk in packed:
        read_back = chunks.decode_delta(chunk)
        if read_back != list(changes[done : done + len(read_back)]):
            return False
        done += len(read_back)
    return done == len(changes)
