"""The command `rwm`: importing its groups of commands is what registers them."""

from cli.app import app
from cli.commands import access, checking, incidents, ledger, pruning, reporting, restoring, states

__all__ = ["GROUPS", "app"]

GROUPS = (access, states, ledger, checking, pruning, restoring, incidents, reporting)
