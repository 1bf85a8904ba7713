"""What the documents say is what there is."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from functions.configuration import read_toml
from functions.domain.prune.rules import Reason, Waits
from functions.domain.prune.waking import REJECTED
from functions.domain.repositories import Configuration, Repository, Retention, Thresholds
from functions.domain.retention import Why
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


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests of a file, and of its classes, which may be state machines."""
    if not path.exists():
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


def named_tests(page: Path) -> list[tuple[str, str]]:
    """The tests that a page names, as `tests/file.py::test_name`."""
    return re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", page.read_text())


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    missing = [f"{file}::{test}" for file, test in named_tests(page) if test not in names_in(ROOT / file)]
    assert missing == []


PRUNING = ROOT / "docs" / "pruning.md"


def test_each_attack_on_the_prune_names_a_test() -> None:
    """Under each heading of the argument's attacks; what it cannot prove has a heading of its own."""
    _, attacks = PRUNING.read_text().split("\n## The attacks\n")
    sections = attacks.split("\n## ")[0].split("\n### ")[1:]
    assert len(sections) >= 20
    unproven = [section.splitlines()[0] for section in sections if not re.search(r"tests/[\w/]+\.py::\w+", section)]
    assert unproven == []


def test_the_argument_for_the_prune_names_every_reason_of_the_code() -> None:
    page = PRUNING.read_text()
    assert [str(each) for kind in (Why, Reason, Waits) for each in kind if f"`{each}`" not in page] == []


def test_the_argument_for_the_prune_has_every_step_in_its_table_of_roles() -> None:
    steps = re.findall(r'step="([a-z-]+)"', (ROOT / "infra" / "prune_steps.py").read_text())
    assert len(steps) == 8
    page = PRUNING.read_text()
    assert [step for step in steps if f"| `{step}` |" not in page] == []


def test_each_end_of_a_prune_has_its_remedy() -> None:
    workflow = (ROOT / "infra" / "prune_workflow.py").read_text()
    ends = {*re.findall(r'"(Prune(?:[A-Z][a-z]+)+)"', workflow), REJECTED}
    assert len(ends) == 7
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [end for end in ends if f"\n| `{end}` |" not in page] == []
