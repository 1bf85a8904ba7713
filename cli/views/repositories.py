"""How `rwm repositories` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.repositories import Repositories
from cli.views.screen import row, table, when


def show(found: Repositories) -> Iterator[RenderableType]:
    listed = table("repository", "bucket", "hosts", "maintenance", "newest state", "cut time", "notes")
    for each in found.repositories:
        notes = [
            *(["adopted bucket"] if each.adopted else []),
            *(["host may hide"] if each.host_may_hide else []),
            *(["late"] if each.newest and each.newest.late else []),
        ]
        row(
            listed,
            each.name,
            f"{each.bucket}/{each.prefix}" if each.prefix else each.bucket,
            ", ".join(each.hosts),
            each.maintenance or "",
            each.newest.state[:12] if each.newest else "none yet",
            when(each.newest.cut_time) if each.newest else "",
            Text(", ".join(notes), style="yellow"),
        )
    yield listed
