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
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, compress, repeat
from operator import add, or_
from typing import Any, TypeVar, cast

import zstandard

from functions.domain.columns import Columns, in_runs
from functions.domain.delta import Change, Removal
from functions.domain.documents import UnreadableDocument
from functions.domain.restic import digests_of_packs
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId, from_hex

PLAIN, FORMAT, DELTA_FORMAT = 1, 2, 3
COLUMN_BYTES = 300_000
"""Uncompressed bytes of columns in one chunk; an entry of 1,024-byte key and version id takes under 3,000 of them."""
LARGEST_CHUNK = 320_000
"""No chunk exceeds this: zstd never grows its input by more than a few hundred bytes. DynamoDB's bound is 400 KB."""

_FOLDERS = ("", "data/", "index/", "keys/", "snapshots/")
"""Code of a key: 0 is an escaped key, the others are restic's folders before a 64-hex name."""
_PACK = _FOLDERS.index("data/")
_PACK_HEADS = [f"data/{first:02x}/" for first in range(256)]
"""What stands before the name of a pack, by the first byte of the name."""
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
    packer = Packer()
    for run in in_runs(versions):
        yield from packer.add(run)
    yield from packer.rest()


def encode_delta(changes: Iterable[Change]) -> Iterator[bytes]:
    """Pack the changes of a delta (in key order) into chunks, in order."""
    pending: list[Change] = []
    weight = 0
    for change in changes:
        added = 32 + _key_weight(change.key)
        if isinstance(change, ObjectVersion):
            added += len(change.version_id.encode()) + len(change.etag.encode())
        if pending and weight + added > COLUMN_BYTES:
            yield _pack_delta(pending)
            pending, weight = [], 0
        pending.append(change)
        weight += added
    if pending:
        yield _pack_delta(pending)


def decode(chunk: bytes) -> list[ObjectVersion]:
    """The entries of one chunk of a base. Raises UnreadableDocument for an unknown format or damaged bytes."""
    return list(decode_columns(chunk).versions())


def decode_columns(chunk: bytes) -> Columns:
    """The same, field by field, which is a fifth of the work. Raises what `decode` raises."""
    return _decode(chunk, (PLAIN, FORMAT), lambda columns: _entries(columns, _keys(columns)[0]))


def decode_names(chunk: bytes) -> Names:
    """The same, and only what is named. Raises what `decode` raises.

    The columns behind are not looked at: whoever reads names proves the chunk by its digest.
    """

    def names(columns: "_Unpacked") -> Names:
        keys, _ = _keys(columns)
        return Names(keys, _version_ids(columns, len(keys)))

    return _decode(chunk, (PLAIN, FORMAT), names)


def decode_named(chunk: bytes) -> NameChanges:
    """The same as pairs, as if each were put by a delta."""
    names = decode_names(chunk)
    return list(zip(names.keys, names.version_ids, strict=True))


def decode_delta(chunk: bytes) -> list[Change]:
    """The changes of one chunk of a delta. Raises UnreadableDocument for an unknown format or damaged bytes."""

    def changes(columns: "_Unpacked") -> list[Change]:
        keys, removed = _keys(columns)
        put = _entries(columns, [key for key, gone in zip(keys, removed, strict=True) if not gone]).versions()
        return [Removal(key) if gone else next(put) for key, gone in zip(keys, removed, strict=True)]

    return _decode(chunk, (DELTA_FORMAT,), changes)


def decode_delta_names(chunk: bytes) -> NameChanges:
    """The same, and only what is named. Raises what `decode_delta` raises."""

    def names(columns: "_Unpacked") -> NameChanges:
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


