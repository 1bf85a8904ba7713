"""What about a plan makes a person look first: how much it frees, and what is not restic's.

By the time versions may go, they were hidden for the whole grace and no kept state names them; these findings are the
last time that anybody can notice. They say how much, and carry no evidence, so that none can be acknowledged in
advance: approving names the digest of one plan.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from functions.domain.findings import FindingId
from functions.domain.prune.plan import Total
from functions.domain.repositories import Thresholds
from functions.domain.restic import FileType
from functions.domain.values import Finding, RepositoryName, Severity


def unanswered(dirty: int, repository: RepositoryName, now: datetime) -> Iterator[Finding]:
    """What is odd about a plan that drops states while `dirty` kept ones, recorded since a person approved last, had a
    FAIL or a HOLD.

    A finding about an amount ends by itself once the loss is what is usual; who waited for that must not be rid of the
    states before it without anybody being asked.
    """
    if dirty:
        yield Finding(
            FindingId.PRUNE_AFTER_UNANSWERED,
            Severity.HOLD,
            repository,
            now,
            f"the plan drops states, and {dirty} kept state(s) have a FAIL or a HOLD that no person has answered",
            "`rwm states` shows them; if nothing is lost, approve: that answers them; else reject, and restore",
        )


def odd(
    totals: Iterable[Total], level: int, thresholds: Thresholds, repository: RepositoryName, now: datetime
) -> Iterator[Finding]:
    """What is odd about a plan that deletes `totals`.

    `level`: bytes of packs that the repository usually holds (`Baseline.level`), which what an attacker uploads just
    before does not raise; 0: nothing is known, and whatever is freed is much.
    """
    counted = list(totals)
    freed = sum(each.bytes for each in counted if each.type is not FileType.LOCK)
    if freed > thresholds.prune_frees * level:
        usual = (
            f"{freed / level:.0%} of the {level:,} that it usually holds" if level else "and what is usual, is unknown"
        )
        yield Finding(
            FindingId.PRUNE_FREES_MUCH,
            Severity.HOLD,
            repository,
            now,
            f"the plan frees {freed:,} bytes, {usual}; the threshold is {thresholds.prune_frees:.0%}",
            "if your `restic forget --prune` did it, approve; else reject, and restore before the kept states end",
        )
    aliens = sum(each.entries for each in counted if each.type is FileType.ALIEN)
    if aliens:
        yield Finding(
            FindingId.PRUNE_TAKES_ALIENS,
            Severity.HOLD,
            repository,
            now,
            f"the plan deletes {aliens} version(s) or marker(s) of keys that are not restic's",
            "approve if they may go; else reject, and copy them away first",
        )
