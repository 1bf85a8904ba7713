"""A state's entries as chunks: columns, packed and compressed, each well under DynamoDB's 400 KB item.

A chunk is a header line of JSON (`format`, counts, the table of storage classes), a newline, and a zstd
frame of the columns one after another. restic's 64-hex names take 32 raw bytes and an MD5 ETag 16; every
other key and ETag takes its own UTF-8 bytes in an escape column. Version ids are opaque: stored exactly,
whatever their length (zstd finds their alphabet by itself).

| format | holds | columns of numbers and of names |
|---|---|---|
| 1 | entries of a base; read, and no longer written | as they are |
| 2 | entries of a base | first all first bytes, then all second bytes, and so on: names in order share their first |
| 3 | changes of a delta; the code of a key that is removed has REMOVED added, and it has no other column | as in 2 |

The bound on a chunk is a bound on its *uncompressed* columns, so it holds for entries that do not
compress at all.

Security rules:
- A base's chunk is never read as a delta's, nor the other way round: their formats differ.
- Whatever a chunk holds is believed only by its digest, which the state's header names.
"""

import hashlib
import json
import re
import sys
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, repeat
from typing import Any, TypeVar

import zstandard

from functions.domain.delta import Change, Removal
from functions.domain.documents import UnreadableDocument
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId

PLAIN, FORMAT, DELTA_FORMAT = 1, 2, 3
COLUMN_BYTES = 300_000
"""Uncompressed bytes of columns in one chunk; an entry of 1,024-byte key and version id takes under 3,000 of them."""
LARGEST_CHUNK = 320_000
"""No chunk exceeds this: zstd never grows its input by more than a few hundred bytes. DynamoDB's bound is 400 KB."""

_FOLDERS = ("", "data/", "index/", "keys/", "snapshots/")
"""Code of a key: 0 is an escaped key, the others are restic's folders before a 64-hex name."""
_REMOVED = 0x80
_FOLDER_OF = bytes(code & ~_REMOVED for code in range(256))
_NAMED = re.compile(r"(?:data/([0-9a-f]{2})/(?=\1)|(index/|keys/|snapshots/))([0-9a-f]{64})")
_MD5 = re.compile(r"[0-9a-f]{32}")
_LEVEL = 3

Made = TypeVar("Made")
NameChanges = list[tuple[ObjectKey, VersionId | None]]
"""What a delta changes in what is named, in key order: None where it removes the key."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a run of entries names: two columns of one length, in key order."""

    keys: list[ObjectKey]
    version_ids: list[VersionId]


def encode(versions: Iterable[ObjectVersion]) -> Iterator[bytes]:
    """Pack the entries of a base (in key order) into chunks, in order; no versions, no chunks."""
    return _encode(versions, FORMAT)


def encode_delta(changes: Iterable[Change]) -> Iterator[bytes]:
    """Pack the changes of a delta (in key order) into chunks, in order."""
    return _encode(changes, DELTA_FORMAT)


def decode(chunk: bytes) -> list[ObjectVersion]:
    """The entries of one chunk of a base. Raises UnreadableDocument for an unknown format or damaged bytes."""
    return _decode(chunk, (PLAIN, FORMAT), lambda columns: list(_versions(columns, _keys(columns)[0])))


def decode_names(chunk: bytes) -> Names:
    """The same in a fifth of the time, and only what is named. Raises what `decode` raises.

    The columns behind are not looked at: whoever reads names proves the chunk by its digest.
    """

    def names(columns: "_Columns") -> Names:
        keys, _ = _keys(columns)
        return Names(keys, _version_ids(columns, len(keys)))

    return _decode(chunk, (PLAIN, FORMAT), names)


def decode_named(chunk: bytes) -> NameChanges:
    """The same as pairs, as if each were put by a delta."""
    names = decode_names(chunk)
    return list(zip(names.keys, names.version_ids, strict=True))


def decode_delta(chunk: bytes) -> list[Change]:
    """The changes of one chunk of a delta. Raises UnreadableDocument for an unknown format or damaged bytes."""

    def changes(columns: "_Columns") -> list[Change]:
        keys, removed = _keys(columns)
        put = _versions(columns, [key for key, gone in zip(keys, removed, strict=True) if not gone])
        return [Removal(key) if gone else next(put) for key, gone in zip(keys, removed, strict=True)]

    return _decode(chunk, (DELTA_FORMAT,), changes)


