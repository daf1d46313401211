"""The same thing from many sides at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export
from tests.bad_days.ledger_server import LedgerServer

pytestmark = pytest.mark.process


def test_the_same_export_fifty_times_at_once(daemon: Daemon, ledger: LedgerServer):
    with ThreadPoolExecutor(50) as pool:
        answers = [answer.json() for answer in pool.map(daemon.post, [export(1)] * 50)]
    assert len({answer["export"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers].count(False) == 1
    daemon.finish()
    assert len(daemon.api("GET", "exports")["exports"]) == 1
    assert len(ledger.issues) == 1
    assert not ledger.issues[0]["comments"]
    assert_nothing_is_lost(daemon, ledger)


def test_two_exports_of_one_bug_at_once(daemon: Daemon, ledger: LedgerServer):
    """Ten bugs, two exports each, all at once: one issue each, and one comment on it."""
    pairs = [export(bug, at=f"2026-01-0{day}T09:00:00Z") for bug in range(1, 11) for day in (5, 6)]
    with ThreadPoolExecutor(20) as pool:
        assert {answer.status_code for answer in pool.map(daemon.post, pairs)} == {202}
    assert len(daemon.accepted) == 20
    daemon.finish()
    assert len(ledger.issues) == 10
    actions = [one["action"] for one in daemon.api("GET", "deliveries")["deliveries"]]
    assert actions.count("created") == 10
    assert actions.count("commented") + actions.count("superseded") == 10
    assert_nothing_is_lost(daemon, ledger)


def test_many_exports_of_one_bug_stay_in_order(daemon: Daemon, ledger: LedgerServer):
    for day in range(1, 10):
        daemon.accept(export(1, at=f"2026-01-0{day}T09:00:00Z", title=f"Title of day {day}"))
    daemon.finish()
    (issue,) = ledger.issues
    assert issue["title"] == "Title of day 1"
    for day, comment in enumerate(issue["comments"], start=2):
        assert f"Title of day {day}" in comment
    assert len(issue["comments"]) == 8
    assert_nothing_is_lost(daemon, ledger)