class Packer:
    """Packs the entries of a base into chunks: the same ones, in whatever runs the entries come."""

    def __init__(self) -> None:
        self._open = Columns()
        """Entries of the chunk that is not full yet."""
        self._weight = 0

    def add(self, columns: Columns) -> Iterator[bytes]:
        """Take the next entries in key order, versions only; the chunks that become full by them, in order. They are
        taken as the chunks are: to the end. Raises OverflowError for a delete marker."""
        totals = list(accumulate(_weights(columns), initial=0))
        start, begun = 0, -self._weight
        while totals[-1] - begun > COLUMN_BYTES:
            fit = bisect_right(totals, begun + COLUMN_BYTES) - 1
            # A chunk has one entry at least.
            stop = max(fit, start + (len(self._open) == 0))
            self._open.extend(columns.part(start, stop))
            yield _pack_base(self._open)
            self._open, start, begun = Columns(), stop, totals[stop]
        self._open.extend(columns.part(start, len(columns)))
        self._weight = totals[-1] - begun

    def rest(self) -> Iterator[bytes]:
        """The last chunk, if entries are left for one. Nothing is added after it."""
        if len(self._open):
            yield _pack_base(self._open)


def _weights(columns: Columns) -> Iterator[int]:
    """A bound on the uncompressed bytes of each entry, not the exact size: fixed-width columns, plus the variable ones
    as if the ETag were escaped."""
    keys = repeat(32) if digests_of_packs(columns.keys) else map(_key_weight, columns.keys)
    return map(sum, zip(repeat(32), keys, _lengths(columns.version_ids), _lengths(columns.etags)))


def _key_weight(key: ObjectKey) -> int:
    return 32 if _NAMED.fullmatch(key) else len(key.encode())


def _pack_base(columns: Columns) -> bytes:
    codes, names, escaped = _key_columns(columns.keys)
    return _pack(codes, names, escaped, columns, FORMAT)


def _pack_delta(changes: Sequence[Change]) -> bytes:
    codes, names, escaped = _key_columns([change.key for change in changes])
    put = [change for change in changes if isinstance(change, ObjectVersion)]
    removed = (0 if isinstance(change, ObjectVersion) else _REMOVED for change in changes)
    return _pack(bytes(map(or_, codes, removed)), names, escaped, Columns.of(put), DELTA_FORMAT)


def _pack(codes: bytes, names: bytes, escaped: Sequence[str], put: Columns, form: int) -> bytes:
    """One chunk of the keys in the first three columns, and of all but the keys of `put`."""
    etag_codes, md5s, etags = _etag_columns(put.etags)
    classes = {storage_class: code for code, storage_class in enumerate(dict.fromkeys(put.classes))}
    columns = (
        codes,
        _transposed(names, 32),
        *_text_columns(escaped),
        *_text_columns(put.version_ids),
        _integers("Q", put.sizes),
        _integers("Q", put.times),
        etag_codes,
        md5s,
        *_text_columns(etags),
        _integers("H", map(classes.__getitem__, put.classes)),
    )
    size = sum(map(len, columns))
    header = {"bytes": size, "classes": list(classes), "entries": len(codes), "format": form}
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return head + b"\n" + _packed(columns, size)


def _key_columns(keys: Sequence[ObjectKey]) -> tuple[bytes, bytes, Sequence[str]]:
    """The code of each key, the names of those that have one, and the other keys."""
    if digests := digests_of_packs(keys):
        return bytes([_PACK]) * len(keys), digests, ()
    codes, names, escaped = bytearray(), bytearray(), []
    for key in keys:
        if named := _NAMED.fullmatch(key):
            codes.append(_FOLDERS.index(named[2] or "data/"))
            names += bytes.fromhex(named[3])
        else:
            codes.append(0)
            escaped.append(key)
    return bytes(codes), bytes(names), escaped


def _etag_columns(etags: Sequence[str]) -> tuple[bytes, bytes, Sequence[str]]:
    """For each whether it is an MD5, those that are, and the others."""
    if {*map(len, etags)} == {32} and (md5s := from_hex("".join(etags))):
        return b"\1" * len(etags), md5s, ()
    codes = bytes(_MD5.fullmatch(etag) is not None for etag in etags)
    md5s = bytes.fromhex("".join(compress(etags, codes)))
    return codes, md5s, [etag for etag, is_md5 in zip(etags, codes, strict=True) if not is_md5]


