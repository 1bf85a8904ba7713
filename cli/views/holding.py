"""How `rwm hold` and `rwm release` look."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.holding import Holding
from cli.views.screen import Screen, printable, when


def propose(screen: Screen, proposed: Holding) -> None:
    screen.say(f"{_named(proposed)} is held {_hold(proposed)}")


def question(proposed: Holding) -> str:
    return f"Release {proposed.state[:12]}? From then on its age decides how long it is kept."


def show(done: Holding) -> Iterator[RenderableType]:
    match done.outcome:
        case "held":
            yield Text(printable(f"{_named(done)} is held: it is kept until `rwm release`"))
            yield Text("It is kept with the name you called it by; CloudTrail has the proof of who you are.", "dim")
        case "already-held":
            yield Text(printable(f"{_named(done)} is held already, {_hold(done)}; nothing was changed"))
        case "released":
            yield Text(
                printable(
                    f"{_named(done)} is released; it was held {_hold(done)}. `rwm states` shows how long it stays"
                )
            )
        case _:
            yield Text(printable(f"{_named(done)} is not held; nothing was changed"))


def _named(holding: Holding) -> str:
    return f"state {holding.state[:12]} of {holding.repository} ({when(holding.cut_time)})"


def _hold(holding: Holding) -> str:
    since = f" since {when(holding.at)}" if holding.at else ""
    return f"by {holding.by}{since}: {holding.why}"
