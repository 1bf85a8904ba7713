"""How `rwm plans` and `rwm plan` look, and `rwm approve` and `rwm reject`, which show the plan first."""

import json
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cli.deciding import Decided
from cli.plans import Plan, PlanDetails, PlanEntry, Plans
from cli.views import findings
from cli.views.screen import Screen, printable, row, size, table, when
from functions.domain.prune.approval import Decision
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.plan import Waiting
from functions.domain.prune.results import Stays
from functions.domain.prune.rules import Reason, Waits

SHOWN_STATES = 20
REASONS: dict[Reason, str] = {
    Reason.HIDDEN: "hidden for longer than the grace",
    Reason.REPLACED: "replaced longer ago than the grace",
    Reason.LOCK_FILE: "lock files that are long gone",
    Reason.SPENT_MARKER: "delete markers with nothing left to hide",
}
WAITS: dict[str, str] = {
    Waits.NAMED: "a kept state names it",
    Waits.YOUNG: "hidden or replaced less than the grace ago",
    Waits.UNDATED: "nobody can tell since when it is replaced: by a multipart upload",
    Waits.RETAINED: "the bucket's default retention holds it",
    Waits.NULL: "its version id is `null`",
    Waits.FLOODED: "its key has too many versions to be judged",
    Waits.FIRST: "the oldest version of its name: the checks tell the false ones above it by it",
    Waits.COVERS: "a delete marker over a version that stays",
    Waits.UPLOAD_PENDING: "a delete marker of a key that is being uploaded to",
    "changed": "it is current again, or is not what was planned",
}


def show_plans(found: Plans) -> Iterator[RenderableType]:
    if not found.plans:
        yield Text("there is no prune plan yet; `rwm prune REPO --dry-run` draws one, and deletes nothing")
        return
    listed = table(
        "plan", "repository", "drawn at", "versions", "markers", "frees", "states", "odd", "status",
        right=("versions", "markers", "frees", "states"),
    )  # fmt: skip
    for each in found.plans:
        row(
            listed,
            each.plan[:12],
            each.repository,
            when(each.drawn_at),
            each.versions,
            each.markers,
            size(each.bytes),
            f"-{each.drops}" if each.drops else "",
            ", ".join(_odd(each)),
            _status(each),
        )
    yield listed
    if found.more:
        yield Text("there are older ones: --limit")


def show_plan(plan: PlanDetails) -> Iterator[RenderableType]:
    """What goes, why, how much; which states are dropped; what looks odd; what stays."""
    yield Text.assemble((f"plan {plan.plan}", "bold"), f" of {plan.repository}: ", _status(plan))
    yield Text(
        f"drawn at {when(plan.drawn_at)} by {printable(plan.execution)} from state {plan.state[:12]} (generation "
        f"{plan.generation}); valid until {when(plan.valid_until)}"
    )
    yield Text(
        f"it deletes {plan.versions} versions of {plan.listed.objects}, and {plan.markers} delete markers of "
        f"{plan.listed_markers}, in {plan.batches} batches; it frees {size(plan.bytes)} of {size(plan.listed.bytes)}"
    )
    if plan.totals:
        goes = table("why", "of", "entries", "size", right=("entries", "size"))
        for each in plan.totals:
            row(goes, REASONS[each.reason], each.type, each.entries, size(each.bytes))
        yield goes
    yield from _dropped(plan)
    yield from _odd_in_full(plan)
    yield from show_waiting(plan.waiting)
    if plan.flooded:
        yield Text(f"of {plan.flooded} keys nothing is planned, because they have too many versions", style="yellow")


def show_waiting(waiting: Sequence[Waiting], stays: Sequence[Stays] = ()) -> Iterator[RenderableType]:
    """`waiting` was never planned, `stays` was, and is still there."""
    if not waiting and not stays:
        return
    yield Text("what stays for now:")
    listed = table("why", "entries", "size", "until", right=("entries", "size"))
    for wait in waiting:
        row(listed, WAITS[wait.why], wait.entries, size(wait.bytes), _until(wait))
    for stay in stays:
        why = WAITS.get(stay.why) or f"S3 says {stay.why}{f': {stay.words}' if stay.words else ''}"
        style = "red" if stay.is_failure else None
        row(listed, f"{why} (planned)", stay.entries, size(stay.bytes), _until(stay), style=style)
    yield listed


def show_entries(batches: Iterable[Sequence[PlannedEntry]], screen: Screen) -> None:
    """Each batch as soon as it is proven: one line for each version and marker."""
    for batch in batches:
        screen.raw("\n".join(map(_line, batch)))


