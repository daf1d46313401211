"""The store: exports, deliveries, attempts, issues and follow-ups, in SQLite."""

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
    Outcome,
    Receipt,
    Selection,
    State,
)
from bridge.store.store import Store

__all__ = [
    "Batch", "Claim", "Claimed", "ClaimedFollowup", "Destination", "Effect", "ExportState", "Followup",
    "FollowupOutcome", "KnownIssue", "NewExport", "Outcome", "Receipt", "Selection", "State", "Store",
]  # fmt: skip
