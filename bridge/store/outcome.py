"""Writing down how attempts ended, and what that means for their tracker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Float,
    Text,
    Update,
    bindparam,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
    true,
    update,
)

from bridge.model import Attachment, Issue
from bridge.store.accept import insert_for, seconds
from bridge.store.records import Effect, Followup, FollowupOutcome, Outcome, State
from bridge.store.schema import PENDING, RUNNING, attempts, deliveries, exports, followups, issues, looks, trackers


def upsert(connection: Connection, table: Any) -> Any:
    """Return the INSERT of this database that knows ON CONFLICT."""
    return insert_for(connection.dialect.name, table)


def record(connection: Connection, items: Sequence[Outcome]) -> list[bool]:
    """Write outcomes; False for one whose delivery was not ours any more (its lease had run out)."""
    return [_record_one(connection, item) for item in items]


def record_followup(connection: Connection, items: Sequence[FollowupOutcome]) -> list[bool]:
    """Write outcomes of follow-ups; False for one that was not ours any more."""
    return [_record_followup(connection, item) for item in items]


def plain(words: object) -> str:
    """Return what a tracker said as every database takes it: without NUL and halves of characters."""
    return str(words).replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _delivery(export_id: str, tracker: str) -> Any:
    return update(deliveries).where(deliveries.c.export_id == export_id, deliveries.c.tracker == tracker)


def _record_one(connection: Connection, item: Outcome) -> bool:
    ended = item.ended_at.timestamp()
    values: dict[str, Any] = {
        "state": item.state.value,
        "lease_owner": None,
        "lease_until": None,
        "doubt_since": seconds(item.doubt_since),
        "changed_at": ended,
        "error_kind": type(item.error).__name__ if item.error else "",
        "error": plain(item.error or ""),
        "warnings": json.dumps([plain(warning) for warning in item.warnings]),
        "action": item.action,
    }
    if item.next_at is not None:
        values["next_at"] = item.next_at.timestamp()
    if not item.spent:
        values["attempts"] = deliveries.c.attempts - 1
    if item.marker_suffix is not None:
        values["marker_suffix"] = item.marker_suffix
    if item.issue is not None:
        values |= _columns(item.issue)
    ours = (deliveries.c.lease_owner == item.owner, deliveries.c.claimed_at == item.claimed_at.timestamp())
    changed = connection.execute(_delivery(item.export_id, item.tracker).where(*ours).values(values)).rowcount
    _end_attempt(connection, item)
    if not changed:  # somebody else has it: all that counts is an issue that nobody knows of
        if item.issue is not None:
            _remember(connection, item, item.issue, late=True)
        return False
    if item.forget_issue:
        connection.execute(delete(issues).where(issues.c.tracker == item.tracker, issues.c.bug_id == item.bug_id))
    if item.issue is not None:
        _remember(connection, item, item.issue)
    apply_effect(connection, item.tracker, item.effect)
    return True


def _end_attempt(connection: Connection, item: Outcome) -> None:
    outcome = item.action or (type(item.error).__name__ if item.error else "given back")
    connection.execute(
        update(attempts)
        .where(
            attempts.c.export_id == item.export_id,
            attempts.c.tracker == item.tracker,
            attempts.c.started_at == item.claimed_at.timestamp(),
        )
        .values(
            seconds=max(0.0, (item.ended_at - item.claimed_at).total_seconds()),
            outcome=outcome,
            message=plain(item.error or ""),
            status=item.error.status if item.error else None,
        )
    )


def _remember(connection: Connection, item: Outcome, issue: Issue, *, late: bool = False) -> None:
    """Keep the issue: from now on it is what (tracker, bug) means. `ignored` leaves what it last heard of.

    One that comes late, after somebody else took over, counts only where no issue is known.
    """
    row = {
        "tracker": item.tracker,
        "bug_id": item.bug_id,
        "export_id": item.export_id,
        "created_at": item.ended_at.timestamp(),
        **_columns(issue),
    }
    told = _columns(issue)
    if item.action not in {"ignored", "superseded"}:
        told["export_id"] = item.export_id
    statement = upsert(connection, issues).values(row)
    if late:
        if not connection.execute(statement.on_conflict_do_nothing()).rowcount:
            return
    else:
        connection.execute(statement.on_conflict_do_update(index_elements=["tracker", "bug_id"], set_=told))
    if item.action not in {"ignored", "superseded"}:
        values = {"export": item.export_id, "tracker": item.tracker, "bug": item.bug_id}
        connection.execute(_look(connection.dialect.name), values | {"at": item.ended_at.timestamp()})
    for kind, attachment in item.followups:
        _add_followup(connection, item, issue, kind, attachment)


def _columns(issue: Issue) -> dict[str, str]:
    return {"issue_id": plain(issue.id), "issue_key": plain(issue.key), "issue_url": plain(issue.url)}


@cache
def _look(dialect: str) -> Any:
    """Have somebody look now and then whether people are done with an issue; at once after it was told again."""
    export = bindparam("export", type_=Text)
    source = select(exports.c.connection).where(exports.c.id == export).scalar_subquery()
    row = {
        "tracker": bindparam("tracker", type_=Text),
        "bug_id": bindparam("bug", type_=BigInteger),
        "export_id": export,
        "looked_at": bindparam("at", type_=Float),
        "done": literal_column("0"),
        "connection": func.coalesce(source, ""),
    }
    again = {"export_id": export, "looked_at": literal_column("0"), "done": literal_column("0")}
    fresh = insert_for(dialect, looks).values(row)
    keys = ["tracker", "bug_id"]
    return fresh.on_conflict_do_update(index_elements=keys, set_=again, where=looks.c.export_id != export)


def _add_followup(
    connection: Connection, item: Outcome, issue: Issue, kind: Followup, attachment: Attachment
) -> None:
    ended = item.ended_at.timestamp()
    row = {
        "export_id": item.export_id,
        "tracker": item.tracker,
        "bug_id": item.bug_id,
        **_columns(issue),
        "kind": kind.value,
        "url": attachment.url,
        "type": attachment.type,
        "state": State.PENDING.value,
        "next_at": ended,
        "changed_at": ended,
    }
    connection.execute(upsert(connection, followups).values(row).on_conflict_do_nothing())


def _record_followup(connection: Connection, item: FollowupOutcome) -> bool:
    ended = item.ended_at.timestamp()
    values: dict[str, Any] = {
        "state": item.state.value,
        "lease_owner": None,
        "lease_until": None,
        "changed_at": ended,
        "error": plain(item.error),
    }
    if item.next_at is not None:
        values["next_at"] = item.next_at.timestamp()
    if not item.spent:
        values["attempts"] = followups.c.attempts - 1
    ours = (
        followups.c.position == item.position,
        followups.c.lease_owner == item.owner,
        followups.c.attempts == item.attempt,
    )
    changed = connection.execute(update(followups).where(*ours).values(values)).rowcount
    if changed:
        apply_effect(connection, item.tracker, item.effect)
    return bool(changed)


@cache
def _is_well() -> Update:
    return (
        update(trackers)
        .where(trackers.c.name == bindparam("tracker", type_=Text), trackers.c.failures > 0)
        .values(failures=0, circuit_until=0, last_error="")
    )


def apply_effect(connection: Connection, tracker: str, effect: Effect) -> None:
    """Change what the store knows of a tracker."""
    if effect.succeeded:
        connection.execute(_is_well(), {"tracker": tracker})
    if effect.failed:
        _count_failure(connection, tracker, effect)
    if effect.pause:
        set_paused(connection, tracker, plain(effect.pause), by="bridge", now=seconds(effect.until))
    for name in effect.block:
        until = seconds(effect.until) or 0.0
        _tracker(
            connection,
            name,
            blocked_until=case((trackers.c.blocked_until > until, trackers.c.blocked_until), else_=until),
            blocked_reason=plain(effect.error),
        )


def _count_failure(connection: Connection, tracker: str, effect: Effect) -> None:
    opens = trackers.c.failures + 1 >= effect.circuit_after
    until = literal(seconds(effect.circuit_until) or 0.0)
    _tracker(
        connection,
        tracker,
        failures=trackers.c.failures + 1,
        last_error=plain(effect.error),
        circuit_until=case((opens, until), else_=trackers.c.circuit_until),
    )


def set_paused(connection: Connection, tracker: str, reason: str, *, by: str, now: float | None) -> None:
    """Pause a tracker; a person's pause is never taken over by the bridge's own."""
    current = connection.scalar(select(trackers.c.paused_by).where(trackers.c.name == tracker))
    if by == "bridge" and current:
        return
    _tracker(connection, tracker, paused_reason=reason, paused_by=by, paused_at=now)


def _tracker(connection: Connection, name: str, **values: Any) -> None:
    """Change a tracker's row, which is made when it is not there yet."""
    connection.execute(upsert(connection, trackers).values(name=name).on_conflict_do_nothing())
    connection.execute(update(trackers).where(trackers.c.name == name).values(values))


