"""The figures of restoring, from its records."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import median_seconds
from bench.raw import Record

PLANNED = 1_000_000
LATENCY = 0.03
"""Seconds that a far server takes for each call."""
START = 20
"""Objects of a state that takes no time to restore: what a program takes for it is its start."""


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`restore.*`, `restore_dir.*` and `restore_plan_1m.*`; what was not measured is left out."""
    copies = [each for each in records if each.what["to"] == "bucket"]
    near = [each for each in copies if each.what["server"] == "ceph"]
    far = [each for each in copies if each.what["server"] == "canned"]
    downloads = [each for each in records if each.what["to"] == "directory"]
    return {
        **_beside("restore", near, ("serial", "rclone")),
        **{f"{name}_30ms": value for name, value in _beside("restore", far, ("serial",)).items()},
        **_beside("restore_dir", downloads, ("pit", "rclone")),
        **_planning([each for each in records if each.what["to"] == "plan"]),
    }


def _beside(name: str, runs: Sequence[Record], peers: Sequence[str]) -> Mapping[str, Any]:
    """Medians: `ratio_*` is how many seconds a peer takes for each of RWM, each less its start, if that was measured;
    `ratio_*_whole` with it."""
    starts, large = _split(runs)
    if not large or (ours := median_seconds(large, "rwm")) is None:
        return {}
    found: dict[str, Any] = {f"{name}.seconds": round(ours, 2)}
    our_start = median_seconds(starts, "rwm") or 0.0
    for peer in peers:
        if (theirs := median_seconds(large, peer)) is None:
            continue
        their_start = median_seconds(starts, peer) or 0.0
        found[f"{name}.ratio_{peer}"] = round((theirs - their_start) / (ours - our_start), 2)
        found[f"{name}.{peer}_seconds"] = round(theirs, 2)
        if our_start or their_start:
            found[f"{name}.ratio_{peer}_whole"] = round(theirs / ours, 2)
            found[f"{name}.{peer}_start_seconds"] = round(their_start, 2)
    if our_start:
        found[f"{name}.start_seconds"] = round(our_start, 2)
    return {
        **found,
        f"{name}.cpu_s": round(max(each.cpu_seconds for each in large if each.subject == "rwm"), 2),
        f"{name}.objects": large[0].what["objects"],
        f"{name}.mb": round(large[0].what["bytes"] / 1e6, 1),
        f"{name}.samples": min(sum(each.subject == subject for each in large) for subject in ("rwm", *peers)),
        f"{name}.load": max(each.load for each in large),
        f"{name}.versions": dict(large[0].versions),
    }


def _split(runs: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Those of a program's start, and the others."""
    starts = [each for each in runs if each.what["objects"] == START]
    return starts, [each for each in runs if each.what["objects"] != START]


def _planning(plans: Sequence[Record]) -> Mapping[str, Any]:
    """Of several runs the worst counts."""
    if not plans:
        return {}
    return {
        "restore_plan_1m.peak_mb": round(max(each.max_rss for each in plans) / 1e6, 1),
        "restore_plan_1m.cpu_s": round(max(each.cpu_seconds for each in plans), 1),
        "restore_plan_1m.batches": plans[0].said["batches"],
        "restore_plan_1m.samples": len(plans),
    }
