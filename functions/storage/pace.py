"""How fast a listing asks: as many requests at once as S3 puts up with.

botocore tries each request again, eight times, and later each time. When S3 still asks to slow down, there are too many
requests at once: so there are half as many from then on, one more again after every round that goes well, and whoever
was refused waits for a while of random length.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event
from typing import TypeVar

from botocore.exceptions import ClientError

from functions.storage.aws import error_code

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
"""Seconds, the longest before each further try; the next refusal is the last."""
_CODES = ("SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "ThrottlingException")
_STATUSES = (429, 503)

Answer = TypeVar("Answer")


class SlowedDown(Exception):
    """S3 refused one request so often, because there are too many, that the listing was given up."""


class _Stopped(Exception):
    """Nobody wants the answer any more."""


class Pace:
    """The pace of one listing, whichever thread asks."""

    def __init__(
        self,
        most: int,
        pause: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._most = most
        self._allowed = most
        self._stopped = Event()
        self._pause = pause or self._stopped.wait
        self._jitter = jitter
        self._changed = Condition()
        self._waiting: list[int] = []
        self._under_way = 0
        self._round = 0
        """Requests of an earlier round say nothing new: they were sent before there were fewer."""
        self._went_well = 0

    def ask(self, rank: int, send: Callable[[], Answer]) -> Answer:
        """What `send` returns. Where not all can be sent at once, the lowest rank goes first.

        Raises SlowedDown, and at once what `send` raises for any other reason.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                return self._once(rank, send)
            except ClientError as error:
                if not _asks_to_slow_down(error):
                    raise
                longest = next(pauses, None)
                if longest is None:
                    raise SlowedDown(
                        f"S3 asked to slow down {len(PAUSES) + 1} times for one page of a listing; nothing was recorded"
                    ) from error
            self._pause(longest * self._jitter())

    def stop(self) -> None:
        """Whoever waits, or asks from now on, gets an exception at once."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()

    def _once(self, rank: int, send: Callable[[], Answer]) -> Answer:
        with self._turn(rank) as begun_in:
            try:
                answer = send()
            except ClientError as error:
                if _asks_to_slow_down(error):
                    self._slow_down(begun_in)
                raise
            self._speed_up()
            return answer

    @contextmanager
    def _turn(self, rank: int) -> Iterator[int]:
        with self._changed:
            self._waiting.append(rank)
            self._changed.wait_for(lambda: self._stopped.is_set() or self._is_next(rank))
            self._waiting.remove(rank)
            if self._stopped.is_set():
                raise _Stopped
            self._under_way += 1
            begun_in = self._round
        try:
            yield begun_in
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _is_next(self, rank: int) -> bool:
        return self._under_way < self._allowed and rank == min(self._waiting)

    def _slow_down(self, begun_in: int) -> None:
        with self._changed:
            self._went_well = 0
            if begun_in == self._round:
                self._allowed = max(1, self._allowed // 2)
                self._round += 1

    def _speed_up(self) -> None:
        with self._changed:
            self._went_well += 1
            if self._went_well >= self._allowed:
                self._allowed = min(self._most, self._allowed + 1)
                self._went_well = 0


def _asks_to_slow_down(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return error_code(error) in _CODES or status in _STATUSES
