"""Handing out work: what is due, per tracker, strictly in order for each bug, at a cost that does not grow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from bridge.model import Attachment, Issue
from bridge.store.accept import insert_for
from bridge.store.records import (
    Batch,
    Claim,
    Claimed,
    ClaimedFollowup,
    Followup,
    KnownIssue,
    State,
    Together,
)
from bridge.store.schema import (
    PENDING,
    RUNNING,
    attempts,
    deliveries,
    exports,
    followups,
    issues,
    trackers,
)

_TURN = timedelta(milliseconds=10)
"""When to ask again while another replica hands out work of the same tracker."""

_SHARE = timedelta(milliseconds=250)
"""When to ask again while the others have all that the tracker may get at once."""


def moment(value: float | None) -> datetime | None:
    """Return a kept moment as a datetime in UTC."""
    return None if value is None else datetime.fromtimestamp(value, UTC)


def _at(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def claim(connection: Connection, items: Sequence[Claim]) -> list[Batch]:
    """Hand out work to each asking tracker."""
    return [_claim_one(connection, item) for item in items]


def due_deliveries(tracker: str, now: float, limit: int) -> Select[tuple[int]]:
    """Return the query for deliveries that may be attempted: due, and nothing of their bug unfinished before."""
    return _due().params(tracker=tracker, now=now, limit=limit)


@cache  # like the others here: making the statement takes longer than executing it
def _due() -> Select[tuple[int]]:
    """For SQLite there is no FOR UPDATE. The OR keeps PostgreSQL from reading whole tables for a join."""
    earlier, tracker = deliveries.alias("earlier"), bindparam("tracker", type_=Text)
    before = select(earlier.c.position).where(
        earlier.c.tracker == tracker,
        earlier.c.bug_id == deliveries.c.bug_id,
        earlier.c.position < deliveries.c.position,
        earlier.c.state.in_((PENDING, RUNNING)),
    )
    later = deliveries.alias("later")  # under way while an earlier one was replayed
    under_way = select(later.c.position).where(
        later.c.tracker == tracker, later.c.bug_id == deliveries.c.bug_id, later.c.state == RUNNING
    )
    in_order = ~or_(exists(before), exists(under_way))
    due = (deliveries.c.state == PENDING, deliveries.c.next_at <= bindparam("now", type_=Float), in_order)
    return (
        select(deliveries.c.position)
        .where(deliveries.c.tracker == tracker, *due)
        .order_by(deliveries.c.next_at, deliveries.c.position)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, of=deliveries)
    )


@cache
def _take() -> ReturningUpdate[Any]:
    """A create may be sent at any moment from here on: until the outcome says otherwise, that is in doubt."""
    now = bindparam("at", type_=Float)
    return (
        update(deliveries)
        .where(deliveries.c.position.in_(bindparam("positions", expanding=True)))
        .values(
            state="running",
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until", type_=Float),
            claimed_at=now,
            first_attempt_at=func.coalesce(_of_the_bug(func.min, "first_attempt_at"), now),
            doubt_since=func.coalesce(_of_the_bug(func.max, "doubt_since"), now),
            attempts=deliveries.c.attempts + 1,
            changed_at=now,
        )
        .returning(deliveries)
    )


@cache
def _doubts() -> Select[tuple[int, float | None]]:
    """Until when earlier attempts may have made the issue; NULL for no doubt."""
    doubt = _of_the_bug(func.max, "doubt_since").label("doubt")
    query = select(deliveries.c.position, doubt)
    return query.where(deliveries.c.position.in_(bindparam("positions", expanding=True)))


def _claim_one(connection: Connection, item: Claim) -> Batch:
    now = item.now.timestamp()
    if item.under_way is not None:  # before the turn is asked for: it says so once only
        _give_back_unknown(connection, item, item.under_way)
    status = _take_turn(connection, item.tracker) if item.together else _status(connection, item.tracker)
    if item.together and status is None:
        return Batch(next_at=item.now + _TURN)
    limit, followups_first = item.limit, False
    if status is not None:
        if status.paused_reason:
            return Batch(paused=status.paused_reason, paused_by=status.paused_by)
        closed_until = max(status.blocked_until, status.circuit_until)
        if closed_until > now:
            return Batch(next_at=_at(closed_until))
        if status.failures >= item.circuit_after:
            if _under_way(connection, item.tracker):
                return Batch()
            limit = 1  # half open: one attempt tries whether the tracker is back
            followups_first = _followup_waits_longer(connection, item.tracker, now)
    if item.together:
        return _claim_share(connection, item, item.together, status, limit, followups_first)
    return _claim_up_to(connection, item, limit, followups_first)


def _claim_up_to(connection: Connection, item: Claim, limit: int, followups_first: bool) -> Batch:
    now = item.now.timestamp()
    first = _claim_followups(connection, item, now, limit if followups_first else 0)
    claimed = _claim_deliveries(connection, item, now, limit - len(first))
    steps = first or _claim_followups(connection, item, now, limit - len(claimed))
    return Batch(claimed, steps, _next_at(connection, item.tracker, now))


def _followup_waits_longer(connection: Connection, tracker: str, now: float) -> bool:
    """Whether the one attempt of a half-open circuit is a follow-up's: one that keeps failing starves nobody."""
    due = {"tracker": tracker, "now": now, "limit": 1}
    delivery = select(deliveries.c.next_at).where(deliveries.c.position.in_(_due().scalar_subquery()))
    since, step_since = connection.scalar(delivery, due), connection.scalar(_oldest_followup(), due)
    return step_since is not None and (since is None or step_since < since)


