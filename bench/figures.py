"""build/bench.json, derived from the raw records and nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import raw
from bench.part import Figures, Part
from bench.raw import Record


def conclude(parts: Iterable[Part], records: Path, written: Path) -> list[str]:
    """Derive the figures of `parts` and put them into `written`, beside what other parts left there.

    Returns a line for each target that was missed.
    """
    before: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    missed: list[str] = []
    for part in parts:
        figures = part.figures(raw.read(records, part.name))
        before = {name: value for name, value in before.items() if name.split(".")[0] != part.name} | dict(figures)
        missed += misses(figures, part.targets)
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n")
    return missed


def misses(figures: Figures, targets: Mapping[str, float]) -> list[str]:
    """A figure that is not there misses its target too."""
    return [
        f"MISSED {name}: {figures.get(name, 'not measured')}; at most {most:g} was to be reached"
        for name, most in targets.items()
        if not isinstance(figures.get(name), int | float) or figures[name] > most
    ]


def median_seconds(records: Sequence[Record], subject: str, **what: object) -> float | None:
    """Of the runs of `subject` under these circumstances; None when there are none."""
    times = [each.seconds for each in records if each.subject == subject and what.items() <= each.what.items()]
    return median(times) if times else None
