"""Whether a prune may begin, and which changes since void its plan."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.domain.ledger import StateDamaged
from functions.domain.prune.plan import PrunePlan
from functions.domain.prune.validity import Present, PruneRefused, check_passed, still_named, why_invalid
from functions.domain.repositories import Retention
from functions.domain.state import StateHeader
from functions.domain.values import StateId
from functions.domain.verdict import CheckLevel, Verdict
from tests.builders import NOON, pack, version
from tests.domain.judging import FAIL, HOLD, NOTE, header, judge
from tests.domain.prune.cases import VERSIONS, put
from tests.domain.prune.world import EXECUTION, RULES, basis, draw, pins, unproven

HOUR = timedelta(hours=1)


# --- may it begin ----------------------------------------------------------------------------------


def test_a_state_that_this_execution_judged_and_passed_may_be_planned_on() -> None:
    state = header()
    assert check_passed(state, [judge(state, NOTE, by=EXECUTION).verdict], EXECUTION) == "pass"


def test_a_hold_lets_a_prune_be_planned_and_makes_it_wait() -> None:
    state = header()
    assert check_passed(state, [judge(state, HOLD, by=EXECUTION).verdict], EXECUTION) == "hold"


def test_a_fail_at_any_level_refuses() -> None:
    state = header()
    passed = judge(state, by=EXECUTION).verdict
    failed = judge(state, FAIL, level=CheckLevel.CONTENT, by="another").verdict
    with pytest.raises(PruneRefused, match=r"FAIL \(content\); nothing was planned"):
        check_passed(state, [passed, failed], EXECUTION)


def test_a_fail_that_was_mended_since_does_not() -> None:
    state = header()
    verdicts = [judge(state, FAIL, by="record").verdict, judge(state, by=EXECUTION, seconds=90).verdict]
    assert check_passed(state, verdicts, EXECUTION) == "pass"


def _of_another_execution(state: StateHeader) -> Verdict:
    return judge(state, by="record").verdict


def _of_another_state(state: StateHeader) -> Verdict:
    return judge(header(state, cut=60), by=EXECUTION).verdict


def _of_a_copy(state: StateHeader) -> Verdict:
    return judge(state, by=EXECUTION, target="bucket/copy").verdict


def _of_posture_alone(state: StateHeader) -> Verdict:
    return judge(state, level=CheckLevel.POSTURE, by=EXECUTION).verdict


@pytest.mark.parametrize("other", [_of_another_execution, _of_another_state, _of_a_copy, _of_posture_alone])
def test_only_this_executions_own_judgement_of_this_state_counts(
    other: Callable[[StateHeader], Verdict],
) -> None:
    state = header()
    with pytest.raises(PruneRefused, match="did not judge"):
        check_passed(state, [other(state)], EXECUTION)


def test_a_check_that_did_not_go_as_deep_as_the_repository_s_refuses() -> None:
    state = header()
    consistent = judge(state, by=EXECUTION).verdict
    content = judge(state, level=CheckLevel.CONTENT, by=EXECUTION).verdict
    of_yesterday = judge(state, level=CheckLevel.CONTENT, by="yesterday's").verdict
    with pytest.raises(PruneRefused, match=r"did not judge state .* at level content"):
        check_passed(state, [consistent, of_yesterday], EXECUTION, CheckLevel.CONTENT)
    assert check_passed(state, [consistent, content], EXECUTION, CheckLevel.CONTENT) == "pass"
    with pytest.raises(PruneRefused, match="at level complete"):
        check_passed(state, [consistent, content], EXECUTION, CheckLevel.COMPLETE)


def test_a_check_of_the_posture_alone_is_never_enough() -> None:
    state = header()
    posture = judge(state, level=CheckLevel.POSTURE, by=EXECUTION).verdict
    with pytest.raises(PruneRefused, match="at level consistent"):
        check_passed(state, [posture], EXECUTION, CheckLevel.POSTURE)


# --- is it still valid -----------------------------------------------------------------------------

FRESH = header()
ENTRIES = [version("config"), version(pack("pack 1"))]


def plan_of(fresh: StateHeader, *, holds: tuple[StateId, ...] = ()) -> PrunePlan:
    pinned = pins(ENTRIES)
    # The state's own header, whose entries these are.
    pinned.states = frozenset({fresh.id})
    return draw(ENTRIES, pinned, basis(fresh, holds=holds)).plan


PLAN = plan_of(FRESH)
NEWER = header(FRESH, cut=60)


PRESENT = Present(
    headers=(NEWER, FRESH),
    kept={FRESH.id: 1, NEWER.id: 2},
    holds=frozenset(),
    rules=RULES,
    retention=Retention(),
    verdicts=(judge(FRESH).verdict, judge(NEWER, HOLD).verdict),
    named_again=(),
    now=NOON + HOUR,
)
"""As it was when the plan was drawn, but for an hour and a newer state."""


def reasons(plan: PrunePlan = PLAN, **changes: object) -> tuple[str, ...]:
    return why_invalid(plan, replace(PRESENT, **changes))  # type: ignore[arg-type]


def test_a_newer_state_that_names_nothing_planned_and_has_no_fail_leaves_the_plan_valid() -> None:
    assert reasons() == ()


@pytest.mark.parametrize("now", [NOON - HOUR, NOON + 24 * HOUR])
def test_a_plan_that_expired_or_is_of_the_future_is_never_valid(now: datetime) -> None:
    (reason,) = reasons(now=now)
    assert "good from 2026-11-21T12:00:00Z to 2026-11-22T12:00:00Z" in reason


def test_until_its_last_second_a_plan_is_valid() -> None:
    assert reasons(now=NOON + 24 * HOUR - timedelta(seconds=1)) == ()
    assert reasons(now=NOON) == ()


@pytest.mark.parametrize("headers", [(), (NEWER,), (header(cut=1),)])
def test_a_chain_without_the_plans_own_state_voids_it(headers: tuple[StateHeader, ...]) -> None:
    assert reasons(headers=headers) == ("the state that the plan was drawn from is no longer part of the chain",)


def test_a_hold_and_a_release_void_it() -> None:
    assert reasons(holds=frozenset({FRESH.id})) == ("a state was held or released since",)
    assert reasons(plan_of(FRESH, holds=(FRESH.id,))) == ("a state was held or released since",)
    assert reasons(plan_of(FRESH, holds=(FRESH.id,)), holds=frozenset({FRESH.id})) == ()


def test_a_change_of_retention_or_grace_voids_it() -> None:
    changed = ("retention, grace or the bucket's Object Lock were changed since",)
    assert reasons(retention=Retention(days=31)) == changed
    assert reasons(rules=RULES.model_copy(update={"grace": 5 * HOUR})) == changed


def test_a_state_that_is_kept_now_and_was_to_be_dropped_voids_it() -> None:
    assert reasons(kept={StateId("old"): 1, FRESH.id: 1}) == ("1 state(s) are kept now that the plan does not keep",)


def test_a_state_that_merely_aged_since_does_not() -> None:
    assert reasons(kept={NEWER.id: 2}) == ()


def test_a_newer_state_that_names_a_planned_version_voids_it() -> None:
    assert reasons(named_again=VERSIONS[:1]) == ("newer states name 1 version(s) that are planned",)


@pytest.mark.parametrize("failed", [FRESH, NEWER])
def test_a_fail_of_a_newer_state_or_of_its_own_voids_it(failed: StateHeader) -> None:
    assert reasons(verdicts=(judge(failed, FAIL).verdict,)) == (
        "1 state(s) recorded since, or the plan's own, carry a FAIL",
    )


def test_a_fail_before_the_plan_does_not() -> None:
    second = header(FRESH, cut=60)
    found = why_invalid(plan_of(second), replace(PRESENT, kept={second.id: 2}, verdicts=(judge(FRESH, FAIL).verdict,)))
    assert found == ()


def test_every_reason_is_told() -> None:
    assert len(reasons(now=NOON + 48 * HOUR, headers=(), holds=frozenset({FRESH.id}), named_again=VERSIONS)) == 4


def test_which_planned_versions_newer_states_name_is_told_exactly() -> None:
    assert [entry.version_id for entry in still_named(VERSIONS, pins([put(30)]))] == ["v30"]
    assert list(still_named(VERSIONS, pins([put(30, version_id="other")]))) == []


def test_a_newer_state_that_does_not_prove_itself_answers_nothing() -> None:
    with pytest.raises(StateDamaged):
        list(still_named(VERSIONS, unproven(put(30), version("zzz"))))
