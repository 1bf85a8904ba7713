"""Restores to a bucket, to a directory and in place; drills."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import completing, downloading, drilling, foreseeing, in_place, restore_options, restores, restoring
from cli.app import RESTORES, DeploymentOption, JsonOption, RepositoryArgument, app, command, confirm, follow
from cli.deployment import Deployment
from cli.exits import ExitCode, Refused
from cli.restore_options import Asked
from cli.views import downloading as downloading_view
from cli.views import drilling as drilling_view
from cli.views import foreseeing as foreseeing_view
from cli.views import in_place as in_place_view
from cli.views import restores as restores_view
from cli.views import restoring as restoring_view
from cli.views.screen import Screen
from functions.domain.restore.forecast import Forecast


@app.command(rich_help_panel=RESTORES)
def restore(
    context: typer.Context,
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="REPO", help="A repository: `rwm repositories` lists them.", autocompletion=completing.repositories
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Argument(
            metavar="STATE",
            help="A state of it; `rwm state --help` says how to name one.",
            autocompletion=completing.states,
        ),
    ] = None,
    *,
    to_bucket: Annotated[
        str | None, typer.Option(metavar="BUCKET", help="An empty bucket, or one that holds a part of this state.")
    ] = None,
    to_prefix: Annotated[str, typer.Option(metavar="PREFIX", help="Where in it.")] = "",
    lock: Annotated[
        int | None,
        typer.Option("--lock", metavar="DAYS", min=1, max=3650, help="Governance retention of each copy in BUCKET."),
    ] = None,
    to_directory: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="A directory here, for `restic -r DIRECTORY`.")
    ] = None,
    limit_rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Download no faster: bytes a second, as 20M or 20MiB.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put it back where it came from; `rwm quarantine` comes first.")
    ] = False,
    insist: Annotated[bool, typer.Option("--insist", help="In place although hosts may write meanwhile.")] = False,
    thaw: Annotated[
        str | None,
        typer.Option(
            metavar="TIER",
            autocompletion=completing.tiers,
            help="Bring back what lies in an archive class, and wait for it: Expedited (minutes), Standard (hours) or "
            "Bulk (up to two days).",
        ),
    ] = None,
    with_revoked_keys: Annotated[
        bool,
        typer.Option("--with-revoked-keys", help="Restore key files, too, that were removed since that state."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    resume: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Ask for the same again as this restore, by its name in `rwm restores`."),
    ] = None,
    hold: Annotated[
        bool,
        typer.Option(
            "--hold/--no-hold", help="Keep prunes away while a directory is restored; without, see to it yourself."
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="In place: do not ask, and foresee nothing.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the end; without, the exit code is 3.")
    ] = True,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Rebuild the repository as it was in a state: in a bucket, in a directory here, or in place.

    Run it again to go on after a failure: only what is missing or wrong is copied.
    """
    options = restore_options.Options(
        repository=repository,
        state=state,
        to_bucket=to_bucket,
        to_prefix=to_prefix,
        to_directory=to_directory,
        in_place=in_place,
        lock_days=lock,
        limit_rate=limit_rate,
        thaw=thaw,
        with_revoked_keys=with_revoked_keys,
        dry_run=dry_run,
        insist=insist,
        resume=resume,
    )
    with command(context, deployment, as_json, restore_options.UNDONE) as (deployed, screen):
        asked = restore_options.read(deployed, options)
        if asked.request.dry_run:
            code = _foresee(deployed, screen, asked)
        elif asked.request.to == "directory":
            code = _download(deployed, screen, asked, with_hold=hold)
        elif asked.request.to == "in-place":
            code = _put_back(deployed, screen, asked, wait=wait, yes=yes)
        else:
            code = _restore_to_bucket(deployed, screen, asked, wait=wait)
        raise typer.Exit(code)


@contextmanager
def _telling_the_owner(deployed: Deployment, screen: Screen, asked: Asked) -> Iterator[None]:
    """Where the target denies what a restore needs, show what its owner has to allow."""
    try:
        yield
    except restoring.TargetRefuses:
        if asked.request.to == "bucket":
            screen.tell(lambda: restoring_view.show_owner(restoring.owner_must_allow(deployed, asked)))
        raise


