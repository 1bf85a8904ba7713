"""What states name of a few keys, without decoding the states whole: what `apply_prune` asks before each batch.

The chunks of a base, and of each delta on it, are hashed once, and the hashes proven against the header that names
them; from then on any one chunk proves itself by its own hash. So a batch of a thousand keys costs the chunks that
those keys can be in, however many states there are.

Security rules:
- Every state that is handed in is looked up, in its base and in every delta that leads to it. One of which a chunk is
  not there, or is not the one that a header names, raises: what it names is unknown, and nothing may be deleted.
- Nothing is answered of a key that was not looked up.
- What may be remembered between batches are hashes and first keys, under the digest that proves them; never which
  states are kept, and never what they name.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.ports import LedgerReader
from functions.domain.prune.named import States, by_base, find_states, lives_of
from functions.domain.prune.pins import PinsUnproven, pinned
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import Digest, ObjectKey, StateId, VersionId

Found = Mapping[ObjectKey, VersionId | None]
"""What chunks have of the keys that were looked up; None: that the key is removed."""


@dataclass(frozen=True, slots=True)
class ProvenChunks:
    """The chunks of one base or delta, by number."""

    hashes: tuple[bytes, ...]
    first_keys: dict[int, ObjectKey] = field(default_factory=dict)
    """Of those that were read since."""


Proofs = MutableMapping[Digest, ProvenChunks]
"""By the digest of the whole set."""


@dataclass(frozen=True, slots=True)
class NamedVersions:
    """All that states name of certain keys, proven."""

    states: frozenset[StateId]
    by_key: Mapping[ObjectKey, frozenset[VersionId]]
    """Every key that was looked up, also those that nothing names."""

    def named(self, key: ObjectKey) -> frozenset[VersionId]:
        """Raises PinsUnproven for a key that was not looked up."""
        if key not in self.by_key:
            raise PinsUnproven(f"{key!r} was not looked up in the kept states; nothing was decided")
        return self.by_key[key]

    def finish(self) -> None:
        """It was proven as it was read."""


class StateLookup:
    """Looks keys up in states."""

    def __init__(self, ledger: LedgerReader, proofs: Proofs, threads: int = 16) -> None:
        self._ledger = ledger
        self._proofs = proofs
        self._threads = threads

    def named(self, headers: Iterable[StateHeader], keys: Sequence[ObjectKey]) -> NamedVersions:
        """What the states of `headers` name of `keys`, which ascend. Raises PinsUnproven."""
        if any(later <= earlier for earlier, later in pairwise(keys)):
            raise PinsUnproven("keys were looked up out of order; nothing was decided")
        found: dict[ObjectKey, set[VersionId]] = {key: set() for key in keys}
        looked_up: set[StateId] = set()
        for on_one_base in by_base(headers):
            try:
                states = find_states(self._ledger, on_one_base)
                for key, version_ids in self._on(states, keys):
                    found[key].update(version_ids)
            except StateDamaged as error:
                raise PinsUnproven(f"{error}; nothing was decided") from error
            looked_up.update(header.id for header in states.headers)
        return NamedVersions(frozenset(looked_up), {key: frozenset(versions) for key, versions in found.items()})

    def _on(self, states: States, keys: Sequence[ObjectKey]) -> Iterator[tuple[ObjectKey, Iterator[VersionId]]]:
        """What states of one base name of each of `keys`."""
        base = _Chunks(states.headers[0], states.strand.base, chunks.decode_named)
        deltas = [_Chunks(link, link.chunks, chunks.decode_delta_names) for link in states.strand.deltas]
        for each in (base, *deltas):
            if not each.where.count and (each is not base or base.header.base_objects):
                raise PinsUnproven(f"state {each.header.id[:12]} has entries and no chunks; nothing was decided")
        # Hashed one after another, each by many threads; then looked up side by side.
        proven = [(each, self._prove(each)) for each in (base, *deltas)]
        with ThreadPoolExecutor(self._threads) as threads:
            at_base, *changed = threads.map(lambda each: dict(self._found(each[0], each[1], keys)), proven)
        places = sorted(set(states.places))
        for key in keys:
            changes = [(place, its[key]) for place, its in enumerate(changed, 1) if key in its]
            yield key, pinned(lives_of(at_base.get(key), changes, len(proven)), places)

    def _found(
        self, each: "_Chunks", proven: ProvenChunks, keys: Sequence[ObjectKey]
    ) -> Iterator[tuple[ObjectKey, VersionId | None]]:
        """What the chunks have of `keys`."""
        if not each.where.count:
            return
        number = -1
        at_hand: Found = {}
        last: ObjectKey | None = None
        for key in keys:
            if last is None or key > last:
                following = self._chunk_of(each, proven, key, number)
                if following == number:
                    continue
                number = following
                entries = self._read(each, proven, number)
                at_hand, last = dict(entries), entries[-1][0]
            if key in at_hand:
                yield key, at_hand[key]

    def _chunk_of(self, each: "_Chunks", proven: ProvenChunks, key: ObjectKey, number: int) -> int:
        """The last chunk that begins at or before `key`; `number`, which is known to, if no later one does."""
        low, high = number, each.where.count
        step = 1
        while low + step < high:
            # The next one is the likeliest, then those near it.
            if self._first_key(each, proven, low + step) > key:
                high = low + step
                break
            low, step = low + step, step * 2
        while low + 1 < high:
            middle = (low + high) // 2
            if self._first_key(each, proven, middle) > key:
                high = middle
            else:
                low = middle
        return low

    def _first_key(self, each: "_Chunks", proven: ProvenChunks, number: int) -> ObjectKey:
        if number not in proven.first_keys:
            self._read(each, proven, number)
        return proven.first_keys[number]

    def _read(self, each: "_Chunks", proven: ProvenChunks, number: int) -> chunks.NameChanges:
        content = self._chunk(each, number)
        of = f"chunk {number} of state {each.header.id[:12]}"
        if hashlib.sha256(content).digest() != proven.hashes[number]:
            raise PinsUnproven(f"{of} is not the one it was; nothing was decided")
        try:
            entries = each.decode(content)
        except UnreadableDocument as error:
            raise PinsUnproven(f"{of}: {error}; nothing was decided") from error
        if not entries or any(later[0] <= earlier[0] for earlier, later in pairwise(entries)):
            raise PinsUnproven(f"{of} is empty or in disorder; nothing was decided")
        proven.first_keys[number] = entries[0][0]
        return entries

    def _prove(self, each: "_Chunks") -> ProvenChunks:
        where = each.where
        known = self._proofs.get(where.digest)
        if known is not None and len(known.hashes) == where.count:
            return known
        with ThreadPoolExecutor(self._threads) as threads:
            hashes = tuple(threads.map(lambda number: self._hash(each, number), range(where.count)))
        if chunks.digest_of_set(hashes) != where.digest:
            raise PinsUnproven(f"the chunks of state {each.header.id[:12]} are not those it names; nothing was decided")
        proven = ProvenChunks(hashes)
        self._proofs[where.digest] = proven
        return proven

    def _hash(self, each: "_Chunks", number: int) -> bytes:
        return hashlib.sha256(self._chunk(each, number)).digest()

    def _chunk(self, each: "_Chunks", number: int) -> bytes:
        content = self._ledger.chunk(each.where.attempt, number)
        if content is None:
            raise PinsUnproven(f"chunk {number} of state {each.header.id[:12]} is missing; nothing was decided")
        return content


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Those of a base or a delta."""

    header: StateHeader
    """Of a state that needs them."""
    where: ChunkSet
    decode: Callable[[bytes], chunks.NameChanges]
