"""A lock that ends soon has half of lock_days left: every schedule that is accepted comes before it has ended."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.locks.rules import soon
from functions.domain.repositories import Repository


def repository(days: int, schedule: str | None = None) -> Repository:
    given = {"name": "alpha", "bucket": "backups", "grace_days": "3650d", "retention": {"keep_within": "3650d"}}
    more = {"lock_schedule": schedule} if schedule else {}
    return Repository.model_validate({**given, "lock_days": days, **more})


@given(st.integers(1, 3650), st.integers(1, 3000), st.sampled_from(["minute", "hour", "day"]))
def test_a_rate_is_accepted_that_comes_more_often_than_soon(days: int, number: int, unit: str) -> None:
    every, schedule = timedelta(**{f"{unit}s": number}), f"rate({number} {unit}s)"
    if every < soon(days):
        assert repository(days, schedule).lock_schedule == schedule
    else:
        with pytest.raises(ValidationError, match="half of lock_days"):
            repository(days, schedule)


@given(st.integers(1, 3650))
def test_the_default_comes_often_enough_for_every_lock_days(days: int) -> None:
    assert repository(days).lock_schedule == ("rate(6 hours)" if days < 3 else "rate(1 day)")
