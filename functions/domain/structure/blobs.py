"""All that a repository's indexes say, in 49 bytes a blob: millions of blobs fit in a function's memory.

Records are gathered by the first byte of the blob's name, sorted once, and looked up by bisection: the time
is bounded whatever names an attacker chooses, as a hash table's would not be. What two indexes say alike is
kept once, as restic does; the copies of a blob in several packs lie side by side.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from functions.domain.structure.formats import HEADER_OVERHEAD, Blob, BlobKind, IndexedPack, entry_bytes
from functions.domain.structure.reading import Unreadable

_RECORD = struct.Struct(">32sBIIII")
"""name, kind, pack's number, offset, length, uncompressed length: as bytes these sort by name and kind first."""
_WIDTH = _RECORD.size
_KEY = 33
_NUMBER = struct.Struct(">I")
_NUMBER_AT = _KEY
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
        self._needed = bytearray()

    # --- gathering ---------------------------------------------------------------------------------

    def add(self, index: Iterable[IndexedPack]) -> None:
        """Take in one index, or, when it turns out Unreadable, nothing of it."""
        marks = [len(each) for each in self._gathered]
        packs = len(self._numbers)
        try:
            for name, blobs in index:
                number = self._numbers.setdefault(name, len(self._numbers))
                for kind, blob, offset, length, uncompressed in blobs:
                    self._gathered[blob[0]] += _RECORD.pack(blob, kind, number, offset, length, uncompressed)
        except Unreadable:
            for gathered, mark in zip(self._gathered, marks, strict=True):
                del gathered[mark:]
            while len(self._numbers) > packs:
                self._numbers.popitem()
            raise

    def close(self) -> None:
        """Sort what was gathered: from now on it can be looked up, and nothing can be added."""
        self._sizes = array("Q", [HEADER_OVERHEAD]) * len(self._numbers)
        for first, gathered in enumerate(self._gathered):
            self._gathered[first] = bytearray()
            records = [bytes(gathered[at : at + _WIDTH]) for at in range(0, len(gathered), _WIDTH)]
            del gathered
            records.sort()
            previous = b""
            for record in records:
                if record != previous:
                    self._records += record
                    _, _, number, _, length, uncompressed = _RECORD.unpack(record)
                    self._sizes[number] += length + entry_bytes(uncompressed)
                    self._starts[(record[0] << 8 | record[1]) + 1] += 1
                previous = record
        self._starts = array("I", accumulate(self._starts))
        self._needed = bytearray(len(self))

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
        wanted = name + bytes([kind])
        first = name[0] << 8 | name[1]
        low, high = self._starts[first], self._starts[first + 1]
        records = self._records
        while low < high:
            middle = (low + high) // 2
            at = middle * _WIDTH
            if records[at : at + _KEY] < wanted:
                low = middle + 1
            else:
                high = middle
        last, most = low, min(low + MOST_COPIES, len(self))
        while last < most and records[last * _WIDTH : last * _WIDTH + _KEY] == wanted:
            last += 1
        return range(low, last)

    def row(self, row: int) -> tuple[int, Blob]:
        """The pack's number, and the blob."""
        name, kind, number, offset, length, uncompressed = _RECORD.unpack_from(self._records, row * _WIDTH)
        return number, Blob(BlobKind(kind), name, offset, length, uncompressed)

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

    def need(self, row: int) -> bool:
        """Mark a row as needed by a snapshot. False when it was already."""
        if self._needed[row]:
            return False
        self._needed[row] = 1
        return True

    def unneeded_bytes(self) -> int:
        """Stored bytes of the blobs, and of the further copies, that no snapshot was seen to need."""
        records = zip(_RECORD.iter_unpack(self._records), self._needed, strict=True)
        return sum(length for (*_, length, _), needed in records if not needed)
