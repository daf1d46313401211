"""The store as the rest of the program knows it: async at the front, its own threads behind."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreError
from bridge.store import accept, at_once, claim, outcome, postgresql, reading
from bridge.store.engine import is_shared, lock_of, open_engine, parse, prepare
from bridge.store.intake import Intake
from bridge.store.records import (
    Batch,
    Claim,
    Claimed,
    FollowupOutcome,
    NewExport,
    News,
    Outcome,
    Receipt,
    Selection,
)
from bridge.store.writer import Write, Writer

BREATH = 0.05
"""Seconds between two pieces of news to other replicas: telling of each export costs as much as taking it in."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Store:
    """Everything the bridge has to remember.

    Args:
        url: SQLAlchemy URL of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = parse(url)
        self.shared = is_shared(self._url)
        """Whether other processes may use it at the same time."""
        self._lock = lock_of(self._url)
        self._engine = open_engine(url, writes=True)
        self._reading_engine = open_engine(url, writes=False)
        if self.shared:
            self._writer = Writer(self._engine)
        else:
            self._writer = Writer(self._engine, {accept.accept: at_once.accept}, at_once.make_ready)
        write_down = partial(self._writer.submit, accept.accept)
        self._intake = Intake(self._engine, write_down) if self.shared else None
        self._accept = self._intake.submit if self._intake else write_down
        self._readers = ThreadPoolExecutor(2, "store-reader")
        self._id = uuid.uuid4().hex
        self._bell: postgresql.Bell | None = None
        self._to_tell: set[News] = set()
        self._telling: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Take the store for this process and bring it to this program's schema. Blocks.

        Raises:
            StoreError: It is in use, of a newer program, or cannot be opened.
        """
        if self._lock is not None:
            self._lock.take()
        try:
            prepare(self._engine)
        except BaseException:
            if self._lock is not None:
                self._lock.give_back()
            raise

    async def close(self) -> None:
        """Write what is waiting, and give everything back."""
        if self._intake is not None:
            await self._intake.close()  # it may still need the writer
        await self._writer.close()
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)
        if self._bell is not None:
            await asyncio.to_thread(self._bell.stop)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()
        self._reading_engine.dispose()
        if self._lock is not None:
            self._lock.give_back()

    # what replicas tell each other

    def listen(self, heard: Callable[[News], None]) -> None:
        """Hear what other replicas tell, from now on; nothing where the store is not shared.

        Args:
            heard: Called in this event loop; also at first, and whenever something may have been missed.
        """
        if not self.shared:
            return
        loop = asyncio.get_running_loop()

        def pass_on(words: str | None) -> None:
            sender, kind, names = json.loads(words) if words is not None else ("", "missed", ())
            if sender != self._id and not loop.is_closed():
                loop.call_soon_threadsafe(heard, News(kind, tuple(names)))

        self._bell = postgresql.Bell(self._url, pass_on)
        self._bell.start()

    def tell(self, news: News) -> None:
        """Tell other replicas, soon, and without waiting for it: they look now and then anyway."""
        if not self.shared:
            return
        self._to_tell.add(news)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_everything())

    async def _tell_everything(self) -> None:
        """What comes up meanwhile, and in the moments after, is told together."""
        while self._to_tell:
            told, self._to_tell = self._to_tell, set()
            words = [json.dumps([self._id, kind, names]) for kind, names in _together(told)]
            try:
                await self.read(postgresql.ring, words)
            except StoreError:
                return
            await asyncio.sleep(BREATH)

    async def accept(self, export: NewExport) -> Receipt:
        """Write an export and its deliveries down. Returns after the commit.

        Raises:
            StoreError: It could not be written.
        """
        receipt = await self._accept(export)
        if self.shared and receipt.trackers and not receipt.duplicate:
            self.tell(News("work", receipt.trackers))
        return receipt

    async def take_again(self, export: NewExport) -> Receipt:
        """Judge an export anew that went nowhere before; id and body stay."""
        receipt = await self._writer.submit(accept.take_again, export)
        self.tell(News("work", receipt.trackers))
        return receipt

    async def claim(self, wanted: Claim) -> Batch:
        """Hand out work of one tracker."""
        return await self._writer.submit(claim.claim, wanted)

    async def record(self, result: Outcome) -> bool:
        """Write down how an attempt ended; False when the delivery was not ours any more."""
        return await self._writer.submit(outcome.record, result)

    async def give_back(self, deliveries: Sequence[Claimed]) -> bool:
        """Give back deliveries that were claimed and never begun; False when some were not ours any more."""
        return await self._writer.submit(outcome.give_back, deliveries)

    async def record_followup(self, result: FollowupOutcome) -> bool:
        """Write down how an attempt of a follow-up ended; False when it was not ours any more."""
        return await self._writer.submit(outcome.record_followup, result)

    async def pause(self, tracker: str, reason: str, *, by: str, now: datetime) -> None:
        """Pause a tracker: nothing of it is handed out until it is resumed."""
        await self._writer.submit(outcome.pause, (tracker, reason, by, now.timestamp()))
        self.tell(News("changed", (tracker,)))

    async def resume(self, tracker: str) -> bool:
        """Let a tracker work again: no pause, no open circuit, no wait. Returns whether there was any."""
        changed = await self._writer.submit(outcome.resume, tracker)
        self.tell(News("changed", (tracker,)))
        return changed

    async def heartbeat(self, owner: str, until: datetime) -> frozenset[tuple[str, str]]:
        """Prolong everything that `owner` holds; returns the deliveries, as export and tracker."""
        return await self._writer.submit(outcome.heartbeat, (owner, until.timestamp()))

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
        again = await self._writer.submit(reading.replay, (wanted, tuple(blind), now.timestamp()))
        self.tell(News("work", tuple({delivery.rpartition(":")[2] for delivery in again})))
        return again

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
            try:
                return self._read_once(function, arguments)
            except DBAPIError as error:
                if not error.connection_invalidated:  # it was closed while nobody used it
                    raise
            return self._read_once(function, arguments)
        except DBAPIError as error:
            raise StoreError(f"the store cannot be read: {postgresql.words_of(error)}") from None

    def _read_once(self, function: Callable[..., Result], arguments: Sequence[Any]) -> Result:
        with self._reading_engine.connect() as connection, connection.begin():
            return function(connection, *arguments)

    async def probe(self) -> None:
        """Make sure that the store can write at this moment.

        Raises:
            StoreError: It cannot.
        """
        await self._writer.submit(_probe, None)


def _probe(connection: Connection, items: Sequence[None]) -> list[None]:
    """Write and take back: only a page that changes needs room on the disk. Replicas would wait for each other."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("UPDATE trackers SET name = name WHERE false")
        return list(items)
    connection.exec_driver_sql("INSERT INTO trackers (name) VALUES ('')")
    connection.exec_driver_sql("DELETE FROM trackers WHERE name = ''")
    return list(items)


def _together(told: Iterable[News]) -> list[tuple[str, list[str]]]:
    """Return one piece of news for each kind."""
    names: dict[str, set[str]] = {}
    for news in told:
        names.setdefault(news.kind, set()).update(news.trackers)
    return [(kind, sorted(of_kind)) for kind, of_kind in names.items()]
