"""States, findings and verdicts for the tests of what is said about a state."""

from collections.abc import Sequence

from functions.domain.findings import Acknowledgement
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import (
    AttemptId,
    Digest,
    Evidence,
    Finding,
    ListedVersion,
    ObjectKey,
    RepositoryName,
    Severity,
    VersionId,
)
from functions.domain.verdict import CheckLevel, Judged, conclude
from tests.builders import NOON, at, listing, named, pack, version
from tests.cuts import take_cut

ALPHA = RepositoryName("alpha")


def header(parent: StateHeader | None = None, *, busy: bool = False, cut: float = 0.0) -> StateHeader:
    """A state of alpha, the first or the one after `parent`."""
    generation = parent.generation + 1 if parent else 1
    entries: list[ListedVersion] = [version("config"), version(pack(f"pack {generation}"))]
    if busy:
        entries.append(version(named("locks", "lock"), written=cut - 60))
    found = describe(
        take_cut(listing(*entries), at(cut)),
        repository=ALPHA,
        parent=parent,
        own_chunks=ChunkSet(attempt=AttemptId("attempt"), count=1, digest=Digest("0" * 64)),
        recorded_at=at(cut + 3),
        cause=Cause(reason="schedule"),
    )
    assert found.busy is busy
    return found


def evidence(key: str, *version_ids: str, standing: bool = False, since: float = 0.0) -> Evidence:
    return Evidence(ObjectKey(key), tuple(map(VersionId, version_ids)), at(since), standing)


def finding(
    *found: Evidence, finding_id: str = "pack-overwritten", severity: Severity = Severity.FAIL, what: str = "what"
) -> Finding:
    since = min((each.since for each in found), default=NOON)
    return Finding(finding_id, severity, ALPHA, since, what, "what to do", found)


HOLD = finding(finding_id="growth", severity=Severity.HOLD)
NOTE = finding(finding_id="stale-lock", severity=Severity.NOTE)
FAIL = finding(finding_id="config-missing", severity=Severity.FAIL)


def judge(
    state: StateHeader,
    *found: Finding,
    level: CheckLevel = CheckLevel.CONSISTENT,
    acknowledged: Sequence[Acknowledgement] = (),
    seconds: float = 60.0,
    by: str = "execution",
    target: str | None = None,
) -> Judged:
    """What a check of `state` that found these concludes, `seconds` after noon."""
    return conclude(state, level, found, acknowledged, judged_at=at(seconds), by=by, target=target)
