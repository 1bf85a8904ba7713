"""`python -m bench.check_once FOLDER LEVEL`: RWM's check of a repository in a folder, as one whole process.

`check_structure` runs as it is; only the bytes come from files instead of S3. Prints what it found and what
memory it took from the first index on: before that, deriving the key takes its 32 MiB whatever is checked.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from functions.domain.structure.check import check_structure
from functions.domain.structure.report import Level
from functions.domain.values import ObjectKey, ObjectVersion, VersionId

_THREADS = 4
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class FolderReader:
    """RangedReader over files. Notes the memory held when the first index is read, and lets the peak begin there."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.before: int | None = None

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:  # noqa: ARG002
        if self.before is None and key.startswith("index/"):
            self.before = _memory("VmRSS")
            if _CLEAR.exists():
                _CLEAR.write_text("5")
        file = os.open(f"{self._root}/{key}", os.O_RDONLY)
        try:
            return os.pread(file, length, offset)
        finally:
            os.close(file)


def main(folder: str, level: str) -> int:
    reader = FolderReader(folder)
    started = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as executor:
        report = check_structure(_entries(folder), reader, os.environ["RESTIC_PASSWORD"], executor, level=Level(level))
    seconds = time.perf_counter() - started
    peak = _memory("VmHWM")
    found = {"complete": report.complete, "blobs": report.trees + report.blobs, "verified": report.verified_blobs}
    print(json.dumps({**found, "call_seconds": seconds, "memory_before": reader.before, "memory_peak": peak}))
    return 0 if report.complete else 1


def _entries(folder: str) -> list[ObjectVersion]:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        ObjectVersion(
            key=ObjectKey(os.path.relpath(path, folder)),
            version_id=VersionId("in a folder"),
            size=path.stat().st_size,
            last_modified=long_ago,
            etag="none",
            storage_class="STANDARD",
        )
        for path in Path(folder).rglob("*")
        if path.is_file() and path.parent.name != "locks"
    ]


def _memory(name: str) -> int | None:
    """Bytes, as Linux counts them; None elsewhere."""
    if not _STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
