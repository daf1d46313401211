"""The store: exports, deliveries, attempts, issues and follow-ups, in SQLite or PostgreSQL."""

from bridge.routing import Destination
from bridge.store.records import (
    Batch,
    Claim,
    Claimed,
    ClaimedFollowup,
    Effect,
    ExportState,
    Followup,
    FollowupOutcome,
    KnownIssue,
    NewExport,
    News,
    Outcome,
    Receipt,
    Selection,
    State,
    Together,
)
from bridge.store.store import Store

__all__ = [
    "Batch", "Claim", "Claimed", "ClaimedFollowup", "Destination", "Effect", "ExportState", "Followup",
    "FollowupOutcome", "KnownIssue", "NewExport", "News", "Outcome", "Receipt", "Selection", "State", "Store",
    "Together",
]  # fmt: skip
