"""Listing all versions of a bucket: RWM beside boto3's paginator, rclone, s5cmd and the aws command, in turn.

All are whole processes and ask the same server, which has every answer ready, so that what is left is their own work.
Each also lists a bucket of 100: that is its start, and what it takes more is for the versions. First the CPU time, on
one connection without delay; then how long RWM waits where each page takes 80 ms, over TLS.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.canned_s3 import canned_s3, prepare
from bench.listing_figures import DELAYED, START, figures
from bench.part import CannotMeasure, Part, Target
from bench.processes import Measured, measured
from bench.raw import Record, Recorder, versions_here
from bench.synthetic import Synthetic
from functions.domain.columns import MARKER

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "bench" / ".venv" / "bin"
"""What `local/setup bench` installs from bench/requirements.txt."""
SIZE, LARGE, LARGEST = 200_000, 1_000_000, 10_000_000
_SMALL = 5_000
"""On which is seen that each lists everything."""
_SAMPLES = 3
_DELAY = 0.08


@dataclass(frozen=True, slots=True)
class Lister:
    """A program that lists all versions of a bucket."""

    command: tuple[str, ...]
    """With BUCKET and ENDPOINT in the place of the bucket and the server."""
    entry: str
    """What it prints for each entry, as an expression; empty where it prints a number, of what it counted."""
    markers: bool = True
    """It lists delete markers too."""

    def of(self, bucket: int, endpoint: str) -> tuple[str, ...]:
        return tuple(word.replace("BUCKET", str(bucket)).replace("ENDPOINT", endpoint) for word in self.command)


def _python(*words: str) -> tuple[str, ...]:
    return (os.path.relpath(sys.executable, ROOT), "-m", *words)


def _tool(name: str, *words: str) -> tuple[str, ...]:
    return (os.path.relpath(TOOLS / name, ROOT), *words)


_AWS = os.path.relpath(Path(sys.executable).with_name("aws"), ROOT)
_RCLONE = _tool("rclone", "lsjson", "-R", "--fast-list", "--s3-versions", "--use-server-modtime")
OURS = Lister(_python("bench.list_once", "sequential", "BUCKET"), "")
PARALLEL = Lister(_python("bench.list_once", "parallel", "BUCKET"), "")
PEERS: Mapping[str, Lister] = {
    "boto3": Lister(_python("bench.peers.boto3_paginator", "BUCKET"), ""),
    "rclone": Lister((*_RCLONE, "--no-mimetype", "bench:BUCKET"), r'"IsDir":false', markers=False),
    "s5cmd": Lister(_tool("s5cmd", "--endpoint-url", "ENDPOINT", "ls", "--all-versions", "s3://BUCKET/*"), r"\n"),
    "aws": Lister((_AWS, "s3api", "list-object-versions", "--bucket", "BUCKET"), r'"VersionId":'),
}
AS_IT_COMES = "rclone_with_types"
"""Without --no-mimetype rclone asks for each object's type, one request each: that is no listing any more."""
RCLONE_WITH_TYPES = Lister((*_RCLONE, "bench:BUCKET"), r'"IsDir":false', markers=False)


def measure(recorder: Recorder, full: bool) -> None:
    """All on one connection, then RWM with a delay."""
    versions = _versions()
    with canned_s3() as environment:
        run = _Runs(recorder, versions, environment)
        for lister in (OURS, PARALLEL, *PEERS.values(), RCLONE_WITH_TYPES):
            run.prove(lister)
        everybody = {"rwm": OURS, **PEERS}
        for size in (START, SIZE, *([LARGE] if full else [])):
            print(f"listing {size:,} versions with {', '.join(everybody)}, {_SAMPLES} times each", flush=True)
            prepare(size)
            for sample in range(_SAMPLES):
                for subject, lister in everybody.items():
                    run(subject, lister, size, sample)
        run(AS_IT_COMES, RCLONE_WITH_TYPES, SIZE, 0)
        if full:
            prepare(LARGEST)
            for sample in range(_SAMPLES):
                run("rwm", OURS, LARGEST, sample)
    with canned_s3(delay=_DELAY, tls=True) as environment:
        run = _Runs(recorder, versions, environment, tls=True, delay=_DELAY)
        print(f"listing {SIZE:,} versions at {_DELAY * 1000:.0f} ms a page over TLS", flush=True)
        for sample in range(_SAMPLES):
            run(DELAYED, PARALLEL, SIZE, sample)
            run("rwm", OURS, SIZE, sample)


