"""How `rwm restore --dry-run` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.views.screen import printable, row, size, table, when
from functions.domain.restore.forecast import Forecast

_THAW_TIMES = {"Expedited": "minutes", "Standard": "3 to 12 hours", "Bulk": "5 to 48 hours"}


def show(forecast: Forecast) -> Iterator[RenderableType]:
    yield Text(
        printable(
            f"would restore state {forecast.state[:12]} of {forecast.repository} (cut {when(forecast.cut_time)}, "
            f"{forecast.objects} objects, {size(forecast.bytes)}) to {forecast.where}; nothing was written"
        ),
        style="bold",
    )
    if forecast.there:
        yield Text(f"{forecast.there} objects are there already, by key and size: only what differs is written")
    if forecast.sample is not None:
        yield Text(f"a sample: {forecast.sample} packs are left out", style="yellow")
    yield from _keys(forecast)
    if forecast.archived.objects:
        yield Text(_thaw(forecast), style="yellow")
    if forecast.unproven:
        yield Text(f"{forecast.unproven} objects cannot be proven, and the restore will say so:", style="yellow")
        for each in forecast.unproven_first:
            yield Text(printable(f"  {each.key}: {each.why}"), style="yellow")
    yield from _amounts(forecast)


def _keys(forecast: Forecast) -> Iterator[RenderableType]:
    if not forecast.revoked:
        return
    what = (
        "come back, as --with-revoked-keys says: whoever knows their passwords can read the result"
        if forecast.with_revoked_keys
        else "are left out; --with-revoked-keys restores them, too"
    )
    yield Text(f"{forecast.revoked} key files were removed since that state, and {what}:", style="yellow")
    for key in forecast.revoked_first:
        yield Text(printable(f"  {key}"), style="yellow")
    if forecast.revoked > len(forecast.revoked_first):
        yield Text(f"  and {forecast.revoked - len(forecast.revoked_first)} more", style="yellow")


def _thaw(forecast: Forecast) -> str:
    took = f"{forecast.archived.objects} objects ({size(forecast.archived.bytes)}) lie in an archive class"
    if forecast.thaw is None:
        return took
    return f"{took}, and are thawed first: {_THAW_TIMES.get(forecast.thaw, 'some time')} at the tier {forecast.thaw}"


def _amounts(forecast: Forecast) -> Iterator[RenderableType]:
    if forecast.classes:
        listed = table("storage class", "objects", "size", right=("objects", "size"))
        for each in forecast.classes:
            row(listed, each.storage_class or "-", each.objects, size(each.bytes))
        yield listed
    listed = table("requests to S3, about", "", right=("",))
    for operation, count in sorted(forecast.requests.items()):
        row(listed, operation, count)
    yield listed
