"""The store as the rest of the program knows it: async at the front, its own threads behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreError
from bridge.store import accept, claim, outcome, reading
from bridge.store.engine import ProcessLock, open_engine, prepare
from bridge.store.records import (
    Batch,
    Claim,
    FollowupOutcome,
    NewExport,
    Outcome,
    Receipt,
    Selection,
)
from bridge.store.writer import Write, Writer

Item = TypeVar("Item")
Result = TypeVar("Result")


class Store:
    """Everything the bridge has to remember.

    Args:
        url: SQLAlchemy URL of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = ProcessLock(Path(f"{make_url(url).database}.lock"))
        self._engine = open_engine(url, writes=True)
        self._reading_engine = open_engine(url, writes=False)
        self._writer = Writer(self._engine)
        self._readers = ThreadPoolExecutor(2, "store-reader")

    def open(self) -> None:
        """Take the store for this process and bring it to this program's schema. Blocks.

        Raises:
            StoreError: It is in use, of a newer program, or cannot be opened.
        """
        self._lock.take()
        try:
            prepare(self._engine)
        except BaseException:
            self._lock.give_back()
            raise

    async def close(self) -> None:
        """Write what is waiting, and give everything back."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()
        self._reading_engine.dispose()
        self._lock.give_back()

    async def accept(self, export: NewExport) -> Receipt:
        """Write an export and its deliveries down. Returns after the commit.

        Raises:
            StoreError: It could not be written.
        """
        return await self._writer.submit(accept.accept, export)

    async def take_again(self, export: NewExport) -> Receipt:
        """Judge an export anew that went nowhere before; id and body stay."""
        return await self._writer.submit(accept.take_again, export)

    async def claim(self, wanted: Claim) -> Batch:
        """Hand out work of one tracker."""
        return await self._writer.submit(claim.claim, wanted)

    async def record(self, result: Outcome) -> bool:
        """Write down how an attempt ended; False when the delivery was not ours any more."""
        return await self._writer.submit(outcome.record, result)

    async def record_followup(self, result: FollowupOutcome) -> bool:
        """Write down how an attempt of a follow-up ended; False when it was not ours any more."""
        return await self._writer.submit(outcome.record_followup, result)

    async def pause(self, tracker: str, reason: str, *, by: str, now: datetime) -> None:
        """Pause a tracker: nothing of it is handed out until it is resumed."""
        await self._writer.submit(outcome.pause, (tracker, reason, by, now.timestamp()))

    async def resume(self, tracker: str) -> bool:
        """Let a tracker work again: no pause, no open circuit, no wait. Returns whether there was any."""
        return await self._writer.submit(outcome.resume, tracker)

    async def heartbeat(self, owner: str, until: datetime) -> None:
        """Prolong everything that `owner` holds."""
        await self._writer.submit(outcome.heartbeat, (owner, until.timestamp()))

    async def recover(self, *, now: datetime, everything: bool = False) -> int:
        """Give back what nobody holds any more; returns how many deliveries.

        Args:
            now: The present moment.
            everything: Whether leases count at all: with one process on the store nobody else can hold one.
        """
        older_than = float("inf") if everything else now.timestamp()
        return await self._writer.submit(outcome.recover, (older_than, now.timestamp()))

    async def shift(self, back: timedelta, now: datetime) -> None:
        """Bring waiting moments nearer after the clock was set back."""
        await self._writer.submit(outcome.shift, (back.total_seconds(), now.timestamp()))

    async def replay(self, wanted: Selection, blind: Sequence[str], now: datetime) -> list[str]:
        """Make deliveries pending again (`wanted.limit` at the most); returns them as `export:tracker`.

        Args:
            wanted: Which ones.
            blind: Trackers that cannot `find`: a replay there says that there is no issue.
            now: The present moment.
        """
        return await self._writer.submit(reading.replay, (wanted, tuple(blind), now.timestamp()))

    async def write(self, function: Write[Item, Result], item: Item) -> Result:
        """Return the result of one of `bridge.store.testio`'s functions that write, once it is committed.

        Raises:
            StoreError: It could not be written.
        """
        return await self._writer.submit(function, item)

    async def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return what one of `bridge.store.reading`'s functions finds.

        Raises:
            StoreError: The database cannot be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, function, arguments)

    def _read(self, function: Callable[..., Result], arguments: Sequence[Any]) -> Result:
        try:
            with self._reading_engine.connect() as connection, connection.begin():
                return function(connection, *arguments)
        except DBAPIError as error:
            raise StoreError(f"the store cannot be read: {error.orig}") from None

    async def probe(self) -> None:
        """Make sure that the store can write at this moment.

        Raises:
            StoreError: It cannot.
        """
        await self._writer.submit(_probe, None)


def _probe(connection: Connection, items: Sequence[None]) -> list[None]:
    """Write and take back: only a page that changes needs room on the disk."""
    connection.exec_driver_sql("INSERT INTO trackers (name) VALUES ('')")
    connection.exec_driver_sql("DELETE FROM trackers WHERE name = ''")
    return list(items)
