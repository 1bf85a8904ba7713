"""restic's repository layout: what a key is, and which bytes its name promises.

Source: restic's `internal/backend/layout` and doc/design.rst. Every file but `config` is named by the
SHA-256 of its stored bytes; lock files come and go and are never part of a state.
"""

import re
from array import array
from collections.abc import Sequence
from enum import StrEnum

from functions.domain.values import Digest, ObjectKey, from_hex

SMALLEST = 32
"""Bytes of a file: what restic encrypts has an IV of 16 and a MAC of 16, and a key file's JSON is longer still."""


class FileType(StrEnum):
    """restic's own words for what a repository holds, and ALIEN for what it does not."""

    CONFIG = "config"
    KEY = "key"
    LOCK = "lock"
    SNAPSHOT = "snapshot"
    INDEX = "index"
    PACK = "pack"
    ALIEN = "alien"


_FOLDERS = {
    "keys": FileType.KEY,
    "locks": FileType.LOCK,
    "snapshots": FileType.SNAPSHOT,
    "index": FileType.INDEX,
}
_FLAT = re.compile(r"(keys|locks|snapshots|index)/([0-9a-f]{64})")
_PACK = re.compile(r"data/([0-9a-f]{2})/(\1[0-9a-f]{62})")


def file_type(key: ObjectKey) -> FileType:
    """What `key` is by its name alone."""
    if key == "config":
        return FileType.CONFIG
    if _PACK.fullmatch(key):
        return FileType.PACK
    if named := _FLAT.fullmatch(key):
        return _FOLDERS[named[1]]
    return FileType.ALIEN


def is_under_locks(key: ObjectKey) -> bool:
    """Whether `key` lies where lock files do, well named or not: a host may delete there."""
    return key.startswith("locks/")


def promised_sha256(key: ObjectKey) -> Digest | None:
    """The SHA-256 that restic promises for the bytes of `key` by naming it so; None where it promises none."""
    if (named := _PACK.fullmatch(key) or _FLAT.fullmatch(key)) is None:
        return None
    return Digest(named[2])


_PACK_WIDTH, _HEAD, _NAME = 72, 8, 64
"""`data/xx/` and a name of 64 hex digits that begins with xx."""


def digests_of_packs(keys: Sequence[ObjectKey]) -> bytes | None:
    """The SHA-256 that each name promises, 32 bytes each, one after another; None unless every key is a pack's
    and there is one.

    The same as `promised_sha256` of each, for the long runs of packs that a repository consists of.
    """
    # Without this, keys of other lengths could follow one another so that all looks well.
    if {*map(len, keys)} != {_PACK_WIDTH}:
        return None
    text = "".join(keys)
    if not text.isascii():
        return None
    rows = array("Q", text.encode())
    heads = rows[:: _PACK_WIDTH // _HEAD].tobytes()
    del rows[:: _PACK_WIDTH // _HEAD]
    names = rows.tobytes()
    expected = bytearray(b"data/--/" * len(keys))
    expected[5::_HEAD], expected[6::_HEAD] = names[0::_NAME], names[1::_NAME]
    if heads != expected:
        return None
    return from_hex(names.decode())
