"""restic's formats, parsed: config, key file, snapshot, index, tree, pack header.

Source: restic's doc/design.rst, and internal/{restic,repository,pack} for what it accepts. Unknown fields
are let be, as restic does; everything that is used is checked.

Security rules:
- Whatever the bytes, a parser returns a value or raises Unreadable, in time proportional to their length.
- Long arrays (an index's packs, a tree's nodes) are read element by element, so that JSON never becomes more
  objects at once than one element holds.
"""

import base64
import codecs
import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import IO, Any, NamedTuple, cast

import zstandard

from functions.domain.structure.crypto import Key, Opened, Scrypted
from functions.domain.structure.reading import Unreadable

VERSIONS = (1, 2)
"""The repository versions that there are."""
LARGEST = (1 << 32) - 1
"""restic's offsets and lengths within a pack have 32 bits."""
_ZSTD = 2
_UNKNOWN_SIZE = 0xFFFF_FFFF_FFFF_FFFF
_PIECE = 1 << 20
_HEX = 64
_NULL = bytes(32)


class BlobKind(IntEnum):
    """What a blob holds: the bytes of files, or one directory."""

    DATA = 0
    TREE = 1


class Blob(NamedTuple):
    """Where a blob lies in its pack."""

    kind: BlobKind
    name: bytes
    """The SHA-256 of its content."""
    offset: int
    length: int
    """Bytes as stored, sealed and perhaps compressed."""
    uncompressed: int
    """Bytes of its content if it is compressed, else 0."""

    @property
    def end(self) -> int:
        return self.offset + self.length


class IndexedPack(NamedTuple):
    """What an index says of one pack."""

    name: bytes
    blobs: tuple[Blob, ...]


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """The config file."""

    version: int
    id: str
    chunker_polynomial: int


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file: how its key follows from a password, and the master key sealed with that."""

    scrypted: Scrypted
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TreeReferences:
    """What one directory refers to."""

    subtrees: tuple[bytes, ...]
    contents: tuple[bytes, ...]
    faults: tuple[str, ...]
    """Nodes that restic would not accept; the others are still followed."""


# --- the files -------------------------------------------------------------------------------------


def parse_config(plain: bytes) -> RepositoryConfig:
    """The config from its opened bytes: restic never compresses it."""
    found = _object(_json(plain), "the config")
    version = _integer(found, "version", LARGEST)
    if version not in VERSIONS:
        raise Unreadable(f"the config says version {version}; this version of RWM reads 1 and 2")
    try:
        polynomial = int(_text(found, "chunker_polynomial"), 16)
    except ValueError:
        polynomial = 0
    if not 0 < polynomial < 1 << 64 or not irreducible(polynomial):
        raise Unreadable("the config's chunker polynomial is not irreducible")
    return RepositoryConfig(version=version, id=_text(found, "id"), chunker_polynomial=polynomial)


def parse_key_file(content: bytes) -> KeyFile:
    """A key file, which is plain JSON. Its scrypt parameters are as they stand: `check` them."""
    found = _object(_json(content), "the key file")
    if found.get("kdf") != "scrypt":
        raise Unreadable("its kdf is not scrypt")
    n, r, p = (_integer(found, name, LARGEST) for name in ("N", "r", "p"))
    return KeyFile(Scrypted(n=n, r=r, p=p, salt=_base64(found, "salt")), data=_base64(found, "data"))


def parse_master_key(plain: bytes) -> Key:
    """The repository's key, from what a key file's data opens to."""
    found = _object(_json(plain), "the master key")
    mac = _object(found.get("mac"), "the master key's mac")
    return Key(encrypt=_base64(found, "encrypt"), mac_k=_base64(mac, "k"), mac_r=_base64(mac, "r"))


def parse_snapshot(plain: bytes) -> bytes:
    """The name of a snapshot's tree."""
    return _name(_object(_json(plain), "the snapshot").get("tree"))


