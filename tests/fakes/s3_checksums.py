"""The checksums S3 computes over what it stores, by S3's names, as raw bytes.

CRC32C and CRC64NVME have no home in the standard library; their tables are built here from the
polynomials that the S3 user guide ("Checking object integrity") names.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence

COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"


def _table(polynomial: int) -> list[int]:
    """The byte table of a reflected CRC."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ polynomial if crc & 1 else crc >> 1
        table.append(crc)
    return table


def _reflected_crc(polynomial: int, width: int) -> Callable[[bytes], bytes]:
    table, ones = _table(polynomial), (1 << width) - 1

    def checksum(content: bytes) -> bytes:
        crc = ones
        for byte in content:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return (crc ^ ones).to_bytes(width // 8, "big")

    return checksum


def _crc32(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "big")


def _sha1(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


ALGORITHMS: Mapping[str, Callable[[bytes], bytes]] = {
    "CRC32": _crc32,
    "CRC32C": _reflected_crc(0x82F63B78, 32),
    "CRC64NVME": _reflected_crc(0x9A6C9329AC4BC9B5, 64),
    "SHA1": _sha1,
    "SHA256": _sha256,
}


def encoded(algorithm: str, content: bytes) -> str:
    """The checksum of `content` as S3 writes it: base64."""
    return base64.b64encode(ALGORITHMS[algorithm](content)).decode()


def composite(algorithm: str, parts: Sequence[bytes]) -> str:
    """A multipart upload's COMPOSITE checksum: that of the parts' checksums, then `-` and their number."""
    digests = b"".join(ALGORITHMS[algorithm](part) for part in parts)
    return f"{encoded(algorithm, digests)}-{len(parts)}"


def decoded(text: str, length: int) -> bytes | None:
    """The raw bytes of a base64 checksum; None when it is not base64 of `length` bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length else None
