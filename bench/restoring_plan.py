"""Plans of restores into a bucket, by the planning step's own code.

`python -m bench.restoring_plan FOLDER`: plan one of the newest state in FOLDER, which `bench.write_once` left, as one
whole process. The target is empty, and what is written to the records bucket is counted and goes nowhere.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ledger import FolderLedger
from bench.plan_once import Counting
from bench.record_once import REPOSITORY
from functions.domain.ports import LedgerReader, PinnedReader, RecordWriter, TargetLister, TargetReader
from functions.domain.restore.request import Location
from functions.domain.values import ObjectKey, RepositoryName, StateId
from functions.restore.plan import WrittenPlan, plan_restore
from functions.storage.bucket import S3PinnedReader
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.target import S3TargetLister, S3TargetReader

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Empty:
    """TargetLister of a bucket without objects."""

    def objects(
        self,
        first: ObjectKey | None = None,  # noqa: ARG002
        last: ObjectKey | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[ObjectKey, int]]:
        return iter(())


NEVER: Any = None
"""Reads bytes: where the target is empty, there are none to be compared."""


def plan(
    repository: RepositoryName,
    state: StateId,
    source: str,
    target: str,
    *,
    ledger: LedgerReader,
    lister: TargetLister,
    reader: TargetReader,
    pinned: PinnedReader,
    records: RecordWriter,
) -> WrittenPlan:
    """The step, as its handler wires it."""
    return plan_restore(
        repository,
        state,
        source=Location(bucket=source),
        target=Location(bucket=target),
        ledger=ledger,
        lister=lister,
        reader=reader,
        pinned=pinned,
        records=records,
    )


def requests(
    s3: "S3Client",
    repository: RepositoryName,
    state: StateId,
    ledger: LedgerReader,
    buckets: tuple[str, str, str],
    execution: str,
) -> list[str]:
    """Plan a restore of `state` from the first of `buckets` into the second, with its files in the third, and return
    the events that the workflow's map would give to its children."""
    source, target, records = buckets
    written = plan(
        repository,
        state,
        source,
        target,
        ledger=ledger,
        lister=S3TargetLister(s3, target, ""),
        reader=S3TargetReader(s3, target, ""),
        pinned=S3PinnedReader(s3, source, ""),
        records=S3RecordWriter(s3, records),
    )
    manifest = S3RecordReader(s3, records).get(f"restores/{written.plan}/manifest.json", written.manifest_version)
    shared = {"plan": written.plan, "plan_version": written.plan_version, "execution": execution}
    return [json.dumps({**shared, "batch": item}) for item in json.loads(manifest)]


def main(folder: str) -> int:
    ledger, counting = FolderLedger(Path(folder)), Counting()
    newest = next(ledger.headers(REPOSITORY.repository))
    written = plan(
        REPOSITORY.repository,
        newest.id,
        REPOSITORY.bucket,
        "an-empty-target",
        ledger=ledger,
        lister=Empty(),
        reader=NEVER,
        pinned=NEVER,
        records=counting,
    )
    said: dict[str, Any] = {"objects": written.objects, "batches": written.batches}
    print(json.dumps({**said, "files": counting.files, "bytes": counting.size}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
