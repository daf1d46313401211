"""Writing exports down in one statement that commits by itself, where nothing else shares the commit.

The writer's thread lets go of the interpreter at each statement, and has to win it back from the busy event loop:
with BEGIN, two INSERTs and COMMIT that costs more than the writing. And a server is asked once, not four times.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from pydantic_core import to_json
from sqlalchemy import BigInteger, Connection, Float, Text

from bridge.routing import Destination
from bridge.store.accept import DELIVERY, EXPORT, Row, export_row, receipts, written
from bridge.store.records import NewExport, Receipt, State
from bridge.store.schema import exports


def _spread(export: str, destination: str) -> str:
    """Return what a delivery consists of, in the order of `DELIVERY`: of its export, and of where that goes.

    Args:
        export: The name of the row with the export.
        destination: How a value of a destination is had, with `{}` for its name.
    """
    on_reexport = destination.format("on_reexport")
    of_the_export = {
        "export_id": f"{export}.id",
        "bug_id": f"{export}.bug_id",
        # where each export makes an issue of its own, each needs a marker of its own
        "marker_suffix": f"CASE {on_reexport} WHEN 'new' THEN {export}.id ELSE '' END",
        "state": f"'{State.PENDING.value}'",
        **dict.fromkeys(("next_at", "created_at", "changed_at"), f"{export}.received_at"),
    }
    return ", ".join(of_the_export.get(name, destination.format(name)) for name in DELIVERY)


_EXPORT, _DELIVERY = ", ".join(EXPORT), ", ".join(DELIVERY)
_TOLD = (*EXPORT[:-1], "way")
"""What PostgreSQL is told of an export beside its body, which comes last."""

_VIEW = f"CREATE TEMP VIEW intake AS SELECT {_EXPORT}, '' AS destinations FROM exports"  # noqa: S608 - our own names
_TRIGGER = f"""
CREATE TEMP TRIGGER take_in INSTEAD OF INSERT ON intake BEGIN
    INSERT INTO exports ({_EXPORT}) VALUES ({", ".join(f"NEW.{name}" for name in EXPORT)})
        ON CONFLICT (identity) DO NOTHING;
    INSERT INTO deliveries ({_DELIVERY}) SELECT {_spread("NEW", "json_extract(value, '$.{}')")}
        FROM json_each(NEW.destinations) WHERE changes() > 0;
END
"""  # noqa: S608 - our own names
"""A view that is only there for this connection takes the rows; its trigger puts them where they belong.

https://www.sqlite.org/lang_createtrigger.html
"""

_TYPES: dict[type[Any], str] = {Text: "text", BigInteger: "bigint", Float: "float8"}
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
    return to_json(_spelt(destinations)).decode()


def _spelt(destinations: Sequence[Destination]) -> list[dict[str, str]]:
    return [{**asdict(to), "update_fields": ",".join(to.update_fields)} for to in destinations]


@lru_cache(maxsize=256)
def _sqlite_statement(count: int) -> str:
    row = f"({', '.join('?' * (len(EXPORT) + 1))})"
    return f"INSERT INTO intake ({_EXPORT}, destinations) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names


def _accept_postgresql(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    ways: dict[tuple[Destination, ...], int] = {}
    rows, bodies = [], []
    for item in items:
        *row, body = export_row(item)
        row.append(ways.setdefault(item.destinations, len(ways)))
        rows.append(dict(zip(_TOLD, row, strict=True)))
        bodies.append(body)
    destinations = [{"way": way, **each} for to, way in ways.items() for each in _spelt(to)]
    if _execute(connection, to_json(rows), _array(bodies), to_json(destinations)) == len(items):
        return receipts(connection, items, [item.id for item in items])
    with connection.begin():
        return receipts(connection, items, written(connection, items))


def _execute(connection: Connection, *given: bytes) -> int:
    """Execute the statement in a transaction of its own, and return how many exports are new.

    By libpq itself: what the driver does around it takes longer than the statement.
    https://www.psycopg.org/psycopg3/docs/api/pq.html

    Raises:
        NotAtOnce: It did not work; perhaps it is written all the same: then it is known by its id.
    """
    libpq = _driver(connection).pgconn
    try:
        if not connection.info.get(_NAME):  # known as long as the connection to the server lives
            libpq.prepare(_NAME, _postgresql_statement().encode())
            connection.info[_NAME] = True
        result = libpq.exec_prepared(_NAME, given, (_TEXT, _BINARY, _TEXT))
    except Exception as error:  # noqa: BLE001 - whatever the driver raises: the connection is gone
        raise NotAtOnce(str(error)) from None
    if result.ntuples != 1:
        raise NotAtOnce(result.error_message.decode("utf-8", "replace"))
    return int(result.get_value(0, 0))


_NAME = b"tracker_bridge_accept"
_TEXT, _BINARY = 0, 1


def _array(values: Sequence[bytes]) -> bytes:
    """Return a `bytea[]` as PostgreSQL has it: dimensions, whether there are NULLs, type, length, first index."""
    head = struct.pack(">5i", 1, 0, _BYTEA, len(values), 1)
    return head + b"".join([struct.pack(">i", len(value)) + value for value in values])


_BYTEA = 17
"""The type's number: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat"""


@cache
def _postgresql_statement() -> str:
    """Return the one statement there is, however many rows: the server reads it once.

    The bodies come as they are, everything else as one text. Where exports go is said once for all that go the
    same way.

    https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
    https://www.postgresql.org/docs/current/queries-table-expressions.html#QUERIES-TABLEFUNCTIONS
    """
    names = _TOLD[:-1]
    columns = ", ".join([f"{name} {_TYPES[type(exports.c[name].type)]}" for name in names])
    return f"""
        WITH given ({", ".join(names)}, way, body, number) AS (
            SELECT * FROM ROWS FROM (json_to_recordset($1) AS ({columns}, way int), unnest($2::bytea[]))
                WITH ORDINALITY
        ), destination (way, tracker, route, on_reexport, update_fields, number) AS (
            SELECT * FROM ROWS FROM (json_to_recordset($3)
                AS (way int, tracker text, route text, on_reexport text, update_fields text)) WITH ORDINALITY
        ), new AS (
            INSERT INTO exports ({_EXPORT}) SELECT {_EXPORT} FROM given ORDER BY number
            ON CONFLICT (identity) DO NOTHING RETURNING id
        ), going AS (
            INSERT INTO deliveries ({_DELIVERY}) SELECT {_spread("given", "destination.{}")}
            FROM given JOIN new USING (id) JOIN destination USING (way) ORDER BY given.number, destination.number
        )
        SELECT count(*) FROM new
    """  # noqa: S608 - our own names


def _nothing(_connection: Connection) -> None:
    pass


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


SQLITE = AtOnce(_make_ready_sqlite, _accept_sqlite)
POSTGRESQL = AtOnce(_nothing, _accept_postgresql)
