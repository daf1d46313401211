"""test IO's side, running: asks for what never came, does errands, and looks at issues. Idle without a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from bridge.clock import Clock
from bridge.config import Config
from bridge.dispatch import Tracking
from bridge.errors import BridgeError, StoreError
from bridge.ingest import Ingest, Unusable
from bridge.secrets import Redactor
from bridge.store import Store
from bridge.testio.accounts import Accounts
from bridge.testio.connections import Keeper
from bridge.testio.errands import Errands
from bridge.testio.looking import Looker, told
from bridge.testio.reconcile import EXPORTED, REQUESTED, Missing, Reconciler

_STORE_PAUSE = 1.0  # seconds before asking a store again that failed
_SWEEP = 300.0  # seconds between two looks whether an errand waits for what has happened long ago


class Side:
    """Everything that has to do with test IO's API.

    Args:
        config: The configuration.
        store: The store.
        ingest: Takes exports in.
        clock: The time.
        random: Returns a number from 0 up to 1.
        http: Makes HTTP clients.
        redact: Knows all secrets.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        ingest: Ingest,
        clock: Clock,
        random: Callable[[], float],
        http: Callable[..., Any],
        redact: Redactor,
    ) -> None:
        self._store, self._ingest, self._clock = store, ingest, clock
        self._random, self._http = random, http
        self._log = structlog.get_logger("bridge.testio")
        self._wake = asyncio.Event()
        self._delivered: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._lookers: dict[str, Looker] = {}
        self.last: dict[str, Any] = {}
        """How the last reconciliation went."""
        self._configure(config, redact)

    def _configure(self, config: Config, redact: Redactor) -> None:
        self._config = config
        self.accounts = Accounts(config, self._http, self._clock, redact)
        self.keeper = Keeper(config, self.accounts, self._store, self._clock)
        self.reconciler = Reconciler(config, self.accounts, self._store, self._ingest, self._clock)
        self._errands = Errands(config, self.accounts, self._store, self._ingest, self._clock, self._random)
        self._marks = any(settings.mark_exported for settings in config.connections.values())

    async def start(self, trackings: Iterable[Tracking]) -> None:
        """Begin. Errands of earlier are taken up even where nothing makes new ones."""
        able = [tracking for tracking in trackings if tracking.tracker.can("state")]
        counted = tuple(tracking.name for tracking in able)
        lookers = [
            Looker(tracking, counted, self._config, self._store, self._clock, self.wake) for tracking in able
        ]
        self._lookers = {}
        if not self.accounts.any:
            return
        self._lookers = {name: looker for name, looker in zip(counted, lookers, strict=True) if looker.needed}
        work: list[Awaitable[None]] = [self._do_errands(), *(looker.run() for looker in self._lookers.values())]
        if self._config.testio.reconcile_every:
            work.append(self._reconcile_for_ever())
        self._tasks = [asyncio.ensure_future(each) for each in work]

    async def stop(self) -> None:
        """End what is under way; errands are taken up again by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.accounts.close()

    async def replace(self, config: Config, redact: Redactor, trackings: Iterable[Tracking]) -> None:
        """Go on with another configuration."""
        await self.stop()
        self._configure(config, redact)
        await self.start(trackings)

    def wake(self) -> None:
        """There is an errand."""
        self._wake.set()

    def resumed(self, tracker: str) -> None:
        """A tracker works again."""
        if tracker in self._lookers:
            self._lookers[tracker].wake()

    def delivered(self, export_id: str) -> None:
        """An export has an issue more: perhaps it is to be marked as exported."""
        if self._marks:
            self._delivered.add(export_id)
            self._wake.set()

    async def told(self, tracker: str, body: bytes, content_type: str) -> int:
        """Look at the issues that a tracker's webhook speaks of; returns how many."""
        found = await told(self._store, tracker, body, content_type)
        if found and tracker in self._lookers:
            self._lookers[tracker].wake()
        return found

    # what never came

    async def reconcile(
        self,
        *,
        statuses: Collection[str] = (),
        products: Collection[int] = (),
        since: datetime | None = None,
        connections: Collection[str] = (),
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Ask test IO for what was never seen, and take it in; arguments as `Reconciler.missing`.

        Raises:
            TrackerError: test IO does not answer, or says no.
        """
        asked = list(statuses) or [REQUESTED, *([EXPORTED] if self._config.testio.reconcile_exported else [])]
        missing = await self.reconciler.missing(asked, products=products, since=since, connections=connections)
        result: dict[str, Any] = {"missing": [each.shown() for each in missing], "taken": [], "failed": []}
        return result if dry_run else result | await self.take(missing)

    async def take(self, missing: Collection[Missing]) -> dict[str, Any]:
        """Take bugs in, one after the other; one that cannot be used holds up no other."""
        taken, failed = [], []
        for each in missing:
            try:
                receipt = await self.reconciler.take(each)
            except (Unusable, BridgeError) as error:
                failed.append(each.shown() | {"error": str(error)})
                continue
            if not receipt.duplicate:
                taken.append(each.shown() | {"export": receipt.export, "deliveries": list(receipt.trackers)})
        return {"taken": taken, "failed": failed}

    async def _reconcile_for_ever(self) -> None:
        while True:
            now = self._clock.now()
            try:
                result = await self.reconcile()
                self.last = {"at": now.isoformat(), "taken": len(result["taken"]), "failed": len(result["failed"])}
                if result["taken"] or result["failed"]:
                    taken = [each["bug"] for each in result["taken"]]
                    self._log.warning(
                        "exports never came, and were asked for", bugs=taken, failed=result["failed"]
                    )
            except BridgeError as error:
                self.last = {"at": now.isoformat(), "error": str(error)}
                self._log.error("test IO cannot be asked what never came", error=str(error))
            except Exception:  # noqa: BLE001 - a fault of ours: said, and it goes on
                self._log.exception("asking test IO broke; it goes on")
            await asyncio.sleep(self._config.testio.reconcile_every.total_seconds())

    # errands

    async def _do_errands(self) -> None:
        swept = float("-inf")
        while True:
            self._wake.clear()
            try:
                if self._clock.monotonic() - swept > _SWEEP:
                    self._delivered.clear()
                    await self._errands.ripen([])
                    swept = self._clock.monotonic()
                elif self._delivered:
                    ready, self._delivered = self._delivered, set()
                    await self._errands.ripen(sorted(ready))
                seconds = await self._errands.run_due()
            except StoreError as error:
                self._log.error("the store does not hand out errands", error=str(error))
                seconds = _STORE_PAUSE
            except Exception:  # noqa: BLE001 - a fault of ours: said, and it goes on
                self._log.exception("errands to test IO broke; they go on")
                seconds = _STORE_PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
