"""Everything a tracker can answer instead of making an issue, through the whole daemon."""

from __future__ import annotations

import time

import pytest

from bridge.testing import Fault, FaultKind, Reply, When
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export, until
from tests.bad_days.ledger_server import LedgerServer, is_comment, is_search, is_upload

pytestmark = pytest.mark.process

PROXY_PAGE = Reply(200, body=b"<html>Please sign in</html>", headers={"Content-Type": "text/html"})
BROKEN = Reply(500, json={"message": "our database is on fire"})

NOTHING_MADE = {
    "500": Fault(FaultKind.REFUSE, reply=BROKEN),
    "nothing at all": Fault(FaultKind.HANG_BEFORE),
    "HTML with status 200": Fault(FaultKind.REFUSE, reply=PROXY_PAGE),
    "a reset": Fault(FaultKind.RESET_BEFORE),
    "an empty 201": Fault(FaultKind.REFUSE, reply=Reply(201)),
    "a 201 without a number": Fault(FaultKind.REFUSE, reply=Reply(201, json={"number": None})),
}
ISSUE_MADE = {
    "500": Fault(FaultKind.ANSWER_AFTER, reply=BROKEN),
    "nothing at all": Fault(FaultKind.HANG_AFTER),
    "half an answer": Fault(FaultKind.HALF),
    "HTML with status 200": Fault(FaultKind.ANSWER_AFTER, reply=PROXY_PAGE),
    "a reset": Fault(FaultKind.RESET_AFTER),
}


def test_whatever_is_answered_when_nothing_was_made(daemon: Daemon, ledger: LedgerServer):
    """The bridge looks, finds nothing, waits until a search would show it, and makes the issue."""
    for bug, fault in enumerate(NOTHING_MADE.values(), start=1):
        ledger.inject(fault)
        accepted = daemon.accept(export(bug))
        daemon.finish()
        assert daemon.delivery(accepted)["action"] == "created"
    assert len(ledger.issues) == len(NOTHING_MADE)
    assert_nothing_is_lost(daemon, ledger)


def test_whatever_is_answered_when_the_issue_was_made(daemon: Daemon, ledger: LedgerServer):
    """The bridge finds it, although the first search does not show it yet, and never makes another."""
    for bug, fault in enumerate(ISSUE_MADE.values(), start=1):
        ledger.behind = 1
        ledger.inject(fault)
        accepted = daemon.accept(export(bug, pictures=ledger.url))
        daemon.finish()
        delivery = daemon.delivery(accepted)
        assert delivery["action"] == "found"
        assert "InDoubt" in [attempt["outcome"] for attempt in delivery["attempts_made"]]
        assert len(ledger.issues[-1]["files"]) == 2
    assert len(ledger.creates) == len(ISSUE_MADE)
    assert_nothing_is_lost(daemon, ledger)


def test_429_with_retry_after_waits_as_told_and_spends_nothing(daemon: Daemon, ledger: LedgerServer):
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(429, headers={"Retry-After": "1"}), times=2))
    begun = time.monotonic()
    accepted = daemon.accept(export(1))
    until("it waits", lambda: daemon.tracker()["blocked_until"])
    daemon.finish()
    delivery = daemon.delivery(accepted)
    assert time.monotonic() - begun >= 2
    assert delivery["attempts"] == 1
    assert [attempt["outcome"] for attempt in delivery["attempts_made"]] == [
        "RateLimited",
        "RateLimited",
        "created",
    ]
    assert_nothing_is_lost(daemon, ledger)


