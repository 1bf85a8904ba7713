"""What the bench plans over is what it says: a listing in S3's order, and a ledger that names what its states named."""

import json
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest

from bench import plan_once
from bench.ledger import FolderLedger
from bench.life import Life
from bench.plan_once import REPOSITORY, plan, recorded
from functions.domain.columns import in_runs
from functions.domain.consistent.fold import observe
from functions.domain.prune.named import StoredNames
from functions.domain.prune.pins import PinnedVersions

LIFE = Life(versions=9_000, states=30)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> FolderLedger:
    folder = tmp_path_factory.mktemp("bench") / "life"
    recorded(folder, LIFE)
    return FolderLedger(folder)


def test_each_state_names_what_a_cut_of_the_listing_shows(ledger: FolderLedger) -> None:
    keys = list(dict.fromkeys(entry.key for entry in LIFE.listing()))
    for header in ledger.headers(REPOSITORY.repository, oldest_first=True):
        cut = observe(in_runs(LIFE.listing()), LIFE.cut_time(header.generation - 1)).cut
        pinned = PinnedVersions([header], StoredNames(ledger))
        named = {key: versions for key in keys if (versions := pinned.named(key))}
        pinned.finish()
        assert named == {entry.key: {entry.version_id} for entry in cut.versions}
        assert (header.objects, header.bytes) == (len(cut.versions), sum(entry.size for entry in cut.versions))


def test_states_differ_as_after_a_daily_backup_and_share_a_base(ledger: FolderLedger) -> None:
    headers = list(ledger.headers(REPOSITORY.repository, oldest_first=True))
    assert [header.kind for header in headers] == ["base", *["delta"] * 29]
    last = headers[-1].delta
    assert last is not None
    assert 0.001 < last.changes / 29 / LIFE.versions < 0.01


def test_the_listing_is_as_long_as_it_says_and_the_same_each_time() -> None:
    entries = list(LIFE.listing())
    assert entries == list(LIFE.listing())
    keys = [key for key, _ in groupby(entries, key=attrgetter("key"))]
    assert keys == sorted(set(keys))
    assert len(keys) == LIFE.versions
    assert max(entry.last_modified for entry in entries) < LIFE.now


def test_what_was_hidden_before_the_grace_is_planned_with_its_markers(ledger: FolderLedger) -> None:
    planned = plan(ledger, LIFE)
    grace = LIFE.now - REPOSITORY.grace_days
    hidden = LIFE.hidden_before(grace)
    assert hidden > 10
    assert (planned["entries"], planned["markers"], planned["kept"]) == (2 * hidden, hidden, 30)


def test_a_ledger_is_recorded_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "life")
    assert plan_once.main("record", folder, "300", "3") == 0
    before = (tmp_path / "life" / "headers.jsonl").stat().st_mtime_ns
    assert plan_once.main("record", folder, "300", "3") == 0
    assert (tmp_path / "life" / "headers.jsonl").stat().st_mtime_ns == before
    assert plan_once.main("plan", folder, "300", "3") == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 3
    assert plan_once.main("list", folder, "300", "3") == 0
    assert json.loads(capsys.readouterr().out)["listed"] >= 300
