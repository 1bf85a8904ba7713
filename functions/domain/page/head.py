"""The head of a repository on the page: how it is, in words, and its figures."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Literal

from functions.domain.page import words
from functions.domain.page.document import Health, NextPrune, Page
from functions.domain.page.html import Child, Element, element, together
from functions.domain.page.tables import code
from functions.domain.timeline import Turn
from functions.domain.values import Severity

Tone = Literal["good", "warn", "bad", "quiet"]
HEALTH: dict[Health, tuple[str, Tone]] = {
    "good": ("Good", "good"),
    "unjudged": ("Not judged yet", "quiet"),
    "late": ("Too old", "warn"),
    "hold": ("HOLD", "warn"),
    "fail": ("FAIL", "bad"),
    "broken": ("The ledger is damaged", "bad"),
    "empty": ("Nothing recorded", "quiet"),
}
"""What the newest state is, in a word, and how that is coloured."""
MOST_FOUND = 4
"""Findings that a row of the table names; `rwm check` has all."""


def summary(page: Page, level: int, prefix: str) -> Element:
    """What a person wants to know first, and the figures."""
    word, tone = HEALTH[page.health]
    border = "good" if page.health in ("good", "unjudged", "empty") else tone
    return together(
        [
            element(f"h{level}", page.repository, id=prefix, class_="title"),
            element(
                "div",
                element(
                    "div",
                    element("p", element("span", word, class_=f"word {tone}")),
                    *(element("p", *told) for told in _said(page)),
                ),
                class_=f"status is-{border}",
            ),
            element("dl", *(_card(*card) for card in _cards(page)), class_="cards") if page.states else None,
        ]
    )


def _said(page: Page) -> Iterator[Sequence[Child]]:
    name = page.repository
    if page.health == "broken":
        yield (
            page.trouble,
            ". A state chosen by its full id still proves itself; ",
            code(f"rwm ledger verify {name}"),
        )
        return
    if page.health == "empty":
        yield ("Publish an event from the host, or run ", code(f"rwm record {name}"), ".")
        return
    newest = page.timeline.moments[0]
    age = words.span(page.made_at - newest.cut_time)
    if page.health in ("fail", "hold"):
        ids = [f"{each.severity} {each.id}" for each in page.findings if each.severity is not Severity.NOTE]
        yield (", ".join(ids[:MOST_FOUND]) or "see the check", ". ", code(f"rwm check {name}"), " says what to do.")
    elif page.health == "late":
        limit = words.span(timedelta(seconds=page.max_age))
        yield (f"The newest state is {age} old, and should be {limit} old at the most. Is the host backing up?",)
    elif page.health == "unjudged":
        yield ("The newest state was never judged: ", code(f"rwm check {name}"), ".")
    else:
        yield (f"Nothing speaks against the newest state, which is {age} old.",)
    if page.timeline.turn:
        yield _turn(name, page.timeline.turn)
    elif page.timeline.last_good is None:
        yield ("No state is known to be good yet.",)


def _turn(name: str, turn: Turn) -> Sequence[Child]:
    if turn.last_good and turn.after:
        return (
            f"It went wrong between {words.minute(turn.after)} and {words.minute(turn.by)}. ",
            code(f"rwm diff {name} {turn.last_good[:12]} {turn.first_bad[:12]}"),
            " names what changed; ",
            code(f"rwm restore {name} last-good"),
            " brings back what was before.",
        )
    return (f"Already the state of {words.minute(turn.by)} is bad.",)


def _cards(page: Page) -> Iterator[tuple[str, str, str]]:
    newest = page.timeline.moments[0]
    backup = page.backups[0] if page.backups else None
    yield (
        "Last backup",
        f"{words.span(page.made_at - backup.at)} ago" if backup else "none",
        words.minute(backup.at) if backup else "no host announced one",
    )
    good = page.timeline.last_good_at
    yield (
        "Last good state",
        f"{words.span(page.made_at - good)} ago" if good else "none",
        words.minute(good) if good else "",
    )
    yield "Size", words.size(newest.bytes), words.plural(newest.objects, "object")
    kept = len(page.kept.states)
    yield "States to restore from", words.number(kept), f"of {words.number(page.states)} recorded"
    prune = page.prune
    yield (
        "Next prune",
        words.day(prune.at) if prune.at else "on request" if prune.schedule is None else "by its schedule",
        frees(prune),
    )
    locks = page.locks
    yield (
        "First lock ends",
        words.day(locks.earliest) if locks and locks.earliest else "unknown" if locks is None else "none",
        f"{words.number(locks.unlocked)} versions without a lock" if locks and locks.unlocked else "",
    )
    drill = page.drills.newest
    yield (
        "Last drill",
        "none yet" if drill is None else f"{drill.outcome}" if drill.outcome == "restored" else "FAILED",
        f"{words.day(drill.at)}, in {words.span(timedelta(seconds=drill.seconds))}" if drill else "",
    )
    yield (
        "In a month, about",
        words.dollars(page.cost.total) if page.cost else "unknown",
        "and what is unknown" if page.cost and page.cost.unknown else "an estimate by list prices",
    )


def _card(name: str, value: str, more: str) -> Element:
    return element(
        "div",
        element("dt", name),
        element("dd", element("span", value, class_="big"), element("span", more, class_="quiet small")),
    )


def frees(prune: NextPrune) -> str:
    if prune.frees is None:
        return "what it frees is unknown"
    return f"frees about {words.size(prune.frees)}"
