"""How `rwm connect` and `rwm disconnect` look: numbered steps in their order, each with what to paste and where."""

import json
import shlex
from collections.abc import Callable, Iterator
from itertools import count

from rich.console import RenderableType
from rich.text import Text

from cli.access import Connection, Disconnection
from cli.views.screen import printable

ENVIRONMENT, MAINTENANCE_ENVIRONMENT = "/etc/rwm.env", "/etc/rwm-maintenance.env"
"""The files that the hooks in host/hooks read, and the one of the identity that prunes."""
PASSWORD = "/etc/restic-password"  # noqa: S105 - where it is, not what it is
PAGE = "docs/connecting-a-host.md"


def show_connection(connection: Connection) -> Iterator[RenderableType]:
    numbers = count(1)

    def step(text: str) -> Text:
        return _said(f"{next(numbers)}. {text}")

    for principal in connection.principals:
        if principal.attach:
            yield step(f"Give {principal.arn} its permissions, as an administrator:")
            yield _paste(principal.attach)
        elif not principal.created:
            yield step(f"{principal.arn} is of another account: attach the document of {principal.policy} there.")
    yield from _bucket_policy(connection, step)
    if connection.identity == "host":
        yield step(f"From RWM's checkout, copy the scripts to the host (here `backup1`; {PAGE} has other ways):")
        yield _paste("scp host/rwm-publish host/rwm-doctor root@backup1:/usr/local/bin/")
        yield from _environment(connection, ENVIRONMENT, step("On the host, as root: a file that only root reads."))
        yield step("Once, if there is none yet: restic's password, and the repository. Keep a copy of the password")
        yield _said(f"elsewhere ({PASSWORD}): without it nobody reads the backups, RWM included.")
        yield _paste(f"(umask 077; head -c 24 /dev/urandom | base64 >{PASSWORD})", f". {ENVIRONMENT} && restic init")
        yield step("Is this key as weak as it must be? It tries, harmlessly, and says so in plain words:")
        yield _paste(f". {ENVIRONMENT} && rwm-doctor")
        yield step("The first backup, here of /srv; RWM hears of it:")
        yield _paste(f". {ENVIRONMENT}; restic backup /srv; rwm-publish --restic-exit $?")
        yield step(f"Every night: one of these, from RWM's checkout ({PAGE} has resticprofile, autorestic, backrest):")
        yield _paste(
            "scp host/hooks/cron root@backup1:/etc/cron.d/restic",
            "scp host/hooks/systemd/restic-backup.service root@backup1:/etc/systemd/system/",
            "scp host/hooks/systemd/restic-backup.timer root@backup1:/etc/systemd/system/",
            "ssh root@backup1 systemctl enable --now restic-backup.timer",
        )
        yield step("See the state, some seconds after a backup; on this machine:")
        yield _paste(f"rwm states {connection.repository}")
    else:
        yield step("From RWM's checkout, copy the doctor to the machine that prunes, which is not a backup host:")
        yield _paste("scp host/rwm-doctor root@pruner:/usr/local/bin/")
        there = step(f"There, as root: a file that only root reads; put restic's password into {PASSWORD}.")
        yield from _environment(connection, MAINTENANCE_ENVIRONMENT, there)
        yield step("Is this key as weak as it must be?")
        yield _paste(f". {MAINTENANCE_ENVIRONMENT} && rwm-doctor")
        yield step("As often as you like; what it hides stays until RWM prunes it:")
        yield _paste(f". {MAINTENANCE_ENVIRONMENT} && restic forget --prune --keep-daily 30")


def _bucket_policy(connection: Connection, step: Callable[[str], Text]) -> Iterator[RenderableType]:
    if connection.bucket_policy is not None:
        yield step(
            "The adopted bucket must have these statements beside its own (`aws s3api put-bucket-policy`). They deny "
            "further changes to all but the deployment role and the break-glass principal of repositories.toml:"
        )
        yield Text(json.dumps(connection.bucket_policy, indent=2))


def _environment(connection: Connection, file: str, said: Text) -> Iterator[RenderableType]:
    yield said
    shown = dict(connection.environment)
    if connection.key is not None:
        yield Text(f"A new access key of {connection.key.user}. Its secret is shown this once only.", "bold yellow")
        shown["AWS_ACCESS_KEY_ID"] = connection.key.id
        shown["AWS_SECRET_ACCESS_KEY"] = connection.key.secret.get_secret_value()
    elif any(principal.created for principal in connection.principals):
        option = " --maintenance" if connection.identity == "maintenance" else ""
        yield _said(f"Without a key: `rwm connect {connection.repository}{option} --create-key` makes one.")
    else:
        yield _said(f"With credentials of its own: an instance's role, IAM Roles Anywhere ({PAGE}), or a user's key.")
    lines = (f"export {name}={shlex.quote(value)}" for name, value in shown.items())
    yield _paste(f"(umask 077; cat >{file}) <<'END'", *lines, f"export RESTIC_PASSWORD_FILE={PASSWORD}", "END")


def show_disconnection(disconnection: Disconnection) -> Iterator[RenderableType]:
    if disconnection.deleted:
        deleted = ", ".join(disconnection.deleted)
        yield _said(f"Deleted {deleted} of {disconnection.user}; AWS forgets it within seconds.")
        yield _said("What it wrote is kept. If it was stolen, change the restic password too: restic key passwd.")
    else:
        yield _said(f"{disconnection.user} has no access key; nothing was deleted.")


def _said(text: str) -> Text:
    return Text(printable(text))


def _paste(*lines: str) -> Text:
    return Text("\n".join(map(printable, lines)), style="cyan")
