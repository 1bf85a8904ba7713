"""A state's entries as chunks: columns, packed and compressed, each well under DynamoDB's 400 KB item.

A chunk is a header line of JSON (`format`, counts, the table of storage classes), a newline, and a zstd
frame of the columns one after another. restic's 64-hex names take 32 raw bytes and an MD5 ETag 16; every
other key and ETag takes its own UTF-8 bytes in an escape column. Version ids are opaque: stored exactly,
whatever their length (zstd finds their alphabet by itself).

The bound on a chunk is a bound on its *uncompressed* columns, so it holds for entries that do not
compress at all.
"""

import hashlib
import json
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, TypeVar

import zstandard

from functions.domain.documents import UnreadableDocument
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId

FORMAT = 1
COLUMN_BYTES = 300_000
"""Uncompressed bytes of columns in one chunk; an entry of 1,024-byte key and version id takes under 3,000 of them."""
LARGEST_CHUNK = 320_000
"""No chunk exceeds this: zstd never grows its input by more than a few hundred bytes. DynamoDB's bound is 400 KB."""

_FOLDERS = ("", "data/", "index/", "keys/", "snapshots/")
"""Code of a key: 0 is an escaped key, the others are restic's folders before a 64-hex name."""
_NAMED = re.compile(r"(?:data/([0-9a-f]{2})/(?=\1)|(index/|keys/|snapshots/))([0-9a-f]{64})")
_MD5 = re.compile(r"[0-9a-f]{32}")
_LEVEL = 3

Pin = tuple[ObjectKey, VersionId, int]
"""What names one version exactly: key, version id, size."""
Decoded = TypeVar("Decoded", ObjectVersion, Pin)


def encode(versions: Iterable[ObjectVersion]) -> Iterator[bytes]:
    """Pack `versions` (in key order) into chunks, in order; no versions, no chunks."""
    pending: list[ObjectVersion] = []
    weight = 0
    for version in versions:
        added = _weight(version)
        if pending and weight + added > COLUMN_BYTES:
            yield _pack(pending)
            pending, weight = [], 0
        pending.append(version)
        weight += added
    if pending:
        yield _pack(pending)


def decode(chunk: bytes) -> list[ObjectVersion]:
    """The entries of one chunk. Raises UnreadableDocument for an unknown format or damaged bytes."""
    return _decode(chunk, _unpack)


def decode_pins(chunk: bytes) -> list[Pin]:
    """The same in a third of the time: only what manifest roots are made of. Raises what `decode` raises."""
    return _decode(chunk, _unpack_pins)


