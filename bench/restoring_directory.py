"""Restoring a state into a directory: RWM beside s3-pit-restore and rclone, all as whole processes.

What lies in a directory at the end, `diff -r` compares with what was backed up.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.apply import Run
from bench.part import CannotMeasure
from bench.processes import measured
from bench.raw import versions_here
from bench.record_once import FolderChunks, keep_headers
from bench.restoring_copy import RCLONE, ROOT, at, at_once, python, remote
from bench.restoring_source import Recorded
from functions.domain.restore.directory import FOLDERS

PIT = os.path.relpath(ROOT / "bench" / ".venv" / "bin" / "s3-pit-restore", ROOT)
PIT_VERSION = "0.9"
"""As bench/requirements.in pins it: the program does not tell."""
THREADS = 16
"""Downloads at once, of each. It is what RWM does as it comes."""


def downloaded(subject: str, recorded: Recorded, folder: Path, environment: Mapping[str, str]) -> Run:
    """The state, in `folder`, which is made, by `subject`."""
    where = os.path.relpath(folder, ROOT)
    if subject == "rwm":
        ledger = ledger_beside(recorded, folder)
        command = python("bench.restoring_once", ledger, recorded.bucket, where, str(THREADS))
    elif subject == "rclone":
        command = (RCLONE, "copy", *at_once(THREADS), at(recorded), where)
    else:
        until = f"{recorded.header.cut_time:%Y-%m-%dT%H:%M:%SZ}"
        command = (PIT, "-b", recorded.bucket, "-d", where, "-t", until, "--max-workers", str(THREADS))
    run = measured(command, ROOT, {**environment, **remote(environment)})
    return Run(command, run.seconds, run.cpu_seconds, run.max_rss, json.loads(run.output) if subject == "rwm" else {})


def ledger_beside(recorded: Recorded, folder: Path) -> str:
    """Where the state's header and chunks are put down, for a process that reads them."""
    place = folder.with_name("ledger")
    chunks = FolderChunks(place)
    for name, chunk in recorded.ledger.chunks.items():
        chunks[name] = chunk
    keep_headers(place, [recorded.header])
    return os.path.relpath(place, ROOT)


def check(folder: Path, truth: Path) -> None:
    """Raises CannotMeasure unless there are exactly the files of `truth`, byte by byte."""
    for name in FOLDERS:
        with suppress(OSError):
            (folder / name).rmdir()  # RWM makes all of restic's folders; an empty one is no file
    # --brief: of other bytes it would print these, and they are no text.
    done = subprocess.run(["diff", "-r", "--brief", truth, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMeasure(f"{folder.name} is not what was backed up; it was not measured. {done.stdout[-500:]}")


def versions() -> Mapping[str, str]:
    """Of what takes part. Raises CannotMeasure without it."""
    if not (ROOT / PIT).exists():
        raise CannotMeasure("s3-pit-restore is not there; nothing was measured. `local/setup bench` installs it.")
    return {"s3-pit-restore": PIT_VERSION, **versions_here("boto3")}
