"""Whole packs: every blob decrypted and hashed, the header against the indexes, the bytes against the name."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import zstandard

from functions.domain.restic import promised_sha256
from functions.domain.structure.crypto import OVERHEAD, Key, Unsealer
from functions.domain.structure.formats import Blob, BlobKind, header_bytes, inflate_blob, parse_header
from functions.domain.structure.reading import Limits, RangedReader, Unreadable, read_exactly
from functions.domain.values import ObjectVersion

_PIECE = 4 << 20
READING = 2 * _PIECE
"""Bytes that reading a pack holds: a piece, and what is left of the one before. A larger blob takes more."""
_TAIL = 1 << 16
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class PackVerdict:
    """What reading one pack showed."""

    verified: int
    """Blobs that are what the indexes say."""
    faults: tuple[str, ...]


class BlobOpener:
    """Opens blobs; not for several threads at once."""

    def __init__(self, key: Key, limits: Limits) -> None:
        self._unsealer = Unsealer(key)
        self._most = {BlobKind.DATA: limits.data, BlobKind.TREE: limits.tree}
        self._ratio = limits.ratio
        self._decompressor = zstandard.ZstdDecompressor()

    def check(self, blob: Blob, size: int) -> None:
        """Raises Unreadable for a blob that cannot be, or need not be read, in a pack of `size` bytes."""
        if blob.length < OVERHEAD or blob.length - OVERHEAD > self._most[blob.kind]:
            raise Unreadable(f"no {blob.kind.name.lower()} blob of {blob.length} bytes is read")
        if blob.end > size:
            raise Unreadable(f"a blob would end at {blob.end}, beyond the pack's {size} bytes")

    def open(self, blob: Blob, sealed: bytes | memoryview) -> bytes:
        """The blob's content, proven by its name. Raises Unreadable."""
        content = self._unsealer.open(sealed)
        if blob.uncompressed:
            most = self._most[blob.kind]
            if blob.kind is BlobKind.TREE:
                most = min(most, max(1 << 20, self._ratio * blob.length))
            content = inflate_blob(content, blob.uncompressed, most, self._decompressor)
        if hashlib.sha256(content).digest() != blob.name:
            raise Unreadable("its content does not hash to its name")
        return content


class _Passing:
    """A version read from its first byte to its last, a piece at a time, and hashed on the way."""

    def __init__(self, reader: RangedReader, version: ObjectVersion) -> None:
        self._reader = reader
        self._version = version
        self._held = bytearray()
        self._first = 0
        self._hasher = hashlib.sha256()
        self._broken: Unreadable | None = None

    def take(self, offset: int, length: int) -> bytes:
        """These bytes; what lies before them may be let go."""
        if offset < self._first:
            raise Unreadable("two blobs overlap")
        if offset + length > self._first + len(self._held):
            self._read_to(offset, keep=offset)
            self._read_to(offset + length, keep=offset)
        start = offset - self._first
        return bytes(memoryview(self._held)[start : start + length])

    def rest(self, offset: int) -> bytes:
        """All from `offset` to the end."""
        return self.take(offset, self._version.size - offset)

    @property
    def sha256(self) -> str:
        """Once all is read."""
        return self._hasher.hexdigest()

    def _read_to(self, end: int, *, keep: int) -> None:
        """Hold what lies from `keep` to `end`, or a little more."""
        while self._first + len(self._held) < end:
            self._let_go(keep)
            piece = self._next_piece()
            self._hasher.update(piece)
            self._held += piece
        self._let_go(keep)

    def _next_piece(self) -> bytes:
        if self._broken is not None:
            raise self._broken  # what could not be read for one blob is not asked for again for each that follows
        position = self._first + len(self._held)
        try:
            return read_exactly(self._reader, self._version, position, min(_PIECE, self._version.size - position))
        except Unreadable as fault:
            self._broken = fault
            raise

    def _let_go(self, before: int) -> None:
        gone = min(max(0, before - self._first), len(self._held))
        del self._held[:gone]
        self._first += gone


def verify_pack(
    reader: RangedReader, version: ObjectVersion, key: Key, limits: Limits, blobs: Iterable[Blob], expected_size: int
) -> PackVerdict:
    """Read one pack whole, or, where its size is wrong, the blobs that can still be in it."""
    passing, opener = _Passing(reader, version), BlobOpener(key, limits)
    indexed = sorted(blobs, key=lambda blob: blob.offset)
    faults: list[str] = []
    verified = 0
    for blob in indexed:
        try:
            opener.check(blob, version.size)
            opener.open(blob, passing.take(blob.offset, blob.length))
            verified += 1
        except Unreadable as fault:
            faults.append(f"{blob.kind.name.lower()} blob {blob.name.hex()}: {fault}")
    if version.size == expected_size:
        try:
            _verify_rest(passing, version, key, limits, indexed)
        except Unreadable as fault:
            faults.append(str(fault))
    return PackVerdict(verified, tuple(faults[:_SHOWN]))


def _verify_rest(passing: _Passing, version: ObjectVersion, key: Key, limits: Limits, indexed: list[Blob]) -> None:
    end = max((blob.end for blob in indexed), default=0)
    if not 0 <= version.size - end <= limits.header:
        raise Unreadable("it has no place for a header")
    tail = passing.rest(end)
    if passing.sha256 != promised_sha256(version.key):
        raise Unreadable("its bytes do not hash to its name")
    length = header_bytes(tail, len(tail))
    if sorted(parse_header(key.open(tail[-length:-4]))) != sorted(indexed):
        raise Unreadable("its header and the indexes differ")


def read_header(reader: RangedReader, version: ObjectVersion, key: Key, limits: Limits) -> list[Blob]:
    """What a pack says of itself. Raises Unreadable; WrongKey when another key sealed its header."""
    tail = read_exactly(reader, version, max(0, version.size - _TAIL), min(version.size, _TAIL))
    length = header_bytes(tail, version.size)
    if length > limits.header:
        raise Unreadable("its last bytes give no possible length of a header")
    if length > len(tail):
        tail = read_exactly(reader, version, version.size - length, length)
    found = list(parse_header(key.open(tail[-length:-4])))
    if sum(blob.length for blob in found) + length != version.size:
        raise Unreadable("its header does not fit its size")
    return found
