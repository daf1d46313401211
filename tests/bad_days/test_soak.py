"""Everything at once, at random: exports, faults, re-exports, reloads and kill -9 every few hundred milliseconds.

A failure names its seed; `BAD_DAYS_SEED=… pytest tests/bad_days/test_soak.py` throws the same dice again. What
the processes make of it in the same time may still differ.
"""

from __future__ import annotations

import os
import time
from random import Random

import httpx
import pytest

from bridge.testing import Fault, FaultKind, Reply, When
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export
from tests.bad_days.ledger_server import LedgerServer, is_comment, is_search, is_upload

pytestmark = pytest.mark.process

SECONDS = 15
BUGS = 60
FAULTS = (
    Fault(FaultKind.REFUSE),
    Fault(FaultKind.REFUSE, When.ANY, reply=Reply(503)),
    Fault(FaultKind.REFUSE, reply=Reply(429, headers={"Retry-After": "0.2"})),
    Fault(FaultKind.REFUSE, reply=Reply(200, body=b"<html>", headers={"Content-Type": "text/html"})),
    Fault(FaultKind.ANSWER_AFTER),
    Fault(FaultKind.RESET_BEFORE),
    Fault(FaultKind.RESET_AFTER),
    Fault(FaultKind.RESET_AFTER, is_upload),
    Fault(FaultKind.HALF),
    Fault(FaultKind.HALF, is_search),
    Fault(FaultKind.HANG_BEFORE),
    Fault(FaultKind.HANG_AFTER),
    Fault(FaultKind.HANG_AFTER, is_upload),
    Fault(FaultKind.REFUSE, is_comment),
)


class Storm:
    """Throws the dice.

    Args:
        daemon: Is started, killed and posted to.
        ledger: Its tracker.
        seed: Of the dice.
    """

    def __init__(self, daemon: Daemon, ledger: LedgerServer, seed: int) -> None:
        self.daemon, self.ledger, self.dice = daemon, ledger, Random(seed)
        self.waiting = [bug for bug in range(1, BUGS + 1) for _ in range(self.dice.choice((1, 1, 2)))]
        self.dice.shuffle(self.waiting)
        self.posts = self.kills = 0

    def rage(self, seconds: float) -> None:
        """Go on for so long, and until every export was accepted."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.waiting:
            for _ in range(self.dice.randint(4, 16)):
                self._something()
            self.kills += 1
            if self.dice.random() < 0.8:
                self.daemon.kill()
            else:
                assert self.daemon.stop() == 0
            self.daemon.start()

    def _something(self) -> None:
        if self.waiting and self.dice.random() < 0.7:
            self._post(self.waiting[-1])
        if self.dice.random() < 0.25:
            self.ledger.inject(self.dice.choice(FAULTS))
        time.sleep(self.dice.uniform(0, 0.05))

    def _post(self, bug: int) -> None:
        self.posts += 1
        moment = f"2026-01-05T09:{self.posts // 60:02}:{self.posts % 60:02}Z"
        pictures = self.ledger.url if bug % 3 == 0 else ""
        try:
            answer = self.daemon.post(export(bug, at=moment, pictures=pictures))
        except httpx.TransportError:
            return
        if answer.status_code == 202:
            self.waiting.remove(bug)


def test_killed_again_and_again(daemon: Daemon, ledger: LedgerServer):
    seed = int(os.environ.get("BAD_DAYS_SEED") or Random().randrange(10**6))
    print(f"BAD_DAYS_SEED={seed}")
    storm = Storm(daemon, ledger, seed)
    storm.rage(SECONDS)
    ledger.heal()
    daemon.finish()
    print(f"{storm.posts} posts, {len(daemon.accepted)} accepted, {storm.kills} ends of a process")
    assert set(daemon.accepted.values()) == set(range(1, BUGS + 1))
    assert sorted(ledger.markers()) == sorted(f"testio-bug-{bug}" for bug in range(1, BUGS + 1))
    assert_nothing_is_lost(daemon, ledger)
