"""How `rwm connect` and `rwm disconnect` look: blocks to paste, each after a line that says where."""

import json
import shlex
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.access import Connection, Disconnection
from cli.views.screen import printable


def show_connection(connection: Connection) -> Iterator[RenderableType]:
    for principal in connection.principals:
        if principal.created:
            yield _said(f"{principal.arn} has its permissions already.")
        elif principal.attach:
            yield _said(f"Give {principal.arn} its permissions, as an administrator:")
            yield _paste(principal.attach)
        else:
            yield _said(f"{principal.arn} is of another account: attach the document of {principal.policy} there.")
    yield from _environment(connection)
    yield _said("Once, to make the repository (it asks for a new restic password, which RWM never sees):")
    yield _paste("restic init")
    if connection.identity == "host":
        yield _said("After every backup, so that its state is recorded (host/README.md installs rwm-publish):")
        yield _paste("restic backup /srv; rwm-publish --restic-exit $?")
        yield _said("Without rwm-publish:")
        yield _paste("""aws sqs send-message --queue-url "$RWM_QUEUE_URL" --message-body '{"event":"backup done"}'""")
    else:
        yield _said("Keep this key off the backup host. In its own shell:")
        yield _paste("restic forget --prune --keep-daily 30")
    if connection.bucket_policy is not None:
        yield _said(
            "The adopted bucket must have these statements beside its own (`aws s3api put-bucket-policy`). They deny "
            "further changes to all but the deployment role and the break-glass principal of repositories.toml:"
        )
        yield Text(json.dumps(connection.bucket_policy, indent=2))


def _environment(connection: Connection) -> Iterator[RenderableType]:
    shown = dict(connection.environment)
    if connection.key is not None:
        yield Text(f"A new access key of {connection.key.user}. Its secret is shown this once only.", "bold yellow")
        shown["AWS_ACCESS_KEY_ID"] = connection.key.id
        shown["AWS_SECRET_ACCESS_KEY"] = connection.key.secret.get_secret_value()
    elif any(principal.created for principal in connection.principals):
        option = " --maintenance" if connection.identity == "maintenance" else ""
        yield _said(f"It has no key from here: `rwm connect {connection.repository}{option} --create-key` makes one.")
    yield _said("For its environment (a file of mode 600, read before restic and rwm-publish):")
    yield _paste("\n".join(f"export {name}={shlex.quote(value)}" for name, value in shown.items()))


def show_disconnection(disconnection: Disconnection) -> Iterator[RenderableType]:
    if disconnection.deleted:
        deleted = ", ".join(disconnection.deleted)
        yield _said(f"Deleted {deleted} of {disconnection.user}; AWS forgets it within seconds.")
        yield _said("What it wrote is kept. If it was stolen, change the restic password too: restic key passwd.")
    else:
        yield _said(f"{disconnection.user} has no access key; nothing was deleted.")


def _said(text: str) -> Text:
    return Text(printable(text))


def _paste(text: str) -> Text:
    return Text("\n".join(f"    {line}" for line in map(printable, text.splitlines())), style="cyan")
