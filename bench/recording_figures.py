"""The figures of recording, from its records."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.raw import Record

SIZES = {200_000: "record_200k", 1_000_000: "record_1m", 10_000_000: "record_10m"}
"""How the figures of a size begin."""
LARGE = 1_000_000
"""From here on memory is counted by version: of fewer, most is what listing ranges side by side takes for any."""
SMALL = 100
DELAYED = "rwm_delayed"


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`record_*`; what was not measured is left out. Of several large runs the worst counts."""
    small = [record for record in records if record.what["versions"] == SMALL]
    floor = max((record.max_rss for record in small if record.subject == "rwm"), default=None)
    found = dict(_small(small))
    for versions, name in SIZES.items():
        runs = [record for record in records if record.what["versions"] == versions and record.subject == "rwm"]
        if not runs:
            continue
        peak, cpu = max(run.max_rss for run in runs), max(run.cpu_seconds for run in runs)
        recorded = runs[0].said["recordings"][-1]
        found |= {
            f"{name}.cpu_s": round(cpu, 2),
            f"{name}.peak_mb": round(peak / 1e6, 1),
            f"{name}.cpu_us_per_version": round(max(_call(run, "cpu_seconds") for run in runs) / versions * 1e6, 2),
            f"{name}.chunk_kb": round(recorded["chunk_bytes"] / 1000, 1),
            f"{name}.list_pages": recorded["requests"]["ListObjectVersions"],
            f"{name}.samples": len(runs),
            f"{name}.load": max(run.load for run in runs),
        }
        delayed = [each for each in records if each.what["versions"] == versions and each.subject == DELAYED]
        if delayed:
            found[f"{name}.wall_s_80ms"] = round(median(_call(run, "seconds") for run in delayed), 2)
        if floor is not None and versions >= LARGE:
            found[f"{name}.bytes_per_version"] = round((peak - floor) / versions, 1)
    if records:
        found["record.versions"] = dict(records[0].versions)
    return found


def _small(records: Sequence[Record]) -> Mapping[str, Any]:
    """Beside the code as it was before: before by now, so that less than 1 is slower."""
    runs = {subject: [each for each in records if each.subject == subject] for subject in ("rwm", "before")}
    if not runs["rwm"]:
        return {}
    name = f"record_{SMALL}"
    found: dict[str, Any] = {
        f"{name}.cpu_s": round(_median_cpu(runs["rwm"]), 3),
        f"{name}.call_ms": round(median(_call(run, "cpu_seconds") for run in runs["rwm"]) * 1000, 1),
        f"{name}.samples": min(len(each) for each in runs.values() if each),
        f"{name}.load": max(record.load for record in records),
    }
    if before := runs["before"]:
        found |= {
            f"{name}.cpu_ratio_before": round(_median_cpu(before) / _median_cpu(runs["rwm"]), 3),
            f"{name}.wall_ratio_before": round(
                median(run.seconds for run in before) / median(run.seconds for run in runs["rwm"]), 3
            ),
            f"{name}.call_ratio_before": round(
                median(_call(run, "cpu_seconds") for run in before)
                / median(_call(run, "cpu_seconds") for run in runs["rwm"]),
                3,
            ),
        }
    return found


def _median_cpu(records: Sequence[Record]) -> float:
    return median(record.cpu_seconds for record in records)


def _call(record: Record, what: str) -> float:
    """Of `record` itself, all recordings of the process together, the start of Python left out."""
    return float(sum(recording[what] for recording in record.said["recordings"]))
