"""How `rwm cost` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.costing import Cost
from cli.views.screen import row, table
from functions.domain.cost import Group
from functions.domain.page.words import amount, dollars, number, size

GROUPS: dict[Group, str] = {
    "storage": "current objects",
    "noncurrent": "hidden, replaced",
    "hosts": "hosts' requests",
    "rwm": "RWM itself",
}


def show(found: Cost) -> Iterator[RenderableType]:
    told = found.estimate
    listed = table("part", "what", "how much", "unit", "of one", "a month", right=("how much", "of one", "a month"))
    for line in told.lines:
        row(
            listed,
            GROUPS[line.group],
            line.what,
            "unknown" if line.quantity is None else amount(line.quantity),
            line.unit,
            f"{line.price:g}",
            "unknown" if line.dollars is None else dollars(line.dollars),
        )
    row(listed, "together", "", "", "", "", dollars(told.total), style="bold")
    yield listed
    for what in told.unknown:
        yield Text(f"not in it, because unknown: {what}", style="yellow")
    yield Text("")
    yield Text(
        f"A restore of all of the newest state: {dollars(found.to_bucket)} into a bucket, with the copy for a month; "
        f"{dollars(found.to_directory)} to a directory outside AWS"
    )
    yield from _packs(found)
    yield Text(
        f"An estimate by list prices of {told.region}, as of {told.prices_as_of}, without free tiers, taxes and "
        "discounts; docs/cost.md explains each line, and --prices takes others",
        style="dim",
    )


def _packs(found: Cost) -> Iterator[RenderableType]:
    packs = found.packs
    yield Text(f"{number(packs.packs)} packs of {size(packs.average)} on average")
    for each in found.savings:
        advised = each.target == packs.target
        yield Text(
            f"packs of {each.target} MiB: about {number(each.packs)} of them, {dollars(each.month)} less a month, "
            f"{dollars(each.restore)} less for a restore{'; advised' if advised else ''}",
            style="bold" if advised else "",
        )
