"""RWM's structural check beside `restic check`, on the same repositories, in turn.

Both are whole processes and read a local folder that is in the page cache; neither keeps a cache of its own
(`--no-cache`: restic's default, a temporary one, makes it no faster here). restic runs with its defaults.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.check_figures import figures
from bench.part import Part, Target
from bench.processes import measured
from bench.raw import Record, Recorder, versions_here
from bench.repository import ENVIRONMENT, Shape, repositories, restic_version

ROOT = Path(__file__).parents[1]
_PLACE = ROOT / "build" / "bench"
_FILES, _MANY_FILES = 100_000, 500_000
_SAMPLES = {"structure": 5, "read_data": 3}


def measure(recorder: Recorder, full: bool) -> None:
    """Both levels on both versions of the format."""
    made = repositories(_PLACE, Shape(_MANY_FILES if full else _FILES))
    versions = _versions()
    for number, path in made.items():
        folder = str(path.relative_to(ROOT))
        for level, samples in _SAMPLES.items():
            _run(_commands(folder, level), None, {}, versions)  # both once unmeasured: files and modules get cached
            for sample in range(samples):
                what = {"repository_version": number, "level": level, "files": _MANY_FILES if full else _FILES}
                _run(_commands(folder, level), recorder, {**what, "sample": sample}, versions)


def _commands(folder: str, level: str) -> Mapping[str, Sequence[str]]:
    theirs = ["restic", "--repo", folder, "--no-cache", "check", "--no-lock"]
    return {
        "rwm": [os.path.relpath(sys.executable, ROOT), "-m", "bench.check_once", folder, level],
        "restic": [*theirs, "--read-data"] if level == "read_data" else theirs,
    }


def _run(
    commands: Mapping[str, Sequence[str]],
    recorder: Recorder | None,
    what: Mapping[str, object],
    versions: Mapping[str, str],
) -> None:
    for subject, command in commands.items():
        load = os.getloadavg()[0]
        run = measured(command, ROOT, ENVIRONMENT)
        said = json.loads(run.output) if subject == "rwm" else {}
        if recorder is not None:
            recorder.add(
                Record(
                    subject=subject,
                    what=what,
                    command=tuple(command),
                    seconds=run.seconds,
                    cpu_seconds=run.cpu_seconds,
                    max_rss=run.max_rss,
                    versions=versions,
                    load=load,
                    said=said,
                )
            )


def _versions() -> Mapping[str, str]:
    return {
        "restic": restic_version(),
        **versions_here("cryptography", "pydantic-core", "zstandard"),
    }


CHECK = Part(
    name="check",
    measure=measure,
    figures=figures,
    targets={"check.wall_ratio_restic": Target(most=1.3), "check.bytes_per_blob": Target(most=300)},
)
