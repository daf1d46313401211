"""Looking at what is there: for the API, the command line and replays. Returns JSON-like rows for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, or_, select, update

from bridge.store.records import ExportState, Selection, State
from bridge.store.schema import PENDING, attempts, deliveries, exports, followups, issues, trackers

Row = dict[str, Any]


def iso(value: float | None) -> str | None:
    """Return a kept moment in ISO 8601, None for none."""
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds") if value is not None else None


def export_body(connection: Connection, export_id: str) -> Row | None:
    """Return connection, received_at (seconds), state and body of one export, None where there is none."""
    parts = ("id", "connection", "received_at", "exported_at", "state", "body")
    query = select(*(exports.c[part] for part in parts)).where(exports.c.id == export_id)
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def list_exports(connection: Connection, wanted: Selection) -> list[Row]:
    """Return exports, newest first, each with its deliveries."""
    query = select(exports).where(*_export_conditions(wanted)).order_by(exports.c.position.desc())
    rows = connection.execute(query.limit(wanted.limit)).all()
    going = _deliveries_of(connection, [row.id for row in rows])
    return [_export(row) | {"deliveries": going.get(row.id, [])} for row in rows]


def show_export(connection: Connection, export_id: str) -> Row | None:
    """Return one export with its body, every delivery, attempt and follow-up; None where there is none."""
    row = connection.execute(select(exports).where(exports.c.id == export_id)).one_or_none()
    if row is None:
        return None
    going = _deliveries_of(connection, [export_id]).get(export_id, [])
    for delivery in going:
        delivery["attempts_made"] = _attempts(connection, export_id, delivery["tracker"])
        delivery["followups"] = _followups(connection, export_id, delivery["tracker"])
    return _export(row) | {"body": row.body.decode("utf-8", "replace"), "deliveries": going}


def matching_ids(connection: Connection, prefix: str) -> list[str]:
    """Return up to ten ids of exports that begin with `prefix`."""
    escaped = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = select(exports.c.id).where(exports.c.id.like(f"{escaped}%", escape="\\")).limit(10)
    return list(connection.scalars(query))


def list_deliveries(connection: Connection, wanted: Selection) -> list[Row]:
    """Return deliveries, newest first."""
    conditions = _delivery_conditions(wanted)
    if wanted.before is not None:
        conditions.append(deliveries.c.position < wanted.before)
    query = select(deliveries).where(*conditions).order_by(deliveries.c.position.desc()).limit(wanted.limit)
    return [_delivery(row) for row in connection.execute(query)]


def count_replay(connection: Connection, wanted: Selection) -> Row:
    """Return what a replay would touch: deliveries by tracker and state, and exports that went nowhere."""
    query = select(deliveries.c.tracker, deliveries.c.state, func.count()).where(*_replayable(wanted))
    rows = connection.execute(query.group_by(deliveries.c.tracker, deliveries.c.state)).all()
    counted = [{"tracker": tracker, "state": state, "count": count} for tracker, state, count in rows]
    return {"deliveries": counted, "exports": lost_exports(connection, wanted)}


def lost_exports(connection: Connection, wanted: Selection) -> list[str]:
    """Return ids of selected exports that went nowhere: rejected, unrouted or ignored, oldest first."""
    states = {state.value for state in ExportState} - {ExportState.ACCEPTED.value}
    asked = set(wanted.states) & states
    if wanted.tracker or wanted.error or (wanted.states and not asked) or not (wanted.ids or asked):
        return []
    chosen = Selection(ids=wanted.ids, states=sorted(asked or states), since=wanted.since, bug_id=wanted.bug_id)
    query = select(exports.c.id).where(*_export_conditions(chosen)).order_by(exports.c.position)
    return list(connection.scalars(query.limit(wanted.limit)))


def replay(connection: Connection, items: Sequence[tuple[Selection, tuple[str, ...], float]]) -> list[list[str]]:
    """Make deliveries pending again, at most the selection's limit, oldest first; return `export:tracker`.

    Each item is a selection, the trackers that cannot `find` (a person who replays there says that there is no
    issue), and the present moment in seconds. Also gives follow-ups that are dead another chance.
    """
    answers = []
    for wanted, blind, now in items:
        query = select(deliveries.c.position).where(*_replayable(wanted)).order_by(deliveries.c.position)
        positions = list(connection.scalars(query.limit(wanted.limit)))
        chosen = deliveries.c.position.in_(positions)
        fresh = {"state": "pending", "next_at": now, "attempts": 0, "error": "", "error_kind": ""}
        rows = connection.execute(
            update(deliveries)
            .where(chosen)
            .values(fresh | {"changed_at": now})
            .returning(deliveries.c.export_id, deliveries.c.tracker, deliveries.c.bug_id)
        ).all()
        _resolve_doubts(connection, {(row.tracker, row.bug_id) for row in rows if row.tracker in blind})
        keys = [(row.export_id, row.tracker) for row in rows]
        _revive_followups(connection, keys, now)
        answers.append([f"{export_id}:{tracker}" for export_id, tracker in keys])
    return answers


def list_trackers(connection: Connection) -> dict[str, Row]:
    """Return what the store knows of each tracker: counts by state, pause, waits, circuit."""
    known: dict[str, Row] = {}
    counts = select(deliveries.c.tracker, deliveries.c.state, func.count()).group_by(
        deliveries.c.tracker, deliveries.c.state
    )
    for tracker, state, count in connection.execute(counts):
        known.setdefault(tracker, {}).setdefault("deliveries", {})[state] = count
    oldest = (
        select(deliveries.c.tracker, func.min(deliveries.c.created_at))
        .where(deliveries.c.state == PENDING)
        .group_by(deliveries.c.tracker)
    )
    for tracker, created in connection.execute(oldest):
        known[tracker]["oldest_pending"] = iso(created)
    for row in connection.execute(select(trackers)):
        known.setdefault(row.name, {}).update(
            paused=row.paused_reason,
            paused_by=row.paused_by,
            paused_at=iso(row.paused_at),
            blocked_until=iso(row.blocked_until) if row.blocked_until else None,
            blocked_reason=row.blocked_reason,
            failures=row.failures,
            circuit_until=iso(row.circuit_until) if row.circuit_until else None,
            last_error=row.last_error,
        )
    return known


def count_states(connection: Connection) -> Row:
    """Return how many exports and deliveries are in which state."""
    counts: dict[str, dict[str, int]] = {}
    for name, table in (("exports", exports), ("deliveries", deliveries), ("followups", followups)):
        query = select(table.c.state, func.count().label("number")).group_by(table.c.state)
        counts[name] = {row.state: row.number for row in connection.execute(query)}
    return counts


def unfinished(connection: Connection) -> int:
    """Return how many deliveries and follow-ups are still to be done (dead ones are not)."""
    total = 0
    for table in (deliveries, followups):
        query = select(func.count()).where(table.c.state.in_((State.PENDING.value, State.RUNNING.value)))
        total += connection.scalar(query) or 0
    return total


def latest_moment(connection: Connection) -> datetime | None:
    """Return when something was last received or attempted, by the clock of then; None for never."""
    moments = [
        connection.scalar(select(column).order_by(column.table.c.position.desc()).limit(1))
        for column in (exports.c.received_at, attempts.c.started_at)
    ]
    return max((datetime.fromtimestamp(value, UTC) for value in moments if value is not None), default=None)


def known_issue(connection: Connection, tracker: str, bug_id: int) -> Row | None:
    """Return the issue of a bug in a tracker, None where there is none."""
    query = select(issues).where(issues.c.tracker == tracker, issues.c.bug_id == bug_id)
    row = connection.execute(query).mappings().one_or_none()
    return dict(row) if row else None


def _resolve_doubts(connection: Connection, bugs: set[tuple[str, int]]) -> None:
    """A person looked at these trackers: whatever was in doubt of these bugs made no issue."""
    for tracker, bug_id in bugs:
        of_the_bug = (deliveries.c.tracker == tracker, deliveries.c.bug_id == bug_id)
        connection.execute(
            update(deliveries)
            .where(*of_the_bug, deliveries.c.doubt_since.is_not(None), deliveries.c.state != State.RUNNING.value)
            .values(doubt_since=None)
        )


def _revive_followups(connection: Connection, keys: list[tuple[str, str]], now: float) -> None:
    for export_id, tracker in keys:
        connection.execute(
            update(followups)
            .where(
                followups.c.export_id == export_id,
                followups.c.tracker == tracker,
                followups.c.state == State.DEAD.value,
            )
            .values(state=State.PENDING.value, attempts=0, error="", next_at=now, changed_at=now)
        )


def _ids(column: ColumnElement[str], ids: Sequence[str]) -> list[ColumnElement[bool]]:
    return [or_(*(column == each for each in ids))] if ids else []


def _export_conditions(wanted: Selection) -> list[ColumnElement[bool]]:
    conditions = _ids(exports.c.id, wanted.ids)
    if wanted.states:
        own = [state for state in wanted.states if state in set(ExportState)]
        others = [state for state in wanted.states if state in set(State)]
        going = exists().where(deliveries.c.export_id == exports.c.id, deliveries.c.state.in_(others))
        conditions.append(or_(exports.c.state.in_(own), going if others else false()))
    if wanted.tracker or wanted.error:
        of_export = [deliveries.c.export_id == exports.c.id]
        of_export += [deliveries.c.tracker == wanted.tracker] if wanted.tracker else []
        of_export += [deliveries.c.error.icontains(wanted.error, autoescape=True)] if wanted.error else []
        conditions.append(exists().where(and_(*of_export)))
    if wanted.since is not None:
        conditions.append(exports.c.received_at >= wanted.since.timestamp())
    if wanted.bug_id is not None:
        conditions.append(exports.c.bug_id == wanted.bug_id)
    if wanted.before is not None:
        conditions.append(exports.c.position < wanted.before)
    return conditions


def _delivery_conditions(wanted: Selection) -> list[ColumnElement[bool]]:
    conditions = _ids(deliveries.c.export_id, wanted.ids)
    if wanted.states:
        conditions.append(deliveries.c.state.in_(wanted.states))
    if wanted.tracker:
        conditions.append(deliveries.c.tracker == wanted.tracker)
    if wanted.error:
        conditions.append(deliveries.c.error.icontains(wanted.error, autoescape=True))
    if wanted.since is not None:
        conditions.append(deliveries.c.created_at >= wanted.since.timestamp())
    if wanted.bug_id is not None:
        of_bug = select(exports.c.id).where(exports.c.bug_id == wanted.bug_id)
        conditions.append(deliveries.c.export_id.in_(of_bug))
    return conditions


def _replayable(wanted: Selection) -> list[ColumnElement[bool]]:
    """Dead ones, unless states or ids say more; what is running is never touched."""
    conditions = _delivery_conditions(wanted)
    if not wanted.states and not wanted.ids:
        conditions.append(deliveries.c.state == State.DEAD.value)
    conditions.append(deliveries.c.state != State.RUNNING.value)
    return conditions


def _deliveries_of(connection: Connection, ids: list[str]) -> dict[str, list[Row]]:
    query = select(deliveries).where(deliveries.c.export_id.in_(ids)).order_by(deliveries.c.position)
    found: dict[str, list[Row]] = {}
    for row in connection.execute(query):
        found.setdefault(row.export_id, []).append(_delivery(row))
    return found


def _export(row: Any) -> Row:
    return {
        "position": row.position,
        "id": row.id,
        "connection": row.connection,
        "state": row.state,
        "event": row.event,
        "bug_id": row.bug_id,
        "title": row.title,
        "exported_at": iso(row.exported_at),
        "received_at": iso(row.received_at),
        "problems": json.loads(row.problems),
    }


def _delivery(row: Any) -> Row:
    issue = {"id": row.issue_id, "key": row.issue_key, "url": row.issue_url} if row.issue_id else None
    return {
        "position": row.position,
        "export": row.export_id,
        "tracker": row.tracker,
        "bug_id": row.bug_id,
        "route": row.route,
        "on_reexport": row.on_reexport,
        "state": row.state,
        "attempts": row.attempts,
        "next_at": iso(row.next_at) if row.state == State.PENDING else None,
        "in_doubt": row.doubt_since is not None and row.state != State.RUNNING,
        "error_kind": row.error_kind,
        "error": row.error,
        "action": row.action,
        "issue": issue,
        "warnings": json.loads(row.warnings),
        "changed_at": iso(row.changed_at),
    }


def _attempts(connection: Connection, export_id: str, tracker: str) -> list[Row]:
    query = select(attempts).where(attempts.c.export_id == export_id, attempts.c.tracker == tracker)
    return [
        {
            "started_at": iso(row.started_at),
            "seconds": row.seconds,
            "outcome": row.outcome,
            "message": row.message,
            "status": row.status,
        }
        for row in connection.execute(query.order_by(attempts.c.position))
    ]


def _followups(connection: Connection, export_id: str, tracker: str) -> list[Row]:
    query = select(followups).where(followups.c.export_id == export_id, followups.c.tracker == tracker)
    return [
        {
            "kind": row.kind,
            "url": row.url,
            "state": row.state,
            "attempts": row.attempts,
            "next_at": iso(row.next_at) if row.state == State.PENDING else None,
            "error": row.error,
        }
        for row in connection.execute(query.order_by(followups.c.position))
    ]
