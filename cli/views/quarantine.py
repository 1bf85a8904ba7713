"""How `rwm quarantine` and `rwm unquarantine` look."""

import json
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.quarantine import QuarantineStanding
from cli.views.screen import printable


def question(repository: str) -> str:
    return (
        f"Put {repository} into quarantine? Every backup to it fails, and so does `restic forget`, until `rwm "
        f"unquarantine {repository}`."
    )


def show(standing: QuarantineStanding) -> Iterator[RenderableType]:
    for principal in standing.principals:
        what = "is in quarantine" if principal.quarantined else "may write"
        if principal.why:
            what += f": {principal.why}"
        wrong = principal.quarantined is not standing.asked
        yield Text(printable(f"{principal.arn} {what}"), style="bold red" if wrong else "green")
    if standing.bucket_statement is not None:
        yield from _by_hand(standing)
    if any(principal.why for principal in standing.principals):
        yield Text("Then run the same command again.")
    elif not standing.done and standing.bucket_statement is None:
        yield Text("IAM does not show yet what was asked of it. Run the same command again in a minute.")
    if standing.asked and standing.done:
        yield Text(
            f"{standing.repository} is in quarantine. IAM takes a few seconds until every request is denied. Backups "
            "and `restic forget` fail from now on, and so does restic's own prune; RWM goes on recording."
        )
        yield Text(f"`rwm unquarantine {standing.repository}` ends it.")
    elif standing.done:
        yield Text(
            f"The quarantine of {standing.repository} is over; within a few seconds its hosts may write again. Whose "
            "key was stolen gets a new one first: `rwm disconnect`, then `rwm connect --create-key`."
        )


def _by_hand(standing: QuarantineStanding) -> Iterator[RenderableType]:
    """No managed policy of this account reaches a principal of another one."""
    verb = "must have" if standing.asked else "must no longer have"
    yield Text(
        f"Not done: what is of another account is denied by the bucket's policy only. The policy of {standing.bucket} "
        f"{verb} this statement, beside its own (`aws s3api put-bucket-policy`). Only the deployment role and the "
        "break-glass principal of repositories.toml may change it:"
    )
    yield Text(json.dumps(standing.bucket_statement, indent=2))
    yield Text("Then run the same command again: it looks whether it is so.")
