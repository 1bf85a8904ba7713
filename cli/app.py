"""The application `rwm`: its groups of commands, the arguments and options they share, and how each ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from cli import completing
from cli.deployment import Deployment
from cli.examples import epilog
from cli.exits import Damaged, ExitCode, Failed, Refused, Stop, Waiting
from cli.explain import explain, no_profile
from cli.version import about
from cli.views.progress import watch
from cli.views.screen import Screen
from cli.workflow import Progress
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import NoSuchState, StateDamaged
from functions.domain.values import VersionGone

HOSTS = "Hosts"
STATES = "Recording and states"
CHECKS = "Checks"
PRUNES = "Prunes"
RESTORES = "Restores"
INCIDENTS = "When something is wrong"
REPORTS = "Reports"

PANELS = (HOSTS, STATES, CHECKS, PRUNES, RESTORES, INCIDENTS, REPORTS)
"""The groups in which `rwm --help` lists the commands, in its order."""


class _InGroups(TyperGroup):
    """Lists the commands group by group, and as they are registered within one; the help of each ends with examples."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, found in self.commands.items():
            found.epilog = epilog(name)
            for below, beneath in getattr(found, "commands", {}).items():
                beneath.epilog = epilog(f"{name} {below}")

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - Typer's signature
        return sorted(self.commands, key=self._place)

    def _place(self, name: str) -> tuple[int, bool]:
        found = self.commands[name]
        return PANELS.index(getattr(found, "rich_help_panel", "")), isinstance(found, TyperGroup)


app = typer.Typer(
    name="rwm",
    cls=_InGroups,
    help="Restic WORM Manager: recorded states of restic repositories on S3, their checks, prunes and restores.\n\n"
    "Exit codes: 0 done and clean; 1 failed; 2 refused, nothing written; 3 waiting, or a HOLD; 4 a FAIL, or something "
    "is damaged.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ledger_app = typer.Typer(
    help="The ledger as a whole: what all states, links and roots rest on.",
    no_args_is_help=True,
)
app.add_typer(ledger_app, name="ledger", rich_help_panel=STATES)

Deployments = Callable[[str], Deployment]
"""How a deployment is found by its name; tests pass their own as the context's object."""

RepositoryArgument = Annotated[
    str,
    typer.Argument(
        metavar="REPO", help="A repository: `rwm repositories` lists them.", autocompletion=completing.repositories
    ),
]
StateArgument = Annotated[
    str,
    typer.Argument(
        metavar="STATE",
        help="A state: its id or a unique start of it, a time (the newest state at or before it), `latest`, or "
        "`last-good`.",
        autocompletion=completing.states,
    ),
]
PlanArgument = Annotated[
    str,
    typer.Argument(
        metavar="PLAN", help="A prune plan, by its digest or the first 8 digits of it or more: `rwm plans`."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]
DeploymentOption = Annotated[
    str, typer.Option("--deployment", envvar="RWM_DEPLOYMENT", help="Which deployment, by its prefix.")
]
MaintenanceOption = Annotated[
    bool, typer.Option("--maintenance", help="The identity that runs `restic forget --prune`, not the host's.")
]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rwm {about().rwm}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version, and nothing else."),
    ] = False,
) -> None:
    del version
    if context.obj is None:
        context.obj = Deployment.named


@contextmanager
def command(context: typer.Context, prefix: str, as_json: bool, undone: str) -> Iterator[tuple[Deployment, Screen]]:
    """Run a command so that it ends with an exit code and a sentence, whatever happens."""
    screen = Screen(as_json)
    try:
        deployments: Deployments = context.obj
        deployment = deployments(prefix)
    except BotoCoreError as error:
        screen.stopped(no_profile(error, undone))
        raise typer.Exit(ExitCode.REFUSED) from error
    try:
        yield deployment, screen
    except Stop as error:
        stop = error
    except NoSuchState as error:
        stop = Refused(f"{error}; {undone}")
    except StateDamaged as error:
        stop = Damaged(f"{error}; {undone}")
    except (UnreadableDocument, VersionGone) as error:
        stop = Failed(f"{error}; {undone}")
    except (BotoCoreError, ClientError) as error:
        stop = explain(error, deployment, undone)
    else:
        return
    screen.stopped(stop)
    raise typer.Exit(stop.code)


def follow(screen: Screen, steps: Iterator[Progress], goes_on: str) -> None:
    """Show `steps` until they end; raises Waiting with `goes_on` for somebody who does not want to wait."""
    try:
        watch(screen, steps)
    except KeyboardInterrupt:
        raise Waiting(f"not waiting any longer; {goes_on}") from None


def confirm(question: str, as_json: bool, undone: str) -> None:
    """Ask a person; raises Refused unless the answer is yes, and where there is nobody to ask."""
    if as_json:
        raise Refused(f"--json cannot ask; {undone}; pass --yes")
    try:
        if typer.confirm(question, err=True):
            return
    except typer.Abort:
        raise Refused(f"there is nobody to ask; {undone}; pass --yes") from None
    raise Refused(f"{undone}, as you wish")
