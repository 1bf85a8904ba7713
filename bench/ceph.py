"""A Ceph gateway of the bench's own, that keeps its objects on disk: started by the tests' scripts, stopped at the end.

In memory, as the tests run it, a call that deletes a thousand versions keeps both cores of a small machine busy by
itself, and there is nothing for several to gain. No server in earnest holds backups in memory.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.part import Skipped

ROOT = Path(__file__).parents[1]
_SCRIPTS = ROOT / "tests" / "ceph"
_NOT_INSTALLED = 77


@contextmanager
def ceph(folder: Path) -> Iterator[Mapping[str, str]]:
    """Environment variables with which boto3 finds the gateway. Raises Skipped where Ceph cannot be had."""
    environment = os.environ | {"RWM_CEPH_DIR": str(folder), "RWM_CEPH_STORE": "bluestore"}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # A gateway that was killed with its bench may still run, with its buckets.
        subprocess.run([_SCRIPTS / "down.sh"], env=environment, check=True)
        done = subprocess.run(
            [_SCRIPTS / "up.sh"], env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode == _NOT_INSTALLED:
            raise Skipped(done.stdout.strip())
        if done.returncode != 0:
            raise Skipped(f"Ceph did not start: {(done.stdout + done.stderr).strip()[-500:]}")
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        yield {
            "AWS_ENDPOINT_URL_S3": found["endpoint"],
            "AWS_ACCESS_KEY_ID": found["admin_access_key"],
            "AWS_SECRET_ACCESS_KEY": found["admin_secret_key"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        subprocess.run([_SCRIPTS / "down.sh"], env=environment, check=True)


def ceph_version() -> str:
    return subprocess.run(["radosgw", "--version"], capture_output=True, text=True, check=True).stdout.strip()
