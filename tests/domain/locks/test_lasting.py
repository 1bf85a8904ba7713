"""For how long a version is needed: as the states say that name it, and at least until it is looked at again."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import pytest

from functions.domain.locks.lasting import Lasting, lasting
from functions.domain.locks.names import Namers
from functions.domain.retention import Fate, JudgedState, Why
from functions.domain.values import StateId
from tests.builders import NOON

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
A, B, C = (StateId(letter * 64) for letter in "abc")


def fate(until: datetime | None, *why: Why, state: StateId = A) -> Fate:
    return Fate(JudgedState(state, 1, NOON, clean=True, quiet=True), why, until)


def always(*fates: Fate) -> Callable[[datetime], Iterable[Fate]]:
    return lambda _: fates


def kept_until(day: float, state: StateId = A) -> Callable[[datetime], Iterable[Fate]]:
    """Kept until then and not for longer, by all that is known."""
    end = NOON + day * DAY
    return lambda at: [fate(end, Why.WITHIN, state=state) if at <= end else fate(None, state=state)]


@pytest.mark.parametrize(
    ("fates", "expected"),
    [
        (kept_until(5), NOON + 5 * DAY + SECOND),
        (kept_until(0.5), NOON + 0.5 * DAY + SECOND),
        (always(fate(NOON, Why.NEEDED)), NOON + DAY),
        (always(fate(NOON + 3 * DAY, Why.NEEDED)), NOON + 3 * DAY + SECOND),
        (always(fate(None, Why.HELD)), None),
        (kept_until(-1), NOON),
    ],
    ids=["dated", "goes-before-the-next-look", "likely-for-longer", "certain-for-longer", "no-end", "due"],
)
def test_a_state_is_needed_until_it_goes_and_until_the_next_look_if_it_is_kept_then(
    fates: Callable[[datetime], Iterable[Fate]], expected: datetime | None
) -> None:
    found = lasting(fates, NOON, NOON + DAY)
    assert found.state(A) == expected
    assert found.is_due(expected) is (expected == NOON)


@pytest.mark.parametrize(
    ("states", "expected"),
    [((A,), NOON), ((A, B), NOON + DAY), ((A, B, C), None), ((C,), None)],
)
def test_a_version_is_needed_for_as_long_as_the_state_that_lasts_longest(
    states: tuple[StateId, ...], expected: datetime | None
) -> None:
    needs = Lasting(NOON, {A: NOON, B: NOON + DAY, C: None})
    assert needs.of((Namers(states),)) == expected
    assert needs.of(tuple(Namers((state,)) for state in states)) == expected


def test_a_state_that_nothing_is_known_of_is_needed() -> None:
    assert Lasting(NOON, {A: NOON}).of((Namers((A, B)),)) is None
