"""The figures of restoring follow from the records, and what was skipped misses no target."""

from typing import Any

import pytest

from bench.figures import misses
from bench.plot import panels
from bench.raw import Record
from bench.restoring import RESTORE
from bench.restoring_figures import START, figures


def run(subject: str, seconds: float, what: dict[str, Any], *, rss: int = 0) -> Record:
    return Record(
        subject=subject,
        what={"objects": 1_000, "bytes": 400_000_000, **what},
        command=(subject,),
        seconds=seconds,
        cpu_seconds=seconds / 2,
        max_rss=rss,
        versions={"ceph": "16"},
        load=0.5,
        said={"batches": 2_000},
    )


def runs(what: dict[str, Any], **seconds: float) -> list[Record]:
    return [run(subject, each * share, what) for subject, each in seconds.items() for share in (0.5, 1, 3)]


def near(*, rwm: float = 2, rclone: float = 2, serial: float = 6) -> list[Record]:
    return runs({"to": "bucket", "server": "ceph"}, rwm=rwm, rclone=rclone, serial=serial)


def far(serial: float = 30) -> list[Record]:
    return runs({"to": "bucket", "server": "canned"}, rwm=1, serial=serial)


def downloads(*, rclone: float = 2, pit: float = 6) -> list[Record]:
    return runs({"to": "directory", "server": "ceph"}, rwm=2, rclone=rclone, pit=pit)


def plans(rss: int = 200_000_000) -> list[Record]:
    return [run("rwm", 20, {"to": "plan"}, rss=each) for each in (rss, rss - 1)]


def test_ratios_are_of_medians_theirs_to_ours_each_under_its_own_name() -> None:
    found = figures([*near(), *far(), *downloads(), *plans()])
    assert (found["restore.ratio_serial"], found["restore.ratio_rclone"]) == (3.0, 1.0)
    assert found["restore.ratio_serial_30ms"] == 30.0
    assert (found["restore_dir.ratio_pit"], found["restore_dir.ratio_rclone"]) == (3.0, 1.0)
    assert (found["restore_plan_1m.peak_mb"], found["restore_plan_1m.samples"]) == (200.0, 2)
    assert found["restore.samples"] == found["restore_dir.samples"] == found["restore.samples_30ms"] == 3
    assert {name.split(".")[0] for name in found} <= {RESTORE.name, *RESTORE.beginnings}


def test_what_went_into_directories_is_no_part_of_the_figures_of_buckets() -> None:
    """Both are restored from the same server, and a download takes half as long."""
    alone, beside = figures(near(rwm=4, rclone=3)), figures([*near(rwm=4, rclone=3), *downloads(rclone=1)])
    assert beside["restore.seconds"] == 4
    assert {name: beside[name] for name in alone} == alone


def test_a_ratio_is_of_what_is_left_without_the_start_of_each_and_the_whole_is_told_beside_it() -> None:
    starts = runs({"to": "directory", "objects": START}, rwm=1, pit=0.5, rclone=0)
    found = figures([*downloads(rclone=2, pit=6), *starts])
    assert found["restore_dir.ratio_pit"] == 5.5
    assert (found["restore_dir.ratio_rclone"], found["restore_dir.ratio_rclone_whole"]) == (2.0, 1.0)
    assert (found["restore_dir.start_seconds"], found["restore_dir.pit_start_seconds"]) == (1.0, 0.5)
    assert (found["restore_dir.seconds"], found["restore_dir.objects"]) == (2.0, 1_000)


def test_what_was_restored_is_drawn_rwm_first() -> None:
    (bucket, directory) = panels(figures([*near(), *downloads()]))
    assert bucket[0] == "Restoring 1,000 objects into a bucket"
    assert [name.split()[0] for name, _ in bucket[2]] == ["RWM,", "rclone", "boto3,"]
    assert [seconds for _, seconds in directory[2]] == [2.0, 2.0, 6.0]


@pytest.mark.parametrize(
    ("records", "missed"),
    [
        ([*near(), *far(), *downloads(), *plans()], []),
        ([*far(), *plans()], []),
        ([*near(serial=5.9), *far(), *plans()], ["restore.ratio_serial: 2.95; at least 3"]),
        ([*near(rclone=1.9), *far(), *plans()], ["restore.ratio_rclone: 0.95; at least 1"]),
        ([*far(serial=11.9), *plans()], ["restore.ratio_serial_30ms: 11.9; at least 12"]),
        ([*far(), *downloads(pit=5.9), *plans()], ["restore_dir.ratio_pit: 2.95; at least 3"]),
        ([*far(), *downloads(rclone=1.9), *plans()], ["restore_dir.ratio_rclone: 0.95; at least 1"]),
        ([*far(), *plans(600_000_000)], ["restore_plan_1m.peak_mb: 600.0; at most 500"]),
        (
            [],
            [
                "restore.ratio_serial_30ms: not measured; at least 12",
                "restore_plan_1m.peak_mb: not measured; at most 500",
            ],
        ),
    ],
)
def test_a_target_is_missed_beyond_it_and_where_there_is_no_ceph_its_ratios_are_not(
    records: list[Record], missed: list[str]
) -> None:
    assert misses(figures(records), RESTORE.targets) == [f"MISSED {line} was to be reached" for line in missed]
