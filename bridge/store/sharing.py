"""What a tracker may get, over all replicas: its turn, its limits, and what of it nobody knows of any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Float, Select, Text, Update, bindparam, delete, func, select, update

from bridge.store.accept import insert_for
from bridge.store.records import Claim, State
from bridge.store.schema import RUNNING, attempts, deliveries, followups, trackers

TURN = timedelta(milliseconds=10)
"""When to ask again while another replica hands out work of the same tracker."""

_SHARE = timedelta(milliseconds=250)
"""When to ask again while the others have all that the tracker may get at once."""

_NAME = bindparam("tracker", type_=Text)


def status(connection: Connection, tracker: str) -> Any:
    """Return a tracker's row; None where nothing is known of it yet."""
    return connection.execute(_status(), {"tracker": tracker}).one_or_none()


def take_turn(connection: Connection, tracker: str) -> Any:
    """Return a tracker's row, which is ours until the transaction ends: until then no other replica hands out.

    None where another one is at it at this moment. Nobody waits for that: the same thread writes exports down.
    """
    row = connection.execute(_turn(), {"tracker": tracker}).one_or_none()
    if row is None:
        new = insert_for(connection.dialect.name, trackers).values(name=tracker)
        connection.execute(new.on_conflict_do_nothing())
        row = connection.execute(_turn(), {"tracker": tracker}).one_or_none()
    return row


@cache
def _status() -> Select[Any]:
    return select(trackers).where(trackers.c.name == _NAME)


@cache
def _turn() -> Select[Any]:
    return _status().with_for_update(skip_locked=True)


@dataclass(frozen=True, slots=True)
class Share:
    """What one replica may take of a tracker's work now.

    Attributes:
        most: How much.
        is_less: Whether that is less than it asked for.
        again: When there may be more (seconds since 1970).
        tokens: What the rate still lets start; None where there is no rate.
        refilled_at: As of when.
        is_kept: Whether the tracker's row says something of tokens already.
    """

    tracker: str
    most: int
    is_less: bool
    again: float
    tokens: float | None
    refilled_at: float
    is_kept: bool

    def take(self, connection: Connection, count: int) -> None:
        """Keep what the rate lets start after `count` were taken."""
        if self.tokens is not None and (count or not self.is_kept):
            left = {"tracker": self.tracker, "left": self.tokens - count, "at": self.refilled_at}
            connection.execute(_keep_tokens(), left)


def share_of(connection: Connection, item: Claim, status: Any) -> Share:
    """Return what the limits of all replicas together still allow. The turn is ours: see `take_turn`."""
    now, together = item.now.timestamp(), item.together
    assert together is not None
    under_way = connection.scalar(_count_under_way(), {"tracker": item.tracker})
    free = together.concurrency - int(under_way or 0)
    most, again, tokens = min(item.limit, free), now + _SHARE.total_seconds(), None
    if together.interval is not None:
        tokens = _tokens(status, together.interval, now)
        if int(tokens) < free:
            again = max(again, now + together.interval * (int(tokens) + 1 - tokens))
        most = min(most, int(tokens))
    most = max(most, 0)
    refilled_at, is_kept = max(now, status.refilled_at), status.tokens is not None
    return Share(item.tracker, most, most < item.limit, again, tokens, refilled_at, is_kept)


def _tokens(status: Any, interval: float, now: float) -> float:
    """Return how many may start by the rate: a bucket of one second, shared, which is full with one at first."""
    if status.tokens is None:
        return 1.0
    return float(min(max(1.0, 1.0 / interval), status.tokens + max(0.0, now - status.refilled_at) / interval))


@cache
def _keep_tokens() -> Update:
    values = {"tokens": bindparam("left", type_=Float), "refilled_at": bindparam("at", type_=Float)}
    return update(trackers).where(trackers.c.name == _NAME).values(values)


@cache
def _count_under_way() -> Select[Any]:
    counts = [
        select(func.count()).where(table.c.tracker == _NAME, table.c.state == RUNNING).scalar_subquery()
        for table in (deliveries, followups)
    ]
    return select(counts[0] + counts[1])


def give_back_unknown(connection: Connection, item: Claim, under_way: frozenset[str | int]) -> None:
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
