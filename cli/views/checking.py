"""How `rwm check` looks: level by level, what was found and what to do, and what may be said of the state."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cli.checking import CLAIMS, Check, CheckFinding, CheckRequest, LevelVerdict, how_to_look
from cli.views.screen import Screen, printable, size, when
from functions.domain.values import Severity
from functions.domain.verdict import CheckLevel

SHOWN_KEYS = 5

COLOURS = {Severity.FAIL: "bold red", Severity.HOLD: "yellow", Severity.NOTE: "dim"}
VERDICTS = {
    "pass": ("PASS", "green"),
    "hold": ("HOLD: a person has to look at it", "yellow"),
    "fail": ("FAIL: it has to be mended", "bold red"),
}
MEANINGS = {
    None: "not known to be consistent",
    "consistent": "consistent, as far as a listing can show; no object was read",
    "content verified": "content verified: each object has the bytes that its name promises",
    "complete": "complete: it holds all that its snapshots need",
}


def announce(screen: Screen, request: CheckRequest) -> None:
    what = (
        f"state {request.state[:12]} of {request.repository}" if request.state else f"{request.repository} as it is now"
    )
    where = f", restored to {request.target}," if request.target else ""
    screen.say(f"checking {what}{where} at the level {request.level}")


def show(check: Check) -> Iterator[RenderableType]:
    if check.outcome == "running":
        yield Text(f"started, and not waited for. {how_to_look(check)}")
        return
    for level in check.levels:
        yield from _level(check, level)
    if check.state is not None:
        yield _claim(check)


def _level(check: Check, level: LevelVerdict) -> Iterator[RenderableType]:
    findings = [finding for finding in check.findings if finding.level is level.level]
    for finding in findings:
        yield from _finding(finding)
    if level.level is CheckLevel.POSTURE:
        for what, why in check.unread.items():
            yield Text(printable(f"not read: {what}: {why}"), style="dim")
    verdict, colour = VERDICTS[level.outcome]
    figures = "".join(f"; {name.replace('_', ' ')} {_figure(name, count)}" for name, count in level.figures.items())
    yield Text.assemble(
        f"{level.level} of {check.repository}: ", (verdict, colour), f" ({_told(findings, level)}){figures}"
    )


def _told(findings: Sequence[CheckFinding], level: LevelVerdict) -> str:
    counts = Counter(finding.severity for finding in findings)
    told = [f"{counts[severity]} {severity}" for severity in Severity if counts[severity]] or ["no findings"]
    return ", ".join([*told, *([f"{level.acknowledged} acknowledged"] if level.acknowledged else [])])


def _finding(finding: CheckFinding) -> Iterator[RenderableType]:
    yield Text.assemble((f"{finding.severity} ", COLOURS[finding.severity]), printable(f"{finding.id}: {finding.what}"))
    yield Text(printable(f"     since {when(finding.since)}; what to do: {finding.remedy}"))
    for each in finding.evidence[:SHOWN_KEYS]:
        versions = f"{len(each.version_ids)} versions" if len(each.version_ids) != 1 else "1 version"
        yield Text(printable(f"     {each.key}  ({versions}{', wrong now' if each.standing else ''})"), style="dim")
    if (more := len(finding.evidence) - SHOWN_KEYS) > 0:
        yield Text(f"     and {more} more of {len(finding.evidence)} keys: --json has all, with their version ids")
    if finding.more:
        yield Text(f"     and {finding.more} keys beyond those: a check names so many at most")


def _figure(name: str, count: int) -> str:
    return size(count) if "bytes" in name else str(count)


def _claim(check: Check) -> Text:
    place = f" in {check.target}" if check.target else ""
    cut = f" (cut {when(check.cut_time)})" if check.cut_time else ""
    meaning = MEANINGS[check.claim]
    wanted = CLAIMS.get(check.level)
    more = f"; that it is {wanted} was not shown" if check.claim is not None and check.claim != wanted else ""
    return Text(f"state {str(check.state)[:12]} of {check.repository}{cut}{place} is {meaning}{more}", style="bold")
