"""What only SQLite needs: pragmas, transactions that begin as they should, one process at a time, backups."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from bridge.errors import StoreError

BUSY_SECONDS = 2.0
"""How long a write waits for another process's lock: the sender of an export is waiting too."""


PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "wal_autocheckpoint=8000")
"""WAL and FULL: what is committed survives a power cut. 8000 pages (32 MB) between checkpoints, which are slow.

https://www.sqlite.org/pragma.html
"""

_PAGES = 256
"""Pages copied in one step of a backup, after which others have their turn."""


def open_engine(url: URL, *, writes: bool) -> Engine:
    """Return an engine for a file.

    Args:
        url: `sqlite:///FILE`.
        writes: Whether its transactions begin as writing ones. A reading one that turns into a writing one fails
            in SQLite when somebody else wrote in between.
    """
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


def backup(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database as it is at one moment, while others write to it; looked through before it has its name.

    https://www.sqlite.org/backup.html

    Args:
        source: The database.
        target: The file to make.
        progress: Told how many pages are copied, and how many there are.

    Raises:
        StoreError: The database cannot be read, or the file cannot be written.
    """
    if not source.is_file():
        raise StoreError(f"there is no store at {source}")
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        address = f"{source.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as from_, closing(sqlite3.connect(unfinished)) as to:
            from_.backup(to, pages=_PAGES, progress=lambda _, left, total: progress(total - left, total))
            (verdict,) = to.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"the copy is damaged: {verdict}")
        _to_disk(unfinished)
        unfinished.replace(target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the store cannot be copied to {target}: {error}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _to_disk(file: Path) -> None:
    file.chmod(0o600)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