@cache
def _oldest_followup() -> Select[tuple[float]]:
    waiting = (followups.c.state == PENDING, followups.c.next_at <= bindparam("now", type_=Float))
    oldest = select(followups.c.next_at).where(followups.c.tracker == bindparam("tracker", type_=Text), *waiting)
    return oldest.order_by(followups.c.next_at).limit(1)


def _status(connection: Connection, tracker: str) -> Any:
    return connection.execute(_of_tracker(), {"tracker": tracker}).one_or_none()


@cache
def _of_tracker() -> Select[Any]:
    return select(trackers).where(trackers.c.name == bindparam("tracker", type_=Text))


# replicas


def _take_turn(connection: Connection, tracker: str) -> Any:
    """Return a tracker's row, which is ours until the transaction ends: until then no other replica hands out.

    None where another one is at it at this moment. Nobody waits for that: the same thread writes exports down.
    """
    turn = _of_tracker().with_for_update(skip_locked=True)
    row = connection.execute(turn, {"tracker": tracker}).one_or_none()
    if row is None:
        new = insert_for(connection.dialect.name, trackers).values(name=tracker)
        connection.execute(new.on_conflict_do_nothing())
        row = connection.execute(turn, {"tracker": tracker}).one_or_none()
    return row


def _claim_share(
    connection: Connection, item: Claim, together: Together, status: Any, limit: int, followups_first: bool
) -> Batch:
    """Hand out what the limits of all replicas together still allow. The turn is ours: see `_take_turn`."""
    now = item.now.timestamp()
    free = together.concurrency - (connection.scalar(_count_under_way(), {"tracker": item.tracker}) or 0)
    tokens, allowed, again = 0.0, limit, now + _SHARE.total_seconds()
    if together.interval is not None:
        tokens = _tokens(status, together.interval, now)
        allowed = int(tokens)
        again = max(again, now + together.interval * (allowed + 1 - tokens)) if allowed < free else again
    most = min(limit, free, allowed)
    batch = _claim_up_to(connection, item, max(most, 0), followups_first)
    taken = len(batch.deliveries) + len(batch.followups)
    if together.interval is not None and (taken or status.tokens is None):
        left = {"tokens": tokens - taken, "refilled_at": max(now, status.refilled_at)}
        connection.execute(update(trackers).where(trackers.c.name == item.tracker).values(left))
    if taken < most or most >= limit:
        return batch
    return replace(batch, next_at=min(filter(None, (batch.next_at, _at(again)))))  # there may be more