def pause(connection: Connection, items: Sequence[tuple[str, str, str, float]]) -> list[None]:
    """Pause trackers (name, reason, by whom, seconds)."""
    for name, reason, by, now in items:
        set_paused(connection, name, reason, by=by, now=now)
    return [None] * len(items)


def resume(connection: Connection, items: Sequence[str]) -> list[bool]:
    """Let trackers work again: no pause, no open circuit, no wait. Returns whether there was any."""
    answers = []
    for name in items:
        changed = connection.execute(
            update(trackers)
            .where(
                trackers.c.name == name,
                (trackers.c.paused_reason != "") | (trackers.c.failures > 0) | (trackers.c.blocked_until > 0),
            )
            .values(
                paused_reason="", paused_by="", paused_at=None, failures=0, circuit_until=0, blocked_until=0,
                blocked_reason="",
            )
        ).rowcount  # fmt: skip
        answers.append(bool(changed))
    return answers


def heartbeat(connection: Connection, items: Sequence[tuple[str, float]]) -> list[frozenset[tuple[str, str]]]:
    """Prolong everything an owner holds (owner, seconds until which); returns the deliveries (export, tracker)."""
    held = []
    for owner, until in items:
        longer = [
            update(table).where(table.c.state == RUNNING, table.c.lease_owner == owner).values(lease_until=until)
            for table in (deliveries, followups)
        ]
        rows = connection.execute(longer[0].returning(deliveries.c.export_id, deliveries.c.tracker)).all()
        connection.execute(longer[1])
        held.append(frozenset((row.export_id, row.tracker) for row in rows))
    return held


