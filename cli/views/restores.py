"""How `rwm restores` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.restores import Past, Restores, Status, UnderWay
from cli.views.screen import row, size, table, when

_STATUSES: dict[Status, tuple[str, str]] = {
    "running": ("running", "bold"),
    "ended": ("ended; the next prune takes this away", "yellow"),
    "unknown": ("unknown to Step Functions", "bold yellow"),
}
_OUTCOMES = {"restored": "", "restored-damaged": "bold red", "incomplete": "bold red"}


def show(found: Restores) -> Iterator[RenderableType]:
    if found.under_way:
        yield Text(f"under way, and no prune of {found.repository} drops or deletes until they have ended:")
        yield from _under_way(found.under_way)
    else:
        yield Text(f"no restore of {found.repository} is under way")
    if any(each.status == "unknown" for each in found.under_way):
        yield Text("What is unknown may run: prunes stop until an administrator has looked (docs/operations.md).")
    if not found.restores:
        yield Text(f"no restore of {found.repository} was verified yet")
        return
    yield from _past(found.restores)
    if found.more:
        yield Text("there are older ones: --limit")


def _under_way(restores: tuple[UnderWay, ...]) -> Iterator[RenderableType]:
    listed = table("restore", "state", "since", "status")
    for each in restores:
        row(listed, each.execution, each.state[:12], when(each.since), Text(*_STATUSES[each.status]))
    yield listed


def _past(restores: tuple[Past, ...]) -> Iterator[RenderableType]:
    listed = table(
        "restore", "verified at", "outcome", "state", "target", "proven", "size", right=("proven", "size")
    )  # fmt: skip
    for each in restores:
        row(
            listed,
            each.execution,
            when(each.verified_at) if each.verified_at else "-",
            Text(each.outcome, _OUTCOMES[each.outcome]),
            each.state[:12],
            each.target,
            f"{each.proven} of {each.objects}",
            size(each.bytes),
        )
    yield listed
