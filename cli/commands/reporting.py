"""What people read at leisure: the page, and what it costs."""

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import costing, reporting
from cli.app import REPORTS, DeploymentOption, JsonOption, RepositoryArgument, app, command
from cli.exits import Refused
from cli.views import costing as costing_view
from cli.views import reporting as reporting_view

PricesOption = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="TOML with other prices than AWS's list prices of us-east-1."),
]


@app.command(rich_help_panel=REPORTS)
def report(
    context: typer.Context,
    repository: Annotated[
        str | None, typer.Argument(metavar="[REPO]", help="A repository: `rwm repositories` lists them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every repository, with an index.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write the page; over what is there.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="States of the timeline; 400, or 60 of each with --all, unless you say so."),
    ] = None,
    prices: PricesOption = None,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Everything about a repository on one page: timeline, growth, prunes, cost, locks, drills."""
    with command(context, deployment, as_json, reporting.UNDONE) as (deployed, screen):
        if (repository is None) is not everything:
            raise Refused(f"name a repository, or say --all, not both; {reporting.UNDONE}")
        if html is None and not as_json:
            raise Refused(f"say where to write it: --html FILE; {reporting.UNDONE}")
        with screen.err.status("reading what is known") if screen.interactive else nullcontext():
            found = reporting.pages(deployed, repository, costing.read_prices(prices), datetime.now(UTC), limit=limit)
        written = reporting.write(found, html) if html else None
        if written and not as_json:
            screen.result(written, lambda: reporting_view.show(written))
        else:
            screen.result(reporting.document(found, one=repository is not None), lambda: ())
        raise typer.Exit(reporting.exit_code(found))


@app.command(rich_help_panel=REPORTS)
def cost(
    context: typer.Context,
    repository: RepositoryArgument,
    prices: PricesOption = None,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What a repository costs in a month, by part, and what a restore of it would: an estimate."""
    with command(context, deployment, as_json, costing.UNDONE) as (deployed, screen):
        found = costing.cost(deployed, repository, costing.read_prices(prices), datetime.now(UTC))
        screen.result(found, lambda: costing_view.show(found))
