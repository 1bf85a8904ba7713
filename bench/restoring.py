"""Restoring a state: into a bucket beside a serial copier and rclone, near and where each call takes 30 ms; into a
directory beside s3-pit-restore and rclone; and the plan of a million objects.

Everybody restores the same state of the same bucket, which was attacked since. What came of it is judged by rclone,
which reads it, and by `diff -r`; only then a run counts.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import restoring_copy, restoring_directory
from bench.apply import Run
from bench.buckets import client, repository
from bench.canned_s3 import canned_s3
from bench.ceph import ceph, ceph_version
from bench.part import Part, Skipped, Target
from bench.processes import measured
from bench.raw import Record, Recorder, versions_here
from bench.restoring_copy import in_turn, python
from bench.restoring_figures import LATENCY, PLANNED, START, figures
from bench.restoring_source import Recorded, Shape, attack, keys_of, record_listed, record_put, truth, upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bench" / "restored"
RESTORED = FOLDER / "restored"
SOURCE, SMALL, RECORDS = "bench-source", "bench-small", "bench-records"
SHAPE = Shape(1_500)
"""Three batches of a plan, one for each child."""
START_SHAPE = Shape(START, smallest=1_000, largest=2_000)
FAR_SHAPE = Shape(400, smallest=1_000, largest=10_000)
"""One batch: the serial copier takes half a minute for as many. Small ones, since its server is in Python."""
_RUNS, _PLANS = 3, 2


def measure(recorder: Recorder, full: bool) -> None:  # noqa: ARG001 - more would not fit on the gateway's disk
    """Planning first: the bench is smaller then, and a child's peak of memory begins with its parent's."""
    _measure_planning(recorder)
    _measure_far(recorder)
    try:
        _measure_near(recorder)
    except Skipped as reason:
        print(f"SKIPPED restore.ratio_serial, restore.ratio_rclone and restore_dir.*: {reason}", flush=True)


def _measure_planning(recorder: Recorder) -> None:
    folder = os.path.join("build", "bench", f"state-{PLANNED}")  # noqa: PTH118 - an argument of a command
    if not (ROOT / folder / "headers.jsonl").exists():
        print(f"recording a state of {PLANNED:,} objects into {folder}", flush=True)
        measured(python("bench.write_once", folder, str(PLANNED)), ROOT, {})
    print(f"planning the restore of {PLANNED:,} objects", flush=True)
    command = python("bench.restoring_plan", folder)
    for sample in range(_PLANS):
        load = os.getloadavg()[0]
        run = measured(command, ROOT, {})
        ours = Run(command, run.seconds, run.cpu_seconds, run.max_rss, json.loads(run.output))
        what = {"to": "plan", "objects": PLANNED, "sample": sample}
        _keep(recorder, "rwm", what, ours, versions_here("pydantic-core", "zstandard"), load)


def _measure_far(recorder: Recorder) -> None:
    """Beside the serial copier, where each call takes a while."""
    files = truth(FOLDER / "far", FAR_SHAPE)
    versions = restoring_copy.versions()
    print(f"restoring {FAR_SHAPE.objects} objects at {LATENCY * 1000:.0f} ms a call", flush=True)
    with canned_s3(latency=LATENCY) as environment:
        put = upload(client(environment), SOURCE, files)
        recorded = record_put(repository(SOURCE), keys_of(files), put, datetime.now(UTC))
        restores = _Restores(recorder, files, recorded, environment, versions, server="canned")
        for sample in range(_RUNS):
            for subject in in_turn(("rwm", "serial"), sample):
                restores.into_bucket(subject, sample)


def _measure_near(recorder: Recorder) -> None:
    """Beside everybody, on Ceph. Raises Skipped where there is none."""
    versions = {**restoring_copy.versions(), **restoring_directory.versions()}
    with _emptied(RESTORED), ceph(ROOT / "build" / "bench" / "ceph") as environment:
        s3, versions = client(environment), {**versions, "ceph": ceph_version()}
        s3.create_bucket(Bucket=RECORDS)
        s3.put_bucket_versioning(Bucket=RECORDS, VersioningConfiguration={"Status": "Enabled"})
        all_restores = [
            _Restores(recorder, files, attacked(s3, bucket, files), environment, versions, server="ceph")
            for bucket, files in (
                (SMALL, truth(FOLDER / "small", START_SHAPE)),
                (SOURCE, truth(FOLDER / "near", SHAPE)),
            )
        ]
        for sample in range(_RUNS):
            print(f"restoring {SHAPE.objects} objects into buckets and directories, sample {sample + 1}", flush=True)
            for restores in all_restores:
                for subject in in_turn(("rwm", "rclone", "serial"), sample):
                    s3.create_bucket(Bucket=restores.target(subject, sample))
                    restores.into_bucket(subject, sample)
                for subject in in_turn(("rwm", "rclone", "pit"), sample):
                    restores.into_directory(subject, sample)


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Nothing is removed between the runs: ext4 gives no inode away again for a minute, and whoever comes next would
    search the longer for one, the more files were removed before."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def attacked(s3: "S3Client", bucket: str, files: Path) -> Recorded:
    """A new bucket with these files, recorded, and attacked since."""
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    upload(s3, bucket, files)
    recorded = record_listed(s3, repository(bucket))
    attack(s3, bucket, recorded.versions)
    return recorded


class _Restores:
    """Restores a source of a server, and keeps what each run took. What is not restored as it was is no run."""

    def __init__(
        self,
        recorder: Recorder,
        files: Path,
        recorded: Recorded,
        environment: Mapping[str, str],
        versions: Mapping[str, str],
        server: str,
    ) -> None:
        self._recorder = recorder
        self._files = files
        self._recorded = recorded
        self._environment = environment
        self._versions = versions
        self._what = {"server": server, "objects": recorded.header.objects, "bytes": recorded.header.bytes}

    def target(self, subject: str, sample: int) -> str:
        """The bucket that is restored into, which has to be there, and empty."""
        return f"{self._recorded.bucket}-by-{subject}-{sample}"

    def into_bucket(self, subject: str, sample: int) -> None:
        """Raises CannotMeasure where not everything was restored as it was."""
        target, load = self.target(subject, sample), os.getloadavg()[0]
        run = restored(subject, self._recorded, target, self._environment, sample)
        restoring_copy.check(target, self._files, self._environment)
        _keep(self._recorder, subject, {"to": "bucket", **self._what, "sample": sample}, run, self._versions, load)

    def into_directory(self, subject: str, sample: int) -> None:
        """Raises CannotMeasure where not everything was restored as it was."""
        folder, load = RESTORED / f"{self._recorded.bucket}-{sample}-{subject}" / subject, os.getloadavg()[0]
        folder.parent.mkdir(parents=True)
        run = restoring_directory.downloaded(subject, self._recorded, folder, self._environment)
        restoring_directory.check(folder, self._files)
        _keep(self._recorder, subject, {"to": "directory", **self._what, "sample": sample}, run, self._versions, load)


def restored(subject: str, recorded: Recorded, target: str, environment: Mapping[str, str], sample: int) -> Run:
    """The state, copied into `target` by `subject`."""
    if subject == "rwm":
        return restoring_copy.ours(client(environment), recorded, target, RECORDS, environment, sample)
    if subject == "serial":
        return restoring_copy.serial(recorded, target, environment)
    return restoring_copy.rclone(recorded, target, environment)


def _keep(
    recorder: Recorder, subject: str, what: Mapping[str, Any], run: Run, versions: Mapping[str, str], load: float
) -> None:
    recorder.add(
        Record(
            subject=subject,
            what=what,
            command=run.command,
            seconds=run.seconds,
            cpu_seconds=run.cpu_seconds,
            max_rss=run.max_rss,
            versions=versions,
            load=load,
            said=run.said,
        )
    )


RESTORE = Part(
    name="restore",
    measure=measure,
    figures=figures,
    targets={
        "restore.ratio_serial": Target(least=3, if_measured=True),
        "restore.ratio_rclone": Target(least=1.0, if_measured=True),
        "restore.ratio_serial_30ms": Target(least=12),
        "restore_dir.ratio_pit": Target(least=3, if_measured=True),
        "restore_dir.ratio_rclone": Target(least=1.0, if_measured=True),
        "restore_plan_1m.peak_mb": Target(most=500),
    },
    beginnings=("restore_dir", "restore_plan_1m"),
)