def _text_columns(texts: Sequence[str]) -> tuple[bytes, bytes]:
    """The length of each in bytes, and all of them."""
    return _integers("I", _lengths(texts)), "".join(texts).encode()


def _lengths(texts: Sequence[str]) -> Iterator[int]:
    return map(len, texts if "".join(texts).isascii() else map(str.encode, texts))


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


class _Unpacked:
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


def _decode(chunk: bytes, forms: Collection[int], make: Callable[[_Unpacked], Made]) -> Made:
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
        return make(_Unpacked(_unpacked(frame, header["bytes"]), header))
    except (zstandard.ZstdError, ValueError, LookupError, TypeError, OverflowError, OSError, StopIteration) as error:
        # OSError: a time that no clock can show.
        raise UnreadableDocument(f"a chunk of the ledger is damaged: {error}") from error


def _unpacked(frame: bytes, size: int) -> bytes:
    # Before a byte is decompressed: a damaged frame may announce any size.
    if size > COLUMN_BYTES or zstandard.frame_content_size(frame) != size:
        raise ValueError("its columns have another size than its header says")
    return zstandard.ZstdDecompressor().decompress(frame)


def _keys(columns: _Unpacked) -> tuple[list[ObjectKey], bytes]:
    """The first columns: every key, and for each whether it is removed."""
    codes = columns.take(columns.entries)
    removed = bytes(columns.entries)
    if columns.form == DELTA_FORMAT:
        removed = bytes(code & _REMOVED for code in codes)
        codes = codes.translate(_FOLDER_OF)
    if codes and max(codes) >= len(_FOLDERS):
        raise ValueError("a key has an unknown code")
    escapes = codes.count(0)
    names = columns.rows(columns.entries - escapes, 32)
    digits = _pieces(names.hex(), 64)
    escaped = _texts(columns, escapes)
    if codes.count(_PACK) == columns.entries:
        # Nearly all chunks of a large repository.
        keys = list(map(add, map(_PACK_HEADS.__getitem__, names[::32]), digits))
    else:
        names_left, others = iter(digits), iter(escaped)
        keys = [next(others) if code == 0 else _named(code, next(names_left)) for code in codes]
    # Not wrapped one by one: there are millions of them.
    return cast("list[ObjectKey]", keys), removed


def _named(code: int, digits: str) -> str:
    return f"data/{digits[:2]}/{digits}" if code == _PACK else _FOLDERS[code] + digits


def _version_ids(columns: _Unpacked, count: int) -> list[VersionId]:
    return cast("list[VersionId]", _texts(columns, count))


def _entries(columns: _Unpacked, keys: list[ObjectKey]) -> Columns:
    """The entries of `keys`: all columns to the end."""
    count = len(keys)
    version_ids = _version_ids(columns, count)
    sizes = columns.integers("Q", count).tolist()
    times = columns.integers("Q", count).tolist()
    etag_codes = columns.take(count)
    etags = _pieces(columns.take(16 * etag_codes.count(1)).hex(), 32)
    others = _texts(columns, etag_codes.count(0))
    if len(etags) < count:
        md5s_left, others_left = iter(etags), iter(others)
        etags = [next(md5s_left if code == 1 else others_left) for code in etag_codes]
    classes = list(map(columns.classes.__getitem__, columns.integers("H", count)))
    columns.end()
    # Raises what `entries` would raise for a time that no clock can show.
    datetime.fromtimestamp(max(times, default=0), UTC)
    return Columns(keys, version_ids, sizes, times, etags, classes)


def _texts(columns: _Unpacked, count: int) -> list[str]:
    lengths = columns.integers("I", count)
    column = columns.take(sum(lengths))
    if count and lengths.count(width := lengths[0]) == count and width and column.isascii():
        return _pieces(column.decode(), width)
    return [column[end - length : end].decode() for length, end in zip(lengths, accumulate(lengths), strict=True)]


def _pieces(text: str, width: int) -> list[str]:
    """`text`, cut into texts of `width` letters."""
    return re.findall(f"(?s).{{{width}}}", text)
