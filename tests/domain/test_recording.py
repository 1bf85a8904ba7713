"""When an event needs a recording."""

from datetime import datetime, timedelta

import pytest

from functions.domain.recording import DELIVERIES, Answered, Due, NotYet, decide, look_again
from functions.domain.state import Head
from functions.domain.values import RepositoryName, StateId
from tests.builders import at

MINUTE = timedelta(minutes=1)


def head(*, cut: float, recorded: float | None = None, busy: bool = False) -> Head:
    return Head(
        repository=RepositoryName("alpha"),
        generation=1,
        state=StateId("0" * 64),
        cut_time=at(cut),
        recorded_at=at(cut + 3 if recorded is None else recorded),
        busy=busy,
    )


def decided(
    *, sent: datetime, now: datetime, newest: Head | None, min_interval: timedelta = MINUTE, wants_quiet: bool = True
) -> Answered | NotYet | Due:
    return decide(sent=sent, now=now, head=newest, min_interval=min_interval, wants_quiet=wants_quiet)


def test_the_first_event_is_recorded() -> None:
    assert decided(sent=at(0), now=at(1), newest=None) == Due()


def test_an_event_that_the_newest_cut_lies_after_is_answered_by_it() -> None:
    newest = head(cut=3)
    assert decided(sent=at(0), now=at(9), newest=newest) == Answered(by=newest)


def test_a_cut_less_than_three_seconds_after_the_event_does_not_answer_it() -> None:
    assert decided(sent=at(0.5), now=at(100), newest=head(cut=3)) == Due()


def test_a_recording_that_ended_after_the_event_but_was_cut_before_it_does_not_answer_it() -> None:
    assert decided(sent=at(10), now=at(1000), newest=head(cut=3, recorded=900)) == Due()


def test_two_recordings_are_at_least_the_minimal_interval_apart() -> None:
    decision = decided(sent=at(10), now=at(20), newest=head(cut=3, recorded=6))
    assert isinstance(decision, NotYet)
    assert decision.until == at(66)
    assert decided(sent=at(10), now=at(66), newest=head(cut=3, recorded=6)) == Due()


def test_a_busy_state_answers_only_an_event_that_no_longer_asks_for_a_quiet_one() -> None:
    busy = head(cut=3, busy=True)
    assert decided(sent=at(0), now=at(100), newest=busy, wants_quiet=True) == Due()
    assert decided(sent=at(0), now=at(100), newest=busy, wants_quiet=False) == Answered(by=busy)


@pytest.mark.parametrize(("deliveries", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 900)])
def test_an_event_waits_longer_for_another_recording_with_every_delivery(deliveries: int, seconds: int) -> None:
    assert look_again(at(0), at(900), deliveries) == at(seconds)


def test_half_of_a_messages_deliveries_outlast_any_recording_and_the_rest_are_left_for_other_waits() -> None:
    """The last delivery must be one that can answer: a message given back then is a dead letter."""
    longest_run = at(900)
    waited = at(0)
    for delivery in range(1, DELIVERIES // 2 + 1):
        waited = look_again(waited, at(960), delivery)
    assert waited >= longest_run
