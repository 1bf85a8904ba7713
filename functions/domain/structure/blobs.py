"""All that a repository's indexes say, in 49 bytes a blob: millions of blobs fit in a function's memory.

Records are gathered by the first byte of the blob's name, sorted once, and looked up by bisection: the time
is bounded whatever names an attacker chooses, as a hash table's would not be. What two indexes say alike is
kept once, as restic does; the copies of a blob in several packs lie side by side.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, groupby, islice, repeat
from operator import eq

from functions.domain.structure.formats import HEADER_OVERHEAD, Blob, BlobKind, IndexedPack, entry_bytes
from functions.domain.structure.reading import Unreadable

_RECORD = struct.Struct(">32sBIIII")
"""name, kind, pack's number, offset, length, uncompressed length: as bytes these sort by name and kind first."""
_WIDTH = _RECORD.size
_KEY = 33
_NUMBER = struct.Struct(">I")
_NUMBER_AT = _KEY
_EXTENT = struct.Struct(">II")
_EXTENT_AT = _NUMBER_AT + _NUMBER.size
_SIZED = struct.Struct(">33xI4xII")
"""Of a record: pack's number, length, uncompressed length."""
_LENGTH = struct.Struct(">41xI4x")
_KINDS = tuple(BlobKind)
_KIND_BYTE = {kind: bytes([kind]) for kind in BlobKind}
_NONE, _SOME = b"\0", b"\1"
_FEW = 64
"""Records that are searched one after the other sooner than by bisection."""
MOST_COPIES = 64
"""Of one blob, looked at: concurrent backups leave a few, and a forged index must not make each lookup slow."""


