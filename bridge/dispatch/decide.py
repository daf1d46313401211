"""What an error means: for its delivery, and for its tracker. Pure; the only place that decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.retry import wait_before
from bridge.store import Effect, State
from bridge.tracker import RetrySettings

UNTOLD_WAIT = timedelta(seconds=60)
"""How long an account waits when a tracker says "slow down" without saying for how long."""

SHORTEST_TOLD_WAIT, LONGEST_TOLD_WAIT = timedelta(seconds=1), timedelta(days=1)
"""Nobody is believed who asks for less or more: `Retry-After: 0` again and again would be an endless loop."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next.

    Attributes:
        state: `pending` (again at `next_at`) or `dead`.
        spent: Whether this counts as an attempt.
    """

    state: State
    next_at: datetime | None = None
    spent: bool = True
    effect: Effect = field(default_factory=Effect)


def decide(
    error: TrackerError,
    settings: RetrySettings,
    attempts: int,
    now: datetime,
    random: Callable[[], float],
    account: tuple[str, ...],
) -> Decision:
    """Decide by the class of the error.

    Args:
        error: What the tracker answered.
        settings: The tracker's schedule.
        attempts: Attempts made, this one included.
        now: The present moment.
        random: Returns a number from 0 up to 1.
        account: Names of the trackers with the same credentials.
    """
    words = str(error)
    if isinstance(error, NotAllowed):
        effect = Effect(pause=words, until=now)
        return Decision(State.PENDING, next_at=now, spent=False, effect=effect)
    if isinstance(error, RateLimited):
        told = UNTOLD_WAIT if error.retry_after is None else error.retry_after
        until = now + min(max(told, SHORTEST_TOLD_WAIT), LONGEST_TOLD_WAIT)
        effect = Effect(block=account, until=until, error=words, succeeded=True)
        return Decision(State.PENDING, next_at=until, spent=False, effect=effect)
    if isinstance(error, Gone):
        return Decision(State.PENDING, next_at=now, spent=True, effect=Effect(succeeded=True))
    if isinstance(error, Unavailable | InDoubt):
        effect = Effect(
            failed=True,
            error=words,
            circuit_after=settings.circuit_after,
            circuit_until=now + settings.circuit_for,
        )
        told = min(error.retry_after or timedelta(0), LONGEST_TOLD_WAIT)
        wait = wait_before(settings, attempts, random, at_least=told)
        if wait is None:
            return Decision(State.DEAD, effect=effect)
        return Decision(State.PENDING, next_at=now + wait, effect=effect)
    return Decision(State.DEAD, effect=Effect(succeeded=isinstance(error, Rejected)))
