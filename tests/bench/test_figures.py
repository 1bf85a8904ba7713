"""The bench's figures follow from the raw records alone, and a target that is missed is said and fails."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.check import CHECK
from bench.check_figures import figures
from bench.figures import conclude, misses
from bench.part import CannotMeasure, Part
from bench.processes import measured
from bench.raw import Record, Recorder, read

MIB = 1 << 20


def run(subject: str, seconds: float, *, version: int = 1, level: str = "structure", **said: Any) -> Record:
    return Record(
        subject=subject,
        what={"repository_version": version, "level": level},
        command=(subject, "check"),
        seconds=seconds,
        cpu_seconds=seconds,
        max_rss=80 * MIB,
        versions={"restic": "restic 0.14.0"},
        load=0.5,
        said=said,
    )


def ours(seconds: float, *, version: int = 1, level: str = "structure", memory: int = 20 * MIB) -> Record:
    said = {"blobs": 100_000, "memory_before": 50 * MIB, "memory_peak": 50 * MIB + memory}
    return run("rwm", seconds, version=version, level=level, **said)


def samples(v1: float = 1.1, v2: float = 0.9, memory: int = 20 * MIB) -> list[Record]:
    """Three of each, with restic at 1 s."""
    records = []
    for version, seconds in ((1, v1), (2, v2)):
        records += [ours(seconds * each, version=version, memory=memory) for each in (0.9, 1.0, 1.5)]
        records += [run("restic", each, version=version) for each in (0.5, 1.0, 1.1)]
    return records


def test_the_ratio_is_of_medians_and_the_worse_version_counts() -> None:
    found = figures(samples(v1=1.1, v2=0.9))
    assert (found["check.wall_ratio_restic_v1"], found["check.wall_ratio_restic_v2"]) == (1.1, 0.9)
    assert found["check.wall_ratio_restic"] == 1.1
    assert figures(samples(v1=0.9, v2=1.2))["check.wall_ratio_restic"] == 1.2


def test_the_levels_are_not_mixed() -> None:
    slow = [ours(9, version=version, level="read_data") for version in (1, 2)]
    slow += [run("restic", 6, version=version, level="read_data") for version in (1, 2)]
    found = figures(samples() + slow)
    assert (found["check.wall_ratio_restic"], found["check.wall_ratio_restic_read_data"]) == (1.1, 1.5)
    assert found["check.samples"] == 3


def test_memory_is_the_worst_run_and_counted_by_blob() -> None:
    assert figures([*samples(), ours(1, memory=30_000_000)])["check.bytes_per_blob"] == 300.0


def test_what_was_not_measured_is_left_out_and_so_misses_its_target() -> None:
    only_v1 = [record for record in samples() if record.what["repository_version"] == 1]
    found = figures(only_v1)
    assert "check.wall_ratio_restic" not in found
    assert misses(found, CHECK.targets) == [
        "MISSED check.wall_ratio_restic: not measured; at most 1.3 was to be reached"
    ]
    assert len(misses(figures([]), CHECK.targets)) == 2


@pytest.mark.parametrize(("v2", "missed"), [(1.3, 0), (1.301, 1)])
def test_a_target_is_missed_only_beyond_it(v2: float, missed: int) -> None:
    assert len(misses(figures(samples(v2=v2)), CHECK.targets)) == missed


def test_figures_of_other_parts_stay_and_old_ones_of_this_part_go(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "raw", "check")
    for record in samples():
        recorder.add(record)
    written = tmp_path / "bench.json"
    written.write_text(json.dumps({"record.events": 7, "check.of_yesterday": 1, "checkers.other": 2}))
    assert conclude([CHECK], tmp_path / "raw", written) == []
    found = json.loads(written.read_text())
    assert (found["record.events"], found["checkers.other"], found["check.wall_ratio_restic"]) == (7, 2, 1.1)
    assert "check.of_yesterday" not in found


def test_a_record_is_read_back_as_it_was_written_and_a_new_run_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        recorder = Recorder(tmp_path, "check")
        recorder.add(ours(1.25))
    assert read(tmp_path, "check") == [ours(1.25)]


def _part(records: Sequence[Record], name: str = "check") -> Part:
    def measure(recorder: Recorder, full: bool) -> None:
        for record in records:
            recorder.add(record)

    return Part(name, measure, CHECK.figures, CHECK.targets)


def test_the_command_fails_with_a_line_when_a_target_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main({}, [_part(samples())], tmp_path) == 0
    assert main({}, [_part(samples(v1=1.5, memory=31 * MIB))], tmp_path) == 1
    said = capsys.readouterr().err
    assert "MISSED check.wall_ratio_restic: 1.5; at most 1.3 was to be reached" in said
    assert "MISSED check.bytes_per_blob: 325.1; at most 300 was to be reached" in said


def test_only_the_part_that_was_asked_for_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [_part(samples()), _part([], name="other")]
    assert main({"ONLY": "check"}, parts, tmp_path) == 0
    assert main({"ONLY": "chekc"}, parts, tmp_path) == 2
    assert "nothing was measured. There are: check, other" in capsys.readouterr().err


def test_what_cannot_be_measured_fails_and_leaves_the_figures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(recorder: Recorder, full: bool) -> None:
        raise CannotMeasure("restic failed; it was not measured")

    assert main({}, [_part(samples())], tmp_path) == 0
    before = (tmp_path / "bench.json").read_text()
    assert main({}, [Part("check", measure, CHECK.figures, CHECK.targets)], tmp_path) == 2
    assert (tmp_path / "bench.json").read_text() == before
    assert "it was not measured" in capsys.readouterr().err


def test_a_process_is_measured_whole(tmp_path: Path) -> None:
    work = "import time; held = b'x' * (100 << 20); time.sleep(0.3); [n for n in range(10**6)]; print('done')"
    run = measured([sys.executable, "-c", work], tmp_path, {})
    assert run.output == "done\n"
    assert run.seconds > 0.3
    assert 0 < run.cpu_seconds < run.seconds
    assert run.max_rss > 100 * MIB


def test_a_process_that_fails_is_not_measured(tmp_path: Path) -> None:
    work = "import sys; print('it went wrong', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CannotMeasure, match=r"failed with 3; it was not measured. it went wrong"):
        measured([sys.executable, "-c", work], tmp_path, {})
