"""What looks after a repository: prunes, locks, drills; and the backups that hosts announced."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from functions.domain.page import charts, words
from functions.domain.page.document import Drills, LockOutlook, NextPrune, Page, PruneDone
from functions.domain.page.head import Tone, frees
from functions.domain.page.html import Child, element
from functions.domain.page.tables import axis, code, row, table

_WAITS = {
    "named": "a kept state names it",
    "young": "hidden or replaced too recently",
    "undated": "nobody can tell since when it is hidden",
    "retained": "still locked",
    "null": "its version id is null",
    "flooded": "its key has too many versions",
    "first": "the oldest version of its name",
    "covers": "a marker that still hides something",
    "upload-pending": "a marker, and an upload is pending",
}
_REASONS = {
    "hidden": "hidden for longer than the grace",
    "replaced": "replaced for longer than the grace",
    "lock-file": "restic's old lock files",
    "spent-marker": "markers that hide nothing",
}


def prunes(prune: NextPrune, done: Sequence[PruneDone]) -> list[Child]:
    when = (
        f"The next one comes about {words.minute(prune.at)}"
        if prune.at
        else "One comes when it is asked for"
        if prune.schedule is None
        else f"The next one comes by its schedule, {prune.schedule}"
    )
    drops = f" It drops {words.plural(prune.due, 'state')}, as it is now." if prune.due else ""
    basis = {
        "plan": "by the newest plan, which is not carried out",
        "waited": "by what the last one let wait and whose time comes; later changes add to it",
        "unknown": "no plan has been drawn yet",
    }[prune.basis]
    parts: list[Child] = [element("p", f"{when}, and {frees(prune)}, {basis}.{drops}", class_="quiet")]
    newest = prune.newest
    if newest is not None:
        parts += [
            element(
                "p",
                f"The newest plan is of {words.minute(newest.drawn_at)}, ",
                element("strong", newest.status.replace("-", " "), class_=_status_tone(newest.status)),
                f": {words.plural(newest.versions, 'version')} of {words.size(newest.bytes)}, "
                f"{words.plural(newest.markers, 'marker')}, {words.plural(newest.drops, 'state')} dropped. ",
                code(f"rwm plan {newest.plan[:12]}"),
            ),
            element(
                "div",
                table(
                    "What it lets go",
                    (("because", ""), ("entries", "n"), ("bytes", "n")),
                    (
                        row(
                            (_REASONS.get(each.reason, str(each.reason)), ""),
                            (words.number(each.entries), "n"),
                            (words.size(each.bytes), "n"),
                        )
                        for each in newest.totals
                    ),
                )
                if newest.totals
                else element("p", "It lets nothing go.", class_="quiet"),
                table(
                    "What waits",
                    (("because", ""), ("bytes", "n"), ("until", "t")),
                    (
                        row(
                            (_WAITS.get(each.why, str(each.why)), ""),
                            (words.size(each.bytes), "n"),
                            (words.day(each.last) if each.last else "no date", "t"),
                        )
                        for each in newest.waiting
                    ),
                )
                if newest.waiting
                else element("p", "Nothing waits.", class_="quiet"),
                class_="two",
            ),
        ]
    if done:
        parts.append(
            table(
                "Prunes that were carried out, the newest first",
                (("verified", "t"), ("outcome", ""), ("reclaimed", "n"), ("versions", "n"), ("kept states whole", "n")),
                (
                    row(
                        (words.minute(each.at), "t"),
                        (
                            element(
                                "span", each.outcome, class_={"done": "good", "harmed": "bad"}.get(each.outcome, "warn")
                            ),
                            "",
                        ),
                        (words.size(each.reclaimed.bytes), "n"),
                        (words.number(each.reclaimed.objects), "n"),
                        (f"{each.kept_states - each.harmed_states} of {each.kept_states}", "n"),
                    )
                    for each in done
                ),
            )
        )
    return parts


def _status_tone(status: str) -> Tone:
    return "warn" if status in ("waiting", "expired") else "bad" if status == "rejected" else "quiet"


def locks(locks: LockOutlook | None) -> list[Child]:
    if locks is None:
        return [element("p", "The locks were not looked at yet, so nothing is known of them.", class_="quiet")]
    if not locks.object_lock:
        return [element("p", "The bucket has no Object Lock: nothing can be locked.", class_="warn")]
    looked = f"Looked at {words.minute(locks.made_at)}{'' if locks.complete else ', and not to the end'}. "
    told: list[Child] = [
        looked,
        f"A lock is set for {words.plural(locks.lock_days, 'day')} and set again before it ends. ",
    ]
    if locks.unlocked:
        told.append(element("strong", f"{words.plural(locks.unlocked, 'version')} have none.", class_="warn"))
    parts: list[Child] = [element("p", *told, class_="quiet")]
    if locks.weeks:
        counts = [each.states for each in locks.weeks]
        parts += [
            element(
                "div",
                element(
                    "div",
                    element("span", words.number(max(counts))),
                    element("span", "0"),
                    class_="scale",
                    aria_hidden="true",
                ),
                charts.columns(counts, "Kept states by the week in which their first lock ends"),
                axis(words.day(locks.weeks[0].begins), words.day(locks.weeks[-1].begins + timedelta(days=7))),
                class_="chart",
            ),
            element(
                "details",
                element("summary", "By week, as a table"),
                table(
                    "Kept states by the week in which their first lock ends",
                    (("week from", "t"), ("states", "n")),
                    (row((words.day(each.begins), "t"), (words.number(each.states), "n")) for each in locks.weeks),
                ),
            ),
        ]
    if locks.without:
        parts.append(element("p", f"Of {words.plural(locks.without, 'state')} no lock is known.", class_="warn"))
    return parts


def drills(page: Page) -> list[Child]:
    backups = (
        table(
            "The last backups that hosts announced",
            (("sent", "t"), ("snapshot", ""), ("restic says", ""), ("state", "o")),
            (
                row(
                    (words.minute(each.at), "t"),
                    ((each.snapshot or "not told")[:64], ""),
                    (
                        element(
                            "span", each.outcome or "nothing", class_="warn" if each.outcome == "incomplete" else None
                        ),
                        "",
                    ),
                    (each.state[:12], "o"),
                )
                for each in page.backups
            ),
            fold=True,
        )
        if page.backups
        else element("p", "No host announced a backup yet; states come from the schedule.", class_="quiet")
    )
    return [*_last_drill(page.drills), backups]


def _last_drill(drills: Drills) -> Iterator[Child]:
    newest = drills.newest
    if drills.overdue:
        yield element("p", element("strong", "A drill is overdue: ", class_="warn"), f"{drills.overdue}.")
    if newest is None:
        yield element("p", "No drill has restored this repository yet.", class_="quiet")
        return
    what = "a sample of it" if newest.sampled else "all of it"
    level = {"complete": "opened with the restic password", "content": "each object proven by its hash", None: ""}
    if newest.outcome == "restored":
        yield element(
            "p",
            f"The last drill, {words.minute(newest.at)}, ",
            element("strong", "restored", class_="good"),
            f" {what}: {words.plural(newest.objects, 'object')}, {words.size(newest.bytes)}, in "
            f"{words.span(timedelta(seconds=newest.seconds))}; {level[newest.level]}.",
        )
    else:
        why = newest.why.meaning if newest.why else "it is not known why"
        yield element(
            "p", f"The last drill, {words.minute(newest.at)}, ", element("strong", "failed", class_="bad"), f": {why}."
        )
