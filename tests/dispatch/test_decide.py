"""What an error means, for its delivery and for its tracker: decided by its class, in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.dispatch.decide import LONGEST_TOLD_WAIT, SHORTEST_TOLD_WAIT, UNTOLD_WAIT, Decision, decide
from bridge.errors import Gone, InDoubt, NotAllowed, RateLimited, Rejected, TrackerError, Unavailable
from bridge.store import Effect, State
from bridge.tracker import RetrySettings

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
RETRY = RetrySettings.model_validate({"attempts": 3, "first": "30s", "factor": 3, "circuit_for": "60s"})


def decided(error: TrackerError, attempts: int = 1) -> Decision:
    return decide(error, RETRY, attempts, NOW, lambda: 1.0, ("web", "app"))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_rejected_is_dead_at_once_because_trying_again_changes_nothing():
    assert decided(Rejected("no")) == Decision(State.DEAD, effect=Effect(succeeded=True)), "the tracker is there"


def test_not_allowed_pauses_the_tracker_and_costs_the_delivery_nothing():
    decision = decided(NotAllowed("bad token", status=401))

    assert (decision.state, decision.spent, decision.next_at) == (State.PENDING, False, NOW)
    assert decision.effect == Effect(pause="bad token (HTTP 401)", until=NOW)


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        (timedelta(seconds=7), timedelta(seconds=7)),
        (timedelta(hours=5), timedelta(hours=5)),
        (None, UNTOLD_WAIT),
        (timedelta(days=400), LONGEST_TOLD_WAIT),
        (timedelta(0), SHORTEST_TOLD_WAIT),
        (timedelta(seconds=-5), SHORTEST_TOLD_WAIT),
    ],
)
def test_rate_limited_lets_the_whole_account_wait_as_long_as_it_was_told_within_reason(told, waits):
    decision = decided(RateLimited("slow down", retry_after=told))

    assert (decision.state, decision.spent, decision.next_at) == (State.PENDING, False, NOW + waits)
    assert decision.effect.block == ("web", "app")
    assert decision.effect.until == NOW + waits
    assert not decision.effect.failed


@pytest.mark.parametrize("kind", [Unavailable, InDoubt])
class TestNotNow:
    @pytest.mark.parametrize(("attempts", "seconds"), [(1, 30), (2, 90)])
    def test_it_is_tried_again_later_and_later(self, kind, attempts, seconds):
        decision = decided(kind("down"), attempts)

        assert (decision.state, decision.spent, decision.next_at) == (State.PENDING, True, after(seconds))

    def test_until_the_attempts_are_used_up(self, kind):
        decision = decided(kind("down"), 3)

        assert (decision.state, decision.next_at) == (State.DEAD, None)

    def test_not_sooner_than_the_tracker_asked_for(self, kind):
        assert decided(kind("down", retry_after=timedelta(minutes=10))).next_at == after(600)
        assert decided(kind("down", retry_after=timedelta(days=400))).next_at == NOW + LONGEST_TOLD_WAIT

    def test_it_counts_towards_opening_the_circuit(self, kind):
        for attempts in (1, 3):
            effect = decided(kind("down"), attempts).effect
            assert effect == Effect(failed=True, error="down", circuit_after=5, circuit_until=after(60))


def test_gone_is_tried_again_at_once_to_make_a_new_issue():
    decision = decided(Gone("404"))

    assert (decision.state, decision.next_at, decision.effect) == (State.PENDING, NOW, Effect(succeeded=True))


def test_an_error_that_says_no_more_than_that_it_is_one_needs_a_person():
    assert decided(TrackerError("?")).state is State.DEAD
