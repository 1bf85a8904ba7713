"""Recording, and what was recorded."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import holding, locks, recording, repositories, states, timeline
from cli.app import STATES, DeploymentOption, JsonOption, RepositoryArgument, StateArgument, app, command, confirm
from cli.views import holding as holding_view
from cli.views import locks as locks_view
from cli.views import recording as recording_view
from cli.views import repositories as repositories_view
from cli.views import states as states_view
from cli.views import timeline as timeline_view


@app.command("repositories", rich_help_panel=STATES)
def repositories_command(
    context: typer.Context, as_json: JsonOption = False, deployment: DeploymentOption = "rwm"
) -> None:
    """The protected repositories, and the newest state of each."""
    with command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = repositories.deployed_repositories(deployed, datetime.now(UTC))
        screen.result(found, lambda: repositories_view.show(found))


@app.command(rich_help_panel=STATES)
def record(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Record the repository's state now."""
    with command(context, deployment, as_json, recording.UNDONE) as (deployed, screen):
        with screen.err.status(f"recording {repository}") if screen.interactive else nullcontext():
            answer = recording.record(deployed, repository)
        screen.result(answer, lambda: recording_view.show(answer))
        raise typer.Exit(answer.exit_code)


@app.command("states", rich_help_panel=STATES)
def states_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The recorded states, newest first."""
    with command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = states.states(deployed, repository, limit, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_states(found))


@app.command("state", rich_help_panel=STATES)
def state_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """One state: its times, roots, and objects by restic's type of file."""
    with command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = states.state(deployed, repository, state, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_state(found))


@app.command(rich_help_panel=STATES)
def diff(
    context: typer.Context,
    repository: RepositoryArgument,
    before: StateArgument,
    after: StateArgument,
    everything: Annotated[bool, typer.Option("--all", help="Every key, not the first 50.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What changed from one state to another, and whether restic itself makes such changes."""
    with command(context, deployment, as_json, "nothing was compared") as (deployed, screen):
        found = states.diff(deployed, repository, before, after, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_diff(found, everything))


@app.command("timeline", rich_help_panel=STATES)
def timeline_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 30,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What came and what went from state to state, what was found, and which is the last good one; newest first."""
    with command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = timeline.timeline(deployed, repository, limit)
        screen.result(found, lambda: timeline_view.show(found))


@app.command("hold", rich_help_panel=STATES)
def hold_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for those who come after you.")],
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Keep a state, whatever its age, until it is released. For approvers."""
    with command(context, deployment, as_json, holding.NOT_HELD) as (deployed, screen):
        done = holding.hold(deployed, repository, state, why)
        screen.result(done, lambda: holding_view.show(done))


@app.command("release", rich_help_panel=STATES)
def release_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Release a state that is held: from then on its age decides. For approvers."""
    with command(context, deployment, as_json, holding.NOT_RELEASED) as (deployed, screen):
        done = holding.propose_release(deployed, repository, state)
        if done.outcome == "proposed":
            if not yes:
                holding_view.propose(screen, done)
                confirm(holding_view.question(done), as_json, holding.NOT_RELEASED)
            done = holding.release(deployed, done)
        screen.result(done, lambda: holding_view.show(done))


@app.command("locks", rich_help_panel=STATES)
def locks_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Until when what each kept state names is under Object Lock, and what is without."""
    with command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = locks.locks(deployed, repository)
        screen.result(found, lambda: locks_view.show(found))
        raise typer.Exit(found.exit_code)
