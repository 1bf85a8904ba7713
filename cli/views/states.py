"""How `rwm states`, `rwm state` and `rwm diff` look."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.states import HeldBy, KeyChange, StateDetails, StateDiff, States
from cli.views.screen import printable, row, signed, size, table, when
from functions.domain.diff import Change
from functions.domain.state import Cause
from functions.domain.timeline import Growth

SHOWN_KEYS = 50

_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.REPLACED: "~"}


def show_states(found: States) -> Iterator[RenderableType]:
    if not found.states:
        name = found.repository
        yield Text(f"{name} has no recorded state yet; publish an event or run `rwm record {name}`")
        return
    listed = table(
        "state", "cut time", "objects", "size", "change", "hidden", "flags", "checked", "kept", "cause",
        right=("objects", "size", "change", "hidden"),
    )  # fmt: skip
    for each in found.states:
        row(
            listed,
            each.id[:12],
            when(each.cut_time),
            each.objects,
            size(each.bytes),
            _growth(each.change, each.kind),
            each.hidden,
            " ".join([*_flags(each), *(["last-good"] if each.id == found.last_good else [])]),
            _checked(each),
            _kept(each, short=True),
            _cause(each.cause),
        )
    yield listed
    if found.more:
        yield Text("there are older ones: --limit")


def show_state(found: StateDetails) -> Iterator[RenderableType]:
    facts = table("", "")
    for name, value in (
        ("state", found.id),
        ("repository", found.repository),
        ("generation", found.generation),
        ("parent", found.parent or "none: it is the first"),
        ("cut time", when(found.cut_time)),
        ("recorded at", when(found.recorded_at)),
        ("cause", _cause(found.cause)),
        ("flags", " ".join(_flags(found)) or "none"),
        ("checked", _checked(found)),
        ("kept", _kept(found, short=False)),
        *([("held", _held(found.held))] if found.held else []),
        ("change", _growth(found.change, found.kind)),
        ("hidden keys", found.hidden),
        ("noncurrent versions", found.noncurrent),
        ("lock files", f"{found.locks}, {found.stale_locks} of them older than 30 minutes"),
        ("manifest root", found.manifest_root),
        ("content root", found.content_root),
    ):
        row(facts, Text(name, style="bold"), value)
    facts.show_header = False
    yield facts
    yield Text("")
    types = table("type", "objects", "size", right=("objects", "size"))
    for kind, tally in sorted(found.by_type.items()):
        row(types, kind, tally.objects, size(tally.bytes))
    row(types, "all", found.objects, size(found.bytes), style="bold")
    yield types


def show_diff(found: StateDiff, everything: bool) -> Iterator[RenderableType]:
    yield Text(
        f"{found.before.id[:12]} ({when(found.before.cut_time)}) -> "
        f"{found.after.id[:12]} ({when(found.after.cut_time)}) of {found.repository}"
    )
    if found.same:
        yield Text("the same versions; nothing changed")
        return
    sums = table("type", "change", "objects", "size before", "size after", "not by restic", right=(
        "objects", "size before", "size after", "not by restic"
    ))  # fmt: skip
    for each in found.totals:
        row(
            sums,
            each.type,
            each.change,
            each.objects,
            size(each.bytes_before) if each.change is not Change.ADDED else "",
            size(each.bytes_after) if each.change is not Change.REMOVED else "",
            each.unexpected or "",
            style="red" if each.unexpected else None,
        )
    yield sums
    yield Text("")
    shown = found.changes if everything else found.changes[:SHOWN_KEYS]
    for change in shown:
        yield _key(change)
    if len(shown) < len(found.changes):
        yield Text(f"and {len(found.changes) - len(shown)} more keys: --all")
    if found.unexpected:
        yield Text(f"{found.unexpected} keys changed as restic changes none", style="bold red")


def _key(change: KeyChange) -> Text:
    sizes = " -> ".join(str(side.size) for side in (change.before, change.after) if side is not None)
    line = Text(f"{_SIGNS[change.change]} {printable(change.key)}  {sizes} B  ", style="" if change.expected else "red")
    return line.append(printable(change.meaning), style="dim" if change.expected else "red")


def _growth(change: Growth | None, kind: str) -> str:
    if change is None:
        return "first"
    if kind == "same":
        return "="
    return f"{signed(change.objects)}, {signed(change.bytes, size)}"


def _flags(found: StateDetails) -> list[str]:
    return [name for name, there in (("edge", found.edge), ("busy", found.busy)) if there]


def _checked(found: StateDetails) -> Text:
    """The newest outcome of each level; what passed is written small."""
    if not found.checked:
        return Text("not yet", style="dim")
    colours = {"pass": "green", "hold": "yellow", "fail": "bold red"}
    told = [Text(f"{level} {outcome if outcome == 'pass' else outcome.upper()}", colours[outcome])
            for level, outcome in found.checked.items()]  # fmt: skip
    return Text(", ").join(told)


def _kept(found: StateDetails, *, short: bool) -> Text:
    """Why, and until when: in a list only the reasons, and only the first two."""
    if found.dropped is not None:
        by = "" if short else f" by prune {found.dropped.prune}; its versions may be gone"
        return Text(printable(f"dropped {when(found.dropped.at)}{by}"), "dim")
    if not found.kept:
        return Text("the next prune drops it" if not short else "not any more", "yellow")
    reasons = found.kept[:2] if short else found.kept
    more = f" +{len(found.kept) - len(reasons)}" if len(reasons) < len(found.kept) else ""
    until = f", at least until {when(found.kept_until)}" if found.kept_until and not short else ""
    return Text(", ".join(reasons) + more + until)


def _held(held: HeldBy) -> str:
    return f"by {held.by} since {when(held.at)}: {held.why}"


def _cause(cause: Cause) -> str:
    snapshot = f"snapshot {cause.snapshot[:8]}" if cause.snapshot else None
    notes = [note for note in (snapshot, cause.outcome) if note]
    return f"{cause.reason} ({', '.join(notes)})" if notes else cause.reason
