"""What a check of content finds, once its batches are read.

Security rules:
- A batch without a result that holds was not read: it is a HOLD, and nothing of it is called verified.
- What is found is wrong with the judged state itself, so that no acknowledgement makes a damaged state good.
- Evidence is bounded, and the finding says how much there is: who floods a repository with garbage stops no check.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from functions.domain.content.plan import ContentPlan, draw
from functions.domain.content.results import ContentResult, Kind, Sight, Trouble
from functions.domain.findings import FindingId
from functions.domain.values import Evidence, Finding, ObjectKey, Severity

MOST_SIGHTS = 10_000
"""How many first sights one check keeps or compares; each is a call or two of DynamoDB. The rest waits for the next."""
MOST_EVIDENCE = 10_000
"""How many keys one finding names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a check's batches came to."""

    results: Mapping[int, ContentResult]
    """Those that hold, by the number of their batch."""
    changed: Sequence[Sight] = ()
    """Versions whose bytes are not those that were seen first."""
    left: Sequence[Sight] = ()
    """Versions whose first sight was neither kept nor compared: more than MOST_SIGHTS."""

    def troubles(self, kind: Kind) -> list[Trouble]:
        return [each for _, result in sorted(self.results.items()) for each in result.troubles if each.kind is kind]

    def held_against(self) -> list[Trouble | Sight]:
        """Versions for which no set may ever speak."""
        return [*self.troubles(Kind.DAMAGED), *self.troubles(Kind.GONE), *self.changed]


def sights_in_turn(results: Mapping[int, ContentResult], execution: str) -> list[Sight]:
    """All sights, in the order in which they are kept or compared: `config` first, which no flood of alien keys may
    crowd out, then as this execution draws them, so that every one's turn comes."""
    seen = [each for result in results.values() for each in result.sights]
    return sorted(seen, key=lambda each: (each.key != "config", draw(each, execution)))


def findings(plan: ContentPlan, read: Read) -> tuple[Finding, ...]:
    """Everything that is wrong with the content of the plan's state."""
    found = [_damaged(plan, read), _changed(plan, read), _gone(plan, read), _not_read(plan, read)]
    return tuple(finding for finding in found if finding is not None)


def _damaged(plan: ContentPlan, read: Read) -> Finding | None:
    damaged = read.troubles(Kind.DAMAGED)
    return _finding(
        plan,
        FindingId.CONTENT_DAMAGED,
        Severity.FAIL,
        damaged,
        f"{len(damaged)} object versions do not have the bytes that their names promise",
        "restore the last state in which they were good; look at who wrote them, and when",
    )


def _changed(plan: ContentPlan, read: Read) -> Finding | None:
    return _finding(
        plan,
        FindingId.CONTENT_CHANGED,
        Severity.FAIL,
        read.changed,
        f"{len(read.changed)} object versions have other bytes than when they were first read: a version never changes",
        "read them again with `rwm check --level content --all`; if it is found again, ask the provider, and restore "
        "elsewhere",
    )


def _gone(plan: ContentPlan, read: Read) -> Finding | None:
    return _finding(
        plan,
        FindingId.PINNED_VERSION_GONE,
        Severity.FAIL,
        read.troubles(Kind.GONE),
        "object versions that this state names no longer exist: it cannot be restored whole",
        "find out in CloudTrail who deleted them; check that the bucket's policy is ours",
    )


def _not_read(plan: ContentPlan, read: Read) -> Finding | None:
    failed = read.troubles(Kind.FAILED)
    unread = [batch for batch in plan.batches if batch.number not in read.results]
    if not failed and not unread:
        return None
    reasons = ", ".join(sorted({each.why for each in failed})[:5])
    parts = [f"{len(failed)} object versions could not be read ({reasons})"] if failed else []
    if unread:
        parts.append(f"of {len(unread)} batches, {sum(each.objects for each in unread)} object versions, nothing came")
    return Finding(
        FindingId.CONTENT_NOT_READ,
        Severity.HOLD,
        plan.repository,
        min((each.written for each in failed), default=plan.cut_time),
        "; ".join(parts),
        "run the check again, which reads what is left; if it stays, look at the function's log and at what S3 denies",
        _evidence(failed),
    )


def _finding(
    plan: ContentPlan, finding: FindingId, severity: Severity, versions: Sequence[Trouble | Sight], what: str, do: str
) -> Finding | None:
    if not versions:
        return None
    since = min(each.written for each in versions)
    return Finding(finding, severity, plan.repository, since, what, do, _evidence(versions))


def _evidence(versions: Iterable[Trouble | Sight]) -> tuple[Evidence, ...]:
    named = sorted(versions, key=attrgetter("key", "version_id"))[:MOST_EVIDENCE]
    return tuple(Evidence(ObjectKey(each.key), (each.version_id,), each.written, standing=True) for each in named)


def figures(plan: ContentPlan, read: Read) -> dict[str, int]:
    """What the verdict counts: objects and bytes of the state, and how many of them were read, before and now."""
    results = read.results.values()
    return {
        "objects": plan.objects,
        "bytes": plan.bytes,
        "verified_before": plan.verified_before.objects,
        "sampled": plan.sampled.objects,
        "read": sum(len(each.sights) + each.verified + each.count(Kind.DAMAGED) for each in results),
        "read_bytes": sum(each.read_bytes for each in results),
        "verified": sum(each.verified for each in results),
        "sights": sum(len(each.sights) for each in results),
        "sights_left": len(read.left),
        "damaged": len(read.troubles(Kind.DAMAGED)),
        "changed": len(read.changed),
        "gone": len(read.troubles(Kind.GONE)),
        "not_read": len(read.troubles(Kind.FAILED))
        + sum(batch.objects for batch in plan.batches if batch.number not in read.results),
    }
