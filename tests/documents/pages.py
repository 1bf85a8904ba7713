"""The pages, and the commands that they print."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

from local.synthesis import ROOT

Tag = Literal["", "host", "ci", "too-long", "aws-only"]
TAGS: tuple[Tag, ...] = ("", "host", "ci", "too-long", "aws-only")

_FENCED = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ENDS_WITH = re.compile(r"#.*\bexit code (\d+)\b")


@dataclass(frozen=True, slots=True)
class Command:
    """One command, over as many lines as it takes."""

    text: str
    exit_code: int
    """What its comment says, else 0."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of commands."""

    page: str
    line: int
    """Of the page, where the fence is."""
    heading: str
    tag: str
    """The second word of the info string; one of TAGS where the page is right."""
    text: str
    shown: tuple[str, ...]
    """What the page shows of what is printed; may be nothing."""

    @property
    def commands(self) -> list[Command]:
        return list(split(self.text))

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class _Fenced:
    start: int
    end: int
    info: str
    text: str


def pages() -> list[str]:
    """Every page, as a path in the checkout."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "host" / "README.md"]
    return [str(page.relative_to(ROOT)) for page in found]


@cache
def fences(page: str) -> frozenset[str]:
    """The info strings of all its fenced blocks."""
    return frozenset(each.info for each in _fenced((ROOT / page).read_text()))


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Its commands, in order."""
    return tuple(read((ROOT / page).read_text(), page))


def read(text: str, page: str) -> Iterator[Block]:
    """The commands of a page's text, in order."""
    headings = [(match.start(), match[1]) for match in _HEADING.finditer(_without_blocks(text))]
    found = list(_fenced(text))
    for each, after in pairwise([*found, None]):
        assert each is not None
        language, _, tag = each.info.partition(" ")
        if language != "sh":
            continue
        follows = after is not None and after.info == "text shown" and not text[each.end : after.start].strip()
        yield Block(
            page=page,
            line=text.count("\n", 0, each.start) + 1,
            heading=next((name for start, name in reversed(headings) if start < each.start), ""),
            tag=tag,
            text=each.text,
            shown=tuple(after.text.splitlines()) if follows and after is not None else (),
        )


def _fenced(text: str) -> Iterator[_Fenced]:
    for match in _FENCED.finditer(text):
        indent = len(match["indent"])
        lines = [line[indent:] for line in match["text"].splitlines(keepends=True)]
        yield _Fenced(match.start(), match.end(), match["info"].strip(), "".join(lines))


def _without_blocks(text: str) -> str:
    """The same length, so that places stay; a comment in a block is no heading."""
    return _FENCED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def split(text: str) -> Iterator[Command]:
    """The commands of a block: a line, and those that a shell wants to make it whole. Raises ValueError if the last one
    is not whole."""
    pending: list[str] = []
    for line in text.splitlines():
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending.append(line)
        if not _is_whole(pending):
            continue
        ends_with = _ENDS_WITH.search(line)
        yield Command("\n".join(pending), int(ends_with[1]) if ends_with else 0)
        pending = []
    if pending:
        raise ValueError(f"no shell can read {pending[0]!r} and what follows")


def _is_whole(lines: list[str]) -> bool:
    if lines[-1].endswith("\\"):
        return False
    # A shell takes the end of its input for the end of a here document.
    marks = re.findall(r"<<-?\s*['\"]?(\w+)", "\n".join(lines))
    if any(mark not in [line.strip() for line in lines[1:]] for mark in marks):
        return False
    script = "\n".join(lines)
    return subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False).returncode == 0
