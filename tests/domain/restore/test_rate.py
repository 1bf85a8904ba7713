"""The rate of a download: what can be typed, and that it is never exceeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.restore.rate import RateLimit, parse_rate


@pytest.mark.parametrize(
    ("typed", "rate"),
    [("1", 1), ("1000000", 1_000_000), ("512K", 512 << 10), ("10M", 10 << 20), ("10MiB", 10 << 20), ("2g", 2 << 30)],
)
def test_a_rate_is_bytes_a_second(typed: str, rate: int) -> None:
    assert parse_rate(typed) == rate


@pytest.mark.parametrize("typed", ["", "0", "0M", "-1", "1.5M", "10MB", "fast", "M", "10 M", "1" * 16])
def test_whatever_else_is_typed_is_no_rate(typed: str) -> None:
    with pytest.raises(ValueError, match="is no rate; give bytes a second, like 10M"):
        parse_rate(typed)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_second_s_bytes_take_a_second() -> None:
    clock = Clock()
    limit = RateLimit(1000, clock)
    assert limit.pause(250) == 0.0
    assert limit.pause(500) == pytest.approx(0.5)
    # Somebody else, at the same time, waits for both.
    assert limit.pause(500) == pytest.approx(1.0)
    clock.now += 1.0
    assert limit.pause(0) == 0.0


def test_what_was_not_used_for_long_is_lost() -> None:
    clock = Clock()
    limit = RateLimit(1000, clock)
    clock.now += 1_000_000
    assert limit.pause(1250) == pytest.approx(1.0)


def test_a_piece_is_what_may_come_at_once_and_never_nothing() -> None:
    assert RateLimit(4 << 20, Clock()).piece == 1 << 20
    assert RateLimit(1, Clock()).piece == 1


@given(
    st.integers(1, 10_000_000),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 5_000_000)), min_size=1, max_size=40),
)
def test_at_no_time_did_more_come_than_the_rate_and_one_burst(rate: int, reads: list[tuple[float, int]]) -> None:
    clock = Clock()
    limit = RateLimit(rate, clock)
    begun = clock.now
    came: list[tuple[float, int]] = []
    for later, count in reads:
        clock.now += later
        came.append((clock.now + limit.pause(count), count))
    for until, _ in came:
        total = sum(count for when, count in came if when <= until + 1e-9)
        assert total <= rate * (until - begun + 0.25) * (1 + 1e-6) + 1
