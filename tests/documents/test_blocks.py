"""What the pages print, before anything is run: each block is of a known kind, and each command can be typed."""

import re
import shlex
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from local.synthesis import ROOT
from tests.documents.__main__ import NOT_RUN, main
from tests.documents.pages import TAGS, Block, Command, blocks, fences, pages, read, split
from tests.documents.parsing import CannotBeTyped, make_targets, parse
from tests.documents.world import NotAsPrinted, checked, compare

ALL = tuple(chain.from_iterable(map(blocks, pages())))
SHELLS = ("bash", "shell", "console", "zsh", "shell-session", "terminal", "powershell")
CI = (ROOT / ".ci" / "run").read_text()


def tagged(*tags: str) -> list[Block]:
    return [block for block in ALL if block.tag in tags]


def test_each_block_of_commands_is_of_a_kind_that_is_known() -> None:
    assert [str(block) for block in ALL if block.tag not in TAGS] == []


def test_no_commands_hide_behind_another_language() -> None:
    hidden = [f"{page}: {info}" for page in pages() for info in fences(page) if info.partition(" ")[0] in SHELLS]
    assert hidden == []


def test_most_blocks_are_run_and_those_that_are_not_are_counted() -> None:
    """A new block that is not run changes a number here, and somebody asks why."""
    counts: dict[str, int] = {tag or "run": len(tagged(tag)) for tag in TAGS}
    assert (counts["ci"], counts["too-long"], counts["aws-only"]) == (2, 1, 11)
    assert counts["run"] + counts["host"] > 2 * sum(counts[tag] for tag in ("ci", *NOT_RUN))


def test_ci_prints_what_it_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"^part \.venv/bin/python -m tests\.documents$", CI, re.MULTILINE)
    assert main() == 0
    printed = capsys.readouterr().out
    assert [block for block in tagged(*NOT_RUN) if f"{block} ({block.tag}), parsed: " not in printed] == []


@pytest.mark.parametrize("block", ALL, ids=str)
def test_each_command_can_be_typed(block: Block) -> None:
    """An unknown command, option, target, service or operation fails, whether the block is run or not."""
    programs = [program for command in block.commands for program in parse(command.text)]
    assert programs


@pytest.mark.parametrize("block", tagged("ci"), ids=str)
def test_what_ci_is_said_to_run_it_runs(block: Block) -> None:
    commands = [" ".join(shlex.split(command.text, comments=True)) for command in block.commands]
    missing = [each for each in commands if not re.search(rf"\bpart {re.escape(each)}$", CI, re.MULTILINE)]
    assert missing == []


@pytest.mark.parametrize("block", tagged("too-long"), ids=str)
def test_what_takes_too_long_is_no_more_than_make(block: Block) -> None:
    assert {program for command in block.commands for program in parse(command.text)} == {"make"}


INLINE = re.compile(r"(?<!`)`(?:[A-Z_]+=\S+ )?(rwm [a-z][^`…|\[]*)`(?!`)")


def inline() -> list[tuple[str, str]]:
    """The `rwm …` that a page has in its sentences, with stand-ins in capitals."""
    found = [(page, text) for page in pages() for text in INLINE.findall((ROOT / page).read_text())]
    return sorted({(page, " ".join(text.split())) for page, text in found})


def test_there_are_commands_in_sentences() -> None:
    assert len(inline()) > 100


@pytest.mark.parametrize(("page", "text"), inline())
def test_a_command_in_a_sentence_is_one_that_there_is(page: str, text: str) -> None:
    parse(text, whole=False)


def test_the_cdk_of_the_pages_is_the_makefiles() -> None:
    pinned = re.compile(r"aws-cdk@(\S+)")
    (version,) = set(pinned.findall((ROOT / "Makefile").read_text()))
    assert {found for block in ALL for found in pinned.findall(block.text)} == {version}


# --- the reader of pages, and the parser, themselves


