"""For the day when something is wrong."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from cli import completing, dead_letters, quarantine, why
from cli.app import INCIDENTS, DeploymentOption, JsonOption, RepositoryArgument, app, command, confirm
from cli.dead_letters import DeadLetters
from cli.deployment import Deployment
from cli.version import about
from cli.views import dead_letters as dead_letters_view
from cli.views import quarantine as quarantine_view
from cli.views import why as why_view
from cli.views.screen import Screen


@app.command("quarantine", rich_help_panel=INCIDENTS)
def quarantine_command(
    context: typer.Context,
    repository: RepositoryArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Deny the repository's hosts to write and to hide, before it is restored in place. For administrators."""
    with command(context, deployment, as_json, "not every host is in quarantine") as (deployed, screen):
        deployed.repository(repository)
        if not yes:
            confirm(quarantine_view.question(repository), as_json, "nobody was put into quarantine")
        standing = quarantine.quarantine(deployed, repository)
        screen.result(standing, lambda: quarantine_view.show(standing))
        raise typer.Exit(standing.exit_code)


@app.command("unquarantine", rich_help_panel=INCIDENTS)
def unquarantine_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Let the repository's hosts write again. For administrators."""
    with command(context, deployment, as_json, "not every host is out of quarantine") as (deployed, screen):
        standing = quarantine.unquarantine(deployed, repository)
        screen.result(standing, lambda: quarantine_view.show(standing))
        raise typer.Exit(standing.exit_code)


@app.command("dead-letters", rich_help_panel=INCIDENTS)
def dead_letters_command(
    context: typer.Context,
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="REPO",
            help="Those of a repository; of all, unless you name one.",
            autocompletion=completing.repositories,
        ),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Record now what their events speak of, and delete those that a state answers."),
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Delete those that nobody can ever answer.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The messages of hosts that nobody could answer, and why; they can be replayed, by recording, or discarded."""
    with command(context, deployment, as_json, dead_letters.UNDONE) as (deployed, screen):
        found = dead_letters.dead_letters(deployed, repository, limit)
        replay, discard = replay and bool(found.to_replay), discard and bool(found.to_discard)
        if not replay and not discard:
            screen.result(found, lambda: dead_letters_view.show(found))
            return
        screen.tell(lambda: dead_letters_view.show(found))
        if not yes:
            question = dead_letters_view.question(found, replay=replay, discard=discard)
            confirm(question, as_json, "nothing was recorded, and no message was deleted")
        done = _lay_to_rest(deployed, screen, found, replay=replay, discard=discard)
        screen.result(done, lambda: dead_letters_view.show_done(done))
        raise typer.Exit(done.exit_code)


def _lay_to_rest(
    deployed: Deployment, screen: Screen, found: DeadLetters, *, replay: bool, discard: bool
) -> DeadLetters:
    with screen.err.status("recording, and deleting messages") if screen.interactive else nullcontext():
        done = dead_letters.replay(deployed, found) if replay else found
        return dead_letters.discard(deployed, done) if discard else done


@app.command("why", rich_help_panel=INCIDENTS)
def why_command(
    context: typer.Context,
    repository: RepositoryArgument,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="A key, or 4 hex digits or more with which an object's name, or a snapshot's id, begins.",
        ),
    ],
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The story of one object: its versions, who keeps them and until when, what was found, planned and deleted of it.

    And what a prune would do with it today. What S3 itself lists is shown to those who may list the bucket.
    """
    with command(context, deployment, as_json, "nothing was told") as (deployed, screen):
        story = why.why(deployed, repository, key, datetime.now(UTC))
        screen.result(story, lambda: why_view.show(story))


@app.command("version", rich_help_panel=INCIDENTS)
def version_command(as_json: JsonOption = False) -> None:
    """What runs here: rwm, Python, boto3. Nothing is asked of AWS."""
    found = about()
    Screen(as_json).result(
        found, lambda: [Text(f"rwm {found.rwm} (Python {found.python}, boto3 {found.boto3}, {found.system})")]
    )
