"""`python -m tests.cli.download_child ENDPOINT ENTRIES DIRECTORY RATE`: a restore to a directory, in a process to kill.

The command's own code, from the reading of the ledger to the report; ENTRIES is a file with the state's entries, of
which it writes a ledger in memory. It says when it is ready to begin, and its outcome.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
from botocore.config import Config

from cli.deployment import Deployment
from cli.directory_hold import DirectoryHold
from cli.downloading import Download, restore
from cli.fetching import Progress
from cli.restore_options import Asked
from functions.domain.names import Names
from functions.domain.repositories import Repository
from functions.domain.restore.request import RestoreRequest
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from tests.builders import NOON
from tests.fakes.ledger import FakeLedger
from tests.strands import write

BUCKET = "alpha-bucket"
THREADS = 4


class Silent:
    """A watcher who says nothing."""

    def announce(self, asked: Asked, hold: DirectoryHold | None) -> None:
        print("ready", flush=True)  # noqa: T201 - whoever kills it waits for this

    def watch(self, steps: Iterator[Progress]) -> None:
        for _ in steps:
            pass


def save(entries: list[ObjectVersion], file: Path) -> None:
    file.write_text(json.dumps([(each.key, each.version_id, each.size) for each in entries]))


def near(endpoint: str, ledger: FakeLedger, access_key: str, secret_key: str) -> Deployment:
    """A deployment of a ledger in memory and a bucket behind an endpoint; no check of content saw anything."""
    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name="us-east-1")

    def s3_over(connections: int) -> Any:
        config = Config(proxies={}, s3={"addressing_style": "path"}, max_pool_connections=connections)
        return session.client("s3", endpoint_url=endpoint, config=config)

    nothing = SimpleNamespace(get_item=lambda **_: {})
    aws = SimpleNamespace(session=session, profile="default", s3_over=s3_over, dynamodb=nothing)
    return cast("Deployment", SimpleNamespace(names=Names(), ledger=ledger, aws=aws))


def download(
    deployment: Deployment, header: StateHeader, bucket: str, directory: Path, limit_rate: str | None = None
) -> Download:
    """What the command does, without telling any workflow."""
    request = RestoreRequest(repository="alpha", state=header.id, to="directory")
    asked = Asked(Repository(name="alpha", bucket=bucket), header, request, directory, limit_rate)
    return restore(deployment, asked, Silent(), with_hold=False, threads=THREADS)


def main(endpoint: str, entries: str, directory: str, rate: str) -> int:
    ledger = FakeLedger()
    listed = json.loads(Path(entries).read_text())
    header = write(
        ledger,
        [ObjectVersion(ObjectKey(key), VersionId(name), size, NOON, "", "STANDARD") for key, name, size in listed],
    )
    done = download(near(endpoint, ledger, "owner", "any"), header, BUCKET, Path(directory), rate or None)
    print(done.outcome, done.downloaded, done.skipped, flush=True)  # noqa: T201
    return int(done.exit_code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
