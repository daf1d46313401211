"""Writing exports down in one statement that commits by itself, where nothing else shares the commit.

The writer's thread lets go of the interpreter at each statement, and has to win it back from the busy event loop:
with BEGIN, two INSERTs and COMMIT that costs more than the writing. And a server is asked once, not four times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Connection, Float, LargeBinary, Table, Text

from bridge.routing import Destination
from bridge.store.accept import DELIVERY, EXPORT, Row, delivery_rows, export_row, receipts, written
from bridge.store.records import NewExport, Receipt, State
from bridge.store.schema import deliveries, exports

_OF_THE_EXPORT = {
    "export_id": "NEW.id",
    "bug_id": "NEW.bug_id",
    # where each export makes an issue of its own, each needs a marker of its own
    "marker_suffix": "CASE json_extract(value, '$.on_reexport') WHEN 'new' THEN NEW.id ELSE '' END",
    "state": f"'{State.PENDING.value}'",
    **dict.fromkeys(("next_at", "created_at", "changed_at"), "NEW.received_at"),
}
"""What a delivery has from its export; the rest it has from where it goes."""

_GIVEN = ", ".join(f"NEW.{name}" for name in EXPORT)
_SPREAD = ", ".join(_OF_THE_EXPORT.get(name, f"json_extract(value, '$.{name}')") for name in DELIVERY)
_VIEW = f"CREATE TEMP VIEW intake AS SELECT {', '.join(EXPORT)}, '' AS destinations FROM exports"  # noqa: S608 - our own names
_TRIGGER = f"""
CREATE TEMP TRIGGER take_in INSTEAD OF INSERT ON intake BEGIN
    INSERT INTO exports ({", ".join(EXPORT)}) VALUES ({_GIVEN}) ON CONFLICT (identity) DO NOTHING;
    INSERT INTO deliveries ({", ".join(DELIVERY)})
        SELECT {_SPREAD} FROM json_each(NEW.destinations) WHERE changes() > 0;
END
"""  # noqa: S608 - our own names
"""A view that is only there for this connection takes the rows; its trigger puts them where they belong.

https://www.sqlite.org/lang_createtrigger.html
"""

_TYPES: dict[type[Any], str] = {Text: "text", BigInteger: "bigint", Float: "float8", LargeBinary: "bytea"}
"""What the columns are called at PostgreSQL."""


class NotAtOnce(Exception):
    """It did not work: in a transaction it is told apart why, and tried again."""


@dataclass(frozen=True)
class AtOnce:
    """How a database does it.

    Attributes:
        make_ready: Called with the connection first.
        accept: Writes exports and their deliveries, and commits; outside of a transaction. Raises `NotAtOnce`.
    """

    make_ready: Callable[[Connection], None]
    accept: Callable[[Connection, Sequence[NewExport]], list[Receipt]]


def _make_ready_sqlite(connection: Connection) -> None:
    driver = _driver(connection)
    driver.execute(_VIEW)
    driver.execute(_TRIGGER)


def _accept_sqlite(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    driver = _driver(connection)
    values = tuple(chain.from_iterable([_row(item) for item in items]))
    before = driver.total_changes
    driver.execute(_sqlite_statement(len(items)), values)
    if driver.total_changes - before == sum([1 + len(item.destinations) for item in items]):
        return receipts(connection, items, [item.id for item in items])
    with connection.begin():
        return receipts(connection, items, written(connection, items))


def _row(item: NewExport) -> Row:
    return (*export_row(item), _as_json(item.destinations))


@lru_cache(maxsize=256)
def _as_json(destinations: tuple[Destination, ...]) -> str:
    """Return destinations as the trigger reads them. The same ones come again and again."""
    return json.dumps([{**asdict(to), "update_fields": ",".join(to.update_fields)} for to in destinations])


@lru_cache(maxsize=256)
def _sqlite_statement(count: int) -> str:
    row = f"({', '.join('?' * (len(EXPORT) + 1))})"
    return f"INSERT INTO intake ({', '.join(EXPORT)}, destinations) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names


def _accept_postgresql(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    driver = _driver(connection)
    spread = [row for item in items for row in delivery_rows(item)]
    columns = _columns(EXPORT, [export_row(item) for item in items]) + _columns(DELIVERY, spread)
    try:
        driver.autocommit = True
        (new,) = driver.cursor(binary=True).execute(_postgresql_statement(), columns).fetchone()
        driver.autocommit = False
    except driver.Error as error:  # perhaps it is written all the same: then it is known by its id
        with suppress(driver.Error):  # the connection is gone
            driver.autocommit = False
        raise NotAtOnce(str(error)) from None
    if new == len(items):
        return receipts(connection, items, [item.id for item in items])
    with connection.begin():
        return receipts(connection, items, written(connection, items))


def _columns(names: Sequence[str], rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]


@cache
def _postgresql_statement() -> str:
    """Return the one statement there is, however many rows: the server plans it once, the driver reads it once.

    https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
    """
    names = ", ".join(DELIVERY)
    return f"""
        WITH new AS (
            INSERT INTO exports ({", ".join(EXPORT)}) SELECT * FROM {_arrays(exports, EXPORT)}
            ON CONFLICT (identity) DO NOTHING RETURNING id
        ), going AS (
            INSERT INTO deliveries ({names}) SELECT given.* FROM {_arrays(deliveries, DELIVERY)} AS given ({names})
            JOIN new ON new.id = given.export_id
        )
        SELECT count(*) FROM new
    """  # noqa: S608 - our own names


def _arrays(table: Table, names: Sequence[str]) -> str:
    return f"unnest({', '.join([f'%b::{_TYPES[type(table.c[name].type)]}[]' for name in names])})"


def _nothing(_connection: Connection) -> None:
    pass


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


SQLITE = AtOnce(_make_ready_sqlite, _accept_sqlite)
POSTGRESQL = AtOnce(_nothing, _accept_postgresql)
