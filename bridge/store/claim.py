"""Handing out work: what is due, per tracker, strictly in order for each bug, at a cost that does not grow.

Each statement is made once, with parameters: making one takes several times as long as executing it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Insert,
    Integer,
    Select,
    Text,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from bridge.model import Attachment, Issue
from bridge.store import sharing
from bridge.store.records import Batch, Claim, Claimed, ClaimedFollowup, Followup, KnownIssue
from bridge.store.schema import DEAD, PENDING, RUNNING, attempts, deliveries, exports, followups, issues

_TRACKER, _NOW = bindparam("tracker", type_=Text), bindparam("now", type_=Float)
_LIMIT = bindparam("limit", type_=Integer)


def moment(value: float | None) -> datetime | None:
    """Return a kept moment as a datetime in UTC."""
    return None if value is None else datetime.fromtimestamp(value, UTC)


def _at(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def claim(connection: Connection, items: Sequence[Claim]) -> list[Batch]:
    """Hand out work to each asking tracker."""
    return [_claim_one(connection, item) for item in items]


def _claim_one(connection: Connection, item: Claim) -> Batch:
    now = item.now.timestamp()
    if item.under_way is not None:  # before the turn is asked for: it says so once only
        sharing.give_back_unknown(connection, item, item.under_way)
    status = (
        sharing.take_turn(connection, item.tracker) if item.together else sharing.status(connection, item.tracker)
    )
    if item.together and status is None:
        return Batch(next_at=item.now + sharing.TURN)
    followups_first = False
    if status is not None:
        if status.paused_reason:
            return Batch(paused=status.paused_reason, paused_by=status.paused_by)
        closed_until = max(status.blocked_until, status.circuit_until)
        if closed_until > now:
            return Batch(next_at=_at(closed_until))
        if status.failures >= item.circuit_after:
            if connection.execute(_leased(), {"tracker": item.tracker}).first():
                return Batch()
            # half open: one attempt tries whether the tracker is back
            item = replace(item, limit=min(1, item.limit), ahead=0)
            followups_first = _followup_waits_longer(connection, item.tracker, now)
    if item.together:
        return _claim_share(connection, item, sharing.share_of(connection, item, status), followups_first)
    return _claim_up_to(connection, item, item.limit, followups_first)


def _claim_share(connection: Connection, item: Claim, share: sharing.Share, followups_first: bool) -> Batch:
    """Hand out what the limits of all replicas together still allow."""
    batch = _claim_up_to(connection, item, share.most, followups_first)
    taken = len(batch.deliveries) + len(batch.followups)
    share.take(connection, taken)
    if taken < share.most or not share.is_less:
        return batch
    return replace(batch, next_at=min(filter(None, (batch.next_at, _at(share.again)))))  # there may be more


def _claim_up_to(connection: Connection, item: Claim, limit: int, followups_first: bool) -> Batch:
    now = item.now.timestamp()
    first = _claim_followups(connection, item, now, limit if followups_first else 0)
    claimed = _claim_deliveries(connection, item, now, limit - len(first) + item.ahead)
    steps = first or _claim_followups(connection, item, now, limit - len(claimed))
    if len(claimed) + len(steps) >= limit:
        return Batch(claimed, steps)  # when one of them has ended it is asked again anyway
    later = [value for value in connection.execute(_later(), {"tracker": item.tracker, "now": now}).one() if value]
    return Batch(claimed, steps, _at(min(later)) if later else None)


@cache
def _later() -> Select[Any]:
    """When something waiting for a moment is next due."""
    firsts = [
        select(func.min(table.c.next_at))
        .where(table.c.tracker == _TRACKER, table.c.state == PENDING, table.c.next_at > _NOW)
        .scalar_subquery()
        for table in (deliveries, followups)
    ]
    return select(*firsts)


@cache
def _leased() -> Select[Any]:
    """Whether anything of a tracker is under way."""
    under_way = [
        select(table.c.position).where(
            table.c.state == RUNNING, table.c.lease_until.is_not(None), table.c.tracker == _TRACKER
        )
        for table in (deliveries, followups)
    ]
    return select(1).where(or_(*map(exists, under_way)))


def _followup_waits_longer(connection: Connection, tracker: str, now: float) -> bool:
    """Whether the one attempt of a half-open circuit is a follow-up's: one that keeps failing starves nobody."""
    due = {"tracker": tracker, "now": now, "limit": 1}
    delivery = select(deliveries.c.next_at).where(deliveries.c.position.in_(_due().scalar_subquery()))
    followup = select(followups.c.next_at).where(followups.c.position.in_(_due_followups().scalar_subquery()))
    since, step_since = connection.scalar(delivery, due), connection.scalar(followup, due)
    return step_since is not None and (since is None or step_since < since)


