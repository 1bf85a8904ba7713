"""How `rwm report` looks on a terminal: where the page is, and what is on it."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.reporting import Written
from cli.views.screen import printable
from functions.domain.page.head import HEALTH
from functions.domain.page.words import size

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "quiet": "dim"}


def show(found: Written) -> Iterator[RenderableType]:
    for each in found.repositories:
        word, tone = HEALTH[each.health]
        yield Text.assemble(f"{printable(each.repository)}: ", (word, _STYLES[tone]))
    yield Text(f"{printable(found.file)}, {size(found.bytes)}; open it in any browser")
