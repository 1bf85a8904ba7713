"""Prunes, their plans, and what approvers say to them."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import completing, deciding, plans, pruning
from cli.app import (
    PRUNES,
    DeploymentOption,
    JsonOption,
    PlanArgument,
    RepositoryArgument,
    app,
    command,
    confirm,
    follow,
)
from cli.views import plans as plans_view
from cli.views import pruning as pruning_view
from functions.domain.prune.approval import Decision


@app.command("prune", rich_help_panel=PRUNES)
def prune_command(
    context: typer.Context,
    repository: RepositoryArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan, and delete nothing.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for an approver, too; without, the exit code is 3 when one is asked.")
    ] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Check the repository, and delete for good the versions that no kept state needs, as its rules let it."""
    with command(context, deployment, as_json, pruning.UNDONE) as (deployed, screen):
        prune = pruning.begin(deployed, repository, dry_run=dry_run)
        pruning_view.announce(screen, prune)
        goes_on = f"the prune goes on. {pruning.how_to_look(prune)}"
        follow(screen, pruning.follow_until_asked(deployed, prune), goes_on)
        prune = pruning.look(deployed, prune, datetime.now(UTC))
        if prune.outcome == "waiting" and wait:
            asked = prune
            screen.tell(lambda: pruning_view.show_asked(asked))
            follow(screen, pruning.follow(deployed, prune), goes_on)
            prune = pruning.look(deployed, prune, datetime.now(UTC))
        screen.result(prune, lambda: pruning_view.show(prune))
        raise typer.Exit(prune.exit_code)


@app.command("prunes", rich_help_panel=PRUNES)
def prunes_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What the repository's prunes came to, newest first."""
    with command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = pruning.prunes(deployed, repository, limit)
        screen.result(found, lambda: pruning_view.show_prunes(found))


@app.command("plans", rich_help_panel=PRUNES)
def plans_command(
    context: typer.Context,
    repository: Annotated[
        str | None,
        typer.Argument(
            metavar="REPO",
            help="A repository; all of them, unless you name one.",
            autocompletion=completing.repositories,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The prune plans, newest first, and what became of each."""
    with command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = plans.plans(deployed, repository, limit, datetime.now(UTC))
        screen.result(found, lambda: plans_view.show_plans(found))


@app.command("plan", rich_help_panel=PRUNES)
def plan_command(
    context: typer.Context,
    plan: PlanArgument,
    entries: Annotated[
        bool, typer.Option("--entries", help="Every version and marker that goes, as they are read.")
    ] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """One prune plan: what goes and why, which states are dropped, what looks odd, what stays."""
    with command(context, deployment, as_json, "nothing was decided") as (deployed, screen):
        found = plans.details(deployed, plans.find(deployed, plan), datetime.now(UTC))
        if entries and as_json:
            plans_view.stream_json(found, plans.entries(deployed, found), screen)
            return
        screen.result(found, lambda: plans_view.show_plan(found))
        if entries:
            plans_view.show_entries(plans.entries(deployed, found), screen)


@app.command("approve", rich_help_panel=PRUNES)
def approve_command(
    context: typer.Context,
    plan: PlanArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Let a prune plan be applied: exactly this one. For approvers."""
    _decide(context, plan, "approved", yes=yes, as_json=as_json, prefix=deployment)


@app.command("reject", rich_help_panel=PRUNES)
def reject_command(
    context: typer.Context,
    plan: PlanArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Let a prune plan never be applied. For approvers."""
    _decide(context, plan, "rejected", yes=yes, as_json=as_json, prefix=deployment)


def _decide(context: typer.Context, plan: str, decision: Decision, *, yes: bool, as_json: bool, prefix: str) -> None:
    with command(context, prefix, as_json, deciding.UNDONE) as (deployed, screen):
        proposed = deciding.propose(deployed, plan, datetime.now(UTC))
        screen.tell(lambda: plans_view.show_plan(proposed))
        if not yes:
            confirm(plans_view.question(proposed, decision), as_json, deciding.UNDONE)
        done = deciding.decide(deployed, proposed, decision)
        screen.result(done, lambda: plans_view.show_decided(done))
