"""The databases under the daemons, and how they die."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from threading import Event
from typing import Protocol

from tests import postgresql


class Database(Protocol):
    """A database.

    Attributes:
        name: For people.
        replicas: How many daemons share it.
        death: What `die` does, for people.
    """

    name: str
    replicas: int
    death: str

    @property
    def url(self) -> str:
        """Its address."""
        ...

    def die(self, dice: Random, ended: Event) -> None:
        """Be away for a while."""
        ...


class SQLite:
    """A file. It dies with its daemon, so what can happen to it besides is that somebody else has locked it."""

    replicas = 1
    death = "database locked for a while"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "bridge.db"
        self.name = f"SQLite {sqlite3.sqlite_version}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"sqlite:///{self._file}"

    def die(self, dice: Random, ended: Event) -> None:
        """Lock it, longer than a write waits for a lock or shorter."""
        if not self._file.exists():
            return
        with closing(sqlite3.connect(self._file, isolation_level=None, timeout=5)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # it is being written all the time
                return
            ended.wait(dice.uniform(0.2, 3.5))
            other.execute("ROLLBACK")


class PostgreSQL:
    """A server, shared by three replicas; kill -9 of all its processes is what a power cut does to it."""

    replicas = 3
    death = "database killed"

    def __init__(self, server: postgresql.Server) -> None:
        self._server = server
        with postgresql.connect(server.url("postgres")) as connection:
            connection.execute("CREATE DATABASE faults")
            (version,) = connection.execute("SHOW server_version").fetchone()
        self.name = f"PostgreSQL {version.split()[0]}"

    @property
    def url(self) -> str:
        """Its address."""
        return self._server.url("faults")

    def die(self, dice: Random, ended: Event) -> None:
        """Kill it, and start it again a little later."""
        self._server.kill()
        ended.wait(dice.uniform(0, 2))
        self._server.start()


@contextmanager
def sqlite(folder: Path) -> Iterator[Database]:
    """Give a new SQLite file."""
    yield SQLite(folder)


@contextmanager
def postgres(_folder: Path) -> Iterator[Database]:
    """Give a new PostgreSQL server, as durable as PostgreSQL is by default.

    Raises:
        RuntimeError: There is none on this machine.
    """
    with postgresql.running({"fsync": "on", "full_page_writes": "on"}) as server:
        yield PostgreSQL(server)
