"""What there is: growth, objects and their sizes, and what each kept state needs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from functions.domain.page import charts, words
from functions.domain.page.document import Grown, Kept, Page
from functions.domain.page.html import Child, element
from functions.domain.page.tables import axis, key, row, table
from functions.domain.restic import FileType

_TYPES = {
    FileType.PACK: "packs",
    FileType.INDEX: "indexes",
    FileType.SNAPSHOT: "snapshots",
    FileType.KEY: "key files",
    FileType.CONFIG: "config",
    FileType.LOCK: "lock files",
    FileType.ALIEN: "not restic's",
}
_MOST_KEPT, _ALL_KEPT = 12, 120
"""Kept states that are shown at once, and at all."""


def growth(grown: Grown) -> list[Child]:
    points, listed = grown.points, grown.listed
    most = max([*(each.bytes for each in points), *(each.bytes for each in listed), 1])
    newest = points[-1]
    current = f"{words.size(newest.bytes)} are current, in {words.plural(newest.objects, 'object')}"
    told: list[Child] = [
        f"{current}, beside {words.plural(newest.noncurrent, 'version')} that are hidden or replaced. "
    ]
    if listed:
        told.append(
            f"These took {words.size(listed[-1].noncurrent_bytes)} when a prune last listed them, "
            f"{words.minute(listed[-1].at)}."
        )
    else:
        told.append("How many bytes these take is unknown until a prune has listed them; a dry run does, too.")
    label = f"From {words.size(points[0].bytes)} on {words.day(points[0].at)} to {words.size(newest.bytes)}"
    return [
        element("p", *told, class_="quiet"),
        element(
            "div",
            element(
                "div",
                element("span", words.size(most)),
                element("span", words.size(most // 2)),
                element("span", "0"),
                class_="scale",
                aria_hidden="true",
            ),
            charts.area(
                [(each.at, each.bytes) for each in points], [(each.at, each.bytes) for each in listed], most, label
            ),
            axis(
                words.day(min([points[0].at, *(each.at for each in listed[:1])])),
                words.day(max([newest.at, *(each.at for each in listed[-1:])])),
            ),
            class_="chart",
        ),
        key(
            [(charts.swatch("first"), "current bytes, as states name them")]
            + ([(charts.swatch("second"), "all versions, where a prune listed them")] if listed else [])
        ),
        element(
            "details",
            element("summary", "By month, as a table"),
            table(
                "The last state of each month",
                (("cut", "t"), ("objects", "n"), ("current", "n"), ("noncurrent versions", "n"), ("their bytes", "n")),
                (
                    row(
                        (words.minute(each.at), "t"),
                        (words.number(each.objects), "n"),
                        (words.size(each.bytes), "n"),
                        (words.number(each.noncurrent), "n"),
                        (_noncurrent_of(grown, each.at.strftime("%Y-%m")), "n"),
                    )
                    for each in {point.at.strftime("%Y-%m"): point for point in points}.values()
                ),
            ),
        ),
    ]


def _noncurrent_of(grown: Grown, month: str) -> str:
    seen = [each.noncurrent_bytes for each in grown.listed if each.at.strftime("%Y-%m") == month]
    return words.size(seen[-1]) if seen else "unknown"


def objects(page: Page) -> list[Child]:
    if not page.sizes:
        return [element("p", "The entries of the newest state could not be read, so nothing is known.", class_="bad")]
    objects = sum(each.objects for each in page.sizes)
    total = sum(each.bytes for each in page.sizes)
    ranges = [sum(counts) for counts in zip(*(each.by_size for each in page.sizes), strict=True)]
    most = max(1, *ranges)
    edges = ["0", *map(words.size, page.edges)]
    names = [f"up to {edges[1]}", *(f"{low} to {high}" for low, high in pairwise(edges[1:]))]
    names.append(f"{edges[-1]} and more")
    return [
        *_advice(page),
        table(
            "By type of file in the newest state",
            (
                ("type", ""),
                ("objects", "n"),
                ("of all objects", "o"),
                ("bytes", "n"),
                ("of all bytes", "o"),
                ("average", "n"),
            ),
            (
                row(
                    (_TYPES[each.type], ""),
                    (words.number(each.objects), "n"),
                    (charts.bar(each.objects / max(1, objects)), "b o"),
                    (words.size(each.bytes), "n"),
                    (charts.bar(each.bytes / max(1, total), "second"), "b o"),
                    (words.size(each.bytes // max(1, each.objects)), "n"),
                )
                for each in sorted(page.sizes, key=lambda each: -each.bytes)
            ),
            fold=True,
        ),
        table(
            "How many objects there are of each size",
            (("size of an object", ""), ("", "b"), ("objects", "n"), ("of these packs", "n o")),
            (
                row((name, "t"), (charts.bar(count / most), "b"), (words.number(count), "n"), (packs, "n o"))
                for name, count, packs in zip(names, ranges, _packs_of(page), strict=True)
                if count
            ),
            fold=True,
        ),
    ]


def _packs_of(page: Page) -> list[str]:
    packs = next((each.by_size for each in page.sizes if each.type is FileType.PACK), None)
    return [words.number(count) for count in packs] if packs else ["0"] * (len(page.edges) + 1)


def _advice(page: Page) -> Iterator[Child]:
    advice = page.packs
    if advice is None:
        return
    there = f"{words.plural(advice.packs, 'pack')} of {words.size(advice.average)} on average"
    if advice.verdict == "few":
        yield element("p", f"{there}: too few to advise another size.", class_="quiet")
    elif advice.verdict == "good":
        yield element("p", f"{there}. ", element("span", "The size of packs is good as it is.", class_="good"))
    else:
        target, then = advice.target or 0, advice.packs_then or 0
        if advice.verdict == "larger":
            yield element(
                "p",
                f"{there}. ",
                element("strong", f"Larger packs are worth it: --pack-size {target}", class_="warn"),
                f" would make about {words.number(then)} of them. restic then needs {words.size(advice.room or 0)} for "
                "temporary files on the host.",
            )
        else:
            yield element(
                "p",
                f"{there}, much less than the {target} MiB that restic aims at. ",
                element("strong", "restic prune --repack-small", class_="warn"),
                f", with the maintenance key, would make about {words.number(then)} of them.",
            )
        if page.saving and page.saving.month >= 0.005:
            yield element(
                "p",
                f"Once all packs have that size, a month costs about {words.dollars(page.saving.month)} less, and a "
                f"restore to a bucket {words.dollars(page.saving.restore)} less.",
            )
        yield element(
            "p",
            "A new size holds for new packs only. A repack writes the others anew, and the old ones stay, and are paid "
            "for, until no kept state names them.",
            class_="quiet",
        )


def kept(kept: Kept) -> list[Child]:
    due = sum(not each.why for each in kept.states)
    told: list[Child] = [f"The next prune drops {words.number(due)} of these states. "] if due else []
    if kept.together is not None:
        told.insert(
            0,
            f"{words.plural(len(kept.states), 'state')} are kept, and name {words.size(kept.together.bytes)} in "
            f"{words.plural(kept.together.objects, 'version')}, each counted once. What only one of them names is what "
            "goes when it is dropped, once it is hidden for the grace and not locked. ",
        )
    else:
        told.insert(
            0,
            f"{words.plural(len(kept.states), 'state')} are kept. What each needs alone is unknown: {kept.unknown}. ",
        )
    if kept.one_in > 1:
        told.append(f"Of packs, one in {kept.one_in} was looked at, and multiplied.")
    most = max([1, *(each.only.bytes for each in kept.states if each.only)])
    rows = [
        row(
            (words.minute(each.cut_time), "t"),
            (each.id[:12], "o"),
            (charts.bar(each.only.bytes / most) if each.only else "", "b o"),
            (words.size(each.only.bytes) if each.only else "unknown", "n"),
            (words.size(each.bytes), "n o"),
            (_why(each.why), ""),
        )
        for each in kept.states
    ]
    columns = (
        ("cut", "t"), ("state", "o"), ("", "b o"), ("only this one", "n"), ("in all", "n o"), ("why it is kept", ""),
    )  # fmt: skip
    parts: list[Child] = [
        element("p", *told, class_="quiet"),
        table("Kept states, the newest first", columns, rows[:_MOST_KEPT], fold=True),
    ]
    if len(rows) > _MOST_KEPT:
        parts.append(
            element(
                "details",
                element("summary", f"Older ones, up to {words.number(len(rows[:_ALL_KEPT]) - _MOST_KEPT)}"),
                table("Older kept states", columns, rows[_MOST_KEPT:_ALL_KEPT], fold=True),
            )
        )
    return parts


def _why(why: Sequence[str]) -> Child:
    if not why:
        return element("span", "the next prune drops it", class_="warn")
    return ", ".join(why[:2]) + (f" and {len(why) - 2} more" if len(why) > 2 else "")
