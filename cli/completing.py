"""What a shell is told when somebody presses Tab: the deployed repositories, and words that are always the same.

Security rules:
- zsh evaluates what it is told. Only words of ours, and names that the deployment's own pattern allows, are told.
- Tab is no place for an error or a wait: whoever has no credentials, or no network, is told nothing, and soon.
"""

import os
import threading
from collections.abc import Callable, Iterable

import typer
from botocore.config import Config

from cli.deployment import Aws, Deployment
from functions.domain.findings import FindingId
from functions.domain.verdict import CheckLevel

PATIENCE = 1.5
"""Seconds until whoever pressed Tab is told nothing."""
_AT_ONCE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})


def repositories(context: typer.Context, incomplete: str) -> list[str]:
    """The deployed repositories whose names begin so."""
    return _beginning(_soon(lambda: _deployed(context)), incomplete)


def states(incomplete: str) -> list[str]:
    return _beginning(("latest", "last-good"), incomplete)


def levels(incomplete: str) -> list[str]:
    return _beginning(CheckLevel, incomplete)


def findings(incomplete: str) -> list[str]:
    return _beginning(sorted(FindingId), incomplete)


def tiers(incomplete: str) -> list[str]:
    return _beginning(("Expedited", "Standard", "Bulk"), incomplete)


def _deployed(context: typer.Context) -> list[str]:
    # Nothing was run yet that would have made the deployment, but a test may have handed one in.
    prefix = context.params.get("deployment") or os.environ.get("RWM_DEPLOYMENT") or "rwm"
    found = context.find_root().obj or _impatient
    return [repository.name for repository in found(prefix).repositories()]


def _impatient(prefix: str) -> Deployment:
    aws = Aws()
    aws.ssm = aws.session.client("ssm", config=_AT_ONCE)
    return Deployment.with_clients(prefix, aws)


def _soon(ask: Callable[[], list[str]]) -> list[str]:
    """What `ask` says within PATIENCE; nothing where it fails. Looking for credentials knows no time limit of ours, so
    a thread does it, which dies with the process."""
    found: list[str] = []

    def look() -> None:
        try:
            found.extend(ask())
        except Exception:  # noqa: BLE001 - whatever it is, Tab is no place to tell it
            found.clear()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return [] if thread.is_alive() else found


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [str(word) for word in words if word.startswith(incomplete)]