def decode_delta_names(chunk: bytes) -> NameChanges:
    """The same, and only what is named. Raises what `decode_delta` raises."""

    def names(columns: "_Columns") -> NameChanges:
        keys, removed = _keys(columns)
        put = iter(_version_ids(columns, removed.count(0)))
        return [(key, None if gone else next(put)) for key, gone in zip(keys, removed, strict=True)]

    return _decode(chunk, (DELTA_FORMAT,), names)


def digest(chunks: Iterable[bytes]) -> Digest:
    """SHA-256 over the chunks' own SHA-256 digests, in order: what a header says of its chunks."""
    return digest_of_set(hashlib.sha256(chunk).digest() for chunk in chunks)


def digest_of_set(digests: Iterable[bytes]) -> Digest:
    """The same, of the chunks' own SHA-256 digests."""
    hasher = hashlib.sha256(b"rwm chunk set 1\0")
    for each in digests:
        hasher.update(each)
    return Digest(hasher.hexdigest())


# --- writing ---------------------------------------------------------------------------------------


def _encode(changes: Iterable[Change], form: int) -> Iterator[bytes]:
    pending: list[Change] = []
    weight = 0
    for change in changes:
        added = _weight(change)
        if pending and weight + added > COLUMN_BYTES:
            yield _pack(pending, form)
            pending, weight = [], 0
        pending.append(change)
        weight += added
    if pending:
        yield _pack(pending, form)


def _weight(change: Change) -> int:
    # A bound, not the exact size: fixed-width columns, plus the variable ones as if the ETag were escaped.
    weight = 32 + (32 if _NAMED.fullmatch(change.key) else len(change.key.encode()))
    if isinstance(change, ObjectVersion):
        weight += len(change.version_id.encode()) + len(change.etag.encode())
    return weight


def _pack(changes: Sequence[Change], form: int) -> bytes:
    codes, names, escaped = bytearray(), bytearray(), []
    for change in changes:
        removed = 0 if isinstance(change, ObjectVersion) else _REMOVED
        if named := _NAMED.fullmatch(change.key):
            codes.append(removed | _FOLDERS.index(named[2] or "data/"))
            names += bytes.fromhex(named[3])
        else:
            codes.append(removed)
            escaped.append(change.key.encode())
    versions = [change for change in changes if isinstance(change, ObjectVersion)]
    etag_codes, md5s, etags = bytearray(), bytearray(), []
    classes: dict[str, int] = {}
    for version in versions:
        if _MD5.fullmatch(version.etag):
            etag_codes.append(1)
            md5s += bytes.fromhex(version.etag)
        else:
            etag_codes.append(0)
            etags.append(version.etag.encode())
        classes.setdefault(version.storage_class, len(classes))
    version_ids = [version.version_id.encode() for version in versions]
    columns = (
        bytes(codes),
        _transposed(bytes(names), 32),
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
    size = sum(map(len, columns))
    header = {"bytes": size, "classes": list(classes), "entries": len(changes), "format": form}
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return head + b"\n" + _packed(columns, size)


def _packed(columns: Iterable[bytes], size: int) -> bytes:
    """One frame with a block for each column: names, ids and sizes share no statistics, which is 5 bytes an entry."""
    frame = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=size)
    pieces = bytearray()
    for column in filter(None, columns):
        pieces += frame.compress(column) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return bytes(pieces + frame.flush())


def _integers(typecode: str, values: Iterable[int]) -> bytes:
    column = array(typecode, values)
    if sys.byteorder == "big":
        column.byteswap()
    return _transposed(column.tobytes(), column.itemsize)


def _transposed(rows: bytes, width: int) -> bytes:
    return b"".join(rows[place::width] for place in range(width))


# --- reading ---------------------------------------------------------------------------------------


class _Columns:
    """The uncompressed columns of a chunk, taken one after another."""

    __slots__ = ("_data", "_position", "classes", "entries", "form")

    def __init__(self, data: bytes, header: dict[str, Any]) -> None:
        self._data = data
        self._position = 0
        self.form: int = header["format"]
        self.entries: int = header["entries"]
        self.classes: list[str] = header["classes"]

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        piece = self._data[self._position : self._position + length]
        if length < 0 or len(piece) != length:
            raise ValueError("a column is cut short")
        self._position += length
        return piece

    def rows(self, count: int, width: int) -> bytes:
        """The next `count` rows of `width` bytes."""
        column = self.take(count * width)
        if self.form == PLAIN:
            return column
        rows = bytearray(len(column))
        for place in range(width):
            rows[place::width] = column[place * count : (place + 1) * count]
        return bytes(rows)

    def integers(self, typecode: str, count: int) -> "array[int]":
        """The next `count` numbers. Chunks are little-endian: 2 bytes for H, 4 for I, 8 for Q."""
        values = array(typecode, self.rows(count, array(typecode).itemsize))
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def end(self) -> None:
        if self._position != len(self._data):
            raise ValueError("bytes are left over")