class _Runs:
    """Runs listers against a server, and keeps what each took."""

    def __init__(
        self, recorder: Recorder, versions: Mapping[str, str], environment: Mapping[str, str], **what: object
    ) -> None:
        self._recorder = recorder
        self._versions = versions
        self._environment = {**environment, **_rclone(environment)}
        self._what = {"tls": False, "delay": 0.0, **what}

    def prove(self, lister: Lister) -> None:
        """Raises CannotMeasure unless it lists all of a small bucket."""
        listed = counted(lister, self._run(lister, _SMALL))
        if listed != (expected := entries(_SMALL, markers=lister.markers)):
            command = " ".join(lister.command)
            raise CannotMeasure(f"{command} listed {listed} entries of {expected}; nothing was measured")

    def __call__(self, subject: str, lister: Lister, size: int, sample: int) -> None:
        load = os.getloadavg()[0]
        run = self._run(lister, size, unheard=bool(lister.entry))
        said = json.loads(run.output) if lister in (OURS, PARALLEL) else {}
        self._recorder.add(
            Record(
                subject=subject,
                what={**self._what, "versions": size, "sample": sample},
                command=lister.of(size, "ENDPOINT"),
                seconds=run.seconds,
                cpu_seconds=run.cpu_seconds,
                max_rss=run.max_rss,
                versions=self._versions,
                load=load,
                said=said,
            )
        )

    def _run(self, lister: Lister, size: int, *, unheard: bool = False) -> Measured:
        command = lister.of(size, self._environment["AWS_ENDPOINT_URL_S3"])
        return measured(command, ROOT, self._environment, unheard=unheard)


def counted(lister: Lister, run: Measured) -> int:
    """How many entries a run listed."""
    if lister in (OURS, PARALLEL):
        return int(json.loads(run.output)["entries"])
    return len(re.findall(lister.entry, run.output)) if lister.entry else int(run.output)


def entries(size: int, *, markers: bool) -> int:
    """What there is in a bucket of that size."""
    blocks = list(Synthetic(size).blocks())
    hidden = sum(block.sizes.count(MARKER) for block in blocks)
    return sum(map(len, blocks)) - (0 if markers else hidden)


def _rclone(environment: Mapping[str, str]) -> dict[str, str]:
    """A remote named `bench`."""
    return {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "AWS",
        "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
        "RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE": "true",
        "RCLONE_CONFIG_BENCH_ENDPOINT": environment["AWS_ENDPOINT_URL_S3"],
    }


def _versions() -> Mapping[str, str]:
    for name in ("rclone", "s5cmd"):
        if not (TOOLS / name).exists():
            raise CannotMeasure(f"{name} is not there; nothing was measured. `local/setup bench` installs it.")
    rclone = measured(_tool("rclone", "version"), ROOT, {}).output.splitlines()[0]
    return {
        "rclone": rclone,
        "s5cmd": measured(_tool("s5cmd", "version"), ROOT, {}).output.strip(),
        **versions_here("awscli", "boto3", "botocore"),
    }


LISTING = Part(
    name="listing",
    measure=measure,
    figures=figures,
    targets={
        "listing.cpu_ratio_boto3": Target(least=12),
        "listing.cpu_ratio_rclone": Target(least=3),
        "listing.wall_speedup_80ms": Target(least=8),
    },
)
