"""The figures of the check, from its records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.figures import median_seconds
from bench.raw import Record


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`check.*`. Of two versions of the format the worse one counts; what was not measured is left out."""
    found: dict[str, Any] = {}
    for name, level in (("check.wall_ratio_restic", "structure"), ("check.wall_ratio_restic_read_data", "read_data")):
        ratios = {version: ratio for version in (1, 2) if (ratio := _ratio(records, version, level)) is not None}
        found |= {f"{name}_v{version}": ratio for version, ratio in ratios.items()}
        if len(ratios) == 2:
            found[name] = max(ratios.values())
    ours = [record for record in records if record.subject == "rwm" and record.what["level"] == "structure"]
    if memory := [each for each in map(_bytes_per_blob, ours) if each is not None]:
        found["check.bytes_per_blob"] = max(memory)
    if ours:
        found["check.samples"] = min(_counts(records))
        found["check.blobs"] = min(record.said["blobs"] for record in ours)
        found["check.max_rss_bytes"] = max(record.max_rss for record in ours)
        found["check.load"] = max(record.load for record in records)
        found["check.versions"] = dict(ours[0].versions)
    return found


def _ratio(records: Sequence[Record], version: int, level: str) -> float | None:
    what = {"repository_version": version, "level": level}
    ours, theirs = (median_seconds(records, subject, **what) for subject in ("rwm", "restic"))
    return None if ours is None or theirs is None else round(ours / theirs, 3)


def _counts(records: Sequence[Record]) -> Iterable[int]:
    """How many runs each subject had of the structural check on each version."""
    seen = [(each.subject, each.what["repository_version"]) for each in records if each.what["level"] == "structure"]
    return [seen.count((subject, version)) for subject in ("rwm", "restic") for version in (1, 2)]


def _bytes_per_blob(record: Record) -> float | None:
    """From the first index on, buffers that would be there for any size included."""
    before, peak = record.said.get("memory_before"), record.said.get("memory_peak")
    if before is None or peak is None:
        return None
    return round((int(peak) - int(before)) / int(record.said["blobs"]), 1)
