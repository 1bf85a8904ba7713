"""Planning a prune of ten million versions, and applying one beside a serial lister-and-deleter."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.apply import measure as measure_applying
from bench.part import Part, Skipped, Target
from bench.processes import measured
from bench.prune_figures import SIZES, figures
from bench.raw import Record, Recorder, versions_here

ROOT = Path(__file__).parents[1]
STATES = 30
_SIZES, _MORE_SIZES = (10_000_000,), (200_000, 1_000_000, 10_000_000)
_PLANS, _RUNS, _MORE_RUNS = 2, 3, 5


def measure(recorder: Recorder, full: bool) -> None:
    """Planning first: the bench is smaller then, and a child's peak of memory begins with its parent's."""
    for versions in _MORE_SIZES if full else _SIZES:
        _measure_planning(recorder, versions)
    try:
        measure_applying(recorder, _MORE_RUNS if full else _RUNS)
    except Skipped as reason:
        print(f"SKIPPED prune.ratio_serial: {reason}", flush=True)


def _measure_planning(recorder: Recorder, versions: int) -> None:
    folder = os.path.join("build", "bench", f"life-{versions}")  # noqa: PTH118 - an argument of a command
    print(f"planning over {versions:,} versions and {STATES} states, recorded in {folder} the first time", flush=True)
    measured(_command("record", folder, versions), ROOT, {})
    subjects = {"listing": _command("list", folder, versions), "rwm": _command("plan", folder, versions)}
    for sample in range(_PLANS):
        for subject, command in subjects.items():
            load = os.getloadavg()[0]
            run = measured(command, ROOT, {})
            recorder.add(
                Record(
                    subject=subject,
                    what={"versions": versions, "states": STATES, "sample": sample},
                    command=tuple(command),
                    seconds=run.seconds,
                    cpu_seconds=run.cpu_seconds,
                    max_rss=run.max_rss,
                    versions=versions_here("pydantic-core", "zstandard"),
                    load=load,
                    said=json.loads(run.output),
                )
            )


def _command(what: str, folder: str, versions: int) -> Sequence[str]:
    return [os.path.relpath(sys.executable, ROOT), "-m", "bench.plan_once", what, folder, str(versions), str(STATES)]


PRUNE = Part(
    name="prune",
    measure=measure,
    figures=figures,
    targets={
        "plan_10m.cpu_s": Target(most=60),
        "plan_10m.peak_mb": Target(most=512),
        "prune.ratio_serial": Target(least=2.5, if_measured=True),
    },
    beginnings=tuple(SIZES.values()),
)
