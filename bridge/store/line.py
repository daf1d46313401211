"""A connection to PostgreSQL that the event loop itself reads and writes, by libpq.

What a driver does around a statement takes longer than this one statement.

https://www.postgresql.org/docs/current/libpq-async.html
https://www.psycopg.org/psycopg3/docs/api/pq.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from bridge.errors import StoreError
from bridge.store.intake_statement import FORMATS, NAME, statement


def connect(engine: Engine) -> Connection:
    """Return a connection to the server that knows the statement. Blocks.

    Raises:
        DBAPIError: The server cannot be reached.
        StoreError: It does not understand the statement.
    """
    connection = engine.connect()
    libpq = _libpq(connection)
    result = libpq.prepare(NAME, statement())
    if result.error_message:
        connection.invalidate()
        raise StoreError(result.error_message.decode("utf-8", "replace"))
    libpq.nonblocking = 1
    return connection


class Line:
    """Executes the statement of `bridge.store.intake_statement`, again and again.

    Args:
        connection: Knows the statement. It is nobody else's.
        loop: The running event loop.
        answered: Called after each `send`, perhaps before it returns: with how many exports were new, or None.

    Attributes:
        loop: As given.
        lost: Whether the connection is gone.
    """

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, answered: Callable[[int | None], None]
    ) -> None:
        self.loop, self.lost = loop, False
        self._connection, self._answered = connection, answered
        self._libpq = _libpq(connection)
        self._socket: int = self._libpq.socket
        self._results: list[Any] = []
        loop.add_reader(self._socket, self._read)

    def send(self, given: Sequence[bytes]) -> None:
        """Execute the statement."""
        try:
            self._libpq.send_query_prepared(NAME, given, FORMATS)
            if self._libpq.flush():  # not everything went out
                self.loop.add_writer(self._socket, self._write)
        except Exception:  # noqa: BLE001 - whatever the driver raises: the connection is gone
            self._lose()

    def close(self) -> None:
        """Close the connection."""
        self.loop.remove_reader(self._socket)
        self.loop.remove_writer(self._socket)
        self._connection.invalidate()
        self._connection.close()

    def _write(self) -> None:
        try:
            if not self._libpq.flush():
                self.loop.remove_writer(self._socket)
        except Exception:  # noqa: BLE001
            self._lose()

    def _read(self) -> None:
        libpq = self._libpq
        try:
            libpq.consume_input()
            while not libpq.is_busy() and (result := libpq.get_result()) is not None:
                self._results.append(result)
            going_on = libpq.is_busy()
        except Exception:  # noqa: BLE001
            self._lose()
            return
        if libpq.status:  # anything but 0 is a connection that is not there any more
            self._lose()
        elif self._results and not going_on:
            result, self._results = self._results[0], []
            self._answered(int(result.get_value(0, 0)) if result.ntuples == 1 else None)

    def _lose(self) -> None:
        self.lost = True
        self.close()
        self._answered(None)


def _libpq(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.pgconn
