"""kill -9 at the three moments at which something could be lost or made twice."""

from __future__ import annotations

import sqlite3

import pytest

from bridge.testing import Fault, FaultKind
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export, until
from tests.bad_days.ledger_server import LedgerServer, is_upload

pytestmark = pytest.mark.process


def test_killed_between_202_and_dispatch(daemon: Daemon, ledger: LedgerServer):
    """What was answered with 202 is written down: the next process delivers it."""
    daemon.api("POST", "trackers/ledger/pause", {"reason": "so that nothing is dispatched"})
    for bug in range(1, 6):
        daemon.accept(export(bug, pictures=ledger.url))
    daemon.restart()
    assert not ledger.creates
    daemon.api("POST", "trackers/ledger/resume")
    daemon.finish()
    assert len(ledger.issues) == 5
    assert_nothing_is_lost(daemon, ledger)


def test_killed_right_after_202(daemon: Daemon, ledger: LedgerServer):
    """However far the dispatch of it got."""
    for bug in (1, 2):
        daemon.accept(export(bug))
        daemon.restart()
    daemon.finish()
    assert len(ledger.issues) == 2
    assert_nothing_is_lost(daemon, ledger)


def test_killed_while_the_tracker_has_the_request_and_made_nothing(daemon: Daemon, ledger: LedgerServer):
    ledger.inject(Fault(FaultKind.HANG_BEFORE))
    accepted = daemon.accept(export(1))
    until("the tracker has the request", lambda: ledger.creates)
    daemon.restart()
    daemon.finish()
    first, *_ = daemon.delivery(accepted)["attempts_made"]
    assert first["outcome"] == "interrupted"
    assert len(ledger.issues) == 1
    assert_nothing_is_lost(daemon, ledger)


def test_killed_while_the_tracker_made_the_issue_and_did_not_answer(daemon: Daemon, ledger: LedgerServer):
    ledger.inject(Fault(FaultKind.HANG_AFTER))
    accepted = daemon.accept(export(1, pictures=ledger.url))
    until("the tracker made the issue", lambda: ledger.issues)
    daemon.restart()
    daemon.finish()
    assert daemon.delivery(accepted)["action"] == "found"
    assert sorted(ledger.issues[0]["files"]) == ["1-1.png", "1-2.png"]
    assert_nothing_is_lost(daemon, ledger)


def test_killed_between_the_trackers_answer_and_our_record_of_it(daemon: Daemon, ledger: LedgerServer):
    """The bridge holds the answer, and cannot write it down because somebody has locked the store."""
    with sqlite3.connect(daemon.database, isolation_level=None, check_same_thread=False) as other:
        ledger.created = lambda: other.execute("BEGIN IMMEDIATE")
        accepted = daemon.accept(export(1))
        until("it tried to write the outcome down", lambda: daemon.said("the store does not take an outcome"))
        daemon.kill()
        other.execute("ROLLBACK")
    daemon.start()
    daemon.finish()
    assert daemon.delivery(accepted)["action"] == "found"
    assert len(ledger.issues) == 1
    assert_nothing_is_lost(daemon, ledger)


def test_killed_before_a_search_shows_the_new_issue(daemon: Daemon, ledger: LedgerServer):
    """A miss proves nothing yet: until the kill the issue may have been made, however long ago that began."""
    ledger.behind = 1
    ledger.inject(Fault(FaultKind.HANG_AFTER))
    daemon.accept(export(1))
    until("the tracker made the issue", lambda: ledger.issues)
    daemon.restart()
    daemon.finish()
    assert len(ledger.issues) == 1
    assert_nothing_is_lost(daemon, ledger)


def test_killed_during_an_attachment(daemon: Daemon, ledger: LedgerServer):
    """The issue is there and stays the only one; the files follow."""
    ledger.inject(Fault(FaultKind.HANG_BEFORE, is_upload, times=2))
    accepted = daemon.accept(export(1, pictures=ledger.url))
    until("both files are on their way", lambda: len([one for one in ledger.requests if is_upload(one)]) == 2)
    daemon.restart()
    daemon.finish()
    delivery = daemon.delivery(accepted)
    assert delivery["action"] == "created"
    assert {step["state"] for step in delivery["followups"]} == {"delivered"}
    assert sorted(ledger.issues[0]["files"]) == ["1-1.png", "1-2.png"]
    assert_nothing_is_lost(daemon, ledger)
