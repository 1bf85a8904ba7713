"""`rwm timeline`: how a repository went from state to state, so that the moment of an attack is plain to see.

Only headers and verdicts are read, no entries: what came and what went is told by type, as the difference of two
counts. `rwm diff` names the keys.

Security rules:
- The states are those of one unbroken chain (cli/states.py); a broken one is said, and nothing is shown.
- `last-good` is what `rwm restore REPO last-good` restores: the newest good state, which no prune dropped.
"""

from cli.deployment import Deployment
from cli.states import in_chain
from functions.domain.ledger import with_verdicts
from functions.domain.timeline import Said, Timeline, tell
from functions.domain.values import RepositoryName


def timeline(deployment: Deployment, name: str, limit: int) -> Timeline:
    """The newest `limit` states, checked to be one chain. Raises ChainBroken."""
    repository = deployment.repository(name).repository
    judged = with_verdicts(in_chain(deployment.ledger, repository), deployment.verdicts.verdicts(repository))
    return tell(repository, judged, what_was_said(deployment, repository), limit)


def what_was_said(deployment: Deployment, repository: RepositoryName) -> Said:
    """What people and prunes said of its states."""
    return Said.of(
        deployment.ledger.drops(repository),
        deployment.holds.held(repository),
        deployment.approvals.approvals(repository),
    )
