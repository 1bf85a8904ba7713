"""S3's checksums, as a digest that proves a name, or nothing."""

import base64
import binascii

from functions.domain.values import Digest


def whole_sha256(checksum: str | None, kind: str | None) -> Digest | None:
    """A full object's SHA-256. A multipart object's is a hash of hashes (`…-3`, COMPOSITE), which proves no name."""
    if checksum is None or kind == "COMPOSITE":
        return None
    try:
        raw = base64.b64decode(checksum, validate=True)
    except binascii.Error:
        return None
    return Digest(raw.hex()) if len(raw) == 32 else None
