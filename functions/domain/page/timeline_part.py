"""The timeline of the page: each state a line, what happened in words, and all of it as a table."""

from collections.abc import Iterator, Sequence

from functions.domain.page import charts, words
from functions.domain.page.document import Page
from functions.domain.page.head import MOST_FOUND, Tone
from functions.domain.page.html import Child, Element, element
from functions.domain.page.tables import axis, key, table
from functions.domain.timeline import Moment, TypeChange
from functions.domain.values import Severity

_TONES: dict[Severity, Tone] = {Severity.FAIL: "bad", Severity.HOLD: "warn", Severity.NOTE: "quiet"}
_MOST_HAPPENED = 8


def timeline(page: Page, prefix: str) -> list[Child]:
    moments = page.timeline.moments
    noted = [each for each in moments if _is_of_note(each)]
    reachable = {each.id for each in noted[: charts.MOST_LINKS]}
    marks = [
        charts.Mark(
            at=each.cut_time,
            kind=each.outcome or "none",
            fell=each.fell,
            last_good="last-good" in each.marks,
            told=_told(each) if each.id in reachable else "",
            target=f"{prefix}-s{each.generation}",
        )
        for each in reversed(moments)
    ]
    bad = sum(each.outcome in ("hold", "fail") for each in moments)
    what = f"{words.plural(len(moments), 'state')}, {words.number(bad)} of them with a HOLD or a FAIL"
    return [
        element("p", f"{what}{'; there are older ones' if page.timeline.more else ''}.", class_="quiet"),
        element(
            "div",
            charts.strip(marks, f"{what}. Those of note are links, and the table below has all of them."),
            axis(words.day(marks[0].at), words.day(marks[-1].at)),
            class_="chart plain",
        ),
        key(
            [
                (charts.stroke("pass", 6), "nothing found"),
                (charts.stroke("none", 4), "not judged"),
                (charts.stroke("hold", 10), "HOLD"),
                (charts.stroke("fail", 14), "FAIL; below the line: something became fewer"),
            ]
        ),
        _happened(noted, prefix),
        element(
            "details",
            element("summary", f"All {words.plural(len(moments), 'state')} as a table"),
            table(
                "States, the newest first; times are UTC",
                (("cut", "t"), ("state", "o"), ("objects", "n o"), ("size", "n"), ("change", ""), ("found", "")),
                (_state_row(each, prefix, linked=each.id in reachable) for each in moments),
                fold=True,
            ),
        ),
    ]


def _is_of_note(moment: Moment) -> bool:
    return moment.outcome in ("hold", "fail") or moment.fell or not {"held", "last-good"}.isdisjoint(moment.marks)


def _told(moment: Moment) -> str:
    marks = [mark for mark in moment.marks if mark in ("last-good", "held", "dropped")]
    found = [f"{each.severity} {each.id}" for each in moment.findings if each.severity is not Severity.NOTE]
    fell = ["something became fewer"] if moment.fell else []
    return f"{words.minute(moment.cut_time)}: {', '.join([*found[:MOST_FOUND], *fell, *marks])}"


def _happened(noted: Sequence[Moment], prefix: str) -> Element | None:
    shown = [each for each in noted if each.outcome in ("hold", "fail") or each.fell][:_MOST_HAPPENED]
    if not shown:
        return element("p", element("span", "Nothing was found, and nothing became fewer.", class_="good"))
    return element(
        "ul",
        *(
            element(
                "li",
                element("a", words.minute(each.cut_time), href=f"#{prefix}-s{each.generation}"),
                "  ",
                *(_found(each) if each.outcome in ("hold", "fail") else ["became fewer:"]),
                element("span", f" {_changes(each)}" if each.fell else "", class_="quiet"),
            )
            for each in shown
        ),
        class_="happened",
    )


def _state_row(moment: Moment, prefix: str, *, linked: bool) -> Element:
    marks = [mark for mark in moment.marks if mark != "quiet"]
    return element(
        "tr",
        element("td", words.minute(moment.cut_time), class_="t"),
        element("td", moment.id[:12], class_="o"),
        element("td", words.number(moment.objects), class_="n o"),
        element("td", words.size(moment.bytes), class_="n"),
        element("td", _changes(moment), class_="bad" if moment.fell and moment.outcome != "pass" else None),
        element("td", *_found(moment), f" {', '.join(marks)}" if marks else None),
        id=f"{prefix}-s{moment.generation}" if linked or _is_of_note(moment) else None,
    )


def _changes(moment: Moment) -> str:
    if moment.change is None:
        return "first"
    if moment.same:
        return "="
    if not moment.by_type:
        return "other versions"
    return ", ".join(map(_change, moment.by_type))


def _change(change: TypeChange) -> str:
    return f"{words.signed(change.objects)} {change.type} ({words.signed_size(change.bytes)})"


def _found(moment: Moment) -> Iterator[Child]:
    if moment.outcome is None:
        yield element("span", "not judged", class_="quiet")
        return
    serious = [each for each in moment.findings if each.severity is not Severity.NOTE]
    for place, each in enumerate(serious[:MOST_FOUND]):
        if place:
            yield ", "
        yield element("span", f"{each.severity} {each.id}", class_=_TONES[each.severity])
    if len(serious) > MOST_FOUND:
        yield f" and {len(serious) - MOST_FOUND} more"
    if not serious:
        yield "pass"
