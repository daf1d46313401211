"""Writing down how attempts ended, and what that means for their tracker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    Update,
    bindparam,
    case,
    delete,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    update,
)

from bridge.model import Issue
from bridge.store.accept import insert_for, seconds
from bridge.store.records import Claimed, Effect, FollowupOutcome, Outcome, State
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


def _new(column: ColumnElement[Any]) -> BindParameter[Any]:
    """Return the parameter for a column's new value; the column's own name is taken in an UPDATE."""
    return bindparam(f"new_{column.key}", type_=column.type)


@cache
def _end_delivery() -> Update:
    """Made once, like the others here: that takes longer than executing it. What is NULL here stays as it was."""
    anew = ("state", "doubt_since", "changed_at", "error_kind", "error", "warnings", "action")
    perhaps = ("next_at", "marker_suffix", "issue_id", "issue_key", "issue_url")
    values: dict[str, Any] = {name: _new(deliveries.c[name]) for name in anew}
    values |= {name: func.coalesce(_new(deliveries.c[name]), deliveries.c[name]) for name in perhaps}
    values |= {"lease_owner": null(), "lease_until": null()}
    values |= {"attempts": deliveries.c.attempts - bindparam("unspent", type_=Integer)}
    ours = deliveries.c.lease_owner == bindparam("owner", type_=Text)
    return update(deliveries).where(*_of_the_delivery(), ours).values(values)


def _of_the_delivery() -> tuple[ColumnElement[bool], ...]:
    return (
        deliveries.c.export_id == bindparam("export", type_=Text),
        deliveries.c.tracker == bindparam("of", type_=Text),
        deliveries.c.claimed_at == bindparam("claimed", type_=Float),
    )


@cache
def _end_attempt() -> Update:
    values = {name: _new(attempts.c[name]) for name in ("seconds", "outcome", "message", "status")}
    return update(attempts).where(*_of_the_attempt()).values(values)


def _of_the_attempt() -> tuple[ColumnElement[bool], ...]:
    return (
        attempts.c.export_id == bindparam("export", type_=Text),
        attempts.c.tracker == bindparam("of", type_=Text),
        attempts.c.started_at == bindparam("claimed", type_=Float),
    )


def _record_one(connection: Connection, item: Outcome) -> bool:
    error = plain(item.error or "")
    kind = type(item.error).__name__ if item.error else ""
    ours = {"export": item.export_id, "of": item.tracker, "claimed": item.claimed_at.timestamp()}
    issue = _columns(item.issue) if item.issue else dict.fromkeys(("issue_id", "issue_key", "issue_url"))
    ended = {
        "owner": item.owner,
        "unspent": 0 if item.spent else 1,
        "new_state": item.state.value,
        "new_doubt_since": seconds(item.doubt_since),
        "new_changed_at": item.ended_at.timestamp(),
        "new_error_kind": kind,
        "new_error": error,
        "new_warnings": json.dumps([plain(warning) for warning in item.warnings]),
        "new_action": item.action,
        "new_next_at": seconds(item.next_at),
        "new_marker_suffix": item.marker_suffix,
        **{f"new_{name}": value for name, value in issue.items()},
    }
    attempt = {
        "new_seconds": max(0.0, (item.ended_at - (item.began_at or item.claimed_at)).total_seconds()),
        "new_outcome": item.action or kind or "given back",
        "new_message": error,
        "new_status": item.error.status if item.error else None,
    }
    changed = connection.execute(_end_delivery(), ours | ended).rowcount
    connection.execute(_end_attempt(), ours | attempt)
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


@cache
def _give_back() -> Update:
    """It was never begun: everything is as it was before it was claimed."""
    before = {column.key: _new(column) for column in (deliveries.c.first_attempt_at, deliveries.c.doubt_since)}
    free = {"state": PENDING, "lease_owner": null(), "lease_until": null(), "attempts": deliveries.c.attempts - 1}
    return update(deliveries).where(*_of_the_delivery(), deliveries.c.state == RUNNING).values({**before, **free})


def give_back(connection: Connection, items: Sequence[Sequence[Claimed]]) -> list[bool]:
    """Give back deliveries that were claimed and never begun; returns whether all were still ours."""
    return [all([_give_one_back(connection, claimed) for claimed in several]) for several in items]  # noqa: C419 - each


def _give_one_back(connection: Connection, claimed: Claimed) -> bool:
    began = claimed.claimed_at.timestamp()
    ours = {"export": claimed.export_id, "of": claimed.tracker, "claimed": began}
    first = claimed.first_attempt_at.timestamp()
    before = {
        "new_first_attempt_at": None if first == began else first,
        "new_doubt_since": seconds(claimed.doubt_since),
    }
    connection.execute(delete(attempts).where(*_of_the_attempt()), ours)
    return bool(connection.execute(_give_back(), ours | before).rowcount)


def _remember(connection: Connection, item: Outcome, issue: Issue, *, late: bool = False) -> None:
    """Keep the issue: from now on it is what (tracker, bug) means. `ignored` leaves what it last heard of.

    One that comes late, after somebody else took over, counts only where no issue is known.
    """
    heard = item.action not in {"ignored", "superseded"}
    row = {
        "tracker": item.tracker,
        "bug_id": item.bug_id,
        "export_id": item.export_id,
        "created_at": item.ended_at.timestamp(),
        **_columns(issue),
    }
    dialect = connection.dialect.name
    if not connection.execute(_keep(dialect, late=late, heard=heard), row).rowcount:  # none if it came too late
        return
    if heard:
        values = {"export": item.export_id, "tracker": item.tracker, "bug": item.bug_id}
        connection.execute(_look(dialect), values | {"at": item.ended_at.timestamp()})
    if item.followups:
        connection.execute(_add_followup(dialect), _followups(item, issue))


@cache
def _keep(dialect: str, *, late: bool, heard: bool) -> Any:
    """Keep an issue: one that is late, only where none is known; one that heard of the export, with that."""
    new = insert_for(dialect, issues)
    if late:
        return new.on_conflict_do_nothing()
    told = ("issue_id", "issue_key", "issue_url", *(("export_id",) if heard else ()))
    return new.on_conflict_do_update(
        index_elements=["tracker", "bug_id"], set_={name: new.excluded[name] for name in told}
    )


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


@cache
def _add_followup(dialect: str) -> Any:
    return insert_for(dialect, followups).on_conflict_do_nothing()


def _followups(item: Outcome, issue: Issue) -> list[dict[str, Any]]:
    ended = item.ended_at.timestamp()
    row = {
        "export_id": item.export_id,
        "tracker": item.tracker,
        "bug_id": item.bug_id,
        **_columns(issue),
        "state": State.PENDING.value,
        "next_at": ended,
        "changed_at": ended,
    }
    return [
        {**row, "kind": kind.value, "url": attachment.url, "type": attachment.type}
        for kind, attachment in item.followups
    ]


@cache
def _end_followup() -> Update:
    anew = {name: _new(followups.c[name]) for name in ("state", "changed_at", "error")}
    again = func.coalesce(_new(followups.c.next_at), followups.c.next_at)
    fewer = followups.c.attempts - bindparam("unspent", type_=Integer)
    return (
        update(followups)
        .where(
            followups.c.position == bindparam("at", type_=BigInteger),
            followups.c.lease_owner == bindparam("owner", type_=Text),
            followups.c.attempts == bindparam("attempt", type_=Integer),
        )
        .values({**anew, "next_at": again, "attempts": fewer, "lease_owner": null(), "lease_until": null()})
    )


def _record_followup(connection: Connection, item: FollowupOutcome) -> bool:
    ended = {
        "at": item.position,
        "owner": item.owner,
        "attempt": item.attempt,
        "unspent": 0 if item.spent else 1,
        "new_state": item.state.value,
        "new_changed_at": item.ended_at.timestamp(),
        "new_error": plain(item.error),
        "new_next_at": seconds(item.next_at),
    }
    changed = connection.execute(_end_followup(), ended).rowcount
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
    "apply_effect", "give_back", "heartbeat", "pause", "record", "record_followup", "recover", "resume", "shift",
]  # fmt: skip
