"""How `rwm why` looks."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cli.views.plans import REASONS, WAITS
from cli.views.screen import printable, row, size, table, when
from cli.why import ObjectEntry, ObjectStory, PlannedHere, StateRef

SHOWN = 20
"""Rows of what can be long; `--json` has all."""
_BECAME = {
    "gone": "it is gone",
    "some-gone": "a part of its batch is gone",
    "stays": "nothing of its batch was deleted",
    "not-applied": "nothing was deleted",
    "unknown": "nobody wrote down what became of it",
}


def show(story: ObjectStory) -> Iterator[RenderableType]:
    """Who it is; what there is of it; which states name it; what was found; what was planned."""
    yield Text.assemble((printable(story.key), "bold"), f" of {story.repository}: {story.type}")
    if story.s3_seen:
        yield Text(f"S3 lists {story.s3_entries} versions and delete markers of it")
    else:
        yield Text(printable(f"what S3 lists of it, and its locks, were not visible: {story.s3_unseen}"), "yellow")
    for entry in story.entries:
        yield from _entry(entry, story)
    yield from _spans(story)
    yield from _findings(story)
    yield from _plans(story)


def _entry(entry: ObjectEntry, story: ObjectStory) -> Iterator[RenderableType]:
    what = "delete marker" if entry.marker else f"version of {size(entry.size or 0)}"
    place = {True: ", current", False: "", None: ""}[entry.current]
    gone = ", not listed any more" if entry.listed is False else ""
    yield Text.assemble(
        "\n", (printable(entry.version_id), "bold"), f"  {what}, written {when(entry.last_modified)}{place}",
        (gone, "red" if entry.pins else ""),
    )  # fmt: skip
    if not entry.marker:
        yield Text(f"     named by {_states(entry)}")
        yield from _pins(entry)
    if story.s3_seen and entry.listed and not entry.marker:
        yield Text(f"     {_locks(entry)}")
    yield Text(f"     a prune today: {_today(entry)}")


def _states(entry: ObjectEntry) -> str:
    if entry.first_state is None or entry.last_state is None:
        return "no recorded state"
    if entry.states == 1:
        return f"one state, {_state(entry.first_state)}"
    return f"{entry.states} states, from {_state(entry.first_state)} to {_state(entry.last_state)}"


def _state(ref: StateRef) -> str:
    return f"{ref.id[:12]} ({when(ref.cut_time)})"


def _pins(entry: ObjectEntry) -> Iterator[RenderableType]:
    if not entry.pins:
        yield Text("     no kept state names it", "yellow")
        return
    yield Text(f"     kept by {len(entry.pins)} of them:")
    listed = table("", "state", "cut at", "kept because", "until at least")
    for pin in entry.pins[:SHOWN]:
        why = ", ".join(pin.kept) or "nothing: the next prune drops it"
        held = f" by {pin.held.by}: {pin.held.why}" if pin.held else ""
        until = when(pin.kept_until) if pin.kept_until else "" if not pin.kept else "no clock ends it"
        row(listed, "    ", pin.id[:12], when(pin.cut_time), why + held, until)
    yield listed
    if len(entry.pins) > SHOWN:
        yield Text(f"     and {len(entry.pins) - SHOWN} more: --json")


def _locks(entry: ObjectEntry) -> str:
    if entry.locks is None:
        return "locks: not visible"
    lock = f"{entry.locks.mode} until {when(entry.locks.until)}" if entry.locks.until else "no retention"
    held = {True: ", and under a legal hold", False: "", None: "; whether it is under a legal hold was not visible"}
    return f"locks: {lock}{held[entry.locks.legal_hold]}"


def _today(entry: ObjectEntry) -> str:
    today = entry.today
    if today is None:
        return "there is nothing to delete" if entry.listed is False else "depends on what S3 lists"
    if today.why == "current":
        return "leaves it: it is current"
    if today.goes:
        return f"deletes it: {REASONS[today.why]}"  # type: ignore[index]
    return f"leaves it: {WAITS[today.why]}{f', until {when(today.until)}' if today.until else ''}"


def _spans(story: ObjectStory) -> Iterator[RenderableType]:
    yield Text(f"\nin {story.states} recorded states, the newest first:")
    listed = table("", "states", "kept", "from", "to", "named version", right=("states", "kept"))
    for span in story.spans[:SHOWN]:
        row(
            listed,
            "    ",
            span.states,
            span.kept,
            f"{span.first.generation} ({when(span.first.cut_time)})",
            f"{span.last.generation} ({when(span.last.cut_time)})",
            span.version_id or Text("absent", style="dim"),
        )
    yield listed
    if len(story.spans) > SHOWN:
        yield Text(f"and {len(story.spans) - SHOWN} earlier turns: --json")
    if story.unread:
        yield Text(f"{story.unread} dropped states can be read no more", style="yellow")


def _findings(story: ObjectStory) -> Iterator[RenderableType]:
    if not story.findings:
        yield Text("\nno finding names it")
        return
    yield Text("\nfindings that name it:")
    for each in story.findings[:SHOWN]:
        rest = " (acknowledged)" if each.acknowledged else ""
        style = {"FAIL": "bold red", "HOLD": "yellow", "NOTE": ""}[each.severity]
        yield Text.assemble(
            "     ",
            (each.severity, style),
            printable(
                f" {each.id}{rest}, since {when(each.since)}, by the check of {when(each.judged_at)}: {each.what}"
            ),
        )
        yield Text(printable(f"          what to do: {each.remedy}"))
    if len(story.findings) > SHOWN:
        yield Text(f"and {len(story.findings) - SHOWN} older ones: --json")


def _plans(story: ObjectStory) -> Iterator[RenderableType]:
    if story.plans:
        yield Text("\nprune plans that delete of it:")
        listed = table("", "plan", "drawn at", "status", "what", "why", "what became of it")
        for each in story.plans[:SHOWN]:
            row(listed, "    ", *_planned(each))
        yield listed
        if len(story.plans) > SHOWN:
            yield Text(f"and {len(story.plans) - SHOWN} older ones: --json")
    else:
        yield Text("\nno prune plan names it")
    if story.plans_unread:
        yield Text(f"{story.plans_unread} prune plans could not be read", style="yellow")


def _planned(each: PlannedHere) -> Sequence[str]:
    what = f"{'marker' if each.marker else 'version'} {each.version_id}"
    return (each.plan[:12], when(each.drawn_at), each.status, what, REASONS[each.reason], _BECAME[each.became])
