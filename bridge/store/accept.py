"""Writing exports down, many in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, insert, select, update

from bridge.errors import Problem
from bridge.store.records import ExportState, NewExport, Receipt, State
from bridge.store.schema import deliveries, exports

_INSERT_DELIVERIES = insert(deliveries).returning(deliveries.c.position)
"""RETURNING makes it one statement for many rows, which lets go of the interpreter once, not for each row."""


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
    rows = [_export_row(item) for item in items]
    written = set(connection.scalars(_insert_exports(connection.dialect.name), rows))
    delivery_rows = [row for item in items if item.id in written for row in _delivery_rows(item)]
    if delivery_rows:
        connection.execute(_INSERT_DELIVERIES, delivery_rows)
    if len(written) == len(items):
        return [_receipt(item) for item in items]
    known = _known(connection, [item.identity for item in items if item.id not in written])
    return [
        _receipt(item) if item.id in written else replace(known[item.identity], duplicate=True) for item in items
    ]


def take_again(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Judge exports anew that went nowhere (rejected, unrouted, ignored): their id and body stay."""
    return [_take_again(connection, item) for item in items]


def _take_again(connection: Connection, item: NewExport) -> Receipt:
    own = select(exports.c.identity, exports.c.state).where(exports.c.id == item.id)
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
    connection.execute(update(exports).where(exports.c.id == item.id).values(_export_row(item)))
    if item.destinations:
        connection.execute(insert(deliveries), _delivery_rows(item))
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


@cache
def _insert_exports(dialect: str) -> Any:
    """Return the statement that writes what is not there yet, and says which that was."""
    statement = insert_for(dialect, exports).on_conflict_do_nothing(index_elements=["identity"])
    return statement.returning(exports.c.id)


def _receipt(item: NewExport) -> Receipt:
    return Receipt(item.id, tuple(to.tracker for to in item.destinations), item.state)


def _export_row(item: NewExport) -> dict[str, Any]:
    return {
        "id": item.id,
        "connection": item.connection,
        "state": item.state.value,
        "event": item.event,
        "bug_id": item.bug_id,
        "title": item.title,
        "exported_at": seconds(item.exported_at),
        "received_at": seconds(item.received_at),
        "identity": item.identity,
        "body": item.body,
        "problems": json.dumps([asdict(problem) for problem in item.problems]) if item.problems else "[]",
    }


def _delivery_rows(item: NewExport) -> list[dict[str, Any]]:
    moment = seconds(item.received_at)
    return [
        {
            "export_id": item.id,
            "tracker": to.tracker,
            "bug_id": item.bug_id,
            "route": to.route,
            "on_reexport": to.on_reexport,
            "update_fields": ",".join(to.update_fields),
            # where each export makes an issue of its own, each needs a marker of its own
            "marker_suffix": item.id if to.on_reexport == "new" else "",
            "state": State.PENDING.value,
            "next_at": moment,
            "created_at": moment,
            "changed_at": moment,
        }
        for to in item.destinations
    ]
