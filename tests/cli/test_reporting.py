"""`rwm report`: one page of one repository or of all, in a file that counts when it is whole."""

import os
import stat
from pathlib import Path

import pytest

from cli.exits import Refused
from cli.reporting import write
from functions.domain.page.document import Pages
from functions.domain.page.making import page_of
from functions.domain.repositories import Repository
from functions.domain.values import ListedVersion
from functions.storage.locks import DynamoLockReports
from tests.builders import marker, named, pack, version
from tests.cli.deployed import NAMES, Deployed, document, sentence
from tests.cli.shelf import Shelf
from tests.domain.judging import FAIL
from tests.page.world import NOW, known, locked

HOUR = 3600


def page(file: Path) -> str:
    html = file.read_text()
    assert html.startswith("<!doctype html>\n<html")
    assert html.endswith("</html>\n")
    return html


@pytest.fixture
def recorded(deployed: Deployed) -> Deployed:
    kept = [version("config"), version(named("snapshots", "a"))]
    deployed.judge(deployed.record("alpha", [*kept, version(pack("a"), size=1000)]))
    gone: list[ListedVersion] = [marker(pack("a"), written=HOUR), version(pack("b"), size=30, written=HOUR)]
    deployed.judge(deployed.record("alpha", [*kept, version(pack("a"), size=1000), *gone], cut=2 * HOUR), FAIL)
    return deployed


def test_the_page_of_a_repository_is_written_and_says_what_was_found(recorded: Deployed, tmp_path: Path) -> None:
    file = tmp_path / "alpha.html"
    result = recorded.rwm("report", "alpha", "--html", str(file))
    assert result.exit_code == 0, result.stderr
    assert "alpha: FAIL" in result.stdout
    html = page(file)
    for told in ("config-missing", "rwm check alpha", "became fewer", "FAIL"):
        assert told in html, told


def test_with_json_the_document_is_printed_and_the_page_written_only_if_asked(
    recorded: Deployed, tmp_path: Path
) -> None:
    found = document(recorded.rwm("report", "alpha", "--json"))
    assert (found["repository"], found["health"], found["states"]) == ("alpha", "fail", 2)
    assert [each["only"] for each in found["kept"]["states"]] == [
        {"objects": 1, "bytes": 30},
        {"objects": 1, "bytes": 1000},
    ]
    assert list(tmp_path.iterdir()) == []
    both = recorded.rwm("report", "alpha", "--json", "--html", str(tmp_path / "p.html"))
    assert document(both)["health"] == "fail"
    assert "config-missing" in page(tmp_path / "p.html")


def test_all_repositories_come_on_one_page_with_an_index(recorded: Deployed, tmp_path: Path) -> None:
    recorded.deploy(Repository(name="beta", bucket="beta-bucket"))
    file = tmp_path / "all.html"
    result = recorded.rwm("report", "--all", "--html", str(file))
    assert result.exit_code == 0, result.stderr
    assert "beta: Nothing recorded" in result.stdout
    assert "All repositories" in page(file)
    found = document(recorded.rwm("report", "--all", "--json"))
    assert [each["repository"] for each in found["pages"]] == ["alpha", "beta"]


def test_the_limit_bounds_the_timeline(recorded: Deployed) -> None:
    found = document(recorded.rwm("report", "alpha", "--json", "--limit", "1"))
    assert (len(found["timeline"]["moments"]), found["timeline"]["more"]) == (1, True)


def test_plans_and_locks_are_on_the_page(deployed: Deployed) -> None:
    shelf = Shelf(deployed)
    shelf.draw(dry_run=True)
    DynamoLockReports(deployed.aws.dynamodb, NAMES.operations).append(locked(known(3).chain, shelf.fresh.repository))
    found = document(deployed.rwm("report", "alpha", "--json"))
    assert (found["prune"]["basis"], found["prune"]["newest"]["status"]) == ("plan", "dry-run")
    # What was listed beyond the fresh state: four versions, of which the state names the config.
    assert found["grown"]["listed"][0]["versions"] == 4
    assert found["grown"]["listed"][0]["noncurrent_bytes"] == 300
    assert found["locks"]["lock_days"] == 14
    assert found["cost"]["unknown"] == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["report", "--html", "x.html"], "name a repository, or say --all"),
        (["report", "alpha", "--all", "--html", "x.html"], "name a repository, or say --all"),
        (["report", "alpha"], "say where to write it: --html FILE"),
        (["report", "gamma", "--json"], "has no repository 'gamma'"),
    ],
)
def test_what_is_not_clear_is_refused_and_nothing_is_written(
    recorded: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = recorded.rwm(*typed)
    assert result.exit_code == 2
    assert said in sentence(result)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["missing/page.html", "."])
def test_a_place_that_cannot_be_written_is_refused(recorded: Deployed, tmp_path: Path, place: str) -> None:
    result = recorded.rwm("report", "alpha", "--html", str(tmp_path / place))
    assert result.exit_code == 2
    assert "no page was written" in sentence(result)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_somebody_changed_is_told_on_the_page_and_by_the_exit_code(
    recorded: Deployed, tmp_path: Path
) -> None:
    recorded.change_item(NAMES.ledger, "alpha", "state#0000000001")
    file = tmp_path / "p.html"
    result = recorded.rwm("report", "alpha", "--html", str(file))
    assert result.exit_code == 4
    assert "alpha: The ledger is damaged" in result.stdout
    assert "The ledger is damaged" in page(file)
    assert "config-missing" not in page(file), "nothing is told of states that cannot be believed"


def test_a_page_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.html"
    file.write_text("the old one")
    found = Pages(pages=(page_of(known(3), NOW, 10),))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="No space left on device"):
        write(found, file)
    assert file.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [file]


def test_only_its_owner_may_read_the_page(tmp_path: Path) -> None:
    file = tmp_path / "p.html"
    write(Pages(pages=(page_of(known(3), NOW, 10),)), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
