"""How `rwm record` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.recording import Recording
from cli.views.screen import printable, when


def show(recording: Recording) -> Iterator[RenderableType]:
    state = f"state {recording.state[:12]} (generation {recording.generation})" if recording.state else "no state"
    match recording.outcome:
        case "recorded":
            yield Text(f"recorded {state} of {recording.repository}")
        case "answered":
            yield Text(f"already answered by {state} of {recording.repository}; nothing was recorded")
        case "not-yet":
            again = f"; run it again after {when(recording.until)}" if recording.until else "; run it again later"
            yield Text(printable(f"not yet: {recording.message}; nothing was recorded{again}"), style="yellow")
        case "refused":
            yield Text(f"no state of {recording.repository} was recorded", style="bold red")
    for finding in recording.findings:
        yield Text.assemble((f"{finding.severity} ", "bold red"), printable(f"{finding.id}: {finding.what}"))
        yield Text(printable(f"     what to do: {finding.remedy}"))
