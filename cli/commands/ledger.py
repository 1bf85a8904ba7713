"""The ledger as a whole."""

import typer

from cli import ledger
from cli.app import DeploymentOption, JsonOption, RepositoryArgument, command, ledger_app
from cli.views import ledger as ledger_view


@ledger_app.command("verify")
def ledger_verify_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Walk the chain from the first state: every link, every root, every head in the records bucket."""
    with command(context, deployment, as_json, "nothing after it was verified") as (deployed, screen):
        found = ledger.verify(deployed, repository, lambda header: ledger_view.follow(screen, header))
        screen.result(found, lambda: ledger_view.show(found))
