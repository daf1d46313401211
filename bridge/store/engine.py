"""Opening the database: pragmas, transactions that begin as they should, migrations when one is due."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from bridge.errors import StoreError
from bridge.store.schema import HEAD, metadata

BUSY_SECONDS = 2.0
"""How long a write waits for another process's lock: the sender of an export is waiting too."""


PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "wal_autocheckpoint=8000")
"""WAL and FULL: what is committed survives a power cut. 8000 pages (32 MB) between checkpoints, which are slow.

https://www.sqlite.org/pragma.html
"""


def open_engine(url: str, *, writes: bool) -> Engine:
    """Return an engine for `url`.

    Args:
        url: `sqlite:///bridge.db` (WAL, synchronous=FULL).
        writes: Whether its transactions begin as writing ones. A reading one that turns into a writing one fails
            in SQLite when somebody else wrote in between.

    Raises:
        StoreError: The URL is none that the store can use.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"the store cannot use {parsed.get_backend_name()}: write sqlite:///FILE")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreError("the store needs a file: write sqlite:///FILE")
    engine = create_engine(url, poolclass=QueuePool, connect_args={"timeout": BUSY_SECONDS})
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def prepare(engine: Engine) -> None:
    """Bring the database to this program's schema: made whole when it is new, migrated when it is older.

    Raises:
        StoreError: It is of a newer program, or cannot be opened.
    """
    try:
        with engine.begin() as connection:
            if not inspect(connection).has_table("alembic_version"):
                metadata.create_all(connection)
                connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
                return
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        if version != HEAD:
            from bridge.store.migrate import migrate  # noqa: PLC0415 - Alembic only when a migration is due

            migrate(engine, version)
    except DBAPIError as error:
        raise StoreError(f"the store cannot be opened: {error.orig}") from None


class ProcessLock:
    """Lets one process at a time use a SQLite store. The kernel gives it back when the process dies.

    Args:
        path: The lock file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            StoreError: Another process has it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the store cannot be opened: {error.strerror}: {self._path}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StoreError(
                f"another tracker-bridge is using {self._path.name.removesuffix('.lock')}: stop it, "
                "or give this one a store of its own ([store] url)"
            ) from None
        self._descriptor = descriptor

    def give_back(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
