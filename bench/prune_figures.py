"""The figures of the prune, from its records."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import median_seconds
from bench.raw import Record

SIZES = {200_000: "plan_200k", 1_000_000: "plan_1m", 10_000_000: "plan_10m"}
"""How the figures of a size begin."""


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`plan_*` and `prune.*`; what was not measured is left out."""
    found: dict[str, Any] = {}
    for versions, name in SIZES.items():
        of_size = [record for record in records if record.what.get("versions") == versions]
        found.update(_planning(name, of_size))
    return {**found, **_applying(records)}


def _planning(name: str, records: Sequence[Record]) -> Mapping[str, Any]:
    """Of several runs the worst counts."""
    plans = [record for record in records if record.subject == "rwm"]
    listings = [record for record in records if record.subject == "listing"]
    found: dict[str, Any] = {}
    if plans:
        found[f"{name}.cpu_s"] = round(max(record.cpu_seconds for record in plans), 1)
        found[f"{name}.peak_mb"] = round(max(record.max_rss for record in plans) / 1e6, 1)
        found[f"{name}.planned"] = plans[0].said["entries"]
        found[f"{name}.samples"] = len(plans)
    if listings:
        found[f"{name}.listing_cpu_s"] = round(min(record.cpu_seconds for record in listings), 1)
    return found


def _applying(records: Sequence[Record]) -> Mapping[str, Any]:
    runs = [record for record in records if "hidden" in record.what]
    ours, theirs = median_seconds(runs, "rwm"), median_seconds(runs, "serial")
    if ours is None or theirs is None:
        return {}
    return {
        "prune.ratio_serial": round(theirs / ours, 2),
        "prune.seconds": round(ours, 1),
        "prune.serial_seconds": round(theirs, 1),
        "prune.entries": 2 * runs[0].what["hidden"],
        "prune.samples": min(sum(run.subject == subject for run in runs) for subject in ("rwm", "serial")),
        "prune.load": max(record.load for record in runs),
        "prune.versions": dict(runs[0].versions),
    }
