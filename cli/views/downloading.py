"""How a restore to a directory looks while it goes on, and at its end."""

import shlex
import time
from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from cli.directory_hold import DirectoryHold
from cli.downloading import Download, commands
from cli.fetching import Progress
from cli.restore_options import Asked
from cli.views.restoring import what_is_gone
from cli.views.screen import Screen, printable, size, when
from functions.domain.values import StateId

SHOWN_TROUBLES = 20
NEWS_SECONDS = 10.0
"""Between two lines where nobody watches: a log must say that it goes on, and not much more."""


class DownloadWatcher:
    """Tells on a screen how the download goes."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock

    def announce(self, asked: Asked, hold: DirectoryHold | None) -> None:
        header = asked.header
        self._screen.say(
            f"restoring state {header.id[:12]} of {header.repository} (cut {when(header.cut_time)}, {header.objects} "
            f"objects, {size(header.bytes)}) to {asked.directory}"
        )
        if hold is None:
            self._screen.say(
                "nothing keeps prunes away (--no-hold): a kept state stays whole, but a prune may drop this one; "
                "see to it that nobody prunes"
            )

    def watch(self, steps: Iterator[Progress]) -> None:
        if self._screen.interactive:
            self._bar(steps)
            return
        begun = told = self._clock()
        for step in steps:
            if (now := self._clock()) - told >= NEWS_SECONDS:
                told = now
                self._screen.say(_line(step, now - begun))

    def _bar(self, steps: Iterator[Progress]) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=self._screen.err, transient=True) as bar:
            task = bar.add_task("beginning", total=None)
            for step in steps:
                description = f"{step.stage} {step.done_objects} of {step.objects}{_failures(step)}"
                bar.update(task, description=description, completed=step.done_bytes, total=step.bytes)


def _line(step: Progress, seconds: float) -> str:
    done = f"{step.stage}: {step.done_objects} of {step.objects} objects, {size(step.done_bytes)} of {size(step.bytes)}"
    speed = step.done_bytes / seconds if seconds else 0
    left = f", {_duration((step.bytes - step.done_bytes) / speed)} left" if speed else ""
    return f"{done}{left}{_failures(step)}"


def _failures(step: Progress) -> str:
    return f", {step.failed} failed" if step.failed else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def show(download: Download) -> Iterator[RenderableType]:
    where = printable(f"state {download.state[:12]} of {download.repository} in {download.directory}")
    yield {
        "restored": Text(f"restored {where}: all {download.objects} objects are proven", style="bold green"),
        "restored-damaged": Text(
            f"restored {where} exactly, but {download.damaged} objects were damaged already in the state",
            style="bold red",
        ),
        "incomplete": Text(f"not restored: {where} is not what it should be", style="bold red"),
    }[download.outcome]
    if download.stopped:
        yield Text(printable(f"stopped: {download.stopped}"), style="bold red")
    yield Text(
        f"{download.proven} proven, {download.downloaded} downloaded ({size(download.downloaded_bytes)}), "
        f"{download.skipped} there already, {download.missing} missing, {download.damaged} damaged, "
        f"{download.unproven} unproven, {download.failed} failed, {download.unexpected} unexpected"
    )
    yield from _keys(download)
    yield from _troubles(download)
    if download.execution and not download.held:
        yield Text(
            "while this went on, the workflow that kept prunes away ended: what is proven is proven, but the state may "
            f"have been dropped since; see `rwm states {download.repository}`",
            style="yellow",
        )
    yield Text(printable(f"report: {download.report}") if download.report else "its report could not be written")
    yield from _next_steps(download)


def _keys(download: Download) -> Iterator[RenderableType]:
    if download.revoked:
        yield Text(
            f"{len(download.revoked)} key files were removed since that state, and are left out "
            "(--with-revoked-keys restores them):",
            style="yellow",
        )
        for key in download.revoked[:SHOWN_TROUBLES]:
            yield Text(printable(f"  {key}"), style="yellow")


def _troubles(download: Download) -> Iterator[RenderableType]:
    for each in download.troubles[:SHOWN_TROUBLES]:
        yield Text(printable(f"  {each.kind}: {each.key}: {each.why}"), style="red")
    more = len(download.troubles) + download.left_out - SHOWN_TROUBLES
    if more > 0:
        all_of_them = f"the report names all but {download.left_out}" if download.left_out else "the report names all"
        yield Text(f"  and {more} more; {all_of_them}")


def _next_steps(download: Download) -> Iterator[RenderableType]:
    if download.outcome == "incomplete":
        yield Text("Run the same command again: it downloads only what is missing.")
        yield from what_is_gone(download, lambda state: _instead(download, state))
        return
    yield Text("Use it with the restic password of that time:")
    yield Text(printable_lines(commands(download)), style="cyan")


def _instead(download: Download, state: StateId) -> str:
    elsewhere = shlex.quote(f"{download.directory}-{state[:12]}")
    return f"rwm restore {download.repository} {state[:12]} --to-directory {elsewhere}"


def printable_lines(lines: tuple[str, ...]) -> str:
    return "\n".join(f"    {printable(line)}" for line in lines)
