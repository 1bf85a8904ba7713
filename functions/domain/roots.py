"""The digests of a state.

manifest root: over (key, version id, size): *these exact versions*. content root: over (key, size,
SHA-256 where the name promises one): *this content*, so a repository and its restored copy have the
same. attributes root: over (last modified, ETag, storage class): what S3 said of these versions when they
were first recorded. All run over the entries in key order.

Every field is preceded by its length and every digest by its own name, so that no two different
sequences of entries feed the hash the same bytes (the prefixes that sigstore's `merkle.py` uses to keep
leaves and nodes apart serve the same end). The attributes are fed as JSON, which says itself where a text ends.

A root is fed columns, and however they are cut it is the same. Where all keys of a run have one length, and all version
ids, the rows have one width and are laid out together: this is what makes ten million entries a matter of seconds.
"""

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from struct import Struct
from typing import Protocol

from functions.domain.columns import RUN, Columns, in_runs
from functions.domain.restic import digests_of_packs, promised_sha256
from functions.domain.values import Digest, ObjectKey, ObjectVersion

_MANIFEST = b"rwm manifest root 1\0"
_CONTENT = b"rwm content root 1\0"
_ATTRIBUTES = b"rwm attributes root 1\0"
_BLOCK = 1024
"""Entries in one piece of JSON: a part of what the attributes root is."""
_LENGTH = Struct(">I")


class Root(Protocol):
    """A digest over all entries of a state."""

    def update(self, columns: Columns) -> None:
        """The next entries in key order: versions only. Raises OverflowError for a delete marker."""

    def digest(self) -> Digest:
        """Over all entries so far."""


class ManifestRoot:
    """The digest of exactly these versions."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256(_MANIFEST)

    def update(self, columns: Columns) -> None:
        """The next entries in key order."""
        for run in _runs(columns):
            self._hasher.update(_manifest_rows(run))

    def digest(self) -> Digest:
        """Over all entries so far."""
        return Digest(self._hasher.hexdigest())


class ContentRoot:
    """The digest of (key, size, promised SHA-256)."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256(_CONTENT)

    def update(self, columns: Columns) -> None:
        """The next entries in key order."""
        for run in _runs(columns):
            self.feed(run.keys, run.sizes)

    def feed(self, keys: Sequence[ObjectKey], sizes: Sequence[int]) -> None:
        """The same of a short run, by the two columns that count."""
        self._hasher.update(_content_rows(keys, sizes))

    def digest(self) -> Digest:
        """Over all entries so far."""
        return Digest(self._hasher.hexdigest())


