"""How `rwm timeline` looks: one line for each state, and in words between which two the repository went bad."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.views.checking import COLOURS
from cli.views.screen import printable, row, signed, size, table, when
from functions.domain.timeline import Moment, Timeline, Turn, TypeChange
from functions.domain.values import Severity

_OUTCOMES = {"pass": ("pass", "green"), "hold": ("HOLD", "yellow"), "fail": ("FAIL", "bold red")}
_ITSELF = frozenset({"quiet"})
"""Marks that need no word."""


def show(found: Timeline) -> Iterator[RenderableType]:
    if not found.moments:
        name = found.repository
        yield Text(f"{name} has no recorded state yet; publish an event or run `rwm record {name}`")
        return
    listed = table(
        "cut time", "state", "objects", "size", "since the one before", "judged", "findings", "marks",
        right=("objects", "size"),
    )  # fmt: skip
    for each in found.moments:
        row(
            listed,
            when(each.cut_time),
            each.id[:12],
            each.objects,
            size(each.bytes),
            Text(_change(each), "bold red" if each.fell else ""),
            Text(*_OUTCOMES[each.outcome]) if each.outcome else Text("not yet", "dim"),
            _findings(each),
            " ".join(mark for mark in each.marks if mark not in _ITSELF),
        )
    yield listed
    if found.more:
        yield Text("there are older ones: --limit")
    yield from _summary(found)


def _summary(found: Timeline) -> Iterator[RenderableType]:
    if found.turn:
        yield _turn(found.repository, found.turn)
    if found.last_good and found.last_good_at:
        yield Text(
            f"last-good is state {found.last_good[:12]}, cut {when(found.last_good_at)}: `rwm restore "
            f"{found.repository} last-good` brings it back",
            style="bold green",
        )
        if not found.turn:
            yield Text("nothing speaks against any state that came after it")
    else:
        yield Text(f"no state is known to be good; `rwm check {found.repository}` judges the newest", style="yellow")


def _turn(repository: str, turn: Turn) -> Text:
    ids = ", ".join(f"{each.severity} {each.id}" for each in turn.findings if each.severity is not Severity.NOTE)
    if turn.last_good and turn.after:
        told = (
            f"It went wrong after {when(turn.after)} and by {when(turn.by)}: {ids}. "
            f"`rwm diff {repository} {turn.last_good[:12]} {turn.first_bad[:12]}` names what changed."
        )
    else:
        told = f"Already the state of {when(turn.by)}, {turn.first_bad[:12]}, is bad: {ids}."
    return Text(printable(told), style="bold red")


def _change(moment: Moment) -> str:
    """What went first: it is what a person looks for."""
    if moment.change is None:
        return "first"
    if moment.same:
        return "="
    if not moment.by_type:
        return "as many as before, other versions"
    less = [each for each in moment.by_type if each.objects < 0 or (each.objects == 0 and each.bytes < 0)]
    more = [each for each in moment.by_type if each not in less]
    told = ", ".join(map(_type, [*less, *more]))
    return f"FELL: {told}" if moment.fell else told


def _type(change: TypeChange) -> str:
    return f"{signed(change.objects)} {change.type} ({signed(change.bytes, size)})"


def _findings(moment: Moment) -> Text:
    told = [Text(f"{each.severity} {printable(each.id)}", COLOURS[each.severity]) for each in moment.findings]
    return Text(", ").join(told)