def _tokens(status: Any, interval: float, now: float) -> float:
    """Return how many may start by the rate: a bucket of one second, shared, which is full with one at first."""
    if status.tokens is None:
        return 1.0
    return float(min(max(1.0, 1.0 / interval), status.tokens + max(0.0, now - status.refilled_at) / interval))


@cache
def _count_under_way() -> Select[tuple[int]]:
    tracker = bindparam("tracker", type_=Text)
    counts = [
        select(func.count()).where(table.c.tracker == tracker, table.c.state == RUNNING).scalar_subquery()
        for table in (deliveries, followups)
    ]
    return select(counts[0] + counts[1])


def _give_back_unknown(connection: Connection, item: Claim, under_way: frozenset[str | int]) -> None:
    """Give back what was handed out and never arrived: the connection broke when the transaction was to end."""
    free: dict[str, Any] = {"state": State.PENDING.value, "lease_owner": None, "lease_until": None}
    for table, key in ((deliveries, deliveries.c.export_id), (followups, followups.c.position)):
        known = [each for each in under_way if isinstance(each, int) == (table is followups)]
        lost = (table.c.state == RUNNING, table.c.lease_owner == item.owner, table.c.tracker == item.tracker)
        again = update(table).where(*lost, key.not_in(known)).values(free | {"attempts": table.c.attempts - 1})
        unknown = connection.scalars(again.returning(table.c.export_id)).all()
        if table is deliveries and unknown:
            started = (attempts.c.tracker == item.tracker, attempts.c.outcome == "running")
            connection.execute(delete(attempts).where(attempts.c.export_id.in_(unknown), *started))


def _under_way(connection: Connection, tracker: str) -> bool:
    return any(
        connection.execute(
            select(table.c.position)
            .where(table.c.state == RUNNING, table.c.lease_until.is_not(None), table.c.tracker == tracker)
            .limit(1)
        ).first()
        for table in (deliveries, followups)
    )


def _claim_deliveries(connection: Connection, item: Claim, now: float, limit: int) -> tuple[Claimed, ...]:
    if limit < 1:
        return ()
    positions = connection.scalars(_due(), {"tracker": item.tracker, "now": now, "limit": limit}).all()
    if not positions:
        return ()
    doubts = {row.position: row.doubt for row in connection.execute(_doubts(), {"positions": positions})}
    until = now + item.lease.total_seconds()
    taken = {"positions": positions, "at": now, "owner": item.owner, "until": until}
    rows = connection.execute(_take(), taken).all()
    started = [
        {"export_id": row.export_id, "tracker": row.tracker, "started_at": now, "outcome": "running"}
        for row in rows
    ]
    connection.execute(insert(attempts), started)
    sources = _sources(connection, [row.export_id for row in rows])
    known = _known_issues(connection, item.tracker, [row.bug_id for row in rows])
    ordered = sorted(rows, key=lambda row: int(row.position))
    return tuple(
        _claimed(row, sources[row.export_id], known.get(row.bug_id), doubts[row.position]) for row in ordered
    )


def _of_the_bug(choose: Any, column: str) -> ColumnElement[float | None]:
    """Return a moment of a delivery; where it has none, of a dead one that may have made the same issue."""
    dead = deliveries.alias("dead")
    inherited = select(choose(dead.c[column])).where(
        dead.c.bug_id == deliveries.c.bug_id,
        dead.c.tracker == deliveries.c.tracker,
        dead.c.marker_suffix == deliveries.c.marker_suffix,
        dead.c.state == State.DEAD.value,
        dead.c.doubt_since.is_not(None),
    )
    return func.coalesce(deliveries.c[column], inherited.scalar_subquery())


