"""How `rwm restore` looks while it goes on, and at its end."""

import json
import shlex
from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cli.downloading import Download
from cli.restoring import OwnerMustAllow, Restore, how_to_go_on, how_to_look
from cli.views.screen import Screen, printable, size, when
from functions.domain.restore.gone import GoneVersion
from functions.domain.values import StateId

SHOWN_TROUBLES = 20
SHOWN_KEYS = 10


def announce(screen: Screen, restore: Restore) -> None:
    screen.say(
        f"restoring state {restore.state[:12]} of {restore.repository} (cut {when(restore.cut_time)}, "
        f"{restore.objects} objects, {size(restore.bytes)}) to {restore.target}"
    )


def show(restore: Restore) -> Iterator[RenderableType]:
    if restore.outcome == "running":
        yield Text(f"started, and not waited for. {how_to_look(restore)}")
        return
    where = f"{_what(restore)} of {restore.repository} in {restore.target}"
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
    yield from show_wishes(restore)
    yield from show_troubles(restore)
    if restore.report:
        yield Text(f"report: s3://{restore.report.bucket}/{restore.report.key}")
    yield from _next_steps(restore)


def show_troubles(restore: Restore) -> Iterator[RenderableType]:
    """The first objects that are not proven, and how many more there are."""
    for trouble in restore.troubles[:SHOWN_TROUBLES]:
        yield Text(printable(f"  {trouble.kind}: {trouble.key}: {trouble.why}"), style="red")
    counted = restore.unproven + restore.missing + restore.damaged + restore.failed + restore.unexpected
    if counted > SHOWN_TROUBLES:
        named = len(restore.troubles)
        which = "all" if named >= counted else f"the first {named}"
        yield Text(f"  and {counted - SHOWN_TROUBLES} more; the report names {which}")


def _what(restore: Restore) -> str:
    state = f"state {restore.state[:12]}"
    return state if restore.sample is None else f"a sample ({restore.sample} packs are left out) of {state}"


def show_wishes(restore: Restore) -> Iterator[RenderableType]:
    """What a restored copy has or lacks because somebody wished it."""
    if restore.revoked:
        yield Text(
            f"{len(restore.revoked)} key files were removed since that state and are left out; --with-revoked-keys "
            "restores them, too:",
            style="yellow",
        )
        yield from _some_keys(restore.revoked)
    if restore.reinstated:
        yield Text(
            f"{len(restore.reinstated)} key files that were removed since that state came back, as --with-revoked-keys "
            "says; whoever knows their passwords can read the result:",
            style="yellow",
        )
        yield from _some_keys(restore.reinstated)
    if restore.lock_days is not None:
        yield Text(f"each copy is under governance for {restore.lock_days} days from when it was made")


def _some_keys(keys: Sequence[str]) -> Iterator[RenderableType]:
    for key in keys[:SHOWN_KEYS]:
        yield Text(printable(f"  {key}"), style="yellow")
    if len(keys) > SHOWN_KEYS:
        yield Text(f"  and {len(keys) - SHOWN_KEYS} more; the report names all")


def show_owner(owner: OwnerMustAllow) -> Iterator[RenderableType]:
    """What to send to whoever owns the target."""
    yield Text("If the target belongs to another account, its owner has to add this to the bucket's policy:")
    yield Text(json.dumps(owner.bucket_policy, indent=2), style="cyan")
    yield Text("and, if the bucket encrypts with a KMS key, this to the key's policy, and you the key to")
    yield Text("restore_kms_keys in repositories.toml:")
    yield Text(json.dumps(owner.key_policy, indent=2), style="cyan")


def _next_steps(restore: Restore) -> Iterator[RenderableType]:
    if restore.outcome == "incomplete":
        yield Text("This asks for the same again; it copies only what is missing or wrong in the target:")
        yield Text(f"    {how_to_go_on(restore)}", style="cyan")
        yield from what_is_gone(restore, lambda state: _instead(restore, state))
        return
    yield Text("Use it with the restic password of that time, and credentials that may read the target:")
    commands = [
        *(f"export {name}={shlex.quote(value)}" for name, value in restore.environment.items()),
        "restic check --read-data --no-lock",
        "restic restore latest --target DIRECTORY --no-lock",
    ]
    yield Text("\n".join(f"    {command}" for command in commands), style="cyan")


def what_is_gone(restore: Restore | Download, instead: Callable[[StateId], str]) -> Iterator[RenderableType]:
    """What the ledger says of versions that are missing; `instead`: the command that restores another state."""
    if not restore.missing:
        return
    yield Text("What is missing is gone for good: versions that the state names were deleted.", style="bold red")
    if restore.gone is None:
        yield Text(f"Since when is not known: {restore.gone_unknown}. `rwm states {restore.repository}` shows others.")
        return
    for each in restore.gone.versions:
        yield Text(printable(f"  {each.key}: {_since(each)}"))
    if restore.gone.more:
        yield Text(f"  and {restore.gone.more} more")
    others = [each for each in (restore.gone.after, restore.gone.before) if each is not None]
    if not others:
        yield Text(
            "Every kept state names some of it. This one is restored except for what is missing; docs/restoring.md "
            "says how to go on."
        )
        return
    yield Text("These states name nothing of what is missing, and go to a place of their own:")
    for other in others:
        yield Text(f"    {instead(other.state)}   # cut {when(other.cut_time)}", style="cyan")


def _since(version: GoneVersion) -> str:
    last = (
        f"the newest state that names it is {version.last_named.state[:12]} (cut {when(version.last_named.cut_time)})"
    )
    if version.first_without is None:
        return f"{last}, and none is newer: it was deleted after that"
    then = version.first_without
    return (
        f"{last}; at the next, {then.state[:12]} (cut {when(then.cut_time)}), it was hidden or replaced; it was "
        "deleted after the first of the two"
    )


def _instead(restore: Restore, state: StateId) -> str:
    target = restore.target
    prefix = f"{target.prefix}-{state[:12]}" if target.prefix else state[:12]
    return f"rwm restore {restore.repository} {state[:12]} --to-bucket {target.bucket} --to-prefix {prefix}"
