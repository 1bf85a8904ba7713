"""The real restic binary, run against an S3 endpoint that a test started."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BINARY = shutil.which("restic")
MISSING = "there is no restic on PATH; `apt-get install restic` brings it"


@dataclass(frozen=True, slots=True)
class Restic:
    """One repository, opened with one principal's key."""

    endpoint: str
    path: str
    """The bucket, and the prefix if there is one: `bucket/prefix`."""
    access_key: str
    secret_key: str
    cache: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run restic and return what it said. Raises AssertionError with its words when it fails."""
        assert BINARY is not None, MISSING
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.cache),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "RESTIC_PASSWORD": "a test's password",
            "RESTIC_CACHE_DIR": str(self.cache / "restic"),
            "RESTIC_REPOSITORY": f"s3:{self.endpoint}/{self.path}",
        }
        done = subprocess.run(
            [BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"restic {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def snapshots(self) -> list[dict[str, Any]]:
        """What `restic snapshots` lists, oldest first."""
        listed: list[dict[str, Any]] = json.loads(self.run("snapshots", "--json", "--no-lock").stdout)
        return listed
