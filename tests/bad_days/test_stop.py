"""A graceful end while deliveries are under way."""

from __future__ import annotations

import time
from signal import SIGTERM

import httpx
import pytest

from bridge.testing import Fault, FaultKind
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export, until
from tests.bad_days.ledger_server import LedgerServer, is_upload

pytestmark = pytest.mark.process


def test_what_is_under_way_ends_and_what_waits_is_delivered_by_the_next_process(
    daemon: Daemon, ledger: LedgerServer
):
    for bug in range(1, 31):
        daemon.accept(export(bug, pictures=ledger.url))
    assert daemon.stop() == 0
    assert not daemon.said("deliveries of an interrupted run are taken up again, in doubt")
    daemon.start()
    assert not daemon.said("deliveries of an interrupted run are taken up again, in doubt")
    daemon.finish()
    assert len(ledger.creates) == 30
    assert_nothing_is_lost(daemon, ledger)


def test_what_does_not_end_in_time_is_given_back_in_doubt(daemon: Daemon, ledger: LedgerServer):
    """One create was processed, one was not; the grace is shorter than the tracker's silence."""
    daemon.stop()
    daemon.config["server"]["shutdown_grace"] = "200ms"
    daemon.config["trackers"]["ledger"]["timeout"] = "30s"
    daemon.start()
    ledger.inject(Fault(FaultKind.HANG_AFTER))
    ledger.inject(Fault(FaultKind.HANG_BEFORE))
    ledger.inject(Fault(FaultKind.HANG_BEFORE, is_upload))
    accepted = [daemon.accept(export(bug)) for bug in (1, 2)]
    until("both creates hang", lambda: len(ledger.creates) == 2)
    daemon.accept(export(3, pictures=ledger.url))
    until("an upload hangs", lambda: [one for one in ledger.requests if is_upload(one)])
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 3
    daemon.start()
    given_back = [daemon.delivery(one)["attempts_made"][0]["outcome"] for one in accepted]
    assert given_back == ["given back", "given back"]
    daemon.finish()
    assert sorted(daemon.delivery(one)["action"] for one in accepted) == ["created", "found"]
    assert_nothing_is_lost(daemon, ledger)


def test_a_second_daemon_does_not_get_the_store(daemon: Daemon):
    with pytest.raises(AssertionError, match=r"another tracker-bridge is using bridge\.db"):
        Daemon(daemon.folder, daemon.config["trackers"]).start()


def test_behind_a_load_balancer_it_takes_in_until_nobody_is_sent_there_any_more(
    daemon: Daemon, ledger: LedgerServer
):
    """Not ready at once; what still comes is accepted, and told to go elsewhere next time. A second SIGTERM ends it."""
    daemon.stop()
    daemon.config["server"]["drain"] = "1h"
    daemon.start()
    daemon.signal(SIGTERM)
    until("it is not ready any more", lambda: httpx.get(f"{daemon.url}/readyz").status_code == 503)
    answer = daemon.post(export(1))
    assert (answer.status_code, answer.headers["connection"]) == (202, "close")
    until("it goes on delivering", lambda: ledger.issues)
    assert daemon.stop() == 0
    assert_nothing_is_lost(daemon.start(), ledger)
