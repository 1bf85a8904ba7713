"""Whether a prune may be planned at all, and whether a plan still may be applied.

Clause (c): the fresh state of this same execution was judged by this same execution, and nothing speaks for stopping.

A plan outlives the hour it was drawn in: a person has to see it. Meanwhile states are recorded, and that alone must
not void it, or a busy repository could never be pruned. So a newer state voids a plan only if it names something that
is planned (an object that was hidden came back) or carries a FAIL. A person's hold or release, a change of
`repositories.toml`, and a state that is kept now and was not kept then always do. What merely aged since is no
reason: the plan was drawn as if it were still kept.

Security rules:
- Every reason is told, not the first one only; without a reason the plan is valid, and with one nothing is deleted.
- A chain that no longer leads to the plan's head is no ground to stand on.
- An expired plan is never applied, whatever else holds. A plan of the future is not, either.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.pins import PinnedVersions
from functions.domain.prune.plan import PrunePlan
from functions.domain.prune.rules import PruneRules
from functions.domain.repositories import Retention
from functions.domain.state import StateHeader
from functions.domain.values import StateId
from functions.domain.verdict import CheckLevel, Outcome, Verdict, newest_outcomes


class PruneRefused(Exception):
    """No prune may be planned; nothing was planned and nothing was deleted."""


def check_passed(
    fresh: StateHeader, verdicts: Iterable[Verdict], by: str, level: CheckLevel = CheckLevel.CONSISTENT
) -> Outcome:
    """`pass` or `hold`: what the checks of execution `by`, as deep as `level`, say of its own fresh state.

    Raises PruneRefused where that execution did not judge the state so deep, and never less deep than *consistent*, or
    where any level's newest verdict is a FAIL.
    """
    of_state = [verdict for verdict in verdicts if verdict.state == fresh.id and verdict.target is None]
    judged = {verdict.level for verdict in of_state if verdict.by == by}
    for each in (CheckLevel.CONSISTENT, CheckLevel.CONTENT, CheckLevel.COMPLETE):
        if each not in judged and (level.includes(each) or each is CheckLevel.CONSISTENT):
            raise PruneRefused(
                f"{by} did not judge state {fresh.id[:12]} at level {each}; nothing was planned; run `rwm prune` again"
            )
    outcomes = newest_outcomes(fresh, of_state)
    if failed := [level for level, outcome in outcomes.items() if outcome == "fail"]:
        raise PruneRefused(
            f"state {fresh.id[:12]} has a FAIL ({', '.join(failed)}); nothing was planned; "
            "`rwm check` shows what to mend or to acknowledge"
        )
    return "hold" if "hold" in outcomes.values() else "pass"


@dataclass(frozen=True, slots=True)
class Present:
    """What is so now, read consistently."""

    headers: Sequence[StateHeader]
    """From the plan's own state to the newest, in any order, proven to be one chain."""
    kept: Mapping[StateId, int]
    """Generation by state: those that retention keeps now; once states were marked, those that are not marked."""
    holds: frozenset[StateId]
    rules: PruneRules
    retention: Retention
    verdicts: Sequence[Verdict]
    """Of these states."""
    named_again: Sequence[PlannedEntry]
    """What `still_named` finds in the states that are newer than the plan."""
    now: datetime
    """S3's clock."""


def why_invalid(plan: PrunePlan, present: Present) -> tuple[str, ...]:
    """Why the plan may not be applied any more, in sentences; empty: it may."""
    return tuple(_reasons(plan, present))


def still_named(planned: Iterable[PlannedEntry], newer: PinnedVersions) -> Iterator[PlannedEntry]:
    """Which of `planned` (in key order) the `newer` states name. Raises PinsUnproven, at the latest at the end."""
    for entry in planned:
        if entry.version_id in newer.named(entry.key):
            yield entry
    newer.finish()


def _reasons(plan: PrunePlan, present: Present) -> Iterator[str]:
    if not plan.drawn_at <= present.now < plan.valid_until:
        yield f"the plan is good from {plan.drawn_at:%Y-%m-%dT%H:%M:%SZ} to {plan.valid_until:%Y-%m-%dT%H:%M:%SZ}"
    by_generation = {header.generation: header for header in present.headers}
    if (own := by_generation.get(plan.generation)) is None or own.id != plan.state:
        yield "the state that the plan was drawn from is no longer part of the chain"
    if set(plan.holds) != present.holds:
        yield "a state was held or released since"
    if (plan.rules, plan.retention) != (present.rules, present.retention):
        yield "retention, grace or the bucket's Object Lock were changed since"
    relied_on = set(plan.kept)
    returned = [
        state for state, generation in present.kept.items() if generation <= plan.generation and state not in relied_on
    ]
    if returned:
        yield f"{len(returned)} state(s) are kept now that the plan does not keep"
    if present.named_again:
        yield f"newer states name {len(present.named_again)} version(s) that are planned"
    failed = [
        header
        for header in present.headers
        if header.generation >= plan.generation and "fail" in newest_outcomes(header, present.verdicts).values()
    ]
    if failed:
        yield f"{len(failed)} state(s) recorded since, or the plan's own, carry a FAIL"
