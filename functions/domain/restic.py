"""restic's repository layout: what a key is, and which bytes its name promises.

Source: restic's `internal/backend/layout` and doc/design.rst. Every file but `config` is named by the
SHA-256 of its stored bytes; lock files come and go and are never part of a state.
"""

import re
from enum import StrEnum

from functions.domain.values import Digest, ObjectKey


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
