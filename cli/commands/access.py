"""What hosts need: how they connect, and their keys."""

from pathlib import Path
from typing import Annotated

import typer

from cli import access
from cli.app import HOSTS, DeploymentOption, JsonOption, MaintenanceOption, RepositoryArgument, app, command, confirm
from cli.views import access as access_view


@app.command(rich_help_panel=HOSTS)
def connect(
    context: typer.Context,
    repository: RepositoryArgument,
    create_key: Annotated[
        bool, typer.Option("--create-key", help="Make an access key for the user that RWM created, and show it once.")
    ] = False,
    maintenance: MaintenanceOption = False,
    configuration: Annotated[
        Path, typer.Option(envvar="RWM_CONFIGURATION", help="For the policy of an adopted bucket only.")
    ] = Path("repositories.toml"),
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """All that a host needs: restic's environment, the queue, the publisher's lines, what to attach."""
    with command(context, deployment, as_json, "nothing was created") as (deployed, screen):
        connection = access.connect(
            deployed, repository, maintenance=maintenance, create_key=create_key, configuration=configuration
        )
        screen.result(connection, lambda: access_view.show_connection(connection))


@app.command(rich_help_panel=HOSTS)
def disconnect(
    context: typer.Context,
    repository: RepositoryArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    maintenance: MaintenanceOption = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Delete the access keys of the user that RWM created for the repository."""
    with command(context, deployment, as_json, "not every key was deleted") as (deployed, screen):
        user, keys = access.keys_of(deployed, repository, maintenance=maintenance)
        if keys and not yes:
            confirm(f"Delete {', '.join(keys)} of {user}? What uses it stops working.", as_json, "nothing was deleted")
        disconnection = access.disconnect(deployed, repository, user, keys)
        screen.result(disconnection, lambda: access_view.show_disconnection(disconnection))
