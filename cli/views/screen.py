"""Where a command writes: its document to stdout, everything else to stderr.

Security rule: keys, and what hosts put into events, are the attacker's to choose. Nothing of them reaches a
terminal as a control sequence, or Rich as markup.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import IO, Literal

from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cli.exits import ExitCode, Stop
from functions.domain.values import zulu

WIDE = 200
"""Columns where there is no terminal: what is piped must not be folded."""


class Screen:
    """One command's stdout and stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(sys.stdout, plain=as_json)
        self.err = _console(sys.stderr, plain=as_json)

    @property
    def interactive(self) -> bool:
        """Whether a person watches, so that things may move."""
        return self.err.is_terminal and not self.as_json

    def result(self, document: BaseModel, view: Callable[[], Iterable[RenderableType]]) -> None:
        """The command's one document: as JSON, or as `view` shows it."""
        if self.as_json:
            self.raw(json.dumps(document.model_dump(mode="json"), indent=2))
            return
        _print(self.out, view())

    def raw(self, text: str) -> None:
        self.out.print(text, soft_wrap=True, markup=False, highlight=False)

    def say(self, text: str) -> None:
        """A line of news, unless a program is reading."""
        if not self.as_json:
            self.err.print(printable(text), soft_wrap=True, markup=False, highlight=False)

    def tell(self, view: Callable[[], Iterable[RenderableType]]) -> None:
        """What a person has to see before the command goes on, unless a program is reading."""
        if not self.as_json:
            _print(self.err, view())

    def stopped(self, stop: Stop) -> None:
        """Why the command ends early: a sentence, and a document for the program that reads."""
        kind = ExitCode(stop.code).name.lower()
        message = printable(str(stop))
        if self.as_json:
            self.raw(json.dumps({"error": {"exit_code": int(stop.code), "kind": kind, "message": message}}, indent=2))
        style = "yellow" if stop.code is ExitCode.WAITING else "bold red"
        self.err.print(Text.assemble((f"{kind}: ", style), message), soft_wrap=True, highlight=False)


def _console(file: IO[str], *, plain: bool) -> Console:
    """Colours on a terminal only, unless NO_COLOR or FORCE_COLOR say otherwise; `plain`: never."""
    terminal = file.isatty()
    colours: Literal["auto", "standard"] = "standard" if os.environ.get("FORCE_COLOR") and not terminal else "auto"
    return Console(
        file=file,
        width=None if terminal else WIDE,
        # Not Rich's own idea of it: FORCE_COLOR asks for colours in a file, not for a bar that moves.
        force_terminal=terminal,
        color_system=None if plain else colours,
    )


def _print(console: Console, parts: Iterable[RenderableType]) -> None:
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text), markup=False, highlight=False)


def printable(text: str) -> str:
    """`text` with everything that could move a cursor or change a colour written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table; the columns named in `right` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    numbers = set(right)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


def row(made: Table, *cells: object, style: str | None = None) -> None:
    made.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in cells), style=style)


def size(count: int) -> str:
    """Bytes as restic writes them: `1.234 MiB`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if abs(count) >= 1024**power:
            return f"{count / 1024**power:.3f} {unit}"
    return f"{count} B"


def signed(count: int, shown: Callable[[int], str] = str) -> str:
    return f"+{shown(count)}" if count > 0 else shown(count) if count else "0"


def when(instant: datetime) -> str:
    return zulu(instant)
