"""Time, passed in: a test owns it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the bridge asks of time."""

    def now(self) -> datetime:
        """Return the present moment in UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment. Never goes back."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()
