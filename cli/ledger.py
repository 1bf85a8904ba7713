"""`rwm ledger verify`: the whole chain of a repository, every root, and every head that was written down beside it."""

from collections.abc import Callable

from cli.deployment import Deployment
from cli.exits import Refused
from functions.domain.documents import Part
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName, StateId
from functions.domain.whole_ledger import prove_ledger
from functions.storage.records import S3AnchorReader


class VerifiedLedger(Part):
    """What holds, all of it, as `--json` prints it."""

    repository: RepositoryName
    head: StateId
    generation: int
    """Of the head."""
    states: int
    bases: int
    deltas: int
    dropped: int
    """States that prunes dropped: their headers were verified, and their entries are needed no more."""
    entries: int
    """Whose roots were computed, over all states."""
    anchored: int
    """Heads in the records bucket; the newest may still be without."""


def verify(deployment: Deployment, name: str, watch: Callable[[StateHeader], None] = lambda _: None) -> VerifiedLedger:
    """Raises LedgerBroken, which names the first state that does not hold, and Refused where there is none."""
    repository = deployment.repository(name).repository
    anchors = S3AnchorReader(deployment.aws.s3, deployment.records_bucket)
    proven = prove_ledger(deployment.ledger, anchors, repository, watch)
    if proven.head is None:
        raise Refused(f"repository {repository} has no recorded state yet; nothing was verified; run `rwm record`")
    return VerifiedLedger(
        repository=repository,
        head=proven.head.state,
        generation=proven.head.generation,
        states=proven.states,
        bases=proven.bases,
        deltas=proven.deltas,
        dropped=proven.dropped,
        entries=proven.entries,
        anchored=proven.anchored,
    )
