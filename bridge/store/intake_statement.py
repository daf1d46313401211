"""The one statement that writes exports down in PostgreSQL and commits by itself, and what it is given."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import BigInteger, Float, Text

from bridge.routing import Destination
from bridge.store.accept import DELIVERY, EXPORT, export_row, spelt, spread
from bridge.store.records import NewExport
from bridge.store.schema import exports

NAME = b"tracker_bridge_accept"
FORMATS = (0, 1, 0)
"""How the values of `given` are spelt: as text, binary, as text."""

_EXPORT, _DELIVERY = ", ".join(EXPORT), ", ".join(DELIVERY)
_TOLD = (*EXPORT[:-1], "way")
"""What is told of an export beside its body, which comes last."""

_TYPES: dict[type[Any], str] = {Text: "text", BigInteger: "bigint", Float: "float8"}
_BYTEA = 17
"""The type's number: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat"""


@cache
def statement() -> bytes:
    """Return the statement; it is the same however many exports there are, so the server reads it once.

    It returns how many of them are new. The bodies come as they are, everything else as one text. Where exports go
    is said once for all that go the same way.

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
            INSERT INTO deliveries ({_DELIVERY}) SELECT {spread("given", "destination.{}")}
            FROM given JOIN new USING (id) JOIN destination USING (way) ORDER BY given.number, destination.number
        )
        SELECT count(*) FROM new
    """.encode()  # noqa: S608 - our own names


def given(items: Sequence[NewExport]) -> tuple[bytes, bytes, bytes]:
    """Return the values that the statement is given for exports."""
    ways: dict[tuple[Destination, ...], int] = {}
    rows, bodies = [], []
    for item in items:
        *row, body = export_row(item)
        row.append(ways.setdefault(item.destinations, len(ways)))
        rows.append(dict(zip(_TOLD, row, strict=True)))
        bodies.append(body)
    return to_json(rows), _array(bodies), _destinations(tuple(ways))


@lru_cache(maxsize=256)
def _destinations(ways: tuple[tuple[Destination, ...], ...]) -> bytes:
    return to_json([{"way": way, **each} for way, to in enumerate(ways) for each in spelt(to)])


def _array(values: Sequence[bytes]) -> bytes:
    """Return a `bytea[]` as PostgreSQL has it: dimensions, whether there are NULLs, type, length, first index."""
    head = struct.pack(">5i", 1, 0, _BYTEA, len(values), 1)
    return head + b"".join([struct.pack(">i", len(value)) + value for value in values])
