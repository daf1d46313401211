"""How many attempts one process has under way at once, over all trackers."""

from __future__ import annotations

from collections.abc import Callable


class Slots:
    """What the lanes of a process share. Each lane has one slot of its own besides, so that none starves.

    Args:
        count: How many are shared.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._refused: list[Callable[[], None]] = []

    @property
    def is_wanted(self) -> bool:
        """Whether a lane waits for one."""
        return bool(self._refused)

    def take(self, wanted: int, taken: int, wake: Callable[[], None]) -> int:
        """Take slots for a lane, and return how many it gets.

        Args:
            wanted: How many it would use.
            taken: How many it has already.
            wake: Called once when slots are free again, where it got less than it wanted.
        """
        own = 1 if wanted and not taken else 0
        shared = min(wanted - own, self._free)
        self._free -= shared
        if own + shared < wanted:
            self._refused.append(wake)
        return own + shared

    def give_back(self, count: int, taken: int) -> None:
        """Take back `count` of the slots that a lane has, `taken` in all; the last one is its own."""
        self._free += min(count, taken - 1)
        refused, self._refused = self._refused, []
        for wake in refused:
            wake()
