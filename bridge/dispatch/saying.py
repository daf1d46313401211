"""What log and plugins are told of how attempts ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.store import Claimed, ClaimedFollowup, FollowupOutcome, Outcome, State


def say_delivery(
    log: Any, tell: Callable[[str, dict[str, Any]], None], claimed: Claimed, outcome: Outcome
) -> None:
    """Say how an attempt of a delivery ended."""
    log = log.bind(export=claimed.export_id, bug=claimed.bug_id, attempt=claimed.attempt)
    told = {"export_id": claimed.export_id, "tracker": claimed.tracker, "bug_id": claimed.bug_id}
    if outcome.state is State.DELIVERED:
        assert outcome.issue is not None
        log.info("delivered", action=outcome.action, issue=outcome.issue.key, url=outcome.issue.url)
        for warning in outcome.warnings:
            log.warning("delivered, but", warning=warning)
        tell("bridge_delivered", told | {"issue": outcome.issue, "action": outcome.action})
    elif outcome.state is State.DEAD:
        log.error("dead: needs a person", error=str(outcome.error), hint=f"replay {claimed.export_id} when mended")
        tell("bridge_dead", told | {"error": outcome.error})
    else:
        log.warning("again later", error=str(outcome.error), next_at=str(outcome.next_at), spent=outcome.spent)
        tell("bridge_attempt_failed", told | {"error": outcome.error, "attempt": claimed.attempt})


def say_followup(log: Any, claimed: ClaimedFollowup, outcome: FollowupOutcome) -> None:
    """Say how an attempt of a follow-up ended."""
    log = log.bind(export=claimed.export_id, bug=claimed.bug_id, attempt=claimed.attempt, issue=claimed.issue.key)
    what = claimed.attachment.url or claimed.kind.value
    if outcome.state is State.DELIVERED:
        log.info("followed up", step=claimed.kind.value, what=what)
    elif outcome.state is State.DEAD:
        log.error("follow-up dead: needs a person", step=claimed.kind.value, what=what, error=outcome.error)
    else:
        log.warning("follow-up again later", step=claimed.kind.value, what=what, error=outcome.error)
