"""How `rwm prune` looks while it goes on and at its end, and `rwm prunes`."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.plans import PlanDetails
from cli.pruning import Prune, PruneResult, Prunes, how_to_look
from cli.views.plans import show_plan, show_waiting
from cli.views.screen import Screen, printable, row, size, table, when

_OUTCOMES = {"done": "", "incomplete": "yellow", "harmed": "bold red"}
SHOWN_STATES = 20


def announce(screen: Screen, prune: Prune) -> None:
    screen.say(f"{'planning a prune' if prune.dry_run else 'pruning'} of {prune.repository}")


def show(prune: Prune) -> Iterator[RenderableType]:
    match prune:
        case Prune(outcome="nothing-to-do", plan=PlanDetails() as plan):
            yield Text(f"nothing to do: no version of {prune.repository} may go, and none was deleted")
            yield from show_waiting(plan.waiting)
        case Prune(outcome="dry-run", plan=PlanDetails() as plan):
            yield from show_plan(plan)
            yield Text("dry run: nothing was deleted, and nobody is asked", style="bold")
        case Prune(outcome="waiting"):
            yield from show_asked(prune)
        case Prune(result=PruneResult() as result):
            yield from _result(result)
        case _:
            yield Text(f"the prune is going on. {how_to_look(prune)}")


def show_asked(prune: Prune) -> Iterator[RenderableType]:
    if prune.plan is None:
        return
    yield from show_plan(prune.plan)
    yield Text(f"waits for an approver: rwm approve {prune.plan.plan}", style="bold yellow")
    yield Text(f"Until {when(prune.plan.valid_until)}; without one nothing is deleted.")


def show_prunes(found: Prunes) -> Iterator[RenderableType]:
    if not found.prunes:
        yield Text(f"no prune of {found.repository} has deleted anything yet")
        return
    listed = table(
        "prune", "verified at", "outcome", "versions", "markers", "reclaimed", "states whole", "plan",
        right=("versions", "markers", "reclaimed", "states whole"),
    )  # fmt: skip
    for each in found.prunes:
        row(
            listed,
            each.execution,
            when(each.verified_at),
            Text(each.outcome, _OUTCOMES[each.outcome]),
            each.versions,
            each.markers,
            size(each.bytes),
            f"{each.kept_states_whole} of {each.kept_states}",
            each.plan[:12],
        )
    yield listed
    if found.more:
        yield Text("there are older ones: --limit")


def _result(result: PruneResult) -> Iterator[RenderableType]:
    yield {
        "done": Text(f"pruned {result.repository}: all of the plan was carried out", style="bold green"),
        "incomplete": Text(f"pruned {result.repository}, but not all of the plan was carried out", style="bold yellow"),
        "harmed": Text(
            f"{result.kept_states - result.kept_states_whole} kept states of {result.repository} are not whole",
            style="bold red",
        ),
    }[result.outcome]
    yield Text(
        f"reclaimed {size(result.bytes)}: {result.versions} of {result.planned_versions} planned versions and "
        f"{result.markers} of {result.planned_markers} delete markers are not listed any more"
    )
    dropped = f"; {result.dropped_states} were dropped" if result.dropped_states else ""
    yield Text(f"{result.kept_states_whole} of {result.kept_states} kept states are whole{dropped}")
    for each in result.harmed[:SHOWN_STATES]:
        why = "cannot be proven" if each.unproven else f"{each.missing} versions that it names are not listed"
        yield Text(f"     {each.state[:12]} (generation {each.generation}): {why}", style="red")
    if len(result.harmed) > SHOWN_STATES:
        yield Text(f"     and {len(result.harmed) - SHOWN_STATES} more; the report names all")
    yield from show_waiting(result.waiting, result.stays)
    yield Text(printable(f"report: s3://{result.report.bucket}/{result.report.key}"))
    yield from _next_steps(result)


def _next_steps(result: PruneResult) -> Iterator[RenderableType]:
    name = result.repository
    if result.outcome == "harmed":
        yield Text(
            f"Let no prune run, restore from a state that is whole, and find out who deletes versions. `rwm check "
            f"{name}` names them.",
            style="bold",
        )
    if result.outcome == "incomplete":
        unknown = f"; of {result.unfinished} of {result.batches} batches nothing is known" if result.unfinished else ""
        yield Text(f"{result.failed} entries could not be deleted{unknown}. `rwm prune {name}` plans them anew.")
