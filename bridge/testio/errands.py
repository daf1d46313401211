"""What is to be done at test IO: durable, each with its own retries, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from bridge import payload
from bridge.clock import Clock
from bridge.config import Config
from bridge.errors import Gone, NotAllowed, RateLimited, Rejected, StoreError, TrackerError
from bridge.ingest import Ingest
from bridge.retry import wait_before
from bridge.store import ExportState, State, Store, reading
from bridge.store.testio import DueErrand, Errand, ErrandOutcome, due_errands, next_errand, record_errands, ripen
from bridge.testio.accounts import Accounts
from bridge.testio.client import CustomerApi
from bridge.testio.rest import enriched

ENRICH_PATIENCE = timedelta(minutes=10)
"""How long an export waits for what is fetched for it; then it goes on without."""
ENRICH_ATTEMPTS = 3
REFUSED_WAIT, LIMITED_WAIT = timedelta(minutes=5), timedelta(minutes=1)
_LEASE = timedelta(minutes=1)
_AT_ONCE = 20
_IDLE = 30.0  # seconds until another look, where nothing wakes us


class Errands:
    """Does errands.

    Args:
        config: The configuration.
        accounts: test IO's accounts.
        store: Where they are written down.
        ingest: Takes enriched exports further.
        clock: The time.
        random: Returns a number from 0 up to 1.
    """

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        store: Store,
        ingest: Ingest,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._config, self._accounts = config, accounts
        self._store, self._ingest = store, ingest
        self._clock, self._random = clock, random
        self._blocked: dict[str, datetime] = {}
        self._log = structlog.get_logger("bridge.testio")

    async def ripen(self, exports: list[str]) -> None:
        """Make due what waited for the issues of these exports; none for all."""
        await self._store.write(ripen, (self._clock.now().timestamp(), tuple(exports)))

    async def run_due(self) -> float:
        """Do what is due, and return after how many seconds to look again.

        Raises:
            StoreError: The store does not answer.
        """
        due = await self._claim()
        undone = list(due)
        try:
            while undone:
                outcome = await self._run(undone[0])
                del undone[0]
                await asyncio.shield(self._store.write(record_errands, outcome))
        except asyncio.CancelledError:
            await self._give_back(undone)
            raise
        if len(due) == _AT_ONCE:
            return 0.0
        following = await self._store.read(next_errand)
        return min(_IDLE, max(0.0, (following or float("inf")) - self._clock.now().timestamp()))

    async def _claim(self) -> list[DueErrand]:
        now = self._clock.now()
        lease = (now + _LEASE).timestamp()
        claiming = asyncio.ensure_future(self._store.write(due_errands, (now.timestamp(), lease, _AT_ONCE)))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._give_back(await claiming)
            raise

    async def _give_back(self, undone: list[DueErrand]) -> None:
        """Make due again what we stop before, so that the next start need not wait until its lease has run out."""
        for errand in undone:
            outcome = self._again(errand, timedelta(), "the bridge was stopped", spent=False)
            await asyncio.shield(self._store.write(record_errands, outcome))

    async def _run(self, errand: DueErrand) -> ErrandOutcome:
        account = self._accounts.of(errand.connection)
        if account is None:
            if errand.kind is Errand.ENRICH:
                await self._go_on_without(errand, "its connection has no token any more")
                return self._done(errand)
            return self._again(errand, REFUSED_WAIT, "there is no token for its connection", spent=False)
        blocked = self._blocked.get(account)
        if blocked is not None and blocked > self._clock.now() and errand.kind is not Errand.ENRICH:
            return self._again(errand, blocked - self._clock.now(), "test IO asked to wait", spent=False)
        try:
            await self._do(errand, self._accounts.client(account))
        except TrackerError as error:
            return await self._failed(errand, account, error)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours, said with its traceback
            self._log.exception("an errand to test IO broke", kind=errand.kind.value, bug=errand.bug_id)
            if errand.kind is Errand.ENRICH:
                await self._go_on_without(errand, "a fault of the bridge")
            return self._dead(errand, "a fault of the bridge: its log says more")
        self._log.info("done at test IO", kind=errand.kind.value, bug=errand.bug_id, connection=errand.connection)
        return self._done(errand)

    async def _do(self, errand: DueErrand, client: CustomerApi) -> None:
        if errand.kind is Errand.ENRICH:
            await self._enrich(errand, client)
            return
        marks: dict[Errand, Callable[[int], Awaitable[object]]] = {
            Errand.EXPORTED: client.mark_as_exported,
            Errand.FIXED: client.mark_as_fixed,
            Errand.KNOWN: client.mark_as_known,
        }
        await marks[errand.kind](errand.bug_id)

    async def _enrich(self, errand: DueErrand, client: CustomerApi) -> None:
        kept = await self._store.read(reading.export_body, errand.export_id)
        if kept is None or kept["state"] != ExportState.ENRICHING.value:  # somebody replayed it meanwhile
            return
        document = payload.parse(kept["body"])
        body = payload.dump(enriched(document, await client.bug(errand.bug_id)))
        received = datetime.fromtimestamp(kept["received_at"], UTC)
        await self._ingest.take_enriched(errand.export_id, kept["connection"], body, received)

    async def _go_on_without(self, errand: DueErrand, why: str) -> None:
        kept = await self._store.read(reading.export_body, errand.export_id)
        if kept is None or kept["state"] != ExportState.ENRICHING.value:
            return
        self._log.warning("an export goes on without what test IO knows of its bug", bug=errand.bug_id, error=why)
        received = datetime.fromtimestamp(kept["received_at"], UTC)
        await self._ingest.take_enriched(errand.export_id, kept["connection"], kept["body"], received)

    async def _failed(self, errand: DueErrand, account: str, error: TrackerError) -> ErrandOutcome:
        """Decide what follows: the same rules as for a delivery, with the account in the tracker's place."""
        if errand.kind is Errand.ENRICH and await self._waited_enough(errand, error):
            await self._go_on_without(errand, str(error))
            return self._done(errand)
        if isinstance(error, NotAllowed | RateLimited):
            wait = error.retry_after or (REFUSED_WAIT if isinstance(error, NotAllowed) else LIMITED_WAIT)
            self._blocked[account] = self._clock.now() + wait
            self._log.warning("test IO is left alone for a while", wait=str(wait), error=str(error))
            return self._again(errand, wait, str(error), spent=False)
        at_least = error.retry_after
        following = wait_before(self._config.testio.retry, errand.attempt, self._random, at_least=at_least)
        if isinstance(error, Rejected | Gone) or following is None:
            self._log.error("test IO refuses", kind=errand.kind.value, bug=errand.bug_id, error=str(error))
            return self._dead(errand, str(error))
        return self._again(errand, following, str(error))

    async def _waited_enough(self, errand: DueErrand, error: TrackerError) -> bool:
        if isinstance(error, Rejected | Gone) or errand.attempt >= ENRICH_ATTEMPTS:
            return True
        kept = await self._store.read(reading.export_body, errand.export_id)
        return (
            kept is None or self._clock.now().timestamp() - kept["received_at"] > ENRICH_PATIENCE.total_seconds()
        )

    def _done(self, errand: DueErrand) -> ErrandOutcome:
        return ErrandOutcome(position=errand.position, state=State.DELIVERED, now=self._clock.now().timestamp())

    def _dead(self, errand: DueErrand, why: str) -> ErrandOutcome:
        now = self._clock.now().timestamp()
        return ErrandOutcome(position=errand.position, state=State.DEAD, now=now, error=why)

    def _again(self, errand: DueErrand, wait: timedelta, why: str, *, spent: bool = True) -> ErrandOutcome:
        now = self._clock.now()
        return ErrandOutcome(
            position=errand.position,
            state=State.PENDING,
            now=now.timestamp(),
            next_at=(now + wait).timestamp(),
            spent=spent,
            error=why,
        )