def _decode(chunk: bytes, unpack: "Callable[[bytes, dict[str, Any]], list[Decoded]]") -> list[Decoded]:
    head, _, frame = chunk.partition(b"\n")
    try:
        header = json.loads(head)
        form = header["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableDocument("a chunk of the ledger has no readable header") from error
    if form != FORMAT:
        raise UnreadableDocument(
            f"a chunk of the ledger has format {form!r} and this version of RWM reads {FORMAT}; "
            "nothing was decided; use a newer version"
        )
    try:
        return unpack(_columns(frame, header["bytes"]), header)
    except (zstandard.ZstdError, ValueError, KeyError, IndexError, TypeError, OverflowError, OSError) as error:
        # OSError: a time that no clock can show.
        raise UnreadableDocument(f"a chunk of the ledger is damaged: {error}") from error


def digest(chunks: Iterable[bytes]) -> Digest:
    """SHA-256 over the chunks' own SHA-256 digests, in order: what a header says of its chunks."""
    return digest_of_set(hashlib.sha256(chunk).digest() for chunk in chunks)


def digest_of_set(digests: Iterable[bytes]) -> Digest:
    """The same, of the chunks' own SHA-256 digests."""
    hasher = hashlib.sha256(b"rwm chunk set 1\0")
    for each in digests:
        hasher.update(each)
    return Digest(hasher.hexdigest())


def _weight(version: ObjectVersion) -> int:
    # A bound, not the exact size: fixed-width columns, plus both variable ones as if they were escaped.
    return 48 + len(version.key.encode()) + len(version.version_id.encode()) + len(version.etag.encode()) + 2


def _pack(versions: Sequence[ObjectVersion]) -> bytes:
    codes, names, escaped = bytearray(), bytearray(), []
    etag_codes, md5s, etags = bytearray(), bytearray(), []
    classes: dict[str, int] = {}
    for version in versions:
        if named := _NAMED.fullmatch(version.key):
            codes.append(_FOLDERS.index(named[2] or "data/"))
            names += bytes.fromhex(named[3])
        else:
            codes.append(0)
            escaped.append(version.key.encode())
        if _MD5.fullmatch(version.etag):
            etag_codes.append(1)
            md5s += bytes.fromhex(version.etag)
        else:
            etag_codes.append(0)
            etags.append(version.etag.encode())
        classes.setdefault(version.storage_class, len(classes))
    version_ids = [version.version_id.encode() for version in versions]
    columns = b"".join(
        (
            bytes(codes),
            bytes(names),
            _integers("I", map(len, escaped)),
            b"".join(escaped),
            _integers("I", map(len, version_ids)),
            b"".join(version_ids),
            _integers("Q", (version.size for version in versions)),
            _integers("Q", (int(version.last_modified.timestamp()) for version in versions)),
            bytes(etag_codes),
            bytes(md5s),
            _integers("I", map(len, etags)),
            b"".join(etags),
            _integers("H", (classes[version.storage_class] for version in versions)),
        )
    )
    header = {"bytes": len(columns), "classes": list(classes), "entries": len(versions), "format": FORMAT}
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return head + b"\n" + zstandard.ZstdCompressor(level=_LEVEL).compress(columns)


def _columns(frame: bytes, size: int) -> bytes:
    # Before a byte is decompressed: a damaged frame may announce any size.
    if size > COLUMN_BYTES or zstandard.frame_content_size(frame) != size:
        raise ValueError("its columns have another size than its header says")
    return zstandard.ZstdDecompressor().decompress(frame)


def _unpack(columns: bytes, header: dict[str, Any]) -> list[ObjectVersion]:
    entries: int = header["entries"]
    classes: list[str] = header["classes"]
    take = _reader(columns)
    keys, version_ids, sizes = _pins(take, entries)
    times = _array("Q", take(8 * entries))
    etag_codes = take(entries)
    md5s = _fixed(take(16 * etag_codes.count(1)), 16)
    etags = _texts(take, etag_codes.count(0))
    class_codes = _array("H", take(2 * entries))
    if take(-1):
        raise ValueError("bytes are left over")
    return [
        ObjectVersion(
            key=ObjectKey(keys[index]),
            version_id=VersionId(version_ids[index]),
            size=sizes[index],
            last_modified=datetime.fromtimestamp(times[index], UTC),
            etag=next(md5s).hex() if etag_codes[index] else next(etags),
            storage_class=classes[class_codes[index]],
        )
        for index in range(entries)
    ]


def _unpack_pins(columns: bytes, header: dict[str, Any]) -> list[Pin]:
    # The columns behind these are not looked at; whoever reads pins proves the chunk by its digest.
    keys, version_ids, sizes = _pins(_reader(columns), header["entries"])
    return list(zip(keys, version_ids, sizes, strict=True))  # type: ignore[arg-type]


def _pins(take: Callable[[int], bytes], entries: int) -> "tuple[list[str], list[str], array[int]]":
    """The first columns: keys, version ids, sizes."""
    codes = take(entries)
    names = _fixed(take(32 * (entries - codes.count(0))), 32)
    escaped = _texts(take, codes.count(0))
    keys = [next(escaped) if code == 0 else _named(code, next(names).hex()) for code in codes]
    return keys, list(_texts(take, entries)), _array("Q", take(8 * entries))


def _named(code: int, digits: str) -> str:
    return f"data/{digits[:2]}/{digits}" if code == 1 else _FOLDERS[code] + digits


def _reader(columns: bytes) -> Callable[[int], bytes]:
    position = 0

    def take(length: int) -> bytes:
        """The next `length` bytes; -1 for all that is left."""
        nonlocal position
        end = len(columns) if length < 0 else position + length
        piece = columns[position:end]
        if len(piece) != end - position:
            raise ValueError("a column is cut short")
        position = end
        return piece

    return take


def _fixed(column: bytes, width: int) -> Iterator[bytes]:
    return (column[start : start + width] for start in range(0, len(column), width))


def _texts(take: Callable[[int], bytes], count: int) -> Iterator[str]:
    lengths = _array("I", take(4 * count))
    column = take(sum(lengths))
    ends = list(accumulate(lengths))
    return iter([column[end - length : end].decode() for length, end in zip(lengths, ends, strict=True)])


def _integers(typecode: str, values: Iterable[int]) -> bytes:
    column = array(typecode, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _array(typecode: str, column: bytes) -> "array[int]":
    """The inverse of `_integers`. Chunks are little-endian: 2 bytes for H, 4 for I, 8 for Q."""
    values = array(typecode, column)
    if sys.byteorder == "big":
        values.byteswap()
    return values
