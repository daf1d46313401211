"""Writing exports down in one statement that commits by itself, where nothing else shares the commit: in SQLite.

The writer's thread lets go of the interpreter at each statement, and has to win it back from the busy event loop:
with BEGIN, two INSERTs and COMMIT that costs more than the writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection

from bridge.routing import Destination
from bridge.store.accept import DELIVERY, EXPORT, Row, export_row, receipts, spelt, spread, written
from bridge.store.records import NewExport, Receipt

_EXPORT, _DELIVERY = ", ".join(EXPORT), ", ".join(DELIVERY)
_VIEW = f"CREATE TEMP VIEW intake AS SELECT {_EXPORT}, '' AS destinations FROM exports"  # noqa: S608 - our own names
_TRIGGER = f"""
CREATE TEMP TRIGGER take_in INSTEAD OF INSERT ON intake BEGIN
    INSERT INTO exports ({_EXPORT}) VALUES ({", ".join(f"NEW.{name}" for name in EXPORT)})
        ON CONFLICT (identity) DO NOTHING;
    INSERT INTO deliveries ({_DELIVERY}) SELECT {spread("NEW", "json_extract(value, '$.{}')")}
        FROM json_each(NEW.destinations) WHERE changes() > 0;
END
"""  # noqa: S608 - our own names
"""A view that is only there for this connection takes the rows; its trigger puts them where they belong.

https://www.sqlite.org/lang_createtrigger.html
"""


def make_ready(connection: Connection) -> None:
    """Make what takes the rows, for this connection: before anything is written."""
    driver = _driver(connection)
    driver.execute(_VIEW)
    driver.execute(_TRIGGER)


def accept(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Write exports and their deliveries, and commit; outside of a transaction."""
    driver = _driver(connection)
    values = tuple(chain.from_iterable([_row(item) for item in items]))
    before = driver.total_changes
    driver.execute(_statement(len(items)), values)
    if driver.total_changes - before == sum([1 + len(item.destinations) for item in items]):
        return receipts(connection, items, [item.id for item in items])
    with connection.begin():
        return receipts(connection, items, written(connection, items))


def _row(item: NewExport) -> Row:
    return (*export_row(item), _as_json(item.destinations))


@lru_cache(maxsize=256)
def _as_json(destinations: tuple[Destination, ...]) -> str:
    """Return destinations as the trigger reads them. The same ones come again and again."""
    return to_json(spelt(destinations)).decode()


@lru_cache(maxsize=256)
def _statement(count: int) -> str:
    row = f"({', '.join('?' * (len(EXPORT) + 1))})"
    return f"INSERT INTO intake ({_EXPORT}, destinations) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
