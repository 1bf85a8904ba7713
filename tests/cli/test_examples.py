"""Every `rwm` that a page prints can be typed: there is such a command, and it has these options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.deployed import Deployed

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "host" / "README.md"]
TYPED = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?rwm (.+)$", re.MULTILINE)


def examples() -> Iterator[str]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            yield from TYPED.findall(block)


def test_there_are_examples() -> None:
    commands = {example.split()[0] for example in examples()}
    assert {"check", "acknowledge", "states", "diff", "restore", "repositories"} <= commands


@pytest.mark.parametrize("example", sorted(set(examples())))
def test_an_example_can_be_typed(deployed: Deployed, example: str) -> None:
    result = deployed.rwm(*shlex.split(example, comments=True), "--help")
    assert result.exit_code == 0, result.stderr


def test_an_example_with_an_option_that_there_is_not_would_be_noticed(deployed: Deployed) -> None:
    assert deployed.rwm("check", "alpha", "--deep", "--help").exit_code == 2
