"""The two digests of a state.

manifest root: over (key, version id, size): *these exact versions*. content root: over (key, size,
SHA-256 where the name promises one): *this content*, so a repository and its restored copy have the
same. Both run over the entries in key order.

Every field is preceded by its length and every digest by its own name, so that no two different
sequences of entries feed the hash the same bytes (the prefixes that sigstore's `merkle.py` uses to keep
leaves and nodes apart serve the same end).
"""

import hashlib
from collections.abc import Iterable

from functions.domain.restic import promised_sha256
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId

_MANIFEST = b"rwm manifest root 1\0"
_CONTENT = b"rwm content root 1\0"


class ManifestRoot:
    """A manifest root in the making, for entries that come in runs."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256(_MANIFEST)

    def update(self, versions: Iterable[ObjectVersion]) -> None:
        """The next ones, in key order."""
        self.update_pins((version.key, version.version_id, version.size) for version in versions)

    def update_pins(self, pins: Iterable[tuple[ObjectKey, VersionId, int]]) -> None:
        """The same, of entries of which nothing else is known: (key, version id, size)."""
        update = self._hasher.update
        for key, version_id, size in pins:
            update(_field(key.encode()))
            update(_field(version_id.encode()))
            update(size.to_bytes(8, "big"))

    @property
    def digest(self) -> Digest:
        return Digest(self._hasher.hexdigest())


def manifest_root(versions: Iterable[ObjectVersion]) -> Digest:
    """The digest of exactly these versions; `versions` in key order."""
    root = ManifestRoot()
    root.update(versions)
    return root.digest


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


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