def _claimed(row: Any, source: Any, known: KnownIssue | None, doubt: float | None) -> Claimed:
    return Claimed(
        export_id=row.export_id,
        tracker=row.tracker,
        bug_id=row.bug_id,
        connection=source.connection,
        on_reexport=row.on_reexport,
        update_fields=tuple(filter(None, row.update_fields.split(","))),
        marker_suffix=row.marker_suffix,
        attempt=row.attempts,
        claimed_at=_at(row.claimed_at),
        received_at=_at(source.received_at),
        first_attempt_at=_at(row.first_attempt_at),
        doubt_since=moment(doubt),
        body=source.body,
        known=known,
        warnings=tuple(json.loads(row.warnings)),
    )


def _sources(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    query = select(exports.c.id, exports.c.connection, exports.c.received_at, exports.c.body)
    return {row.id: row for row in connection.execute(query.where(exports.c.id.in_(set(ids))))}


def _known_issues(connection: Connection, tracker: str, bug_ids: Sequence[int]) -> dict[int, KnownIssue]:
    query = select(issues).where(issues.c.tracker == tracker, issues.c.bug_id.in_(set(bug_ids)))
    return {
        row.bug_id: KnownIssue(
            issue=Issue(id=row.issue_id, key=row.issue_key, url=row.issue_url), export_id=row.export_id
        )
        for row in connection.execute(query)
    }


def _claim_followups(connection: Connection, item: Claim, now: float, limit: int) -> tuple[ClaimedFollowup, ...]:
    if limit < 1:
        return ()
    due = (
        select(followups.c.position)
        .where(followups.c.tracker == item.tracker, followups.c.state == PENDING, followups.c.next_at <= now)
        .order_by(followups.c.next_at, followups.c.position)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    positions = connection.scalars(due).all()
    if not positions:
        return ()
    rows = connection.execute(
        update(followups)
        .where(followups.c.position.in_(positions))
        .values(
            state="running",
            lease_owner=item.owner,
            lease_until=now + item.lease.total_seconds(),
            attempts=followups.c.attempts + 1,
            changed_at=now,
        )
        .returning(followups)
    ).all()
    sources = _sources(connection, [row.export_id for row in rows])
    parents = _parents(connection, item.tracker, [row.export_id for row in rows])
    ordered = sorted(rows, key=lambda row: int(row.position))
    return tuple(_claimed_followup(row, sources[row.export_id], parents[row.export_id]) for row in ordered)


def _parents(connection: Connection, tracker: str, ids: Sequence[str]) -> dict[str, Any]:
    query = select(deliveries.c.export_id, deliveries.c.first_attempt_at, deliveries.c.marker_suffix)
    found = connection.execute(query.where(deliveries.c.export_id.in_(set(ids)), deliveries.c.tracker == tracker))
    return {row.export_id: row for row in found}


def _claimed_followup(row: Any, source: Any, parent: Any) -> ClaimedFollowup:
    return ClaimedFollowup(
        position=row.position,
        export_id=row.export_id,
        tracker=row.tracker,
        bug_id=row.bug_id,
        kind=Followup(row.kind),
        issue=Issue(id=row.issue_id, key=row.issue_key, url=row.issue_url),
        attachment=Attachment(url=row.url, type=row.type),
        attempt=row.attempts,
        connection=source.connection,
        received_at=_at(source.received_at),
        first_attempt_at=_at(parent.first_attempt_at),
        marker_suffix=parent.marker_suffix,
        body=source.body,
    )


def _next_at(connection: Connection, tracker: str, now: float) -> datetime | None:
    """Return when something waiting for a moment is next due."""
    waiting = [
        connection.scalar(
            select(func.min(table.c.next_at)).where(
                table.c.tracker == tracker, table.c.state == PENDING, table.c.next_at > now
            )
        )
        for table in (deliveries, followups)
    ]
    return min((_at(value) for value in waiting if value is not None), default=None)
