"""Real daemons on one database: all take in, all deliver, and every bug has exactly one issue whoever dies."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter

import httpx
import pytest

from bridge.testing import Fault, FaultKind, Reply
from tests import postgresql
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export, until
from tests.bad_days.ledger_server import LedgerServer
from tests.replicas.conftest import LEASE
from tests.store.conftest import Database

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def test_all_take_in_and_all_deliver(replicas, ledger: LedgerServer):
    """Three start at once on an empty database; whoever gets an export, each does a part of the work."""
    three = replicas(concurrency=6).start()
    ledger.created = lambda: time.sleep(0.005)

    for bug in range(1, 61):
        three.all[bug % 3].accept(export(bug))
    three.alive().finish()

    assert_nothing_is_lost(three.alive(), ledger)
    assert len(ledger.issues) == 60
    assert sum(three.delivered_by()) == 60
    assert all(three.delivered_by()), three.delivered_by()


def test_one_is_killed_in_the_middle_of_creating(replicas, ledger: LedgerServer):
    """Some issues were made and not answered, others never asked for: the two that are left find out which."""
    three = replicas(timeout="20s")
    victim = three.all[0].start()
    ledger.inject(Fault(FaultKind.HANG_AFTER, times=2))
    ledger.inject(Fault(FaultKind.HANG_BEFORE, times=2))
    for bug in range(1, 31):
        victim.accept(export(bug))
    until("it is creating", lambda: len(ledger.creates) >= 4)
    for daemon in three.all[1:]:
        daemon.start()
    victim.kill()

    for bug in range(31, 41):
        three.all[1 + bug % 2].accept(export(bug))
    three.alive().finish(seconds=40)

    assert_nothing_is_lost(three.alive(), ledger)
    assert len(ledger.issues) == 40
    said = [line for daemon in three.all[1:] for line in daemon.said("delivered")]
    assert "found" in {line["action"] for line in said}, "what was made and not answered"


def test_one_after_the_other_is_killed_again_and_again_while_exports_come_in(replicas, ledger: LedgerServer):
    three = replicas().start()
    ledger.created = lambda: time.sleep(0.002)
    numbers, stop = itertools.count(1), threading.Event()
    lock = threading.Lock()

    def post() -> None:
        while not stop.wait(0.02):
            with lock:
                bug = next(numbers)
            for attempt in itertools.count():  # as test IO, or a load balancer: the next one, if this one is away
                try:
                    if three.all[(bug + attempt) % 3].post(export(bug)).status_code == 202:
                        break
                except httpx.TransportError:
                    time.sleep(0.01)

    posters = [threading.Thread(target=post) for _ in range(2)]
    for poster in posters:
        poster.start()
    for round_ in range(3):
        before = len(ledger.creates)
        until("work goes on", lambda: len(ledger.creates) >= before + 10)  # noqa: B023
        three.all[round_ % 3].restart()
    stop.set()
    for poster in posters:
        poster.join(30)
    three.alive().finish(seconds=40)

    assert_nothing_is_lost(three.alive(), ledger)


def test_the_same_export_posted_to_all_at_once_is_one(replicas, ledger: LedgerServer):
    three = replicas().start()
    found: list[str] = []

    def post(daemon: Daemon) -> None:
        found.extend(daemon.accept(export(bug)) for bug in range(1, 11))

    threads = [threading.Thread(target=post, args=(daemon,)) for daemon in three.all]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    three.alive().finish()

    assert sorted(Counter(found).values()) == [3] * 10
    assert len(ledger.issues) == 10


def test_a_frozen_one_wakes_up_long_after_its_lease_and_changes_nothing(replicas, ledger: LedgerServer):
    two = replicas(2)
    frozen, other = two.all
    frozen.start()
    ledger.inject(Fault(FaultKind.HANG_AFTER))
    accepted = frozen.accept(export(1))
    until("the tracker made the issue", lambda: ledger.issues)
    frozen.signal(signal.SIGSTOP)
    other.start()

    other.finish(seconds=30)
    frozen.signal(signal.SIGCONT)
    until("it noticed", lambda: frozen.said("an outcome came too late: the lease had run out"))

    assert other.delivery(accepted)["state"] == "delivered"
    assert len(ledger.issues) == 1


def test_no_more_at_once_than_the_tracker_may_get_from_all_together(replicas, ledger: LedgerServer):
    three = replicas(concurrency=2, timeout="2s").start()
    ledger.inject(Fault(FaultKind.HANG_BEFORE, times=2))
    for bug in range(1, 10):
        three.all[bug % 3].accept(export(bug))
    until("two hang", lambda: len(ledger.creates) == 2)

    for daemon in three.all:  # each has looked for work since
        daemon.api("POST", "trackers/ledger/resume")
    assert len(ledger.creates) == 2
    three.alive().finish(seconds=30)
    assert len(ledger.issues) == 9


def test_a_token_that_expired_pauses_it_for_all_and_one_resumes_it(replicas, ledger: LedgerServer):
    three = replicas().start()
    ledger.valid = "another token"
    three.all[0].accept(export(1))
    until("it is paused", lambda: three.all[1].tracker()["paused"])
    asked = len(ledger.creates)

    for bug in range(2, 11):
        three.all[bug % 3].accept(export(bug))
    assert len(ledger.creates) == asked
    ledger.valid = ledger.token
    three.all[2].api("POST", "trackers/ledger/resume")
    three.all[1].finish()

    assert len(ledger.issues) == 10


def test_a_tracker_that_says_slow_down_to_one_is_left_alone_by_all(replicas, ledger: LedgerServer):
    three = replicas().start()
    ledger.inject(Fault(FaultKind.REFUSE, reply=Reply(429, headers={"Retry-After": "2"})))
    three.all[0].accept(export(1))
    until("it said so", lambda: len(ledger.creates) == 1)
    until("all know", lambda: three.all[1].tracker()["blocked_until"])
    began = time.monotonic()

    for bug in range(2, 6):
        three.all[bug % 3].accept(export(bug))
    until("the next attempt", lambda: len(ledger.creates) > 1)
    assert time.monotonic() - began > 1
    three.alive().finish()
    assert len(ledger.issues) == 5


def test_a_rolling_restart_under_load_refuses_nothing_and_loses_nothing(replicas, ledger: LedgerServer):
    """As behind a load balancer: nobody is sent to the one that is being replaced."""
    three = replicas().start()
    serving, stop = set(three.all), threading.Event()
    refused: list[int] = []

    def post() -> None:
        for bug in itertools.count(1):
            if stop.is_set():
                return
            one = sorted(serving, key=lambda daemon: daemon.url)[bug % len(serving)]
            answer = one.post(export(bug))
            if answer.status_code != 202:
                refused.append(answer.status_code)

    poster = threading.Thread(target=post)
    poster.start()
    for daemon in three.all:
        before = len(three.accepted)
        until("exports come in", lambda: len(three.accepted) > before + 20)  # noqa: B023
        serving.discard(daemon)
        until("nobody posts there any more", lambda: len(three.accepted) > before + 25)  # noqa: B023
        assert daemon.stop() == 0
        daemon.start()
        serving.add(daemon)
    stop.set()
    poster.join(30)
    three.alive().finish(seconds=30)

    assert refused == []
    assert_nothing_is_lost(three.alive(), ledger)
    assert len(ledger.issues) == len(three.accepted)


def test_the_old_version_goes_on_when_a_newer_one_has_migrated(replicas, ledger: LedgerServer, databases):
    url = databases.new("template1")
    two = replicas(2, url=url)
    old, late = two.all
    old.start()
    old.accept(export(1))
    newer = Database(url)
    newer.rows("ALTER TABLE deliveries ADD COLUMN mood text NOT NULL DEFAULT 'good'")
    newer.rows("UPDATE alembic_version SET version_num = '0004'")

    old.accept(export(2))
    late.start()
    late.accept(export(3))
    old.finish()
    assert len(ledger.issues) == 3

    newer.rows("UPDATE compatibility SET oldest = '0004'")
    late.kill()
    with pytest.raises(AssertionError, match="of a newer tracker-bridge"):
        late.start()


def test_while_the_database_is_away_exports_are_refused_and_then_it_goes_on_by_itself(
    replicas, ledger: LedgerServer, databases
):
    with postgresql.running() as server:
        two = replicas(2, url=server.url("postgres")).start()
        for bug in range(1, 4):
            two.all[0].accept(export(bug))
        two.all[0].finish()
        server.kill()

        for daemon in two.all:
            answer = daemon.post(export(4))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert httpx.get(f"{daemon.url}/readyz", trust_env=False).status_code == 503
            assert httpx.get(f"{daemon.url}/healthz", trust_env=False).status_code == 200
        server.start()
        for bug, daemon in enumerate(two.all, 5):
            until("it takes exports in again", lambda: daemon.post(export(bug)).status_code == 202)  # noqa: B023
        two.all[1].accept(export(4))
        two.alive().finish()

        assert_nothing_is_lost(two.alive(), ledger)
        assert len(ledger.issues) == 6
        ledger.created = server.kill  # the answer is there, and cannot be written down
        two.all[0].accept(export(7))
        until("it tried", lambda: any(one.said("the store does not take an outcome") for one in two.all))
        ledger.created = lambda: None
        server.start()
        until("both answer", lambda: all(is_ready(daemon) for daemon in two.all))
        two.alive().finish(seconds=LEASE + 20)
        assert_nothing_is_lost(two.alive(), ledger)
        assert len(ledger.issues) == 7


def is_ready(daemon: Daemon) -> bool:
    """Whether it can write exports down."""
    return httpx.get(f"{daemon.url}/readyz", trust_env=False).status_code == 200
