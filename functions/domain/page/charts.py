"""Charts: small SVG without a script and without words, whose tables stand beside them.

They are stretched to the page's width, so that lines keep their width and words do not shrink with them: what is
written is HTML around them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.page.html import Child, Element, element, together

WIDE = 1000
"""Of a chart's own coordinates."""
MOST_LINKS = 40
"""States of one strip that can be reached by keyboard: the newest of those of note. All are in the table."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A state on the strip."""

    at: datetime
    kind: str
    """`pass`, `none`, `hold` or `fail`."""
    fell: bool
    last_good: bool
    told: str
    """What a link to it says; empty: there is none."""
    target: str
    """Where the link leads."""


_HEIGHTS = {"pass": 20, "none": 14, "hold": 40, "fail": 64}


def strip(marks: Sequence[Mark], label: str) -> Element:
    """Each state a line: the taller, the worse. `marks`: the oldest first, at least one."""
    place = Scale(marks[0].at, marks[-1].at)
    quiet: dict[str, list[str]] = {"pass": [], "none": []}
    loud: list[Element] = []
    for mark in marks:
        x = place(mark.at)
        if mark.kind in quiet and not mark.told:
            quiet[mark.kind].append(f"M{_short(x)} 70v-{_HEIGHTS[mark.kind]}")
        else:
            loud.append(_loud(mark, x))
    return element(
        "svg",
        element("path", class_="s-base", d=f"M0 70.5H{WIDE}"),
        *(element("path", class_=f"s-{kind}", d="".join(lines)) for kind, lines in quiet.items() if lines),
        *loud,
        class_="strip",
        viewBox=f"0 0 {WIDE} 76",
        preserveAspectRatio="none",
        role="group",
        aria_label=label,
    )


def _loud(mark: Mark, x: float) -> Element:
    height = _HEIGHTS[mark.kind]
    kind = "good" if mark.last_good else mark.kind
    parts: list[Child] = [element("title", mark.told) if mark.told else None]
    if mark.told:
        parts.append(element("path", class_="hit", d=f"M{_short(x)} 76V0"))
    parts.append(element("path", class_=f"s-{kind}", d=f"M{_short(x)} 70v-{height}"))
    if mark.fell:
        # A line beneath the ground: something became fewer.
        parts.append(element("path", class_=f"s-{kind}", d=f"M{_short(x)} 71v5"))
    if not mark.told:
        return together(parts)
    return element("a", *parts, href=f"#{mark.target}", aria_label=mark.told)


def area(
    now: Sequence[tuple[datetime, int]], everything: Sequence[tuple[datetime, int]], most: int, label: str
) -> Element:
    """Bytes over time: an area of what is current, and a dashed line of all that was listed, with its points."""
    first = min(points[0][0] for points in (now, everything) if points)
    last = max(points[-1][0] for points in (now, everything) if points)
    place = Scale(first, last)

    def y(count: int) -> float:
        return 200 - 195 * count / max(1, most)

    line = _path((place(at), y(count)) for at, count in now)
    filled = f"{line}V200H{_short(place(now[0][0]))}Z"
    dots = "".join(f"M{_short(place(at))} {_short(y(count))}h0" for at, count in everything)
    return element(
        "svg",
        *(element("path", class_="g", d=f"M0 {height}H{WIDE}") for height in (5, 102, 200)),
        element("path", class_="a-now", d=filled),
        element("path", class_="l-now", d=line),
        element("path", class_="l-all", d=_path((place(at), y(count)) for at, count in everything))
        if len(everything) > 1
        else None,
        element("path", class_="d-all", d=dots) if dots else None,
        class_="area",
        viewBox=f"0 0 {WIDE} 200",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def bar(share: float, colour: str = "first") -> Element:
    """One horizontal bar; `share`: 0 to 1. The number stands beside it."""
    length = 100 * min(1.0, max(0.0, share))
    return element(
        "svg",
        element("rect", class_="f-ground", width=100, height=10),
        element("rect", class_=f"f-{colour}", width=max(0.6, length) if share > 0 else 0, height=10),
        class_="bar",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def stack(shares: Iterable[tuple[str, float]], label: str) -> Element:
    """One bar of several parts: (colour, share of the whole)."""
    at = 0.0
    parts = []
    for colour, share in shares:
        parts.append(element("rect", class_=f"f-{colour}", x=at, width=WIDE * share, height=20))
        at += WIDE * share
    return element(
        "svg",
        *parts,
        class_="stack",
        viewBox=f"0 0 {WIDE} 20",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def columns(counts: Sequence[int], label: str) -> Element:
    """A column for each count."""
    wide = WIDE / max(1, len(counts))
    most = max(1, *counts)
    return element(
        "svg",
        element("path", class_="g", d=f"M0 100H{WIDE}"),
        *(
            element(
                "rect",
                class_="f-first",
                x=place * wide + wide * 0.15,
                y=100 - 95 * count / most,
                width=wide * 0.7,
                height=95 * count / most,
            )
            for place, count in enumerate(counts)
            if count
        ),
        class_="columns",
        viewBox=f"0 0 {WIDE} 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def swatch(colour: str) -> Element:
    """The colour of a part, for a key."""
    return element(
        "svg",
        element("rect", class_=f"f-{colour}", width=14, height=14),
        viewBox="0 0 14 14",
        aria_hidden="true",
    )


def stroke(kind: str, height: int) -> Element:
    """The line of a state, for a key."""
    return element(
        "svg",
        element("path", class_=f"s-{kind}", d=f"M7 14v-{height}"),
        viewBox="0 0 14 14",
        aria_hidden="true",
    )


class Scale:
    """From a time to a place."""

    def __init__(self, first: datetime, last: datetime) -> None:
        self._first = first
        self._length = max(timedelta(seconds=1), last - first)

    def __call__(self, at: datetime) -> float:
        """Not at the very edge: a line there would be cut."""
        return 4 + (WIDE - 8) * ((at - self._first) / self._length)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
