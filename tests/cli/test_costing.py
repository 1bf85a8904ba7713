"""`rwm cost`: by part, with what is unknown said so, and with other prices where somebody has them."""

from pathlib import Path

import pytest

from functions.domain.cost import PRICES, Prices
from tests.builders import named, pack, version
from tests.cli.deployed import NAMES, Deployed, document, sentence
from tests.cli.shelf import Shelf

GB = 1 << 30


@pytest.fixture
def recorded(deployed: Deployed) -> Deployed:
    deployed.record("alpha", [version("config"), version(named("snapshots", "a")), version(pack("a"), size=100 * GB)])
    return deployed


def test_each_part_is_told_with_how_much_and_of_what(recorded: Deployed) -> None:
    found = document(recorded.rwm("cost", "alpha", "--json"))
    storage = [each for each in found["estimate"]["lines"] if each["group"] == "storage"]
    assert [(each["what"], each["price"]) for each in storage] == [("objects in STANDARD", 0.023)]
    assert storage[0]["dollars"] == pytest.approx(2.30)
    assert found["month"] == pytest.approx(sum(each["dollars"] or 0 for each in found["estimate"]["lines"]), abs=1e-3)
    assert found["to_directory"] == pytest.approx(9.00, abs=0.01), "egress"
    assert found["packs"]["verdict"] == "few"


def test_a_person_sees_lines_and_that_it_is_an_estimate(recorded: Deployed) -> None:
    shown = recorded.rwm("cost", "alpha").stdout
    for told in ("objects in STANDARD", "$2.30", "together", "An estimate by list prices of us-east-1", "docs/cost.md"):
        assert told in shown, told


def test_the_page_tells_the_same_amount(recorded: Deployed) -> None:
    cost = document(recorded.rwm("cost", "alpha", "--json"))["estimate"]["lines"]
    page = document(recorded.rwm("report", "alpha", "--json"))["cost"]["lines"]
    told = {each["what"]: each["dollars"] for each in cost}
    # What is told of the last 30 days moves by the seconds between the two commands.
    assert {each["what"]: each["dollars"] for each in page} == pytest.approx(told, rel=1e-3)


def test_noncurrent_bytes_are_unknown_until_a_prune_listed_them(deployed: Deployed) -> None:
    shelf = Shelf(deployed)
    noncurrent = [
        each
        for each in document(deployed.rwm("cost", "alpha", "--json"))["estimate"]["lines"]
        if each["group"] == "noncurrent"
    ]
    assert [each["dollars"] for each in noncurrent] == [0.0], "nothing was counted as noncurrent by that state"
    shelf.draw()
    found = document(deployed.rwm("cost", "alpha", "--json"))
    assert found["usage"]["noncurrent_bytes"] == 300


def test_other_prices_come_from_a_file_and_the_rest_stays(recorded: Deployed, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('region = "eu-central-1"\n[classes.STANDARD]\ngb_month = 0.0245\n')
    found = document(recorded.rwm("cost", "alpha", "--json", "--prices", str(file)))
    assert found["estimate"]["region"] == "eu-central-1"
    storage = next(each for each in found["estimate"]["lines"] if each["group"] == "storage")
    assert storage["dollars"] == pytest.approx(2.45)
    assert found["to_directory"] == pytest.approx(9.00, abs=0.01)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("egress_gb = -1", "egress_gb"),
        ("egres_gb = 1", "egres_gb"),
        ("[classes.STANDARD]\nput = 'a'", "classes.STANDARD.put"),
        ("= nothing", "cannot be read"),
    ],
)
def test_prices_that_cannot_be_used_are_refused_by_name(
    recorded: Deployed, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(content)
    result = recorded.rwm("cost", "alpha", "--prices", str(file))
    assert result.exit_code == 2
    assert said in sentence(result)
    assert "nothing was estimated" in sentence(result)


def test_a_file_that_is_not_there_is_refused(recorded: Deployed, tmp_path: Path) -> None:
    assert recorded.rwm("cost", "alpha", "--prices", str(tmp_path / "none.toml")).exit_code == 2


def test_without_a_state_there_is_nothing_to_estimate_yet(deployed: Deployed) -> None:
    result = deployed.rwm("cost", "alpha")
    assert result.exit_code == 3
    assert "has no recorded state yet" in sentence(result)


def test_of_a_ledger_that_somebody_changed_nothing_is_estimated(recorded: Deployed) -> None:
    recorded.change_item(NAMES.ledger, "alpha", "state#0000000001")
    result = recorded.rwm("cost", "alpha")
    assert result.exit_code == 4
    assert "nothing was estimated" in sentence(result)


def test_the_table_is_complete_and_reads_back() -> None:
    assert Prices.model_validate(PRICES.model_dump()) == PRICES