def _restore_to_bucket(deployed: Deployment, screen: Screen, asked: Asked, *, wait: bool) -> ExitCode:
    begun = restoring.begin(deployed, asked)
    restoring_view.announce(screen, begun)
    if wait:
        goes_on = f"the restore goes on. {restoring.how_to_look(begun)}"
        follow(screen, restoring.follow(deployed, begun), goes_on)
        with _telling_the_owner(deployed, screen, asked):
            begun = restoring.finish(deployed, begun)
    screen.result(begun, lambda: restoring_view.show(begun))
    return begun.exit_code


def _foresee(deployed: Deployment, screen: Screen, asked: Asked) -> ExitCode:
    if asked.request.to == "directory":
        foreseen = downloading.foresee(deployed, asked)
        screen.result(foreseen, lambda: foreseeing_view.show(foreseen))
        return ExitCode.DONE
    dry_run = foreseeing.begin(deployed, asked)
    follow(screen, foreseeing.follow(deployed, dry_run), f"the dry run goes on, and writes nothing. {dry_run.advice}")
    with _telling_the_owner(deployed, screen, asked):
        forecast = foreseeing.finish(deployed, dry_run)
    screen.result(forecast, lambda: foreseeing_view.show(forecast))
    return ExitCode.DONE


def _download(deployed: Deployment, screen: Screen, asked: Asked, *, with_hold: bool) -> ExitCode:
    done = downloading.restore(deployed, asked, downloading_view.DownloadWatcher(screen), with_hold=with_hold)
    screen.result(done, lambda: downloading_view.show(done))
    return done.exit_code


def _put_back(deployed: Deployment, screen: Screen, asked: Asked, *, wait: bool, yes: bool) -> ExitCode:
    if not yes:
        if screen.as_json:
            raise Refused(f"--json cannot ask; {restore_options.UNDONE}; pass --yes")
        forecast = _forecast_in_place(deployed, screen, asked)
        confirm(in_place_view.question(forecast), screen.as_json, restore_options.UNDONE)
    begun = in_place.begin(deployed, asked)
    in_place_view.announce(screen, begun)
    if wait:
        goes_on = f"the restore goes on. {restoring.how_to_look(begun)}"
        follow(screen, restoring.follow(deployed, begun), goes_on)
        begun = restoring.finish(deployed, begun)
    screen.result(begun, lambda: in_place_view.show(begun))
    return begun.exit_code


def _forecast_in_place(deployed: Deployment, screen: Screen, asked: Asked) -> Forecast:
    """What it comes to, as a person has to see it before it is begun."""
    dry_run = foreseeing.begin(deployed, in_place.foreseen(asked))
    follow(screen, foreseeing.follow(deployed, dry_run), f"the dry run goes on, and writes nothing. {dry_run.advice}")
    forecast = foreseeing.finish(deployed, dry_run)
    screen.tell(lambda: foreseeing_view.show(forecast))
    return forecast


@app.command("restores", rich_help_panel=RESTORES)
def restores_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many that have ended.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The repository's restores: those under way, and what the others came to, newest first."""
    with command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = restores.restores(deployed, repository, limit)
        screen.result(found, lambda: restores_view.show(found))


@app.command("drill", rich_help_panel=RESTORES)
def drill_command(
    context: typer.Context,
    repository: RepositoryArgument,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Restore the whole state, also where it is larger than drill_bytes.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Begin none; show what past drills came to.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --list, at most so many.")] = 20,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the end; without, the exit code is 3.")
    ] = True,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Restore the last good state to where it is proven, timed and thrown away: is this repository restorable?"""
    with command(context, deployment, as_json, drilling.UNDONE) as (deployed, screen):
        if listed:
            found = drilling.drills(deployed, repository, limit, datetime.now(UTC))
            screen.result(found, lambda: drilling_view.show_drills(found))
            return
        drill = drilling.begin(deployed, repository, whole=everything)
        drilling_view.announce(screen, drill)
        if wait:
            goes_on = f"the drill goes on. {drilling.how_to_look(drill)}"
            follow(screen, drilling.follow(deployed, drill), goes_on)
            drill = drilling.finish(deployed, drill)
        screen.result(drill, lambda: drilling_view.show(drill))
        raise typer.Exit(drill.exit_code)
