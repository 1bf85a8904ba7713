"""How `rwm restore` looks while it goes on, and at its end."""

import shlex
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.restoring import Restore, how_to_look
from cli.views.screen import Screen, printable, size, when

SHOWN_TROUBLES = 20


def announce(screen: Screen, restore: Restore) -> None:
    screen.say(
        f"restoring state {restore.state[:12]} of {restore.repository} (cut {when(restore.cut_time)}, "
        f"{restore.objects} objects, {size(restore.bytes)}) to {restore.target}"
    )


def show(restore: Restore) -> Iterator[RenderableType]:
    if restore.outcome == "running":
        yield Text(f"started, and not waited for. {how_to_look(restore)}")
        return
    where = f"state {restore.state[:12]} of {restore.repository} in {restore.target}"
    yield {
        "restored": Text(f"restored {where}: all {restore.objects} objects are proven", style="bold green"),
        "restored-damaged": Text(
            f"restored {where} exactly, but {restore.damaged} objects were damaged already in the state",
            style="bold red",
        ),
        "incomplete": Text(f"not restored: {where} is not what it should be", style="bold red"),
    }[restore.outcome]
    yield Text(
        f"{restore.proven} proven, {restore.copied} copied ({size(restore.copied_bytes)}), "
        f"{restore.skipped} there already, {restore.unproven} unproven, {restore.missing} missing, "
        f"{restore.damaged} damaged, {restore.failed} failed, {restore.unexpected} unexpected"
    )
    for trouble in restore.troubles[:SHOWN_TROUBLES]:
        yield Text(printable(f"  {trouble.kind}: {trouble.key}: {trouble.why}"), style="red")
    if len(restore.troubles) > SHOWN_TROUBLES:
        yield Text(f"  and {len(restore.troubles) - SHOWN_TROUBLES} more; the report names all")
    if restore.report:
        yield Text(f"report: s3://{restore.report.bucket}/{restore.report.key}")
    yield from _next_steps(restore)


def _next_steps(restore: Restore) -> Iterator[RenderableType]:
    if restore.outcome == "incomplete":
        yield Text("Run the same command again: it copies only what is missing or wrong in the target.")
        if restore.missing:
            yield Text("What is missing is gone for good from this state; `rwm states` shows others.")
        return
    yield Text("Use it with the restic password of that time, and credentials that may read the target:")
    commands = [
        *(f"export {name}={shlex.quote(value)}" for name, value in restore.environment.items()),
        "restic check --read-data --no-lock",
        "restic restore latest --target DIRECTORY --no-lock",
    ]
    yield Text("\n".join(f"    {command}" for command in commands), style="cyan")
