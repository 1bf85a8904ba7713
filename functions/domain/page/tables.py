"""What the parts of the page are made of: tables, rows, keys of charts."""

from collections.abc import Iterable, Sequence

from functions.domain.page.html import Child, Element, element


def table(caption: str, columns: Sequence[tuple[str, str]], rows: Iterable[Element], *, fold: bool = False) -> Element:
    """`columns`: (name, class); those of class `o` are left out where the page is narrow."""
    head = [
        element("th", name, scope="col", class_=kind or None) if name else element("td", class_=kind or None)
        for name, kind in columns
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *head)),
            element("tbody", *rows),
            class_="fold" if fold else None,
        ),
        class_="wide",
    )


def row(*cells: tuple[Child, str]) -> Element:
    """(content, class) of each cell; the first one names the row."""
    (first, kind), *others = cells
    return element(
        "tr",
        element("th", first, scope="row", class_=kind or None),
        *(element("td", content, class_=each or None) for content, each in others),
    )


def axis(first: str, last: str) -> Element:
    return element("div", element("span", first), element("span", last), class_="axis", aria_hidden="true")


def key(entries: Iterable[tuple[Element, str]]) -> Element:
    return element("ul", *(element("li", sign, name) for sign, name in entries), class_="key")


def code(command: str) -> Element:
    return element("code", command)
