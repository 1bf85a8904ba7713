"""What it costs."""

from functions.domain.cost import Estimate, Group
from functions.domain.page import charts, words
from functions.domain.page.document import Page
from functions.domain.page.html import Child, element, together
from functions.domain.page.tables import code, row, table

_GROUPS: tuple[tuple[Group, str, str], ...] = (
    ("storage", "Current objects", "first"),
    ("noncurrent", "Hidden and replaced versions", "second"),
    ("hosts", "Requests of hosts", "third"),
    ("rwm", "RWM itself", "fourth"),
)


def cost(page: Page) -> list[Child]:
    cost = page.cost
    if cost is None:
        return [element("p", "The entries of the newest state could not be read, so nothing is known.", class_="bad")]
    total = max(cost.total, 1e-9)
    shares = [(colour, cost.of(group) / total) for group, _, colour in _GROUPS]
    told = "; ".join(f"{title}: {words.dollars(cost.of(group))}" for group, title, _ in _GROUPS)
    rows = [
        row(
            (together([charts.swatch(colour), title]), "swatched"),
            (_amount(cost, group), "n"),
        )
        for group, title, colour in _GROUPS
    ]
    rows.append(
        element(
            "tr",
            element("th", "in a month", scope="row"),
            element("td", words.dollars(cost.total), class_="n"),
            class_="sum",
        )
    )
    return [
        element(
            "p",
            f"An estimate by list prices of {cost.region}, as of {cost.prices_as_of}, without free tiers, taxes and "
            f"discounts. ",
            f"Not in it, because unknown: {'; '.join(cost.unknown)}. " if cost.unknown else None,
            code(f"rwm cost {page.repository}"),
            " takes other prices.",
            class_="quiet",
        ),
        element("div", charts.stack(shares, told), class_="chart plain"),
        element(
            "div",
            table("A month", (("part", ""), ("dollars", "n")), rows),
            table(
                "A restore of all of the newest state, once",
                (("to", ""), ("dollars", "n")),
                (
                    row(("a bucket, and a month of it", ""), (words.dollars(cost.restoring("bucket")), "n")),
                    row(("a directory outside AWS", ""), (words.dollars(cost.restoring("directory")), "n")),
                    row(("a directory in the same region", ""), (words.dollars(_within(cost)), "n")),
                ),
            ),
            class_="two",
        ),
        element(
            "details",
            element("summary", "Line by line"),
            table(
                "Each line of a month",
                (("what", ""), ("how much", "n"), ("unit", "o"), ("of one", "n o"), ("dollars", "n")),
                (
                    row(
                        (each.what, ""),
                        ("unknown" if each.quantity is None else words.amount(each.quantity), "n"),
                        (each.unit, "o"),
                        (f"{each.price:g}", "n o"),
                        ("unknown" if each.dollars is None else words.dollars(each.dollars), "n"),
                    )
                    for each in cost.lines
                ),
                fold=True,
            ),
        ),
    ]


def _amount(cost: Estimate, group: Group) -> str:
    lines = [line for line in cost.lines if line.group == group]
    if lines and all(line.dollars is None for line in lines):
        return "unknown"
    return words.dollars(cost.of(group))


def _within(cost: Estimate) -> float:
    """Without what the way out of the region costs."""
    return cost.restoring("directory") - sum(
        line.dollars for line in cost.restore if line.to == "directory" and line.what.startswith("to the internet")
    )