def parse_index(pieces: Iterable[bytes]) -> Iterator[IndexedPack]:
    """What an index, which comes in pieces, says pack by pack. Raises Unreadable, perhaps only after some packs."""
    for found in _elements(pieces, "packs"):
        pack = _object(found, "a pack of the index")
        blobs = pack.get("blobs")
        if not isinstance(blobs, list):
            raise Unreadable("a pack of the index has no list of blobs")
        yield IndexedPack(_name(pack.get("id")), tuple(map(_indexed_blob, blobs)))


def parse_tree(content: bytes) -> TreeReferences:
    """What a directory refers to."""
    subtrees: list[bytes] = []
    contents: list[bytes] = []
    faults: list[str] = []
    for found in _elements([content], "nodes", alone=True):
        node = _object(found, "a node of the tree")
        kind = node.get("type")
        if not isinstance(node.get("name"), str) or not node["name"]:
            faults.append("a node has no name")
        if kind == "file":
            if isinstance(blobs := node.get("content"), list):
                contents += map(_name, blobs)
            else:
                faults.append("a file has no list of blobs")
        elif kind == "dir":
            if node.get("subtree") is None:
                faults.append("a directory has no subtree")
            else:
                subtrees.append(_name(node["subtree"]))
        elif kind not in ("symlink", "dev", "chardev", "socket", "fifo"):
            faults.append("a node's type is unknown")
    return TreeReferences(tuple(subtrees), tuple(contents), tuple(faults))


# --- packs -----------------------------------------------------------------------------------------

HEADER_OVERHEAD = 36
"""Bytes of a pack besides its blobs and its header's entries: the header's seal and its length."""
_ENTRY = struct.Struct("<BI32s")
_COMPRESSED_ENTRY = struct.Struct("<BII32s")
_HEADER_LENGTH = struct.Struct("<I")


def entry_bytes(uncompressed: int) -> int:
    """Bytes that a blob's entry takes in its pack's header."""
    return _COMPRESSED_ENTRY.size if uncompressed else _ENTRY.size


def header_bytes(tail: bytes, size: int) -> int:
    """From the last bytes of a pack of `size` bytes: how many its header takes, the length after it included."""
    if len(tail) < _HEADER_LENGTH.size:
        raise Unreadable("it is too short for a pack")
    (length,) = _HEADER_LENGTH.unpack(tail[-_HEADER_LENGTH.size :])
    found = int(length) + _HEADER_LENGTH.size
    if found < HEADER_OVERHEAD + _ENTRY.size or found > size:
        raise Unreadable("its last bytes give no possible length of a header")
    return found


def parse_header(plain: bytes) -> Iterator[Blob]:
    """The blobs of a pack, from its opened header."""
    at = offset = 0
    while at < len(plain):
        compressed = plain[at] in (2, 3)
        layout = _COMPRESSED_ENTRY if compressed else _ENTRY
        if plain[at] > 3 or at + layout.size > len(plain):
            raise Unreadable("its header has an impossible entry")
        kind, length, *uncompressed, name = layout.unpack_from(plain, at)
        yield Blob(BlobKind(kind & 1), name, offset, length, uncompressed[0] if uncompressed else 0)
        at += layout.size
        offset += length


# --- compression -----------------------------------------------------------------------------------


def inflate_file(plain: Opened, limit: int, ratio: int) -> Iterator[bytes]:
    """An index or a snapshot in pieces of JSON: as it is, or, in a repository of version 2, from a zstd frame."""
    bound = min(limit, max(_PIECE, ratio * plain.length))
    first = plain.read(1)
    if first in (b"{", b"["):
        yield first
        yield from plain.pieces()
        return
    if first != bytes([_ZSTD]):
        raise Unreadable("it is neither JSON nor compressed")
    source = cast("IO[bytes]", plain)  # of a file it needs `read` only
    pieces = iter(zstandard.ZstdDecompressor().read_to_iter(source, read_size=1 << 16, write_size=_PIECE))
    total = 0
    while (piece := _next_piece(pieces)) is not None:
        total += len(piece)
        if total > bound:
            raise Unreadable(f"it decompresses to more than {bound} bytes; the rest was not read")
        yield piece


