"""How `rwm ledger verify` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.ledger import VerifiedLedger
from cli.views.screen import Screen, when
from functions.domain.state import StateHeader

EACH = 100


def follow(screen: Screen, header: StateHeader) -> None:
    """Now and then, which state is proven: it takes a while where there are thousands."""
    if header.generation % EACH == 0:
        screen.say(f"generation {header.generation} holds ({when(header.cut_time)})")


def show(found: VerifiedLedger) -> Iterator[RenderableType]:
    yield Text(
        f"the ledger of {found.repository} holds: {found.states} states from generation 1 to {found.generation}, "
        f"{found.bases} of them bases and {found.deltas} deltas; every link and root"
    )
    yield Text(f"{found.anchored} heads in the records bucket are those of these states")
    if found.dropped:
        yield Text(f"{found.dropped} states were dropped by prunes: their entries were not looked at", "dim")
