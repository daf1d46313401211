"""What the databases can do: rows that are written and synced, many in one commit, with nothing around it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.load import payloads

TOGETHER, SECONDS = 64, 1.0
_TABLE = "CREATE TABLE raw (id TEXT PRIMARY KEY, body {})"


def of_sqlite(folder: Path) -> float:
    """Return how many rows a second SQLite takes, 64 in one commit (WAL, synchronous=FULL)."""
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE.format("BLOB")):
            connection.execute(statement)

        def write(rows: list[tuple[str, bytes]]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO raw VALUES (?, ?)", rows)
            connection.execute("COMMIT")

        return _rate(write)


def of_postgresql(url: str) -> float:
    """Return how many rows a second PostgreSQL takes, 64 in one commit."""
    import psycopg  # noqa: PLC0415 - only where there is one

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLE.format("BYTEA"))

        def write(rows: list[tuple[str, bytes]]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany("INSERT INTO raw VALUES (%s, %s)", rows)

        return _rate(write)


def _rate(write: Callable[[list[tuple[str, bytes]]], None]) -> float:
    bodies, written, began = payloads(1), 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        write([(str(written + number), body) for number, body in zip(range(TOGETHER), bodies, strict=False)])
        written += TOGETHER
    return written / (time.perf_counter() - began)
