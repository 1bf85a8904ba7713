"""The digests of a state.

manifest root: over (key, version id, size): *these exact versions*. content root: over (key, size,
SHA-256 where the name promises one): *this content*, so a repository and its restored copy have the
same. attributes root: over (last modified, ETag, storage class): what S3 said of these versions when they
were first recorded. All run over the entries in key order.

Every field is preceded by its length and every digest by its own name, so that no two different
sequences of entries feed the hash the same bytes (the prefixes that sigstore's `merkle.py` uses to keep
leaves and nodes apart serve the same end). The attributes are fed as JSON, which says itself where a text ends.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import islice

from functions.domain.restic import promised_sha256
from functions.domain.values import Digest, ObjectKey, ObjectVersion

_MANIFEST = b"rwm manifest root 1\0"
_CONTENT = b"rwm content root 1\0"
_ATTRIBUTES = b"rwm attributes root 1\0"
_BLOCK = 1024
"""Entries in one piece of JSON: a part of what the attributes root is."""


def manifest_root(versions: Iterable[ObjectVersion]) -> Digest:
    """The digest of exactly these versions; `versions` in key order."""
    hasher = hashlib.sha256(_MANIFEST)
    update = hasher.update
    for version in versions:
        update(_field(version.key.encode()))
        update(_field(version.version_id.encode()))
        update(version.size.to_bytes(8, "big"))
    return Digest(hasher.hexdigest())


def content_root(content: Iterable[tuple[ObjectKey, int]]) -> Digest:
    """The digest of (key, size, promised SHA-256); `content` is (key, size in bytes) in key order."""
    hasher = hashlib.sha256(_CONTENT)
    for key, size in content:
        hasher.update(_field(key.encode()))
        hasher.update(size.to_bytes(8, "big"))
        hasher.update(bytes.fromhex(promised_sha256(key) or ""))
    return Digest(hasher.hexdigest())


def content_of(versions: Iterable[ObjectVersion]) -> Iterable[tuple[ObjectKey, int]]:
    """What `content_root` reads of listed versions."""
    return ((version.key, version.size) for version in versions)


def attributes_root(versions: Iterable[ObjectVersion]) -> Digest:
    """The digest of all that the other two do not cover; `versions` in key order."""
    hasher = hashlib.sha256(_ATTRIBUTES)
    remaining = iter(versions)
    while block := list(islice(remaining, _BLOCK)):
        times = [int(each.last_modified.timestamp()) for each in block]
        columns = [times, [each.etag for each in block], [each.storage_class for each in block]]
        hasher.update(json.dumps(columns, separators=(",", ":")).encode())
    return Digest(hasher.hexdigest())


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
