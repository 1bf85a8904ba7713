"""The clock of the fakes: it stands still until a test moves it, so months can pass in a test."""

from datetime import UTC, datetime, timedelta

DEFAULT_START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)


class FakeClock:
    """S3's clock. Time passes only by `advance`, and never backwards."""

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"{start.isoformat()} has no time zone; the clock was not set")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The instant, UTC, with its fraction."""
        return self._now

    def second(self) -> datetime:
        """The instant as S3 writes it in `Date` and LastModified: whole seconds, cut off."""
        return self._now.replace(microsecond=0)

    def advance(self, by: float | timedelta) -> datetime:
        """Let `by` (seconds, or a timedelta) pass and return the new instant.

        Raises ValueError when time would run backwards.
        """
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta(0):
            raise ValueError(f"time cannot run backwards by {-step}; the clock was not moved")
        self._now += step
        return self._now

    def advance_to(self, instant: datetime) -> datetime:
        """Let time pass until `instant`. Raises ValueError when it is already past."""
        return self.advance(instant - self._now)