def _decode(chunk: bytes, forms: Collection[int], make: Callable[[_Columns], Made]) -> Made:
    head, _, frame = chunk.partition(b"\n")
    try:
        header = json.loads(head)
        form = header["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableDocument("a chunk of the ledger has no readable header") from error
    if form not in forms:
        raise UnreadableDocument(
            f"a chunk of the ledger has format {form!r} where this version of RWM reads "
            f"{' and '.join(map(str, forms))}; nothing was decided; use a newer version"
        )
    try:
        return make(_Columns(_unpacked(frame, header["bytes"]), header))
    except (zstandard.ZstdError, ValueError, LookupError, TypeError, OverflowError, OSError, StopIteration) as error:
        # OSError: a time that no clock can show.
        raise UnreadableDocument(f"a chunk of the ledger is damaged: {error}") from error


def _unpacked(frame: bytes, size: int) -> bytes:
    # Before a byte is decompressed: a damaged frame may announce any size.
    if size > COLUMN_BYTES or zstandard.frame_content_size(frame) != size:
        raise ValueError("its columns have another size than its header says")
    return zstandard.ZstdDecompressor().decompress(frame)


def _keys(columns: _Columns) -> tuple[list[ObjectKey], bytes]:
    """The first columns: every key, and for each whether it is removed."""
    codes = columns.take(columns.entries)
    removed = bytes(columns.entries)
    if columns.form == DELTA_FORMAT:
        removed = bytes(code & _REMOVED for code in codes)
        codes = codes.translate(_FOLDER_OF)
    if codes and max(codes) >= len(_FOLDERS):
        raise ValueError("a key has an unknown code")
    escapes = codes.count(0)
    names = columns.rows(columns.entries - escapes, 32).hex()
    digits = (names[start : start + 64] for start in range(0, len(names), 64))
    escaped = _texts(columns, escapes)
    if codes.count(1) == columns.entries:
        # Nearly all chunks of a large repository.
        keys = [f"data/{name[:2]}/{name}" for name in digits]
    else:
        others = iter(escaped)
        keys = [next(others) if code == 0 else _named(code, next(digits)) for code in codes]
    # Not wrapped one by one: there are millions of them.
    return keys, removed  # type: ignore[return-value]


def _named(code: int, digits: str) -> str:
    return f"data/{digits[:2]}/{digits}" if code == 1 else _FOLDERS[code] + digits


def _version_ids(columns: _Columns, count: int) -> list[VersionId]:
    return _texts(columns, count)  # type: ignore[return-value]


def _versions(columns: _Columns, keys: list[ObjectKey]) -> Iterator[ObjectVersion]:
    """The entries of `keys`: all columns to the end."""
    count = len(keys)
    version_ids = _version_ids(columns, count)
    sizes = columns.integers("Q", count)
    times = columns.integers("Q", count)
    etag_codes = columns.take(count)
    md5s = columns.take(16 * etag_codes.count(1)).hex()
    digits = (md5s[start : start + 32] for start in range(0, len(md5s), 32))
    others = iter(_texts(columns, etag_codes.count(0)))
    etags = [next(digits) if code == 1 else next(others) for code in etag_codes]
    classes = [columns.classes[code] for code in columns.integers("H", count)]
    columns.end()
    instants = map(datetime.fromtimestamp, times, repeat(UTC))
    return map(ObjectVersion, keys, version_ids, sizes, instants, etags, classes)


def _texts(columns: _Columns, count: int) -> list[str]:
    lengths = columns.integers("I", count)
    column = columns.take(sum(lengths))
    if count and lengths.count(width := lengths[0]) == count and width and column.isascii():
        text = column.decode()
        return [text[start : start + width] for start in range(0, len(text), width)]
    return [column[end - length : end].decode() for length, end in zip(lengths, accumulate(lengths), strict=True)]
