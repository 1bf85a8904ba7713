"""What `--json` prints is written down, and does not change under the programs that read it."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cli.dead_letters import DeadLetters
from cli.documents import DOCUMENTS, SCHEMAS, breaks, documents, file_of, main, schema
from tests.cli.deployed import Deployed, document
from tests.cli.test_help import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
LEAVES = sorted(name for name, command in COMMANDS.items() if not getattr(command, "commands", {}))
WAS = schema(DeadLetters)


def test_every_command_with_json_has_a_document() -> None:
    with_json = {name for name in LEAVES if any("--json" in parameter.opts for parameter in COMMANDS[name].params)}
    assert set(DOCUMENTS) == with_json


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_schema_is_that_of_its_model(name: str) -> None:
    written = json.loads(file_of(name).read_text())
    assert written == schema(documents()[name]), "python -m cli.documents writes it anew"


def test_there_is_no_schema_of_what_is_not_printed() -> None:
    assert {file.name for file in SCHEMAS.iterdir()} == {file_of(name).name for name in documents()}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_command_names_its_documents(name: str) -> None:
    _, _, section = PAGE.read_text().partition(f"\n## rwm {name.split(maxsplit=1)[0]}\n")
    section = section.partition("\n## ")[0]
    for each in DOCUMENTS[name]:
        assert f"(json/{each.__name__}.schema.json)" in section, f"docs/cli.md, rwm {name}"


def test_a_command_that_stops_prints_the_document_for_that(deployed: Deployed) -> None:
    said = document(deployed.rwm("states", "gamma", "--json"))
    error = documents()["Stopped"].model_validate(said)
    assert error.model_dump(mode="json") == said


def changed(*path: str, **values: Any) -> dict[str, Any]:
    """The schema of the dead letters with something set in one place."""
    new = deepcopy(WAS)
    at: Any = new
    for step in path:
        at = at[step]
    at.update(values)
    return new


def without(*path: str) -> dict[str, Any]:
    new = deepcopy(WAS)
    at: Any = new
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return new


LETTER = ("$defs", "DeadLetter", "properties")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (without("properties", "more"), ["more is gone"]),
        (without(*LETTER, "sent"), ["messages[].sent is gone"]),
        (changed(required=["queue"]), ["messages may be missing", "more may be missing", "replays may be missing"]),
        (changed("properties", "more", type="string"), ["more may be string, and was boolean"]),
        (changed(*LETTER, id={"anyOf": [{"type": "string"}, {"type": "null"}]}), ["messages[].id may be null"]),
        (changed(*LETTER, "became", enum=["left", "gone"]), ["messages[].became never says discarded, replayed"]),
        (changed("properties", "messages", items={"type": "string"}), ["messages[] may be string, and was object"]),
    ],
    ids=["gone", "gone below", "optional", "type", "null", "words", "items"],
)
def test_what_would_break_a_program_is_noticed(new: dict[str, Any], said: list[str]) -> None:
    found = breaks(WAS, new)
    assert len(found) == len(said)
    for each, words in zip(found, said, strict=True):
        assert each.startswith(words)


@pytest.mark.parametrize(
    "new",
    [
        changed("properties", later={"type": "string"}),
        changed(*LETTER, queue={"type": "string"}),
        changed(*LETTER, "became", enum=["left", "replayed", "discarded", "lost"]),
        changed(*LETTER, "sent", description="in other words"),
    ],
    ids=["a new field", "never null", "a new word", "words"],
)
def test_what_breaks_nothing_is_let_through(new: dict[str, Any]) -> None:
    assert breaks(WAS, new) == []


def test_a_field_that_was_renamed_is_not_written_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.documents.SCHEMAS", tmp_path)
    assert main([]) == 0
    assert main([]) == 0
    file = tmp_path / "DeadLetters.schema.json"
    older = json.loads(file.read_text())
    older["properties"]["mail"] = older["properties"].pop("messages")
    file.write_text(json.dumps(older))
    assert main([]) == 1
    assert "DeadLetters: mail is gone" in capsys.readouterr().err
    assert json.loads(file.read_text()) == older
    assert main(["--break"]) == 0
    assert json.loads(file.read_text()) == WAS


def test_each_field_has_the_words_of_its_model() -> None:
    described = WAS["$defs"]["DeadLetter"]["properties"]["body"]
    assert described["description"] == "Its first 500 characters."
