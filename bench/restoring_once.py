"""`python -m bench.restoring_once LEDGER BUCKET DIRECTORY THREADS`: `rwm restore --to-directory`, as one whole process.

The state is the newest one in LEDGER, which lies in a folder. The command's own code reads and proves it, and restores
it, with its own adapters on S3 and the disk. No check of content saw anything before, and no workflow is told.
"""

import json
import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3

from bench.buckets import repository
from bench.ledger import FolderLedger
from cli.deployment import Aws, Deployment
from cli.directory_hold import DirectoryHold
from cli.downloading import restore
from cli.fetching import Progress
from cli.restore_options import Asked
from functions.domain.names import Names
from functions.domain.restore.request import RestoreRequest
from functions.storage.ledger import DynamoLedgerReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class _Nothing:
    """A table in which there is nothing."""

    def get_item(self, **_: object) -> dict[str, Any]:
        return {}


class _Aws(Aws):
    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", _Nothing())


class Near(Deployment):
    """A deployment whose ledger lies in a folder."""

    @cached_property
    def ledger(self) -> DynamoLedgerReader:
        return cast("DynamoLedgerReader", FolderLedger(Path(os.environ["RWM_BENCH_LEDGER"])))


class _Silent:
    """A watcher who says nothing."""

    def announce(self, asked: Asked, hold: DirectoryHold | None) -> None:
        pass

    def watch(self, steps: Iterator[Progress]) -> None:
        for _ in steps:
            pass


def main(ledger: str, bucket: str, directory: str, threads: str) -> int:
    os.environ["RWM_BENCH_LEDGER"] = ledger
    deployment, ours = Near(Names("bench"), _Aws(boto3.Session())), repository(bucket)
    header = next(deployment.ledger.headers(ours.repository))
    request = RestoreRequest(repository=ours.name, state=header.id, to="directory")
    asked = Asked(ours, header, request, Path(directory))
    done = restore(deployment, asked, _Silent(), with_hold=False, threads=int(threads))
    print(json.dumps({"outcome": done.outcome, "proven": done.proven, "downloaded": done.downloaded}))
    return int(done.exit_code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
