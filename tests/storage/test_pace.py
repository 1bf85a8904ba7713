"""The pace of a listing: fewer requests at once when S3 asks to slow down, more again in time, and an end to it."""

import threading
from collections.abc import Callable
from threading import Barrier, BrokenBarrierError

import pytest
from botocore.exceptions import ClientError

from functions.storage.pace import PAUSES, Pace, SlowedDown


def refusal(code: str = "SlowDown", status: int = 503) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "ListObjectVersions",
    )


class Answers:
    """Refuses so often, then answers."""

    def __init__(self, refusals: int, error: ClientError | None = None) -> None:
        self.refusals = refusals
        self.error = error or refusal()
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self.refusals:
            raise self.error
        return "page"


def at_once(pace: Pace, wanted: int) -> bool:
    """Whether so many requests are sent at the same time."""
    together = Barrier(wanted, timeout=0.2)
    met: list[bool] = []

    def send() -> None:
        try:
            together.wait()
            met.append(True)
        except BrokenBarrierError:
            return

    askers = [threading.Thread(target=pace.ask, args=(rank, send)) for rank in range(wanted)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    return len(met) == wanted


@pytest.mark.parametrize(
    "error", [refusal(), refusal("ServiceUnavailable"), refusal("503"), refusal("SlowDown", 500), refusal("429", 429)]
)
def test_whoever_is_refused_waits_longer_each_time_and_goes_on(error: ClientError) -> None:
    waited: list[float] = []
    answers = Answers(3, error)
    assert Pace(4, waited.append, lambda: 0.5).ask(0, answers) == "page"
    assert waited == [pause / 2 for pause in PAUSES[:3]]


def test_after_many_refusals_it_is_given_up() -> None:
    waited: list[float] = []
    answers = Answers(1000)
    with pytest.raises(SlowedDown, match="nothing was recorded") as caught:
        Pace(4, waited.append, lambda: 1.0).ask(0, answers)
    assert waited == list(PAUSES)
    assert answers.asked == len(PAUSES) + 1
    assert isinstance(caught.value.__cause__, ClientError)


@pytest.mark.parametrize("error", [refusal("AccessDenied", 403), refusal("InternalError", 500)])
def test_any_other_error_is_raised_at_once(error: ClientError) -> None:
    answers = Answers(1, error)
    with pytest.raises(ClientError, match=str(error.response["Error"]["Code"])):
        Pace(4, lambda _: pytest.fail("waited"), lambda: 1.0).ask(0, answers)
    assert answers.asked == 1


def test_a_refusal_halves_the_requests_at_once_and_answers_raise_them_again() -> None:
    pace = Pace(8, lambda _: None, lambda: 0.0)
    assert at_once(pace, 8)
    pace.ask(0, Answers(1))
    assert not at_once(pace, 5)
    assert at_once(pace, 4)
    for _ in range(4 + 5 + 6 + 7):
        pace.ask(0, Answers(0))
    assert at_once(pace, 8)


def test_refusals_of_requests_that_were_sent_together_count_once() -> None:
    pace = Pace(8, lambda _: None, lambda: 0.0)
    together = Barrier(8, timeout=5)
    refused = threading.local()

    def send() -> None:
        if not hasattr(refused, "once"):
            refused.once = True
            together.wait()
            raise refusal()

    askers = [threading.Thread(target=pace.ask, args=(rank, send)) for rank in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert at_once(pace, 4)


def test_one_request_is_always_allowed() -> None:
    pace = Pace(2, lambda _: None, lambda: 0.0)
    assert pace.ask(0, Answers(len(PAUSES))) == "page"


def test_who_is_handed_out_first_asks_first() -> None:
    pace, order = Pace(1), list[int]()
    under_way, go_on = threading.Event(), threading.Event()

    def holds() -> None:
        under_way.set()
        go_on.wait(5)

    def says(rank: int) -> Callable[[], None]:
        return lambda: order.append(rank)

    first = threading.Thread(target=pace.ask, args=(0, holds))
    first.start()
    under_way.wait(5)
    askers = [threading.Thread(target=pace.ask, args=(rank, says(rank))) for rank in (3, 1, 2)]
    for asker in askers:
        asker.start()
    while len(pace._waiting) < 3:
        pass
    go_on.set()
    for asker in [first, *askers]:
        asker.join()
    assert order == [1, 2, 3]


def test_nobody_waits_for_what_has_stopped() -> None:
    pace = Pace(1)
    ended: list[bool] = []

    def asks() -> None:
        try:
            pace.ask(0, Answers(1000))
        except Exception:  # noqa: BLE001 - whichever it is: it ends
            ended.append(True)

    asker = threading.Thread(target=asks)
    asker.start()
    pace.stop()
    asker.join(5)
    assert ended == [True]
