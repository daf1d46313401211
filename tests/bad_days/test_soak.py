"""Everything at once, at random: exports, faults, re-exports, reloads and kill -9 every few hundred milliseconds.

A failure names its seed; `BAD_DAYS_SEED=… pytest tests/bad_days/test_soak.py` throws the same dice again. What
the processes make of it in the same time may still differ.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from random import Random
from typing import Any

import httpx
import pytest

from bridge.testing import Fault, FaultKind, Reply, When
from tests.bad_days.harness import Daemon, assert_nothing_is_lost, export
from tests.bad_days.ledger_server import LedgerServer, is_comment, is_search, is_upload

pytestmark = pytest.mark.process

SECONDS = 12
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
        self.waiting = [
            self._export(bug, again) for bug in range(1, BUGS + 1) for again in range(bug % 3 // 2 + 1)
        ]
        self.dice.shuffle(self.waiting)
        self.posts = self.ends = 0

    def rage(self, seconds: float) -> None:
        """Go on for so long."""
        self.daemon.config["server"]["shutdown_grace"] = "300ms"
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(4) as senders:
            while time.monotonic() < end:
                sent = [senders.submit(self._post) for _ in range(self.dice.randint(2, 12))]
                for _ in range(self.dice.randint(2, 10)):
                    self._something()
                self._end()  # whoever is just posting sees a broken connection, and posts the same again later
                wait(sent)
                self.daemon.start()

    def calm_down(self) -> None:
        """Let nothing go wrong any more, and post what was not accepted yet."""
        self.ledger.heal()
        while self.waiting:
            self._post()
        self.daemon.finish(seconds=40)

    def _something(self) -> None:
        if self.dice.random() < 0.3:
            self.ledger.inject(self.dice.choice(FAULTS))
        time.sleep(self.dice.uniform(0, 0.06))

    def _end(self) -> None:
        self.ends += 1
        if self.dice.random() < 0.8:
            self.daemon.kill()
        else:
            assert self.daemon.stop() == 0

    def _export(self, bug: int, again: int) -> dict[str, Any]:
        pictures = self.ledger.url if bug % 4 == 0 else ""
        return export(bug, at=f"2026-01-05T09:00:0{again}Z", pictures=pictures, title=f"Bug {bug}, told {again}")

    def _post(self) -> None:
        try:
            payload = self.waiting.pop()
        except IndexError:
            return
        self.posts += 1
        accepted = False
        with suppress(httpx.TransportError):
            accepted = self.daemon.post(payload).status_code == 202
        if not accepted:
            self.waiting.append(payload)


@pytest.mark.timeout(120)
def test_killed_again_and_again(daemon: Daemon, ledger: LedgerServer):
    seed = int(os.environ.get("BAD_DAYS_SEED") or Random().randrange(10**6))
    print(f"BAD_DAYS_SEED={seed}")
    storm = Storm(daemon, ledger, seed)
    storm.rage(SECONDS)
    storm.calm_down()
    print(f"{storm.posts} posts, {len(daemon.accepted)} accepted, {storm.ends} ends of a process")
    assert set(daemon.accepted.values()) == set(range(1, BUGS + 1))
    assert sorted(ledger.markers()) == sorted(f"testio-bug-{bug}" for bug in range(1, BUGS + 1))
    assert_nothing_is_lost(daemon, ledger)
