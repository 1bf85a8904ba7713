"""`python -m bench.write_once FOLDER SIZE`: the states before and after a backup, and what writing them costs.

`record` runs with its own adapters on DynamoDB's tables as moto keeps them; only the listing is made up. What each
recording writes and reads is counted from its requests. Both states are then put into FOLDER, for others to read.
Prints what was counted, beside what others would write for the same change.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

from bench.ledger import FolderLedger
from bench.peers import item_per_object, json_gzip
from bench.record_once import REPOSITORY, FolderChunks, keep_headers
from bench.synthetic import Synthetic
from bench.wru import Counted, item_bytes, write_units
from functions.domain.checking import VerdictPorts
from functions.domain.columns import Columns
from functions.domain.content.known import Memory
from functions.domain.ledger import read_state
from functions.domain.recording import Recorded, Wish
from functions.domain.restic import FileType
from functions.domain.state import Cause, Head, StateHeader
from functions.domain.values import Listing, Versioning, VersioningSeen
from functions.record.record import RecordPorts, record
from functions.storage.content import DynamoVerifiedSets
from functions.storage.ledger import DynamoLedgerReader, DynamoRecordingLedger
from functions.storage.operations import DynamoFindingLog
from functions.storage.plans import DynamoApprovals
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader
from tests.fakes.operations import FakeNotifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEDGER, OPERATIONS = "ledger", "operations"


@dataclass
class Bucket:
    """BucketConfiguration and VersionLister of a made-up bucket."""

    synthetic: Synthetic
    at: datetime

    def now(self) -> datetime:
        return self.at

    def versioning(self) -> VersioningSeen:
        return VersioningSeen(Versioning.ENABLED, self.at)

    def object_lock(self) -> bool:
        return True

    def pause(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Iterator[Columns]:  # noqa: ARG002
        return self.synthetic.blocks()

    def versions(self) -> Listing:
        return (entry for block in self.blocks() for entry in block.entries())


class Anchors:
    """HeadAnchor that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def anchor(self, head: Head) -> None:  # noqa: ARG002
        self.count += 1


def recorded(synthetic: Synthetic, at: datetime, dynamodb: "DynamoDBClient", anchors: Anchors) -> StateHeader:
    """The state at that instant, in the tables."""
    bucket, ledger = Bucket(synthetic, at), DynamoRecordingLedger(dynamodb, LEDGER)
    ports = RecordPorts(
        bucket=bucket,
        lister=bucket,
        ledger=ledger,
        anchor=anchors,
        findings=DynamoFindingLog(dynamodb, OPERATIONS),
        memory=Memory(DynamoVerifiedSets(dynamodb, OPERATIONS), ledger),
        approvals=DynamoApprovals(dynamodb, OPERATIONS),
        verdict=VerdictPorts(
            verdicts=DynamoVerdictReader(dynamodb, OPERATIONS),
            acknowledgements=DynamoAcknowledgements(dynamodb, OPERATIONS),
            notifier=FakeNotifier(),
            log=DynamoVerdictLog(dynamodb, OPERATIONS),
        ),
        pause=bucket.pause,
    )
    outcome = record(REPOSITORY, Wish(cause=Cause(reason="event", sent=at), sent=at), ports)
    if not isinstance(outcome, Recorded):
        raise SystemExit(f"it recorded nothing: {outcome}")
    return outcome.header


def counted(synthetic: Synthetic, folder: Path) -> dict[str, Any]:
    """What recordings wrote and read, by kind: the state before the backup, which is a base; after it, a delta; and
    once more when nothing has changed. The first two are kept in `folder`."""
    anchors = Anchors()
    with mock_aws():
        client, plain = _client(), _client()
        for name in (LEDGER, OPERATIONS):
            plain.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
                BillingMode="PAY_PER_REQUEST",
            )
        counts, headers = Counted(client, plain), list[StateHeader]()
        found: dict[str, Any] = {}
        for at in (synthetic.before, synthetic.after, synthetic.after + timedelta(hours=6)):
            counts.clear()
            anchors.count = 0
            header = recorded(synthetic, at, client, anchors)
            headers.append(header)
            found[header.kind] = {
                "objects": header.objects,
                "write_units": dict(counts.write),
                "read_units": dict(counts.read),
                "requests": {**counts.requests, "PutObject": anchors.count},
            }
        stored = DynamoLedgerReader(plain, LEDGER)
        for header in headers[:2]:
            found[header.kind]["chunk_bytes"] = _copy(stored, header, FolderChunks(folder))
    keep_headers(folder, headers[:2])
    return found


def others(synthetic: Synthetic, folder: Path) -> dict[str, Any]:
    """Write units for the state after the backup, the last one in `folder`, as others keep it."""
    ledger = FolderLedger(folder)
    after = read_state(ledger, next(ledger.headers(REPOSITORY.repository)))
    pieces = json_gzip.written(after)
    new = int(synthetic.before.timestamp())
    added = [version for version in after if version.last_modified.timestamp() > new]
    return {
        "added": len(added),
        "json_gzip_bytes": sum(map(len, pieces)),
        "json_gzip_write_units": write_units(map(len, pieces)),
        "item_per_object_write_units": write_units(
            item_bytes(item_per_object.item(REPOSITORY.name, version)) for version in added
        ),
    }


def _copy(stored: DynamoLedgerReader, header: StateHeader, chunks: FolderChunks) -> int:
    size = 0
    for number in range(header.chunks.count):
        chunk = stored.chunk(header.chunks.attempt, number)
        if chunk is None:
            raise SystemExit(f"chunk {number} of state {header.generation} was not written")
        chunks[header.chunks.attempt, number] = chunk
        size += len(chunk)
    return size


def _client() -> "DynamoDBClient":
    return boto3.client("dynamodb", "us-east-1", aws_access_key_id="bench", aws_secret_access_key="bench")


def main(folder: str, size: str) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    synthetic = Synthetic(int(size))
    print(json.dumps({"recorded": counted(synthetic, Path(folder)), "others": others(synthetic, Path(folder))}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
