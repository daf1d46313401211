"""Writing exports down, many in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from itertools import chain
from typing import Any

from sqlalchemy import Connection, insert, select, update

from bridge.errors import Problem
from bridge.routing import Destination
from bridge.store.records import ExportState, NewExport, Receipt, State
from bridge.store.schema import deliveries, exports

Row = tuple[Any, ...]

EXPORT = (
    "id", "connection", "state", "event", "bug_id", "title", "exported_at", "received_at", "identity",
    "problems", "body",
)  # fmt: skip
DELIVERY = (
    "export_id", "tracker", "bug_id", "route", "on_reexport", "update_fields", "marker_suffix", "state", "next_at",
    "created_at", "changed_at",
)  # fmt: skip


def insert_for(dialect: str, table: Any) -> Any:
    """Return the INSERT of a database that knows ON CONFLICT.

    A dialect takes 50 ms and more to import: only the one in use is.
    """
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def seconds(moment: datetime | None) -> float | None:
    """Return a moment as the store keeps it."""
    return moment.timestamp() if moment else None


def accept(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Write exports and their deliveries; one that was here before is answered with the first one's id."""
    rows = [export_row(item) for item in items]
    new: Collection[str] = [item.id for item in items]
    if _insert_many(connection, "exports", EXPORT, rows, once="identity") != len(items):
        new = written(connection, items)
    rows = [row for item in items if item.id in new for row in delivery_rows(item)]
    # those are there already where only the answer to a commit was lost
    _insert_many(connection, "deliveries", DELIVERY, rows, once="export_id, tracker")
    return receipts(connection, items, new)


def written(connection: Connection, items: Sequence[NewExport]) -> set[str]:
    """Return the ids of those exports that are in the store by themselves: they were not here before."""
    ids = [item.id for item in items]
    return set(connection.scalars(select(exports.c.id).where(exports.c.id.in_(ids))))


def receipts(connection: Connection, items: Sequence[NewExport], new: Collection[str]) -> list[Receipt]:
    """Return what is answered for each export; for one that was here before, what was made of the first."""
    if len(new) == len(items):
        return [receipt(item) for item in items]
    known = _known(connection, [item.identity for item in items if item.id not in new])
    return [receipt(item) if item.id in new else replace(known[item.identity], duplicate=True) for item in items]


def take_again(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Judge exports anew that went nowhere (rejected, unrouted, ignored): their id and body stay."""
    return [_take_again(connection, item) for item in items]


def _take_again(connection: Connection, item: NewExport) -> Receipt:
    own = select(exports.c.identity, exports.c.state).where(exports.c.id == item.id).with_for_update()
    current = connection.execute(own).one()
    if current.state == ExportState.ACCEPTED.value:  # somebody else was faster
        return replace(_known(connection, [current.identity])[current.identity], duplicate=True)
    twin = _known(connection, [item.identity]).get(item.identity)
    if twin is not None and twin.export != item.id:
        problem = Problem("", f"the same as export {twin.export}")
        item = replace(
            item,
            state=ExportState.IGNORED,
            identity=f"{item.identity}/again/{item.id}",
            problems=(problem,),
            destinations=(),
        )
    connection.execute(
        update(exports).where(exports.c.id == item.id).values(dict(zip(EXPORT, export_row(item), strict=True)))
    )
    if item.destinations:
        rows = [dict(zip(DELIVERY, row, strict=True)) for row in delivery_rows(item)]
        connection.execute(insert(deliveries), rows)
    return Receipt(item.id, tuple(to.tracker for to in item.destinations), item.state)


def _known(connection: Connection, identities: list[str]) -> dict[str, Receipt]:
    query = select(exports.c.identity, exports.c.id, exports.c.state).where(exports.c.identity.in_(identities))
    rows = connection.execute(query).all()
    if not rows:
        return {}
    going = select(deliveries.c.export_id, deliveries.c.tracker).where(
        deliveries.c.export_id.in_([row.id for row in rows])
    )
    trackers: dict[str, list[str]] = {}
    for export_id, tracker in connection.execute(going.order_by(deliveries.c.position)):
        trackers.setdefault(export_id, []).append(tracker)
    return {row.identity: Receipt(row.id, tuple(trackers.get(row.id, ())), ExportState(row.state)) for row in rows}


def _insert_many(
    connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row], *, once: str = ""
) -> int:
    """Write rows in one statement, and return how many were written.

    One statement for many rows lets go of the interpreter once, not for each row: with `executemany`, or with rows
    coming back, the writer would wait for the event loop each time. SQLAlchemy makes no such statement cheaply.

    Args:
        connection: In its transaction.
        table: Where to.
        columns: What a row consists of.
        rows: The values.
        once: Columns that are unique together; a row whose values are there already is left out.
    """
    if not rows:
        return 0
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    statement = _insert_statement(table, columns, len(rows), once, mark)
    return connection.exec_driver_sql(statement, tuple(chain.from_iterable(rows))).rowcount


@lru_cache(maxsize=256)
def _insert_statement(table: str, columns: tuple[str, ...], count: int, once: str, mark: str) -> str:
    row = f"({', '.join([mark] * len(columns))})"
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names
    return f"{statement} ON CONFLICT ({once}) DO NOTHING" if once else statement


def receipt(item: NewExport) -> Receipt:
    """Return what is answered for an export that is new."""
    return Receipt(item.id, tuple(to.tracker for to in item.destinations), item.state)


def export_row(item: NewExport) -> Row:
    """Return the values of `EXPORT`."""
    return (
        item.id,
        item.connection,
        item.state.value,
        item.event,
        item.bug_id,
        item.title,
        seconds(item.exported_at),
        seconds(item.received_at),
        item.identity,
        json.dumps([asdict(problem) for problem in item.problems]) if item.problems else "[]",
        item.body,
    )


def delivery_rows(item: NewExport) -> list[Row]:
    """Return the values of `DELIVERY` for each destination."""
    moment = seconds(item.received_at)
    return [
        (
            item.id,
            to.tracker,
            item.bug_id,
            to.route,
            to.on_reexport,
            ",".join(to.update_fields),
            # where each export makes an issue of its own, each needs a marker of its own
            item.id if to.on_reexport == "new" else "",
            State.PENDING.value,
            moment,
            moment,
            moment,
        )
        for to in item.destinations
    ]


def spread(export: str, destination: str) -> str:
    """Return the same as an expression: the values of `DELIVERY`, of an export and of where it goes.

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


def spelt(destinations: Sequence[Destination]) -> list[dict[str, str]]:
    """Return destinations as a database is told of them."""
    return [{**asdict(to), "update_fields": ",".join(to.update_fields)} for to in destinations]
