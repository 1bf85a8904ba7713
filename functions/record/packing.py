"""What of a state is written: the change against its parent, or all of it.

A delta costs what changed. It is written only on a parent whose entries are known and proven, and only while the
strand stays short (`delta`). Otherwise the state is a base, which needs nothing but itself.

The parent's entries come from the same listing as the cut: versions that states name are never destroyed, so what was
current at the parent's cut still shows. Where that is not what was recorded, since something is gone, backdated, or
has another storage class by now, the ledger's own entries count.

Security rules:
- The parent's entries are proven, in all that is stored of them, by the roots of its header: a delta on others would
  read back as a state that never was.
- No delta lies on a strand of which a header is gone, or on a state that a check found damaged: it could not be read
  either. The chunks beneath are not read each time; checks read them.
- A delta is read back and made on the parent's entries before anything is written: it gives the cut, or it is not used.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from functions.domain import chunks
from functions.domain.consistent.fresh import Fresh
from functions.domain.delta import DoesNotFit, apply, changes_between, fits_a_strand
from functions.domain.ledger import StateDamaged, read_state, read_strand
from functions.domain.ports import LedgerReader
from functions.domain.roots import attributes_root, manifest_root
from functions.domain.state import ChunkSet, DeltaOn, Roots, StateHeader
from functions.domain.values import AttemptId, ObjectVersion, StateId


@dataclass(frozen=True, slots=True)
class Packed:
    """Chunks to be written."""

    chunks: tuple[bytes, ...] = ()
    """None for a state that has its parent's entries."""
    delta: DeltaOn | None = None
    """What they lie on, where they hold a delta."""

    def set_of(self, attempt: AttemptId) -> ChunkSet:
        return ChunkSet(attempt=attempt, count=len(self.chunks), digest=chunks.digest(self.chunks))


def pack(
    fresh: Fresh, roots: Roots, parent: StateHeader | None, ledger: LedgerReader, damaged: Collection[StateId] = ()
) -> Packed:
    """The cut's entries, of which `roots` are the roots, as chunks after `parent`.

    `damaged`: states of which a check found that the ledger does not hold them any more.
    """
    versions = fresh.cut.versions
    if parent is not None:
        if parent.manifest_root == roots.manifest:
            return Packed()
        if parent.id not in damaged and (delta := _delta(versions, parent, fresh, ledger)) is not None:
            return delta
    return Packed(tuple(chunks.encode(versions)))


def _delta(versions: Sequence[ObjectVersion], parent: StateHeader, fresh: Fresh, ledger: LedgerReader) -> Packed | None:
    """None: the state is to be a base."""
    links = parent.links + 1
    before = parent.delta.changes if parent.delta else 0
    # So many changes at least: to know this, nothing has to be read.
    at_least = before + abs(len(versions) - parent.objects)
    if not fits_a_strand(parent.base_objects, links, at_least):
        return None
    try:
        read_strand(ledger, parent)
        entries = _entries(parent, fresh, ledger)
    except StateDamaged:
        return None
    changes = list(changes_between(entries, versions))
    if not fits_a_strand(parent.base_objects, links, before + len(changes)):
        return None
    packed = tuple(chunks.encode_delta(changes))
    if not _gives(versions, entries, packed):
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


def _entries(parent: StateHeader, fresh: Fresh, ledger: LedgerReader) -> Sequence[ObjectVersion]:
    """The parent's entries, proven. Raises StateDamaged where nothing proves itself to be them."""
    shown = fresh.past.get(parent.cut_time, ())
    if (manifest_root(shown), attributes_root(shown)) == (parent.manifest_root, parent.attributes_root):
        return shown
    return read_state(ledger, parent)


def _gives(versions: Sequence[ObjectVersion], entries: Sequence[ObjectVersion], packed: Sequence[bytes]) -> bool:
    try:
        made = apply(entries, [change for chunk in packed for change in chunks.decode_delta(chunk)])
    except DoesNotFit:
        return False
    return made == list(versions)
