"""Moving a store into another database, usually from SQLite to PostgreSQL: everything, compared, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreError
from bridge.store import postgresql
from bridge.store.engine import is_shared, lock_of, open_engine, parse, prepare
from bridge.store.schema import compatibility, metadata

_AT_ONCE = 500
"""Rows in one statement."""

TABLES: tuple[Table, ...] = tuple(table for table in metadata.sorted_tables if table is not compatibility)


def copy(source: str, target: str, progress: Callable[[str, int, int], None]) -> dict[str, int]:
    """Copy a store, and return how many rows of each table there are. Blocks.

    One transaction: whoever breaks it off finds the target as empty as before. Rows are compared by number and
    checksum before it is committed.

    Args:
        source: URL of a store that no daemon is using.
        target: URL of an empty one.
        progress: Told the table, how many rows of it are done, and how many there are.

    Raises:
        StoreError: The source is in use, the target is not empty, or something cannot be read or written.
    """
    from_url, to_url = parse(source), parse(target)
    if from_url == to_url:
        raise StoreError("from and to are the same store")
    if not is_shared(from_url) and not Path(str(from_url.database)).is_file():
        raise StoreError(f"there is no store at {from_url.database}")
    locks = [lock for url in (from_url, to_url) if (lock := lock_of(url)) is not None]
    engines = open_engine(source, writes=False), open_engine(target, writes=True)
    taken = []
    try:
        for lock in locks:
            lock.take()
            taken.append(lock)
        _prepare(source, engines[1])
        with engines[0].connect() as from_, from_.begin(), engines[1].begin() as to:
            return _copy(from_, to, progress)
    except DBAPIError as error:
        raise StoreError(f"the store cannot be copied: {postgresql.words_of(error)}") from None
    finally:
        for engine in engines:
            engine.dispose()
        for lock in taken:
            lock.give_back()


def _prepare(source: str, target: Engine) -> None:
    """Bring both to this program's schema."""
    engine = open_engine(source, writes=True)
    try:
        prepare(engine)
    finally:
        engine.dispose()
    prepare(target)


def _copy(from_: Connection, to: Connection, progress: Callable[[str, int, int], None]) -> dict[str, int]:
    if to.dialect.name == "postgresql":  # no daemon writes meanwhile
        to.execute(text(f"LOCK TABLE {', '.join(table.name for table in TABLES)} IN EXCLUSIVE MODE"))
    if from_.dialect.name == "postgresql":
        from_.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    for table in TABLES:
        if to.execute(select(table).limit(1)).first() is not None:
            raise StoreError(f"the target is not empty (there are {table.name}): give an empty database")
    counts = {}
    for table in TABLES:
        counts[table.name] = _copy_table(from_, to, table, progress)
        _count_on(to, table)
    return counts


def _copy_table(from_: Connection, to: Connection, table: Table, progress: Callable[[str, int, int], None]) -> int:
    total = from_.scalar(select(func.count()).select_from(table)) or 0
    done, sent = 0, hashlib.sha256()
    progress(table.name, 0, total)
    for rows in _rows(from_, table):
        to.execute(insert(table), rows)
        _add(sent, rows)
        done += len(rows)
        progress(table.name, done, total)
    arrived, came = 0, hashlib.sha256()
    for rows in _rows(to, table):
        _add(came, rows)
        arrived += len(rows)
    if (arrived, came.digest()) != (done, sent.digest()):
        raise StoreError(f"the table {table.name} did not arrive as it was: {done} rows sent, {arrived} came")
    return done


def _rows(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table in the order of its key, as PostgreSQL can hold them: no NUL in a text."""
    query = select(table).order_by(*table.primary_key.columns)
    result = connection.execute(query, execution_options={"yield_per": _AT_ONCE})
    for part in result.mappings().partitions():
        yield [{name: _clean(value) for name, value in row.items()} for row in part]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    return bytes(value) if isinstance(value, memoryview) else value


def _add(checksum: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        checksum.update(repr([row[name] for name in sorted(row)]).encode("utf-8", "surrogatepass"))


def _count_on(to: Connection, table: Table) -> None:
    """Let what comes next have the positions after those that were copied."""
    if to.dialect.name != "postgresql" or "position" not in table.c:
        return
    following = select(func.coalesce(func.max(table.c.position), 0) + 1).scalar_subquery()
    to.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "position"), following, False)))
