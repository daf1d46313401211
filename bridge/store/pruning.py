"""Deleting what was delivered long ago, in small steps. What was made of a bug is remembered for ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from bridge.store.records import ExportState, State
from bridge.store.schema import attempts, deliveries, errands, exports, followups

_STEP = 200
"""Exports looked at in one transaction: exports that come in meanwhile wait only that long."""

_ENDED = (State.DELIVERED.value, State.DEAD.value)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step did.

    Attributes:
        exports: How many were deleted.
        position: Where the next step goes on; None at the end.
    """

    exports: int
    position: int | None


def prune(connection: Connection, items: Sequence[tuple[float, int]]) -> list[Pruned]:
    """Delete exports that were delivered everywhere before a moment (seconds), looking on from a position.

    The table of issues stays: it is what prevents a second issue for a bug.
    """
    return [_prune(connection, before, position) for before, position in items]


def _prune(connection: Connection, before: float, position: int) -> Pruned:
    query = select(exports.c.position, exports.c.id, exports.c.state, exports.c.received_at)
    seen = connection.execute(
        query.where(exports.c.position > position).order_by(exports.c.position).limit(_STEP)
    ).all()
    old = {row.id for row in seen if row.received_at < before and row.state == ExportState.ACCEPTED.value}
    done = sorted(old - _needed(connection, old, before)) if old else []
    for table in (attempts, followups, errands, deliveries):
        connection.execute(delete(table).where(table.c.export_id.in_(done)))
    connection.execute(delete(exports).where(exports.c.id.in_(done)))
    is_end = len(seen) < _STEP or seen[-1].received_at >= before
    return Pruned(len(done), None if is_end else int(seen[-1].position))


def _needed(connection: Connection, ids: Collection[str], before: float) -> set[str]:
    """Return those of the exports for which anything is still to be done, or was done since."""
    needed = set[str]()
    mine = select(deliveries).where(deliveries.c.export_id.in_(ids)).with_for_update()  # nobody replays them now
    for row in connection.execute(mine):
        if row.state != State.DELIVERED.value or row.changed_at >= before:
            needed.add(row.export_id)
    for table in (followups, errands):
        needed |= set(connection.scalars(_unfinished(table, ids)))
    return needed


def _unfinished(table: Any, ids: Collection[str]) -> Any:
    return select(table.c.export_id).where(table.c.export_id.in_(ids), table.c.state.not_in(_ENDED))


__all__ = ["Pruned", "prune"]
