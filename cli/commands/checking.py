"""Checks, and what lays their findings to rest."""

from contextlib import nullcontext
from typing import Annotated

import typer

from cli import acknowledging, checking, completing
from cli.app import CHECKS, DeploymentOption, JsonOption, RepositoryArgument, app, command, confirm, follow
from cli.views import acknowledging as acknowledging_view
from cli.views import checking as checking_view


@app.command(rich_help_panel=CHECKS)
def check(
    context: typer.Context,
    repository: RepositoryArgument,
    state: Annotated[
        str,
        typer.Argument(
            metavar="STATE",
            help="As it is now, unless you name a state; `rwm state --help` says how.",
            autocompletion=completing.states,
        ),
    ] = checking.NEWEST,
    *,
    level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            autocompletion=completing.levels,
            help="How deep: `posture`, `consistent`, `content` or `complete`; the repository's check_level otherwise.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Read every object again, also what was verified.")] = False,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="At the level complete, open every pack, as restic's option does.")
    ] = False,
    in_bucket: Annotated[
        str | None, typer.Option(metavar="BUCKET", help="Judge the copy of STATE that was restored to this bucket.")
    ] = None,
    in_prefix: Annotated[str, typer.Option(metavar="PREFIX", help="Where in it.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the verdict; without, the exit code is 3.")
    ] = True,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Judge the repository now, or a state of it: what was found, how bad it is, and what to do."""
    with command(context, deployment, as_json, checking.UNDONE) as (deployed, screen):
        request = checking.requested(
            deployed,
            repository,
            state,
            level,
            everything=everything,
            read_data=read_data,
            bucket=in_bucket,
            prefix=in_prefix,
        )
        if request.of_configuration and wait:
            with screen.err.status(f"checking {repository}") if screen.interactive else nullcontext():
                verdict = checking.check_posture(deployed, repository)
        else:
            checking_view.announce(screen, request)
            verdict = checking.begin(deployed, request)
            if wait:
                goes_on = f"the check goes on. {checking.how_to_look(verdict)}"
                follow(screen, checking.follow(deployed, verdict), goes_on)
                verdict = checking.finish(deployed, verdict)
        screen.result(verdict, lambda: checking_view.show(verdict))
        raise typer.Exit(verdict.exit_code)


@app.command(rich_help_panel=CHECKS)
def acknowledge(
    context: typer.Context,
    repository: RepositoryArgument,
    finding: Annotated[
        str,
        typer.Argument(metavar="FINDING", help="Its id, as `rwm check` tells it.", autocompletion=completing.findings),
    ],
    verdict: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST", help="As this verdict has it, by the start of its digest; the newest otherwise."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every key, not the first 20.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Lay to rest what a check found and what is over: exactly these versions of these keys. For approvers."""
    with command(context, deployment, as_json, "nothing was acknowledged") as (deployed, screen):
        done = acknowledging.propose(deployed, repository, finding, verdict)
        if done.outcome == "proposed":
            acknowledging_view.propose(screen, done, everything)
            if not yes:
                confirm(acknowledging_view.question(done), as_json, "nothing was acknowledged")
            done = acknowledging.acknowledge(deployed, done)
        screen.result(done, lambda: acknowledging_view.show(done))