class BlobIndex:
    """Blobs and the packs they lie in. A blob's row is its place in the order of names."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._gathered = [bytearray() for _ in range(256)]
        self._records = bytearray()
        self._starts = array("I", bytes(4 * ((1 << 16) + 1)))
        self._sizes = array("Q")
        self._told_twice = False  # then the sizes are not simply sums
        self._needed = bytearray()

    # --- gathering ---------------------------------------------------------------------------------

    def add(self, index: Iterable[IndexedPack]) -> None:
        """Take in one index, or, when it turns out Unreadable, nothing of it."""
        marks = [len(each) for each in self._gathered]
        packs = len(self._numbers)
        try:
            for pack in index:
                self._gather(pack)
        except Unreadable:
            for gathered, mark in zip(self._gathered, marks, strict=True):
                del gathered[mark:]
            while len(self._numbers) > packs:
                self._numbers.popitem()
            del self._sizes[packs:]
            raise

    def _gather(self, pack: IndexedPack) -> None:
        number = self._numbers.setdefault(pack.name, len(self._numbers))
        if number < len(self._sizes):
            self._told_twice = True
        else:
            plain = pack.uncompressed.count(0)
            entries = plain * entry_bytes(0) + (len(pack.names) - plain) * entry_bytes(1)
            self._sizes.append(HEADER_OVERHEAD + entries + sum(pack.lengths))
        gathered = self._gathered
        columns = (pack.names, pack.kinds, repeat(number), pack.offsets, pack.lengths, pack.uncompressed)
        for record in map(_RECORD.pack, *columns):
            gathered[record[0]] += record

    def close(self) -> None:
        """Sort what was gathered: from now on it can be looked up, and nothing can be added."""
        for first, gathered in enumerate(self._gathered):
            self._gathered[first] = bytearray()
            told = bytes(gathered)
            del gathered
            records = [told[at : at + _WIDTH] for at in range(0, len(told), _WIDTH)]
            records.sort()
            if any(map(eq, records, islice(records, 1, None))):
                self._told_twice = True
                records = [record for record, _ in groupby(records)]
            begin = len(self._records)
            self._records += b"".join(records)
            seconds = self._records[begin + 1 :: _WIDTH]
            for second in set(seconds):
                self._starts[(first << 8 | second) + 1] = seconds.count(second)
        self._starts = array("I", accumulate(self._starts))
        self._needed = bytearray(len(self))
        if self._told_twice:
            self._sizes = self._distinct_sizes()

    def _distinct_sizes(self) -> "array[int]":
        """Of each pack, what is said alike counted once."""
        sizes = array("Q", [HEADER_OVERHEAD]) * len(self._numbers)
        for number, length, uncompressed in _SIZED.iter_unpack(self._records):
            sizes[number] += length + entry_bytes(uncompressed)
        return sizes

    # --- asking ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many blobs there are, copies counted."""
        return len(self._records) // _WIDTH

    @property
    def packs(self) -> Sequence[bytes]:
        """The names of all packs, in the order of their numbers."""
        return tuple(self._numbers)

    def names(self, pack: bytes) -> bool:
        """Whether an index names `pack`."""
        return pack in self._numbers

    def pack_size(self, number: int) -> int:
        """How large a pack must be to hold exactly what the indexes say."""
        return self._sizes[number]

    def rows(self, kind: BlobKind, name: bytes) -> range:
        """The copies of a blob, the first 64 of them; empty when no index has it."""
        first = self._find(name + _KIND_BYTE[kind])
        return range(0) if first is None else self.copies(first)

    def copies(self, first: int) -> range:
        """The rows of a blob's copies, the first 64 of them, from the first one's row."""
        last, most, records = first + 1, min(first + MOST_COPIES, len(self)), self._records
        wanted = records[first * _WIDTH : first * _WIDTH + _KEY]
        while last < most and records[last * _WIDTH : last * _WIDTH + _KEY] == wanted:
            last += 1
        return range(first, last)

    def _find(self, wanted: bytes) -> int | None:
        """The first row of a name and kind."""
        start = wanted[0] << 8 | wanted[1]
        low, high = self._starts[start], self._starts[start + 1]
        records = self._records
        if high - low <= _FEW:
            at = records.find(wanted, low * _WIDTH, high * _WIDTH)
            if at < 0:
                return None
            if at % _WIDTH == 0:
                return at // _WIDTH
            # It was found across two records: somebody forged them to look like a name.
        while low < high:
            middle = (low + high) // 2
            at = middle * _WIDTH
            if records[at : at + _KEY] < wanted:
                low = middle + 1
            else:
                high = middle
        return low if records[low * _WIDTH : low * _WIDTH + _KEY] == wanted else None

    def row(self, row: int) -> tuple[int, Blob]:
        """The pack's number, and the blob."""
        name, kind, number, offset, length, uncompressed = _RECORD.unpack_from(self._records, row * _WIDTH)
        return number, Blob(_KINDS[kind], name, offset, length, uncompressed)

    def end(self, row: int) -> int:
        """Where in its pack a row's blob ends."""
        offset, length = _EXTENT.unpack_from(self._records, row * _WIDTH + _EXTENT_AT)
        return int(offset + length)

    def pack(self, row: int) -> int:
        """The number of the pack that a row's blob lies in."""
        number: int = _NUMBER.unpack_from(self._records, row * _WIDTH + _NUMBER_AT)[0]
        return number

    def by_pack(self) -> Iterator[tuple[int, "array[int]"]]:
        """Each pack's number with the rows of its blobs."""
        ends = array("I", bytes(4 * (len(self._numbers) + 1)))
        records = self._records
        places = range(_NUMBER_AT, len(records), _WIDTH)
        numbers = array("I", (_NUMBER.unpack_from(records, place)[0] for place in places))
        for number in numbers:
            ends[number + 1] += 1
        for number in range(len(self._numbers)):
            ends[number + 1] += ends[number]
        placed = array("I", bytes(4 * len(self)))
        following = ends[:-1]
        for row, number in enumerate(numbers):
            placed[following[number]] = row
            following[number] += 1
        for number in range(len(self._numbers)):
            yield number, placed[ends[number] : ends[number + 1]]

    # --- marking -----------------------------------------------------------------------------------

    def need(self, kind: BlobKind, names: Iterable[bytes]) -> tuple[list[int], list[bytes]]:
        """Mark blobs as needed by a snapshot: the first rows of those that were not yet, and the names no index has."""
        ending, find, needed = _KIND_BYTE[kind], self._find, self._needed
        rows: list[int] = []
        unknown: list[bytes] = []
        for name in names:
            row = find(name + ending)
            if row is None:
                unknown.append(name)
            elif not needed[row]:
                needed[row] = 1
                rows.append(row)
        return rows, unknown

    def unneeded_bytes(self) -> int:
        """Stored bytes of the blobs, and of the further copies, that no snapshot was seen to need."""
        unneeded = self._needed.translate(bytes.maketrans(_NONE + _SOME, _SOME + _NONE))
        return sum(length for (length,) in compress(_LENGTH.iter_unpack(self._records), unneeded))
