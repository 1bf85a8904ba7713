"""How fast a download may be: a token bucket that all its threads share."""

import re
from collections.abc import Callable
from threading import Lock

_RATE = re.compile(r"([0-9]{1,15})([KMGT]?)(iB)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_BURST = 0.25
"""Seconds' worth of bytes that may come at once, after nothing came for so long."""


def parse_rate(text: str) -> int:
    """Bytes a second, of `10M`, `512KiB` or `1000000`; K, M, G and T are powers of 1024, as rclone has them.

    Raises ValueError, whose message says what would do.
    """
    match = _RATE.fullmatch(text.strip())
    rate = int(match[1]) * 1024 ** _POWERS[match[2].upper()] if match else 0
    if rate < 1:
        raise ValueError(f"{text!r} is no rate; give bytes a second, like 10M, 512KiB or 1000000")
    return rate


class RateLimit:
    """Lets `rate` bytes a second through, over all threads together. The clock is the caller's."""

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        """`rate`: bytes a second. `clock`: seconds that only grow."""
        self._rate = rate
        self._clock = clock
        self._most = rate * _BURST
        self._left = self._most
        """Bytes that may come now; negative: what was let through already is not paid yet."""
        self._at = clock()
        self._lock = Lock()

    @property
    def piece(self) -> int:
        """Bytes to read at once, so that a slow download still comes evenly."""
        return max(1, int(self._most))

    def pause(self, count: int) -> float:
        """Seconds to wait before `count` bytes are read; they are counted as read."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._rate) - count
            self._at = now
            return max(0.0, -self._left / self._rate)
