"""`bench/.venv/bin/python bench/plot.py FIGURES PICTURE`: what the bench measured, at a glance.

Runs in the bench's own environment, and imports nothing of RWM. What was not measured is not drawn.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OURS, THEIRS, INK = "#0b6e4f", "#a9b4c2", "#22303c"
Bars = Sequence[tuple[str, float]]


def panels(figures: Mapping[str, Any]) -> list[tuple[str, str, Bars]]:
    """Title, unit and bars, RWM's first; panels without RWM are left out."""
    named = {
        "rwm": "RWM",
        "rclone": "rclone 1.75.2",
        "s5cmd": "s5cmd 0.3.3",
        "aws": "aws command",
        "boto3": "boto3's paginator",
    }
    listing = [(name, figures.get(f"listing.cpu_us_{subject}")) for subject, name in named.items()]
    waiting = [
        ("RWM, ranges side by side", figures.get("listing.wall_s_80ms_parallel")),
        ("RWM, one after the other", figures.get("listing.wall_s_80ms_sequential")),
    ]
    stored = [
        ("RWM", figures.get("state.bytes_per_entry")),
        ("JSON and gzip", figures.get("state.bytes_per_entry_json_gzip")),
    ]
    units = [
        ("RWM, one delta", figures.get("state.wru_1000_into_1m")),
        ("an item for each object", figures.get("state.wru_item_per_object")),
        ("JSON and gzip, whole", figures.get("state.wru_json_gzip")),
    ]
    into_a_bucket = [
        ("RWM, and each copy proven", figures.get("restore.seconds")),
        ("rclone 1.75.2", figures.get("restore.rclone_seconds")),
        ("boto3, one after the other", figures.get("restore.serial_seconds")),
    ]
    into_a_directory = [
        ("RWM, and each file proven", figures.get("restore_dir.seconds")),
        ("rclone 1.75.2", figures.get("restore_dir.rclone_seconds")),
        ("s3-pit-restore 0.9", figures.get("restore_dir.pit_seconds")),
    ]
    restored = f"Restoring {figures.get('restore.objects', 0):,} objects"
    drawn = [
        ("Listing a million versions", "CPU seconds", listing),
        ("Listing 200,000 versions at 80 ms a page, TLS", "seconds", waiting),
        ("A state in the ledger", "bytes an entry", stored),
        ("A backup of 1,000 objects into 1,000,000", "DynamoDB write units", units),
        (f"{restored} into a bucket", "seconds", into_a_bucket),
        (f"{restored} into a directory", "seconds", into_a_directory),
    ]
    known = [
        (title, unit, [(name, value) for name, value in bars if value is not None])
        for title, unit, bars in drawn
        if bars[0][1] is not None
    ]
    return [(title, unit, bars) for title, unit, bars in known if len(bars) > 1]


def plot(figures: Mapping[str, Any], picture: Path) -> None:
    drawn = panels(figures)
    if not drawn:
        return
    # Here, so that the tests, which run without it, can look at what would be drawn.
    import matplotlib as mpl  # type: ignore[import-not-found]

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK})
    heights = [1.1 + 0.45 * len(bars) for _, _, bars in drawn]
    drawing, axes = plt.subplots(len(drawn), figsize=(8, sum(heights)), height_ratios=heights, squeeze=False)
    for (title, unit, bars), axis in zip(drawn, axes[:, 0], strict=True):
        values = [value for _, value in bars]
        colours = [OURS if name.startswith("RWM") else THEIRS for name, _ in bars]
        places = range(len(bars))
        axis.barh(places, values, color=colours, height=0.62)
        # A bar of one against a hundred thousand is no bar.
        if max(values) > 300 * min(values):
            axis.set_xscale("log")
            axis.set_xlim(left=10 ** math.floor(math.log10(min(values))))
        for place, value in enumerate(values):
            axis.annotate(f"{value:,.6g}", (value, place), xytext=(5, 0), textcoords="offset points", va="center")
        axis.set_yticks(places, [name for name, _ in bars])
        axis.invert_yaxis()
        axis.margins(x=0.14)
        axis.set_xlabel(f"{unit}, logarithmic" if axis.get_xscale() == "log" else unit)
        axis.set_title(title, loc="left", fontweight="bold")
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    drawing.tight_layout()
    drawing.savefig(picture, dpi=130, facecolor="white")


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    plot(json.loads(source.read_text()), target)
