"""A clock that a test owns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A `bridge.clock.Clock` that stands still until it is told to move.

    Args:
        start: The first moment, with a time zone.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that have passed since the clock was made."""
        return self._monotonic

    def advance(self, duration: timedelta) -> None:
        """Let time pass."""
        if duration < timedelta(0):
            raise ValueError("time does not pass backwards; jump() moves the wall clock")
        self._now += duration
        self._monotonic += duration.total_seconds()

    def jump(self, duration: timedelta) -> None:
        """Set the wall clock forward or back, as an administrator or NTP does. No time passes."""
        self._now += duration

    def __repr__(self) -> str:
        return f"<FakeClock {self._now.isoformat()}>"