def recover(connection: Connection, items: Sequence[tuple[float, float]]) -> list[int]:
    """Give back what nobody holds any more (leases older than, now); returns how many deliveries.

    They are in doubt from now on, so that the next attempt looks for the marker before it creates: an issue may
    have been made until a moment ago.
    """
    counts = []
    for older_than, now in items:
        rows = connection.execute(
            update(deliveries)
            .where(deliveries.c.position.in_(_lost(deliveries, older_than)))
            .values(
                state="pending", lease_owner=None, lease_until=None, next_at=now, changed_at=now, doubt_since=now
            )
            .returning(deliveries.c.export_id, deliveries.c.tracker)
        ).all()
        for row in rows:
            connection.execute(
                update(attempts)
                .where(
                    attempts.c.export_id == row.export_id,
                    attempts.c.tracker == row.tracker,
                    attempts.c.outcome == "running",
                )
                .values(outcome="interrupted", message="the bridge stopped during this attempt")
            )
        connection.execute(
            update(followups)
            .where(followups.c.position.in_(_lost(followups, older_than)))
            .values(state="pending", lease_owner=None, lease_until=None, next_at=now, changed_at=now)
        )
        counts.append(len(rows))
    return counts


def _lost(table: Any, older_than: float) -> Any:
    """Return the query for what nobody holds any more, nor another replica is just giving back."""
    lost = select(table.c.position).where(table.c.state == RUNNING, table.c.lease_until < older_than)
    return lost.with_for_update(skip_locked=True)


def shift(connection: Connection, items: Sequence[tuple[float, float]]) -> list[None]:
    """Bring moments nearer that lie ahead since the clock was set back (by how many seconds, now)."""
    in_doubt = deliveries.c.doubt_since.is_not(None)
    columns = (
        (deliveries.c.next_at, deliveries.c.state == PENDING),
        (followups.c.next_at, followups.c.state == PENDING),
        (deliveries.c.first_attempt_at, in_doubt),
        (deliveries.c.doubt_since, in_doubt),
        (trackers.c.blocked_until, true()),
        (trackers.c.circuit_until, true()),
    )
    for back, now in items:
        for column, condition in columns:
            ahead = update(column.table).where(condition, column > now)
            connection.execute(ahead.values({column.name: column - back}))
    return [None] * len(items)


__all__ = [
    "apply_effect", "heartbeat", "pause", "record", "record_followup", "recover", "resume", "shift",
]  # fmt: skip
