"""Recording the state after a backup, from the first request to the anchor of the new head, as one whole process.

The bucket is one of the canned S3; a first recording, an hour before its last backup, writes the base, and the measured
one, an hour after it, a delta. What S3 and DynamoDB take to answer is not in it. A bucket of 100 objects is recorded
beside the code as it was before issue 5, in turn.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path

from bench.canned_s3 import canned_s3, prepare
from bench.part import CannotMeasure, Part, Skipped, Target
from bench.processes import measured
from bench.raw import Record, Recorder, versions_here
from bench.recording_figures import DELAYED, SIZES, SMALL, figures
from bench.synthetic import Synthetic

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bench" / "recorded"
BEFORE = "49a4338"
"""The last commit before issue 5."""
DELAY = 0.08
"""Seconds, before each page of a listing over TLS."""
_SAMPLES, _SMALL_SAMPLES = 3, 9
_LARGEST = 10_000_000


def measure(recorder: Recorder, full: bool) -> None:
    """A small bucket first: the bench is smaller then."""
    trees = {"rwm": ROOT}
    try:
        trees["before"] = tree_before(ROOT / "build" / "bench" / "before")
    except Skipped as reason:
        print(f"SKIPPED record_100.*_ratio_before: {reason}", flush=True)
    with canned_s3() as near, canned_s3(delay=DELAY, tls=True) as far:
        run = _Runs(recorder, near)
        print(f"recording a bucket of {SMALL} versions", flush=True)
        bucket = Synthetic(SMALL)
        for subject, tree in trees.items():  # once unmeasured: modules get compiled
            run.record(tree, subject, SMALL, bucket.before, bucket.after)
        for sample in range(_SMALL_SAMPLES):
            for subject, tree in trees.items():
                run.keep(subject, SMALL, sample, *run.record(tree, subject, SMALL, bucket.before, bucket.after))
        for size in SIZES if full else (min(SIZES),):
            _measure_deltas(run, _Runs(recorder, far), size)


def _measure_deltas(run: "_Runs", far: "_Runs", size: int) -> None:
    """`far`: of a server that takes its time."""
    bucket = Synthetic(size)
    print(f"recording a bucket of {size:,} versions, once before its last backup, then after it", flush=True)
    prepare(size)
    run.keep("rwm_base", size, 0, *run.record(ROOT, "base", size, bucket.before))
    for sample in range(2 if size == _LARGEST else _SAMPLES):
        for subject, runs in (("rwm", run), (DELAYED, far)):
            shutil.copytree(FOLDER / "base", FOLDER / "delta", copy_function=os.link)
            command, recorded = runs.record(ROOT, "delta", size, bucket.after, anew=False)
            if (kind := recorded.recordings[-1]["kind"]) != "delta":
                raise CannotMeasure(f"after a backup a {kind} of {size} versions was recorded; nothing was measured")
            runs.keep(subject, size, sample, command, recorded)
            shutil.rmtree(FOLDER / "delta")


class _Runs:
    """Records buckets of a server, and keeps what each recording took."""

    def __init__(self, recorder: Recorder, environment: Mapping[str, str]) -> None:
        self._recorder = recorder
        self._environment = environment
        self._versions = versions_here("boto3", "botocore", "pydantic-core", "zstandard")

    def record(
        self, tree: Path, ledger: str, size: int, *instants: datetime, anew: bool = True
    ) -> tuple[tuple[str, ...], "_Recorded"]:
        """The command, and what came of it. `anew`: into an empty ledger."""
        folder = FOLDER / ledger
        if anew:
            shutil.rmtree(FOLDER / "delta", ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
        python, script = os.path.relpath(sys.executable, ROOT), os.path.relpath(ROOT / "bench" / "record_once.py", ROOT)
        where = os.path.relpath(folder, ROOT)
        command = (python, "-P", script, where, str(size), *(instant.isoformat() for instant in instants))
        return command, _Recorded(command, {**self._environment, "PYTHONPATH": str(tree)})

    def keep(self, subject: str, size: int, sample: int, command: tuple[str, ...], recorded: "_Recorded") -> None:
        run = recorded.run
        self._recorder.add(
            Record(
                subject=subject,
                what={"versions": size, "sample": sample},
                command=command,
                seconds=run.seconds,
                cpu_seconds=run.cpu_seconds,
                max_rss=run.max_rss,
                versions=self._versions,
                load=recorded.load,
                said={"recordings": recorded.recordings},
            )
        )


class _Recorded:
    """One process that recorded."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.load = os.getloadavg()[0]
        self.run = measured(command, ROOT, environment)
        self.recordings = [json.loads(line) for line in self.run.output.splitlines()]


def tree_before(folder: Path) -> Path:
    """The code as it was then, in `folder`. Raises Skipped where there is no such commit."""
    if not (folder / "functions").exists():
        try:
            done = subprocess.run(["git", "archive", BEFORE, "functions", "tests"], cwd=ROOT, capture_output=True)  # noqa: PLW1510
        except FileNotFoundError as error:
            raise Skipped("there is no git, and so no code of before to compare with") from error
        if done.returncode != 0:
            raise Skipped(f"this checkout has no commit {BEFORE} to compare with")
        with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder


RECORDING = Part(
    name="record",
    measure=measure,
    figures=figures,
    targets={
        "record_10m.cpu_s": Target(most=200, if_measured=True),
        "record_10m.peak_mb": Target(most=3_000, if_measured=True),
        "record_10m.bytes_per_version": Target(most=250, if_measured=True),
        "record_100.cpu_ratio_before": Target(least=0.95, if_measured=True),
        "record_100.call_ratio_before": Target(least=0.95, if_measured=True),
    },
    beginnings=(*SIZES.values(), f"record_{SMALL}"),
)
