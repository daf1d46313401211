"""What only PostgreSQL needs: sessions that give up in time, locks between replicas, and their bell.

Replicas share the store. Whoever hands out work of a tracker has that tracker's row, so that what is counted there
(deliveries under way, the rate, a circuit that is half open) holds for all of them together.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from select import select as select_ready
from typing import Any

import structlog
from sqlalchemy import URL, BigInteger, Connection, Engine, create_engine, event, func, literal, select, text
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreError

CHANNEL = "tracker_bridge"
_MIGRATING, _INTAKE = 0x7472_6272, 0x7472_6262
"""Numbers of our advisory locks; any would do that nobody else in this database uses."""

_CONNECTION = {
    "application_name": "tracker-bridge",
    "connect_timeout": 5,
    # a server that is gone without a word is noticed within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""

_SESSION = """
DO $$ BEGIN
  IF current_setting('synchronous_commit') IN ('off', 'local') THEN SET synchronous_commit = 'on'; END IF;
END $$;
SET idle_in_transaction_session_timeout = '5s';
SET lock_timeout = '5s';
SET statement_timeout = '60s'
"""
"""What is answered with 202 is on the server's disk; a stricter setting of the server stays. A replica that froze
inside a transaction does not hold up the others for long."""

_CONFLICTS = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock not available: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def open_engine(url: URL) -> Engine:
    """Return an engine for a PostgreSQL server.

    Raises:
        StoreError: The driver is not installed.
    """
    settings = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=2,
            max_overflow=0,
            connect_args=settings,
            isolation_level="READ COMMITTED",
        )
    except ImportError:
        raise StoreError("PostgreSQL needs its driver: pip install 'tracker-bridge[postgresql]'") from None

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute(_SESSION)
        connection.commit()

    return engine


def is_conflict(error: Exception) -> bool:
    """Whether a transaction only met another one: the same again may well succeed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def lock_schema(connection: Connection) -> None:
    """Let no other replica make or migrate tables until this transaction ends."""
    connection.execute(text("SET LOCAL lock_timeout = '10min'"))
    connection.execute(select(func.pg_advisory_xact_lock(literal(_MIGRATING, BigInteger))))


def lock_intake(connection: Connection, *, alone: bool) -> None:
    """Let no other replica decide whether a bug was ever seen while one takes in what it asked for.

    Args:
        connection: In its transaction.
        alone: Whether something is taken in that was asked for, which is rare; otherwise others may post as well.
    """
    lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
    connection.execute(select(lock(literal(_INTAKE, BigInteger))))


class Bell:
    """Tells other replicas at once what would reach them late by looking now and then (LISTEN and NOTIFY).

    https://www.postgresql.org/docs/current/sql-notify.html

    Args:
        url: The database.
        heard: Called in a thread of the bell with what another replica said, and with None where something may
            have been missed: the connection was lost.
    """

    def __init__(self, url: URL, heard: Callable[[str | None], None]) -> None:
        self._url = url
        self._heard = heard
        self._stopping = threading.Event()
        self._wake, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="store-bell", daemon=True)

    def start(self) -> None:
        """Begin to listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End listening. Blocks until the thread has ended."""
        self._stopping.set()
        self._stop.close()  # what is waited for below
        if self._thread.ident is not None:
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        engine = open_engine(self._url)
        log, silent = structlog.get_logger("bridge.store"), False
        while not self._stopping.is_set():
            try:
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(f"LISTEN {CHANNEL}")
                    if silent:
                        log.info("the database tells again what other replicas do")
                    silent = False
                    self._heard(None)
                    self._listen(connection)
            except Exception as error:  # noqa: BLE001 - without the bell replicas look now and then
                if not silent:
                    log.warning("the database does not tell what other replicas do", error=words_of(error))
                silent = True
                self._stopping.wait(1.0)
        engine.dispose()

    def _listen(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        while not self._stopping.is_set():
            select_ready([driver.fileno(), self._wake], [], [])
            for notice in driver.notifies(timeout=0):
                self._heard(notice.payload)


def ring(connection: Connection, words: Iterable[str]) -> None:
    """Tell every replica, this one too."""
    for each in words:
        connection.execute(select(func.pg_notify(CHANNEL, each)))


def words_of(error: BaseException) -> str:
    """Return what the database says, in one line."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(orig).split())
