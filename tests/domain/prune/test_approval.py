"""Which state a person approved last: the newest one that a plan was drawn from and that is still in the chain."""

from collections.abc import Sequence

from functions.domain.prune.approval import Approval, Decision, from_generation, last_approved
from functions.domain.state import StateHeader
from functions.domain.values import Digest, StateId
from tests.builders import at
from tests.domain.judging import ALPHA, header

HOUR = 3600.0


def chain(states: int) -> list[StateHeader]:
    """A state an hour."""
    found = [header()]
    for number in range(1, states):
        found.append(header(found[-1], cut=number * HOUR))
    return found


def approval(of: StateHeader, decision: Decision = "approved", *, hours: float = 0.0) -> Approval:
    """Of a plan that was drawn from the state."""
    return Approval(
        repository=ALPHA,
        plan=Digest(of.id[::-1]),
        state=of.id,
        generation=of.generation,
        decision=decision,
        by="arn:somebody",
        at=at(of.generation * HOUR + hours * HOUR),
    )


def last(approvals: Sequence[Approval], headers: Sequence[StateHeader], *, hours: float = 100.0) -> StateHeader | None:
    found = last_approved(approvals, from_generation(headers[::-1]), at(hours * HOUR))
    return found.header if found else None


def test_nobody_approved_anything() -> None:
    assert last([], chain(3)) is None


def test_the_newest_state_counts_whatever_the_order_in_which_people_approved() -> None:
    first, second, third = chain(3)
    approvals = [approval(first, hours=20), approval(second), approval(first, hours=30)]
    assert last(approvals, [first, second, third]) == second


def test_a_rejection_accepts_nothing() -> None:
    first, second = chain(2)
    assert last([approval(first), approval(second, "rejected")], [first, second]) == first


def test_of_a_late_approval_the_cut_of_the_state_counts() -> None:
    first, second, third = chain(3)
    assert last([approval(second, hours=20)], [first, second, third], hours=1) == second
    assert last([approval(second, hours=20)], [first, second, third], hours=0.9) is None


def test_what_was_approved_after_a_state_is_not_known_to_it() -> None:
    first, second, third = chain(3)
    assert last([approval(first), approval(third)], [first, second, third], hours=1.5) == first


def test_a_state_that_is_not_the_one_in_its_place_excuses_nothing() -> None:
    first, second = chain(2)
    forged = approval(second).model_copy(update={"state": StateId("0" * 64)})
    gone = approval(header(second, cut=2 * HOUR))
    assert last([forged, gone], [first, second]) is None
    assert last([forged, gone, approval(first)], [first, second]) == first


def test_the_week_before_the_approved_state_comes_with_it() -> None:
    first, second, third = chain(3)
    found = last_approved([approval(second)], from_generation([third, second, first]), at(100 * HOUR))
    assert found is not None
    assert (found.header, found.week) == (second, (first,))
