"""What belongs to test IO's side: its connections, exports that were asked for, errands to it, looks at issues.

Functions that write take many items of one sort in the transaction they are given, as `bridge.store.writer` wants.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    union,
    update,
)

from bridge.store import accept, postgresql
from bridge.store.records import ExportState, NewExport, Receipt, State
from bridge.store.schema import PENDING, connections, deliveries, errands, exports, issues, looks, pulled, trackers

_SEEN = (ExportState.ACCEPTED.value, ExportState.ENRICHING.value, ExportState.UNROUTED.value)
_MANY = 500
"""Values in one condition: databases limit them."""
_LATEST = 3600.0
"""Seconds after which a webhook that does not say when it was asked for is no late one of what was pulled."""


class Errand(enum.StrEnum):
    """What is to be done at test IO for a bug, with its own retries."""

    ENRICH = "enrich"
    EXPORTED = "exported"
    FIXED = "fixed"
    KNOWN = "known"


WAITING, _WAITING = "waiting", literal_column("'waiting'", Text)
"""State of an errand that becomes due only once something else is done."""


@dataclass(frozen=True, slots=True)
class Intake:
    """An export to take in, of a connection that has to do with test IO's API.

    Attributes:
        export: The export.
        errands: What is to be done for it at test IO.
        pulled: Whether it was asked for: then it is taken in only where its bug was never seen.
        told_before: A moment in seconds, for an export that was asked for again: it is taken in also where test IO
            was told before then that the last one of its bug is exported.
    """

    export: NewExport
    errands: tuple[Errand, ...] = ()
    pulled: bool = False
    told_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the bridge knows of a connection that it made at test IO."""

    name: str
    account: str
    remote_id: int
    product_ids: tuple[int, ...] = ()
    section_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueErrand:
    """An errand that is ours for a while."""

    position: int
    kind: Errand
    connection: str
    bug_id: int
    export_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandOutcome:
    """How an errand went: `delivered`, `pending` (again at `next_at`, in seconds) or `dead`."""

    position: int
    state: State
    now: float
    next_at: float = 0.0
    spent: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLook:
    """A request for an issue to look at.

    Attributes:
        tracker: The tracker's name.
        connections: Those whose issues are looked at.
        before: Issues that were looked at after this moment (seconds) are not due.
        held: Until the answer is there the issue counts as looked at then: nobody else looks at it.
    """

    tracker: str
    connections: tuple[str, ...]
    before: float
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLook:
    """An issue whose state is to be looked at; nobody else's for a while."""

    tracker: str
    bug_id: int
    export_id: str
    connection: str
    issue_id: str
    issue_key: str
    issue_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was seen.

    Attributes:
        counted: Trackers whose issues of the bug all have to be done.
        errand: What to do at test IO then; None for nothing.
    """

    due: DueLook
    now: float
    done: bool
    name: str
    counted: tuple[str, ...]
    errand: Errand | None = None


# taking in


def take_in(connection: Connection, items: Sequence[Intake]) -> list[Receipt]:
    """Write exports, their deliveries and their errands; nothing that another way brought before.

    What was pulled, and its webhook comes late after all, is the same export. In the other direction what is
    pulled counts only where its bug was never seen. Both are decided in the transaction that writes.
    """
    if connection.dialect.name == "postgresql":
        postgresql.lock_intake(connection, alone=any(item.pulled for item in items))
    receipts: dict[str, Receipt] = {}
    posted = [item for item in items if not item.pulled]
    before = _pulled_before(connection, posted)
    fresh = [item for item in posted if item.export.id not in before]
    answers = accept.accept(connection, [item.export for item in fresh]) if fresh else []
    receipts |= before | {item.export.id: answer for item, answer in zip(fresh, answers, strict=True)}
    for item in items:
        if item.pulled:
            receipts[item.export.id] = _pull(connection, item)
    new = [item for item in items if not receipts[item.export.id].duplicate]
    rows = [row for item in new for row in _errand_rows(item)]
    if rows:
        connection.execute(insert(errands), rows)
    return [receipts[item.export.id] for item in items]


def _pulled_before(connection: Connection, posted: Sequence[Intake]) -> dict[str, Receipt]:
    ids = {item.export.bug_id for item in posted if item.export.bug_id is not None}
    query = select(pulled.c.bug_id, pulled.c.export_id, pulled.c.taken_at).where(pulled.c.bug_id.in_(ids))
    known = {row.bug_id: row for row in connection.execute(query)} if ids else {}
    found = {}
    for item in posted:
        row = known.get(item.export.bug_id)
        moment = accept.seconds(item.export.exported_at)
        late = item.export.received_at.timestamp() - _LATEST if moment is None else moment
        if row is not None and late <= row.taken_at:
            found[item.export.id] = _receipt_of(connection, row.export_id)
    return found


def _pull(connection: Connection, item: Intake) -> Receipt:
    bug = select(exports.c.id).where(exports.c.bug_id == item.export.bug_id, exports.c.state.in_(_SEEN))
    made = select(issues.c.export_id).where(issues.c.bug_id == item.export.bug_id)  # its export may be deleted
    known = connection.scalar(bug.limit(1)) or connection.scalar(made.limit(1))
    if known is not None and not _asked_again(connection, item):
        return _receipt_of(connection, known)
    (receipt,) = accept.accept(connection, [item.export])
    if not receipt.duplicate and receipt.state.value in _SEEN:
        taken = {"export_id": receipt.export, "taken_at": item.export.received_at.timestamp()}
        connection.execute(delete(pulled).where(pulled.c.bug_id == item.export.bug_id))
        connection.execute(insert(pulled).values(bug_id=item.export.bug_id, **taken))
    return receipt


def _asked_again(connection: Connection, item: Intake) -> bool:
    bug = item.export.bug_id
    return bug is not None and item.told_before is not None and bool(told_of(connection, [bug], item.told_before))


def _receipt_of(connection: Connection, export_id: str) -> Receipt:
    state = connection.scalar(select(exports.c.state).where(exports.c.id == export_id))
    going = select(deliveries.c.tracker).where(deliveries.c.export_id == export_id).order_by(deliveries.c.position)
    gone = ExportState.ACCEPTED  # only what was delivered is ever deleted
    return Receipt(export_id, tuple(connection.scalars(going)), ExportState(state or gone), duplicate=True)


def _errand_rows(item: Intake) -> list[dict[str, Any]]:
    export, now = item.export, item.export.received_at.timestamp()
    return [
        {
            "kind": kind.value,
            "connection": export.connection,
            "bug_id": export.bug_id,
            "export_id": export.id,
            "state": WAITING if kind is Errand.EXPORTED else State.PENDING.value,
            "next_at": now,
            "changed_at": now,
        }
        for kind in item.errands
    ]


def enrich(connection: Connection, items: Sequence[NewExport]) -> list[Receipt]:
    """Judge exports anew with what was fetched for them; what makes two the same stays."""
    receipts = []
    for item in items:
        kept = connection.scalar(select(exports.c.identity).where(exports.c.id == item.id))
        receipts += accept.take_again(connection, [replace(item, identity=str(kept))])
    return receipts


def seen_bugs(connection: Connection, bug_ids: Collection[int]) -> set[int]:
    """Return those of the bugs of which there is, or was, an export."""
    wanted, found = sorted(bug_ids), set[int]()
    for start in range(0, len(wanted), _MANY):
        part = wanted[start : start + _MANY]
        query = select(exports.c.bug_id).where(exports.c.bug_id.in_(part), exports.c.state.in_(_SEEN))
        made = select(issues.c.bug_id).where(issues.c.bug_id.in_(part))  # their exports may be deleted
        found |= set(connection.scalars(union(query, made)))
    return found


def told_of(connection: Connection, bug_ids: Collection[int], before: float) -> set[int]:
    """Return those of the bugs of whose last export test IO was told before a moment that it is exported.

    Args:
        connection: The connection.
        bug_ids: Which bugs.
        before: The moment, in seconds.
    """
    wanted, last = sorted(bug_ids), dict[int, float | None]()
    told = and_(
        errands.c.export_id == exports.c.id,
        errands.c.kind == Errand.EXPORTED.value,
        errands.c.state == State.DELIVERED.value,
    )
    for start in range(0, len(wanted), _MANY):
        query = (
            select(exports.c.bug_id, errands.c.changed_at)
            .select_from(exports.outerjoin(errands, told))
            .where(exports.c.bug_id.in_(wanted[start : start + _MANY]), exports.c.state.in_(_SEEN))
            .order_by(exports.c.received_at, exports.c.id)
        )
        last |= {row.bug_id: row.changed_at for row in connection.execute(query)}
    return {bug for bug, moment in last.items() if moment is not None and moment < before}


# connections


def remembered(connection: Connection) -> list[Remembered]:
    """Return every connection that the bridge made at test IO."""
    return [
        Remembered(
            name=row.name,
            account=row.account,
            remote_id=row.remote_id,
            product_ids=tuple(json.loads(row.product_ids)),
            section_ids=tuple(json.loads(row.section_ids)),
        )
        for row in connection.execute(select(connections).order_by(connections.c.name))
    ]


def remember(connection: Connection, items: Sequence[tuple[Remembered, float]]) -> list[None]:
    """Remember connections at test IO; each with the present moment in seconds."""
    for item, now in items:
        connection.execute(delete(connections).where(connections.c.name == item.name))
        connection.execute(
            insert(connections).values(
                name=item.name,
                account=item.account,
                remote_id=item.remote_id,
                product_ids=json.dumps(item.product_ids),
                section_ids=json.dumps(item.section_ids),
                changed_at=now,
            )
        )
    return [None] * len(items)


def forget(connection: Connection, names: Sequence[str]) -> list[None]:
    """Forget connections at test IO."""
    connection.execute(delete(connections).where(connections.c.name.in_(names)))
    return [None] * len(names)


# errands


def due_errands(connection: Connection, items: Sequence[tuple[float, float, int]]) -> list[list[DueErrand]]:
    """Hand errands out: for each (now, leased until, how many), those that are due and now nobody else's."""
    answers = []
    for now, until, limit in items:
        query = (
            select(errands)
            .where(errands.c.state == PENDING, errands.c.next_at <= now)
            .order_by(errands.c.next_at, errands.c.position)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(query).all()
        taken = [row.position for row in rows]
        connection.execute(update(errands).where(errands.c.position.in_(taken)).values(next_at=until))
        answers.append(
            [
                DueErrand(
                    position=row.position,
                    kind=Errand(row.kind),
                    connection=row.connection,
                    bug_id=row.bug_id,
                    export_id=row.export_id,
                    attempt=row.attempts + 1,
                )
                for row in rows
            ]
        )
    return answers


def record_errands(connection: Connection, items: Sequence[ErrandOutcome]) -> list[None]:
    """Write down how errands went."""
    for item in items:
        values: dict[str, Any] = {
            "state": item.state.value,
            "next_at": item.next_at,
            "error": item.error,
            "changed_at": item.now,
        }
        if item.spent:
            values["attempts"] = errands.c.attempts + 1
        connection.execute(update(errands).where(errands.c.position == item.position).values(values))
    return [None] * len(items)


def ripen(connection: Connection, items: Sequence[tuple[float, Sequence[str]]]) -> list[int]:
    """Make errands due whose exports have all their issues; return how many.

    Each item is the present moment in seconds, and the exports to look at; none for all.
    """
    ready = and_(
        exists().where(deliveries.c.export_id == errands.c.export_id),
        ~exists().where(
            deliveries.c.export_id == errands.c.export_id, deliveries.c.state != State.DELIVERED.value
        ),
    )
    ripe = []
    for now, ids in items:
        change = update(errands).where(errands.c.state == _WAITING, ready)
        change = change.where(errands.c.export_id.in_(ids)) if ids else change
        ripe.append(connection.execute(change.values(state="pending", next_at=now, changed_at=now)).rowcount)
    return ripe


def next_errand(connection: Connection) -> float | None:
    """Return when the next errand is due, in seconds; None for never."""
    first: float | None = connection.scalar(select(func.min(errands.c.next_at)).where(errands.c.state == PENDING))
    return first


def count_errands(connection: Connection) -> list[dict[str, Any]]:
    """Return how many errands of which kind are in which state, and the newest error of the dead ones."""
    query = select(errands.c.kind, errands.c.state, func.count().label("count"), func.max(errands.c.error))
    rows = connection.execute(query.group_by(errands.c.kind, errands.c.state)).all()
    return [{"kind": kind, "state": state, "count": count, "error": error} for kind, state, count, error in rows]


def revive_errands(connection: Connection, moments: Sequence[float]) -> list[int]:
    """Give errands that are dead another chance; return how many."""
    change = update(errands).where(errands.c.state == State.DEAD.value)
    return [
        connection.execute(change.values(state=State.PENDING.value, next_at=now, attempts=0, error="")).rowcount
        for now in moments
    ]


# looking at issues


def due_look(connection: Connection, items: Sequence[WantedLook]) -> list[DueLook | None]:
    """Hand out the issue of a tracker that was looked at longest ago; None for none that is due."""
    return [_due_look(connection, item) for item in items]


def _due_look(connection: Connection, item: WantedLook) -> DueLook | None:
    first = [
        row
        for name in item.connections
        if (row := connection.execute(next_look(item.tracker, name, item.before)).one_or_none())
    ]
    if not first:
        return None
    row = min(first, key=lambda each: float(each.looked_at))
    ours = and_(looks.c.tracker == row.tracker, looks.c.bug_id == row.bug_id)
    connection.execute(update(looks).where(ours).values(looked_at=item.held))
    return DueLook(
        tracker=row.tracker,
        bug_id=row.bug_id,
        export_id=row.export_id,
        connection=row.connection,
        issue_id=row.issue_id,
        issue_key=row.issue_key,
        issue_url=row.issue_url,
    )


def next_look(tracker: str, name: str, before: float) -> Select[Any]:
    """Return the query for the issue from a connection that was looked at longest ago, if that is due.

    Args:
        tracker: The tracker's name.
        name: The connection's.
        before: Issues that were looked at after this moment (seconds) are not due.
    """
    same = and_(issues.c.tracker == looks.c.tracker, issues.c.bug_id == looks.c.bug_id)
    due = and_(looks.c.done == literal_column("0"), looks.c.looked_at <= before)
    return (
        select(looks, issues.c.issue_id, issues.c.issue_key, issues.c.issue_url)
        .join(issues, same)
        .where(looks.c.tracker == tracker, looks.c.connection == name, due)
        .order_by(looks.c.looked_at)
        .limit(1)
        .with_for_update(of=looks, skip_locked=True)
    )


def looked(connection: Connection, items: Sequence[Looked]) -> list[bool]:
    """Write down what was seen; where that was the last issue of its bug to be done, the errand to test IO too."""
    return [_looked(connection, item) for item in items]


def _looked(connection: Connection, item: Looked) -> bool:
    due = item.due
    same = and_(looks.c.tracker == due.tracker, looks.c.bug_id == due.bug_id, looks.c.export_id == due.export_id)
    seen = {"looked_at": item.now, "done": int(item.done), "name": item.name[:200]}
    if not connection.execute(update(looks).where(same).values(seen)).rowcount:
        return False  # exported again meanwhile: what was seen is of before
    if not item.done or item.errand is None or _open_issues(connection, due.bug_id, item.counted):
        return False
    row = {
        "kind": item.errand.value,
        "connection": due.connection,
        "bug_id": due.bug_id,
        "export_id": due.export_id,
        "state": State.PENDING.value,
        "next_at": item.now,
        "changed_at": item.now,
    }
    once = accept.insert_for(connection.dialect.name, errands).values(row).on_conflict_do_nothing()
    return bool(connection.execute(once).rowcount)


def _open_issues(connection: Connection, bug_id: int, counted: Iterable[str]) -> int:
    done = exists().where(
        looks.c.tracker == issues.c.tracker, looks.c.bug_id == issues.c.bug_id, looks.c.done == 1
    )
    mine = issues.c.bug_id == bug_id
    query = select(func.count()).select_from(issues).where(mine, issues.c.tracker.in_(counted), ~done)
    return connection.scalar(query) or 0


def look_again(connection: Connection, items: Sequence[tuple[str, Sequence[str]]]) -> list[int]:
    """Make issues due that a tracker spoke of: its name, and words that may be their id, key or URL."""
    found = []
    for tracker, words in items:
        named = or_(issues.c.issue_id.in_(words), issues.c.issue_key.in_(words), issues.c.issue_url.in_(words))
        rows = connection.scalars(select(issues.c.bug_id).where(issues.c.tracker == tracker, named)).all()
        again = update(looks).where(looks.c.tracker == tracker, looks.c.bug_id.in_(rows))
        connection.execute(again.values(looked_at=0.0, done=0))
        found.append(len(rows))
    return found


def held_up(connection: Connection, now: float) -> set[str]:
    """Return the trackers that nothing may be asked of at the moment: paused, waiting, or with an open circuit."""
    busy = or_(trackers.c.paused_by != "", trackers.c.blocked_until > now, trackers.c.circuit_until > now)
    return set(connection.scalars(select(trackers.c.name).where(busy)))
