"""Until when a version is locked: never for less than it is, never for longer than may be, never beyond governance."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.locks.rules import GOVERNANCE, SLACK, Lock, lock_until, needed, next_look, soon
from tests.builders import NOON, instants

DAYS = st.integers(1, 3650)
LOCKS = st.none() | st.builds(
    Lock,
    mode=st.sampled_from(["GOVERNANCE", "COMPLIANCE", "SOMETHING_NEW"]),
    until=st.integers(-40 * 86_400, 4000 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds)),
)
KEPT = st.none() | st.integers(-86_400, 4000 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))
"""For how long a version is needed."""


@given(LOCKS, DAYS, KEPT)
def test_a_lock_is_never_shortened(lock: Lock | None, days: int, kept_until: datetime | None) -> None:
    until = needed(lock, NOON, days, kept_until)
    assert until is None or lock is None or until > lock.until


@given(LOCKS, DAYS, KEPT)
def test_no_lock_is_set_for_longer_than_lock_days_or_than_the_version_is_needed(
    lock: Lock | None, days: int, kept_until: datetime | None
) -> None:
    until = needed(lock, NOON, days, kept_until)
    assert until is None or NOON < until <= NOON + timedelta(days=days) - SLACK
    assert until is None or kept_until is None or until <= kept_until


@given(LOCKS, DAYS, KEPT)
def test_afterwards_a_version_is_locked_for_as_long_as_it_is_needed_or_for_as_long_as_is_not_soon(
    lock: Lock | None, days: int, kept_until: datetime | None
) -> None:
    until = needed(lock, NOON, days, kept_until)
    after = lock if until is None else Lock(GOVERNANCE, until)
    if kept_until is None or kept_until > NOON:
        assert after is not None
        enough = after.until >= min(NOON + soon(days), kept_until or lock_until(NOON, days))
        assert after.mode != GOVERNANCE or enough


@given(LOCKS, DAYS, st.integers(-(10**9), 0))
def test_what_is_not_needed_any_more_gets_no_lock(lock: Lock | None, days: int, seconds: int) -> None:
    assert needed(lock, NOON, days, NOON + timedelta(seconds=seconds)) is None


@given(DAYS, st.integers(1, 10**7), st.integers(0, 10**7))
def test_until_the_next_look_is_never_longer_than_soon(days: int, interval: int, last: int) -> None:
    every, took = timedelta(seconds=interval), timedelta(seconds=last)
    again = next_look(NOON, days, every, took)
    assert again == NOON + min(soon(days), every + took + timedelta(hours=1))


@given(LOCKS, DAYS)
def test_afterwards_every_version_is_locked_for_as_long_as_is_not_soon_or_by_something_else_than_governance(
    lock: Lock | None, days: int
) -> None:
    until = needed(lock, NOON, days, None)
    after = lock if until is None else Lock(GOVERNANCE, until)
    assert after is not None
    assert after.holds(NOON)
    assert after.mode != GOVERNANCE or after.until - NOON >= soon(days)


@given(st.sampled_from(["COMPLIANCE", "SOMETHING_NEW"]), st.integers(1, 10**9), DAYS)
def test_what_is_not_governance_is_left_alone_while_it_lasts(mode: str, seconds: int, days: int) -> None:
    assert needed(Lock(mode, NOON + timedelta(seconds=seconds)), NOON, days, None) is None


@given(instants.filter(lambda until: until <= NOON), DAYS)
def test_a_lock_that_has_ended_is_none(until: datetime, days: int) -> None:
    ended = Lock("COMPLIANCE", until)
    assert not ended.holds(NOON)
    assert needed(ended, NOON, days, None) == needed(None, NOON, days, None) == lock_until(NOON, days)


def test_soon_is_half_of_lock_days_to_the_second() -> None:
    week = NOON + timedelta(days=7)
    assert needed(Lock(GOVERNANCE, week), NOON, 14, None) is None
    assert needed(Lock(GOVERNANCE, week - timedelta(seconds=1)), NOON, 14, None) == lock_until(NOON, 14)
