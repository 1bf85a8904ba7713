"""A state as others keep it: one JSON document of all entries, compressed with gzip, in pieces that an item holds."""

import gzip
import json
from collections.abc import Iterable
from typing import Any

from functions.domain.values import ObjectVersion

PIECE = 390_000


def written(versions: Iterable[ObjectVersion]) -> list[bytes]:
    entries = [
        {
            "Key": each.key,
            "VersionId": each.version_id,
            "Size": each.size,
            "LastModified": each.last_modified.isoformat(),
            "ETag": each.etag,
            "StorageClass": each.storage_class,
        }
        for each in versions
    ]
    packed = gzip.compress(json.dumps(entries).encode())
    return [packed[start : start + PIECE] for start in range(0, len(packed), PIECE)]


def read(pieces: Iterable[bytes]) -> Any:
    return json.loads(gzip.decompress(b"".join(pieces)))
