"""The figures of listing, from its records."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.raw import Record

START = 100
"""Versions of the bucket that shows what a start takes: s5cmd fails on an empty one."""
DELAYED = "rwm_parallel"
SIZES = {200_000: "", 1_000_000: "_1m"}
"""How the names of a size's ratios end."""


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`listing.*`; what was not measured is left out.

    A ratio is theirs by ours, of CPU seconds for a version: medians of whole processes, less the median of the same
    process on a bucket of next to nothing. `..._whole` leaves the start in.
    """
    plain = [record for record in records if not record.what["tls"]]
    found: dict[str, Any] = {}
    subjects = list(dict.fromkeys(record.subject for record in plain))
    starts = {subject: _cpu(plain, subject, START) for subject in subjects}
    starts["rclone_with_types"] = starts.get("rclone")
    for size, ending in SIZES.items():
        whole = {subject: seconds for subject in subjects if (seconds := _cpu(plain, subject, size)) is not None}
        own = {
            subject: seconds - start for subject, seconds in whole.items() if (start := starts.get(subject)) is not None
        }
        for subject, seconds in own.items():
            found[f"listing.cpu_us_{subject}{ending}"] = round(seconds / (size - START) * 1e6, 2)
            if subject != "rwm" and "rwm" in own:
                found[f"listing.cpu_ratio_{subject}{ending}"] = round(seconds / own["rwm"], 2)
                found[f"listing.cpu_ratio_{subject}{ending}_whole"] = round(whole[subject] / whole["rwm"], 2)
    for subject, start in starts.items():
        if start is not None and subject != "rclone_with_types":
            found[f"listing.start_cpu_s_{subject}"] = round(start, 2)
    largest = [record for record in plain if record.what["versions"] == 10_000_000]
    if largest:
        found["listing.cpu_s_10m"] = round(median(record.cpu_seconds for record in largest), 1)
        found["listing.peak_mb_10m"] = round(max(record.max_rss for record in largest) / 1e6, 1)
    return {**found, **_wall(records), **_about(plain)}


def _cpu(records: Sequence[Record], subject: str, size: int) -> float | None:
    seconds = [each.cpu_seconds for each in records if each.subject == subject and each.what["versions"] == size]
    return median(seconds) if seconds else None


def _wall(records: Sequence[Record]) -> Mapping[str, Any]:
    """What the listing itself took, as RWM said: Python has started by then in both."""
    taken = {
        subject: [record.said["seconds"] for record in records if record.what["tls"] and record.subject == subject]
        for subject in ("rwm", DELAYED)
    }
    if not all(taken.values()):
        return {}
    one, several = median(taken["rwm"]), median(taken[DELAYED])
    return {
        "listing.wall_speedup_80ms": round(one / several, 2),
        "listing.wall_s_80ms_sequential": round(one, 2),
        "listing.wall_s_80ms_parallel": round(several, 2),
    }


def _about(records: Sequence[Record]) -> Mapping[str, Any]:
    sampled = [record for record in records if record.what["versions"] in SIZES]
    if not sampled:
        return {}
    seen = [(record.subject, record.what["versions"]) for record in sampled if record.subject != "rclone_with_types"]
    return {
        "listing.samples": min(map(seen.count, set(seen))),
        "listing.load": max(record.load for record in records),
        "listing.versions": dict(sampled[0].versions),
    }
