"""How findings look that are told without their keys."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.findings import ToldFinding
from cli.views.checking import COLOURS
from cli.views.screen import printable, when


def show(findings: Iterable[ToldFinding]) -> Iterator[RenderableType]:
    for each in findings:
        yield Text.assemble((f"{each.severity} ", COLOURS[each.severity]), printable(f"{each.id}: {each.what}"))
        yield Text(printable(f"     since {when(each.since)}; what to do: {each.remedy}"))