def test_401_pauses_the_tracker_and_spends_nothing(daemon: Daemon, ledger: LedgerServer):
    """Exports are still accepted; a check that is good again lets all of them through."""
    ledger.valid = "another token"
    accepted = [daemon.accept(export(bug)) for bug in range(1, 4)]
    until("the tracker is paused", lambda: daemon.tracker()["paused_by"] == "bridge")
    assert "this token has expired" in daemon.tracker()["paused"]
    accepted.append(daemon.accept(export(4)))
    assert {daemon.delivery(one)["state"] for one in accepted} == {"pending"}
    assert {daemon.delivery(one)["attempts"] for one in accepted} == {0}
    assert not daemon.api("POST", "check", {})["ok"]
    assert daemon.tracker()["paused"]
    daemon.restart()  # a pause outlives the process
    assert daemon.tracker()["paused"]
    ledger.valid = ledger.token
    assert daemon.api("POST", "check", {})["ok"]
    daemon.finish()
    assert len(ledger.issues) == 4
    assert_nothing_is_lost(daemon, ledger)


def test_422_is_dead_at_once_with_what_the_tracker_said(daemon: Daemon, ledger: LedgerServer):
    """And a replay, once somebody has mended it, makes the issue."""
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(422, json={"message": "severity: S1 is not a severity"})))
    accepted = daemon.accept(export(1))
    daemon.finish()
    delivery = daemon.delivery(accepted)
    assert (delivery["state"], delivery["attempts"]) == ("dead", 1)
    assert "severity: S1 is not a severity" in delivery["error"]
    assert_nothing_is_lost(daemon, ledger)
    assert daemon.api("POST", "replay", {"ids": [accepted]})["replayed"] == [f"{accepted}:ledger"]
    daemon.finish()
    assert daemon.delivery(accepted)["state"] == "delivered"
    assert_nothing_is_lost(daemon, ledger)


def test_words_that_no_database_takes(daemon: Daemon, ledger: LedgerServer):
    """Half an emoji, as trackers send that cut their messages by UTF-16 units, and a NUL."""
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(422, body=rb'{"message": "too long: \ud83d\u0000"}')))
    accepted = daemon.accept(export(1))
    daemon.finish()
    delivery = daemon.delivery(accepted)
    assert delivery["state"] == "dead"
    assert "too long: ? (HTTP 422)" in delivery["error"]


def test_a_day_on_which_nothing_works(daemon: Daemon, ledger: LedgerServer):
    """Faults in the search, the uploads and the comments as well as in the creates."""
    for request in (is_search, is_upload, is_comment):
        ledger.inject(Fault(FaultKind.REFUSE, request, times=2))
        ledger.inject(Fault(FaultKind.RESET_AFTER, request, times=2))
    for fault in (*NOTHING_MADE.values(), *ISSUE_MADE.values()):
        if "hang" not in fault.kind:
            ledger.inject(fault)
    for bug in range(1, 9):
        daemon.accept(export(bug, pictures=ledger.url))
        daemon.accept(export(bug, at="2026-01-06T09:00:00Z", severity="low"))
    daemon.finish()
    assert len(ledger.issues) == 8
    assert all(issue["comments"] for issue in ledger.issues)
    assert_nothing_is_lost(daemon, ledger)


def test_nobody_is_there(daemon: Daemon, ledger: LedgerServer):
    """Refused at every request for longer than the circuit allows; then everything is delivered."""
    ledger.inject(Fault(FaultKind.REFUSE, When.ANY, times=60, reply=Reply(503)))
    for bug in range(1, 11):
        daemon.accept(export(bug))
    until("the circuit was open", lambda: daemon.tracker()["failures"] >= 20)
    daemon.finish()
    assert len(ledger.issues) == 10
    assert_nothing_is_lost(daemon, ledger)


def test_given_up_in_doubt_and_exported_again(daemon: Daemon, ledger: LedgerServer):
    """A dead delivery may have made the issue: the next export of the bug looks for it first."""
    daemon.stop()
    daemon.config["trackers"]["ledger"]["retry"]["attempts"] = 1
    daemon.start()
    ledger.inject(Fault(FaultKind.RESET_AFTER))
    dead = daemon.accept(export(1))
    daemon.finish()
    assert daemon.delivery(dead)["state"] == "dead"
    again = daemon.accept(export(1, at="2026-01-06T09:00:00Z"))
    daemon.finish()
    assert daemon.delivery(again)["action"] == "found"
    assert len(ledger.issues) == 1
    assert_nothing_is_lost(daemon, ledger)