def _next_piece(pieces: Iterator[bytes]) -> bytes | None:
    try:
        return next(pieces, None)
    except zstandard.ZstdError as error:
        fault = str(error)
    raise Unreadable(f"it does not decompress ({fault})")


def inflate_blob(stored: bytes, uncompressed: int, limit: int, decompressor: zstandard.ZstdDecompressor) -> bytes:
    """A blob's content, of `uncompressed` bytes, which must not exceed `limit`."""
    if uncompressed > limit:
        raise Unreadable(f"it would decompress to {uncompressed} bytes, and {limit} are read; it was not tried")
    try:
        # A frame that announces a size is given that much memory at once, whatever max_output_size says.
        announced = zstandard.get_frame_parameters(stored).content_size
        content = (
            decompressor.decompress(stored, max_output_size=uncompressed)
            if announced in (uncompressed, _UNKNOWN_SIZE)
            else None
        )
    except zstandard.ZstdError:
        content = None
    if content is None or len(content) != uncompressed:
        raise Unreadable("it does not decompress to the length that the index gives")
    return content


# --- the chunker's polynomial ----------------------------------------------------------------------


def irreducible(polynomial: int) -> bool:
    """Whether a polynomial over GF(2) has no factors: Ben-Or's test, as restic's chunker makes it."""
    degree = polynomial.bit_length() - 1
    if degree < 1:
        return False
    power = 2  # x
    for _ in range(degree // 2):
        power = _remainder(_square(power), polynomial)
        left, right = polynomial, power ^ 2
        while right:
            left, right = right, _remainder(left, right)
        if left != 1:
            return False
    return True


def _square(polynomial: int) -> int:
    return int("0".join(f"{polynomial:b}"), 2)


def _remainder(dividend: int, divisor: int) -> int:
    width = divisor.bit_length()
    while (excess := dividend.bit_length() - width) >= 0:
        dividend ^= divisor << excess
    return dividend


# --- JSON ------------------------------------------------------------------------------------------


def _no_constant(_: str) -> None:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_SPACES = " \t\n\r"
_SPACE = re.compile(r"[ \t\n\r]*")
_MARGIN = 64
_LONGEST_VALUE = 64 << 20
"""Characters of one pack in an index, or one node in a tree: a pack's header of 16 MiB bounds the first."""


class _Arriving:
    """JSON whose text arrives in pieces: only what is not read yet is held."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False
        self._text = ""
        self._at = 0

    def next_character(self) -> str:
        """The next one that is no white space, not yet taken; empty at the end."""
        while True:
            self._at = _skip(self._text, self._at)
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Take the next character if it is this one."""
        if not self._text.startswith(character, self._at) and self.next_character() != character:
            return False
        self._at += 1
        return True

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise Unreadable("it is not JSON")

    def value(self) -> Any:
        """Take a whole value."""
        if self._text[self._at : self._at + 1] in _SPACES:
            self.next_character()
        while True:
            found = _scan(self._text, self._at)
            # A number at the end of what has arrived may go on in the next piece.
            if (found is None or len(self._text) - found[1] < _MARGIN) and self._more():
                continue
            if found is None:
                raise Unreadable("it is not JSON")
            self._at = found[1]
            return found[0]

    def _more(self) -> bool:
        """Hold at least twice what is left, so that a long value is not scanned again for each piece."""
        held = self._text[self._at :]
        if self._ended:
            return False
        if len(held) > _LONGEST_VALUE:
            raise Unreadable(f"a value in it has more than {_LONGEST_VALUE} characters; the rest was not read")
        parts, wanted = [held], max(1, len(held))
        while wanted > 0 and not self._ended:
            piece = next(self._pieces, b"")
            self._ended = not piece
            parts.append(self._decode(piece))
            wanted -= len(piece)
        self._text, self._at = "".join(parts), 0
        return True

    def _decode(self, piece: bytes) -> str:
        text: str | None
        try:
            text = self._decoder.decode(piece, final=self._ended)
        except UnicodeDecodeError:
            text = None  # not raised from here: that error holds the whole piece
        if text is None:
            raise Unreadable("it is not UTF-8")
        return text


def _scan(text: str, at: int) -> tuple[Any, int] | None:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None  # the error holds the whole text


def _skip(text: str, at: int) -> int:
    """Where white space at `at` ends."""
    if text[at : at + 1] not in _SPACES:
        return at
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _json(plain: bytes) -> Any:
    arriving = _Arriving([plain])
    found = arriving.value()
    _end(arriving)
    return found


def _end(arriving: _Arriving) -> None:
    if arriving.next_character():
        raise Unreadable("more follows its JSON")


def _elements(pieces: Iterable[bytes], member: str, *, alone: bool = False) -> Iterator[Any]:
    """The elements of the array `member` of the one object in `pieces`; null, or none, is an empty array.

    restic's very old indexes are the array itself: it is read too, unless `alone`.
    """
    arriving = _Arriving(pieces)
    if arriving.next_character() == "[" and not alone:
        yield from _array(arriving)
    else:
        yield from _member(arriving, member)
    _end(arriving)


def _member(arriving: _Arriving, member: str) -> Iterator[Any]:
    arriving.expect("{")
    seen = False
    ended = arriving.take("}")
    while not ended:
        name = arriving.value()
        if not isinstance(name, str):
            raise Unreadable("it is not JSON")
        arriving.expect(":")
        if name == member and seen:
            raise Unreadable(f"it has {member} twice")
        seen = seen or name == member
        if name == member and arriving.next_character() == "[":
            yield from _array(arriving)
        elif arriving.value() is not None and name == member:
            raise Unreadable(f"its {member} are no list")
        ended = _separated(arriving, "}")


def _array(arriving: _Arriving) -> Iterator[Any]:
    arriving.expect("[")
    ended = arriving.take("]")
    while not ended:
        yield arriving.value()
        ended = _separated(arriving, "]")


def _separated(arriving: _Arriving, close: str) -> bool:
    """After an element: whether the bracket ends; if not, the next element begins."""
    if arriving.take(","):
        return False
    arriving.expect(close)
    return True


# --- what JSON holds -------------------------------------------------------------------------------


def _object(found: Any, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Unreadable(f"{what} is not a JSON object")
    return found


def _text(found: dict[str, Any], name: str) -> str:
    if not isinstance(value := found.get(name), str):
        raise Unreadable(f"its {name} is no text")
    return value


def _integer(found: dict[str, Any], name: str, most: int) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Unreadable(f"its {name} is no number from 0 to {most}")
    return value


def _base64(found: dict[str, Any], name: str) -> bytes:
    try:
        value = base64.b64decode(_text(found, name), validate=True)
    except ValueError:
        value = None
    if value is None:
        raise Unreadable(f"its {name} is not base64")
    return value


def _name(found: Any) -> bytes:
    """A SHA-256, never restic's null id."""
    try:
        name = bytes.fromhex(found) if isinstance(found, str) and len(found) == _HEX else b""
    except ValueError:
        name = b""
    if len(name) != _HEX // 2 or name == _NULL:
        raise Unreadable("a name in it is not a SHA-256")
    return name


_KINDS = {"data": BlobKind.DATA, "tree": BlobKind.TREE}


def _indexed_blob(found: Any) -> Blob:
    blob = _object(found, "a blob of the index")
    kind = blob.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Unreadable("a blob's type is neither data nor tree")
    uncompressed = _integer(blob, "uncompressed_length", LARGEST) if "uncompressed_length" in blob else 0
    return Blob(
        _KINDS[kind],
        _name(blob.get("id")),
        _integer(blob, "offset", LARGEST),
        _integer(blob, "length", LARGEST),
        uncompressed,
    )
