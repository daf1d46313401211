"""Deliveries that are claimed before a slot is free for them, so that no slot waits for a commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.dispatch.tracking import Tracking
from bridge.store import Claimed
from bridge.tracker import TrackerSettings

MOST = 4
"""The next claim takes about as long as a few slots need to become free."""


class Ahead:
    """What waits for a slot, in the order in which it was claimed.

    Args:
        most: How many; 0 for a tracker that gets nothing claimed ahead.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Claimed] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def room(self) -> int:
        """How many to claim: none until half are gone, for claiming several costs little more than one."""
        missing = self._most - len(self._waiting)
        return missing if missing * 2 >= self._most else 0

    def put(self, deliveries: Iterable[Claimed]) -> None:
        """Let these wait."""
        self._waiting.extend(deliveries)

    def take(self) -> Claimed:
        """Return what has waited longest."""
        return self._waiting.popleft()

    def take_all(self) -> list[Claimed]:
        """Return everything: it is to be given back."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def most_ahead(tracking: Tracking, *, shared: bool) -> int:
    """Return how many deliveries of a tracker may be claimed ahead.

    None where somebody else has a say in how much the tracker gets (another process, a rate, another tracker of
    the account), or where after a crash nobody could find out that nothing had been sent.

    Args:
        tracking: The tracker.
        shared: Whether other processes use the store.
    """
    tracker = tracking.tracker
    settings: TrackerSettings = tracker.settings
    if shared or settings.rate is not None or len(tracking.account) > 1:
        return 0
    if not tracker.can("find") and not tracker.enforces_marker:
        return 0
    return min(MOST, settings.concurrency // 2)
