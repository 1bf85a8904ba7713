"""Copying a state into a bucket by version: RWM's map beside a serial copier and rclone, each into a target of its own.

RWM's side is the planning step's own code, and then the copy step's own handler on each batch, in processes of their
own as the Distributed Map runs them, which are kept warm. So is the serial copier, which is told what to copy. rclone
is started each time, and lists by itself. Whether a target is right, rclone decides, by reading it.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.apply import Run
from bench.part import CannotMeasure
from bench.processes import measured
from bench.raw import versions_here
from bench.restoring_plan import requests
from bench.restoring_source import Recorded
from bench.waiting import Waiting
from functions.environment import RESTORE_THREADS as THREADS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[1]
RCLONE = os.path.relpath(ROOT / "bench" / ".venv" / "bin" / "rclone", ROOT)
"""`local/setup bench` installs it, from bench/requirements.txt."""
CHILDREN = 3
"""How many batches are copied at once."""
AT_ONCE = CHILDREN * THREADS
"""Objects that are copied at once, by RWM and by rclone."""
EXECUTION = "bench"


def ours(
    s3: "S3Client", recorded: Recorded, target: str, records: str, environment: Mapping[str, str], sample: int
) -> Run:
    """Plan, with the files in the bucket `records`, and run the map."""
    command, header = python("bench.restoring_child"), recorded.header
    with Waiting(command, CHILDREN, ROOT, {**environment, **_deployed(records)}) as children:
        started = time.perf_counter()
        buckets = (recorded.bucket, target, records)
        events = requests(s3, header.repository, header.id, recorded.ledger, buckets, f"{EXECUTION}-{sample}")
        planned = time.perf_counter() - started
        answers = [json.loads(answer) for answer in children.answers(events)]
        seconds = time.perf_counter() - started
    counts = {name: sum(answer[name] for answer in answers) for name in ("proven", "copied", "skipped")}
    if set(counts.values()) != {header.objects, 0} or counts["skipped"]:
        raise CannotMeasure(f"{header.objects} objects were to be copied and proven, and were not: {answers}")
    how = {"children": CHILDREN, "threads": THREADS, "batches": len(events), "plan_seconds": planned}
    return Run(command, seconds, children.cpu_seconds, children.max_rss, {**counts, **how})


def serial(recorded: Recorded, target: str, environment: Mapping[str, str]) -> Run:
    """The peer of one thread."""
    command = python("bench.peers.serial_copy", recorded.bucket, target)
    versions = json.dumps([(each.key, each.version_id) for each in recorded.versions])
    with Waiting(command, 1, ROOT, environment) as peer:
        started = time.perf_counter()
        (copied,) = peer.answers([versions])
        seconds = time.perf_counter() - started
    return Run(command, seconds, peer.cpu_seconds, peer.max_rss, {"copied": int(copied)})


def rclone(recorded: Recorded, target: str, environment: Mapping[str, str]) -> Run:
    """On the server's side, by the time of the cut."""
    command = (RCLONE, "copy", "--server-side-across-configs", *at_once(AT_ONCE), at(recorded), f"bench:{target}")
    run = measured(command, ROOT, {**environment, **remote(environment)})
    return Run(command, run.seconds, run.cpu_seconds, run.max_rss, {})


def at_once(count: int) -> tuple[str, ...]:
    """As many, and what rclone's manual advises for S3: a listing without a request for each folder."""
    return ("--transfers", str(count), "--checkers", str(count), "--fast-list")


def at(recorded: Recorded) -> str:
    """The bucket as it was at the cut, as a remote of rclone's."""
    return f"bench,version_at='{recorded.header.cut_time:%Y-%m-%dT%H:%M:%SZ}':{recorded.bucket}"


def remote(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for a remote named `bench`."""
    return {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "Ceph",
        "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
        "RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE": "true",
        "RCLONE_CONFIG_BENCH_LIST_VERSION": "2",
        "RCLONE_CONFIG_BENCH_ENDPOINT": environment["AWS_ENDPOINT_URL_S3"],
    }


def check(target: str, truth: Path, environment: Mapping[str, str]) -> None:
    """Raises CannotMeasure unless the bucket has exactly the files of `truth`, byte by byte."""
    where = os.path.relpath(truth, ROOT)
    command = (RCLONE, "check", "--download", "--fast-list", "--checkers", str(AT_ONCE), where, f"bench:{target}")
    measured(command, ROOT, {**environment, **remote(environment)})


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (os.path.relpath(sys.executable, ROOT), "-m", module, *arguments)


def versions() -> Mapping[str, str]:
    """Of what takes part. Raises CannotMeasure without rclone."""
    if not (ROOT / RCLONE).exists():
        raise CannotMeasure("rclone is not there; nothing was measured. `local/setup bench` installs it.")
    return {
        "rclone": measured((RCLONE, "version"), ROOT, {}).output.splitlines()[0],
        **versions_here("boto3", "botocore"),
    }


def _deployed(records: str) -> dict[str, str]:
    """What infra tells every function, of which the copy uses the bucket alone; and what Lambda does."""
    return {
        "RWM_LEDGER": "bench",
        "RWM_OPERATIONS": "bench",
        "RWM_RECORDS": records,
        "RWM_ALERTS": "bench",
        "RWM_RESTORE_THREADS": str(THREADS),
        # As Lambda does, by which the step knows that it may make its client before the first event.
        "AWS_LAMBDA_FUNCTION_NAME": "rwm-copy-batch",
    }


def in_turn(subjects: Sequence[str], sample: int) -> Sequence[str]:
    """Another one comes first each time: whoever comes second finds the server as the first one left it."""
    start = sample % len(subjects)
    return (*subjects[start:], *subjects[:start])
