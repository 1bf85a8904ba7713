"""build/bench.json, derived from the raw records and nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import raw
from bench.part import Figures, Part, Target
from bench.raw import Record


def conclude(parts: Iterable[Part], records: Path, written: Path) -> list[str]:
    """Derive the figures of `parts` and put them into `written`, beside what other parts left there.

    Returns a line for each target that was missed.
    """
    before: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    missed: list[str] = []
    for part in parts:
        figures = part.figures(raw.read(records, part.name))
        ours = (part.name, *part.beginnings)
        before = {name: value for name, value in before.items() if name.split(".")[0] not in ours} | dict(figures)
        missed += misses(figures, part.targets)
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n")
    return missed


def misses(figures: Figures, targets: Mapping[str, Target]) -> list[str]:
    """A figure that is not there misses its target too, if it has to be there."""
    found: list[str] = []
    for name, target in targets.items():
        value = figures.get(name)
        if not isinstance(value, int | float):
            if not target.if_measured:
                found.append(f"MISSED {name}: not measured; {target} was to be reached")
        elif not target.holds(value):
            found.append(f"MISSED {name}: {value}; {target} was to be reached")
    return found


def median_seconds(records: Sequence[Record], subject: str, **what: object) -> float | None:
    """Of the runs of `subject` under these circumstances; None when there are none."""
    times = [each.seconds for each in records if each.subject == subject and what.items() <= each.what.items()]
    return median(times) if times else None
