"""What states name of a few keys, without decoding the states whole: what `apply_prune` asks before each batch.

A state's chunks are hashed once, and the hashes proven against the state's header; from then on any one chunk proves
itself by its own hash. So a batch of a thousand keys costs the chunks that those keys can be in.

Security rules:
- Every state that is handed in is looked up. One whose chunks are not all there, or are not those that its header
  names, raises: what it names is unknown, and nothing may be deleted.
- Nothing is answered of a key that was not looked up.
- What may be remembered between batches are hashes and first keys, under the digest that proves them; never which
  states are kept, and never what they name.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ports import LedgerReader
from functions.domain.prune.pins import PinsUnproven
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, StateId, VersionId


@dataclass(frozen=True, slots=True)
class ProvenChunks:
    """The chunks of one state, by number."""

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
        states = {header.id: header for header in headers}
        by_root = {header.manifest_root: header for header in states.values()}
        found: dict[ObjectKey, set[VersionId]] = {key: set() for key in keys}
        proven = [(header, self._prove(header)) for header in by_root.values()]
        with ThreadPoolExecutor(self._threads) as threads:
            for entries in threads.map(lambda each: list(self._entries(each[0], each[1], keys)), proven):
                for entry in entries:
                    found[entry.key].add(entry.version_id)
        return NamedVersions(frozenset(states), {key: frozenset(versions) for key, versions in found.items()})

    def _entries(self, header: StateHeader, proven: ProvenChunks, keys: Sequence[ObjectKey]) -> Iterator[ObjectVersion]:
        """The state's entries of `keys`."""
        number = -1
        at_hand: dict[ObjectKey, ObjectVersion] = {}
        last: ObjectKey | None = None
        for key in keys:
            if last is None or key > last:
                following = self._chunk_of(header, proven, key, number)
                if following == number:
                    continue
                number = following
                entries = self._read(header, proven, number)
                at_hand, last = {entry.key: entry for entry in entries}, entries[-1].key
            if key in at_hand:
                yield at_hand[key]

    def _chunk_of(self, header: StateHeader, proven: ProvenChunks, key: ObjectKey, number: int) -> int:
        """The last chunk that begins at or before `key`; `number`, which is known to, if no later one does."""
        low, high = number, header.chunks.count
        step = 1
        while low + step < high:
            # The next one is the likeliest, then those near it.
            if self._first_key(header, proven, low + step) > key:
                high = low + step
                break
            low, step = low + step, step * 2
        while low + 1 < high:
            middle = (low + high) // 2
            if self._first_key(header, proven, middle) > key:
                high = middle
            else:
                low = middle
        return low

    def _first_key(self, header: StateHeader, proven: ProvenChunks, number: int) -> ObjectKey:
        if number not in proven.first_keys:
            self._read(header, proven, number)
        return proven.first_keys[number]

    def _read(self, header: StateHeader, proven: ProvenChunks, number: int) -> list[ObjectVersion]:
        content = self._chunk(header, number)
        if hashlib.sha256(content).digest() != proven.hashes[number]:
            raise PinsUnproven(f"chunk {number} of state {header.id[:12]} is not the one it was; nothing was decided")
        try:
            entries = chunks.decode(content)
        except UnreadableDocument as error:
            raise PinsUnproven(f"state {header.id[:12]}: {error}; nothing was decided") from error
        if not entries or any(later.key <= earlier.key for earlier, later in pairwise(entries)):
            raise PinsUnproven(f"chunk {number} of state {header.id[:12]} is empty or in disorder; nothing was decided")
        proven.first_keys[number] = entries[0].key
        return entries

    def _prove(self, header: StateHeader) -> ProvenChunks:
        known = self._proofs.get(header.chunks.digest)
        if known is not None and len(known.hashes) == header.chunks.count:
            return known
        with ThreadPoolExecutor(self._threads) as threads:
            hashes = tuple(threads.map(lambda number: self._hash(header, number), range(header.chunks.count)))
        if chunks.digest_of_set(hashes) != header.chunks.digest or (header.objects > 0 and not hashes):
            raise PinsUnproven(f"the chunks of state {header.id[:12]} are not those it names; nothing was decided")
        proven = ProvenChunks(hashes)
        self._proofs[header.chunks.digest] = proven
        return proven

    def _hash(self, header: StateHeader, number: int) -> bytes:
        return hashlib.sha256(self._chunk(header, number)).digest()

    def _chunk(self, header: StateHeader, number: int) -> bytes:
        content = self._ledger.chunk(header.chunks.attempt, number)
        if content is None:
            raise PinsUnproven(f"chunk {number} of state {header.id[:12]} is missing; nothing was decided")
        return content