PAGE = """# Title
## One
```sh
rwm states alpha
```

```text shown
seen …
```

1. In a list:

   ```sh aws-only
   make deploy
   ```

## Two
```json
{"a": 1}
```
```sh host
# only a comment
restic backup /srv; \\
  rwm-publish --restic-exit $?
cat <<'END'
rwm nothing
END
```
"""


def test_a_page_is_read_with_headings_tags_and_what_it_shows() -> None:
    first, listed, second = read(PAGE, "x.md")
    assert (first.heading, first.tag, first.shown, first.line) == ("One", "", ("seen …",), 3)
    assert (listed.heading, listed.tag, listed.text) == ("One", "aws-only", "make deploy\n")
    assert (second.heading, second.tag, second.shown) == ("Two", "host", ())


def test_a_command_takes_as_many_lines_as_a_shell_wants() -> None:
    *_, block = read(PAGE, "x.md")
    assert [command.text.splitlines()[0] for command in block.commands] == [
        "restic backup /srv; \\",
        "cat <<'END'",
    ]


def test_a_comment_says_how_a_command_ends() -> None:
    assert list(split("rwm prune a   # exit code 3: a plan waits\nrwm prunes a  # all of them\n")) == [
        Command("rwm prune a   # exit code 3: a plan waits", 3),
        Command("rwm prunes a  # all of them", 0),
    ]


def test_half_a_command_is_noticed() -> None:
    with pytest.raises(ValueError, match="no shell can read"):
        list(split("if true\n"))


@pytest.mark.parametrize(
    "text",
    [
        "rwm check alpha --deep",
        "rwm nothing",
        "rwm check",
        "A=1 rwm states --jsn alpha",
        "X=$(rwm states alpha --jsn)",
        "true; make nothing",
        "cd x && aws sqs send-massage --queue-url x",
        "aws sqs send-message --queue-url x",
        "aws sqs send-message --queue-url x --message-body y --delay 1",
        "aws no-service",
    ],
)
def test_what_nobody_can_type_is_noticed(text: str) -> None:
    with pytest.raises(CannotBeTyped):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "rwm check alpha --level content   # it's deep",
        "rwm ledger verify alpha",
        "aws s3 mb s3://bucket",
        "aws --profile a sts get-caller-identity --query Account",
        "make synth REPOSITORIES=other.toml",
    ],
)
def test_what_can_be_typed_is_let_through(text: str) -> None:
    assert parse(text)


# --- the runner


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("true\nfalse  # exit code 1: as it should\ntrue", 0),
        ("true\nfalse\ntouch never", 1),
        ("true  # exit code 3: a plan waits", 1),
        ("false | true; exit_code=3; (exit $exit_code)  # exit code 3", 0),
    ],
)
def test_each_command_has_to_end_as_the_page_says(tmp_path: Path, text: str, ends: int) -> None:
    script = "".join(map(checked, split(text)))
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, list(tmp_path.iterdir())) == (ends, [])


@pytest.mark.parametrize("shown", ["…all 14 objects are proven", "restored state …\nreport: …", "a  b", ""])
def test_what_a_page_shows_may_be_a_part_of_what_is_printed(shown: str) -> None:
    compare(showing(shown), "restored state 1f: all 14 objects are proven\nreport: s3://x\na b\n")


@pytest.mark.parametrize("shown", ["all 14 objects", "…15 objects…", "report: …\nrestored …", "a b c"])
def test_what_a_page_shows_and_nobody_sees_is_noticed(shown: str) -> None:
    with pytest.raises(NotAsPrinted):
        compare(showing(shown), "restored state 1f: all 14 objects are proven\nreport: s3://x\na b\n")


def showing(shown: str) -> Block:
    return Block("x.md", 1, "", "", "true\n", tuple(shown.splitlines()))


def test_every_make_target_but_those_for_maintainers_is_on_a_page() -> None:
    named = {target for page in pages() for target in re.findall(r"\bmake ([a-z-]+)", (ROOT / page).read_text())}
    assert make_targets() - named <= {"help", "pins", "embedded"}
