"""What every command's help says: what it does, in which group it is, and examples that can be typed as they stand."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cli.app import PANELS, app
from cli.examples import EXAMPLES
from cli.main import GROUPS
from cli.version import about
from tests.cli.deployed import Deployed, document

assert GROUPS


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, groups of commands included."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield name, command
        for below, beneath in getattr(command, "commands", {}).items():
            yield f"{name} {below}", beneath


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", sorted(COMMANDS))
class TestEveryCommand:
    def test_says_what_it_does(self, name: str) -> None:
        said = COMMANDS[name].help
        assert said
        assert said.strip().endswith((".", "?"))

    def test_has_examples(self, name: str) -> None:
        assert EXAMPLES.get(name), f"cli/examples.py has no example of rwm {name}"
        assert COMMANDS[name].epilog.startswith("Examples:\n")

    def test_shows_them(self, deployed: Deployed, name: str) -> None:
        shown = deployed.rwm(*name.split(), "--help").stdout
        for example in EXAMPLES[name]:
            assert example in " ".join(shown.split())

    def test_is_in_a_group(self, name: str) -> None:
        top = COMMANDS[name.split(maxsplit=1)[0]]
        assert top.rich_help_panel in PANELS


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, examples in EXAMPLES.items() for example in examples]
)
def test_an_example_is_of_its_command_and_can_be_typed(name: str, example: str) -> None:
    program, *words = shlex.split(example)
    named = name.split()
    assert [program, *words[: len(named)]] == ["rwm", *named]
    if not getattr(COMMANDS[name], "commands", {}):
        # Raises for a word too many, an option that there is not, an argument that is missing.
        COMMANDS[name].make_context(name, words[len(named) :])


def test_an_example_that_lacks_an_argument_would_be_noticed() -> None:
    with pytest.raises(Exception, match="Missing parameter: state"):
        COMMANDS["state"].make_context("state", ["alpha"])


def test_no_example_is_of_a_command_that_there_is_not() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


def test_help_lists_the_groups_in_order(deployed: Deployed) -> None:
    shown = deployed.rwm("--help").stdout
    there = [panel for panel in PANELS if f" {panel} " in shown]
    assert there == sorted(there, key=shown.index)
    assert len(there) == len(PANELS)


def test_the_version_is_told(deployed: Deployed) -> None:
    assert deployed.rwm("--version").stdout == f"rwm {about().rwm}\n"
    assert document(deployed.rwm("version", "--json")) == about().model_dump()
    assert f"rwm {about().rwm} (Python " in deployed.rwm("version").stdout
