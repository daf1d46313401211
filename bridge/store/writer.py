"""Group commit: one thread writes; whatever queued up while the last commit synced shares the next one.

There is no timer: alone, a write commits at once; under load, one sync serves many. Measured against one commit
for each insert it is an order of magnitude at 64 callers (docs/benchmarks.md).

Of much that waits at once, half goes first. Otherwise all callers walk in step: they wait for the disk, and then
the disk for them. In two halves, the one is answered and sends its next while the other is synced.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.postgresql import is_conflict

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[Connection, Sequence[Item]], Sequence[Result]]
"""Writes many items of one sort in the transaction it is given; returns a result for each."""

LONGEST_QUEUE = 20_000
LARGEST_BATCH = 512
SMALLEST_HALF = 4
"""Writes fewer than twice this are not worth a sync of their own."""


def how_many(under_way: int) -> int:
    """Return how many writes to commit together: half of those under way."""
    return max(SMALLEST_HALF, under_way // 2)


@dataclass(slots=True)
class _Job:
    write: Write[Any, Any]
    item: Any
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Writer:
    """The one thread that writes.

    Args:
        engine: Its transactions must begin as writing ones.
        at_once: What to call instead of a `Write` that has the commit to itself: it commits by itself.
        make_ready: Called with the connection before anything is written.
    """

    def __init__(
        self,
        engine: Engine,
        at_once: Mapping[Write[Any, Any], Write[Any, Any]] | None = None,
        make_ready: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        self._engine, self._at_once, self._make_ready = engine, at_once or {}, make_ready
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._gathered: list[_Job] = []
        self._left: list[_Job] = []
        self._under_way = 0
        self._loop: asyncio.AbstractEventLoop  # of what is gathered
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._started = self._closed = False

    async def submit(self, write: Write[Item, Result], item: Item) -> Result:
        """Return the result of `write` for `item`, once it is committed.

        Raises:
            StoreError: It could not be written, or too much is waiting already; nothing was changed.
        """
        if self._closed or self._under_way >= LONGEST_QUEUE:
            raise StoreError("the store is closed" if self._closed else "too much is waiting to be written")
        if not self._started:
            self._started = True
            self._thread.start()
        if not self._gathered:  # whatever else comes in this round of the loop goes over with it
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._hand_over)
        future: asyncio.Future[Result] = self._loop.create_future()
        self._gathered.append(_Job(write, item, self._loop, future))
        self._under_way += 1
        try:
            return await future
        finally:
            self._under_way -= 1

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        self._queue.put(jobs)

    async def close(self) -> None:
        """Write what is waiting, then stop."""
        self._closed = True
        if self._started:
            self._hand_over()
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        with self._engine.connect() as connection:
            self._make_ready(connection)
            while going:
                jobs, going = self._next()
                if jobs:
                    _resolve(self._commit(connection, jobs))

    def _next(self) -> tuple[list[_Job], bool]:
        """Return what to commit now, in the order in which it came, and whether to go on afterwards."""
        jobs, self._left = self._left, []
        left_before = len(jobs)
        try:
            while len(jobs) < LARGEST_BATCH:
                more = self._queue.get(block=not jobs)
                if more is None:
                    return jobs, False
                jobs += more
        except queue.Empty:
            pass
        most = min(LARGEST_BATCH, max(how_many(self._under_way), left_before))  # nothing is left behind twice
        jobs, self._left = jobs[:most], jobs[most:]
        return jobs, True

    def _commit(self, connection: Connection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
        """Commit all jobs together; where one of several is at fault, each by itself."""
        try:
            return list(zip(jobs, self._write(connection, jobs), strict=True))
        except Exception as error:  # noqa: BLE001 - it becomes the callers' own exception
            if len(jobs) > 1 and not _is_of_the_store(error):
                return [pair for job in jobs for pair in self._commit(connection, [job])]
            return [(job, _as_store_error(error)) for job in jobs]

    def _write(self, connection: Connection, jobs: Sequence[_Job]) -> Sequence[Any]:
        at_once = self._at_once.get(jobs[0].write)
        if at_once is None or {job.write for job in jobs} != {jobs[0].write}:
            return _write(connection, jobs)
        return at_once(connection, [job.item for job in jobs])


def _write(connection: Connection, jobs: Sequence[_Job], tries: int = 3) -> list[Any]:
    """Return the results of all jobs, in one commit.

    What only met another replica's transaction, or a server that had been restarted meanwhile, is done once more:
    before the commit is asked for, nothing of it counts.
    """
    results: list[Any] = []
    asked = False
    try:
        with connection.begin():
            for write, group in groupby(jobs, key=lambda job: job.write):
                results += write(connection, [job.item for job in group])
            asked = True
        return results
    except DBAPIError as error:
        if asked or tries <= 1 or not (error.connection_invalidated or is_conflict(error)):
            raise
    return _write(connection, jobs, tries - 1)


def _is_of_the_store(error: Exception) -> bool:
    """Whether the store as a whole failed (disk full, locked, gone), rather than one item."""
    of_a_database = isinstance(error, DBAPIError | sqlite3.Error)
    return of_a_database and type(error).__name__ in {"OperationalError", "InterfaceError"}


def _as_store_error(error: Exception) -> Exception:
    if isinstance(error, SQLAlchemyError | sqlite3.Error):
        words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        return StoreError(f"the store cannot write: {words}")
    return error


def _resolve(results: list[tuple[_Job, Any]]) -> None:
    """Hand the results over: one call into each event loop, however many were waiting."""
    for loop, group in groupby(results, key=lambda pair: pair[0].loop):
        done = list(group)
        if not loop.is_closed():
            loop.call_soon_threadsafe(_finish, done)


def _finish(results: list[tuple[_Job, Any]]) -> None:
    for job, result in results:
        if job.future.done():  # its caller was cancelled
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
