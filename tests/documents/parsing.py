"""What is not run here is parsed: there is such a command, and it has these options."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import app
from local.synthesis import ROOT

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_ENDS = frozenset({";", "&&", "||", "|", "&", "(", ")", "{", "}", "then", "do", "else", "!"})


class CannotBeTyped(Exception):
    """A command that a page prints and nobody can run."""


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command, without assignments before it and comments."""
    for inner in re.findall(r"\$\(([^()]*)\)", text):
        yield from simple_commands(inner)
    lexer = shlex.shlex(_on_one_line(text), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ENDS or set(word) <= set(";&|()"):
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.fullmatch(word):
            words.append(word)


def _on_one_line(text: str) -> str:
    """Without comments, each end of a line a semicolon: what a shell's lexer knows, and shlex does not."""
    written, quote, in_comment = [], "", False
    for before, character in pairwise("\n" + text.replace("\\\n", " ")):
        if character == "\n" and not quote:
            in_comment = False
            written.append(" ; ")
            continue
        if character == "#" and not quote and before.isspace():
            in_comment = True
        if in_comment:
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        written.append(character)
    return "".join(written)


def parse(text: str, *, whole: bool = True) -> list[str]:
    """The programs that a command names. What is not `whole`, as in a sentence, may lack arguments.

    Raises CannotBeTyped for an `rwm`, `make` or `aws` that there is not.
    """
    programs = []
    for words in simple_commands(text):
        program = words[0].rpartition("/")[2]
        programs.append(program)
        if program == "rwm":
            _parse_rwm(words[1:], whole=whole)
        elif program == "make":
            _parse_make(words[1:])
        elif program == "aws":
            _parse_aws(words[1:])
    return programs


def _parse_rwm(arguments: Sequence[str], *, whole: bool) -> None:
    command, left = get_command(app), [*arguments, *([] if whole else ["--help"])]
    context = typer.Context(command, info_name="rwm")
    try:
        while isinstance(command, TyperGroup):
            # Read, not parsed: `rwm --install-completion` does so as it is parsed.
            options = {name for each in command.get_params(context) for name in each.opts}
            while left and left[0] in options - {"--help"}:
                del left[0]
            if not left or left[0] == "--help":
                return
            name, found, left = command.resolve_command(context, left)
            assert found is not None
            command, context = found, typer.Context(found, info_name=name, parent=context)
        if "--help" not in left:
            command.parse_args(context, left)
    except typer.TyperException as error:
        raise CannotBeTyped(f"rwm {shlex.join(arguments)}: {error.format_message()}") from error


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _parse_make(arguments: Sequence[str]) -> None:
    targets = [each for each in arguments if not _ASSIGNMENT.fullmatch(each)]
    if not set(targets) <= make_targets():
        raise CannotBeTyped(f"make {shlex.join(arguments)}: the Makefile has {', '.join(sorted(make_targets()))}")


@cache
def _aws() -> "subprocess.Popen[str]":
    """It ends as its input does, with this process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.documents.aws_cli"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _parse_aws(arguments: Sequence[str]) -> None:
    asked, answers = _aws().stdin, _aws().stdout
    assert asked is not None
    assert answers is not None
    asked.write(json.dumps(list(arguments)) + "\n")
    asked.flush()
    if (wrong := json.loads(answers.readline())) is not None:
        raise CannotBeTyped(wrong)
