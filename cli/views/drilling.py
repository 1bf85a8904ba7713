"""How `rwm drill` looks while it goes on, at its end, and in a list."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.drilling import Drill, DrillResult, Drills, how_to_look
from cli.views.screen import Screen, printable, row, size, table, when

_LEVELS = {
    "content": "each object has the bytes that it should have",
    "complete": "complete: opened with the restic password, it holds all that its snapshots need",
}


def announce(screen: Screen, drill: Drill) -> None:
    screen.say(f"drilling {drill.repository}: its last good state is restored to where it is deleted within two days")


def show(drill: Drill) -> Iterator[RenderableType]:
    if drill.result is None:
        yield Text(f"started, and not waited for. {how_to_look(drill)}")
        return
    result = drill.result
    if result.state and result.cut_time:
        yield Text(f"state {result.state[:12]} of {result.repository}, cut {when(result.cut_time)}: {_part(result)}")
    if result.outcome == "restored":
        sound = _LEVELS[result.level or "content"]
        yield Text(f"restored and proven in {_time(result.seconds)}: {sound}", style="bold green")
        return
    yield Text(f"the drill failed after {_time(result.seconds)}: {_why(result)}", style="bold red")
    if result.detail:
        yield Text(printable(f"     {result.detail}"), style="red")
    yield Text(f"Its restore and its check are executions of the same name: {result.execution}")


def show_drills(found: Drills) -> Iterator[RenderableType]:
    if found.overdue_since:
        yield Text(f"overdue: a drill should have succeeded by {when(found.overdue_since)}", style="bold yellow")
    if not found.drills:
        yield Text(f"no drill of {found.repository} has ended yet; `rwm drill {found.repository}` begins one")
        return
    listed = table(
        "drill", "ended at", "outcome", "level", "state", "restored", "size", "took", "why",
        right=("restored", "size", "took"),
    )  # fmt: skip
    for each in found.drills:
        row(
            listed,
            each.execution,
            when(each.ended_at),
            Text(each.outcome, "" if each.outcome == "restored" else "bold red"),
            each.level or "-",
            each.state[:12] if each.state else "-",
            f"{each.proven} of {each.state_objects}",
            size(each.bytes),
            _time(each.seconds),
            Text(each.why or "", "red"),
        )
    yield listed
    if found.more:
        yield Text("there are older ones: --limit")


def _part(result: DrillResult) -> str:
    whole = f"{result.state_objects} objects, {size(result.state_bytes)}"
    if result.sample_bytes is None:
        return f"all of its {whole}"
    return f"a sample, {result.objects} objects, {size(result.bytes)}, of its {whole}"


def _why(result: DrillResult) -> str:
    return result.why.meaning if result.why else "for no reason that its report names"


def _time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s" if minutes else f"{left} s"
