"""Runs a lane for each tracker, keeps the leases alive, and notices when the clock was set back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from bridge.dispatch.housekeeping import Housekeeping
from bridge.dispatch.lane import Lane, Work
from bridge.dispatch.tracking import Tracking
from bridge.errors import StoreError
from bridge.store import reading

HEARTBEAT = timedelta(seconds=15)
JUMP = timedelta(seconds=5)
"""A clock that went back further than this was set back."""


class Dispatcher:
    """Delivers what is in the store.

    Args:
        work: What every lane needs.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lanes: dict[str, Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._always: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("bridge.dispatch")

    @property
    def trackings(self) -> dict[str, Tracking]:
        """The trackers it works for, by name."""
        return {name: lane.tracking for name, lane in self._lanes.items()}

    async def start(self, trackings: Iterable[Tracking]) -> None:
        """Take back what an earlier process left behind, and begin.

        Raises:
            StoreError: The store does not answer.
        """
        now = self._work.clock.now()
        await self._recover(now)
        latest = await self._work.store.read(reading.latest_moment)
        if latest is not None and latest - now > JUMP:
            await self._bring_nearer(latest - now, now)
        self._begin(trackings)
        keeping = Housekeeping(self._work.store, self._work.clock, self._work.keep)
        self._always = [asyncio.create_task(self._beat()), asyncio.create_task(keeping.run())]

    def new_work(self, trackers: Iterable[str]) -> None:
        """There is new work for these trackers."""
        for name in trackers:
            if name in self._lanes:
                self._lanes[name].new_work()

    def wake(self, trackers: Iterable[str] | None = None) -> None:
        """Something changed for these trackers (None: for all): they look again whether there is work."""
        for name in self._lanes if trackers is None else trackers:
            if name in self._lanes:
                self._lanes[name].wake()

    async def replace(self, trackings: Iterable[Tracking], grace: timedelta) -> None:
        """Go on with other trackers (a new configuration), once what is under way has ended."""
        await self._end(grace)
        self._begin(trackings)

    async def stop(self, grace: timedelta) -> None:
        """Let what is under way end within `grace`, give back the rest."""
        await self._end(grace)
        for task in self._always:
            task.cancel()
        await asyncio.gather(*self._always, return_exceptions=True)

    def _begin(self, trackings: Iterable[Tracking]) -> None:
        self._lanes = {tracking.name: Lane(tracking, self._work) for tracking in trackings}
        self._tasks = [asyncio.create_task(lane.run()) for lane in self._lanes.values()]

    async def _end(self, grace: timedelta) -> None:
        await asyncio.gather(*(lane.stop(grace) for lane in self._lanes.values()))
        for task in self._tasks:  # one may be looking whether its tracker is well again
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _beat(self) -> None:
        """Keep our leases alive, and bring waiting moments nearer when the clock was set back."""
        clock = self._work.clock
        wall, steady = clock.now(), clock.monotonic()
        while True:
            await asyncio.sleep(min(HEARTBEAT, self._work.lease / 4).total_seconds())
            now, ticked = clock.now(), clock.monotonic()
            back = wall + timedelta(seconds=ticked - steady) - now
            wall, steady = now, ticked
            try:
                if back > JUMP:
                    await self._bring_nearer(back, now)
                if abs(back) > JUMP:
                    self.wake()
                held = await self._work.store.heartbeat(self._work.owner, now + self._work.lease)
                for lane in self._lanes.values():
                    lane.held(held, ticked)
                if self._work.store.shared and await self._recover(now):
                    self.wake()
            except StoreError as error:
                self._log.error("the store does not take a heartbeat", error=str(error))

    async def _recover(self, now: datetime) -> int:
        """Take back what an earlier process, or another replica that died, left behind."""
        store = self._work.store
        lost = await store.recover(now=now, everything=not store.shared)
        if lost:
            self._log.warning("deliveries of an interrupted run are taken up again, in doubt", deliveries=lost)
        return lost

    async def _bring_nearer(self, back: timedelta, now: datetime) -> None:
        """Other replicas' clocks are not set back with ours: what waits for them stays as it is."""
        if self._work.store.shared:
            self._log.warning("this machine's clock is behind what others wrote: set it right", by=str(back))
            return
        self._log.warning("the clock was set back; waiting moments are brought nearer", by=str(back))
        await self._work.store.shift(back, now)
