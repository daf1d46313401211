"""Deleting what was delivered long ago, gently: a small step, a pause, the next step."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.store import Store
from bridge.store.pruning import prune

EVERY = timedelta(hours=1)
_PAUSE = 0.2  # seconds between two steps: exports that come in go first


class Housekeeping:
    """Deletes delivered exports that are older than they are to be kept.

    Args:
        store: Where they are.
        clock: The time.
        keep: How long they are kept; zero for ever.
    """

    def __init__(self, store: Store, clock: Clock, keep: timedelta) -> None:
        self._store, self._clock, self._keep = store, clock, keep
        self._log = structlog.get_logger("bridge.dispatch")

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while self._keep:
            try:
                await self.once()
            except StoreError as error:
                self._log.error("old exports cannot be deleted", error=str(error))
            await asyncio.sleep(EVERY.total_seconds())

    async def once(self) -> int:
        """Delete what is old enough; returns how many exports.

        Raises:
            StoreError: The store does not take it.
        """
        before = (self._clock.now() - self._keep).timestamp()
        step = await self._store.write(prune, (before, 0))
        deleted = step.exports
        while step.position is not None:
            await asyncio.sleep(_PAUSE)
            step = await self._store.write(prune, (before, step.position))
            deleted += step.exports
        if deleted:
            self._log.info("old exports deleted; their issues stay known", exports=deleted)
        return deleted
