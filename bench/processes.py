"""A process, run once and measured by the kernel: wall time, CPU time, peak memory.

The bench itself stays small: on Linux a child's peak begins with what its parent held when it was started.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.part import CannotMeasure

KIBIBYTES = 1 if sys.platform == "darwin" else 1024
"""Of the kernel's unit of a peak."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that succeeded."""

    seconds: float
    cpu_seconds: float
    max_rss: int
    """Bytes."""
    output: str


def measured(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], *, unheard: bool = False
) -> Measured:
    """Run `command` in `directory`. Raises CannotMeasure, with the end of its words, when it fails.

    `unheard`: its output goes nowhere, for one that says more than the bench should hold.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL if unheard else output,
            stderr=errors,
            stdin=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said, complaint = output.read().decode(errors="replace"), errors.read().decode(errors="replace")
    if process.returncode != 0:
        end = (complaint or said).strip()[-500:]
        raise CannotMeasure(f"{' '.join(command)} failed with {process.returncode}; it was not measured. {end}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIBIBYTES, said)