def stream_json(plan: PlanDetails, batches: Iterable[Sequence[PlannedEntry]], screen: Screen) -> None:
    """One document, with all entries; it is left unfinished where one of the batches does not prove itself."""
    screen.raw(json.dumps(plan.model_dump(mode="json"), indent=2).removesuffix("\n}") + ',\n  "entries": [')
    before = ""
    for batch in batches:
        if before:
            screen.raw(f"{before},")
        before = ",\n".join("    " + json.dumps(PlanEntry.of(entry).model_dump(mode="json")) for entry in batch)
    screen.raw(f"{before}\n  ]\n}}" if before else "  ]\n}")


def question(plan: PlanDetails, decision: Decision) -> str:
    if decision == "rejected":
        return f"Reject plan {plan.plan[:12]}? It is never applied, and nothing is deleted."
    states = f", and {plan.drops} states are dropped" if plan.drops else ""
    return (
        f"Approve plan {plan.plan[:12]}? {plan.versions} versions and {plan.markers} delete markers of "
        f"{plan.repository} ({size(plan.bytes)}) are deleted for good{states}."
    )


def show_decided(decided: Decided) -> Iterator[RenderableType]:
    before = " already" if decided.before else ""
    yield Text(
        printable(
            f"plan {decided.plan[:12]} of {decided.repository} is {decided.outcome}{before}, by {decided.by} at "
            f"{when(decided.at)}"
        ),
        style="bold" if not decided.before else "",
    )
    if decided.woken:
        goes_on = "goes on" if decided.outcome == "approved" else "ends; nothing was deleted"
        yield Text(f"the prune that waited for it {goes_on}: `rwm plans {decided.repository}` shows it")
    else:
        yield Text(
            f"no prune waited for it at this moment: one that comes to it knows. If `rwm plans {decided.repository}` "
            f"goes on showing it as {decided.outcome}, it has ended; `rwm prune {decided.repository}` draws a new plan"
        )
    if not decided.before:
        yield Text("It is kept with the name you called it by; CloudTrail has the proof of who you are.", style="dim")


def _status(plan: Plan) -> Text:
    by = f" by {plan.by}" if plan.by else ""
    at = f" at {when(plan.decided_at)}" if plan.decided_at else ""
    said, style = {
        "waiting": (f"waits for an approver until {when(plan.valid_until)}", "yellow"),
        "approved": (f"approved{by}{at}", "green"),
        "rejected": (f"rejected{by}{at}", "bold"),
        "expired": ("expired: nobody decided in time", "dim"),
        "not-needed": ("needs no approval", ""),
        "nothing-to-do": ("nothing to do", "dim"),
        "dry-run": ("dry run", "dim"),
        "applied": (f"applied{f', approved{by}' if by else ''}", "green"),
    }[plan.status]
    return Text(printable(said), style)


def _odd(plan: Plan) -> list[str]:
    posture = ["posture"] if plan.posture != "pass" else []
    return [*posture, *dict.fromkeys(each.id for each in plan.findings)]


def _odd_in_full(plan: PlanDetails) -> Iterator[RenderableType]:
    if plan.posture != "pass":
        yield Text.assemble(
            (f"{plan.posture.upper()} ", "yellow"),
            f"of the posture\n     what to do: `rwm check {plan.repository} --level posture` shows it",
        )
    yield from findings.show(plan.findings)
    if not _odd(plan):
        yield Text("nothing looks odd")


def _dropped(plan: PlanDetails) -> Iterator[RenderableType]:
    if not plan.dropped:
        yield Text(f"it drops no state; {plan.kept} are kept")
        return
    yield Text(f"it drops {plan.drops} states, which can be restored no more; {plan.kept} are kept")
    for each in plan.dropped[:SHOWN_STATES]:
        yield Text(f"     {each.state[:12]} (generation {each.generation}), cut {when(each.cut_time)}")
    if len(plan.dropped) > SHOWN_STATES:
        yield Text(f"     and {len(plan.dropped) - SHOWN_STATES} more, all newer: --json has them")


def _until(wait: Waiting | Stays) -> str:
    if wait.first is None or wait.last is None:
        return ""
    return when(wait.first) if wait.first == wait.last else f"{when(wait.first)} to {when(wait.last)}"


def _line(entry: PlannedEntry) -> str:
    what = "marker" if entry.size is None else f"{entry.size} B"
    return printable(f"{entry.key}  {entry.version_id}  {what}  {entry.reason} since {when(entry.since)}")
