"""How `rwm restore --in-place` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.restoring import Restore, how_to_look
from cli.views.restoring import show_troubles
from cli.views.screen import Screen, size, when
from functions.domain.restore.forecast import Forecast


def question(forecast: Forecast) -> str:
    put, hidden = forecast.requests.get("CopyObject", 0), forecast.requests.get("DeleteObject", 0)
    return (
        f"Put {forecast.repository} back to state {forecast.state[:12]}? Up to {put} objects are copied over what is "
        f"current, and {hidden} are hidden. No version is deleted, and the present state is kept as the way back."
    )


def announce(screen: Screen, restore: Restore) -> None:
    screen.say(
        f"putting {restore.repository} back to state {restore.state[:12]} (cut {when(restore.cut_time)}, "
        f"{restore.objects} objects, {size(restore.bytes)}) in {restore.target}"
    )


def show(restore: Restore) -> Iterator[RenderableType]:
    if restore.outcome == "running":
        yield Text(f"started, and not waited for. {how_to_look(restore)}")
        return
    state = f"state {restore.state[:12]}"
    yield {
        "restored": Text(
            f"{restore.repository} is {state} again: all {restore.objects} objects are proven", style="bold green"
        ),
        "restored-damaged": Text(
            f"{restore.repository} is exactly {state} again, of which {restore.damaged} objects were damaged already",
            style="bold red",
        ),
        "incomplete": Text(f"{restore.repository} is not {state}, or it is not proven", style="bold red"),
    }[restore.outcome]
    yield Text(
        f"{restore.copied} put back ({size(restore.copied_bytes)}), {restore.hidden or 0} hidden, {restore.skipped} "
        f"were right already, {restore.unproven} unproven, {restore.missing} missing, {restore.damaged} damaged, "
        f"{restore.failed} failed, {restore.unexpected} unexpected"
    )
    yield from show_troubles(restore)
    if restore.report:
        yield Text(f"report: s3://{restore.report.bucket}/{restore.report.key}")
    yield from _next_steps(restore)


def _next_steps(restore: Restore) -> Iterator[RenderableType]:
    name = restore.repository
    if restore.outcome == "incomplete":
        yield Text("Run the same command again: it writes only what is not right.")
        if restore.missing:
            yield Text(f"What is missing is gone for good from this state; `rwm states {name}` shows others.")
    else:
        yield Text("Read it through, with a key that may read it, before anybody writes to it again:")
        yield _paste("restic check --read-data --no-lock")
        yield Text("What was attacked is found by checks until it is laid to rest; then backups may go on:")
        yield _paste(f"rwm check {name}\nrwm unquarantine {name}")
    if restore.before:
        yield Text("What was current before is the state that was recorded just before. To undo this:")
        yield _paste(f"rwm restore {name} {restore.before} --in-place")


def _paste(text: str) -> Text:
    return Text("\n".join(f"    {line}" for line in text.splitlines()), style="cyan")
