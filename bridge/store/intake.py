"""Exports on their way into PostgreSQL: the event loop itself sends them, and is told when they are committed.

The writer's thread would have to win the interpreter back from the busy event loop whenever the server has
answered, and the server would wait for that. Everything out of the ordinary is left to the writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import Engine

from bridge.errors import StoreError
from bridge.store import intake_statement
from bridge.store.accept import receipt
from bridge.store.line import Line, connect
from bridge.store.records import NewExport, Receipt
from bridge.store.writer import LARGEST_BATCH, LONGEST_QUEUE, how_many

LARGEST_BODIES = 4 * 2**20
"""Bytes of bodies that fill a batch: what is sent is held in memory once more, and no server takes a gigabyte."""

OPEN_AGAIN = 1.0
"""Seconds after which it is tried again to open a connection where that went wrong."""

_Waiting = tuple[NewExport, "asyncio.Future[bool]"]


class Intake:
    """Writes exports down, as many at once as came in while the last ones were written. For one event loop.

    Args:
        engine: Of PostgreSQL.
        otherwise: Writes one down in another way, while there is no connection and where something was wrong: the
            export may then be written already, and is known by its id.
    """

    def __init__(self, engine: Engine, otherwise: Callable[[NewExport], Awaitable[Receipt]]) -> None:
        self._engine, self._otherwise = engine, otherwise
        self._waiting: list[_Waiting] = []
        self._sent: list[_Waiting] = []
        self._closed = False
        self._line: Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def submit(self, export: NewExport) -> Receipt:
        """Return what was made of an export, once it is committed.

        Raises:
            StoreError: It could not be written, or too much is waiting already; nothing was changed.
        """
        if self._line is None:
            answer = await self._otherwise(export)
            self._open_soon()  # the server is there
            return answer
        if len(self._waiting) >= LONGEST_QUEUE:
            raise StoreError("too much is waiting to be written")
        written: asyncio.Future[bool] = self._line.loop.create_future()
        self._waiting.append((export, written))
        if not self._sent and len(self._waiting) == 1:
            self._line.loop.call_soon(self._send)  # with whatever else comes in this round of the loop
        return receipt(export) if await written else await self._otherwise(export)

    async def close(self) -> None:
        """Wait for what is under way; whatever comes from now on goes the other way."""
        self._closed = True
        if self._opening is not None:
            await self._opening
        await asyncio.gather(*[written for _, written in (*self._sent, *self._waiting)], return_exceptions=True)
        if self._line is not None:
            self._line.close()
            self._line = None

    def _open_soon(self) -> None:
        loop = asyncio.get_running_loop()
        if self._opening is None and self._line is None and not self._closed and loop.time() >= self._not_before:
            self._opening = loop.create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._line = Line(await asyncio.to_thread(connect, self._engine), loop, self._answered)
        except Exception:  # noqa: BLE001 - whatever is wrong: the writer says it, should it still be
            self._not_before = loop.time() + OPEN_AGAIN
        finally:
            self._opening = None

    def _send(self) -> None:
        if self._line is not None and self._waiting and not self._sent:
            self._send_next(self._line, under_way=len(self._waiting))

    def _send_next(self, line: Line, under_way: int) -> None:
        most = min(LARGEST_BATCH, how_many(under_way))
        count = _that_fit(self._waiting[:most])
        self._sent, self._waiting = self._waiting[:count], self._waiting[count:]
        try:
            given = intake_statement.given([export for export, _ in self._sent])
        except Exception:  # noqa: BLE001 - there is one that cannot be spelt; the writer tells which
            self._answered(None)
        else:
            line.send(given)

    def _answered(self, new: int | None) -> None:
        """Go on with what waits, then tell whoever waited for what was sent.

        Args:
            new: How many of them were new; None where they could not be written.
        """
        done, self._sent = self._sent, []
        assert self._line is not None
        if self._line.lost:
            done, self._waiting, self._line = done + self._waiting, [], None
        elif self._waiting:
            self._send_next(self._line, under_way=len(self._waiting) + len(done))
        for _, written in done:
            if not written.done():  # else its caller was cancelled
                written.set_result(new == len(done))


def _that_fit(waiting: Sequence[_Waiting]) -> int:
    """Return how many of them go at once, at least one: bodies may be large."""
    size = 0
    for count, (export, _) in enumerate(waiting, 1):
        size += len(export.body)
        if size >= LARGEST_BODIES:
            return count
    return len(waiting)