class AttributesRoot:
    """The digest of all that the other two do not cover."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256(_ATTRIBUTES)
        self._open = Columns()
        """The last entries, which do not make a block yet."""

    def update(self, columns: Columns) -> None:
        """The next entries in key order."""
        missing = (_BLOCK - len(self._open)) % _BLOCK
        self._open.extend(columns.part(0, missing))
        if len(self._open) == _BLOCK:
            self._hasher.update(_attributes(self._open))
            self._open = Columns()
        whole = missing + max(0, len(columns) - missing) // _BLOCK * _BLOCK
        for start in range(missing, whole, _BLOCK):
            self._hasher.update(_attributes(columns.part(start, start + _BLOCK)))
        self._open.extend(columns.part(whole, len(columns)))

    def digest(self) -> Digest:
        """Over all entries so far."""
        hasher = self._hasher.copy()
        if len(self._open):
            hasher.update(_attributes(self._open))
        return Digest(hasher.hexdigest())


def manifest_root(versions: Iterable[ObjectVersion]) -> Digest:
    """The digest of exactly these versions; `versions` in key order."""
    return _over(versions, ManifestRoot())


def content_root(content: Iterable[tuple[ObjectKey, int]]) -> Digest:
    """The digest of (key, size, promised SHA-256); `content` is (key, size in bytes) in key order."""
    root = ContentRoot()
    remaining = iter(content)
    while run := list(islice(remaining, RUN)):
        root.feed([key for key, _ in run], [size for _, size in run])
    return root.digest()


def content_of(versions: Iterable[ObjectVersion]) -> Iterable[tuple[ObjectKey, int]]:
    """What `content_root` reads of listed versions."""
    return ((version.key, version.size) for version in versions)


def attributes_root(versions: Iterable[ObjectVersion]) -> Digest:
    """The digest of all that the other two do not cover; `versions` in key order."""
    return _over(versions, AttributesRoot())


def _over(versions: Iterable[ObjectVersion], root: Root) -> Digest:
    for run in in_runs(versions):
        root.update(run)
    return root.digest()


def _runs(columns: Columns) -> Iterator[Columns]:
    for start in range(0, len(columns), RUN):
        yield columns.part(start, start + RUN)


def _manifest_rows(run: Columns) -> bytes | bytearray:
    """Of each entry its key and its version id, each after its length, and its size."""
    key_width, id_width = _width(run.keys), _width(run.version_ids)
    if key_width is None or id_width is None:
        rows = zip(*_fields(run.keys), *_fields(run.version_ids), _each_size(run.sizes), strict=True)
        return b"".join(chain.from_iterable(rows))
    after = "\0" * 8 + _length(key_width)
    pieces = ["", _length(id_width), "", after] * len(run)
    pieces[0::4], pieces[2::4] = run.keys, run.version_ids
    # Each piece ends with the length of the next key, so that the last one is left over.
    laid_out = bytearray((_length(key_width) + "".join(pieces)).encode("latin-1")[:-4])
    sized_at = 4 + key_width + 4 + id_width
    _fill(laid_out, sized_at, _sizes(run.sizes), 8, sized_at + 8)
    return laid_out


def _content_rows(keys: Sequence[ObjectKey], sizes: Sequence[int]) -> bytes | bytearray:
    """Of each entry its key after its length, its size, and the promised SHA-256."""
    digests = digests_of_packs(keys)
    if digests is None:
        promised = (bytes.fromhex(promised_sha256(key) or "") for key in keys)
        return b"".join(chain.from_iterable(zip(*_fields(keys), _each_size(sizes), promised, strict=True)))
    width = len(keys[0])
    blank = "\0" * 40
    laid_out = bytearray((_length(width) + (blank + _length(width)).join(keys) + blank).encode("latin-1"))
    _fill(laid_out, 4 + width, _sizes(sizes), 8, 4 + width + 40)
    _fill(laid_out, 4 + width + 8, digests, 32, 4 + width + 40)
    return laid_out


def _attributes(block: Columns) -> bytes:
    return json.dumps([block.times, block.etags, block.classes], separators=(",", ":")).encode()


def _width(texts: Sequence[str]) -> int | None:
    """How many bytes each of them takes, where all take as many as they have letters."""
    widths = {*map(len, texts)}
    return widths.pop() if len(widths) == 1 and "".join(texts).isascii() else None


def _fields(texts: Iterable[str]) -> tuple[Iterable[bytes], Iterable[bytes]]:
    """The length of each, and itself."""
    encoded = [text.encode() for text in texts]
    return map(_LENGTH.pack, map(len, encoded)), encoded


def _length(width: int) -> str:
    return _LENGTH.pack(width).decode("latin-1")


def _each_size(sizes: Iterable[int]) -> Iterator[bytes]:
    column = _sizes(sizes)
    return (column[start : start + 8] for start in range(0, len(column), 8))


def _sizes(sizes: Iterable[int]) -> bytes:
    """One after another, 8 bytes each, the highest first."""
    column = array("Q", sizes)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()


def _fill(rows: bytearray, at: int, column: bytes, width: int, row: int) -> None:
    """Put a column that is `width` bytes wide at its place in each row."""
    for place in range(width):
        rows[at + place :: row] = column[place::width]
