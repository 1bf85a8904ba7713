"""The figures of listing are theirs by ours for a version, with what a start takes left out of both."""

from typing import Any

from bench.figures import misses
from bench.listing import LISTING
from bench.listing_figures import START, figures
from bench.raw import Record

SIZE = 200_000


def run(subject: str, versions: int, cpu: float, *, tls: bool = False, **said: Any) -> Record:
    return Record(
        subject=subject,
        what={"versions": versions, "tls": tls},
        command=(subject,),
        seconds=cpu,
        cpu_seconds=cpu,
        max_rss=1,
        versions={"rclone": "1.75.2"},
        load=0.5,
        said=said,
    )


def runs(ours: float = 1.5, boto3: float = 12.5, rclone: float = 3.5, fast: float = 2.0) -> list[Record]:
    """RWM and boto3 start in half a second, rclone in none."""
    found = [run("rwm", START, 0.5), run("boto3", START, 0.5), run("rclone", START, 0.0)]
    for factor in (0.9, 1, 3):
        found += [run("rwm", SIZE, ours * factor), run("boto3", SIZE, boto3 * factor)]
        found += [run("rclone", SIZE, rclone * factor)]
        found += [run("rwm", SIZE, 1, tls=True, seconds=20 * factor)]
        found += [run("rwm_parallel", SIZE, 1, tls=True, seconds=fast * factor)]
    return [*found, run("rclone_with_types", SIZE, 26)]


def test_a_ratio_is_of_medians_without_the_start_and_the_whole_is_said_too() -> None:
    found = figures(runs())
    assert (found["listing.cpu_ratio_boto3"], found["listing.cpu_ratio_boto3_whole"]) == (12.0, 8.33)
    assert (found["listing.cpu_ratio_rclone"], found["listing.cpu_us_rwm"]) == (3.5, 5.0)
    assert found["listing.cpu_ratio_rclone_with_types"] == 26.0
    assert found["listing.start_cpu_s_rwm"] == 0.5
    assert found["listing.samples"] == 3


def test_the_wall_is_what_the_listing_said_and_only_with_a_delay() -> None:
    found = figures(runs(fast=2.5))
    assert (found["listing.wall_speedup_80ms"], found["listing.wall_s_80ms_parallel"]) == (8.0, 2.5)


def test_each_target_is_missed_beyond_it_and_when_nothing_was_measured() -> None:
    assert misses(figures(runs(rclone=3, fast=2.5)), LISTING.targets) == []
    missed = misses(figures(runs(boto3=12.4, rclone=2.9, fast=2.6)), LISTING.targets)
    assert [line.split(":")[0] for line in missed] == [
        "MISSED listing.cpu_ratio_boto3",
        "MISSED listing.cpu_ratio_rclone",
        "MISSED listing.wall_speedup_80ms",
    ]
    assert len(misses(figures([]), LISTING.targets)) == 3
