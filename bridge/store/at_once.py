"""Writing exports down in one statement that commits by itself: SQLite, where nothing else shares the commit.

The writer's thread lets go of the interpreter at each statement, and has to win it back from the busy event loop:
with BEGIN, two INSERTs and COMMIT that costs more than the writing. A view that is only there for this connection
takes the rows, and its trigger puts them into their tables. https://www.sqlite.org/lang_createtrigger.html
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from sqlalchemy import Connection

from bridge.store.accept import DELIVERY, EXPORT, Row, delivery_rows, export_row, receipts, written
from bridge.store.records import NewExport, Receipt

_GIVEN = ", ".join(f"NEW.{name}" for name in EXPORT)
_MOMENTS = {"next_at", "created_at", "changed_at"}
"""The export's own are taken: on the way through JSON they would be rounded."""
_SPREAD = ", ".join(
    "NEW.received_at" if name in _MOMENTS else f"json_extract(value, '$[{number}]')"
    for number, name in enumerate(DELIVERY)
)
_VIEW = f"CREATE TEMP VIEW intake AS SELECT {', '.join(EXPORT)}, '' AS deliveries FROM exports"  # noqa: S608 - our own names
_TRIGGER = f"""
CREATE TEMP TRIGGER take_in INSTEAD OF INSERT ON intake BEGIN
    INSERT INTO exports ({", ".join(EXPORT)}) VALUES ({_GIVEN}) ON CONFLICT (identity) DO NOTHING;
    INSERT INTO deliveries ({", ".join(DELIVERY)})
        SELECT {_SPREAD} FROM json_each(NEW.deliveries) WHERE changes() > 0;
END
"""  # noqa: S608 - our own names


def make_ready(connection: Connection) -> None:
    """Let a connection take exports in at once."""
    driver = _driver(connection)
    driver.execute(_VIEW)
    driver.execute(_TRIGGER)


def accept(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Write exports and their deliveries, and commit; like `bridge.store.accept.accept` inside a transaction."""
    driver = _driver(connection)
    values = tuple(chain.from_iterable([_row(item) for item in items]))
    before = driver.total_changes
    driver.execute(_statement(len(items)), values)
    if driver.total_changes - before == sum([1 + len(item.destinations) for item in items]):
        return receipts(connection, items, [item.id for item in items])
    with connection.begin():
        return receipts(connection, items, written(connection, items))


def _row(item: NewExport) -> Row:
    return (*export_row(item), json.dumps(delivery_rows(item)) if item.destinations else "[]")


@lru_cache(maxsize=256)
def _statement(count: int) -> str:
    row = f"({', '.join('?' * (len(EXPORT) + 1))})"
    return f"INSERT INTO intake ({', '.join(EXPORT)}, deliveries) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
