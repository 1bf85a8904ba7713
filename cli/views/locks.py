"""How `rwm locks` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.locks import Locks
from cli.views import findings
from cli.views.screen import printable, row, table, when
from functions.domain.locks.report import StateLocks


def show(found: Locks) -> Iterator[RenderableType]:
    if not found.object_lock:
        yield Text(f"no version of {found.repository} is locked: its bucket has no Object Lock", style="yellow")
        yield from findings.show(found.findings)
        return
    listed = table(
        "state", "generation", "cut time", "versions", "without a lock", "earliest expiry", "notes",
        right=("generation", "versions", "without a lock"),
    )  # fmt: skip
    for each in found.states:
        row(
            listed,
            each.state[:12],
            each.generation,
            when(each.cut_time),
            each.versions,
            Text(str(each.unlocked), "" if each.due else "yellow") if each.unlocked else "0",
            when(each.earliest) if each.earliest else "no lock",
            Text(_notes(each), "yellow"),
        )
    yield listed
    if found.more_states:
        yield Text(f"and {found.more_states} older kept states")
    yield from _totals(found)
    for refused in found.refused:
        yield Text(printable(f"     refused for {refused.versions} versions: {refused.why}"), style="yellow")
    yield from findings.show(found.findings)


def _totals(found: Locks) -> Iterator[RenderableType]:
    first = f"the first lock ends {when(found.earliest)}" if found.earliest else "there is no lock"
    yield Text(
        f"{found.looked_at} versions that kept states of {found.repository} name were looked at: {first}; "
        f"{found.unlocked} are without a lock; {found.extended} locks were set or lengthened, to {found.lock_days} days"
    )
    if found.due:
        yield Text(f"{found.due} are named by no state but such as the next prune drops, and get no new lock")
    if found.gone:
        yield Text(f"{found.gone} versions were gone when they were looked at; `rwm check` judges it", style="red")
    if found.complete:
        yield Text(f"from {when(found.begun_at)} to {when(found.made_at)}", style="dim")
        return
    yield Text(
        printable(
            f"not complete: begun {when(found.begun_at)}, and by {when(found.made_at)} it had come to "
            f"{found.done_until}; the next run goes on"
        ),
        style="yellow",
    )


def _notes(each: StateLocks) -> str:
    left = each.versions - each.looked_at
    notes = ["the next prune drops it"] if each.due else []
    notes += [f"{left} not looked at"] if left > 0 else []
    return ", ".join([*notes, *(["could not be proven"] if each.unproven else [])])
