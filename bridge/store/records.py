"""What goes into the store and what comes out of it: plain frozen data."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from bridge.errors import Problem, TrackerError
from bridge.model import Attachment, Issue
from bridge.routing import Destination


class ExportState(enum.StrEnum):
    """What became of an export at the door."""

    ACCEPTED = "accepted"
    ENRICHING = "enriching"
    """Written down; routed once its bug was fetched from test IO."""
    UNROUTED = "unrouted"
    IGNORED = "ignored"
    REJECTED = "rejected"


class State(enum.StrEnum):
    """State of a delivery or of a follow-up."""

    PENDING = "pending"
    RUNNING = "running"
    DELIVERED = "delivered"
    DEAD = "dead"


class Followup(enum.StrEnum):
    """A small step after the issue exists, with its own retries."""

    COMPLETE = "complete"
    ATTACH = "attach"


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for each export, and that takes four times as long
class NewExport:
    """An export to write down, with its deliveries."""

    id: str
    connection: str
    state: ExportState
    received_at: datetime
    identity: str
    body: bytes
    event: str = ""
    bug_id: int | None = None
    title: str = ""
    exported_at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    destinations: tuple[Destination, ...] = ()


@dataclass(slots=True)  # not frozen, see NewExport
class Receipt:
    """What is answered to the sender: written in the store before it is.

    Attributes:
        export: The export's id; the first one's when the same came before.
        trackers: Where it goes.
        state: What became of it.
        duplicate: Whether the same export was here before.
    """

    export: str
    trackers: tuple[str, ...]
    state: ExportState
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssue:
    """The issue of a bug in a tracker, and the export it last heard of."""

    issue: Issue
    export_id: str


class News(NamedTuple):  # no dataclass: one is made for each export, and looked up
    """What one replica tells the others.

    Attributes:
        kind: `work` (there is new work), `changed` (a pause, a resumption), or `missed` (look at everything).
        trackers: For which trackers.
    """

    kind: str
    trackers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Together:
    """Limits of a tracker that hold for all replicas together.

    Attributes:
        concurrency: Deliveries under way at once.
        interval: Seconds between two starts; None for no limit.
    """

    concurrency: int
    interval: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A request for work of one tracker.

    Attributes:
        tracker: Its name.
        owner: Who asks: this process.
        limit: Free slots.
        ahead: How many deliveries more, for the slots that are free next.
        now: The present moment.
        lease: How long the work is ours without a heartbeat.
        circuit_after: Failures in a row at which only one delivery at a time is let through.
        together: Where other processes hand out work of this tracker too: what holds for all of them.
        under_way: After a claim whose answer never came: exports and positions of follow-ups that the owner knows
            of. Whatever else is his, he never got. None where nothing of that kind happened.
    """

    tracker: str
    owner: str
    limit: int
    now: datetime
    lease: timedelta
    circuit_after: int
    together: Together | None = None
    under_way: frozenset[str | int] | None = None
    ahead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that is ours to attempt.

    Attributes:
        claimed_at: When; also the moment of this attempt.
        doubt_since: When a create may have been sent in an earlier attempt; None for no doubt.
        attempt: The number of this attempt, from one.
    """

    export_id: str
    tracker: str
    bug_id: int
    connection: str
    on_reexport: str
    update_fields: tuple[str, ...]
    marker_suffix: str
    attempt: int
    claimed_at: datetime
    received_at: datetime
    first_attempt_at: datetime
    doubt_since: datetime | None
    body: bytes
    known: KnownIssue | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedFollowup:
    """A follow-up that is ours to do."""

    position: int
    export_id: str
    tracker: str
    bug_id: int
    kind: Followup
    issue: Issue
    attachment: Attachment
    attempt: int
    connection: str
    received_at: datetime
    first_attempt_at: datetime
    marker_suffix: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to a claim.

    Attributes:
        deliveries: What is ours now.
        followups: What is ours now.
        next_at: When to ask again at the latest, where something waits for a moment; None for nothing.
        paused: Why the tracker is paused; empty when it is not.
        paused_by: `person` or `bridge`.
    """

    deliveries: tuple[Claimed, ...] = ()
    followups: tuple[ClaimedFollowup, ...] = ()
    next_at: datetime | None = None
    paused: str = ""
    paused_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an attempt means for its tracker.

    Attributes:
        succeeded: The tracker answered properly: failures in a row start again from none.
        failed: The tracker was not there: one failure more.
        pause: Why it is paused from now on.
        block: Trackers (those of the same account) that wait until `until`.
        circuit_after: Failures in a row that open the circuit.
        circuit_until: Until when it is open then.
    """

    succeeded: bool = False
    failed: bool = False
    pause: str = ""
    block: tuple[str, ...] = ()
    until: datetime | None = None
    circuit_after: int = 0
    circuit_until: datetime | None = None
    error: str = ""

    @property
    def holds_up(self) -> bool:
        """Whether the tracker gets less from now on, or nothing."""
        return self.failed or bool(self.pause) or bool(self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt of a delivery ended.

    Attributes:
        state: The delivery's next state: `delivered`, `pending` (again at `next_at`) or `dead`.
        began_at: When the attempt really began, where that was later than the claim.
        spent: Whether it counts as an attempt.
        doubt_since: When a create may have been sent; None for no doubt.
        forget_issue: The issue we knew is gone; the next attempt makes a new one with `marker_suffix`.
        followups: Steps that come after, once each for an issue.
    """

    export_id: str
    tracker: str
    bug_id: int
    owner: str
    claimed_at: datetime
    ended_at: datetime
    state: State
    began_at: datetime | None = None
    action: str = ""
    issue: Issue | None = None
    next_at: datetime | None = None
    spent: bool = True
    doubt_since: datetime | None = None
    error: TrackerError | None = None
    forget_issue: bool = False
    marker_suffix: str | None = None
    warnings: tuple[str, ...] = ()
    followups: tuple[tuple[Followup, Attachment], ...] = ()
    effect: Effect = field(default_factory=Effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowupOutcome:
    """How an attempt of a follow-up ended."""

    position: int
    owner: str
    attempt: int
    ended_at: datetime
    state: State
    tracker: str
    next_at: datetime | None = None
    spent: bool = True
    error: str = ""
    effect: Effect = field(default_factory=Effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries (or exports) to show or replay. Empty parts select everything.

    Attributes:
        ids: Export ids.
        states: States of deliveries or exports.
        error: Text that the error contains.
        limit: How many at the most, newest first.
        before: Only those before this position, for the next page.
    """

    ids: Sequence[str] = ()
    tracker: str = ""
    states: Sequence[str] = ()
    since: datetime | None = None
    error: str = ""
    bug_id: int | None = None
    limit: int = 100
    before: int | None = None
