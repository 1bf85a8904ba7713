"""`python -m bench.apply_child FOLDER BUCKET RECORDS`: a child of the Distributed Map, as Lambda keeps it warm.

Applies the batch of each request that it is given, with the step's own code and its own adapters on S3. The tables are
in memory, and each read takes as long as one of DynamoDB.
"""

import json
import os
import sys
import time
from pathlib import Path

from bench.buckets import client, repository
from bench.ledger import FolderLedger
from bench.operations import Operations
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.values import AttemptId
from functions.prune.apply import ApplyPorts, ApplyRequest, apply_batch
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.deleter import S3PendingUploads, S3VersionDeleter
from functions.storage.listing import S3KeyHistories
from functions.storage.records import S3RecordReader, S3RecordWriter

LEDGER, SHELVED = "ledger", "shelved.json"
"""In the folder."""
READ_SECONDS = 0.005


class _FarLedger(FolderLedger):
    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        time.sleep(READ_SECONDS)
        return super().chunk(attempt, number)


def main(folder: str, bucket: str, records: str) -> int:
    ports = _ports(Path(folder), bucket, records)
    print("ready", flush=True)
    for line in sys.stdin:
        applied = apply_batch(ApplyRequest.model_validate_json(line), repository(bucket), ports)
        result = applied.result
        said = {"deleted": applied.deleted, "waiting": result.waiting, "failed": result.failed}
        print(json.dumps(said), flush=True)
    return 0


def _ports(folder: Path, bucket: str, records: str) -> ApplyPorts:
    s3 = client(os.environ)
    ledger = _FarLedger(folder / LEDGER)
    operations = Operations(ledger.headers(repository(bucket).repository), READ_SECONDS)
    operations.shelf.put(ShelvedPlan.parse((folder / SHELVED).read_bytes()))
    return ApplyPorts(
        configuration=S3BucketConfiguration(s3, bucket),
        histories=S3KeyHistories(s3, bucket, ""),
        uploads=S3PendingUploads(s3, bucket, ""),
        deleter=S3VersionDeleter(s3, bucket, ""),
        ledger=ledger,
        proofs={},
        verdicts=operations.verdicts,
        shelf=operations.shelf,
        approvals=operations.approvals,
        lease=operations.lease,
        holds=operations.holds,
        stored=S3RecordReader(s3, records),
        records=S3RecordWriter(s3, records),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
