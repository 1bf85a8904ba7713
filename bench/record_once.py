"""`python -P bench/record_once.py FOLDER BUCKET AT [AT...]`: one recording after the other, as one whole process.

`record` runs as it is, with boto3, on the bucket of that name of the canned S3, at each instant AT of that bucket's
clock. The tables are in memory, but for the chunks and the headers, which lie in FOLDER: what an earlier process
recorded there is the past. Prints what it recorded and what that took, one line of JSON each.

A script that needs `functions` and `tests` and nothing else of the bench: it also measures other versions of them.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from functions.domain.checking import VerdictPorts
from functions.domain.content.known import Memory
from functions.domain.recording import Outcome, Recorded, Wish
from functions.domain.repositories import Repository
from functions.domain.state import Cause, Head, StateHeader
from functions.domain.values import AttemptId, VersioningSeen
from functions.record.record import RecordPorts, record
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.records import S3HeadAnchor
from tests.fakes.content import FakeVerifiedSets
from tests.fakes.ledger import FakeFindingLog, FakeLedger
from tests.fakes.operations import FakeAcknowledgements, FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals

try:
    from functions.storage.listing import S3VersionLister
except ImportError:  # where it was until issue 5
    from functions.storage.bucket import S3VersionLister  # type: ignore[attr-defined, no-redef]

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REPOSITORY = Repository.model_validate({"name": "bench", "bucket": "bench-bucket", "host_may_hide": True})
"""restic prune runs with another key than the host's: hidden packs are no finding."""
_HEADERS = "headers.jsonl"


class FolderChunks(MutableMapping[tuple[AttemptId, int], bytes]):
    """Chunks as files, in the layout that `bench.ledger.FolderLedger` reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: tuple[AttemptId, int]) -> Path:
        return self._folder / name[0] / f"{name[1]}"

    def __getitem__(self, name: tuple[AttemptId, int]) -> bytes:
        if not self._path(name).exists():
            raise KeyError(name)
        return self._path(name).read_bytes()

    def __setitem__(self, name: tuple[AttemptId, int], chunk: bytes) -> None:
        self._path(name).parent.mkdir(parents=True, exist_ok=True)
        self._path(name).write_bytes(chunk)

    def __delitem__(self, name: tuple[AttemptId, int]) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[tuple[AttemptId, int]]:
        for path in self._folder.glob("*/*"):
            yield AttemptId(path.parent.name), int(path.name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def reopened(folder: Path) -> FakeLedger:
    """The ledger of which the chunks and the headers lie in `folder`."""
    ledger = FakeLedger()
    ledger.chunks = FolderChunks(folder)  # type: ignore[assignment]
    path = folder / _HEADERS
    for line in path.read_bytes().splitlines() if path.exists() else ():
        header = StateHeader.parse(line)
        ledger.stored_headers[header.repository, header.generation] = (header.id, line)
        ledger.heads[header.repository] = Head.of(header).canonical()
    return ledger


def keep_headers(folder: Path, headers: Iterable[StateHeader]) -> None:
    """All of them, in the order of the chain."""
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{_HEADERS}.new"
    written.write_bytes(b"".join(header.canonical() + b"\n" for header in headers))
    written.replace(folder / _HEADERS)  # others may have links to the old one


class BucketThen:
    """BucketConfiguration at an instant of the bench, whatever the time of day is now."""

    def __init__(self, bucket: S3BucketConfiguration, at: datetime) -> None:
        self._bucket = bucket
        self._at = at

    def now(self) -> datetime:
        return self.versioning().at

    def versioning(self) -> VersioningSeen:
        return VersioningSeen(self._bucket.versioning().status, self._at)

    def object_lock(self) -> bool:
        return self._bucket.object_lock()

    def pause(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)


def _ports(s3: "S3Client", bucket: str, at: datetime, ledger: FakeLedger) -> RecordPorts:
    then = BucketThen(S3BucketConfiguration(s3, bucket), at)
    verdicts = FakeVerdicts()
    return RecordPorts(
        bucket=then,
        lister=S3VersionLister(s3, bucket, ""),
        ledger=ledger,
        anchor=S3HeadAnchor(s3, "records"),
        findings=FakeFindingLog(),
        memory=Memory(FakeVerifiedSets(), ledger),
        approvals=FakeApprovals(),
        verdict=VerdictPorts(verdicts, FakeAcknowledgements(), FakeNotifier(), verdicts),
        pause=then.pause,
    )


def _said(outcome: Outcome, ledger: FakeLedger, requests: Counter[str]) -> dict[str, Any]:
    if not isinstance(outcome, Recorded):
        raise SystemExit(f"it recorded nothing: {outcome}")
    header = outcome.header
    sizes = [len(ledger.chunks[header.chunks.attempt, number]) for number in range(header.chunks.count)]
    return {
        "kind": header.kind,
        "objects": header.objects,
        "chunks": len(sizes),
        "chunk_bytes": sum(sizes),
        "outcome": outcome.verdict.outcome,
        "requests": dict(requests),
    }


def main(folder: str, bucket: str, *instants: str) -> int:
    place = Path(folder)
    ledger = reopened(place)
    s3 = boto3.client("s3", config=CLIENT)
    requests: Counter[str] = Counter()
    s3.meta.events.register("before-send.s3", lambda event_name, **_: requests.update([event_name.split(".")[-1]]))
    for instant in map(datetime.fromisoformat, instants):
        requests.clear()
        wish = Wish(cause=Cause(reason="event", sent=instant), sent=instant)
        ports = _ports(s3, bucket, instant, ledger)
        started, cpu = time.perf_counter(), time.process_time()
        outcome = record(REPOSITORY, wish, ports)
        taken = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps({**_said(outcome, ledger, requests), **taken}), flush=True)
    keep_headers(place, (StateHeader.parse(line) for _, (_, line) in sorted(ledger.stored_headers.items())))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    sys.exit(main(*sys.argv[1:]))
