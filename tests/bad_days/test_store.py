"""A full disk, and a database that somebody else has locked: 503 at once, never a 202 that is not true."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from bridge.testing import Fault, FaultKind
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export, until
from tests.bad_days.ledger_server import LedgerServer

pytestmark = pytest.mark.process


@contextmanager
def full_disk(daemon: Daemon) -> Iterator[None]:
    """Let no file of the daemon grow, neither the store's nor the log."""
    assert daemon.process is not None
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        if daemon.is_running:
            resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def locked_database(daemon: Daemon) -> Iterator[None]:
    """Hold the write lock of the database, as a backup script may."""
    other = sqlite3.connect(daemon.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["title"] == "Service Unavailable"


def test_a_full_disk_refuses_exports_until_there_is_room(daemon: Daemon, ledger: LedgerServer):
    with full_disk(daemon):
        for _ in range(3):
            refused(daemon.post(export(1)))
        assert httpx.get(f"{daemon.url}/readyz").status_code == 503
        assert httpx.get(f"{daemon.url}/healthz").status_code == 200
    answer = daemon.post(export(1))
    assert answer.status_code == 202
    assert not answer.json()["duplicate"]
    assert httpx.get(f"{daemon.url}/readyz").status_code == 200
    daemon.finish()
    assert len(ledger.issues) == 1
    assert_nothing_is_lost(daemon, ledger)


def test_a_disk_that_fills_up_while_a_delivery_is_under_way(daemon: Daemon, ledger: LedgerServer):
    """Its outcome is written down as soon as there is room; nothing is made twice."""
    with ExitStack() as later:
        ledger.created = lambda: later.enter_context(full_disk(daemon))  # just before the tracker's answer
        accepted = daemon.accept(export(1, pictures=ledger.url))
        until("the disk is full", lambda: ledger.issues)
        for _ in range(10):
            refused(daemon.post(export(2)))
        assert daemon.delivery(accepted)["state"] == "running"
        ledger.created = lambda: None
    daemon.accept(export(2))
    daemon.finish()
    assert daemon.delivery(accepted)["action"] == "created"
    assert len(ledger.creates) == 2
    assert_nothing_is_lost(daemon, ledger)


def test_killed_on_a_full_disk(daemon: Daemon, ledger: LedgerServer):
    accepted = [daemon.accept(export(bug)) for bug in range(1, 4)]
    with full_disk(daemon):
        refused(daemon.post(export(4)))
        daemon.kill()
    daemon.start()
    daemon.finish()
    assert {daemon.delivery(one)["state"] for one in accepted} == {"delivered"}
    assert_nothing_is_lost(daemon, ledger)


def test_a_locked_database_refuses_exports_quickly(daemon: Daemon, ledger: LedgerServer):
    """Also many at once: nobody waits for the timeouts of those before."""
    with locked_database(daemon):
        begun = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            for answer in pool.map(daemon.post, (export(bug) for bug in range(1, 21))):
                refused(answer)
        assert time.monotonic() - begun < 8
        assert httpx.get(f"{daemon.url}/healthz").status_code == 200
    assert not daemon.accepted
    for bug in range(1, 21):
        daemon.accept(export(bug))
    daemon.finish()
    assert len(ledger.issues) == 20
    assert_nothing_is_lost(daemon, ledger)


def test_a_database_locked_while_deliveries_are_under_way(daemon: Daemon, ledger: LedgerServer):
    """Claims, outcomes and the end of a pause all fail for a while; no lane gives up."""
    ledger.valid = "another token"
    daemon.accept(export(1))
    until("the tracker is paused", lambda: daemon.tracker()["paused"])
    ledger.valid = ledger.token
    ledger.inject(Fault(FaultKind.REFUSE, times=3))
    for bug in range(2, 10):
        daemon.accept(export(bug))
    daemon.api("POST", "trackers/ledger/resume")
    with locked_database(daemon):
        until("the store is complained about", lambda: [one for one in daemon.log if "the store" in one["event"]])
    daemon.finish()
    assert len(ledger.issues) == 9
    assert_nothing_is_lost(daemon, ledger)