# deliveries


@cache
def _due() -> Select[tuple[int]]:
    """Deliveries that may be attempted: due, and nothing of their bug unfinished before.

    For SQLite there is no FOR UPDATE. The OR keeps PostgreSQL from reading whole tables for a join.
    """
    earlier = deliveries.alias("earlier")
    before = select(earlier.c.position).where(
        earlier.c.tracker == _TRACKER,
        earlier.c.bug_id == deliveries.c.bug_id,
        earlier.c.position < deliveries.c.position,
        earlier.c.state.in_((PENDING, RUNNING)),
    )
    later = deliveries.alias("later")  # under way while an earlier one was replayed
    under_way = select(later.c.position).where(
        later.c.tracker == _TRACKER, later.c.bug_id == deliveries.c.bug_id, later.c.state == RUNNING
    )
    in_order = ~or_(exists(before), exists(under_way))
    return (
        select(deliveries.c.position)
        .where(
            deliveries.c.tracker == _TRACKER, deliveries.c.state == PENDING, deliveries.c.next_at <= _NOW, in_order
        )
        .order_by(deliveries.c.next_at, deliveries.c.position)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True, of=deliveries)
    )


@cache
def _facts() -> Select[Any]:
    """What an attempt needs beside the delivery itself.

    Its export, the bug's issue, and until when earlier attempts may have made one; NULL for no doubt.
    """
    known = (issues.c.tracker == deliveries.c.tracker) & (issues.c.bug_id == deliveries.c.bug_id)
    return (
        select(
            deliveries.c.position,
            _of_the_bug(func.max, "doubt_since").label("doubt"),
            exports.c.connection,
            exports.c.received_at,
            exports.c.body,
            issues.c.issue_id,
            issues.c.issue_key,
            issues.c.issue_url,
            issues.c.export_id.label("told"),
        )
        .join_from(deliveries, exports, exports.c.id == deliveries.c.export_id)
        .outerjoin(issues, known)
        .where(deliveries.c.position.in_(bindparam("positions", expanding=True)))
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


def _of_the_bug(choose: Any, column: str) -> ColumnElement[float | None]:
    """Return a moment of a delivery; where it has none, of a dead one that may have made the same issue."""
    dead = deliveries.alias("dead")
    inherited = select(choose(dead.c[column])).where(
        dead.c.bug_id == deliveries.c.bug_id,
        dead.c.tracker == deliveries.c.tracker,
        dead.c.marker_suffix == deliveries.c.marker_suffix,
        dead.c.state == DEAD,
        dead.c.doubt_since.is_not(None),
    )
    return func.coalesce(deliveries.c[column], inherited.scalar_subquery())


@cache
def _begin() -> Insert:
    return insert(attempts)


def _claim_deliveries(connection: Connection, item: Claim, now: float, limit: int) -> tuple[Claimed, ...]:
    if limit < 1:
        return ()
    positions = connection.scalars(_due(), {"tracker": item.tracker, "now": now, "limit": limit}).all()
    if not positions:
        return ()
    facts = {row.position: row for row in connection.execute(_facts(), {"positions": positions})}
    until = now + item.lease.total_seconds()
    taken = {"positions": positions, "at": now, "owner": item.owner, "until": until}
    rows = connection.execute(_take(), taken).all()
    started = [
        {"export_id": row.export_id, "tracker": row.tracker, "started_at": now, "outcome": "running"}
        for row in rows
    ]
    connection.execute(_begin(), started)
    return tuple(_claimed(row, facts[row.position]) for row in sorted(rows, key=lambda row: int(row.position)))


def _claimed(row: Any, facts: Any) -> Claimed:
    known = None
    if facts.issue_id is not None:
        known = KnownIssue(
            issue=Issue(id=facts.issue_id, key=facts.issue_key, url=facts.issue_url), export_id=facts.told
        )
    return Claimed(
        export_id=row.export_id,
        tracker=row.tracker,
        bug_id=row.bug_id,
        connection=facts.connection,
        on_reexport=row.on_reexport,
        update_fields=tuple(filter(None, row.update_fields.split(","))),
        marker_suffix=row.marker_suffix,
        attempt=row.attempts,
        claimed_at=_at(row.claimed_at),
        received_at=_at(facts.received_at),
        first_attempt_at=_at(row.first_attempt_at),
        doubt_since=moment(facts.doubt),
        body=facts.body,
        known=known,
        warnings=tuple(json.loads(row.warnings)),
    )


# follow-ups


@cache
def _due_followups() -> Select[tuple[int]]:
    return (
        select(followups.c.position)
        .where(followups.c.tracker == _TRACKER, followups.c.state == PENDING, followups.c.next_at <= _NOW)
        .order_by(followups.c.next_at, followups.c.position)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    )


@cache
def _take_followups() -> ReturningUpdate[Any]:
    return (
        update(followups)
        .where(followups.c.position.in_(bindparam("positions", expanding=True)))
        .values(
            state="running",
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until", type_=Float),
            attempts=followups.c.attempts + 1,
            changed_at=bindparam("at", type_=Float),
        )
        .returning(followups)
    )


@cache
def _parents() -> Select[Any]:
    """The deliveries that follow-ups came after, and their exports."""
    return (
        select(
            deliveries.c.export_id,
            deliveries.c.first_attempt_at,
            deliveries.c.marker_suffix,
            exports.c.connection,
            exports.c.received_at,
            exports.c.body,
        )
        .join_from(deliveries, exports, exports.c.id == deliveries.c.export_id)
        .where(deliveries.c.tracker == _TRACKER, deliveries.c.export_id.in_(bindparam("ids", expanding=True)))
    )


def _claim_followups(connection: Connection, item: Claim, now: float, limit: int) -> tuple[ClaimedFollowup, ...]:
    if limit < 1:
        return ()
    due = {"tracker": item.tracker, "now": now, "limit": limit}
    positions = connection.scalars(_due_followups(), due).all()
    if not positions:
        return ()
    until = now + item.lease.total_seconds()
    taken = {"positions": positions, "at": now, "owner": item.owner, "until": until}
    rows = connection.execute(_take_followups(), taken).all()
    asked = {"tracker": item.tracker, "ids": list({row.export_id for row in rows})}
    parents = {row.export_id: row for row in connection.execute(_parents(), asked)}
    ordered = sorted(rows, key=lambda row: int(row.position))
    return tuple(_claimed_followup(row, parents[row.export_id]) for row in ordered)


def _claimed_followup(row: Any, parent: Any) -> ClaimedFollowup:
    return ClaimedFollowup(
        position=row.position,
        export_id=row.export_id,
        tracker=row.tracker,
        bug_id=row.bug_id,
        kind=Followup(row.kind),
        issue=Issue(id=row.issue_id, key=row.issue_key, url=row.issue_url),
        attachment=Attachment(url=row.url, type=row.type),
        attempt=row.attempts,
        connection=parent.connection,
        received_at=_at(parent.received_at),
        first_attempt_at=_at(parent.first_attempt_at),
        marker_suffix=parent.marker_suffix,
        body=parent.body,
    )
