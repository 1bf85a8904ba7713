"""The command `rwm`. Here commands are only wired: gather, show, exit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli import (
    access,
    acknowledging,
    checking,
    deciding,
    downloading,
    drilling,
    foreseeing,
    holding,
    in_place,
    ledger,
    locks,
    plans,
    pruning,
    quarantine,
    recording,
    repositories,
    restore_options,
    restores,
    restoring,
    states,
    timeline,
)
from cli.deployment import Deployment
from cli.exits import Damaged, ExitCode, Failed, Refused, Stop, Waiting
from cli.explain import explain, no_profile
from cli.restore_options import Asked
from cli.views import access as access_view
from cli.views import acknowledging as acknowledging_view
from cli.views import checking as checking_view
from cli.views import downloading as downloading_view
from cli.views import drilling as drilling_view
from cli.views import foreseeing as foreseeing_view
from cli.views import holding as holding_view
from cli.views import in_place as in_place_view
from cli.views import ledger as ledger_view
from cli.views import locks as locks_view
from cli.views import plans as plans_view
from cli.views import pruning as pruning_view
from cli.views import quarantine as quarantine_view
from cli.views import recording as recording_view
from cli.views import repositories as repositories_view
from cli.views import restores as restores_view
from cli.views import restoring as restoring_view
from cli.views import states as states_view
from cli.views import timeline as timeline_view
from cli.views.progress import watch
from cli.views.screen import Screen
from cli.workflow import Progress
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import NoSuchState, StateDamaged
from functions.domain.prune.approval import Decision
from functions.domain.restore.forecast import Forecast
from functions.domain.values import VersionGone

app = typer.Typer(
    name="rwm",
    help="Restic WORM Manager: recorded states of restic repositories on S3, their checks, prunes and restores.\n\n"
    "Exit codes: 0 done and clean; 1 failed; 2 refused, nothing written; 3 waiting, or a HOLD; 4 a FAIL, or something "
    "is damaged.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ledger_app = typer.Typer(
    help="The ledger as a whole: what all states, links and roots rest on.",
    no_args_is_help=True,
)
app.add_typer(ledger_app, name="ledger")

Deployments = Callable[[str], Deployment]
"""How a deployment is found by its name; tests pass their own as the context's object."""

