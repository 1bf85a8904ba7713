"""What each kept state needs: the versions that it alone names, which dropping it would let go, and what all share.

The ledger says it without a listing. States on one base are read as a base and its deltas, each once; the strands are
then gone through side by side, in key order. A version is needed by a state alone when no other kept state names it,
on whatever base that lies. What a prune then frees is no more than that, and less where the version is still current,
locked, or within its grace.

restic names packs by a hash, so that one in sixteen of them, by the first digit of the name, is a fair sample. Large
repositories are looked at so; everything that is no pack is always counted whole.

Security rule: a strand whose chunks are not those that its headers name raises, and nothing is told of it.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, StoredStates, read_chunks
from functions.domain.ports import LedgerReader
from functions.domain.prune.named import States, by_base, find_states
from functions.domain.state import StateHeader, Tally
from functions.domain.values import ObjectKey, ObjectVersion, StateId, VersionId

MOST_ENTRIES = 2_000_000
"""Entries of all bases together that are looked at one by one; more are sampled."""
SAMPLE = 16
"""One pack in so many is looked at then: those whose name begins with 0."""
LARGEST = 50_000_000
"""With more entries than this, nothing is looked at: reading them alone takes too long."""

Named = tuple[ObjectKey, VersionId, int, int]
"""A version by key and id, its bytes, and which of the kept states name it: a bit for each."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What kept states need."""

    only: Mapping[StateId, Tally]
    """Versions that no other kept state names."""
    together: Tally
    """All that kept states name, each version once."""
    one_in: int
    """One pack in so many was looked at, and the counts of packs multiplied by it; 1: all were."""


def needs_of(ledger: LedgerReader, kept: Sequence[StateHeader], most: int = MOST_ENTRIES) -> Needs | None:
    """What each of `kept` needs; None: there is too much to read. Raises StateDamaged."""
    bases = by_base(kept)
    entries = sum(headers[0].base_objects for headers in bases)
    if entries > LARGEST:
        return None
    one_in = 1 if entries <= most else SAMPLE
    bits = {header.id: 1 << place for place, header in enumerate(kept)}
    strands = [_named(ledger, find_states(ledger, headers), bits, one_in) for headers in bases]
    only: dict[int, list[int]] = {bit: [0, 0] for bit in bits.values()}
    together = [0, 0]
    for key, versions in _by_key(strands):
        weight = one_in if _is_pack(key) else 1
        for size, named_by in versions.values():
            together[0] += weight
            together[1] += weight * size
            if (alone := only.get(named_by)) is not None:
                alone[0] += weight
                alone[1] += weight * size
    return Needs(
        only={state: _tally(only[bit]) for state, bit in bits.items()}, together=_tally(together), one_in=one_in
    )


def _by_key(strands: Sequence[Iterator[Named]]) -> Iterator[tuple[ObjectKey, dict[VersionId, tuple[int, int]]]]:
    """Every key with its versions: their bytes, and the states that name them, on any base."""
    for key, its in groupby(heapq.merge(*strands, key=itemgetter(0)), key=itemgetter(0)):
        versions: dict[VersionId, tuple[int, int]] = {}
        for _, version_id, size, named_by in its:
            versions[version_id] = (size, named_by | versions.get(version_id, (0, 0))[1])
        yield key, versions


def _named(ledger: StoredStates, states: States, bits: Mapping[StateId, int], one_in: int) -> Iterator[Named]:
    """Every version that states of one base name, in key order. Raises StateDamaged, at the latest at the end."""
    newest = states.headers[0]
    end = len(states.strand.deltas) + 1
    at_place = [0] * end
    for header, place in states.placed:
        at_place[place] |= bits[header.id]
    by_all = sum(at_place)
    changes = _changes(ledger, states.strand.deltas, one_in)
    ahead = iter(sorted(changes))
    following = next(ahead, None)
    try:
        for stored in read_chunks(ledger, newest, states.strand.base):
            block = chunks.decode_columns(stored)
            for key, version_id, size in zip(block.keys, block.version_ids, block.sizes, strict=True):
                if one_in > 1 and not _is_sampled(key):
                    continue
                while following is not None and following < key:
                    yield from _lives(following, None, changes[following], at_place)
                    following = next(ahead, None)
                if following == key:
                    yield from _lives(key, (version_id, size), changes[key], at_place)
                    following = next(ahead, None)
                elif by_all:
                    yield key, version_id, size, by_all
    except UnreadableDocument as error:
        raise StateDamaged(f"state {newest.id[:12]}: {error}") from error
    while following is not None:
        yield from _lives(following, None, changes[following], at_place)
        following = next(ahead, None)


Change = tuple[int, ObjectVersion | None]
"""At which place of the strand, and what is put; None: the key is removed."""


def _changes(ledger: StoredStates, deltas: Iterable[StateHeader], one_in: int) -> dict[ObjectKey, list[Change]]:
    """By key, what the deltas of a strand do to it, in order: a fifth of the base at most."""
    found: dict[ObjectKey, list[Change]] = {}
    for place, link in enumerate(deltas, 1):
        try:
            for stored in read_chunks(ledger, link, link.chunks):
                for change in chunks.decode_delta(stored):
                    if one_in == 1 or _is_sampled(change.key):
                        put = change if isinstance(change, ObjectVersion) else None
                        found.setdefault(change.key, []).append((place, put))
        except UnreadableDocument as error:
            raise StateDamaged(f"state {link.id[:12]}: {error}") from error
    return found


def _lives(
    key: ObjectKey, at_base: tuple[VersionId, int] | None, changes: Iterable[Change], at_place: Sequence[int]
) -> Iterator[Named]:
    """The versions of a key that some delta changes, each from the place that puts it up to the next change."""
    current, since = at_base, 0
    for place, put in (*changes, (len(at_place), None)):
        named_by = sum(at_place[since:place])
        if current is not None and named_by:
            yield (key, *current, named_by)
        current, since = (put.version_id, put.size) if put else None, place


def _is_pack(key: ObjectKey) -> bool:
    return key.startswith("data/")


def _is_sampled(key: ObjectKey) -> bool:
    return not _is_pack(key) or key.startswith("data/0")


def _tally(counted: Sequence[int]) -> Tally:
    return Tally(objects=counted[0], bytes=counted[1])
