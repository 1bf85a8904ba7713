"""How `rwm check` looks."""

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.checking import Check
from cli.views.screen import printable, when
from functions.domain.values import Severity

COLOURS = {Severity.FAIL: "bold red", Severity.HOLD: "yellow", Severity.NOTE: "dim"}
VERDICTS = {
    "pass": ("PASS", "green"),
    "hold": ("HOLD: a person has to look at it", "yellow"),
    "fail": ("FAIL: it has to be mended", "bold red"),
}


def show(check: Check) -> Iterator[RenderableType]:
    for finding in check.findings:
        yield Text.assemble(
            (f"{finding.severity} ", COLOURS[finding.severity]), printable(f"{finding.id}: {finding.what}")
        )
        yield Text(printable(f"     since {when(finding.since)}; what to do: {finding.remedy}"))
    for what, why in check.unread.items():
        yield Text(printable(f"not read: {what}: {why}"), style="dim")
    verdict, colour = VERDICTS[check.outcome]
    counts = Counter(finding.severity for finding in check.findings)
    told = ", ".join(f"{counts[severity]} {severity}" for severity in Severity if counts[severity]) or "no findings"
    yield Text.assemble(f"{check.level} of {check.repository}: ", (verdict, colour), f" ({told})")
