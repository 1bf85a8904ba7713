"""What is current under a key in one moment."""

from dataclasses import dataclass

from functions.domain.values import Digest, VersionId


@dataclass(frozen=True, slots=True)
class Current:
    """The version that a reader without a version id would get."""

    version_id: VersionId | None
    """None: there is none. The key is hidden, or was never written."""
    size: int = 0
    """Bytes."""
    sha256: Digest | None = None
    """Of all its bytes, where S3 keeps it."""


NOTHING = Current(None)
