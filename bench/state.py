"""What a state takes: bytes in the ledger, units to write it, and CPU time to pack, read and compare it.

A million objects, of which the last backup added a thousand. Beside it what others keep: all of it as JSON and gzip,
and an item for each object.
"""

import json
import os
import sys
from pathlib import Path

from bench.part import Part, Target
from bench.processes import measured
from bench.raw import Record, Recorder, versions_here
from bench.state_figures import PEERS_SIZE, SIZE, figures

ROOT = Path(__file__).parents[1]
_SAMPLES = 3


def measure(recorder: Recorder, full: bool) -> None:  # noqa: ARG001 - no larger size would show anything else
    """Both states are written anew, counted; then read, by RWM and, a smaller one, by a peer."""
    for size in (PEERS_SIZE, SIZE):
        print(f"writing the states before and after a backup of 1,000 objects into {size:,}", flush=True)
        _run(recorder, "written", size, 0, "bench.write_once", _folder(size), str(size))
    print(f"reading them, {_SAMPLES} times", flush=True)
    for sample in range(_SAMPLES):
        _run(recorder, "rwm", SIZE, sample, "bench.read_once", _folder(SIZE), "state")
        _run(recorder, "rwm", PEERS_SIZE, sample, "bench.read_once", _folder(PEERS_SIZE), "state")
        _run(recorder, "json_gzip", PEERS_SIZE, sample, "bench.read_once", _folder(PEERS_SIZE), "peers")


def _run(recorder: Recorder, subject: str, size: int, sample: int, *words: str) -> None:
    command = (os.path.relpath(sys.executable, ROOT), "-m", *words)
    load = os.getloadavg()[0]
    run = measured(command, ROOT, {})
    recorder.add(
        Record(
            subject=subject,
            what={"objects": size, "sample": sample},
            command=command,
            seconds=run.seconds,
            cpu_seconds=run.cpu_seconds,
            max_rss=run.max_rss,
            versions=versions_here("moto", "zstandard"),
            load=load,
            said=json.loads(run.output),
        )
    )


def _folder(size: int) -> str:
    return os.path.join("build", "bench", f"state-{size}")  # noqa: PTH118 - an argument of a command


STATE = Part(
    name="state",
    measure=measure,
    figures=figures,
    targets={
        "state.bytes_per_entry": Target(most=80),
        "state.wru_1000_into_1m": Target(most=120),
        "state.read_1m_cpu_s": Target(most=2),
    },
)
