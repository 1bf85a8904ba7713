"""The prune's figures follow from the records, and what was skipped misses no target."""

from typing import Any

import pytest

from bench.figures import misses
from bench.prune import PRUNE
from bench.prune_figures import figures
from bench.raw import Record


def run(subject: str, seconds: float, what: dict[str, Any], *, cpu_seconds: float = 1.0, rss: int = 0) -> Record:
    return Record(
        subject=subject,
        what=what,
        command=(subject,),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        max_rss=rss,
        versions={"ceph": "16"},
        load=0.5,
        said={"entries": 40},
    )


def plans(versions: int = 10_000_000, cpu_seconds: float = 40, rss: int = 150_000_000) -> list[Record]:
    what = {"versions": versions, "states": 30}
    found = [run("rwm", 60, what, cpu_seconds=each, rss=rss) for each in (cpu_seconds, cpu_seconds - 1)]
    return [*found, run("listing", 20, what, cpu_seconds=15)]


def applied(ours: float = 10, theirs: float = 30) -> list[Record]:
    what = {"current": 100, "hidden": 50}
    found = [run("rwm", ours * each, what) for each in (0.5, 1, 3)]
    return [*found, *(run("serial", theirs * each, what) for each in (0.9, 1, 1.1))]


def test_the_worst_plan_counts_under_the_name_of_its_size() -> None:
    found = figures([*plans(), *plans(200_000, cpu_seconds=2)])
    assert (found["plan_10m.cpu_s"], found["plan_10m.peak_mb"], found["plan_10m.listing_cpu_s"]) == (40, 150, 15)
    assert found["plan_200k.cpu_s"] == 2
    assert {name.split(".")[0] for name in found} <= {PRUNE.name, *PRUNE.beginnings}


def test_the_ratio_is_of_medians_theirs_to_ours() -> None:
    found = figures(applied(ours=10, theirs=30))
    assert (found["prune.ratio_serial"], found["prune.samples"], found["prune.entries"]) == (3.0, 3, 100)


@pytest.mark.parametrize(
    ("records", "missed"),
    [
        ([*plans(), *applied()], []),
        (plans(), []),
        ([*plans(cpu_seconds=60.1), *applied()], ["plan_10m.cpu_s: 60.1; at most 60"]),
        ([*plans(rss=600_000_000), *applied()], ["plan_10m.peak_mb: 600.0; at most 512"]),
        ([*plans(), *applied(theirs=24.9)], ["prune.ratio_serial: 2.49; at least 2.5"]),
        (applied(), ["plan_10m.cpu_s: not measured; at most 60", "plan_10m.peak_mb: not measured; at most 512"]),
    ],
)
def test_a_target_is_missed_beyond_it_and_where_there_is_no_ceph_the_ratio_is_not(
    records: list[Record], missed: list[str]
) -> None:
    assert misses(figures(records), PRUNE.targets) == [f"MISSED {line} was to be reached" for line in missed]
