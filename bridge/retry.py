"""When a failed attempt is made again. Pure: randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bridge.tracker import RetrySettings


def wait_before(
    settings: RetrySettings,
    attempts: int,
    random: Callable[[], float],
    *,
    at_least: timedelta | None = None,
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None when there is none left.

    Exponential backoff with full jitter: anything between nothing and the bound, which grows by `factor`
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        settings: The schedule.
        attempts: Attempts made so far, at least one.
        random: Returns a number from 0 up to 1.
        at_least: What the tracker asked for.
    """
    if attempts >= settings.attempts:
        return None
    longest = settings.longest.total_seconds()
    bound = settings.first.total_seconds()
    for _ in range(attempts - 1):
        bound = min(longest, bound * settings.factor)
    return max(timedelta(seconds=min(longest, bound) * random()), at_least or timedelta(0))