RepositoryArgument = Annotated[str, typer.Argument(metavar="REPO", help="A repository: `rwm repositories` lists them.")]
StateArgument = Annotated[
    str,
    typer.Argument(
        metavar="STATE",
        help="A state: its id or a unique start of it, a time (the newest state at or before it), `latest`, or "
        "`last-good`.",
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


@app.callback()
def main(context: typer.Context) -> None:
    if context.obj is None:
        context.obj = Deployment.named


@contextmanager
def _command(context: typer.Context, prefix: str, as_json: bool, undone: str) -> Iterator[tuple[Deployment, Screen]]:
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


@app.command("repositories")
def repositories_command(
    context: typer.Context, as_json: JsonOption = False, deployment: DeploymentOption = "rwm"
) -> None:
    """The protected repositories, and the newest state of each."""
    with _command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = repositories.deployed_repositories(deployed, datetime.now(UTC))
        screen.result(found, lambda: repositories_view.show(found))


@app.command()
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
    with _command(context, deployment, as_json, "nothing was created") as (deployed, screen):
        connection = access.connect(
            deployed, repository, maintenance=maintenance, create_key=create_key, configuration=configuration
        )
        screen.result(connection, lambda: access_view.show_connection(connection))


@app.command()
def disconnect(
    context: typer.Context,
    repository: RepositoryArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    maintenance: MaintenanceOption = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Delete the access keys of the user that RWM created for the repository."""
    with _command(context, deployment, as_json, "not every key was deleted") as (deployed, screen):
        user, keys = access.keys_of(deployed, repository, maintenance=maintenance)
        if keys and not yes:
            _confirm(f"Delete {', '.join(keys)} of {user}? What uses it stops working.", as_json, "nothing was deleted")
        disconnection = access.disconnect(deployed, repository, user, keys)
        screen.result(disconnection, lambda: access_view.show_disconnection(disconnection))


@app.command("quarantine")
def quarantine_command(
    context: typer.Context,
    repository: RepositoryArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Deny the repository's hosts to write and to hide, before it is restored in place. For administrators."""
    with _command(context, deployment, as_json, "not every host is in quarantine") as (deployed, screen):
        deployed.repository(repository)
        if not yes:
            _confirm(quarantine_view.question(repository), as_json, "nobody was put into quarantine")
        standing = quarantine.quarantine(deployed, repository)
        screen.result(standing, lambda: quarantine_view.show(standing))
        raise typer.Exit(standing.exit_code)


@app.command("unquarantine")
def unquarantine_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Let the repository's hosts write again. For administrators."""
    with _command(context, deployment, as_json, "not every host is out of quarantine") as (deployed, screen):
        standing = quarantine.unquarantine(deployed, repository)
        screen.result(standing, lambda: quarantine_view.show(standing))
        raise typer.Exit(standing.exit_code)


@app.command()
def record(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Record the repository's state now."""
    with _command(context, deployment, as_json, recording.UNDONE) as (deployed, screen):
        with screen.err.status(f"recording {repository}") if screen.interactive else nullcontext():
            answer = recording.record(deployed, repository)
        screen.result(answer, lambda: recording_view.show(answer))
        raise typer.Exit(answer.exit_code)


@app.command()
def check(
    context: typer.Context,
    repository: RepositoryArgument,
    state: Annotated[
        str,
        typer.Argument(metavar="STATE", help="As it is now, unless you name a state; `rwm state --help` says how."),
    ] = checking.NEWEST,
    *,
    level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
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
    with _command(context, deployment, as_json, checking.UNDONE) as (deployed, screen):
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
                _watch(screen, checking.follow(deployed, verdict), goes_on)
                verdict = checking.finish(deployed, verdict)
        screen.result(verdict, lambda: checking_view.show(verdict))
        raise typer.Exit(verdict.exit_code)


@app.command()
def acknowledge(
    context: typer.Context,
    repository: RepositoryArgument,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its id, as `rwm check` tells it.")],
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
    with _command(context, deployment, as_json, "nothing was acknowledged") as (deployed, screen):
        done = acknowledging.propose(deployed, repository, finding, verdict)
        if done.outcome == "proposed":
            acknowledging_view.propose(screen, done, everything)
            if not yes:
                _confirm(acknowledging_view.question(done), as_json, "nothing was acknowledged")
            done = acknowledging.acknowledge(deployed, done)
        screen.result(done, lambda: acknowledging_view.show(done))


@app.command("hold")
def hold_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for those who come after you.")],
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Keep a state, whatever its age, until it is released. For approvers."""
    with _command(context, deployment, as_json, holding.NOT_HELD) as (deployed, screen):
        done = holding.hold(deployed, repository, state, why)
        screen.result(done, lambda: holding_view.show(done))


@app.command("release")
def release_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Release a state that is held: from then on its age decides. For approvers."""
    with _command(context, deployment, as_json, holding.NOT_RELEASED) as (deployed, screen):
        done = holding.propose_release(deployed, repository, state)
        if done.outcome == "proposed":
            if not yes:
                holding_view.propose(screen, done)
                _confirm(holding_view.question(done), as_json, holding.NOT_RELEASED)
            done = holding.release(deployed, done)
        screen.result(done, lambda: holding_view.show(done))


@app.command("prune")
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
    with _command(context, deployment, as_json, pruning.UNDONE) as (deployed, screen):
        prune = pruning.begin(deployed, repository, dry_run=dry_run)
        pruning_view.announce(screen, prune)
        goes_on = f"the prune goes on. {pruning.how_to_look(prune)}"
        _watch(screen, pruning.follow_until_asked(deployed, prune), goes_on)
        prune = pruning.look(deployed, prune, datetime.now(UTC))
        if prune.outcome == "waiting" and wait:
            asked = prune
            screen.tell(lambda: pruning_view.show_asked(asked))
            _watch(screen, pruning.follow(deployed, prune), goes_on)
            prune = pruning.look(deployed, prune, datetime.now(UTC))
        screen.result(prune, lambda: pruning_view.show(prune))
        raise typer.Exit(prune.exit_code)


@app.command("prunes")
def prunes_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What the repository's prunes came to, newest first."""
    with _command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = pruning.prunes(deployed, repository, limit)
        screen.result(found, lambda: pruning_view.show_prunes(found))


@app.command("plans")
def plans_command(
    context: typer.Context,
    repository: Annotated[
        str | None, typer.Argument(metavar="REPO", help="A repository; all of them, unless you name one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The prune plans, newest first, and what became of each."""
    with _command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = plans.plans(deployed, repository, limit, datetime.now(UTC))
        screen.result(found, lambda: plans_view.show_plans(found))


@app.command("plan")
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
    with _command(context, deployment, as_json, "nothing was decided") as (deployed, screen):
        found = plans.details(deployed, plans.find(deployed, plan), datetime.now(UTC))
        if entries and as_json:
            plans_view.stream_json(found, plans.entries(deployed, found), screen)
            return
        screen.result(found, lambda: plans_view.show_plan(found))
        if entries:
            plans_view.show_entries(plans.entries(deployed, found), screen)


@app.command("approve")
def approve_command(
    context: typer.Context,
    plan: PlanArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Let a prune plan be applied: exactly this one. For approvers."""
    _decide(context, plan, "approved", yes=yes, as_json=as_json, prefix=deployment)


@app.command("reject")
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
    with _command(context, prefix, as_json, deciding.UNDONE) as (deployed, screen):
        proposed = deciding.propose(deployed, plan, datetime.now(UTC))
        screen.tell(lambda: plans_view.show_plan(proposed))
        if not yes:
            _confirm(plans_view.question(proposed, decision), as_json, deciding.UNDONE)
        done = deciding.decide(deployed, proposed, decision)
        screen.result(done, lambda: plans_view.show_decided(done))


@app.command("locks")
def locks_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Until when what each kept state names is under Object Lock, and what is without."""
    with _command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = locks.locks(deployed, repository)
        screen.result(found, lambda: locks_view.show(found))
        raise typer.Exit(found.exit_code)


@app.command("states")
def states_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The recorded states, newest first."""
    with _command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = states.states(deployed, repository, limit, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_states(found))


@ledger_app.command("verify")
def ledger_verify_command(
    context: typer.Context,
    repository: RepositoryArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """Walk the chain from the first state: every link, every root, every head in the records bucket."""
    with _command(context, deployment, as_json, "nothing after it was verified") as (deployed, screen):
        found = ledger.verify(deployed, repository, lambda header: ledger_view.follow(screen, header))
        screen.result(found, lambda: ledger_view.show(found))


@app.command("state")
def state_command(
    context: typer.Context,
    repository: RepositoryArgument,
    state: StateArgument,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """One state: its times, roots, and objects by restic's type of file."""
    with _command(context, deployment, as_json, "nothing was read") as (deployed, screen):
        found = states.state(deployed, repository, state, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_state(found))


@app.command()
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
    with _command(context, deployment, as_json, "nothing was compared") as (deployed, screen):
        found = states.diff(deployed, repository, before, after, datetime.now(UTC))
        screen.result(found, lambda: states_view.show_diff(found, everything))


@app.command()
def restore(
    context: typer.Context,
    repository: Annotated[
        str | None, typer.Argument(metavar="REPO", help="A repository: `rwm repositories` lists them.")
    ] = None,
    state: Annotated[
        str | None, typer.Argument(metavar="STATE", help="A state of it; `rwm state --help` says how to name one.")
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
    with _command(context, deployment, as_json, restore_options.UNDONE) as (deployed, screen):
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
        _watch(screen, restoring.follow(deployed, begun), goes_on)
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
    _watch(screen, foreseeing.follow(deployed, dry_run), f"the dry run goes on, and writes nothing. {dry_run.advice}")
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
        _confirm(in_place_view.question(forecast), screen.as_json, restore_options.UNDONE)
    begun = in_place.begin(deployed, asked)
    in_place_view.announce(screen, begun)
    if wait:
        goes_on = f"the restore goes on. {restoring.how_to_look(begun)}"
        _watch(screen, restoring.follow(deployed, begun), goes_on)
        begun = restoring.finish(deployed, begun)
    screen.result(begun, lambda: in_place_view.show(begun))
    return begun.exit_code


def _forecast_in_place(deployed: Deployment, screen: Screen, asked: Asked) -> Forecast:
    """What it comes to, as a person has to see it before it is begun."""
    dry_run = foreseeing.begin(deployed, in_place.foreseen(asked))
    _watch(screen, foreseeing.follow(deployed, dry_run), f"the dry run goes on, and writes nothing. {dry_run.advice}")
    forecast = foreseeing.finish(deployed, dry_run)
    screen.tell(lambda: foreseeing_view.show(forecast))
    return forecast


@app.command("restores")
def restores_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many that have ended.")] = 20,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """The repository's restores: those under way, and what the others came to, newest first."""
    with _command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = restores.restores(deployed, repository, limit)
        screen.result(found, lambda: restores_view.show(found))


@app.command("timeline")
def timeline_command(
    context: typer.Context,
    repository: RepositoryArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 30,
    as_json: JsonOption = False,
    deployment: DeploymentOption = "rwm",
) -> None:
    """What came and what went from state to state, what was found, and which is the last good one; newest first."""
    with _command(context, deployment, as_json, "nothing was listed") as (deployed, screen):
        found = timeline.timeline(deployed, repository, limit)
        screen.result(found, lambda: timeline_view.show(found))


@app.command("drill")
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
    with _command(context, deployment, as_json, drilling.UNDONE) as (deployed, screen):
        if listed:
            found = drilling.drills(deployed, repository, limit, datetime.now(UTC))
            screen.result(found, lambda: drilling_view.show_drills(found))
            return
        drill = drilling.begin(deployed, repository, whole=everything)
        drilling_view.announce(screen, drill)
        if wait:
            goes_on = f"the drill goes on. {drilling.how_to_look(drill)}"
            _watch(screen, drilling.follow(deployed, drill), goes_on)
            drill = drilling.finish(deployed, drill)
        screen.result(drill, lambda: drilling_view.show(drill))
        raise typer.Exit(drill.exit_code)


def _watch(screen: Screen, steps: Iterator[Progress], goes_on: str) -> None:
    try:
        watch(screen, steps)
    except KeyboardInterrupt:
        raise Waiting(f"not waiting any longer; {goes_on}") from None


def _confirm(question: str, as_json: bool, undone: str) -> None:
    if as_json:
        raise Refused(f"--json cannot ask; {undone}; pass --yes")
    try:
        if typer.confirm(question, err=True):
            return
    except typer.Abort:
        raise Refused(f"there is nobody to ask; {undone}; pass --yes") from None
    raise Refused(f"{undone}, as you wish")
