"""`make bench`: measures each part, derives the figures, and fails when a target was missed."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.check import CHECK
from bench.drawing import draw
from bench.figures import conclude
from bench.listing import LISTING
from bench.part import CannotMeasure, Part
from bench.prune import PRUNE
from bench.raw import Recorder
from bench.recording import RECORDING
from bench.restoring import RESTORE
from bench.state import STATE

PARTS = (CHECK, LISTING, STATE, RECORDING, PRUNE, RESTORE)
BUILD = Path(__file__).parents[1] / "build"


def main(environment: Mapping[str, str], parts: Sequence[Part] = PARTS, build: Path = BUILD) -> int:
    """The exit code: 0 reached, 1 missed a target, 2 could not be measured."""
    only, full = environment.get("ONLY", ""), environment.get("FULL") == "1"
    chosen = [part for part in parts if only in ("", part.name)]
    if not chosen:
        names = ", ".join(part.name for part in parts)
        print(f"ONLY={only} names no part of the bench; nothing was measured. There are: {names}", file=sys.stderr)
        return 2
    records, written = build / "raw" / "bench", build / "bench.json"
    try:
        for part in chosen:
            part.measure(Recorder(records, part.name), full)
    except CannotMeasure as error:
        print(error, file=sys.stderr)
        return 2
    missed = conclude(chosen, records, written)
    for name, value in json.loads(written.read_text()).items():
        if any(name.split(".")[0] in (part.name, *part.beginnings) for part in chosen):
            print(f"{name:40} {value}")
    draw(written, written.with_suffix(".png"))
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
