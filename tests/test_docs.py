"""What the documents say is what there is."""

import re
import tomllib
from pathlib import Path

import pytest

from functions.configuration import read_toml
from functions.domain.repositories import Configuration, Repository, Retention, Thresholds
from tests.contract.__main__ import PAGE as CONTRACT
from tests.contract.__main__ import page as contract_page

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "host" / "README.md"])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("model", [Configuration, Repository, Retention, Thresholds])
def test_every_field_of_the_configuration_is_documented(model: type[Configuration]) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    undocumented = [name for name in model.model_fields if f"`{name}`" not in page and name != "repositories"]
    assert undocumented == []


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.DOTALL)
    path = tmp_path / "repositories.toml"
    path.write_text(example)
    assert [each.name for each in read_toml(path).repositories] == ["web"]
    assert len(tomllib.loads(example)["repositories"]["web"]) == 1


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    folders = ("functions/", "infra/", "tests/", "local/", "cli/", "host/", "docs/")
    paths = [path for path in re.findall(r"`([\w./-]+)`", page.read_text()) if path.startswith(folders)]
    missing = [path for path in paths if not (ROOT / path).exists() and not path.endswith("README.md")]
    assert missing == []


def test_every_make_target_that_is_documented_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in DOCUMENTS:
        named_there = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
        named_there |= set(re.findall(r"^make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert named_there <= targets, page


def test_the_contract_page_is_what_the_rules_declare() -> None:
    assert CONTRACT.read_text() == contract_page()
