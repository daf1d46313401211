"""The work of one tracker: claims as many deliveries as there are free slots, and no tracker waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bridge.attachments import Downloader
from bridge.clock import Clock
from bridge.dispatch.ahead import Ahead, most_ahead
from bridge.dispatch.delivery import Delivering, Prepare
from bridge.dispatch.saying import say_delivery, say_followup
from bridge.dispatch.slots import Slots
from bridge.dispatch.steps import FollowingUp
from bridge.dispatch.tracking import Tracking
from bridge.errors import StoreError, TrackerError
from bridge.store import Batch, Claim, Claimed, ClaimedFollowup, Effect, Store, Together
from bridge.tracker import TrackerSettings

LEASE = timedelta(seconds=60)
POLL = timedelta(seconds=30)
"""A net only: everything that makes work wakes the lane."""
RECHECK_FIRST, RECHECK_LONGEST = timedelta(minutes=1), timedelta(hours=1)
_STORE_PAUSE = 1.0  # seconds before asking a store again that failed
_SURE = 0.75
"""The part of its lease in which a delivery may begin to create: the rest is for the call to get through."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every lane needs to do its work.

    Attributes:
        owner: Name of this process in leases.
        random: Returns a number from 0 up to 1.
        prepare: The `bridge_prepare` hooks.
        tell: Tells plugins what happened: hook name and its arguments.
        slots: How many attempts may be under way at once.
    """

    store: Store
    downloader: Downloader
    clock: Clock
    random: Callable[[], float]
    owner: str
    prepare: Prepare
    tell: Callable[[str, dict[str, Any]], None]
    slots: Slots
    lease: timedelta = LEASE
    """How long what is claimed stays ours without a heartbeat."""
    keep: timedelta = timedelta(0)
    """How long delivered exports are kept; zero for ever."""


@dataclass(slots=True)
class _Held:
    """What is ours.

    Attributes:
        since: When it was last made sure (monotonic seconds).
    """

    since: float


class Lane:
    """One tracker's loop and its attempts under way."""

    def __init__(self, tracking: Tracking, work: Work) -> None:
        self.tracking = tracking
        self._work = work
        self._running: set[asyncio.Task[None]] = set()
        self._busy = 0  # slots: of those that have to do with the tracker still, or are just being claimed
        self._ahead = Ahead(most_ahead(tracking, shared=work.store.shared))
        self._wake = asyncio.Event()
        self._starting = asyncio.Lock()
        self._stopping = False
        self._paused = ""
        self._recheck = RECHECK_FIRST
        self._recheck_at: datetime | None = None
        self._tokens, self._refilled = 1.0, work.clock.monotonic()
        self._claimed: dict[str, _Held] = {}
        self._steps: dict[int, _Held] = {}
        self._unanswered = False
        self._log = structlog.get_logger("bridge.dispatch").bind(tracker=tracking.name)

    def wake(self) -> None:
        """Something changed, a pause perhaps: look anew whether there is work."""
        self._call_off()
        self._wake.set()

    def new_work(self) -> None:
        """There is new work. It waits where the tracker is paused or every slot is taken: both end with a look."""
        free = self.tracking.tracker.settings.concurrency - self._busy
        if not self._paused and (free or self._ahead.room):
            self._wake.set()

    async def run(self) -> None:
        """Work until `stop`. Whatever breaks, it goes on: a lane that ended would deliver nothing any more."""
        await self._open()
        while not self._stopping:
            self._wake.clear()
            try:
                batch = await self._start_what_is_due()
                seconds = await self._seconds_until_next(batch)
            except StoreError as error:
                self._log.error("the store does not hand out work", error=str(error))
                seconds = _STORE_PAUSE
            except Exception:  # noqa: BLE001 - a fault of ours: said with its traceback
                self._log.exception("the lane broke; it goes on")
                seconds = _STORE_PAUSE
            await self._sleep(seconds)

    async def _open(self) -> None:
        """Get the tracker ready. What is wrong with it is told by the attempts, each time."""
        try:
            await self.tracking.tracker.open()
        except TrackerError:
            pass
        except Exception as error:  # noqa: BLE001 - a plugin's bug is told by the attempts as well
            self._log.error("the tracker did not open", error=f"{type(error).__name__}: {error}")

    async def stop(self, grace: timedelta) -> None:
        """Start nothing more; let what is under way end within `grace`, and give the rest back."""
        self._stopping = True
        self._wake.set()
        async with (
            self._starting
        ):  # what is being claimed at this moment is started, and is under way like the rest
            pass
        if self._ahead:
            await self._give_back(self._ahead.take_all())
        if self._running:
            await asyncio.wait(self._running, timeout=grace.total_seconds())
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        try:
            await self.tracking.tracker.close()
        except Exception as error:  # noqa: BLE001 - a plugin's bug holds up neither the end nor a reload
            self._log.error("the tracker did not close", error=f"{type(error).__name__}: {error}")

    # asking for work

    async def _start_what_is_due(self) -> Batch:
        async with self._starting:
            if self._stopping:
                return Batch()
            slots = self._take_slots()
            while slots and self._ahead:
                self._begin(self._ahead.take())
                slots -= 1
            batch = Batch()
            try:
                if slots or self._ahead.room:
                    batch = await self._claim(slots)
            finally:
                self._free(max(0, slots - len(batch.deliveries) - len(batch.followups)))
            return batch

    def _take_slots(self) -> int:
        """Take as many slots as there may be attempts begun."""
        free = min(self.tracking.tracker.settings.concurrency - self._busy, self._allowed())
        slots = self._work.slots.take(free, self._busy, self._wake.set) if free > 0 else 0
        self._busy += slots
        return slots

    async def _claim(self, slots: int) -> Batch:
        """Claim work for free slots, which begins at once, and deliveries for the next ones."""
        began = self._work.clock.monotonic()
        batch = await self._ask(slots)
        for claimed in batch.deliveries[:slots]:
            self._begin(claimed, began)
        for step in batch.followups:
            self._start(self._follow_up(step), self._steps, step.position, _Held(began))
        self._ahead.put(batch.deliveries[slots:])
        return batch

    def _call_off(self) -> None:
        """Give back what was claimed ahead."""
        if self._ahead:
            self._run(self._give_back(self._ahead.take_all()))

    async def _give_back(self, deliveries: list[Claimed]) -> None:
        await self._write_down(self._work.store.give_back, deliveries)
        self._wake.set()

    def _free(self, slots: int) -> None:
        """Give back slots that are not used any more."""
        if slots:
            self._work.slots.give_back(slots, self._busy)
            self._busy -= slots

    async def _ask(self, limit: int) -> Batch:
        wanted = Claim(
            tracker=self.tracking.name,
            owner=self._work.owner,
            limit=limit,
            ahead=self._ahead.room,
            now=self._work.clock.now(),
            lease=self._work.lease,
            circuit_after=self.tracking.tracker.settings.retry.circuit_after,
            together=self._together(),
            under_way=frozenset((*self._claimed, *self._steps)) if self._unanswered else None,
        )
        self._unanswered = self._work.store.shared  # until it is answered
        batch = await self._work.store.claim(wanted)
        self._unanswered = False
        self._tokens -= len(batch.deliveries) + len(batch.followups)
        return batch

    def _allowed(self) -> int:
        """Return how many attempts the configured rate lets start now (a token bucket of one second)."""
        settings: TrackerSettings = self.tracking.tracker.settings
        rate = settings.rate
        if rate is None or self._work.store.shared:  # then the store counts, for all replicas
            return settings.concurrency
        now = self._work.clock.monotonic()
        most = max(1.0, 1.0 / rate.interval)
        self._tokens = min(most, self._tokens + (now - self._refilled) / rate.interval)
        self._refilled = now
        return int(self._tokens)

    def _together(self) -> Together | None:
        if not self._work.store.shared:
            return None
        settings: TrackerSettings = self.tracking.tracker.settings
        return Together(settings.concurrency, settings.rate.interval if settings.rate else None)

    def held(self, deliveries: Collection[tuple[str, str]], began: float) -> None:
        """Know what a heartbeat prolonged that began at a moment (monotonic seconds)."""
        for export_id, name in deliveries:
            if name == self.tracking.name and export_id in self._claimed:
                self._claimed[export_id].since = max(began, self._claimed[export_id].since)

    def _is_ours(self, claimed: Claimed) -> bool:
        """Whether a delivery is surely ours for a while: a frozen process may wake up after its lease ran out."""
        if not self._work.store.shared:
            return True
        held = self._claimed[claimed.export_id]
        return self._work.clock.monotonic() - held.since < _seconds(self._work.lease) * _SURE

    async def _seconds_until_next(self, batch: Batch) -> float:
        if batch.paused:
            return await self._while_paused(batch)
        self._paused, self._recheck, self._recheck_at = "", RECHECK_FIRST, None
        waits = [_seconds(POLL)]
        if batch.next_at is not None:
            waits.append((batch.next_at - self._work.clock.now()).total_seconds())
        rate = self.tracking.tracker.settings.rate
        if rate is not None and self._tokens < 1 and not self._work.store.shared:
            waits.append(rate.interval * (1 - self._tokens))
        return max(0.0, min(waits))

    async def _sleep(self, seconds: float) -> None:
        if self._stopping:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    # a paused tracker

    async def _while_paused(self, batch: Batch) -> float:
        """Say so once. One that the bridge itself paused is looked at again now and then, at growing distances."""
        now = self._work.clock.now()
        if batch.paused != self._paused:
            self._paused, self._recheck_at = batch.paused, now + self._recheck
            self._log.warning("tracker paused", reason=batch.paused, by=batch.paused_by)
            self._work.tell("bridge_tracker_paused", {"tracker": self.tracking.name, "reason": batch.paused})
        if batch.paused_by != "bridge" or self._recheck_at is None:
            return _seconds(POLL)
        if now < self._recheck_at:
            return (self._recheck_at - now).total_seconds()
        self._recheck = min(self._recheck * 2, RECHECK_LONGEST)
        self._recheck_at = now + self._recheck
        if not await self._is_well():
            return _seconds(self._recheck)
        await self._work.store.resume(self.tracking.name)
        self._log.info("tracker resumed", reason="its check is good again")
        return 0.0

    async def _is_well(self) -> bool:
        try:
            return (await self.tracking.tracker.check()).ok
        except TrackerError:
            return False
        except Exception as error:  # noqa: BLE001 - a plugin's bug is no reason to resume
            self._log.error("the check failed", error=f"{type(error).__name__}: {error}")
            return False

    # attempts

    def _begin(self, claimed: Claimed, since: float | None = None) -> None:
        held = _Held(self._work.clock.monotonic() if since is None else since)
        self._start(self._deliver(claimed), self._claimed, claimed.export_id, held)

    def _start(self, attempt: Any, among: dict[Any, _Held], key: str | int, held: _Held) -> None:
        among[key] = held
        self._run(attempt).add_done_callback(partial(self._forget, among, key, held))

    @staticmethod
    def _forget(among: dict[Any, _Held], key: str | int, held: _Held, _task: asyncio.Task[None]) -> None:
        if among.get(key) is held:  # not claimed again already
            del among[key]

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that is waited for at the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("an attempt broke", error=repr(task.exception()))

    @contextmanager
    def _at_the_tracker(self) -> Iterator[None]:
        """Have to do with the tracker. Afterwards the next may, while the outcome is being written down.

        Only once that is on its way: claims are made after it, mostly in one commit with it, and know of it.
        """
        try:
            yield
        finally:
            asyncio.get_running_loop().call_soon(self._free_a_slot)

    def _free_a_slot(self) -> None:
        """Let the next delivery have it that is waiting, unless another tracker waits for a slot."""
        if self._ahead and not self._stopping and not self._work.slots.is_wanted:
            self._begin(self._ahead.take())
        else:
            self._free(1)
        self._wake.set()

    async def _deliver(self, claimed: Claimed) -> None:
        work = self._work
        attempt = Delivering(
            claimed, self.tracking, work.store, work.clock, work.random, work.prepare, work.owner, self._is_ours
        )
        outcome = await self._carry_out(attempt, work.store.record)
        say_delivery(self._log, work.tell, claimed, outcome)

    async def _follow_up(self, claimed: ClaimedFollowup) -> None:
        work = self._work
        attempt = FollowingUp(claimed, self.tracking, work.downloader, work.clock, work.random, work.owner)
        outcome = await self._carry_out(attempt, work.store.record_followup)
        say_followup(self._log, claimed, outcome)

    async def _carry_out(self, attempt: Any, record: Callable[[Any], Any]) -> Any:
        """Make an attempt, write down how it ended, and return that. Cancelled, it is given back."""
        try:
            with self._at_the_tracker():
                outcome = await attempt.run()
                self._heed(outcome.effect)  # before the next one begins in its slot
        except asyncio.CancelledError:
            await self._write_down(record, attempt.given_back())
            raise
        await self._write_down(record, outcome)
        self._heed(outcome.effect)  # for what was claimed meanwhile
        return outcome

    def _heed(self, effect: Effect) -> None:
        """Begin nothing that was claimed before the tracker turned out to want less."""
        if effect.holds_up:
            self._call_off()

    async def _write_down(self, record: Callable[[Any], Any], outcome: Any) -> None:
        """Write an outcome down, however long that takes; what never is, is looked for after the next start."""
        while True:
            try:
                if not await asyncio.shield(record(outcome)):
                    self._log.warning("an outcome came too late: the lease had run out")
                return
            except StoreError as error:
                self._log.error("the store does not take an outcome", error=str(error))
                if self._stopping:
                    return
                await asyncio.sleep(_STORE_PAUSE)
                asyncio.get_running_loop().call_soon(self._wake.set)  # after the next try: no claim knew of it yet


def _seconds(value: timedelta) -> float:
    return value.total_seconds()
