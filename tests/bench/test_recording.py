"""What the bench measures is what it says: a base, then a delta on it, each of which reads back as the bucket's cut."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import read_once, record_once, write_once
from bench.canned_s3 import canned_s3
from bench.drawing import draw
from bench.ledger import FolderLedger
from bench.listing import Lister, counted, entries
from bench.plot import panels
from bench.processes import Measured
from bench.record_once import REPOSITORY
from bench.synthetic import Synthetic
from functions.domain.ledger import read_state
from functions.domain.values import ObjectVersion
from tests.bench.test_canned import current

SIZE = 2_500
BUCKET = Synthetic(SIZE)


@pytest.fixture
def _reached(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with canned_s3(tmp_path_factory.mktemp("canned")) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


def cuts() -> list[tuple[ObjectVersion, ...]]:
    """Before and after the backup."""
    return [current(BUCKET, at) for at in (BUCKET.before, BUCKET.after)]


def states(folder: Path) -> list[tuple[ObjectVersion, ...]]:
    ledger = FolderLedger(folder)
    return [read_state(ledger, header) for header in ledger.headers(REPOSITORY.repository, oldest_first=True)]


@pytest.mark.usefixtures("_reached")
def test_a_process_goes_on_where_an_earlier_one_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record_once.main(str(tmp_path / "base"), str(SIZE), BUCKET.before.isoformat()) == 0
    shutil.copytree(tmp_path / "base", tmp_path / "delta", copy_function=os.link)
    assert record_once.main(str(tmp_path / "delta"), str(SIZE), BUCKET.after.isoformat()) == 0
    base, delta = map(json.loads, capsys.readouterr().out.splitlines())
    assert (base["kind"], delta["kind"], delta["outcome"]) == ("base", "delta", "pass")
    assert (delta["requests"]["ListObjectVersions"], delta["objects"] - base["objects"]) == (3, 125)
    assert states(tmp_path / "delta") == cuts()
    assert states(tmp_path / "base") == cuts()[:1], "whoever begins with the same base finds it as it was"


@pytest.mark.usefixtures("_reached")
def test_both_instants_may_be_of_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instants = [at.isoformat() for at in (BUCKET.before, BUCKET.after)]
    assert record_once.main(str(tmp_path), str(SIZE), *instants) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["kind"] for each in said] == ["base", "delta"]
    assert all(each["cpu_seconds"] > 0 for each in said)
    assert states(tmp_path) == cuts()


def test_what_is_counted_is_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write_once.main(str(tmp_path), str(SIZE)) == 0
    said = json.loads(capsys.readouterr().out)
    assert states(tmp_path) == cuts()
    recorded = said["recorded"]
    assert recorded["delta"]["write_units"]["Put chunk"] == -(-recorded["delta"]["chunk_bytes"] // 1024)
    assert recorded["same"]["write_units"].get("Put chunk") is None
    assert said["others"]["item_per_object_write_units"] == said["others"]["added"] == 125
    assert read_once.main(str(tmp_path), "state") == read_once.main(str(tmp_path), "peers") == 0
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    assert (ours["changed"], ours["objects"]) == (125, theirs["objects"])


def test_who_lists_less_than_everything_is_seen() -> None:
    assert entries(SIZE, markers=True) - entries(SIZE, markers=False) == 24
    lister = Lister(("peer", "BUCKET"), r"\n", markers=False)
    assert lister.of(7, "endpoint") == ("peer", "7")
    assert counted(lister, Measured(1, 1, 1, "a\nb\n")) == 2
    assert counted(Lister(("peer",), ""), Measured(1, 1, 1, "12\n")) == 12


def test_what_was_not_measured_is_not_drawn() -> None:
    assert panels({}) == []
    assert panels({"listing.cpu_us_boto3": 58}) == []
    figures = {"listing.cpu_us_rwm": 3, "listing.cpu_us_boto3": 58, "state.bytes_per_entry": 76}
    ((_, _, bars),) = panels(figures)
    assert bars == [("RWM", 3), ("boto3's paginator", 58)]


def test_without_its_library_nothing_is_drawn_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.drawing._PYTHON", tmp_path / "python")
    draw(tmp_path / "bench.json", tmp_path / "bench.png")
    assert "bench.png was not drawn: `local/setup bench`" in capsys.readouterr().err
