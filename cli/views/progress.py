"""How a workflow looks while it goes on."""

from collections.abc import Iterable

from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cli.views.screen import Screen
from cli.workflow import Progress


def watch(screen: Screen, steps: Iterable[Progress]) -> None:
    """Show `steps` until they end: a bar for a person, a line for each change otherwise."""
    if screen.interactive:
        _bar(screen, steps)
        return
    last = None
    for step in steps:
        if step != last:
            screen.say(_line(step))
            last = step


def _bar(screen: Screen, steps: Iterable[Progress]) -> None:
    stage = TextColumn("{task.description}")
    columns = (SpinnerColumn(), stage, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=screen.err, transient=True) as bar:
        task = bar.add_task("started", total=None)
        for step in steps:
            failed = f", {step.failed} failed" if step.failed else ""
            bar.update(task, description=f"{step.stage}{failed}", completed=step.done, total=step.total or None)


def _line(step: Progress) -> str:
    batches = f": {step.done} of {step.total} batches" if step.total else ""
    return f"{step.stage}{batches}{f', {step.failed} failed' if step.failed else ''}"
